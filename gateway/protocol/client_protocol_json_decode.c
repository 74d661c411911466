/* Commands in JSON: objects separated by line feeds, read without building a tree.
 *
 * Happy path: the next line is judged whole (valid JSON in valid UTF-8), its members are walked once, the request that
 * counts is found by the order of client-protocol.md 4.1, and a table of fields says what to take from it. Payloads are
 * spans of the message: they travel byte for byte. Strings are spans as well, unless an escape has to be decoded; then
 * they lie in the scratch buffer, whose room is reserved before the first of them, so that it never moves.
 *
 * Failure modes: all are the client's, and all have one answer, CLIENT_DECODE_BAD (3501): a blank line, what is not
 * JSON, a value of the wrong type, a number that is no integer or out of range, a string with U+0000, a command with an
 * id and no request, more than 64 names in an object of the envelope. Unknown names are skipped, null counts as absent,
 * of a name that stands twice the last one counts. Payloads have no bound but depth: they are judged in one linear pass
 * and never looked up in. */
#include "gateway/protocol/client_protocol_json.h"

#include <limits.h>

enum field_type {
    FIELD_STRING, /* struct span, decoded */
    FIELD_RAW,    /* struct span, any value as it stands */
    FIELD_OBJECT, /* struct json_value */
    FIELD_BOOL,
    FIELD_U64,
    FIELD_I32, /* int64_t, in the range of 32 bits */
    FIELD_I64,
    FIELD_EPOCH,
    FIELD_SINCE, /* has_since and since of struct client_history */
};

struct field {
    const char *name; /* NULL ends a table */
    size_t name_size;
    enum field_type type;
    size_t offset; /* in struct client_command */
};

#define FIELD(name, type, member)                                                                                      \
    { "" name, sizeof(name) - 1, type, offsetof(struct client_command, body.member) }

static const struct field connect_fields[] = {
    FIELD("token", FIELD_STRING, connect.token),     FIELD("data", FIELD_RAW, connect.data),
    FIELD("subs", FIELD_OBJECT, connect.subs),       FIELD("name", FIELD_STRING, connect.name),
    FIELD("version", FIELD_STRING, connect.version), {NULL, 0, FIELD_RAW, 0},
};
static const struct field subscribe_fields[] = {
    FIELD("channel", FIELD_STRING, subscribe.channel),
    FIELD("token", FIELD_STRING, subscribe.token),
    FIELD("recover", FIELD_BOOL, subscribe.recover),
    FIELD("epoch", FIELD_EPOCH, subscribe.epoch),
    FIELD("offset", FIELD_U64, subscribe.offset),
    FIELD("data", FIELD_RAW, subscribe.data),
    FIELD("positioned", FIELD_BOOL, subscribe.positioned),
    FIELD("recoverable", FIELD_BOOL, subscribe.recoverable),
    FIELD("join_leave", FIELD_BOOL, subscribe.join_leave),
    FIELD("delta", FIELD_STRING, subscribe.delta),
    FIELD("tf", FIELD_OBJECT, subscribe.tag_filter),
    FIELD("flag", FIELD_I64, subscribe.flag),
    FIELD("type", FIELD_I32, subscribe.type),
    {NULL, 0, FIELD_RAW, 0},
};
/* unsubscribe, presence, presence_stats */
static const struct field channel_fields[] = {FIELD("channel", FIELD_STRING, channel), {NULL, 0, FIELD_RAW, 0}};
static const struct field publish_fields[] = {
    FIELD("channel", FIELD_STRING, publish.channel),
    FIELD("data", FIELD_RAW, publish.data),
    FIELD("type", FIELD_I32, publish.type),
    FIELD("idempotency_key", FIELD_STRING, publish.key),
    {NULL, 0, FIELD_RAW, 0},
};
static const struct field history_fields[] = {
    FIELD("channel", FIELD_STRING, history.channel),
    FIELD("limit", FIELD_I32, history.limit),
    FIELD("since", FIELD_SINCE, history),
    FIELD("reverse", FIELD_BOOL, history.reverse),
    {NULL, 0, FIELD_RAW, 0},
};
static const struct field since_fields[] = {
    FIELD("offset", FIELD_U64, history.since.offset),
    FIELD("epoch", FIELD_EPOCH, history.since.epoch),
    {NULL, 0, FIELD_RAW, 0},
};
static const struct field rpc_fields[] = {
    FIELD("method", FIELD_STRING, rpc.method),
    FIELD("data", FIELD_RAW, rpc.data),
    {NULL, 0, FIELD_RAW, 0},
};
static const struct field send_fields[] = {FIELD("data", FIELD_RAW, data), {NULL, 0, FIELD_RAW, 0}};
static const struct field refresh_fields[] = {FIELD("token", FIELD_STRING, token), {NULL, 0, FIELD_RAW, 0}};
static const struct field sub_refresh_fields[] = {
    FIELD("channel", FIELD_STRING, sub_refresh.channel),
    FIELD("token", FIELD_STRING, sub_refresh.token),
    FIELD("type", FIELD_I32, sub_refresh.type),
    {NULL, 0, FIELD_RAW, 0},
};
static const struct field no_fields[] = {{NULL, 0, FIELD_RAW, 0}};

#define REQUEST(name, fields)                                                                                          \
    { "" name, sizeof(name) - 1, fields }

/* In the order in which one of several requests counts; the index is enum client_command_kind. */
static const struct {
    const char *name;
    size_t name_size;
    const struct field *fields;
} requests[] = {
    [CLIENT_COMMAND_PONG] = REQUEST("", no_fields),
    [CLIENT_COMMAND_CONNECT] = REQUEST("connect", connect_fields),
    [CLIENT_COMMAND_PING] = REQUEST("ping", no_fields),
    [CLIENT_COMMAND_SUBSCRIBE] = REQUEST("subscribe", subscribe_fields),
    [CLIENT_COMMAND_UNSUBSCRIBE] = REQUEST("unsubscribe", channel_fields),
    [CLIENT_COMMAND_PUBLISH] = REQUEST("publish", publish_fields),
    [CLIENT_COMMAND_PRESENCE] = REQUEST("presence", channel_fields),
    [CLIENT_COMMAND_PRESENCE_STATS] = REQUEST("presence_stats", channel_fields),
    [CLIENT_COMMAND_HISTORY] = REQUEST("history", history_fields),
    [CLIENT_COMMAND_RPC] = REQUEST("rpc", rpc_fields),
    [CLIENT_COMMAND_SEND] = REQUEST("send", send_fields),
    [CLIENT_COMMAND_REFRESH] = REQUEST("refresh", refresh_fields),
    [CLIENT_COMMAND_SUB_REFRESH] = REQUEST("sub_refresh", sub_refresh_fields),
};
enum { N_REQUESTS = sizeof requests / sizeof requests[0] };

/* ---- values ---- */

static bool read_string(struct json_value value, struct buffer *scratch, struct span *ret_text) {
    if (json_plain_string(value, ret_text)) {
        return true;
    }
    size_t at = scratch->size;
    if (!json_decode_string(value, scratch)) {
        return false;
    }
    *ret_text = span_of(scratch->data + at, scratch->size - at);
    return true;
}

static bool read_epoch(struct json_value value, struct buffer *scratch, struct epoch *ret_epoch) {
    struct span text;
    if (!read_string(value, scratch, &text)) {
        return false;
    }
    *ret_epoch = epoch_from(text);
    return true;
}

static bool read_i32(struct json_value value, int64_t *ret_number) {
    int64_t number = 0;
    if (!json_to_i64(value, &number) || number < INT32_MIN || number > INT32_MAX) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool read_fields(struct json_value object, const struct field *fields, struct buffer *scratch,
                        struct client_command *command);

static bool read_since(struct json_value value, struct buffer *scratch, struct client_command *command) {
    command->body.history.has_since = true;
    return read_fields(value, since_fields, scratch, command);
}

static bool read_field(struct json_value value, const struct field *field, struct buffer *scratch,
                       struct client_command *command) {
    void *place = (char *) command + field->offset;
    switch (field->type) {
    case FIELD_STRING:
        return read_string(value, scratch, place);
    case FIELD_RAW:
        *(struct span *) place = value.text;
        return true;
    case FIELD_OBJECT:
        *(struct json_value *) place = value;
        return value.type == JSON_OBJECT;
    case FIELD_BOOL:
        return json_to_bool(value, place);
    case FIELD_U64:
        return json_to_u64(value, place);
    case FIELD_I32:
        return read_i32(value, place);
    case FIELD_I64:
        return json_to_i64(value, place);
    case FIELD_EPOCH:
        return read_epoch(value, scratch, place);
    case FIELD_SINCE:
        return read_since(value, scratch, command);
    }
    return false;
}

/* Names hardly ever have escapes: without any the sizes tell most of them apart. */
static bool is_name(struct json_value name, const char *text, size_t size) {
    if (name.text.size == size + 2) {
        return memcmp(name.text.data + 1, text, size) == 0;
    }
    return name.text.size > size + 2 && memchr(name.text.data, '\\', name.text.size) != NULL &&
           json_name_is(name, text);
}

static const struct field *find_field(const struct field *fields, struct json_value name) {
    for (const struct field *field = fields; field->name != NULL; field++) {
        if (is_name(name, field->name, field->name_size)) {
            return field;
        }
    }
    return NULL;
}

/* Null counts as absent, but as a payload it is a value like any other. */
static bool is_absent(struct json_value value, const struct field *field) {
    return value.type == JSON_NULL && field->type != FIELD_RAW;
}

static bool read_fields(struct json_value object, const struct field *fields, struct buffer *scratch,
                        struct client_command *command) {
    if (object.type != JSON_OBJECT) {
        return false;
    }
    struct json_iterator iterator = json_iterate(object);
    struct json_value name;
    struct json_value value;
    for (unsigned n = 0; json_next(&iterator, &name, &value); n++) {
        if (n == CLIENT_JSON_NAMES_MAX) {
            return false;
        }
        const struct field *field = find_field(fields, name);
        if (field != NULL && !is_absent(value, field) && !read_field(value, field, scratch, command)) {
            return false;
        }
    }
    return true;
}

/* ---- the envelope ---- */

struct envelope {
    uint32_t id;
    struct json_value requests[N_REQUESTS]; /* by kind; JSON_NONE: not there */
};

static bool read_id(struct json_value value, uint32_t *ret_id) {
    uint64_t id = 0;
    if (value.type == JSON_NULL) {
        return true;
    }
    if (!json_to_u64(value, &id) || id > UINT32_MAX) {
        return false;
    }
    *ret_id = (uint32_t) id;
    return true;
}

static bool keep_request(struct envelope *envelope, struct json_value name, struct json_value value) {
    for (size_t kind = CLIENT_COMMAND_CONNECT; kind < N_REQUESTS; kind++) {
        if (is_name(name, requests[kind].name, requests[kind].name_size)) {
            envelope->requests[kind] = value.type == JSON_NULL ? JSON_ABSENT : value;
            return value.type == JSON_NULL || value.type == JSON_OBJECT;
        }
    }
    return true;
}

static bool read_envelope(struct json_value object, struct envelope *ret_envelope) {
    *ret_envelope = (struct envelope){.id = 0};
    struct json_iterator iterator = json_iterate(object);
    struct json_value name;
    struct json_value value;
    for (unsigned n = 0; json_next(&iterator, &name, &value); n++) {
        bool fine =
            is_name(name, "id", 2) ? read_id(value, &ret_envelope->id) : keep_request(ret_envelope, name, value);
        if (!fine || n == CLIENT_JSON_NAMES_MAX) {
            return false;
        }
    }
    return object.type == JSON_OBJECT;
}

/* Without an id only `send` counts. N_REQUESTS: an id, but nothing asked for. */
static size_t first_request(const struct envelope *envelope) {
    if (envelope->id == 0) {
        return envelope->requests[CLIENT_COMMAND_SEND].type == JSON_NONE ? CLIENT_COMMAND_PONG : CLIENT_COMMAND_SEND;
    }
    size_t kind = CLIENT_COMMAND_CONNECT;
    while (kind < N_REQUESTS && envelope->requests[kind].type == JSON_NONE) {
        kind++;
    }
    return kind;
}

static bool decode_command(struct span line, struct buffer *scratch, struct client_command *ret_command) {
    const struct json_limits limits = {CLIENT_JSON_DEPTH_MAX, UINT_MAX, UINT_MAX};
    struct json_value object;
    struct envelope envelope;
    if (json_scan(line, &limits, &object, NULL) != JSON_OK || !read_envelope(object, &envelope)) {
        return false;
    }
    size_t kind = first_request(&envelope);
    if (kind == N_REQUESTS) {
        return false;
    }
    *ret_command = (struct client_command){.id = envelope.id, .kind = (enum client_command_kind) kind};
    if (kind == CLIENT_COMMAND_PONG) {
        return true;
    }
    /* Decoded strings are never longer than they were with their escapes: nothing moves once there is room. */
    return buffer_reserve(scratch, line.size) &&
           read_fields(envelope.requests[kind], requests[kind].fields, scratch, ret_command);
}

static struct span take_line(struct cursor *message) {
    const uint8_t *feed = memchr(message->at, '\n', message->left);
    size_t size = feed == NULL ? message->left : (size_t) (feed - message->at);
    struct span line = cursor_bytes(message, size);
    cursor_bytes(message, feed == NULL ? 0 : 1);
    return line;
}

enum client_decode_outcome client_json_decode_next(struct cursor *message, struct buffer *scratch,
                                                   struct client_command *ret_command) {
    if (message->left == 0) {
        return CLIENT_DECODE_END;
    }
    struct span line = take_line(message);
    return decode_command(line, scratch, ret_command) ? CLIENT_DECODE_OK : CLIENT_DECODE_BAD;
}
