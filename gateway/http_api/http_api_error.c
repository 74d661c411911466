/* Errors as the HTTP API tells them: the code's meaning, or what a broker's answer leaves to say: where, and how to
 * mend it. */
#include "gateway/http_api/http_api_error.h"

static const struct {
    enum error_code code;
    unsigned status;
    const char *message; /* NULL: the code's own */
} errors[] = {
    {ERROR_INTERNAL, 500,
     "internal server error: no broker answered (brokers.endpoints, their logs); nothing was done, try again"},
    {ERROR_UNAUTHORIZED, 401, NULL},
    {ERROR_UNKNOWN_CHANNEL, 404, NULL},
    {ERROR_PERMISSION_DENIED, 403, NULL},
    {ERROR_METHOD_NOT_FOUND, 404, NULL},
    {ERROR_LIMIT_EXCEEDED, 400, NULL},
    {ERROR_BAD_REQUEST, 400,
     "bad request: the broker refused it; a version needs a channel with history, and no skip_history"},
    {ERROR_NOT_AVAILABLE, 400, NULL},
    {ERROR_TOO_MANY_REQUESTS, 429,
     "too many requests: the brokers or the engine are at their bounds; nothing was done, try again later"},
    {ERROR_UNRECOVERABLE_POSITION, 416,
     "unrecoverable position: since.epoch is not the channel's epoch; ask without since"},
    {ERROR_CONCURRENT_PAGINATION, 409, NULL},
    {ERROR_OUTCOME_UNKNOWN, 504,
     "outcome unknown: no answer in time (brokers.request_timeout), it may have happened; repeat it with the same "
     "idempotency_key"},
    {ERROR_KEY_REUSED, 409,
     "idempotency_key was used in this channel with another payload; nothing was done, choose another key"},
    {ERROR_TOO_LARGE, 413,
     "too large: over broker.publication_bytes, the bound of a frame, or for an answer http_api.answer_max"},
};

unsigned http_api_append_error(struct buffer *out, enum error_code code, const char *message) {
    const struct error_description *description = error_describe(code);
    unsigned status = 500;
    const char *told = description->message;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].code == code) {
            status = errors[i].status;
            told = errors[i].message == NULL ? told : errors[i].message;
        }
    }
    buffer_append_format(out, "{\"code\":%u,\"message\":", (unsigned) code);
    buffer_append_json_string(out, span_of_text(message == NULL ? told : message));
    buffer_append_format(out, ",\"temporary\":%s,\"definite\":%s}", description->temporary ? "true" : "false",
                         description->definite ? "true" : "false");
    return status;
}
