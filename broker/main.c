/* callboard-broker: a broker, its internal HTTP port, and the signals. What every program does alike is base/program.
 *
 *   start: broker listens → HTTP listens → ready line
 *   SIGTERM: DRAIN to the gateways, not ready → they take their subscriptions elsewhere, at most drain.window → end */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/program.h"
#include "broker/admin_http.h"
#include "broker/broker.h"

#include <zmq.h>

enum { WATCH_MS = 20 };

struct main {
    program_t *program;
    const struct broker_config *config;
    void *zmq_context;
    metrics_t *metrics;
    broker_t *broker;
    admin_http_t *http;
    uv_timer_t watch;        /* while draining */
    uv_timer_t reload_watch; /* while a reload is under way */
    uint64_t drain_until_ms;
};

static void apply_log(const struct broker_config *config) {
    log_set_level((enum log_level) config->log_level);
    log_set_rate((unsigned) config->log_rate);
}

/* ---- ending ---- */

static void finish(struct main *self) {
    broker_destroy(&self->broker);
    program_set_metrics(self->program, NULL);
    metrics_destroy(&self->metrics);
    if (self->zmq_context != NULL) {
        zmq_ctx_term(self->zmq_context);
        self->zmq_context = NULL;
    }
}

static void on_http_closed(void *context) {
    struct main *self = context;
    bool clean = broker_is_drained(self->broker);
    finish(self);
    if (!clean) {
        log_warning("drain_incomplete", log_u64("window_ms", (uint64_t) self->config->drain_window_ms));
    }
    program_stopped(self->program, true);
}

static void on_watch(uv_timer_t *timer) {
    struct main *self = timer->data;
    if (!broker_is_drained(self->broker) && clock_monotonic_ms() < self->drain_until_ms) {
        return;
    }
    uv_close((uv_handle_t *) &self->watch, NULL);
    uv_close((uv_handle_t *) &self->reload_watch, NULL);
    admin_http_close(&self->http, on_http_closed, self);
}

static void stop(void *context) {
    struct main *self = context;
    self->drain_until_ms = clock_monotonic_ms() + (uint64_t) self->config->drain_window_ms;
    broker_drain(self->broker);
    uv_timer_init(program_loop(self->program), &self->watch);
    self->watch.data = self;
    uv_timer_start(&self->watch, on_watch, WATCH_MS, WATCH_MS);
}

/* ---- running ---- */

static void on_reload_watch(uv_timer_t *timer) {
    struct main *self = timer->data;
    if (broker_finish_reload(self->broker)) {
        uv_timer_stop(&self->reload_watch);
        program_reloaded(self->program);
    }
}

static void reload(void *context, void *const *configs) {
    struct main *self = context;
    apply_log(configs[0]);
    broker_reload(self->broker, configs[0]);
    uv_timer_start(&self->reload_watch, on_reload_watch, WATCH_MS, WATCH_MS);
}

static bool start(void *context, program_t *program, void *const *configs, char *ret_error, size_t error_size) {
    struct main *self = context;
    self->program = program;
    self->config = configs[0];
    apply_log(self->config);
    self->zmq_context = zmq_ctx_new();
    self->metrics = metrics_new();
    program_set_metrics(program, self->metrics);
    struct broker_options options = {
        .config = self->config, .zmq_context = self->zmq_context, .metrics = self->metrics};
    self->broker = broker_new(&options, ret_error, error_size);
    if (self->broker != NULL) {
        self->http =
            admin_http_new(program_loop(program), self->config, self->broker, self->metrics, ret_error, error_size);
    }
    if (self->http == NULL) {
        finish(self);
        return false;
    }
    uv_timer_init(program_loop(program), &self->reload_watch);
    self->reload_watch.data = self;
    struct broker_status status;
    broker_read_status(self->broker, &status);
    log_set_context("broker", status.id);
    program_ready(program, "gateways %s, http %s:%d", broker_endpoint(self->broker), self->config->internal_address,
                  admin_http_port(self->http));
    return true;
}

int main(int argc, char **argv) {
    static const struct config_table *const tables[] = {&broker_config_table};
    static const struct program_shortcut shortcuts[] = {
        {"--redis", "URL", "redis.url", "Keep channels in this Redis instead of memory."},
    };
    static const struct program_alias aliases[] = {{"REDIS_URL", "CALLBOARD_REDIS_URL"}};
    static const struct program_description description = {
        .name = "callboard-broker",
        .summary = "Owns channels: takes publications, keeps their history, hands them to gateways.",
        .tables = tables,
        .n_tables = 1,
        .shortcuts = shortcuts,
        .n_shortcuts = 1,
        .aliases = aliases,
        .n_aliases = 1,
        .start = start,
        .reload = reload,
        .stop = stop,
    };
    struct main self = {.program = NULL};
    return program_run(&description, &self, argc, argv);
}
