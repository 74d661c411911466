/* The parameters of one command of the HTTP API, read from its JSON object: names and meanings as Centrifugo's.
 * What has no effect here is refused by name; names that nobody knows are passed over, as upstream does.
 * Thread: any (no state). */
#ifndef CALLBOARD_GATEWAY_HTTP_API_PARAMS_H
#define CALLBOARD_GATEWAY_HTTP_API_PARAMS_H

#include "base/error_code.h"
#include "base/json_scan.h"
#include "base/position.h"

enum http_api_param {
    HTTP_API_CHANNEL = 1 << 0,
    HTTP_API_CHANNELS = 1 << 1,
    HTTP_API_DATA = 1 << 2,       /* data or b64data */
    HTTP_API_PUBLISHING = 1 << 3, /* idempotency_key, tags, skip_history, delta, version, version_epoch */
    HTTP_API_SINCE = 1 << 4,
    HTTP_API_PAGE = 1 << 5,        /* limit, reverse */
    HTTP_API_USER = 1 << 6,        /* user; and client, session, which may be missing */
    HTTP_API_ANY_CHANNEL = 1 << 7, /* channel, which may be empty: all of them */
    HTTP_API_DISCONNECT = 1 << 8,  /* disconnect {code, reason}, whitelist */
    HTTP_API_EXPIRY = 1 << 9,      /* expired, expire_at */
    HTTP_API_GRANT = 1 << 10,      /* info, b64info, data, b64data of a subscription or a connection, override */
    HTTP_API_RECOVER = 1 << 11,    /* recover_since */
    HTTP_API_PATTERN = 1 << 12,    /* pattern, limit, cursor */
    HTTP_API_TOKEN = 1 << 13,      /* uid, a token's jti; expire_at, which may be missing */
    HTTP_API_TOKENS = 1 << 14,     /* user, whose tokens; issued_before, expire_at, which may be missing */
};

struct http_api_params {
    struct span channel;
    struct json_value channels; /* an array that is not empty */
    struct span data;           /* of `data` the JSON as it came, of `b64data` the bytes */
    bool is_binary;             /* it came as b64data: judged by nobody yet */
    struct span key;
    struct span tags; /* wire_tag after wire_tag */
    bool skip_history;
    bool delta;
    uint64_t version;
    struct span version_epoch;
    bool has_since;
    struct position since;
    int64_t limit; /* negative: as many as may be; 0: only the position */
    bool reverse;
    struct span user;
    struct span client;  /* empty: each of the user's */
    struct span pattern; /* of channels */
    struct span cursor;  /* of channels: the last name of the page before; empty: none */
    uint16_t code;       /* of disconnect */
    struct span reason;
    bool has_expiry;
    bool is_expired;
    int64_t expire_at_s;
    bool has_info;
    struct span uid;
    bool has_issued_before;
    int64_t issued_before_s;
};

/* Why not: what, where, how to mend it. */
struct http_api_refusal {
    enum error_code code;
    char message[200];
};
void http_api_refuse(struct http_api_refusal *self, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum { HTTP_API_KEY_MAX = 255, HTTP_API_TAGS_MAX = 64, HTTP_API_TAG_MAX = 1024, HTTP_API_NAMES_MAX = 64 };
enum { HTTP_API_USER_MAX = 1024, HTTP_API_REASON_MAX = 123 /* of a close frame */ };

/* `wanted`: what the method knows; CHANNEL, CHANNELS and DATA among them must be there. `text` takes what is decoded:
 * cleared here, and kept until the command's frames are made. The spans point there and into the object. */
bool http_api_params_read(struct json_value object, unsigned wanted, struct buffer *text, struct buffer *tags,
                          struct http_api_params *ret_params, struct http_api_refusal *ret_refusal);
/* A channel's name, as CHANNEL reads it and for each of CHANNELS. `text`: has room for value.text.size bytes. */
bool http_api_channel_read(struct json_value value, const char *name, struct buffer *text, struct span *ret_channel,
                           struct http_api_refusal *ret_refusal);

#endif
