/* Replies and pushes in JSON, byte for byte what Centrifuge's SDKs expect: client-protocol.md sections 5 and 29.
 *
 * Happy path: fields are appended in the order of their protobuf numbers, zero values are left out, payloads are
 * embedded as they are. A payload with line feeds or carriage returns between its tokens loses them, because they
 * separate messages. A comma is due wherever the last byte is not an opening brace: no value ends in one.
 *
 * Failure modes: the buffer's limit is reached: its overflow flag stands, the caller looks once. Malformed
 * wire_publication or wire_client_info is a broker's bug: what cannot be read is left out. */
#include "gateway/protocol/client_protocol_json.h"

#include "base/base64.h"
#include "base/check.h"
#include "gateway/protocol/delta_chain.h"

#define put(out, literal) ((void) buffer_append((out), ("" literal), sizeof(literal) - 1))

/* A member's name with quotes and colon, after a comma where one is due. */
#define put_name(out, name)                                                                                            \
    do {                                                                                                               \
        put_comma(out);                                                                                                \
        put(out, "\"" name "\":");                                                                                     \
    } while (0)

static void put_comma(struct buffer *out) {
    if (out->size > 0 && out->data[out->size - 1] != '{') {
        buffer_append_char(out, ',');
    }
}

static void put_string(struct buffer *out, struct span text) {
    buffer_append_json_string(out, text);
}

/* A judged payload. */
static void put_raw(struct buffer *out, struct span json) {
    if (memchr(json.data, '\n', json.size) == NULL && memchr(json.data, '\r', json.size) == NULL) {
        buffer_append_span(out, json);
    } else {
        json_append_one_line(out, json);
    }
}

static void put_base64(struct buffer *out, struct span bytes) {
    put(out, "\"");
    base64_encode(out, bytes);
    put(out, "\"");
}

/* ---- shared parts ---- */

static void put_client_info(struct buffer *out, const struct wire_client_info *info) {
    put(out, "{\"user\":");
    put_string(out, info->user);
    put(out, ",\"client\":");
    put_string(out, info->client);
    if (info->conn_info.size > 0) {
        put(out, ",\"conn_info\":");
        put_raw(out, info->conn_info);
    }
    if (info->chan_info.size > 0) {
        put(out, ",\"chan_info\":");
        put_raw(out, info->chan_info);
    }
    put(out, "}");
}

static void put_tags(struct buffer *out, struct span tags) {
    put(out, "{");
    struct cursor cursor = cursor_of(tags);
    struct wire_tag tag;
    while (wire_next_tag(&cursor, &tag)) {
        put_comma(out);
        put_string(out, tag.key);
        put(out, ":");
        put_string(out, tag.value);
    }
    put(out, "}");
}

/* With delta a payload is a string, patch or not. Binary data is one anyway, and is never patched. */
static void put_data(struct buffer *out, const struct wire_publication *publication, const struct client_delta *delta) {
    if ((publication->flags & WIRE_PUBLICATION_BINARY) != 0) {
        put_name(out, "data");
        put_base64(out, publication->data);
    } else if (delta != NULL) {
        put_name(out, "data");
        put_string(out, delta->data);
    } else if (publication->data.size > 0) {
        put_name(out, "data");
        put_raw(out, publication->data);
    }
}

static void put_publication(struct buffer *out, const struct wire_publication *publication, const struct epoch *epoch,
                            const struct client_delta *delta) {
    struct wire_client_info info;
    put(out, "{");
    put_data(out, publication, delta);
    if (publication->info.size > 0 && wire_read_client_info(publication->info, &info)) {
        put_name(out, "info");
        put_client_info(out, &info);
    }
    if (publication->offset > 0) {
        put_name(out, "offset");
        buffer_append_u64_decimal(out, publication->offset);
    }
    if (publication->tags.size > 0) {
        put_name(out, "tags");
        put_tags(out, publication->tags);
    }
    if (delta != NULL && delta->is_patch) {
        put_name(out, "delta");
        put(out, "true");
    }
    if (epoch != NULL && publication->offset == 1) {
        put_name(out, "epoch");
        put_string(out, epoch_span(epoch));
    }
    put(out, "}");
}

static void put_publications(struct buffer *out, struct span publications) {
    put(out, "[");
    struct cursor cursor = cursor_of(publications);
    struct wire_publication publication;
    for (bool first = true; cursor.left > 0 && wire_read_publication(&cursor, &publication); first = false) {
        if (!first) {
            put(out, ",");
        }
        put_publication(out, &publication, NULL, NULL);
    }
    put(out, "]");
}

static void put_chain(struct buffer *out, struct span publications) {
    put(out, "[");
    struct delta_chain chain = {.is_text_only = true};
    struct cursor cursor = cursor_of(publications);
    struct wire_publication publication;
    while (cursor.left > 0 && wire_read_publication(&cursor, &publication)) {
        if (chain.has_base) {
            put(out, ",");
        }
        struct client_delta delta = delta_chain_next(&chain, &publication);
        put_publication(out, &publication, NULL, &delta);
    }
    delta_chain_finish(&chain);
    put(out, "]");
}

static void put_expiry(struct buffer *out, bool expires, uint32_t ttl_s) {
    if (expires) {
        put_name(out, "expires");
        put(out, "true");
    }
    if (expires && ttl_s > 0) {
        put_name(out, "ttl");
        buffer_append_u64_decimal(out, ttl_s);
    }
}

static void put_flag(struct buffer *out, bool value) {
    buffer_append_text(out, value ? "true" : "false");
}

/* ---- replies ---- */

static void begin_reply(struct buffer *out, uint32_t id) {
    put(out, "{");
    if (id > 0) {
        put_name(out, "id");
        buffer_append_u64_decimal(out, id);
    }
}

static void encode_error(struct buffer *out, uint32_t id, const struct error_description *error) {
    begin_reply(out, id);
    put_name(out, "error");
    put(out, "{\"code\":");
    buffer_append_u64_decimal(out, (uint64_t) error->code);
    put(out, ",\"message\":");
    put_string(out, span_of_text(error->message));
    if (error->temporary) {
        put(out, ",\"temporary\":true");
    }
    put(out, "}}");
}

static void encode_ping(struct buffer *out) {
    put(out, "{}");
}

static void encode_connected(struct buffer *out, uint32_t id, const struct client_connected *result) {
    begin_reply(out, id);
    put_name(out, "connect");
    put(out, "{\"client\":");
    put_string(out, result->client);
    put_name(out, "version");
    put_string(out, result->version);
    put_expiry(out, result->expires, result->ttl_s);
    if (result->data.size > 0) {
        put_name(out, "data");
        put_raw(out, result->data);
    }
    if (result->subs.size > 0) {
        put_name(out, "subs");
        put(out, "{");
        put_raw(out, result->subs);
        put(out, "}");
    }
    if (result->ping_s > 0) {
        put_name(out, "ping");
        buffer_append_u64_decimal(out, result->ping_s);
    }
    if (result->pong) {
        put_name(out, "pong");
        put_flag(out, true);
    }
    if (result->session.size > 0) {
        put_name(out, "session");
        put_string(out, result->session);
        put_name(out, "node");
        put_string(out, result->node);
    }
    put(out, "}}");
}

static void put_stream_position(struct buffer *out, const struct client_subscribed *result) {
    if (!epoch_is_empty(&result->epoch)) {
        put_name(out, "epoch");
        put_string(out, epoch_span(&result->epoch));
    }
    if (result->n_publications > 0) {
        put_name(out, "publications");
        if (result->delta) {
            put_chain(out, result->publications);
        } else {
            put_publications(out, result->publications);
        }
    }
    if (result->recovered) {
        put_name(out, "recovered");
        put_flag(out, true);
    }
    if (result->offset > 0) {
        put_name(out, "offset");
        buffer_append_u64_decimal(out, result->offset);
    }
}

static void put_subscribed(struct buffer *out, const struct client_subscribed *result) {
    put(out, "{");
    put_expiry(out, result->expires, result->ttl_s);
    if (result->recoverable) {
        put_name(out, "recoverable");
        put_flag(out, true);
    }
    put_stream_position(out, result);
    if (result->positioned) {
        put_name(out, "positioned");
        put_flag(out, true);
    }
    if (result->data.size > 0) {
        put_name(out, "data");
        put_raw(out, result->data);
    }
    if (result->was_recovering) {
        put_name(out, "was_recovering");
        put_flag(out, true);
    }
    if (result->delta) {
        put_name(out, "delta");
        put_flag(out, true);
    }
    if (result->id > 0) {
        put_name(out, "id");
        buffer_append_u64_decimal(out, result->id);
    }
    put(out, "}");
}

static void encode_subscribed(struct buffer *out, uint32_t id, const struct client_subscribed *result) {
    begin_reply(out, id);
    put_name(out, "subscribe");
    put_subscribed(out, result);
    put(out, "}");
}

static void encode_connected_sub(struct buffer *out, struct span channel, const struct client_subscribed *result) {
    if (out->size > 0) {
        buffer_append_char(out, ',');
    }
    put_string(out, channel);
    put(out, ":");
    put_subscribed(out, result);
}

static void encode_empty(struct buffer *out, uint32_t id, enum client_command_kind kind) {
    check(kind == CLIENT_COMMAND_UNSUBSCRIBE || kind == CLIENT_COMMAND_PUBLISH || kind == CLIENT_COMMAND_PING,
          "an empty reply to command kind %d", (int) kind);
    begin_reply(out, id);
    if (kind == CLIENT_COMMAND_UNSUBSCRIBE) {
        put_name(out, "unsubscribe");
    } else if (kind == CLIENT_COMMAND_PUBLISH) {
        put_name(out, "publish");
    } else {
        put_name(out, "ping");
    }
    put(out, "{}}");
}

static void encode_history(struct buffer *out, uint32_t id, const struct position *top, uint32_t n,
                           struct span publications) {
    begin_reply(out, id);
    put_name(out, "history");
    put(out, "{\"publications\":");
    put_publications(out, n == 0 ? SPAN_EMPTY : publications);
    put(out, ",\"epoch\":");
    put_string(out, epoch_span(&top->epoch));
    put(out, ",\"offset\":");
    buffer_append_u64_decimal(out, top->offset);
    put(out, "}}");
}

static void put_presence_entry(struct buffer *out, struct span entry) {
    struct wire_client_info info;
    if (!wire_read_client_info(entry, &info)) {
        return;
    }
    put_comma(out);
    put_string(out, info.client);
    put(out, ":");
    put_client_info(out, &info);
}

static void encode_presence(struct buffer *out, uint32_t id, uint32_t n, struct span entries) {
    begin_reply(out, id);
    put_name(out, "presence");
    put(out, "{\"presence\":{");
    struct cursor cursor = cursor_of(entries);
    for (uint32_t i = 0; i < n && cursor.left > 0; i++) {
        put_presence_entry(out, cursor_sized(&cursor));
    }
    put(out, "}}}");
}

static void encode_presence_stats(struct buffer *out, uint32_t id, uint32_t n_clients, uint32_t n_users) {
    begin_reply(out, id);
    put_name(out, "presence_stats");
    put(out, "{\"num_clients\":");
    buffer_append_u64_decimal(out, n_clients);
    put(out, ",\"num_users\":");
    buffer_append_u64_decimal(out, n_users);
    put(out, "}}");
}

static void encode_rpc(struct buffer *out, uint32_t id, struct span data) {
    begin_reply(out, id);
    put_name(out, "rpc");
    put(out, "{");
    if (data.size > 0) {
        put_name(out, "data");
        put_raw(out, data);
    }
    put(out, "}}");
}

static void encode_refreshed(struct buffer *out, uint32_t id, const struct client_connected *result) {
    begin_reply(out, id);
    put_name(out, "refresh");
    put(out, "{\"client\":");
    put_string(out, result->client);
    put_name(out, "version");
    put_string(out, result->version);
    put_expiry(out, result->expires, result->ttl_s);
    put(out, "}}");
}

static void encode_sub_refreshed(struct buffer *out, uint32_t id, bool expires, uint32_t ttl_s) {
    begin_reply(out, id);
    put_name(out, "sub_refresh");
    put(out, "{");
    put_expiry(out, expires, ttl_s);
    put(out, "}}");
}

/* ---- pushes ---- */

static void begin_push(struct buffer *out, struct span channel) {
    put(out, "{\"push\":{\"channel\":");
    put_string(out, channel);
}

static void begin_push_of(struct buffer *out, const struct client_channel *channel) {
    if (channel->id == 0) {
        begin_push(out, channel->name);
        return;
    }
    put(out, "{\"push\":{\"id\":");
    buffer_append_u64_decimal(out, channel->id);
}

static void encode_push_publication(struct buffer *out, const struct client_channel *channel,
                                    const struct wire_publication *publication, const struct epoch *epoch,
                                    const struct client_delta *delta) {
    begin_push_of(out, channel);
    put(out, ",\"pub\":");
    put_publication(out, publication, epoch, delta);
    put(out, "}}");
}

static void encode_push_presence(struct buffer *out, const struct client_channel *channel, bool joined,
                                 const struct wire_client_info *info) {
    begin_push_of(out, channel);
    if (joined) {
        put(out, ",\"join\":{\"info\":");
    } else {
        put(out, ",\"leave\":{\"info\":");
    }
    put_client_info(out, info);
    put(out, "}}}");
}

static void encode_push_unsubscribe(struct buffer *out, struct span channel, uint32_t code, const char *reason) {
    begin_push(out, channel);
    put(out, ",\"unsubscribe\":{\"code\":");
    buffer_append_u64_decimal(out, code);
    put(out, ",\"reason\":");
    put_string(out, span_of_text(reason));
    put(out, "}}}");
}

static void encode_push_subscribe(struct buffer *out, struct span channel, const struct client_subscribed *result) {
    begin_push(out, channel);
    put(out, ",\"subscribe\":");
    put_subscribed(out, &(struct client_subscribed){.recoverable = result->recoverable,
                                                    .positioned = result->positioned,
                                                    .epoch = result->epoch,
                                                    .offset = result->offset,
                                                    .data = result->data});
    put(out, "}}");
}

static void encode_push_refresh(struct buffer *out, bool expires, uint32_t ttl_s) {
    put(out, "{\"push\":{\"refresh\":{");
    put_expiry(out, expires, ttl_s);
    put(out, "}}}");
}

static void encode_push_message(struct buffer *out, struct span data) {
    put(out, "{\"push\":{\"message\":{\"data\":");
    json_append_one_line(out, data);
    put(out, "}}}");
}

static void encode_push_disconnect(struct buffer *out, uint32_t code, const char *reason) {
    put(out, "{\"push\":{\"disconnect\":{\"code\":");
    buffer_append_u64_decimal(out, code);
    put(out, ",\"reason\":");
    put_string(out, span_of_text(reason));
    put(out, "}}}");
}

const struct client_codec client_codec_json = {
    .encoding = CLIENT_ENCODING_JSON,
    .is_binary = false,
    .decode_next = client_json_decode_next,
    .encode_error = encode_error,
    .encode_ping = encode_ping,
    .encode_connected = encode_connected,
    .encode_connected_sub = encode_connected_sub,
    .encode_subscribed = encode_subscribed,
    .encode_empty = encode_empty,
    .encode_history = encode_history,
    .encode_presence = encode_presence,
    .encode_presence_stats = encode_presence_stats,
    .encode_rpc = encode_rpc,
    .encode_refreshed = encode_refreshed,
    .encode_sub_refreshed = encode_sub_refreshed,
    .encode_push_publication = encode_push_publication,
    .encode_push_presence = encode_push_presence,
    .encode_push_subscribe = encode_push_subscribe,
    .encode_push_unsubscribe = encode_push_unsubscribe,
    .encode_push_refresh = encode_push_refresh,
    .encode_push_message = encode_push_message,
    .encode_push_disconnect = encode_push_disconnect,
};
