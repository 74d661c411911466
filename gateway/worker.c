/* The turn: what libuv brings (sockets, ZeroMQ, timers, the inbox) is worked through; sessions that have something to
 * send become dirty, frames to brokers gather in batches. At its end, on_flush: one write for each dirty session, then
 * lws is woken if a connection is to be cut; the links flush their batches by themselves.
 *
 *   WAITING ──drain──▶ DELAY (serving, not ready) ──drain.delay──▶ CLOSING (no new ones; sessions close with 3001,
 *       in random order, evenly over drain.window) ──nobody left, or the window is over──▶ LEAVING (the last bytes, and
 *       the peers' answers to close frames) ──nobody left, or 5 s──▶ DONE
 *
 * The end, in the order of who uses whom: listener, HTTP API, WebSockets with their sessions, hub, links to the
 * brokers, timers. Failures at the start (port in use, keys unreadable) come back through the actor with their reason;
 * after it, each part deals with its own. */
#include "gateway/worker.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "gateway/http_api/http_api.h"
#include "gateway/hub.h"
#include "gateway/memory_guard.h"
#include "gateway/revocation_feed.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/websocket_frame.h"

#include <stdio.h>

enum {
    WHEEL_TICK_MS = 20,
    FIGURES_INTERVAL_MS = 200,
    DRAIN_STEP_MS = 100,
    LEAVE_MS = 5000,
    STOP_DEADLINE_MS = 30000,
    CHANNELS_BYTES_MAX = 1024 * 1024, /* names of one answer: the frame's own bound */
};

enum worker_message {
    MESSAGE_RELOAD,
    MESSAGE_TRUST,
    MESSAGE_DRAIN,
    MESSAGE_EMULATE,  /* a client's message that came to another worker */
    MESSAGE_EMULATED, /* what became of it, back to that worker */
};
enum drain_state { DRAIN_WAITING, DRAIN_DELAY, DRAIN_CLOSING, DRAIN_LEAVING, DRAIN_DONE };

struct reload_message {
    struct actor_message message;
    struct worker_settings settings;
    uv_sem_t *taken;
};

struct emulate_message {
    struct actor_message message;
    uint32_t from; /* the worker that has the POST */
    uint64_t ticket;
    size_t session_size;
    size_t data_size;
    uint8_t bytes[]; /* session, data */
};

struct emulated_message {
    struct actor_message message;
    uint64_t ticket;
    bool delivered;
};

struct trust_message {
    struct actor_message message;
    token_trust_t *trust; /* a reference */
};

struct worker {
    struct worker_options options; /* as started; what a reload replaces is in `sessions` and `websockets` */
    actor_t *actor;

    /* The thread's. */
    uv_loop_t *loop;
    token_trust_t *trust; /* a reference; `sessions` borrows its parts */
    struct session_environment sessions;
    struct websocket_service websockets;
    http_streams_t *streams;
    revocation_feed_t *revocations; /* of the first worker */
    user_places_t *user_places;
    http_api_t *http_api; /* of the first worker, where it has keys */
    listener_t *listener;
    int port;
    timer_wheel_t *wheel;
    uv_timer_t tick;
    hub_t *hub;
    broker_requests_t *brokers;
    metric_values_t *session_metrics;
    metric_values_t *websocket_metrics;
    metric_values_t *tls_metrics;
    metric_values_t *stream_metrics;
    metric_values_t *memory_metrics;
    uint64_t memory_max;
    uint64_t started_ms;
    uint64_t figures_due_ms;
    enum drain_state drain;
    uint64_t drain_due_ms;  /* of the next step */
    uint64_t drain_ends_ms; /* the window is over, or nobody is waited for any more */

    /* Seen by others: copied a few times a second, and read, under the mutex. Nothing waits long for it. */
    uv_mutex_t figures_mutex;
    struct worker_figures figures;
};

/* --- figures --- */

static void publish_figures(worker_t *self) {
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

/* --- draining --- */

static void begin_drain(worker_t *self) {
    if (self->drain != DRAIN_WAITING) {
        return;
    }
    self->drain = DRAIN_DELAY;
    self->drain_due_ms = clock_monotonic_ms() + (uint64_t) self->options.settings.config->drain_delay_ms;
    broker_requests_set_draining(self->brokers, true);
}

static void begin_closing(worker_t *self, uint64_t now_ms) {
    self->drain = DRAIN_CLOSING;
    self->drain_due_ms = now_ms;
    self->drain_ends_ms = now_ms + (uint64_t) self->options.settings.config->drain_window_ms;
    self->websockets.is_draining = true;
    http_streams_set_draining(self->streams);
    session_shuffle(&self->sessions);
    listener_close(&self->listener, NULL, NULL);
}

static uint32_t open_connections(const worker_t *self) {
    return self->websockets.connections + http_streams_count(self->streams);
}

/* Whatever came meanwhile goes, too: a request that was under way when the listener closed. */
static void leave(worker_t *self, uint64_t now_ms) {
    session_drain_some(&self->sessions, SIZE_MAX);
    if (open_connections(self) == 0 || now_ms >= self->drain_ends_ms) {
        self->drain = DRAIN_DONE;
        publish_figures(self);
    }
}

/* As many as make the rest go evenly over what is left of the window. */
static void close_some(worker_t *self, uint64_t now_ms) {
    if (open_connections(self) == 0 || now_ms >= self->drain_ends_ms) {
        self->drain = DRAIN_LEAVING;
        self->drain_ends_ms = now_ms + LEAVE_MS;
        leave(self, now_ms);
        return;
    }
    uint64_t steps = (self->drain_ends_ms - now_ms + DRAIN_STEP_MS - 1) / DRAIN_STEP_MS;
    session_drain_some(&self->sessions, (size_t) ((open_connections(self) + steps - 1) / steps));
    self->drain_due_ms = now_ms + DRAIN_STEP_MS;
}

static void advance_drain(worker_t *self, uint64_t now_ms) {
    if (now_ms < self->drain_due_ms) {
        return;
    }
    switch (self->drain) {
    case DRAIN_DELAY:
        begin_closing(self, now_ms);
        break;
    case DRAIN_CLOSING:
        close_some(self, now_ms);
        break;
    case DRAIN_LEAVING:
        leave(self, now_ms);
        break;
    case DRAIN_WAITING:
    case DRAIN_DONE:
        break;
    }
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

/* --- the turn --- */

static void on_tick(uv_timer_t *timer) {
    worker_t *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    timer_wheel_advance(self->wheel, now_ms);
    advance_drain(self, now_ms);
    if (now_ms >= self->figures_due_ms) {
        self->figures_due_ms = now_ms + FIGURES_INTERVAL_MS;
        publish_figures(self);
        session_environment_show(&self->sessions);
        guard_memory(self);
    }
}

static void on_flush(void *context) {
    worker_t *self = context;
    session_flush_dirty(&self->sessions);
    websocket_service_flush(&self->websockets);
}

static void use_settings(worker_t *self, const struct worker_settings *settings) {
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
    user_places_configure(self->user_places, settings->config->connections_per_user);
    http_api_configure(self->http_api, settings->config, settings->namespaces);
}

/* Between two messages nobody walks the hub, so subscriptions may end here. */
static void reload(worker_t *self, const struct worker_settings *settings) {
    bool lacks_some = namespace_set_lacks(settings->namespaces, self->sessions.namespaces);
    use_settings(self, settings);
    broker_requests_set_config_hash(self->brokers, namespace_set_hash(settings->namespaces));
    if (lacks_some) {
        session_end_unserved(&self->sessions);
    }
}

/* --- messages of clients whose POST came to another worker than their stream --- */

static bool forward_post(void *context, const struct emulation_post *post) {
    worker_t *self = context;
    size_t size = sizeof(struct emulate_message) + post->session.size + post->data.size;
    struct emulate_message *emulate = memory_alloc_zero(size);
    emulate->message.kind = MESSAGE_EMULATE;
    emulate->message.bytes = size;
    emulate->from = self->options.index;
    emulate->ticket = post->ticket;
    emulate->session_size = post->session.size;
    emulate->data_size = post->data.size;
    memcpy(emulate->bytes, post->session.data, post->session.size);
    memcpy(emulate->bytes + post->session.size, post->data.data, post->data.size);
    struct actor_message *message = &emulate->message;
    bool is_taken = self->options.to_worker(self->options.context, post->worker, &message);
    memory_free(message);
    return is_taken;
}

static bool on_emulated(void *context, struct span session, struct span data) {
    worker_t *self = context;
    return http_streams_emulate(self->streams, session, data);
}

static void emulate(worker_t *self, const struct emulate_message *emulate) {
    struct emulated_message *answer = memory_alloc_zero(sizeof(*answer));
    answer->message.kind = MESSAGE_EMULATED;
    answer->message.bytes = sizeof(*answer);
    answer->ticket = emulate->ticket;
    answer->delivered = http_streams_emulate(self->streams, span_of(emulate->bytes, emulate->session_size),
                                             span_of(emulate->bytes + emulate->session_size, emulate->data_size));
    struct actor_message *message = &answer->message;
    self->options.to_worker(self->options.context, emulate->from, &message);
    memory_free(message); /* not taken: the POST ends by its own deadline */
}

/* Takes the reference. Between two messages nobody walks the hub, so sessions may end here. */
static void use_trust(worker_t *self, token_trust_t *trust) {
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
    case MESSAGE_RELOAD: {
        struct reload_message *request = (struct reload_message *) message;
        reload(self, &request->settings);
        uv_sem_post(request->taken);
        break;
    }
    case MESSAGE_TRUST:
        use_trust(self, ((struct trust_message *) message)->trust);
        break;
    case MESSAGE_DRAIN:
        begin_drain(self);
        break;
    case MESSAGE_EMULATE:
        emulate(self, (const struct emulate_message *) message);
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
    check(message->kind != MESSAGE_RELOAD, "a reload is waited for, and nobody stops a worker meanwhile");
    if (message->kind == MESSAGE_TRUST) {
        token_trust_unref(&((struct trust_message *) message)->trust);
    }
    memory_free(message);
}

/* --- what the links ask --- */

static void list_channels(worker_t *self, const struct wire_command *command, struct wire_commanded *ret_answer,
                          struct buffer *bytes) {
    bytes->limit = CHANNELS_BYTES_MAX;
    if (!hub_list_channels(self->hub, command->channel, command->limit, bytes, &ret_answer->n)) {
        ret_answer->error = ERROR_LIMIT_EXCEEDED;
        buffer_finish(bytes);
    }
}

static void list_connections(worker_t *self, const struct wire_command *command, struct wire_commanded *ret_answer,
                             struct buffer *bytes) {
    bytes->limit = CHANNELS_BYTES_MAX;
    ret_answer->error = (uint16_t) session_list_connections(&self->sessions, command, bytes, &ret_answer->n);
    if (ret_answer->error != ERROR_NONE) {
        buffer_finish(bytes);
    }
}

/* Frames come between two turns of the hub: nobody walks its members. */
static void on_broker_command(void *context, const struct wire_command *command, struct wire_commanded *ret_answer,
                              struct buffer *bytes) {
    worker_t *self = context;
    ret_answer->n_workers = self->options.n_workers;
    if (command->action == WIRE_COMMAND_CHANNELS) {
        list_channels(self, command, ret_answer, bytes);
    } else if (command->action == WIRE_COMMAND_CONNECTIONS) {
        list_connections(self, command, ret_answer, bytes);
    } else {
        ret_answer->error = (uint16_t) session_carry_out(&self->sessions, command, &ret_answer->n);
    }
}

static void on_mode_change(void *context, enum wire_mode mode) {
    worker_t *self = context;
    log_info("brokers_mode", log_u64("worker", self->options.index),
             log_text("mode", mode == WIRE_MODE_REDIS    ? "redis"
                              : mode == WIRE_MODE_MEMORY ? "memory"
                                                         : "none"));
    publish_figures(self);
}

static void read_process_figures(void *context, struct broker_beat_figures *ret_figures) {
    worker_t *self = context;
    self->options.process_figures(self->options.context, ret_figures);
}

static int on_http(void *context, struct lws *wsi, const char *path) {
    worker_t *self = context;
    return http_endpoints_answer_public(self->options.endpoints, wsi, path);
}

/* --- start, on the thread --- */

static bool start_brokers(worker_t *self, char *ret_error, size_t error_size) {
    const struct worker_settings *settings = &self->options.settings;
    const struct broker_requests_settings brokers = {
        .loop = self->loop,
        .zmq_context = self->options.zmq_context,
        .wheel = self->wheel,
        .metrics = self->options.metrics,
        .config = settings->config,
        .worker = self->options.index,
        .boot_nonce = self->options.boot_nonce,
        .config_hash = namespace_set_hash(settings->namespaces),
        .context = self,
        .on_command = on_broker_command,
        .on_emulated = on_emulated,
        .on_mode_change = on_mode_change,
        .figures = read_process_figures,
    };
    self->brokers = broker_requests_new(&brokers, ret_error, error_size);
    return self->brokers != NULL;
}

static void start_sessions(worker_t *self) {
    session_environment_init(&self->sessions, websocket_frame_message);
    self->sessions.to_hub.frame_compressed = websocket_frame_publication;
    self->sessions.to_hub.frame_context = &self->websockets;
    quota_init(&self->sessions.outbox_budget, self->options.settings.outbox_bytes, NULL);
    self->session_metrics = metric_values_new(self->options.metrics, session_metric_table, session_metric_count);
    self->sessions.metrics = self->session_metrics;
    self->sessions.user_limits = self->options.user_limits;
    self->sessions.wheel = self->wheel;
    self->sessions.brokers = self->brokers;
    self->sessions.on_key_awaited = self->options.on_key_awaited;
    self->sessions.token_context = self->options.token_context;
    use_trust(self, token_trust_ref(self->options.trust));
    self->hub = hub_new(self->brokers, self->options.metrics, self->wheel, &self->sessions.to_hub);
    self->sessions.hub = self->hub;
    const struct user_places_options places = {
        .brokers = self->brokers, .users = self->sessions.user_count, .metrics = self->options.metrics};
    self->user_places = user_places_new(&places);
    self->sessions.user_places = self->user_places;
}

static void start_streams(worker_t *self) {
    self->stream_metrics = metric_values_new(self->options.metrics, http_stream_metric_table, HTTP_STREAM_METRICS);
    const struct http_streams_options options = {
        .sessions = &self->sessions,
        .wheel = self->wheel,
        .metrics = self->stream_metrics,
        .worker = self->options.index,
        .n_workers = self->options.n_workers,
        .node = self->options.settings.config->id,
        .brokers = self->brokers,
        .forward = forward_post,
        .context = self,
    };
    self->streams = http_streams_new(&options);
    self->websockets.streams = self->streams;
}

static bool start_websockets(worker_t *self, char *ret_error, size_t error_size) {
    self->websocket_metrics = metric_values_new(self->options.metrics, websocket_metric_table, WEBSOCKET_METRICS);
    self->memory_metrics = metric_values_new(self->options.metrics, memory_metric_table, MEMORY_METRICS);
    self->tls_metrics = metric_values_new(self->options.metrics, tls_metric_table, TLS_METRICS);
    self->websockets.tls.metrics = self->tls_metrics;
    self->websockets.tls.only_tls_1_3 = self->options.settings.config->tls_minimum == GATEWAY_TLS_1_3;
    self->websockets.sessions = &self->sessions;
    self->websockets.wheel = self->wheel;
    self->websockets.metrics = self->websocket_metrics;
    self->websockets.totals = self->options.totals;
    self->websockets.sources = self->options.sources;
    self->websockets.on_http = on_http;
    self->websockets.http_context = self;
    use_settings(self, &self->options.settings);
    return websocket_service_start(&self->websockets, self->loop, ret_error, error_size);
}

static void read_http_api_figures(void *context, struct http_api_figures *ret_figures) {
    worker_t *self = context;
    struct broker_beat_figures process = {0};
    read_process_figures(self, &process);
    *ret_figures = (struct http_api_figures){
        .id = self->options.settings.config->id,
        .connections = process.connections,
        .users = process.users,
        .channels = (uint64_t) metrics_read(self->options.metrics, "callboard_gateway_channels", NULL),
        .subscriptions = (uint64_t) metrics_read(self->options.metrics, "callboard_gateway_subscriptions", NULL),
        .uptime_s = (clock_monotonic_ms() - self->started_ms) / 1000,
    };
}

static void start_revocations(worker_t *self) {
    const struct revocation_feed_options options = {
        .config = self->options.settings.config,
        .brokers = self->brokers,
        .wheel = self->wheel,
        .metrics = self->options.metrics,
        .context = self->options.token_context,
        .on_change = self->options.on_revocations,
    };
    if (self->options.index == 0) {
        self->revocations = revocation_feed_new(&options);
    }
}

/* One worker serves it for all: it reaches every broker, and so everybody. */
static bool start_http_api(worker_t *self, char *ret_error, size_t error_size) {
    const struct worker_settings *settings = &self->options.settings;
    self->started_ms = clock_monotonic_ms();
    if (self->options.index != 0 || settings->config->http_api_keys.n == 0) {
        return true;
    }
    const struct http_api_options options = {
        .loop = self->loop,
        .config = settings->config,
        .namespaces = settings->namespaces,
        .brokers = self->brokers,
        .revocations = self->revocations,
        .wheel = self->wheel,
        .metrics = self->options.metrics,
        .refuses_publications = &self->sessions.refuses_publications,
        .read_figures = read_http_api_figures,
        .context = self,
    };
    self->http_api = http_api_new(&options, ret_error, error_size);
    return self->http_api != NULL;
}

static bool start_listener(worker_t *self, char *ret_error, size_t error_size) {
    const struct listener_options options = {
        .address = self->options.settings.config->http_address,
        .port = self->options.port,
        .websockets = &self->websockets,
        .sockets_max = self->options.sockets_max,
        .metrics = self->options.metrics,
    };
    self->listener = listener_new(self->loop, &options, ret_error, error_size);
    if (self->listener == NULL) {
        return false;
    }
    self->port = listener_port(self->listener);
    return true;
}

/* --- end, on the thread: each step when the one before it has left the loop --- */

static void on_brokers_closed(void *context) {
    worker_t *self = context;
    uv_close((uv_handle_t *) &self->tick, NULL);
}

static void on_websockets_closed(void *context) {
    worker_t *self = context;
    revocation_feed_destroy(&self->revocations);
    http_streams_destroy(&self->streams);
    user_places_destroy(&self->user_places);
    hub_destroy(&self->hub);
    if (self->brokers == NULL) {
        on_brokers_closed(self);
        return;
    }
    broker_requests_close(&self->brokers, on_brokers_closed, self);
}

static void on_http_api_closed(void *context) {
    worker_t *self = context;
    websocket_service_close(&self->websockets, self->loop, on_websockets_closed, self);
}

static void on_stop(void *context) {
    worker_t *self = context;
    uv_timer_stop(&self->tick);
    listener_close(&self->listener, NULL, NULL);
    http_api_close(&self->http_api, on_http_api_closed, self);
}

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    worker_t *self = context;
    self->loop = actor_loop(actor);
    self->wheel = timer_wheel_new(clock_monotonic_ms(), WHEEL_TICK_MS);
    uv_timer_init(self->loop, &self->tick);
    self->tick.data = self;
    if (!start_brokers(self, ret_error, error_size)) {
        uv_close((uv_handle_t *) &self->tick, NULL);
        return false;
    }
    start_sessions(self);
    start_streams(self);
    start_revocations(self);
    if (!start_websockets(self, ret_error, error_size) || !start_http_api(self, ret_error, error_size) ||
        !start_listener(self, ret_error, error_size)) {
        on_stop(self);
        return false;
    }
    uv_timer_start(&self->tick, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
    publish_figures(self);
    return true;
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
        .on_start = on_start,
        .on_message = on_message,
        .on_flush = on_flush,
        .on_stop = on_stop,
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

void worker_reload(worker_t *self, const struct worker_settings *settings) {
    uv_sem_t taken;
    check(uv_sem_init(&taken, 0) == 0, "a semaphore");
    struct reload_message *reload = memory_alloc_zero(sizeof(*reload));
    reload->message.kind = MESSAGE_RELOAD;
    reload->message.bytes = sizeof(*reload);
    reload->settings = *settings;
    reload->taken = &taken;
    post(self, &reload->message);
    uv_sem_wait(&taken);
    uv_sem_destroy(&taken);
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
