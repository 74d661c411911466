/* See backend_request.h. Here are the frames and the bounds of the envelope; params are backend_params.c. The first
 * mistake ends it with a sentence for whoever wrote the request. */
#include "broker/backend/backend_request.h"

#include <stdarg.h>
#include <stdio.h>

void backend_refuse(struct backend_refusal *refusal, enum error_code code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    refusal->code = code;
    vsnprintf(refusal->message, sizeof refusal->message, format, values);
    va_end(values);
    for (char *at = refusal->message; *at != '\0'; at++) { /* it may repeat what the peer sent, cut anywhere */
        *at = *at < ' ' || *at > '~' ? '?' : *at;
    }
}

static bool check_envelope(const struct backend_request *request, struct span version,
                           struct backend_refusal *ret_refusal) {
    if (!span_equal_text(version, "CB1")) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                       "the version frame must be CB1; frames are: version, method, id, params, payload");
    } else if (request->method.size == 0 || request->method.size > BACKEND_METHOD_MAX) {
        backend_refuse(ret_refusal, ERROR_METHOD_NOT_FOUND, "the method frame must have 1 to %d bytes",
                       BACKEND_METHOD_MAX);
    } else if (request->id.size > BACKEND_ID_MAX) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "the id frame has %zu bytes; at most %d are echoed",
                       request->id.size, BACKEND_ID_MAX);
    } else if (request->params.size > BACKEND_PARAMS_MAX) {
        backend_refuse(ret_refusal, ERROR_TOO_LARGE, "params has %zu bytes, at most %d are read", request->params.size,
                       BACKEND_PARAMS_MAX);
    } else {
        return true;
    }
    return false;
}

bool backend_request_read(const struct span *frames, size_t n_frames, struct backend_request *ret_request,
                          struct backend_refusal *ret_refusal) {
    *ret_request = (struct backend_request){.id = SPAN_EMPTY};
    ret_request->has_delimiter = n_frames > 0 && frames[0].size == 0;
    size_t first = ret_request->has_delimiter ? 1 : 0;
    size_t n = n_frames - first;
    bool is_batch = n > 5 && span_equal_text(frames[first + 1], "batch");
    if (n < 3 || (n > 5 && !is_batch)) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                       "%zu frames; a request has version, method, id, then params and payload where needed", n);
        return false;
    }
    static const uint8_t nothing[1] = {0};
    ret_request->method = frames[first + 1];
    ret_request->id = frames[first + 2];
    if (ret_request->id.size == 0) {
        ret_request->id.data = nothing; /* an empty id is an id: it can be answered */
    }
    ret_request->params = n > 3 ? frames[first + 3] : SPAN_EMPTY;
    ret_request->has_payload = n > 4;
    ret_request->more = n > 5 ? frames + first + 5 : NULL;
    ret_request->n_more = n > 5 ? (uint32_t) (n - 5) : 0;
    ret_request->payload = n > 4 ? frames[first + 4] : SPAN_EMPTY;
    bool is_good = check_envelope(ret_request, frames[first], ret_refusal);
    if (!is_good && ret_request->id.size > BACKEND_ID_MAX) {
        ret_request->id = SPAN_EMPTY;
    }
    return is_good;
}
