/* See backend_api.h. Here is the actor and its life; what comes in is backend_inbound.c, what goes out backend_answer.c
 * and backend_events.c.
 *
 *   ROUTER, PULL ─▶ backend_inbound ─▶ shards ─▶ replies in the inbox ─▶ backend_pending ─▶ backend_answer ─▶ ROUTER
 *
 * Failure modes. A shard does not answer (it always should): 120 a second after the deadline. The others: see there. */
#include "broker/backend/backend_api.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "broker/backend/backend_api_parts.h"

enum { SWEEP_MS = 100, STOP_DEADLINE_MS = 10000 };

struct namespaces_message {
    struct actor_message message;
    const namespace_set_t *namespaces;
    const struct broker_config *config;
    uv_sem_t *taken;
};

static const char STOPS[] = "the broker stops; nothing was done";

/* ---- the actor ---- */

static void on_message(void *context, struct actor_message *message) {
    backend_api_t *self = context;
    if (message->kind == BACKEND_MESSAGE_NAMESPACES) {
        struct namespaces_message *change = (struct namespaces_message *) message;
        self->options.namespaces = change->namespaces;
        backend_occupancy_configure(self, change->config);
        uv_sem_post(change->taken);
        memory_free(change);
        return;
    }
    if (message->kind == BACKEND_API_MESSAGE_BY_HAND) {
        backend_take_by_hand(self, (struct http_call *) (void *) message);
        return;
    }
    if (message->kind == BACKEND_API_MESSAGE_CALL) {
        backend_take_call(self, (struct shard_call *) (void *) message);
        return;
    }
    if (message->kind == BACKEND_API_MESSAGE_OCCUPANCY) {
        backend_take_occupancy(self, (struct shard_occupancy *) (void *) message);
        return;
    }
    if (message->kind == BACKEND_MESSAGE_TOLD) {
        backend_occupancy_told(self, (struct shard_reply *) (void *) message);
        return;
    }
    if (message->kind == BACKEND_MESSAGE_ENDS) {
        backend_occupancy_stop(self);
        memory_free(message);
        return;
    }
    check(message->kind == BACKEND_MESSAGE_REPLY, "message of kind %u", message->kind);
    struct backend_waiting *complete = backend_pending_take(self->pending, (struct shard_reply *) message);
    if (complete != NULL) {
        backend_finish_waiting(self, complete);
    }
}

static void drop_message(void *context, struct actor_message *message) {
    (void) context;
    if (message->kind == BACKEND_API_MESSAGE_BY_HAND) {
        http_call_refuse((struct http_call *) (void *) message, 503, ERROR_INTERNAL, STOPS);
        return;
    }
    memory_free(message);
}

static void on_sweep(uv_timer_t *timer) {
    backend_api_t *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    for (struct backend_waiting *waiting; (waiting = backend_pending_overdue(self->pending, now_ms)) != NULL;) {
        log_error("backend_request_unanswered",
                  log_text("method", ((const struct backend_method *) waiting->method)->name));
        backend_answer_unknown(self, waiting);
    }
    backend_judge_keys(self, now_ms);
    backend_measure(self, now_ms);
    backend_workers_tick(self, now_ms);
    backend_occupancy_tick(self, now_ms);
    if (self->subscriptions != NULL) {
        backend_subscriptions_tick(self->subscriptions);
        backend_sweep_orders(self);
        metric_set(self->metrics, BACKEND_METRIC_SUBSCRIPTIONS,
                   (int64_t) backend_subscriptions_count(self->subscriptions));
    }
}

static void on_flush(void *context) {
    backend_api_t *self = context;
    if (self->link != NULL) {
        backend_link_flush(self->link);
    }
}

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    backend_api_t *self = context;
    static const struct zmq_on_uv_callbacks router_callbacks = {.on_message = backend_on_request};
    self->actor = actor;
    if (!backend_sockets_open(&self->sockets, self->options.config, self->options.zmq_context, ret_error, error_size)) {
        return false;
    }
    if (self->sockets.zap != NULL) {
        self->peers = backend_peers_new();
        self->rights = backend_rights_new(self->options.config->backend_curve_allowed_dir,
                                          self->options.config->backend_rights_required);
    }
    if (self->sockets.router != NULL) {
        self->router_on_uv = zmq_on_uv_new(actor_loop(actor), self->sockets.router, &router_callbacks, self, 0);
    }
    if (self->sockets.router != NULL || self->options.config->internal_operations != 0) {
        backend_start_subscriptions(self);
    }
    if (self->sockets.pull != NULL) {
        backend_start_pull(self);
    }
    uv_timer_init(actor_loop(actor), &self->sweep_timer);
    self->sweep_timer.data = self;
    uv_timer_start(&self->sweep_timer, on_sweep, SWEEP_MS, SWEEP_MS);
    return true;
}

static void on_link_closed(void *context) {
    (void) context;
}

static void on_stop(void *context) {
    backend_api_t *self = context;
    for (struct backend_waiting *waiting; (waiting = backend_pending_overdue(self->pending, UINT64_MAX)) != NULL;) {
        backend_answer_unknown(self, waiting);
    }
    backend_workers_stop(self);
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
    backend_push_wait_close(&self->push_wait);
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
    self->started_ms = clock_monotonic_ms();
    self->metrics = metric_values_new(options->metrics, backend_metric_rows, BACKEND_METRICS_COUNT);
    backend_workers_start(self);
    backend_occupancy_start(self);
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
    backend_orders_destroy(&self->orders);
    backend_peers_destroy(&self->peers);
    backend_rights_destroy(&self->rights);
    backend_pending_destroy(&self->pending);
    backend_workers_finish(self);
    backend_occupancy_finish(self);
    metric_values_destroy(&self->metrics);
    buffer_finish(&self->text);
    buffer_finish(&self->tags);
    buffer_finish(&self->item);
    buffer_finish(&self->body);
    memory_free(self);
    *self_p = NULL;
}

actor_t *backend_api_actor(const backend_api_t *self) {
    return self->actor;
}

bool backend_api_tell_end(backend_api_t *self) {
    if (!atomic_load(&self->occupancy.is_on) || atomic_load(&self->occupancy.is_told)) {
        return true;
    }
    if (!self->is_ending) {
        struct actor_message *message = memory_alloc_zero(sizeof *message);
        *message = (struct actor_message){.kind = BACKEND_MESSAGE_ENDS, .bytes = sizeof *message};
        self->is_ending = actor_post(self->actor, &message) == ACTOR_POSTED;
        memory_free(message); /* NULL where it was taken */
    }
    return false;
}

void backend_api_call(backend_api_t *self, struct http_call *call) {
    struct actor_message *message = &call->message;
    message->kind = BACKEND_API_MESSAGE_BY_HAND;
    switch (actor_post(self->actor, &message)) {
    case ACTOR_POSTED:
        break;
    case ACTOR_FULL:
        http_call_refuse(call, 503, ERROR_TOO_MANY_REQUESTS, "the inbox is full; nothing was done, try again");
        break;
    case ACTOR_STOPPED:
        http_call_refuse(call, 503, ERROR_INTERNAL, STOPS);
        break;
    }
}

void backend_api_reload(backend_api_t *self, const namespace_set_t *namespaces, const struct broker_config *config) {
    uv_sem_t taken;
    uv_sem_init(&taken, 0);
    struct namespaces_message *change = memory_alloc_zero(sizeof *change);
    *change = (struct namespaces_message){.message = {.kind = BACKEND_MESSAGE_NAMESPACES, .bytes = sizeof *change},
                                          .namespaces = namespaces,
                                          .config = config,
                                          .taken = &taken};
    struct actor_message *message = &change->message;
    if (actor_post_control(self->actor, &message) == ACTOR_POSTED) {
        uv_sem_wait(&taken);
    } else {
        memory_free(change);
    }
    uv_sem_destroy(&taken);
}
