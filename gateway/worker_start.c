/* A worker's parts: what they ask it, how they begin and in which order they end.
 *
 * The end, in the order of who uses whom: listener, HTTP API, WebSockets with their sessions, hub, links to the
 * brokers, timers. Failures at the start (port in use, keys unreadable) come back through the actor with their reason;
 * after it, each part deals with its own. */
#include "gateway/worker_parts.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/memory_guard.h"
#include "gateway/transport/websocket_frame.h"

enum {
    WHEEL_TICK_MS = 20,
    CHANNELS_BYTES_MAX = 1024 * 1024, /* names of one answer: the frame's own bound */
};

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
    worker_publish_figures(self);
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
        .on_emulated = worker_on_emulated,
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
    worker_apply_trust(self, token_trust_ref(self->options.trust));
    self->hub = hub_new(self->brokers, self->options.metrics, self->wheel, &self->sessions.to_hub);
    self->sessions.hub = self->hub;
    const struct user_places_options places = {
        .brokers = self->brokers, .users = self->sessions.user_count, .metrics = self->options.metrics};
    self->user_places = user_places_new(&places);
    self->sessions.user_places = self->user_places;
    const struct event_feed_options events = {.config = self->options.settings.config,
                                              .brokers = self->brokers,
                                              .wheel = self->wheel,
                                              .metrics = self->options.metrics,
                                              .boot_nonce = self->options.boot_nonce,
                                              .worker = self->options.index};
    self->events = event_feed_new(&events);
    self->sessions.events = self->events;
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
        .forward = worker_forward_post,
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
    self->sessions.refuses_tokens =
        atomic_load(&self->options.totals->refuses_tokens); /* not only from the first tick on */
    self->websockets.sources = self->options.sources;
    self->websockets.on_http = on_http;
    self->websockets.http_context = self;
    worker_apply_settings(self, &self->options.settings);
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
    worker_judge_revocations(self); /* the first worker starts before the others */
}

static void start_by_hand(worker_t *self) {
    const struct worker_settings *settings = &self->options.settings;
    const struct http_api_service service = {
        .config = settings->config,
        .namespaces = settings->namespaces,
        .brokers = self->brokers,
        .wheel = self->wheel,
        .revocations = self->revocations,
        .refuses_publications = &self->sessions.refuses_publications,
        .read_figures = read_http_api_figures,
        .context = self,
    };
    if (self->options.index == 0 && settings->config->internal_operations != 0) {
        self->by_hand = http_api_by_hand_new(&service, self->options.metrics);
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
    event_feed_destroy(&self->events);
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

void worker_on_stop(void *context) {
    worker_t *self = context;
    uv_timer_stop(&self->tick);
    listener_close(&self->listener, NULL, NULL);
    http_api_by_hand_destroy(&self->by_hand);
    http_api_close(&self->http_api, on_http_api_closed, self);
}

bool worker_on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
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
    start_by_hand(self);
    if (!start_websockets(self, ret_error, error_size) || !start_http_api(self, ret_error, error_size) ||
        !start_listener(self, ret_error, error_size)) {
        worker_on_stop(self);
        return false;
    }
    uv_timer_start(&self->tick, worker_on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
    worker_publish_figures(self);
    return true;
}
