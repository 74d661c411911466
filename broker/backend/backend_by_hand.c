/* Calls by hand from the internal listener (base/admin_operations.h): one JSON object each, of which `data` or
 * `b64data` is the payload and the rest the params. They go the way of all requests, with the same checks, errors and
 * bounds; no key is asked for, because the listener asked for its token and internal.operations said what may be
 * called.
 *
 *   {"channel", "data", …} ─▶ params, payload ─▶ backend_dispatch ─▶ … ─▶ {"result": {…}} or {"error": {…}}
 *
 * Failure modes: a body that is no object, or has both data and b64data, or base64 that is none: 107. */
#include "base/admin_operations.h"
#include "base/base64.h"
#include "base/memory.h"
#include "broker/backend/backend_api_parts.h"

static const char BAD_DATA[] = "data (any JSON) or b64data (base64 of the bytes), not both";

/* All members but the payload's. */
static void append_params(struct buffer *out, struct json_value object) {
    struct json_iterator members = json_iterate(object);
    struct json_value name;
    struct json_value value;
    bool is_first = true;
    buffer_append_char(out, '{');
    while (json_next(&members, &name, &value)) {
        if (json_name_is(name, "data") || json_name_is(name, "b64data")) {
            continue;
        }
        buffer_append_text(out, is_first ? "" : ",");
        buffer_append_span(out, name.text);
        buffer_append_char(out, ':');
        buffer_append_span(out, value.text);
        is_first = false;
    }
    buffer_append_char(out, '}');
}

/* False: it is malformed. *ret_payload without data where there is none. */
static bool read_payload(struct json_value object, struct buffer *decoded, struct span *ret_payload) {
    struct json_value data = json_member(object, "data");
    struct json_value encoded = json_member(object, "b64data");
    struct span text;
    *ret_payload = data.text;
    if (encoded.type == JSON_NONE) {
        return true;
    }
    if (data.type != JSON_NONE || !json_plain_string(encoded, &text) || !base64_decode(decoded, text)) {
        return false;
    }
    *ret_payload = buffer_span(decoded);
    return true;
}

void backend_take_by_hand(backend_api_t *self, struct http_call *call) {
    struct json_value object;
    struct buffer params = BUFFER_EMPTY;
    struct buffer decoded = BUFFER_EMPTY;
    struct backend_call backend_call = {.to = {.by_hand = call}, .is_trusted = true};
    if (!admin_operations_read(call, &object)) {
        return;
    }
    metric_count(self->metrics, BACKEND_METRIC_REQUESTS);
    if (read_payload(object, &decoded, &backend_call.payload)) {
        backend_call.has_payload =
            json_member(object, "data").type != JSON_NONE || json_member(object, "b64data").type != JSON_NONE;
        append_params(&params, object);
        backend_dispatch(self, &backend_call, span_of_text(call->method), buffer_span(&params));
    } else {
        http_call_refuse(call, 200, ERROR_BAD_REQUEST, BAD_DATA);
    }
    buffer_finish(&params);
    buffer_finish(&decoded);
}

void backend_answer_by_hand(backend_api_t *self, struct http_call *call, const char *kind) {
    call->status = 200;
    buffer_append_format(&call->answer, "{\"%s\":", strcmp(kind, "ok") == 0 ? "result" : "error");
    buffer_append_span(&call->answer, buffer_span(&self->body));
    buffer_append_char(&call->answer, '}');
    http_call_answer(call);
}
