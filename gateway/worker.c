/* The turn: what libuv brings (sockets, ZeroMQ, timers, the inbox) is worked through; sessions that have something to
 * send become dirty, frames to brokers gather in batches. At its end, on_flush: one write for each dirty session, then
 * lws is woken if a connection is to be cut; the links flush their batches by themselves.
 *
 * How its parts begin and end: worker_start.c; how it drains: worker_drain.c. */
#include "gateway/worker_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "gateway/memory_guard.h"

#include <stdio.h>

enum { FIGURES_INTERVAL_MS = 200, STOP_DEADLINE_MS = 30000 };

static const char STOPS[] = "the gateway stops; nothing was done";

struct reload_message {
    struct actor_message message;
    struct worker_settings settings;
    uv_sem_t *taken;
};

struct certificate_message {
    struct actor_message message;
    const tls_credentials_t *credentials;
    uv_sem_t *taken;
};

struct trust_message {
    struct actor_message message;
    token_trust_t *trust; /* a reference */
};

/* --- figures --- */

void worker_publish_figures(worker_t *self) {
    struct worker_figures figures = {
        .connections = self->sessions.connections,
        .users = self->sessions.users,
        .alive = self->sessions.alive,
        .dead = self->sessions.dead,
        .had_broker = self->figures.had_broker,
        .is_drained = self->drain == DRAIN_DONE,
    };
    broker_requests_summary(self->brokers, &figures.brokers);
    figures.had_broker = figures.had_broker || figures.brokers.brokers_alive > 0;
    uv_mutex_lock(&self->figures_mutex);
    self->figures = figures;
    uv_mutex_unlock(&self->figures_mutex);
}

void worker_read_figures(worker_t *self, struct worker_figures *ret_figures) {
    uv_mutex_lock(&self->figures_mutex);
    *ret_figures = self->figures;
    uv_mutex_unlock(&self->figures_mutex);
    ret_figures->stalled_ms = actor_stalled_ms(self->actor);
}

/* --- memory --- */

/* One worker looks for all. */
static void look_at_memory(worker_t *self) {
    uint64_t used_bytes = process_memory_bytes();
    enum memory_level level = process_memory_level(used_bytes, self->memory_max);
    metric_set(self->memory_metrics, MEMORY_METRIC_BYTES, (int64_t) used_bytes);
    metric_set(self->memory_metrics, MEMORY_METRIC_LEVEL, (int64_t) level);
    if (atomic_exchange(&self->options.totals->memory_level, level) != level) {
        LOG_AT(level == MEMORY_FINE ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "memory_level",
               log_text("level", memory_level_text(level)), log_u64("used", used_bytes),
               log_u64("gateway.memory_max", self->memory_max));
    }
    if (level >= MEMORY_SHEDS) {
        process_memory_give_back(); /* what went the last time */
    }
}

static void guard_memory(worker_t *self) {
    if (self->options.index == 0) {
        look_at_memory(self);
    }
    unsigned level = atomic_load_explicit(&self->options.totals->memory_level, memory_order_relaxed);
    self->sessions.refuses_publications = level >= MEMORY_REFUSES_PUBLICATIONS;
    if (level >= MEMORY_SHEDS) {
        metric_add(self->memory_metrics, MEMORY_METRIC_SHED, session_shed_slowest(&self->sessions));
    }
}

/* One worker has the list for all. */
void worker_judge_revocations(worker_t *self) {
    if (self->revocations != NULL) {
        atomic_store(&self->options.totals->refuses_tokens, revocation_feed_is_unsure(self->revocations));
    }
    self->sessions.refuses_tokens = atomic_load_explicit(&self->options.totals->refuses_tokens, memory_order_relaxed);
}

/* --- the turn --- */

void worker_on_tick(uv_timer_t *timer) {
    worker_t *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    timer_wheel_advance(self->wheel, now_ms);
    worker_advance_drain(self, now_ms);
    if (now_ms >= self->figures_due_ms) {
        self->figures_due_ms = now_ms + FIGURES_INTERVAL_MS;
        worker_publish_figures(self);
        session_environment_show(&self->sessions);
        guard_memory(self);
        worker_judge_revocations(self);
    }
}

static void on_flush(void *context) {
    worker_t *self = context;
    session_flush_dirty(&self->sessions);
    websocket_service_flush(&self->websockets);
}

void worker_apply_settings(worker_t *self, const struct worker_settings *settings) {
    self->sessions.config = settings->config;
    self->sessions.namespaces = settings->namespaces;
    self->sessions.outbox_budget.limit = settings->outbox_bytes;
    self->websockets.config = settings->config;
    self->websockets.connections_max = settings->connections_max;
    self->memory_max = settings->memory_max;
    self->websockets.raw_endpoint = settings->raw_endpoint;
    trusted_proxies_init(&self->websockets.proxies, &settings->config->trusted_proxies);
    tls_server_use(&self->websockets.tls, settings->tls);
    http_streams_configure(self->streams, settings->config);
    revocation_feed_configure(self->revocations, settings->config);
    event_feed_configure(self->events, settings->config);
    user_places_configure(self->user_places, settings->config->connections_per_user);
    http_api_configure(self->http_api, settings->config, settings->namespaces);
    http_api_by_hand_configure(self->by_hand, settings->config, settings->namespaces);
}

/* Between two messages nobody walks the hub, so subscriptions may end here. */
static void reload(worker_t *self, const struct worker_settings *settings) {
    bool lacks_some = namespace_set_lacks(settings->namespaces, self->sessions.namespaces);
    worker_apply_settings(self, settings);
    broker_requests_set_config_hash(self->brokers, namespace_set_hash(settings->namespaces));
    if (lacks_some) {
        session_end_unserved(&self->sessions);
    }
}

/* --- messages --- */

void worker_apply_trust(worker_t *self, token_trust_t *trust) {
    token_trust_t *old = self->trust;
    self->trust = trust;
    self->sessions.keys = trust->keys;
    self->sessions.subscription_keys = trust->subscription_keys;
    self->sessions.revocations = trust->revocations;
    if (old != NULL && old->revocations != trust->revocations) {
        session_end_revoked(&self->sessions);
    }
    token_trust_unref(&old);
}

static void on_message(void *context, struct actor_message *message) {
    worker_t *self = context;
    switch ((enum worker_message) message->kind) {
    case MESSAGE_CALL:
        http_api_by_hand_take(self->by_hand, (struct http_call *) (void *) message);
        return;
    case MESSAGE_RELOAD: {
        struct reload_message *request = (struct reload_message *) message;
        reload(self, &request->settings);
        uv_sem_post(request->taken);
        break;
    }
    case MESSAGE_CERTIFICATE: {
        const struct certificate_message *request = (const struct certificate_message *) message;
        tls_server_use(&self->websockets.tls, request->credentials);
        uv_sem_post(request->taken);
        break;
    }
    case MESSAGE_TRUST:
        worker_apply_trust(self, ((struct trust_message *) message)->trust);
        break;
    case MESSAGE_DRAIN:
        worker_begin_drain(self);
        break;
    case MESSAGE_EMULATE:
        worker_emulate(self, (const struct emulate_message *) message);
        break;
    case MESSAGE_EMULATED: {
        const struct emulated_message *answer = (const struct emulated_message *) message;
        http_streams_on_emulated(self->streams, answer->ticket, answer->delivered);
        break;
    }
    }
    memory_free(message);
}

static void drop_message(void *context, struct actor_message *message) {
    (void) context;
    check(message->kind != MESSAGE_RELOAD && message->kind != MESSAGE_CERTIFICATE,
          "a reload is waited for, and nobody stops a worker meanwhile");
    if (message->kind == MESSAGE_CALL) {
        http_call_refuse((struct http_call *) (void *) message, 503, ERROR_INTERNAL, STOPS);
        return;
    }
    if (message->kind == MESSAGE_TRUST) {
        token_trust_unref(&((struct trust_message *) message)->trust);
    }
    memory_free(message);
}

/* --- life cycle, the owner's --- */

static void free_worker(worker_t *self) {
    if (self->session_metrics != NULL) {
        session_environment_finish(&self->sessions);
    }
    metric_values_destroy(&self->session_metrics);
    metric_values_destroy(&self->websocket_metrics);
    metric_values_destroy(&self->tls_metrics);
    metric_values_destroy(&self->stream_metrics);
    metric_values_destroy(&self->memory_metrics);
    timer_wheel_destroy(&self->wheel);
    token_trust_unref(&self->trust);
    uv_mutex_destroy(&self->figures_mutex);
    memory_free(self);
}

worker_t *worker_new(const struct worker_options *options, char *ret_error, size_t error_size) {
    static const struct actor_callbacks callbacks = {
        .on_start = worker_on_start,
        .on_message = on_message,
        .on_flush = on_flush,
        .on_stop = worker_on_stop,
        .drop_message = drop_message,
    };
    char name[24];
    snprintf(name, sizeof(name), "worker-%u", options->index);
    worker_t *self = memory_alloc_zero(sizeof(*self));
    self->options = *options;
    check(uv_mutex_init(&self->figures_mutex) == 0, "a mutex");
    self->actor = actor_new(name, &callbacks, self, NULL, ret_error, error_size);
    if (self->actor == NULL) {
        free_worker(self);
        return NULL;
    }
    return self;
}

int worker_port(const worker_t *self) {
    return self->port;
}

static void post(worker_t *self, struct actor_message *message) {
    enum actor_post_result result = actor_post_control(self->actor, &message);
    check(result == ACTOR_POSTED, "worker %u takes no messages", self->options.index);
}

bool worker_post(worker_t *self, struct actor_message **message_p) {
    return actor_post(self->actor, message_p) == ACTOR_POSTED;
}

void worker_call(worker_t *self, struct http_call *call) {
    struct actor_message *message = &call->message;
    message->kind = MESSAGE_CALL;
    switch (actor_post(self->actor, &message)) {
    case ACTOR_POSTED:
        break;
    case ACTOR_FULL:
        http_call_refuse(call, 503, ERROR_TOO_MANY_REQUESTS, "the worker's inbox is full; nothing was done, try again");
        break;
    case ACTOR_STOPPED:
        http_call_refuse(call, 503, ERROR_INTERNAL, STOPS);
        break;
    }
}

/* What is posted here is in use, and the poster's own again, when it returns. */
static void post_and_wait(worker_t *self, struct actor_message *message, uv_sem_t *taken) {
    check(uv_sem_init(taken, 0) == 0, "a semaphore");
    post(self, message);
    uv_sem_wait(taken);
    uv_sem_destroy(taken);
}

void worker_reload(worker_t *self, const struct worker_settings *settings) {
    uv_sem_t taken;
    struct reload_message *reload = memory_alloc_zero(sizeof(*reload));
    reload->message.kind = MESSAGE_RELOAD;
    reload->message.bytes = sizeof(*reload);
    reload->settings = *settings;
    reload->taken = &taken;
    post_and_wait(self, &reload->message, &taken);
}

void worker_use_certificate(worker_t *self, const tls_credentials_t *credentials) {
    uv_sem_t taken;
    struct certificate_message *message = memory_alloc_zero(sizeof(*message));
    message->message.kind = MESSAGE_CERTIFICATE;
    message->message.bytes = sizeof(*message);
    message->credentials = credentials;
    message->taken = &taken;
    post_and_wait(self, &message->message, &taken);
}

void worker_use_trust(worker_t *self, token_trust_t *trust) {
    struct trust_message *message = memory_alloc_zero(sizeof(*message));
    message->message.kind = MESSAGE_TRUST;
    message->message.bytes = sizeof(*message);
    message->trust = token_trust_ref(trust);
    post(self, &message->message);
}

void worker_drain(worker_t *self) {
    struct actor_message *message = memory_alloc_zero(sizeof(*message));
    message->kind = MESSAGE_DRAIN;
    message->bytes = sizeof(*message);
    post(self, message);
}

void worker_stop(worker_t *self) {
    actor_stop(self->actor, STOP_DEADLINE_MS);
}

void worker_destroy(worker_t **self_p) {
    worker_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    actor_destroy(&self->actor, STOP_DEADLINE_MS);
    free_worker(self);
}
