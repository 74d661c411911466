/* A backend request as frames and as parameters: bytes in, a struct or a named mistake out. Pure.
 * docs/backend-api.md "Request", "Methods". Spans point into the frames, or into the caller's scratch buffers.
 * Thread: any. */
#ifndef CALLBOARD_BROKER_BACKEND_REQUEST_H
#define CALLBOARD_BROKER_BACKEND_REQUEST_H

#include "base/bytes.h"
#include "base/error_code.h"
#include "base/json_scan.h"
#include "base/position.h"

enum {
    BACKEND_ID_MAX = 64,
    BACKEND_METHOD_MAX = 64,
    BACKEND_PARAMS_MAX = 1024 * 1024,
    BACKEND_CHANNELS_MAX = 1000,
    BACKEND_KEY_MAX = 255,
    BACKEND_USER_MAX = 1024,
    BACKEND_REASON_MAX = 123, /* of a close frame */
    BACKEND_BATCH_MAX = 1000,
};
enum { BACKEND_TAGS_MAX = 64, BACKEND_HISTORY_LIMIT_DEFAULT = 100, BACKEND_HISTORY_LIMIT_MAX = 10000 };
enum { BACKEND_PAGE_DEFAULT = 1000 };

/* Why a request is refused: a code of the list and one sentence that says what, where, how to mend. */
struct backend_refusal {
    enum error_code code; /* ERROR_NONE: none */
    char message[256];
};

struct backend_request {
    bool has_delimiter; /* mirrored in the reply */
    struct span method;
    struct span id;
    struct span params;
    struct span payload;
    bool has_payload;
    const struct span *more; /* the frames behind the payload: only a batch has them */
    uint32_t n_more;
};

/* Reads the frames behind the routing id. False: refused; then `id` and `has_delimiter` are set where they could be
 * read, and ret_request->id.data is NULL where they could not (nobody can be answered). */
bool backend_request_read(const struct span *frames, size_t n_frames, struct backend_request *ret_request,
                          struct backend_refusal *ret_refusal);

/* What may stand in params; each method names those it takes. Unknown names are refused, so that a typo is seen. */
enum backend_param {
    BACKEND_PARAM_CHANNEL = 1 << 0,
    BACKEND_PARAM_CHANNELS = 1 << 1,
    BACKEND_PARAM_KEY = 1 << 2,
    BACKEND_PARAM_TAGS = 1 << 3,
    BACKEND_PARAM_SKIP_HISTORY = 1 << 4,
    BACKEND_PARAM_SINCE = 1 << 5,
    BACKEND_PARAM_LIMIT = 1 << 6,
    BACKEND_PARAM_REVERSE = 1 << 7,
    BACKEND_PARAM_CURSOR = 1 << 8,
    BACKEND_PARAM_VERSION = 1 << 9,
    BACKEND_PARAM_VERSION_EPOCH = 1 << 10,
    BACKEND_PARAM_DELTA = 1 << 11,
    BACKEND_PARAM_ACK = 1 << 12,
    BACKEND_PARAM_REQUESTS = 1 << 13,
    BACKEND_PARAM_USER = 1 << 14,
    BACKEND_PARAM_CLIENT = 1 << 15,
    BACKEND_PARAM_ANY_CHANNEL = 1 << 16, /* may be "" */
    BACKEND_PARAM_NAMESPACE = 1 << 17,
    BACKEND_PARAM_CLOSE = 1 << 18,  /* code, reason, whitelist */
    BACKEND_PARAM_EXPIRY = 1 << 19, /* expired, expire_at */
    BACKEND_PARAM_INFO = 1 << 20,   /* info, b64info */
    BACKEND_PARAM_GRANT = 1 << 21,  /* data, b64data, override, recover_since */
    BACKEND_PARAM_PATTERN = 1 << 22,
    BACKEND_PARAM_NAME_CURSOR = 1 << 23, /* cursor: where names are paged */
    BACKEND_PARAM_NAME = 1 << 24,        /* of a lease */
    BACKEND_PARAM_VALUE_KEY = 1 << 25,   /* key: of kv */
    BACKEND_PARAM_TTL = 1 << 26,
    BACKEND_PARAM_WAIT = 1 << 27,
    BACKEND_PARAM_TOKEN = 1 << 28,
    BACKEND_PARAM_BY = 1 << 29,
};

struct backend_params {
    struct span channel;
    struct json_value channels; /* list of strings */
    struct span key;
    struct span tags; /* wire_tags */
    bool skip_history;
    bool delta;
    bool has_since;
    struct position since;
    uint32_t limit; /* BACKEND_HISTORY_LIMIT_DEFAULT where none is given */
    bool has_limit;
    bool reverse;
    uint64_t cursor;
    uint64_t version; /* 0: none */
    struct span version_epoch;
    bool wants_no_answer;
    struct json_value requests; /* list */
    struct span user;
    struct span client;
    struct span personal_namespace;
    uint16_t code; /* 0: none */
    struct span reason;
    bool is_expired;
    bool has_expiry;
    bool has_info;
    struct span pattern;
    struct span name_cursor;
    struct span name; /* of a lease, or a key of kv */
    uint64_t ttl_ms;  /* 0: none */
    uint64_t wait_ms;
    uint64_t token;
    int64_t by;
    bool has_by;
};

/* The params frame as an object; nothing stands for {}. */
bool backend_params_scan(struct span params, struct json_value *ret_object, struct backend_refusal *ret_refusal);

/* `text` and `tags` are scratch for decoded strings and encoded tags; they are cleared, and must live as long as
 * ret_params. The channel names are checked too. */
bool backend_params_read(struct json_value object, unsigned allowed, unsigned required, struct buffer *text,
                         struct buffer *tags, struct backend_params *ret_params, struct backend_refusal *ret_refusal);

/* One channel name of a list, decoded into `text` (which is cleared) and checked. */
bool backend_channel_read(struct json_value value, struct buffer *text, struct span *ret_channel,
                          struct backend_refusal *ret_refusal);

void backend_refuse(struct backend_refusal *refusal, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
