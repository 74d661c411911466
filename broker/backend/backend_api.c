/* See backend_api.h.
 *
 *   ROUTER ─▶ on_request ─▶ method table ─▶ shard_request ─▶ shard's inbox
 *   ROUTER ◀─ answer     ◀─ pending      ◀─ shard_reply   ◀─ shard
 *   PULL   ─▶ on_push    ─▶ as publish, without an answer
 *
 * Failure modes. A request that cannot be read: answered where it has an id, counted always. A shard's inbox is full:
 * 111 at once, definite. A shard does not answer (it always should): 120 a second after the deadline. The peer is gone
 * or does not read: the answer is dropped and counted; the peer's retry under the same key finds the first result. The
 * peer's CURVE key was taken off the list (libzmq asks for it only when a connection is made): requests are answered
 * with 103, pushes are dropped, its subscriptions end within a second and a half; all counted. */
#include "broker/backend/backend_api.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/curve_allow_list.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/zmq_on_uv.h"
#include "broker/backend/backend_link.h"
#include "broker/backend/backend_methods.h"
#include "broker/backend/backend_reply.h"
#include "broker/backend/backend_request.h"
#include "broker/backend/backend_sockets.h"
#include "broker/backend/backend_subscriptions.h"

#include <stdio.h>

enum { MESSAGE_REPLY = 1, MESSAGE_NAMESPACES = 2 };
enum { SWEEP_MS = 100, KEYS_MS = 500, ANSWER_GRACE_MS = 1000, STOP_DEADLINE_MS = 10000 };

enum {
    METRIC_REQUESTS,
    METRIC_BAD_REQUESTS,
    METRIC_REFUSED_BUSY,
    METRIC_REPLIES_DROPPED,
    METRIC_PENDING,
    METRIC_SUBSCRIPTIONS,
    METRIC_EVENTS,
    METRIC_EVENTS_BEHIND,
    METRIC_PUSHES,
    METRIC_PUSH_BAD,
    METRIC_PUSH_BUSY,
    METRIC_NOT_ALLOWED,
    METRIC_CURVE_REFUSED,
    N_METRICS
};
static const struct metric_description metric_table[N_METRICS] = {
    [METRIC_REQUESTS] = {"callboard_backend_requests_total", "Backend requests that were read", METRIC_COUNTER, NULL},
    [METRIC_BAD_REQUESTS] = {"callboard_backend_bad_requests_total",
                             "Backend requests that were refused as malformed or unknown", METRIC_COUNTER, NULL},
    [METRIC_REFUSED_BUSY] = {"callboard_backend_refused_busy_total",
                             "Backend requests refused because backend.requests or a shard's inbox was at its bound",
                             METRIC_COUNTER, NULL},
    [METRIC_REPLIES_DROPPED] = {"callboard_backend_replies_dropped_total",
                                "Answers whose peer was gone or did not read", METRIC_COUNTER, NULL},
    [METRIC_PENDING] = {"callboard_backend_requests_pending", "Backend requests that wait for a shard", METRIC_GAUGE,
                        NULL},
    [METRIC_SUBSCRIPTIONS] = {"callboard_backend_subscriptions",
                              "Subscriptions of backend services, at most backend.subscriptions", METRIC_GAUGE, NULL},
    [METRIC_EVENTS] = {"callboard_backend_events_total", "Events sent to subscribed backend services", METRIC_COUNTER,
                       NULL},
    [METRIC_EVENTS_BEHIND] =
        {"callboard_backend_events_behind_total",
         "Times a subscribed service did not read, so that its subscription went on later from its position",
         METRIC_COUNTER, NULL},
    [METRIC_PUSHES] = {"callboard_backend_pushes_total", "Publications taken on the PULL endpoint", METRIC_COUNTER,
                       NULL},
    [METRIC_PUSH_BAD] = {"callboard_backend_push_dropped_total",
                         "Publications of the PULL endpoint that could not be kept", METRIC_COUNTER,
                         "reason=\"bad_request\""},
    [METRIC_PUSH_BUSY] = {"callboard_backend_push_dropped_total",
                          "Publications of the PULL endpoint that could not be kept", METRIC_COUNTER,
                          "reason=\"busy\""},
    [METRIC_NOT_ALLOWED] =
        {"callboard_backend_key_not_allowed_total",
         "Requests, publications and subscriptions ended because the CURVE key was taken off the list", METRIC_COUNTER,
         NULL},
    [METRIC_CURVE_REFUSED] = {"callboard_curve_zap_refused_total",
                              "Connections refused because their key is not on the list.", METRIC_COUNTER,
                              "endpoint=\"backends\""},
};

struct namespaces_message {
    struct actor_message message;
    const namespace_set_t *namespaces;
    uv_sem_t *taken;
};

struct backend_api {
    struct backend_api_options options;
    actor_t *actor;
    metric_values_t *metrics;
    struct backend_sockets sockets;
    zmq_on_uv_t *router_on_uv;
    zmq_on_uv_t *pull_on_uv;
    char link_id[256];
    uv_timer_t sweep_timer;
    uint64_t keys_due_ms;                   /* when subscriptions' keys are judged again */
    uint64_t curve_refused;                 /* as counted already */
    backend_link_t *link;                   /* NULL without a ROUTER */
    backend_subscriptions_t *subscriptions; /* as well */
    backend_pending_t *pending;
    struct backend_context context;
    struct buffer text; /* scratch: decoded strings */
    struct buffer tags; /* scratch: encoded tags */
    struct buffer body; /* scratch: the answer */
};

/* ---- answers ---- */

struct answer_to {
    zmq_msg_t *routing;
    bool has_delimiter;
    struct span id;
};

static void init_frame(zmq_msg_t *frame, struct span bytes) {
    check(zmq_msg_init_size(frame, bytes.size) == 0, "no memory for a frame of %zu bytes", bytes.size);
    if (bytes.size > 0) {
        memcpy(zmq_msg_data(frame), bytes.data, bytes.size);
    }
}

/* Sends what `body` holds, and a payload where there is one; takes the routing frame. */
static enum zmq_send_result send_answer(backend_api_t *self, const struct answer_to *to, const char *kind,
                                        const struct span *payload) {
    zmq_msg_t frames[7];
    size_t n = 0;
    zmq_msg_init(&frames[n]);
    zmq_msg_move(&frames[n++], to->routing);
    if (to->has_delimiter) {
        zmq_msg_init(&frames[n++]);
    }
    init_frame(&frames[n++], SPAN_LITERAL("CB1"));
    init_frame(&frames[n++], span_of_text(kind));
    init_frame(&frames[n++], to->id);
    init_frame(&frames[n++], buffer_span(&self->body));
    if (payload != NULL) {
        init_frame(&frames[n++], *payload);
    }
    enum zmq_send_result result = zmq_on_uv_send(self->router_on_uv, frames, n);
    for (size_t i = 0; i < n; i++) {
        zmq_msg_close(&frames[i]);
    }
    return result;
}

static void answer(backend_api_t *self, const struct answer_to *to, const char *kind) {
    if (send_answer(self, to, kind, NULL) != ZMQ_SENT) {
        metric_count(self->metrics, METRIC_REPLIES_DROPPED);
    }
}

static void answer_error(backend_api_t *self, const struct answer_to *to, enum error_code code, const char *message) {
    buffer_clear(&self->body);
    backend_append_error(&self->body, code, message);
    answer(self, to, "error");
}

/* ---- inbound ---- */

static enum error_code post_to_shard(backend_api_t *self, uint32_t shard, const struct shard_request *model) {
    struct shard_request *request = shard_request_new(model);
    struct actor_message *message = &request->message;
    switch (actor_post(self->options.shards[shard], &message)) {
    case ACTOR_POSTED:
        return ERROR_NONE;
    case ACTOR_FULL:
        memory_free(request);
        metric_count(self->metrics, METRIC_REFUSED_BUSY);
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

/* A request that was read and judged as far as it can be before a shard is asked. */
struct judged {
    const struct backend_method *method;
    struct backend_params params;
    uint32_t n_parts;
    bool is_prepared;           /* the lone part's channel is in the model already */
    struct span peer_key;       /* the name of the CURVE key; empty without CURVE */
    struct shard_request model; /* of every part; its spans are the frames' or scratch */
};

static void fill_model(backend_api_t *self, const struct backend_request *request, struct judged *judged) {
    const struct backend_params *params = &judged->params;
    judged->model = (struct shard_request){
        .message = {.kind = self->options.request_kind},
        .kind = judged->method->kind,
        .reply_kind = MESSAGE_REPLY,
        .deadline_ms = clock_monotonic_ms() + (uint64_t) self->options.config->publish_timeout_ms,
        .skip_history = params->skip_history,
        .has_since = params->has_since,
        .reverse = params->reverse,
        .limit = params->limit,
        .since = params->since,
        .key = params->key,
        .tags = params->tags,
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
static bool judge(backend_api_t *self, const struct backend_request *request, struct judged *ret_judged,
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

/* One part to its shard, or why not. */
static enum error_code send_part(backend_api_t *self, struct judged *judged, uint32_t part) {
    struct backend_refusal refusal = {.code = ERROR_NONE};
    if (!judged->is_prepared &&
        !judged->method->prepare_part(&self->context, &judged->params, part, &judged->model, &refusal)) {
        return refusal.code;
    }
    return post_to_shard(self, shard_of(self, judged->method, part, judged->model.channel), &judged->model);
}

/* More than the list's words, where a person would ask what to do; NULL: they will do. */
static const char *explain(enum error_code code) {
    if (code == ERROR_INTERNAL) {
        return "not possible at the moment: Redis is away, or the broker stops; nothing was done, try again";
    }
    if (code == ERROR_OUTCOME_UNKNOWN) {
        return "no answer from Redis in time: it may have been done; try again under the same idempotency_key";
    }
    return NULL;
}

static void finish_waiting(backend_api_t *self, struct backend_waiting *waiting) {
    const struct backend_method *method = waiting->method;
    struct answer_to to = {&waiting->routing, waiting->has_delimiter, span_of(waiting->id, waiting->id_size)};
    if (!method->answers_each_part && waiting->replies[0]->error != ERROR_NONE) {
        answer_error(self, &to, waiting->replies[0]->error, explain(waiting->replies[0]->error));
    } else {
        buffer_clear(&self->body);
        method->append_result(&self->context, waiting, &self->body);
        answer(self, &to, "ok");
    }
    backend_pending_remove(self->pending, waiting);
    metric_set(self->metrics, METRIC_PENDING, (int64_t) backend_pending_count(self->pending));
}

/* A part that no shard will answer is answered here. */
static void take_refused_part(backend_api_t *self, uint64_t ticket, enum error_code code) {
    struct shard_reply model = {.ticket = ticket, .error = code};
    struct backend_waiting *complete = backend_pending_take(self->pending, shard_reply_new(&model));
    if (complete != NULL) {
        finish_waiting(self, complete);
    }
}

/* The request may be answered and gone when the last part was refused. */
static void accept_request(backend_api_t *self, const struct backend_request *request, zmq_msg_t *routing,
                           struct judged *judged) {
    struct backend_waiting *waiting = backend_pending_add(self->pending, request, routing, judged->method,
                                                          judged->n_parts, judged->model.deadline_ms + ANSWER_GRACE_MS);
    if (waiting == NULL) {
        struct answer_to to = {routing, request->has_delimiter, request->id};
        metric_count(self->metrics, METRIC_REFUSED_BUSY);
        answer_error(self, &to, ERROR_TOO_MANY_REQUESTS, "backend.requests are in flight already");
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
    metric_set(self->metrics, METRIC_PENDING, (int64_t) backend_pending_count(self->pending));
}

/* ---- subscriptions: the API's own answer, over its link to the switchboard ---- */

static void init_answer(struct answer_to *to, zmq_msg_t *routing, const struct backend_subscriber *subscriber) {
    init_frame(routing, subscriber->routing);
    *to = (struct answer_to){routing, subscriber->has_delimiter, subscriber->id};
}

static void on_subscribed(void *context, const struct backend_subscriber *subscriber, enum error_code code,
                          const struct position *position) {
    backend_api_t *self = context;
    zmq_msg_t routing;
    struct answer_to to;
    init_answer(&to, &routing, subscriber);
    if (code != ERROR_NONE) {
        answer_error(self, &to, code, NULL);
        return;
    }
    buffer_clear(&self->body);
    backend_append_position(&self->body, position);
    answer(self, &to, "ok");
}

static enum backend_event_result on_event(void *context, const struct backend_subscriber *subscriber, const char *type,
                                          struct span channel, const struct position *position,
                                          const struct wire_publication *publication) {
    backend_api_t *self = context;
    zmq_msg_t routing;
    struct answer_to to;
    init_answer(&to, &routing, subscriber);
    buffer_clear(&self->body);
    backend_append_event(&self->body, type, channel, position, publication);
    switch (send_answer(self, &to, "event", publication == NULL ? NULL : &publication->data)) {
    case ZMQ_SENT:
        metric_count(self->metrics, METRIC_EVENTS);
        return BACKEND_EVENT_SENT;
    case ZMQ_FULL:
        metric_count(self->metrics, METRIC_EVENTS_BEHIND);
        return BACKEND_EVENT_FULL;
    case ZMQ_UNROUTABLE:
    case ZMQ_SEND_FAILED:
        return BACKEND_EVENT_GONE;
    }
    return BACKEND_EVENT_GONE;
}

static void answer_subscription(backend_api_t *self, const struct backend_request *request, zmq_msg_t *routing,
                                const struct judged *judged) {
    struct answer_to to = {routing, request->has_delimiter, request->id};
    struct backend_subscriber subscriber = {span_of(zmq_msg_data(routing), zmq_msg_size(routing)), request->id,
                                            judged->peer_key, request->has_delimiter};
    const struct position *since = judged->params.has_since ? &judged->params.since : NULL;
    enum error_code code = ERROR_NONE;
    if (judged->method->handling == BACKEND_UNSUBSCRIBE) {
        backend_unsubscribe(self->subscriptions, subscriber.routing, judged->params.channel);
        buffer_clear(&self->body);
        buffer_append_text(&self->body, "{}");
        answer(self, &to, "ok");
        return;
    }
    code = backend_subscribe(self->subscriptions, &subscriber, judged->params.channel, since);
    if (code != ERROR_NONE) {
        answer_error(self, &to, code, NULL);
    }
}

static void on_link_up(void *context) {
    backend_api_t *self = context;
    backend_subscriptions_on_up(self->subscriptions);
}

static void on_link_down(void *context) {
    backend_api_t *self = context;
    backend_subscriptions_on_down(self->subscriptions);
}

static void on_link_drain(void *context) {
    backend_api_t *self = context;
    backend_subscriptions_end(self->subscriptions);
}

static void on_link_frame(void *context, const struct wire_frame *frame) {
    backend_api_t *self = context;
    backend_subscriptions_on_frame(self->subscriptions, frame);
}

/* ---- inbound ---- */

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

static bool is_key_allowed(const backend_api_t *self, struct span key) {
    char name[CURVE_NAME_MAX + 1];
    if (self->sockets.zap == NULL) {
        return true;
    }
    if (key.size == 0 || key.size >= sizeof name) {
        return false;
    }
    memcpy(name, key.data, key.size);
    name[key.size] = '\0';
    return curve_zap_allows(self->sockets.zap, name);
}

static bool judge_key(backend_api_t *self, struct span key, struct backend_refusal *ret_refusal) {
    if (is_key_allowed(self, key)) {
        return true;
    }
    metric_count(self->metrics, METRIC_NOT_ALLOWED);
    backend_refuse(ret_refusal, ERROR_PERMISSION_DENIED, "this key is no longer on the broker's list");
    return false;
}

static bool may_stay_subscribed(void *context, const struct backend_subscriber *subscriber) {
    return is_key_allowed(context, subscriber->key);
}

/* What libzmq does not ask for again: the keys behind subscriptions. */
static void judge_subscriptions(backend_api_t *self, uint64_t now_ms) {
    if (self->sockets.zap == NULL || now_ms < self->keys_due_ms) {
        return;
    }
    self->keys_due_ms = now_ms + KEYS_MS;
    uint64_t refused = curve_zap_refused_total(self->sockets.zap);
    metric_add(self->metrics, METRIC_CURVE_REFUSED, refused - self->curve_refused);
    self->curve_refused = refused;
    if (self->subscriptions != NULL) {
        size_t n = backend_subscriptions_drop_unless(self->subscriptions, may_stay_subscribed, self);
        if (n > 0) {
            metric_add(self->metrics, METRIC_NOT_ALLOWED, n);
            log_warning("backend_key_revoked", log_u64("subscriptions", n));
        }
    }
}

static void on_request(void *context, zmq_msg_t *frames, size_t n_frames) {
    backend_api_t *self = context;
    struct span spans[ZMQ_ON_UV_FRAMES_MAX];
    struct backend_request request;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    struct judged judged;
    metric_count(self->metrics, METRIC_REQUESTS);
    if (n_frames < 2) {
        metric_count(self->metrics, METRIC_BAD_REQUESTS);
        return;
    }
    frame_spans(frames, n_frames, spans);
    judged.peer_key = key_of_message(&frames[n_frames - 1]);
    if (backend_request_read(spans + 1, n_frames - 1, &request, &refusal) &&
        judge_key(self, judged.peer_key, &refusal) && judge(self, &request, &judged, &refusal)) {
        if (judged.method->handling == BACKEND_BY_SHARD) {
            accept_request(self, &request, &frames[0], &judged);
        } else {
            answer_subscription(self, &request, &frames[0], &judged);
        }
        return;
    }
    metric_count(self->metrics, METRIC_BAD_REQUESTS);
    if (request.id.data != NULL) {
        struct answer_to to = {&frames[0], request.has_delimiter, request.id};
        answer_error(self, &to, refusal.code, refusal.message);
    }
}

static void on_push(void *context, zmq_msg_t *frames, size_t n_frames) {
    backend_api_t *self = context;
    struct span spans[ZMQ_ON_UV_FRAMES_MAX];
    struct backend_request request;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    struct judged judged;
    frame_spans(frames, n_frames, spans);
    if (n_frames == 0 || !backend_request_read(spans, n_frames, &request, &refusal) ||
        !judge_key(self, key_of_message(&frames[n_frames - 1]), &refusal) ||
        !judge(self, &request, &judged, &refusal) || judged.method->kind != SHARD_REQUEST_PUBLISH) {
        metric_count(self->metrics, METRIC_PUSH_BAD);
        return;
    }
    for (uint32_t part = 0; part < judged.n_parts; part++) {
        enum error_code code = send_part(self, &judged, part);
        bool is_busy = code == ERROR_TOO_MANY_REQUESTS || code == ERROR_INTERNAL;
        metric_count(self->metrics, code == ERROR_NONE ? METRIC_PUSHES : is_busy ? METRIC_PUSH_BUSY : METRIC_PUSH_BAD);
    }
}

/* ---- the actor ---- */

static void on_message(void *context, struct actor_message *message) {
    backend_api_t *self = context;
    if (message->kind == MESSAGE_NAMESPACES) {
        struct namespaces_message *change = (struct namespaces_message *) message;
        self->context.namespaces = change->namespaces;
        uv_sem_post(change->taken);
        memory_free(change);
        return;
    }
    check(message->kind == MESSAGE_REPLY, "message of kind %u", message->kind);
    struct backend_waiting *complete = backend_pending_take(self->pending, (struct shard_reply *) message);
    if (complete != NULL) {
        finish_waiting(self, complete);
    }
}

static void drop_message(void *context, struct actor_message *message) {
    (void) context;
    memory_free(message);
}

static void answer_unknown(backend_api_t *self, struct backend_waiting *waiting) {
    struct answer_to to = {&waiting->routing, waiting->has_delimiter, span_of(waiting->id, waiting->id_size)};
    answer_error(self, &to, ERROR_OUTCOME_UNKNOWN, NULL);
    backend_pending_remove(self->pending, waiting);
}

static void on_sweep(uv_timer_t *timer) {
    backend_api_t *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    for (struct backend_waiting *waiting; (waiting = backend_pending_overdue(self->pending, now_ms)) != NULL;) {
        log_error("backend_request_unanswered",
                  log_text("method", ((const struct backend_method *) waiting->method)->name));
        answer_unknown(self, waiting);
    }
    judge_subscriptions(self, now_ms);
    if (self->subscriptions != NULL) {
        backend_subscriptions_tick(self->subscriptions);
        metric_set(self->metrics, METRIC_SUBSCRIPTIONS, (int64_t) backend_subscriptions_count(self->subscriptions));
    }
}

static void on_flush(void *context) {
    backend_api_t *self = context;
    if (self->link != NULL) {
        backend_link_flush(self->link);
    }
}

static void on_link_closed(void *context) {
    (void) context;
}

static void start_subscriptions(backend_api_t *self) {
    snprintf(self->link_id, sizeof self->link_id, "backend-api@%.200s", self->options.broker_id);
    struct backend_link_options link_options = {
        .loop = actor_loop(self->actor),
        .zmq_context = self->options.zmq_context,
        .endpoint = self->options.switchboard_endpoint,
        .id = self->link_id,
        .heartbeat_ms = (uint32_t) self->options.config->heartbeat_ms,
        .on_up = on_link_up,
        .on_down = on_link_down,
        .on_drain = on_link_drain,
        .on_frame = on_link_frame,
        .context = self,
    };
    self->link = backend_link_new(&link_options);
    check(self->link != NULL, "no socket to %s", self->options.switchboard_endpoint);
    struct backend_subscriptions_options options = {
        .link = self->link,
        .subscriptions_max = (size_t) self->options.config->backend_subscriptions_max,
        .on_subscribed = on_subscribed,
        .on_event = on_event,
        .context = self,
    };
    self->subscriptions = backend_subscriptions_new(&options);
}

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    backend_api_t *self = context;
    static const struct zmq_on_uv_callbacks router_callbacks = {.on_message = on_request};
    static const struct zmq_on_uv_callbacks pull_callbacks = {.on_message = on_push};
    self->actor = actor;
    if (!backend_sockets_open(&self->sockets, self->options.config, self->options.zmq_context, ret_error, error_size)) {
        return false;
    }
    if (self->sockets.router != NULL) {
        self->router_on_uv = zmq_on_uv_new(actor_loop(actor), self->sockets.router, &router_callbacks, self, 0);
        start_subscriptions(self);
    }
    if (self->sockets.pull != NULL) {
        self->pull_on_uv = zmq_on_uv_new(actor_loop(actor), self->sockets.pull, &pull_callbacks, self, 0);
    }
    uv_timer_init(actor_loop(actor), &self->sweep_timer);
    self->sweep_timer.data = self;
    uv_timer_start(&self->sweep_timer, on_sweep, SWEEP_MS, SWEEP_MS);
    return true;
}

static void on_stop(void *context) {
    backend_api_t *self = context;
    for (struct backend_waiting *waiting; (waiting = backend_pending_overdue(self->pending, UINT64_MAX)) != NULL;) {
        answer_unknown(self, waiting);
    }
    if (self->link != NULL) {
        backend_subscriptions_end(self->subscriptions);
        backend_link_flush(self->link);
        backend_link_close(&self->link, on_link_closed, NULL);
    }
    if (self->router_on_uv != NULL) {
        zmq_on_uv_close(&self->router_on_uv, NULL, NULL);
    }
    if (self->pull_on_uv != NULL) {
        zmq_on_uv_close(&self->pull_on_uv, NULL, NULL);
    }
    uv_close((uv_handle_t *) &self->sweep_timer, NULL);
}

/* ---- life ---- */

backend_api_t *backend_api_new(const struct backend_api_options *options, char *ret_error, size_t error_size) {
    static const struct actor_callbacks callbacks = {.on_start = on_start,
                                                     .on_message = on_message,
                                                     .on_flush = on_flush,
                                                     .on_stop = on_stop,
                                                     .drop_message = drop_message};
    backend_api_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->context = (struct backend_context){
        .broker_id = options->broker_id,
        .engine = options->engine,
        .namespaces = options->namespaces,
        .n_shards = options->n_shards,
        .publication_bytes_max = (uint64_t) options->config->publication_bytes_max,
    };
    self->metrics = metric_values_new(options->metrics, metric_table, N_METRICS);
    self->pending = backend_pending_new((size_t) options->config->backend_requests_max);
    struct actor_limits limits = ACTOR_LIMITS_DEFAULT;
    if (actor_new("backend_api", &callbacks, self, &limits, ret_error, error_size) == NULL) {
        self->actor = NULL;
        backend_api_destroy(&self);
    }
    return self;
}

void backend_api_stop(backend_api_t *self) {
    if (self != NULL && self->actor != NULL) {
        actor_stop(self->actor, STOP_DEADLINE_MS);
    }
}

void backend_api_destroy(backend_api_t **self_p) {
    backend_api_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    actor_destroy(&self->actor, STOP_DEADLINE_MS);
    backend_sockets_close(&self->sockets);
    backend_subscriptions_destroy(&self->subscriptions);
    backend_pending_destroy(&self->pending);
    metric_values_destroy(&self->metrics);
    buffer_finish(&self->text);
    buffer_finish(&self->tags);
    buffer_finish(&self->context.item);
    buffer_finish(&self->body);
    memory_free(self);
    *self_p = NULL;
}

void backend_api_reload(backend_api_t *self, const namespace_set_t *namespaces) {
    uv_sem_t taken;
    uv_sem_init(&taken, 0);
    struct namespaces_message *change = memory_alloc_zero(sizeof *change);
    *change = (struct namespaces_message){
        .message = {.kind = MESSAGE_NAMESPACES, .bytes = sizeof *change}, .namespaces = namespaces, .taken = &taken};
    struct actor_message *message = &change->message;
    if (actor_post_control(self->actor, &message) == ACTOR_POSTED) {
        uv_sem_wait(&taken);
    } else {
        memory_free(change);
    }
    uv_sem_destroy(&taken);
}
