/* What services send: read, judged, and handed to the method's handler.
 *
 *   ROUTER ─▶ backend_on_request ─▶ backend_dispatch: method, rights, payload, params ─▶ handler ─▶ answer, now or
 * later PULL   ─▶ backend_on_push    ─▶ the same, without an answer
 *
 * Failure modes. A request that cannot be read: answered where it has an id, counted always. A key that was taken off
 * the list: 103, a push is dropped; counted. */
#include "broker/backend/backend_api_parts.h"

/* ---- judging ---- */

static bool check_payload_frame(const struct backend_method *method, const struct backend_call *call,
                                struct backend_refusal *ret_refusal) {
    if (method->payload == BACKEND_WITH_PAYLOAD && !call->has_payload) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "%s needs a payload frame behind params", method->name);
        return false;
    }
    if (method->payload == BACKEND_WITHOUT_PAYLOAD && call->has_payload && call->payload.size > 0) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "%s takes no payload frame", method->name);
        return false;
    }
    return true;
}

static bool judge_key(backend_api_t *self, struct span key, struct backend_refusal *ret_refusal) {
    if (backend_is_key_allowed(self, key)) {
        return true;
    }
    metric_count(self->metrics, BACKEND_METRIC_NOT_ALLOWED);
    backend_refuse(ret_refusal, ERROR_PERMISSION_DENIED, "this key is no longer on the broker's list");
    return false;
}

bool backend_may(backend_api_t *self, const struct backend_call *call, struct span name,
                 struct backend_refusal *ret_refusal) {
    if (self->rights == NULL || call->is_trusted || backend_rights_channel(self->rights, call->key, name)) {
        return true;
    }
    metric_count(self->metrics, BACKEND_METRIC_NOT_ALLOWED);
    backend_refuse(ret_refusal, ERROR_PERMISSION_DENIED,
                   "the key \"%.*s\" is not for \"%.*s\"; %.*s.rights names its channels", (int) call->key.size,
                   (const char *) call->key.data, (int) name.size, (const char *) name.data, (int) call->key.size,
                   (const char *) call->key.data);
    return false;
}

static bool judge_method(backend_api_t *self, const struct backend_call *call, struct backend_refusal *ret_refusal) {
    if (self->rights == NULL || call->is_trusted ||
        backend_rights_method(self->rights, call->key, span_of_text(call->method->name))) {
        return true;
    }
    metric_count(self->metrics, BACKEND_METRIC_NOT_ALLOWED);
    backend_refuse(ret_refusal, ERROR_PERMISSION_DENIED,
                   "the key \"%.*s\" is not for %s; %.*s.rights names its methods", (int) call->key.size,
                   (const char *) call->key.data, call->method->name, (int) call->key.size,
                   (const char *) call->key.data);
    return false;
}

static bool judge(backend_api_t *self, struct backend_call *call, struct span name, struct span params,
                  struct backend_refusal *ret_refusal) {
    const struct backend_method *method = backend_method_find(name);
    if (method == NULL) {
        backend_refuse(ret_refusal, ERROR_METHOD_NOT_FOUND, "no method \"%.*s\"", (int) name.size,
                       (const char *) name.data);
        return false;
    }
    call->method = method;
    if (call->to.batch != NULL && (method->flags & BACKEND_ALONE) != 0) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "%s cannot stand in a batch; send it by itself", method->name);
        return false;
    }
    return (call->is_trusted || judge_key(self, call->key, ret_refusal)) && judge_method(self, call, ret_refusal) &&
           check_payload_frame(method, call, ret_refusal) && backend_params_scan(params, &call->object, ret_refusal) &&
           ((method->flags & BACKEND_OWN_PARAMS) != 0 ||
            backend_params_read(call->object, method->allowed, method->required, &self->text, &self->tags,
                                &call->params, ret_refusal)) &&
           (method->right != BACKEND_RIGHT_CHANNEL || backend_may(self, call, call->params.channel, ret_refusal));
}

void backend_dispatch(backend_api_t *self, struct backend_call *call, struct span method, struct span params) {
    struct backend_refusal refusal = {.code = ERROR_NONE};
    if (judge(self, call, method, params, &refusal)) {
        call->method->handle(self, call);
        return;
    }
    backend_refuse_call(self, call, &refusal);
}

/* ---- from the sockets ---- */

static void frame_spans(zmq_msg_t *frames, size_t n_frames, struct span *ret_spans) {
    for (size_t i = 0; i < n_frames; i++) {
        ret_spans[i] = span_of(zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i]));
    }
}

/* The mark of a CURVE client, made by the ZAP handler; empty without CURVE. */
static struct span key_of_message(zmq_msg_t *last_frame) {
    const char *name = zmq_msg_gets(last_frame, "User-Id");
    return name == NULL ? SPAN_EMPTY : span_of_text(name);
}

/* The connection, so that it can be cut. */
static void note_peer(backend_api_t *self, zmq_msg_t *last_frame, struct span key, struct span routing) {
    if (self->peers != NULL) {
        backend_peers_note(self->peers, zmq_msg_get(last_frame, ZMQ_SRCFD), key, routing,
                           uv_now(actor_loop(self->actor)));
    }
}

void backend_on_request(void *context, zmq_msg_t *frames, size_t n_frames) {
    backend_api_t *self = context;
    struct span spans[ZMQ_ON_UV_FRAMES_MAX];
    struct backend_request request;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    metric_count(self->metrics, BACKEND_METRIC_REQUESTS);
    if (n_frames < 2) {
        metric_count(self->metrics, BACKEND_METRIC_BAD_REQUESTS);
        return;
    }
    frame_spans(frames, n_frames, spans);
    bool is_read = backend_request_read(spans + 1, n_frames - 1, &request, &refusal);
    struct backend_call call = {
        .to = {.routing = &frames[0], .has_delimiter = request.has_delimiter, .id = request.id},
        .peer = spans[0],
        .key = key_of_message(&frames[n_frames - 1]),
        .has_payload = request.has_payload,
        .payload = request.payload,
        .more = request.more,
        .n_more = request.n_more,
    };
    note_peer(self, &frames[n_frames - 1], call.key, spans[0]);
    if (is_read) {
        backend_dispatch(self, &call, request.method, request.params);
        return;
    }
    if (request.id.data != NULL) {
        backend_refuse_call(self, &call, &refusal);
    } else {
        metric_count(self->metrics, BACKEND_METRIC_BAD_REQUESTS);
    }
}

void backend_on_push(void *context, zmq_msg_t *frames, size_t n_frames) {
    backend_api_t *self = context;
    struct span spans[ZMQ_ON_UV_FRAMES_MAX];
    struct backend_request request;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    frame_spans(frames, n_frames, spans);
    if (n_frames > 0) {
        note_peer(self, &frames[n_frames - 1], key_of_message(&frames[n_frames - 1]), SPAN_EMPTY);
    }
    if (n_frames > 0 && backend_request_read(spans, n_frames, &request, &refusal)) {
        struct backend_call call = {.key = key_of_message(&frames[n_frames - 1]),
                                    .has_payload = request.has_payload,
                                    .payload = request.payload};
        if (judge(self, &call, request.method, request.params, &refusal) &&
            (call.method->flags & BACKEND_MAY_BE_PUSHED) != 0) {
            call.method->handle(self, &call);
            return;
        }
    }
    metric_count(self->metrics, BACKEND_METRIC_PUSH_BAD);
}
