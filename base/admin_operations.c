/* The line is written when the answer is there, so that it says what came of it; an answer that nobody waits for any
 * more is logged all the same. */
#include "base/admin_operations.h"

#include "base/log.h"

#include <string.h>

enum { CHANNEL_BYTES_MAX = 512 };

bool admin_operations_read(struct http_call *call, struct json_value *ret_object) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    if (json_scan(buffer_span(&call->body), &limits, ret_object, NULL) == JSON_OK && ret_object->type == JSON_OBJECT) {
        return true;
    }
    http_call_refuse(call, 400, ERROR_BAD_REQUEST, "the body is not one JSON object");
    return false;
}

/* The error's code; 0: none, it was done. */
static uint64_t code_of(const struct http_call *call) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value answer;
    uint64_t code = 0;
    if (json_scan(buffer_span(&call->answer), &limits, &answer, NULL) == JSON_OK) {
        json_to_u64(json_member(json_member(answer, "error"), "code"), &code);
    }
    return code;
}

static void log_publication(const struct http_call *call) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value body = JSON_ABSENT;
    struct buffer channel;
    if (strcmp(call->method, "publish") != 0) {
        return;
    }
    buffer_init(&channel, CHANNEL_BYTES_MAX);
    if (json_scan(buffer_span(&call->body), &limits, &body, NULL) == JSON_OK) {
        json_decode_string(json_member(body, "channel"), &channel);
    }
    log_warning("published_by_hand", log_text("source", call->source), log_span("channel", buffer_span(&channel)),
                log_u64("bytes", call->body.size), log_u64("error", code_of(call)));
    buffer_finish(&channel);
}

struct http_service_calls admin_operations_calls(enum admin_operations operations, int64_t body_max, int64_t calls_max,
                                                 int64_t timeout_ms) {
    static const char *const read[] = {"channels", "presence", "presence_stats", "history", NULL};
    static const char *const publish[] = {"channels", "presence", "presence_stats", "history", "publish", NULL};
    return (struct http_service_calls){
        .prefix = "/admin/api/",
        .methods = operations == ADMIN_OPERATIONS_PUBLISH ? publish : read,
        .body_max = (size_t) body_max,
        .calls_max = (unsigned) calls_max,
        .timeout_ms = (uint64_t) timeout_ms,
        .observe = log_publication,
    };
}
