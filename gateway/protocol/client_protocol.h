/* The Centrifuge client protocol v2 as value structs: commands in, replies and pushes out; codecs turn them into bytes.
 * Facts: client-protocol.md sections 3–8. Field names are upstream's.
 * Thread: any (no state). */
#ifndef CALLBOARD_GATEWAY_CLIENT_PROTOCOL_H
#define CALLBOARD_GATEWAY_CLIENT_PROTOCOL_H

#include "base/bytes.h"
#include "base/error_code.h"
#include "base/json_scan.h"
#include "base/position.h"
#include "base/wire.h"

/* What a session's bytes look like. A publication is encoded once per encoding (and later per delta and filter class).
 */
enum client_encoding {
    CLIENT_ENCODING_JSON,
    CLIENT_ENCODING_PROTOBUF,
    CLIENT_ENCODING_RAW, /* both of the raw endpoint: client_protocol_raw.h */
    CLIENT_ENCODING_RAW_ENVELOPE,
    CLIENT_ENCODINGS
};

enum client_command_kind {
    CLIENT_COMMAND_PONG, /* id 0 and no send */
    CLIENT_COMMAND_CONNECT,
    CLIENT_COMMAND_PING,
    CLIENT_COMMAND_SUBSCRIBE,
    CLIENT_COMMAND_UNSUBSCRIBE,
    CLIENT_COMMAND_PUBLISH,
    CLIENT_COMMAND_PRESENCE,
    CLIENT_COMMAND_PRESENCE_STATS,
    CLIENT_COMMAND_HISTORY,
    CLIENT_COMMAND_RPC,
    CLIENT_COMMAND_SEND,
    CLIENT_COMMAND_REFRESH,
    CLIENT_COMMAND_SUB_REFRESH,
};

struct client_connect {
    struct span token;
    struct span data;       /* raw JSON or bytes */
    struct json_value subs; /* object channel → {recover, epoch, offset}, from either encoding */
    struct span name;
    struct span version;
};
struct client_subscribe {
    struct span channel;
    struct span token;
    struct span data;
    bool recover;
    bool positioned;
    bool recoverable;
    bool join_leave;
    struct epoch epoch;
    uint64_t offset;
    struct json_value tag_filter; /* object, see client-protocol.md 16, from either encoding; JSON_NONE: none */
    struct span delta;
    int64_t flag; /* 1: compacted ids, 2: 112 instead of recovered false */
    int64_t type; /* 0 stream, 1–3 map, 4 shared poll */
};
struct client_publish {
    struct span channel;
    struct span data;
    int64_t type;
    struct span key; /* of idempotency; empty: none */
};
struct client_history {
    struct span channel;
    int64_t limit;
    bool has_since;
    struct position since;
    bool reverse;
};
struct client_rpc {
    struct span method;
    struct span data;
};
struct client_sub_refresh {
    struct span channel;
    struct span token;
    int64_t type;
};

struct client_command {
    uint32_t id;
    enum client_command_kind kind;
    union {
        struct client_connect connect;
        struct client_subscribe subscribe;
        struct span channel; /* unsubscribe, presence, presence_stats */
        struct client_publish publish;
        struct client_history history;
        struct client_rpc rpc;
        struct span data;  /* send */
        struct span token; /* refresh */
        struct client_sub_refresh sub_refresh;
    } body;
};

/* SubscribeResult, also as an entry of connect's subs. */
struct client_subscribed {
    bool expires;
    uint32_t ttl_s;
    bool recoverable;
    bool positioned;
    bool recovered;
    bool was_recovering;
    struct epoch epoch; /* empty: not sent */
    uint64_t offset;
    uint32_t n_publications;
    struct span publications; /* wire_publication after wire_publication */
    struct span data;
    bool delta;  /* negotiated: publications are written as a chain, see delta_chain.h */
    uint64_t id; /* of the channel, for pushes that carry it instead of the name; 0: not sent */
};
struct client_connected {
    struct span client;
    struct span version;
    bool expires;
    uint32_t ttl_s;
    uint32_t ping_s;
    bool pong;
    struct span data;
    struct span subs;    /* server-side subscriptions: encode_connected_sub after encode_connected_sub */
    struct span session; /* of transports whose messages come as requests of their own; empty on a WebSocket */
    struct span node;
};

/* How a push names its channel. */
struct client_channel {
    struct span name;
    uint64_t id; /* not 0: it goes instead of the name (client-protocol.md 17) */
};

/* The data of a publication for a subscription that negotiated delta (client-protocol.md 15). */
struct client_delta {
    bool is_patch;
    struct span data; /* the patch, or the publication's own data */
};

enum client_decode_outcome {
    CLIENT_DECODE_OK,
    CLIENT_DECODE_END, /* no more commands in this message */
    CLIENT_DECODE_BAD, /* disconnect 3501 */
};

/* One encoding. Decoded spans lie in the message or in `scratch`, which the caller clears per command. Encoders append
 * one whole reply or push: JSON without a line feed, and without any raw line feed inside; protobuf with its length
 * before it. Payloads (data, conn_info, chan_info) travel as they are. For JSON they are valid JSON already, judged
 * once by whoever published or signed them; the data of a publication with WIRE_PUBLICATION_BINARY is any bytes, and
 * goes to JSON clients as a string of base64. Decoded payloads are valid JSON from the JSON codec, any bytes from the
 * other. An empty message is the caller's to refuse: decode_next answers END there. */
struct client_codec {
    enum client_encoding encoding;
    bool is_binary; /* WebSocket opcode */
    enum client_decode_outcome (*decode_next)(struct cursor *message, struct buffer *scratch,
                                              struct client_command *ret_command);
    void (*encode_error)(struct buffer *out, uint32_t id, const struct error_description *error);
    void (*encode_ping)(struct buffer *out);
    void (*encode_connected)(struct buffer *out, uint32_t id, const struct client_connected *result);
    /* One more entry of its subs: `out` holds those before it, and nothing else. */
    void (*encode_connected_sub)(struct buffer *out, struct span channel, const struct client_subscribed *result);
    void (*encode_subscribed)(struct buffer *out, uint32_t id, const struct client_subscribed *result);
    /* {"id":n,"unsubscribe":{}} and its like: unsubscribe, publish, ping */
    void (*encode_empty)(struct buffer *out, uint32_t id, enum client_command_kind kind);
    /* publications: wire_publication after wire_publication */
    void (*encode_history)(struct buffer *out, uint32_t id, const struct position *top, uint32_t n,
                           struct span publications);
    /* entries: wire_client_info, each sized */
    void (*encode_presence)(struct buffer *out, uint32_t id, uint32_t n, struct span entries);
    void (*encode_presence_stats)(struct buffer *out, uint32_t id, uint32_t n_clients, uint32_t n_users);
    void (*encode_rpc)(struct buffer *out, uint32_t id, struct span data);
    void (*encode_refreshed)(struct buffer *out, uint32_t id, const struct client_connected *result);
    void (*encode_sub_refreshed)(struct buffer *out, uint32_t id, bool expires, uint32_t ttl_s);
    /* The hot one. epoch: sent where offset is 1 and it is not NULL. delta: NULL where it was not negotiated. */
    void (*encode_push_publication)(struct buffer *out, const struct client_channel *channel,
                                    const struct wire_publication *publication, const struct epoch *epoch,
                                    const struct client_delta *delta);
    void (*encode_push_presence)(struct buffer *out, const struct client_channel *channel, bool joined,
                                 const struct wire_client_info *info);
    /* A server-side subscription that came while connected; of the result: recoverable, positioned, epoch, offset,
     * data. */
    void (*encode_push_subscribe)(struct buffer *out, struct span channel, const struct client_subscribed *result);
    void (*encode_push_unsubscribe)(struct buffer *out, struct span channel, uint32_t code, const char *reason);
    /* The server gave the connection another time to live. */
    void (*encode_push_refresh)(struct buffer *out, bool expires, uint32_t ttl_s);
    /* Of the server to this connection, in no channel. */
    void (*encode_push_message)(struct buffer *out, struct span data);
    /* The last word of a stream over HTTP, where a WebSocket has its close frame. */
    void (*encode_push_disconnect)(struct buffer *out, uint32_t code, const char *reason);
};

extern const struct client_codec client_codec_json;
extern const struct client_codec client_codec_protobuf;
/* Of an encoding. */
const struct client_codec *client_codec_of(enum client_encoding encoding);

/* clang-format off */
/* Disconnect codes (WebSocket close status), client-protocol.md section 11: X(NAME, code, reason). */
#define DISCONNECT_CODES(X)                                                                       \
    X(SHUTDOWN, 3001, "shutdown")                                                                 \
    X(SERVER_ERROR, 3004, "internal server error")                                                \
    X(EXPIRED, 3005, "connection expired")                                                        \
    X(SUB_EXPIRED, 3006, "subscription expired")                                                  \
    X(SLOW, 3008, "slow")                                                                         \
    X(WRITE_ERROR, 3009, "write error")                                                           \
    X(INSUFFICIENT_STATE, 3010, "insufficient state")                                             \
    X(FORCE_RECONNECT, 3011, "force reconnect")                                                   \
    X(NO_PONG, 3012, "no pong")                                                                   \
    X(TOO_MANY_REQUESTS, 3013, "too many requests")                                               \
    X(INVALID_TOKEN, 3500, "invalid token")                                                       \
    X(BAD_REQUEST, 3501, "bad request")                                                           \
    X(STALE, 3502, "stale")                                                                       \
    X(FORCE_NO_RECONNECT, 3503, "force disconnect")                                               \
    X(CONNECTION_LIMIT, 3504, "connection limit")                                                 \
    X(CHANNEL_LIMIT, 3505, "channel limit")                                                       \
    X(INAPPROPRIATE_PROTOCOL, 3506, "inappropriate protocol")                                     \
    X(PERMISSION_DENIED, 3507, "permission denied")                                               \
    X(NOT_AVAILABLE, 3508, "not available")                                                       \
    X(TOO_MANY_ERRORS, 3509, "too many errors")

/* clang-format on */
enum disconnect_code {
    DISCONNECT_NORMAL = 1000,
    DISCONNECT_PROTOCOL_ERROR = 1002,
    DISCONNECT_INVALID_DATA = 1007, /* a text that is not UTF-8 (RFC 6455), or no deflate */
    DISCONNECT_POLICY = 1008,
    DISCONNECT_TOO_BIG = 1009,
#define DISCONNECT_CODE_MEMBER(name, code, reason) DISCONNECT_##name = code,
    DISCONNECT_CODES(DISCONNECT_CODE_MEMBER)
#undef DISCONNECT_CODE_MEMBER
};
/* Of a client id, to tell clients apart; never 0. */
uint64_t client_id_hash(struct span client);
/* The reason text of a code of the list; "" for others. */
const char *disconnect_reason(enum disconnect_code code);

enum { UNSUBSCRIBED_BY_SERVER = 2000, UNSUBSCRIBED_INSUFFICIENT_STATE = 2500, UNSUBSCRIBED_EXPIRED = 2501 };

#endif
