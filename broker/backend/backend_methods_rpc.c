/* rpc: a service asks a worker, as a client's rpc does. docs/backend-api.md, "Workers".
 *
 *   service ──rpc──▶ kept under a ticket ─▶ worker_pool ──request──▶ worker
 *           ◀─ok, error──── found by it ◀──────────────────done──┘
 *
 * Failure modes: no worker at this broker 108; all busy 111; none answered in time 120; lost 122; what the worker says
 * itself. A ticket whose request has ended meanwhile finds nothing. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/backend/backend_api_parts.h"

#include <inttypes.h>

enum { TIMEOUT_DEFAULT_MS = 2000, TIMEOUT_MAX_MS = 60000, ANSWER_GRACE_MS = 1000, NAME_MAX_SIZE = 124 };

static bool read_params(struct json_value object, struct buffer *method, uint64_t *ret_timeout_ms,
                        struct backend_refusal *ret_refusal) {
    struct json_iterator iterator = json_iterate(object);
    struct json_value name;
    struct json_value value;
    struct json_value timeout = json_member(object, "timeout_ms");
    while (json_next(&iterator, &name, &value)) {
        if (!json_name_is(name, "method") && !json_name_is(name, "timeout_ms")) {
            backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params takes method and timeout_ms");
            return false;
        }
    }
    buffer_append_text(method, "rpc:");
    bool has_name = json_decode_string(json_member(object, "method"), method) && method->size > 4;
    if (!has_name || method->size > 4 + NAME_MAX_SIZE) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.method must be a text of 1 to %d bytes", NAME_MAX_SIZE);
        return false;
    }
    *ret_timeout_ms = TIMEOUT_DEFAULT_MS;
    if (timeout.type != JSON_NONE &&
        (!json_to_u64(timeout, ret_timeout_ms) || *ret_timeout_ms == 0 || *ret_timeout_ms > TIMEOUT_MAX_MS)) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.timeout_ms must be a whole number from 1 to %d",
                       TIMEOUT_MAX_MS);
        return false;
    }
    return true;
}

static void append_details(const struct backend_call *call, struct buffer *out) {
    buffer_append_text(out, "{\"transport\":\"backend\",\"service\":");
    buffer_append_json_string(out, call->key);
    buffer_append_char(out, '}');
}

static void ask(backend_api_t *self, struct backend_call *call, struct span method, uint64_t timeout_ms) {
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    struct buffer details = BUFFER_EMPTY;
    append_details(call, &details);
    struct backend_waiting *waiting = backend_keep(self, call, 1, deadline_ms + ANSWER_GRACE_MS);
    if (waiting != NULL) {
        backend_take_call(self, shard_call_new(&(struct shard_call){.ticket = backend_pending_ticket(waiting, 0),
                                                                    .deadline_ms = deadline_ms,
                                                                    .method = method,
                                                                    .details = buffer_span(&details),
                                                                    .data = call->payload}));
    }
    buffer_finish(&details);
}

static void rpc(backend_api_t *self, struct backend_call *call) {
    struct buffer method = BUFFER_EMPTY;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    uint64_t timeout_ms;
    if (read_params(call->object, &method, &timeout_ms, &refusal) &&
        backend_may(self, call, buffer_span(&method), &refusal)) {
        ask(self, call, buffer_span(&method), timeout_ms);
    } else {
        backend_refuse_call(self, call, &refusal);
    }
    buffer_finish(&method);
}

/* ---- what came of it ---- */

static const char *explain(enum error_code code) {
    return code == ERROR_NOT_AVAILABLE       ? "no worker at this broker takes that method; another broker may have one"
           : code == ERROR_TOO_MANY_REQUESTS ? "every worker that takes it has as many calls as it may; try again"
           : code == ERROR_OUTCOME_UNKNOWN   ? "no worker answered in params.timeout_ms; it may have been done"
           : code == ERROR_INTERNAL          ? "the worker's answer could not be read; it may have been done"
                                             : NULL;
}

/* A worker's own words. What it disconnects a client with is an error to a service. */
static void append_workers_error(struct buffer *body, const struct shard_called *answer) {
    buffer_append_format(body, "{\"code\":%" PRIu32 ",\"reason\":\"worker\",\"message\":", answer->code);
    buffer_append_json_string(body, answer->text);
    buffer_append_format(body, ",\"temporary\":%s,\"definite\":true}",
                         answer->outcome == WIRE_CALL_ERROR_TEMPORARY ? "true" : "false");
}

void backend_answer_rpc(backend_api_t *self, uint64_t ticket, const struct shard_called *answer) {
    struct backend_waiting *waiting = backend_pending_find(self->pending, ticket);
    if (waiting == NULL) {
        return;
    }
    if (answer->error != ERROR_NONE) {
        backend_refuse_waiting(self, waiting, answer->error, explain(answer->error));
        return;
    }
    buffer_clear(&self->body);
    if (answer->outcome != WIRE_CALL_RESULT) {
        append_workers_error(&self->body, answer);
        backend_answer_waiting(self, waiting, "error", NULL);
        return;
    }
    buffer_append_span(&self->body, answer->text.size > 0 ? answer->text : SPAN_LITERAL("{}"));
    backend_answer_waiting(self, waiting, "ok", answer->payload.size > 0 ? &answer->payload : NULL);
}

static const struct backend_method rows[] = {
    {.name = "rpc",
     .payload = BACKEND_MAY_HAVE_PAYLOAD,
     .flags = BACKEND_ALONE | BACKEND_OWN_PARAMS,
     .handle = rpc,
     .help_unknown = "no worker answered in params.timeout_ms; it may have been done"},
};
const struct backend_method_list backend_rpc_methods = BACKEND_METHOD_LIST(rows);
