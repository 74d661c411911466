/* publish: permission, or a worker's (session_hook_publish.c), then a request to the brokers; the reply follows when
 * the publication was appended.
 *
 * The data is as small as a message may be. From a JSON client it is valid JSON since it was decoded; from a protobuf
 * client it may be any bytes, nothing included, and is judged here where the namespace wants JSON. The publisher's info
 * goes along; with its chan_info where it is subscribed. A client's idempotency key counts among its user's alone, so
 * that nobody takes away a backend's or another user's.
 * Failure modes: not allowed, data of the wrong format or too long a key (107), no such namespace: their errors. Memory
 * is short: 111. The broker refuses or is away: its error; 120 where nobody knows whether it was appended. */
#include "gateway/session/session_commands.h"

enum { CLIENT_KEY_MAX = 255 };

static void on_published(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = list_entry(broker, struct session_request, broker);
    session_t *self = request->session;
    if (answer->error == ERROR_NONE) {
        const struct client_command command = {.id = request->id, .kind = CLIENT_COMMAND_PUBLISH};
        session_reply_empty(self, &command);
    } else {
        session_reply_error(self, request->id, answer->error);
    }
    session_request_finish(&request);
}

/* What the broker remembers: the size in front of the user keeps one user's key from being another's. */
static void append_key(struct buffer *out, struct span user, struct span key) {
    buffer_append_format(out, "client:%zu:", user.size);
    buffer_append_span(out, user);
    buffer_append_char(out, ':');
    buffer_append_span(out, key);
}

void session_send_publication(session_t *self, const struct client_command *command, struct span tags, uint8_t flags) {
    const struct client_publish *publish = &command->body.publish;
    const struct subscription *subscription = session_find_subscription(self, publish->channel);
    const payload_t *info = subscription == NULL || subscription->info == NULL ? self->info : subscription->info;
    struct session_request *request = session_request_new(self, command->id, on_published);
    struct buffer key = BUFFER_EMPTY;
    if (publish->key.size > 0) {
        append_key(&key, session_client_info(self).user, publish->key);
    }
    const struct broker_publication publication = {.channel = publish->channel,
                                                   .data = publish->data,
                                                   .key = buffer_span(&key),
                                                   .info = payload_span(info),
                                                   .tags = tags,
                                                   .flags = flags};
    broker_publish(self->environment->brokers, &request->broker, &publication);
    buffer_finish(&key);
}

static bool has_format(const session_t *self, struct span data, const struct namespace_options *options) {
    const struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value value;
    if (!self->codec->is_binary) {
        return data.size > 0;
    }
    return options->publication_data_format != PUBLICATION_JSON || json_scan(data, &limits, &value, NULL) == JSON_OK;
}

void session_handle_publish(session_t *self, const struct client_command *command) {
    const struct client_publish *publish = &command->body.publish;
    const struct namespace_options *options = NULL;
    if (!session_find_options(self, command->id, publish->channel, &options)) {
        return;
    }
    struct permission_subject subject = session_subject(self, publish->channel);
    enum error_code error = options->publish_proxy_enabled ? ERROR_NONE : permission_publish(options, &subject);
    if (publish->type != 0) {
        error = publish->type == 1 ? ERROR_PERMISSION_DENIED : ERROR_BAD_REQUEST; /* maps, which no namespace has */
    } else if (error == ERROR_NONE && self->environment->refuses_publications) {
        error = ERROR_TOO_MANY_REQUESTS;
    } else if (error == ERROR_NONE &&
               (publish->key.size > CLIENT_KEY_MAX || !has_format(self, publish->data, options))) {
        error = ERROR_BAD_REQUEST;
    }
    if (error != ERROR_NONE) {
        session_reply_error(self, command->id, error);
        return;
    }
    if (options->publish_proxy_enabled) {
        session_ask_publish(self, command);
    } else {
        session_send_publication(self, command, SPAN_EMPTY, 0);
    }
}
