/* Error codes that travel: client replies, backend replies, wire ERROR frames. One list; names, messages, flags and the
 * tables in docs/ come from it. client-protocol.md section 9, backend-api.md "Reply". */
#ifndef CALLBOARD_BASE_ERROR_CODE_H
#define CALLBOARD_BASE_ERROR_CODE_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
/* X(NAME, code, reason slug, message, temporary, definite): definite = nothing was done. */
#define ERROR_CODES(X)                                                                            \
    X(INTERNAL, 100, "internal", "internal server error", true, true)                             \
    X(UNAUTHORIZED, 101, "unauthorized", "unauthorized", false, true)                             \
    X(UNKNOWN_CHANNEL, 102, "unknown_channel", "unknown channel", false, true)                    \
    X(PERMISSION_DENIED, 103, "permission_denied", "permission denied", false, true)              \
    X(METHOD_NOT_FOUND, 104, "method_not_found", "method not found", false, true)                 \
    X(ALREADY_SUBSCRIBED, 105, "already_subscribed", "already subscribed", false, true)           \
    X(LIMIT_EXCEEDED, 106, "limit_exceeded", "limit exceeded", false, true)                       \
    X(BAD_REQUEST, 107, "bad_request", "bad request", false, true)                                \
    X(NOT_AVAILABLE, 108, "not_available", "not available", false, true)                          \
    X(TOKEN_EXPIRED, 109, "token_expired", "token expired", false, true)                          \
    X(EXPIRED, 110, "expired", "expired", false, true)                                            \
    X(TOO_MANY_REQUESTS, 111, "too_many_requests", "too many requests", true, true)               \
    X(UNRECOVERABLE_POSITION, 112, "unrecoverable_position", "unrecoverable position", false, true) \
    X(CONCURRENT_PAGINATION, 113, "concurrent_pagination", "concurrent pagination", true, true)   \
    X(OUTCOME_UNKNOWN, 120, "outcome_unknown", "outcome unknown", true, false)                    \
    X(KEY_REUSED, 121, "key_reused", "idempotency key was used with another payload", false, true) \
    X(WORKER_LOST, 122, "worker_lost", "worker lost", true, false)                                \
    X(LEASE_LOST, 123, "lease_lost", "lease lost", false, true)                                   \
    X(TOO_LARGE, 124, "too_large", "too large", false, true)                                      \
    X(LEASE_HELD, 125, "lease_held", "another holds the lease", true, true)

/* clang-format on */
enum error_code {
    ERROR_NONE = 0,
#define ERROR_CODE_MEMBER(name, code, reason, message, temporary, definite) ERROR_##name = code,
    ERROR_CODES(ERROR_CODE_MEMBER)
#undef ERROR_CODE_MEMBER
};

struct error_description {
    enum error_code code;
    const char *reason;
    const char *message;
    bool temporary;
    bool definite;
};

/* Of a code of the list; of any other number the description of INTERNAL. */
const struct error_description *error_describe(uint32_t code);
extern const struct error_description error_descriptions[];
extern const unsigned error_descriptions_count;

#endif
