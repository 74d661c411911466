/* Replies and pushes in protobuf, written by hand: client-protocol.md sections 3.2, 3.3, 4.2 and 8 with their field
 * numbers.
 *
 * Happy path: fields are appended in the order of their numbers, zero values are left out. A message's length stands
 * before it: room for the length is left by a guess, and where the guess was wrong by a byte the message moves once.
 * For a publication the guess comes from the size of its data, so the one big copy is the only one.
 *
 * Failure modes: the buffer's limit is reached: its overflow flag stands, the caller looks once. Malformed
 * wire_publication or wire_client_info is a broker's bug: what cannot be read is left out. */
#include "gateway/protocol/client_protocol_protobuf.h"

#include "base/check.h"
#include "gateway/protocol/delta_chain.h"

enum wire_type { VARINT = 0, LENGTH_DELIMITED = 2 };

/* Of Reply; 1 is its id. */
enum reply_field {
    REPLY_ERROR = 2,
    REPLY_PUSH = 4,
    REPLY_CONNECT = 5,
    REPLY_SUBSCRIBE = 6,
    REPLY_UNSUBSCRIBE = 7,
    REPLY_PUBLISH = 8,
    REPLY_PRESENCE = 9,
    REPLY_PRESENCE_STATS = 10,
    REPLY_HISTORY = 11,
    REPLY_PING = 12,
    REPLY_RPC = 13,
    REPLY_REFRESH = 14,
    REPLY_SUB_REFRESH = 15,
};
/* Of Push. */
enum { CONNECT_SUBS = 6 };
enum push_field {
    PUSH_ID = 1,
    PUSH_CHANNEL = 2,
    PUSH_PUB = 4,
    PUSH_JOIN = 5,
    PUSH_LEAVE = 6,
    PUSH_UNSUBSCRIBE = 7,
    PUSH_MESSAGE = 8,
    PUSH_SUBSCRIBE = 9,
    PUSH_DISCONNECT = 11,
    PUSH_REFRESH = 12
};

/* Guesses of sizes below which a length takes one byte, and what surrounds a publication's data at most, usually. */
enum { SMALL = 0, ONE_BYTE_MAX = 127, AROUND_DATA = 12, VARINT_BYTES_MAX = 10 };

/* ---- fields ---- */

static size_t varint_size(uint64_t value) {
    size_t size = 1;
    while (value > ONE_BYTE_MAX) {
        value >>= 7;
        size++;
    }
    return size;
}

static size_t write_varint(uint8_t *at, uint64_t value) {
    size_t size = 0;
    while (value > ONE_BYTE_MAX) {
        at[size++] = (uint8_t) (value | 0x80);
        value >>= 7;
    }
    at[size++] = (uint8_t) value;
    return size;
}

static void put_varint(struct buffer *out, uint64_t value) {
    uint8_t bytes[VARINT_BYTES_MAX];
    buffer_append(out, bytes, write_varint(bytes, value));
}

static void put_tag(struct buffer *out, unsigned number, enum wire_type type) {
    put_varint(out, number << 3 | type);
}

static void put_u64(struct buffer *out, unsigned number, uint64_t value) {
    if (value != 0) {
        put_tag(out, number, VARINT);
        put_varint(out, value);
    }
}

static void put_bool(struct buffer *out, unsigned number, bool value) {
    put_u64(out, number, value ? 1 : 0);
}

/* Also when it is empty: a list's element, or a message whose presence means something. */
static void put_present(struct buffer *out, unsigned number, struct span bytes) {
    put_tag(out, number, LENGTH_DELIMITED);
    put_varint(out, bytes.size);
    buffer_append_span(out, bytes);
}

static void put_bytes(struct buffer *out, unsigned number, struct span bytes) {
    if (bytes.size > 0) {
        put_present(out, number, bytes);
    }
}

/* ---- what carries its length ---- */

struct message {
    size_t start;    /* of its bytes */
    size_t reserved; /* for its length, before them */
};

static struct message begin_sized(struct buffer *out, size_t guess) {
    static const uint8_t zeros[VARINT_BYTES_MAX];
    size_t reserved = varint_size(guess);
    buffer_append(out, zeros, reserved);
    return (struct message){out->size, reserved};
}

static struct message begin_message(struct buffer *out, unsigned number, size_t guess) {
    put_tag(out, number, LENGTH_DELIMITED);
    return begin_sized(out, guess);
}

static void end_message(struct buffer *out, struct message message) {
    static const uint8_t zeros[VARINT_BYTES_MAX];
    if (out->overflow) {
        return;
    }
    size_t size = out->size - message.start;
    size_t needed = varint_size(size);
    if (needed > message.reserved && !buffer_append(out, zeros, needed - message.reserved)) {
        return;
    }
    uint8_t *length = out->data + message.start - message.reserved;
    if (needed != message.reserved) {
        memmove(length + needed, length + message.reserved, size);
        out->size = message.start - message.reserved + needed + size;
    }
    write_varint(length, size);
}

/* ---- shared parts ---- */

static void put_client_info(struct buffer *out, unsigned number, const struct wire_client_info *info) {
    struct message message = begin_message(out, number, SMALL);
    put_bytes(out, 1, info->user);
    put_bytes(out, 2, info->client);
    put_bytes(out, 3, info->conn_info);
    put_bytes(out, 4, info->chan_info);
    end_message(out, message);
}

static void put_tags(struct buffer *out, unsigned number, struct span tags) {
    struct cursor cursor = cursor_of(tags);
    struct wire_tag tag;
    while (wire_next_tag(&cursor, &tag)) {
        struct message entry = begin_message(out, number, SMALL);
        put_bytes(out, 1, tag.key);
        put_bytes(out, 2, tag.value);
        end_message(out, entry);
    }
}

static size_t guess_of(const struct wire_publication *publication, const struct client_delta *delta) {
    return (delta == NULL ? publication->data.size : delta->data.size) + publication->info.size +
           publication->tags.size + AROUND_DATA;
}

static void put_publication(struct buffer *out, unsigned number, const struct wire_publication *publication,
                            const struct epoch *epoch, const struct client_delta *delta) {
    struct message message = begin_message(out, number, guess_of(publication, delta));
    struct wire_client_info info;
    put_bytes(out, 4, delta == NULL ? publication->data : delta->data);
    if (publication->info.size > 0 && wire_read_client_info(publication->info, &info)) {
        put_client_info(out, 5, &info);
    }
    put_u64(out, 6, publication->offset);
    put_tags(out, 7, publication->tags);
    put_bool(out, 8, delta != NULL && delta->is_patch);
    if (epoch != NULL && publication->offset == 1) {
        put_bytes(out, 14, epoch_span(epoch));
    }
    end_message(out, message);
}

static void put_publications(struct buffer *out, unsigned number, struct span publications) {
    struct cursor cursor = cursor_of(publications);
    struct wire_publication publication;
    while (cursor.left > 0 && wire_read_publication(&cursor, &publication)) {
        put_publication(out, number, &publication, NULL, NULL);
    }
}

static void put_chain(struct buffer *out, unsigned number, struct span publications) {
    struct delta_chain chain = {.is_text_only = false};
    struct cursor cursor = cursor_of(publications);
    struct wire_publication publication;
    while (cursor.left > 0 && wire_read_publication(&cursor, &publication)) {
        struct client_delta delta = delta_chain_next(&chain, &publication);
        put_publication(out, number, &publication, NULL, &delta);
    }
    delta_chain_finish(&chain);
}

static void put_expiry(struct buffer *out, unsigned number, bool expires, uint32_t ttl_s) {
    put_bool(out, number, expires);
    put_u64(out, number + 1, expires ? ttl_s : 0);
}

/* ---- replies ---- */

struct reply {
    struct message entry;
    struct message result;
};

static struct reply begin_reply(struct buffer *out, uint32_t id, enum reply_field field, size_t guess) {
    struct reply reply = {.entry = begin_sized(out, guess)};
    put_u64(out, 1, id);
    reply.result = begin_message(out, field, guess);
    return reply;
}

static void end_reply(struct buffer *out, struct reply reply) {
    end_message(out, reply.result);
    end_message(out, reply.entry);
}

static void encode_error(struct buffer *out, uint32_t id, const struct error_description *error) {
    struct reply reply = begin_reply(out, id, REPLY_ERROR, SMALL);
    put_u64(out, 1, (uint64_t) error->code);
    put_bytes(out, 2, span_of_text(error->message));
    put_bool(out, 3, error->temporary);
    end_reply(out, reply);
}

static void encode_ping(struct buffer *out) {
    buffer_append_u8(out, 0); /* an empty entry */
}

static void encode_connected(struct buffer *out, uint32_t id, const struct client_connected *result) {
    struct reply reply = begin_reply(out, id, REPLY_CONNECT, result->subs.size);
    put_bytes(out, 1, result->client);
    put_bytes(out, 2, result->version);
    put_expiry(out, 3, result->expires, result->ttl_s);
    put_bytes(out, 5, result->data);
    buffer_append_span(out, result->subs);
    put_u64(out, 7, result->ping_s);
    put_bool(out, 8, result->pong);
    put_bytes(out, 9, result->session);
    put_bytes(out, 10, result->node);
    end_reply(out, reply);
}

static void put_subscribed(struct buffer *out, const struct client_subscribed *result) {
    put_expiry(out, 1, result->expires, result->ttl_s);
    put_bool(out, 3, result->recoverable);
    put_bytes(out, 6, epoch_span(&result->epoch));
    if (result->n_publications > 0 && result->delta) {
        put_chain(out, 7, result->publications);
    } else if (result->n_publications > 0) {
        put_publications(out, 7, result->publications);
    }
    put_bool(out, 8, result->recovered);
    put_u64(out, 9, result->offset);
    put_bool(out, 10, result->positioned);
    put_bytes(out, 11, result->data);
    put_bool(out, 12, result->was_recovering);
    put_bool(out, 13, result->delta);
    put_u64(out, 14, result->id);
}

static void encode_subscribed(struct buffer *out, uint32_t id, const struct client_subscribed *result) {
    struct reply reply = begin_reply(out, id, REPLY_SUBSCRIBE, result->publications.size);
    put_subscribed(out, result);
    end_reply(out, reply);
}

static void encode_connected_sub(struct buffer *out, struct span channel, const struct client_subscribed *result) {
    struct message entry = begin_message(out, CONNECT_SUBS, channel.size + result->publications.size);
    put_bytes(out, 1, channel);
    struct message value = begin_message(out, 2, result->publications.size);
    put_subscribed(out, result);
    end_message(out, value);
    end_message(out, entry);
}

static void encode_empty(struct buffer *out, uint32_t id, enum client_command_kind kind) {
    check(kind == CLIENT_COMMAND_UNSUBSCRIBE || kind == CLIENT_COMMAND_PUBLISH || kind == CLIENT_COMMAND_PING,
          "an empty reply to command kind %d", (int) kind);
    enum reply_field field = REPLY_PING;
    if (kind == CLIENT_COMMAND_UNSUBSCRIBE) {
        field = REPLY_UNSUBSCRIBE;
    } else if (kind == CLIENT_COMMAND_PUBLISH) {
        field = REPLY_PUBLISH;
    }
    end_reply(out, begin_reply(out, id, field, SMALL));
}

static void encode_history(struct buffer *out, uint32_t id, const struct position *top, uint32_t n,
                           struct span publications) {
    struct reply reply = begin_reply(out, id, REPLY_HISTORY, publications.size);
    put_publications(out, 1, n == 0 ? SPAN_EMPTY : publications);
    put_bytes(out, 2, epoch_span(&top->epoch));
    put_u64(out, 3, top->offset);
    end_reply(out, reply);
}

static void put_presence_entry(struct buffer *out, struct span bytes) {
    struct wire_client_info info;
    if (!wire_read_client_info(bytes, &info)) {
        return;
    }
    struct message entry = begin_message(out, 1, SMALL);
    put_bytes(out, 1, info.client);
    put_client_info(out, 2, &info);
    end_message(out, entry);
}

static void encode_presence(struct buffer *out, uint32_t id, uint32_t n, struct span entries) {
    struct reply reply = begin_reply(out, id, REPLY_PRESENCE, entries.size);
    struct cursor cursor = cursor_of(entries);
    for (uint32_t i = 0; i < n && cursor.left > 0; i++) {
        put_presence_entry(out, cursor_sized(&cursor));
    }
    end_reply(out, reply);
}

static void encode_presence_stats(struct buffer *out, uint32_t id, uint32_t n_clients, uint32_t n_users) {
    struct reply reply = begin_reply(out, id, REPLY_PRESENCE_STATS, SMALL);
    put_u64(out, 1, n_clients);
    put_u64(out, 2, n_users);
    end_reply(out, reply);
}

static void encode_rpc(struct buffer *out, uint32_t id, struct span data) {
    struct reply reply = begin_reply(out, id, REPLY_RPC, data.size);
    put_bytes(out, 1, data);
    end_reply(out, reply);
}

static void encode_refreshed(struct buffer *out, uint32_t id, const struct client_connected *result) {
    struct reply reply = begin_reply(out, id, REPLY_REFRESH, SMALL);
    put_bytes(out, 1, result->client);
    put_bytes(out, 2, result->version);
    put_expiry(out, 3, result->expires, result->ttl_s);
    end_reply(out, reply);
}

static void encode_sub_refreshed(struct buffer *out, uint32_t id, bool expires, uint32_t ttl_s) {
    struct reply reply = begin_reply(out, id, REPLY_SUB_REFRESH, SMALL);
    put_expiry(out, 1, expires, ttl_s);
    end_reply(out, reply);
}

/* ---- pushes ---- */

static struct reply begin_push(struct buffer *out, const struct client_channel *channel, size_t guess) {
    struct reply reply = begin_reply(out, 0, REPLY_PUSH, guess + (channel->id == 0 ? channel->name.size : 0));
    put_u64(out, PUSH_ID, channel->id);
    put_bytes(out, PUSH_CHANNEL, channel->id == 0 ? channel->name : SPAN_EMPTY);
    return reply;
}

static void encode_push_publication(struct buffer *out, const struct client_channel *channel,
                                    const struct wire_publication *publication, const struct epoch *epoch,
                                    const struct client_delta *delta) {
    struct reply reply = begin_push(out, channel, guess_of(publication, delta));
    put_publication(out, PUSH_PUB, publication, epoch, delta);
    end_reply(out, reply);
}

static void encode_push_presence(struct buffer *out, const struct client_channel *channel, bool joined,
                                 const struct wire_client_info *info) {
    struct reply reply = begin_push(out, channel, SMALL);
    struct message body = begin_message(out, joined ? PUSH_JOIN : PUSH_LEAVE, SMALL);
    put_client_info(out, 1, info);
    end_message(out, body);
    end_reply(out, reply);
}

static void encode_push_unsubscribe(struct buffer *out, struct span channel, uint32_t code, const char *reason) {
    struct reply reply = begin_push(out, &(struct client_channel){.name = channel}, SMALL);
    struct message body = begin_message(out, PUSH_UNSUBSCRIBE, SMALL);
    put_u64(out, 2, code);
    put_bytes(out, 3, span_of_text(reason));
    end_message(out, body);
    end_reply(out, reply);
}

static void encode_push_subscribe(struct buffer *out, struct span channel, const struct client_subscribed *result) {
    struct reply reply = begin_push(out, &(struct client_channel){.name = channel}, result->data.size);
    struct message body = begin_message(out, PUSH_SUBSCRIBE, result->data.size);
    put_bool(out, 1, result->recoverable);
    put_bytes(out, 4, epoch_span(&result->epoch));
    put_u64(out, 5, result->offset);
    put_bool(out, 6, result->positioned);
    put_bytes(out, 7, result->data);
    end_message(out, body);
    end_reply(out, reply);
}

static void encode_push_refresh(struct buffer *out, bool expires, uint32_t ttl_s) {
    struct reply reply = begin_push(out, &(struct client_channel){.id = 0}, SMALL);
    struct message body = begin_message(out, PUSH_REFRESH, SMALL);
    put_expiry(out, 1, expires, ttl_s);
    end_message(out, body);
    end_reply(out, reply);
}

static void encode_push_message(struct buffer *out, struct span data) {
    struct reply reply = begin_push(out, &(struct client_channel){.id = 0}, data.size);
    struct message body = begin_message(out, PUSH_MESSAGE, data.size);
    put_bytes(out, 1, data);
    end_message(out, body);
    end_reply(out, reply);
}

static void encode_push_disconnect(struct buffer *out, uint32_t code, const char *reason) {
    struct reply reply = begin_push(out, &(struct client_channel){.id = 0}, SMALL);
    struct message body = begin_message(out, PUSH_DISCONNECT, SMALL);
    put_u64(out, 1, code);
    put_bytes(out, 2, span_of_text(reason));
    end_message(out, body);
    end_reply(out, reply);
}

const struct client_codec client_codec_protobuf = {
    .encoding = CLIENT_ENCODING_PROTOBUF,
    .is_binary = true,
    .decode_next = client_protobuf_decode_next,
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
