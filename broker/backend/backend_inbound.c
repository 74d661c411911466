/* What services send: read, judged, and handed to the shards it concerns.
 *
 *   ROUTER ─▶ backend_on_request ─▶ method table ─▶ shard_request, one a part ─▶ shard's inbox
 *   PULL   ─▶ backend_on_push    ─▶ as publish, without an answer
 *
 * Failure modes. A request that cannot be read: answered where it has an id, counted always. A shard's inbox is full:
 * 111 at once, definite. A key that was taken off the list: 103, a push is dropped; counted. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

enum { ANSWER_GRACE_MS = 1000 };

/* ---- judging ---- */

static void fill_model(backend_api_t *self, const struct backend_request *request, struct backend_judged *judged) {
    const struct backend_params *params = &judged->params;
    judged->model = (struct shard_request){
        .message = {.kind = self->options.request_kind},
        .kind = judged->method->kind,
        .reply_kind = BACKEND_MESSAGE_REPLY,
        .deadline_ms = clock_monotonic_ms() + (uint64_t) self->options.config->publish_timeout_ms,
        .skip_history = params->skip_history,
        .delta = params->delta,
        .has_since = params->has_since,
        .reverse = params->reverse,
        .limit = params->limit,
        .since = params->since,
        .key = params->key,
        .tags = params->tags,
        .version = params->version,
        .version_epoch = params->version_epoch,
        .data = request->payload,
    };
}

static bool check_payload_frame(const struct backend_method *method, const struct backend_request *request,
                                struct backend_refusal *ret_refusal) {
    if (method->takes_payload && !request->has_payload) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "%s needs a payload frame behind params", method->name);
        return false;
    }
    if (!method->takes_payload && request->has_payload && request->payload.size > 0) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "%s takes no payload frame", method->name);
        return false;
    }
    return true;
}

/* A method of one part is prepared here, so that the refusal's sentence reaches the peer; parts of a list are prepared
 * as they go out, each answered for itself. */
static bool judge(backend_api_t *self, const struct backend_request *request, struct backend_judged *ret_judged,
                  struct backend_refusal *ret_refusal) {
    const struct backend_method *method = backend_method_find(request->method);
    ret_judged->method = method;
    if (method == NULL) {
        backend_refuse(ret_refusal, ERROR_METHOD_NOT_FOUND, "no method \"%.*s\"", (int) request->method.size,
                       (const char *) request->method.data);
        return false;
    }
    if (!check_payload_frame(method, request, ret_refusal) ||
        !backend_params_read(request->params, method->allowed, method->required, &self->text, &self->tags,
                             &ret_judged->params, ret_refusal)) {
        return false;
    }
    ret_judged->n_parts = method->count_parts(&self->context, &ret_judged->params, ret_refusal);
    ret_judged->is_prepared = !method->answers_each_part;
    if (ret_judged->n_parts == 0) {
        return false;
    }
    fill_model(self, request, ret_judged);
    return method->answers_each_part ||
           method->prepare_part(&self->context, &ret_judged->params, 0, &ret_judged->model, ret_refusal);
}

static bool judge_key(backend_api_t *self, struct span key, struct backend_refusal *ret_refusal) {
    if (backend_is_key_allowed(self, key)) {
        return true;
    }
    metric_count(self->metrics, BACKEND_METRIC_NOT_ALLOWED);
    backend_refuse(ret_refusal, ERROR_PERMISSION_DENIED, "this key is no longer on the broker's list");
    return false;
}

/* ---- to the shards ---- */

static enum error_code post_to_shard(backend_api_t *self, uint32_t shard, const struct shard_request *model) {
    struct shard_request *request = shard_request_new(model);
    struct actor_message *message = &request->message;
    switch (actor_post(self->options.shards[shard], &message)) {
    case ACTOR_POSTED:
        return ERROR_NONE;
    case ACTOR_FULL:
        memory_free(request);
        metric_count(self->metrics, BACKEND_METRIC_REFUSED_BUSY);
        return ERROR_TOO_MANY_REQUESTS;
    case ACTOR_STOPPED:
        memory_free(request);
        return ERROR_INTERNAL;
    }
    return ERROR_INTERNAL;
}

static uint32_t shard_of(const backend_api_t *self, const struct backend_method *method, uint32_t part,
                         struct span channel) {
    if (method->kind == SHARD_REQUEST_INFO) {
        return part;
    }
    return partition_shard(partition_of(channel, self->options.n_partitions), self->options.n_partitions,
                           self->options.n_shards);
}

/* One part to its shard, or why not. */
static enum error_code send_part(backend_api_t *self, struct backend_judged *judged, uint32_t part) {
    struct backend_refusal refusal = {.code = ERROR_NONE};
    if (!judged->is_prepared &&
        !judged->method->prepare_part(&self->context, &judged->params, part, &judged->model, &refusal)) {
        return refusal.code;
    }
    return post_to_shard(self, shard_of(self, judged->method, part, judged->model.channel), &judged->model);
}

/* A part that no shard will answer is answered here. */
static void take_refused_part(backend_api_t *self, uint64_t ticket, enum error_code code) {
    struct shard_reply model = {.ticket = ticket, .error = code};
    struct backend_waiting *complete = backend_pending_take(self->pending, shard_reply_new(&model));
    if (complete != NULL) {
        backend_finish_waiting(self, complete);
    }
}

/* The request may be answered and gone when the last part was refused. */
static void accept_request(backend_api_t *self, const struct backend_request *request, zmq_msg_t *routing,
                           struct backend_judged *judged) {
    struct backend_waiting *waiting = backend_pending_add(self->pending, request, routing, judged->method,
                                                          judged->n_parts, judged->model.deadline_ms + ANSWER_GRACE_MS);
    if (waiting == NULL) {
        struct backend_answer_to to = {routing, request->has_delimiter, request->id};
        metric_count(self->metrics, BACKEND_METRIC_REFUSED_BUSY);
        backend_answer_error(self, &to, ERROR_TOO_MANY_REQUESTS, "backend.requests are in flight already");
        return;
    }
    judged->model.reply_to = self->actor;
    uint64_t first_ticket = backend_pending_ticket(waiting, 0);
    for (uint32_t part = 0; part < judged->n_parts; part++) {
        judged->model.ticket = first_ticket + part;
        enum error_code code = send_part(self, judged, part);
        if (code != ERROR_NONE) {
            take_refused_part(self, first_ticket + part, code);
        }
    }
    metric_set(self->metrics, BACKEND_METRIC_PENDING, (int64_t) backend_pending_count(self->pending));
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

void backend_on_request(void *context, zmq_msg_t *frames, size_t n_frames) {
    backend_api_t *self = context;
    struct span spans[ZMQ_ON_UV_FRAMES_MAX];
    struct backend_request request;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    struct backend_judged judged;
    metric_count(self->metrics, BACKEND_METRIC_REQUESTS);
    if (n_frames < 2) {
        metric_count(self->metrics, BACKEND_METRIC_BAD_REQUESTS);
        return;
    }
    frame_spans(frames, n_frames, spans);
    judged.peer_key = key_of_message(&frames[n_frames - 1]);
    if (backend_request_read(spans + 1, n_frames - 1, &request, &refusal) &&
        judge_key(self, judged.peer_key, &refusal) && judge(self, &request, &judged, &refusal)) {
        if (judged.method->handling == BACKEND_BY_SHARD) {
            accept_request(self, &request, &frames[0], &judged);
        } else {
            backend_answer_subscription(self, &request, &frames[0], &judged);
        }
        return;
    }
    metric_count(self->metrics, BACKEND_METRIC_BAD_REQUESTS);
    if (request.id.data != NULL) {
        struct backend_answer_to to = {&frames[0], request.has_delimiter, request.id};
        backend_answer_error(self, &to, refusal.code, refusal.message);
    }
}

void backend_on_push(void *context, zmq_msg_t *frames, size_t n_frames) {
    backend_api_t *self = context;
    struct span spans[ZMQ_ON_UV_FRAMES_MAX];
    struct backend_request request;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    struct backend_judged judged;
    frame_spans(frames, n_frames, spans);
    if (n_frames == 0 || !backend_request_read(spans, n_frames, &request, &refusal) ||
        !judge_key(self, key_of_message(&frames[n_frames - 1]), &refusal) ||
        !judge(self, &request, &judged, &refusal) || judged.method->kind != SHARD_REQUEST_PUBLISH) {
        metric_count(self->metrics, BACKEND_METRIC_PUSH_BAD);
        return;
    }
    for (uint32_t part = 0; part < judged.n_parts; part++) {
        enum error_code code = send_part(self, &judged, part);
        bool is_busy = code == ERROR_TOO_MANY_REQUESTS || code == ERROR_INTERNAL;
        metric_count(self->metrics, code == ERROR_NONE ? BACKEND_METRIC_PUSHES
                                    : is_busy          ? BACKEND_METRIC_PUSH_BUSY
                                                       : BACKEND_METRIC_PUSH_BAD);
    }
}
