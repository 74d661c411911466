/* The raw endpoint's side of a session: one channel, named by the path; what a client sends is published there, what is
 * published there is sent to him.
 *
 *   begin ──token, or none──▶ connected ──?last──▶ history ──▶ subscribe ──▶ live
 *                                 └──────────────────────────────┘
 *
 * Everything goes the way of the client protocol's commands, with its permissions, bounds and errors. `last` is read
 * before the subscription is made, which then begins where that ended, so that nothing falls between.
 * Failure modes: what goes wrong before it is live is told by {"type":"error"} and ends the connection: 3507 where
 * trying again is of no use, 3004 where it is. A publication that is refused is told, and the connection stays.
 * Continuity is lost: 3010, to come back with ?since. */
#include "gateway/session/session_commands.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "gateway/protocol/client_protocol_raw.h"

enum { BEGIN_ID = 1 };

struct session_raw {
    char *channel;
    char *token;
    struct session_raw_options options; /* its texts are those above */
    bool is_subscription_token;
    bool is_live; /* nothing of the beginning is left to do */
};

static void subscribe(session_t *self) {
    const struct session_raw_options *options = &self->raw->options;
    const struct client_command command = {
        .id = BEGIN_ID,
        .kind = CLIENT_COMMAND_SUBSCRIBE,
        .body.subscribe = {.channel = options->channel,
                           .token = self->raw->is_subscription_token ? options->token : SPAN_EMPTY,
                           .recover = options->has_since,
                           .positioned = true,
                           .recoverable = true,
                           .epoch = options->since.epoch,
                           .offset = options->since.offset}};
    session_handle_subscribe(self, &command);
}

/* ---- the last ones ---- */

/* They came newest first. */
static void send_last(session_t *self, uint32_t n, struct span publications) {
    struct wire_publication *read = memory_alloc_array(n + 1, sizeof *read);
    struct cursor cursor = cursor_of(publications);
    uint32_t n_read = 0;
    while (n_read < n && wire_read_publication(&cursor, &read[n_read])) {
        n_read++;
    }
    struct buffer *out = session_begin_reply(self);
    while (n_read > 0) {
        self->codec->encode_push_publication(out, NULL, &read[--n_read], NULL, NULL);
    }
    session_end_reply(self);
    memory_free(read);
}

static void on_last(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = list_entry(broker, struct session_request, broker);
    session_t *self = request->session;
    if (answer->error != ERROR_NONE) {
        session_reply_error(self, BEGIN_ID, answer->error);
    } else {
        send_last(self, answer->n, answer->bytes);
        self->raw->options.has_since = !epoch_is_empty(&answer->position.epoch);
        self->raw->options.since = answer->position;
    }
    session_request_finish(&request);
    if (self->state == SESSION_CONNECTED) {
        subscribe(self);
    }
}

static void ask_last(session_t *self) {
    const struct session_raw_options *options = &self->raw->options;
    const struct namespace_options *rules = NULL;
    if (!session_find_options(self, BEGIN_ID, options->channel, &rules)) {
        return;
    }
    struct permission_subject subject = session_subject(self, options->channel);
    /* What it asks for is the beginning of a subscription that follows at once. */
    subject.subscribed =
        self->raw->is_subscription_token || permission_subscribe(rules, options->channel, subject.user) == ERROR_NONE;
    enum error_code error = permission_history(rules, &subject);
    if (error != ERROR_NONE) {
        session_reply_error(self, BEGIN_ID, error);
        return;
    }
    int64_t most = self->environment->config->history_limit_max;
    const struct position nowhere = {.offset = 0};
    struct session_request *request = session_request_new(self, BEGIN_ID, on_last);
    broker_history(self->environment->brokers, &request->broker, options->channel, false, &nowhere,
                   options->last < most ? (uint32_t) options->last : (uint32_t) most, true);
}

/* ---- what the client protocol's files ask ---- */

void session_raw_connected(session_t *self) {
    if (!self->raw->options.reads) {
        self->raw->is_live = true;
    } else if (self->raw->options.last > 0) {
        ask_last(self);
    } else {
        subscribe(self);
    }
}

bool session_raw_takes(session_t *self, const struct token_claims *claims) {
    struct session_raw *raw = self->raw;
    if (claims->has_channel && !span_equal(claims->channel, raw->options.channel)) {
        return false;
    }
    raw->is_subscription_token = claims->has_channel;
    struct json_value access = json_member(claims->meta, "access");
    if (access.type == JSON_STRING) {
        raw->options.reads = raw->options.reads && json_name_is(access, "read");
        raw->options.writes = raw->options.writes && json_name_is(access, "write");
    }
    return raw->options.reads || raw->options.writes;
}

void session_raw_subscribed(session_t *self) {
    self->raw->is_live = true;
}

void session_raw_failed(session_t *self, enum error_code error) {
    if (!self->raw->is_live) {
        session_disconnect(self, error_describe((uint32_t) error)->temporary ? DISCONNECT_SERVER_ERROR
                                                                             : DISCONNECT_PERMISSION_DENIED);
    }
}

struct span session_raw_channel(const session_t *self) {
    return self->raw->options.channel;
}

void session_raw_free(session_t *self) {
    if (self->raw == NULL) {
        return;
    }
    memory_free(self->raw->channel);
    memory_free(self->raw->token);
    memory_free(self->raw);
    self->raw = NULL;
}

/* ---- what the transport asks ---- */

void session_begin_raw(session_t *self, const struct session_raw_options *options) {
    struct session_raw *raw = memory_alloc_zero(sizeof *raw);
    raw->channel = memory_strndup(options->channel.data, options->channel.size);
    raw->token = memory_strndup(options->token.data, options->token.size);
    raw->options = *options;
    raw->options.channel = span_of(raw->channel, options->channel.size);
    raw->options.token = span_of(raw->token, options->token.size);
    self->raw = raw;
    const struct client_command command = {
        .id = BEGIN_ID, .kind = CLIENT_COMMAND_CONNECT, .body.connect = {.token = raw->options.token}};
    session_handle_connect(self, &command);
}

static bool is_binary_namespace(session_t *self) {
    const struct namespace_options *options = NULL;
    return permission_find_options(self->environment->namespaces, self->raw->options.channel, &options) == ERROR_NONE &&
           options->publication_data_format == PUBLICATION_BINARY;
}

/* A text in a namespace of JSON may be any text; elsewhere the bytes count as they are. */
static enum client_raw_kind kind_of(session_t *self, struct span message, bool is_binary) {
    if (!is_binary && client_raw_is_ping(message)) {
        return CLIENT_RAW_PING;
    }
    return is_binary || is_binary_namespace(self) ? CLIENT_RAW_BINARY : CLIENT_RAW_TEXT;
}

void session_on_raw_message(session_t *self, struct span message, bool is_binary) {
    if (!is_binary && !utf8_is_valid(message)) { /* RFC 6455 8.1; the library lets much of it through */
        session_disconnect(self, DISCONNECT_INVALID_DATA);
        return;
    }
    enum client_raw_kind kind = kind_of(self, message, is_binary);
    bool is_in = self->state == SESSION_CONNECTED || self->state == SESSION_CONNECTING;
    if (is_in && kind != CLIENT_RAW_PING && !self->raw->options.writes) {
        session_count_error(self, ERROR_PERMISSION_DENIED);
        self->codec->encode_error(session_begin_reply(self), 0, error_describe(ERROR_PERMISSION_DENIED));
        session_end_reply(self);
        return;
    }
    struct buffer record = BUFFER_EMPTY;
    client_raw_append_record(&record, kind, message);
    session_on_message(self, buffer_span(&record));
    buffer_finish(&record);
}
