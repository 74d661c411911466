/* The publish hook: each publication of a client is a worker's to allow, to refuse, or to change.
 *
 *   publish ─▶ asked ─▶ allowed ─▶ to the brokers, with the worker's data, tags and skip_history where it gives any
 *                └─ refused: the worker's error or disconnect; nobody decided: 100, nothing was published
 *
 * A client's publications to one channel are asked one after another, so that their order holds whichever worker
 * answers. Failure modes: the namespace is gone or refuses what the worker gives in its place (no JSON where JSON is
 * needed, more tags than may be): a verdict that cannot be used, error 100. Memory is short meanwhile: 111. */
#include "gateway/session/session_commands.h"

enum { TAGS_MAX = 32, TAG_BYTES_MAX = 1024 };

/* What is published in the place of what the client sent. */
struct change {
    struct buffer data;
    struct buffer tags;
    uint8_t flags;
};

/* NULL, or what is wrong. */
static const char *read_tags(struct json_value tags, struct buffer *out) {
    struct json_iterator iterator = json_iterate(tags);
    struct json_value name;
    struct json_value value;
    struct buffer key = BUFFER_EMPTY;
    struct buffer text = BUFFER_EMPTY;
    const char *reason = NULL;
    for (unsigned n = 0; reason == NULL && json_next(&iterator, &name, &value); n++) {
        buffer_clear(&key);
        buffer_clear(&text);
        bool fits = json_decode_string(name, &key) && json_decode_string(value, &text) && n < TAGS_MAX &&
                    key.size <= TAG_BYTES_MAX && text.size <= TAG_BYTES_MAX;
        reason = fits ? NULL : "tags must be at most 32 texts, each of at most 1024 bytes";
        if (fits) {
            wire_append_tag(out, &(struct wire_tag){.key = buffer_span(&key), .value = buffer_span(&text)});
        }
    }
    buffer_finish(&key);
    buffer_finish(&text);
    return reason;
}

/* The worker's bytes as they are, whatever the client's encoding. */
static void read_data(const struct session_verdict *verdict, struct buffer *out) {
    if (verdict->payload.size > 0) {
        buffer_append_span(out, verdict->payload);
    } else if (!session_decode_base64(json_member(verdict->result, "b64data"), out)) {
        buffer_append_span(out, json_member(verdict->result, "data").text);
    }
}

/* NULL, or what is wrong. */
static const char *read_change(const struct session_verdict *verdict, const struct namespace_options *options,
                               struct change *ret_change) {
    const struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value ignored;
    bool skips = false;
    read_data(verdict, &ret_change->data);
    json_to_bool(json_member(verdict->result, "skip_history"), &skips);
    ret_change->flags = skips ? WIRE_PUBLISH_SKIP_HISTORY : 0;
    if (ret_change->data.size > 0 && options->publication_data_format == PUBLICATION_JSON &&
        json_scan(buffer_span(&ret_change->data), &limits, &ignored, NULL) != JSON_OK) {
        return "the data must be JSON in this namespace (publication_data_format)";
    }
    return read_tags(json_member(verdict->result, "tags"), &ret_change->tags);
}

/* NONE: it is on its way to the brokers. */
static enum error_code go_on(session_t *self, struct client_command command, const struct session_verdict *verdict) {
    const struct namespace_options *options = NULL;
    struct change change = {.data = BUFFER_EMPTY, .tags = BUFFER_EMPTY, .flags = 0};
    enum error_code error =
        permission_find_options(self->environment->namespaces, command.body.publish.channel, &options);
    if (error == ERROR_NONE && self->environment->refuses_publications) {
        error = ERROR_TOO_MANY_REQUESTS;
    }
    const char *reason = error == ERROR_NONE ? read_change(verdict, options, &change) : NULL;
    if (reason != NULL) {
        error = session_hook_invalid(self, SESSION_HOOK_PUBLISH, reason);
    }
    if (change.data.size > 0) {
        command.body.publish.data = buffer_span(&change.data);
    }
    if (error == ERROR_NONE) {
        session_send_publication(self, &command, buffer_span(&change.tags), change.flags);
    }
    buffer_finish(&change.data);
    buffer_finish(&change.tags);
    return error;
}

static void on_verdict(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = list_entry(broker, struct session_request, broker);
    session_t *self = request->session;
    struct session_verdict verdict;
    enum error_code error = session_hook_read(self, SESSION_HOOK_PUBLISH, answer, &verdict);
    if (self->state != SESSION_CONNECTED || /* it closes */
        (error == ERROR_NONE && session_take_refusal(self, request->id, &verdict))) {
        session_request_finish(&request);
        return;
    }
    self->environment->begun = request->begun;
    if (error == ERROR_NONE) {
        error = go_on(self, request->asked->command, &verdict);
    }
    if (error == ERROR_NONE) {
        session_request_pass_on(&request);
        return;
    }
    session_reply_error(self, request->id, error);
    session_request_finish(&request);
}

void session_ask_publish(session_t *self, const struct client_command *command) {
    enum error_code error;
    if (!session_hook_ask(self, SESSION_HOOK_PUBLISH, command, command->body.publish.data, SPAN_EMPTY, on_verdict,
                          &error)) {
        session_reply_error(self, command->id, error);
    }
}
