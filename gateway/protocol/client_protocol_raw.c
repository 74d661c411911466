/* A record is a byte for its kind, four for its size, and its bytes. In: JSON text is the data of a publication as it
 * is, other text a JSON string; {"type":"ping"} is a ping. Out: JSON as it is, a JSON string as its text, the data of a
 * binary namespace as a binary message; what else has to be said is {"type":…}.
 *
 * Failure modes: a string that holds \u0000 stays in quotes. What the raw endpoint has no word for (presence, rpc and
 * their like, which nobody can ask for there) appends nothing. */
#include "gateway/protocol/client_protocol_raw.h"

#include "base/base64.h"

enum { HEAD = 5, PING_MAX = 64 };

/* --- records --- */

static size_t begin_record(struct buffer *out, enum client_raw_kind kind) {
    size_t at = out->size;
    buffer_append_u8(out, (uint8_t) kind);
    buffer_append_u32(out, 0);
    return at;
}

static void end_record(struct buffer *out, size_t at) {
    if (!out->overflow) {
        buffer_put_u32(out, at + 1, (uint32_t) (out->size - at - HEAD));
    }
}

void client_raw_append_record(struct buffer *out, enum client_raw_kind kind, struct span bytes) {
    size_t at = begin_record(out, kind);
    buffer_append_span(out, bytes);
    end_record(out, at);
}

bool client_raw_next_record(struct cursor *records, enum client_raw_kind *ret_kind, struct span *ret_bytes) {
    if (cursor_is_done(records)) {
        return false;
    }
    *ret_kind = (enum client_raw_kind) cursor_u8(records);
    *ret_bytes = cursor_sized(records);
    return !records->failed;
}

/* --- in --- */

bool client_raw_is_ping(struct span text) {
    struct json_value value;
    if (text.size > PING_MAX || json_scan(text, &JSON_LIMITS_DEFAULT, &value, NULL) != JSON_OK) {
        return false;
    }
    struct json_value type = json_member(value, "type");
    return type.type == JSON_STRING && json_name_is(type, "ping");
}

static struct span data_of(struct span text, struct buffer *scratch) {
    const struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value value;
    if (json_scan(text, &limits, &value, NULL) == JSON_OK) {
        return value.text;
    }
    buffer_append_json_string(scratch, text);
    return buffer_span(scratch);
}

/* The channel is the session's to add. */
static enum client_decode_outcome decode_next(struct cursor *records, struct buffer *scratch,
                                              struct client_command *ret_command) {
    enum client_raw_kind kind;
    struct span bytes;
    if (!client_raw_next_record(records, &kind, &bytes)) {
        return CLIENT_DECODE_END;
    }
    *ret_command = (struct client_command){.id = 1, .kind = CLIENT_COMMAND_PUBLISH};
    if (kind == CLIENT_RAW_PING) {
        ret_command->kind = CLIENT_COMMAND_PING;
    } else {
        ret_command->body.publish.data = kind == CLIENT_RAW_TEXT ? data_of(bytes, scratch) : bytes;
    }
    return CLIENT_DECODE_OK;
}

/* --- out --- */

static void encode_error(struct buffer *out, uint32_t id, const struct error_description *error) {
    (void) id;
    size_t at = begin_record(out, CLIENT_RAW_TEXT);
    buffer_append_format(out, "{\"type\":\"error\",\"code\":%u,\"message\":\"%s\"%s}", (unsigned) error->code,
                         error->message, error->temporary ? ",\"temporary\":true" : "");
    end_record(out, at);
}

static void encode_ping(struct buffer *out) {
    /* With a byte in it: libwebsockets 4.1.6 tells nobody of a pong without. */
    client_raw_append_record(out, CLIENT_RAW_PING, SPAN_LITERAL("."));
}

static void encode_empty(struct buffer *out, uint32_t id, enum client_command_kind kind) {
    (void) id;
    if (kind == CLIENT_COMMAND_PING) {
        client_raw_append_record(out, CLIENT_RAW_TEXT, SPAN_LITERAL("{\"type\":\"pong\"}"));
    }
}

static void encode_plain(struct buffer *out, const struct client_channel *channel,
                         const struct wire_publication *publication, const struct epoch *epoch,
                         const struct client_delta *delta) {
    (void) channel;
    (void) epoch;
    (void) delta; /* nobody can ask for it here */
    bool is_binary = (publication->flags & WIRE_PUBLICATION_BINARY) != 0;
    bool is_string = !is_binary && publication->data.size > 0 && publication->data.data[0] == '"';
    size_t at = begin_record(out, is_binary ? CLIENT_RAW_BINARY : CLIENT_RAW_TEXT);
    size_t before = out->size;
    if (!is_string || !json_decode_string((struct json_value){JSON_STRING, publication->data}, out)) {
        out->size = before;
        buffer_append_span(out, publication->data);
    }
    end_record(out, at);
}

static void append_epoch(struct buffer *out, const struct epoch *epoch) {
    buffer_append_text(out, ",\"epoch\":");
    buffer_append_json_string(out, epoch_span(epoch));
}

static void append_data(struct buffer *out, const struct wire_publication *publication) {
    if ((publication->flags & WIRE_PUBLICATION_BINARY) != 0) {
        buffer_append_char(out, '"');
        base64_encode(out, publication->data);
        buffer_append_text(out, "\",\"binary\":true");
    } else {
        buffer_append_span(out, publication->data.size > 0 ? publication->data : SPAN_LITERAL("null"));
    }
}

static void encode_enveloped(struct buffer *out, const struct client_channel *channel,
                             const struct wire_publication *publication, const struct epoch *epoch,
                             const struct client_delta *delta) {
    (void) channel;
    (void) delta;
    size_t at = begin_record(out, CLIENT_RAW_TEXT);
    buffer_append_text(out, "{\"data\":");
    append_data(out, publication);
    if (publication->offset > 0) {
        buffer_append_text(out, ",\"offset\":");
        buffer_append_u64_decimal(out, publication->offset);
    }
    if (publication->offset == 1 && epoch != NULL) {
        append_epoch(out, epoch);
    }
    buffer_append_char(out, '}');
    end_record(out, at);
}

void client_raw_append_position(struct buffer *out, enum client_encoding encoding, const struct position *position) {
    if (encoding != CLIENT_ENCODING_RAW_ENVELOPE || epoch_is_empty(&position->epoch)) {
        return;
    }
    size_t at = begin_record(out, CLIENT_RAW_TEXT);
    buffer_append_text(out, "{\"type\":\"position\",\"offset\":");
    buffer_append_u64_decimal(out, position->offset);
    append_epoch(out, &position->epoch);
    buffer_append_char(out, '}');
    end_record(out, at);
}

static void append_publications(struct buffer *out, const struct client_codec *codec, struct span publications) {
    struct cursor cursor = cursor_of(publications);
    struct wire_publication publication;
    while (!cursor_is_done(&cursor) && wire_read_publication(&cursor, &publication)) {
        codec->encode_push_publication(out, NULL, &publication, NULL, NULL);
    }
}

/* What could not be recovered is told, then it goes on from now. */
static void append_subscribed(struct buffer *out, const struct client_codec *codec,
                              const struct client_subscribed *result) {
    if (result->was_recovering && !result->recovered) {
        encode_error(out, 0, error_describe(ERROR_UNRECOVERABLE_POSITION));
    }
    const struct position position = {.epoch = result->epoch, .offset = result->offset};
    client_raw_append_position(out, codec->encoding, &position);
    append_publications(out, codec, result->publications);
}

static void encode_subscribed(struct buffer *out, uint32_t id, const struct client_subscribed *result) {
    (void) id;
    append_subscribed(out, &client_codec_raw, result);
}

static void encode_subscribed_enveloped(struct buffer *out, uint32_t id, const struct client_subscribed *result) {
    (void) id;
    append_subscribed(out, &client_codec_raw_envelope, result);
}

/* --- what has no word here --- */

static void encode_no_connected(struct buffer *out, uint32_t id, const struct client_connected *result) {
    (void) out;
    (void) id;
    (void) result;
}

static void encode_no_history(struct buffer *out, uint32_t id, const struct position *top, uint32_t n,
                              struct span publications) {
    (void) out;
    (void) id;
    (void) top;
    (void) n;
    (void) publications;
}

static void encode_no_presence(struct buffer *out, uint32_t id, uint32_t n, struct span entries) {
    (void) out;
    (void) id;
    (void) n;
    (void) entries;
}

static void encode_no_stats(struct buffer *out, uint32_t id, uint32_t n_clients, uint32_t n_users) {
    (void) out;
    (void) id;
    (void) n_clients;
    (void) n_users;
}

static void encode_no_rpc(struct buffer *out, uint32_t id, struct span data) {
    (void) out;
    (void) id;
    (void) data;
}

static void encode_no_sub_refreshed(struct buffer *out, uint32_t id, bool expires, uint32_t ttl_s) {
    (void) out;
    (void) id;
    (void) expires;
    (void) ttl_s;
}

static void encode_no_event(struct buffer *out, const struct client_channel *channel, bool joined,
                            const struct wire_client_info *info) {
    (void) out;
    (void) channel;
    (void) joined;
    (void) info;
}

static void encode_no_subscribe(struct buffer *out, struct span channel, const struct client_subscribed *result) {
    (void) out;
    (void) channel;
    (void) result;
}

static void encode_no_message(struct buffer *out, struct span data) {
    (void) out;
    (void) data;
}

static void encode_no_refresh(struct buffer *out, bool expires, uint32_t ttl_s) {
    (void) out;
    (void) expires;
    (void) ttl_s;
}

/* The close frame says it. */
static void encode_no_unsubscribe(struct buffer *out, struct span channel, uint32_t code, const char *reason) {
    (void) out;
    (void) channel;
    (void) code;
    (void) reason;
}

static void encode_no_disconnect(struct buffer *out, uint32_t code, const char *reason) {
    (void) out;
    (void) code;
    (void) reason;
}

#define RAW_CODEC(its_encoding, subscribed, push)                                                                      \
    {                                                                                                                  \
        .encoding = (its_encoding), .is_binary = true, .decode_next = decode_next, .encode_error = encode_error,       \
        .encode_ping = encode_ping, .encode_connected = encode_no_connected, .encode_subscribed = (subscribed),        \
        .encode_empty = encode_empty, .encode_history = encode_no_history, .encode_presence = encode_no_presence,      \
        .encode_presence_stats = encode_no_stats, .encode_rpc = encode_no_rpc,                                         \
        .encode_refreshed = encode_no_connected, .encode_sub_refreshed = encode_no_sub_refreshed,                      \
        .encode_push_publication = (push), .encode_push_presence = encode_no_event,                                    \
        .encode_push_subscribe = encode_no_subscribe, .encode_push_unsubscribe = encode_no_unsubscribe,                \
        .encode_push_refresh = encode_no_refresh, .encode_push_message = encode_no_message,                            \
        .encode_push_disconnect = encode_no_disconnect                                                                 \
    }

const struct client_codec client_codec_raw = RAW_CODEC(CLIENT_ENCODING_RAW, encode_subscribed, encode_plain);
const struct client_codec client_codec_raw_envelope =
    RAW_CODEC(CLIENT_ENCODING_RAW_ENVELOPE, encode_subscribed_enveloped, encode_enveloped);
