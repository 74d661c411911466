/* callboard: the appliance. Gateway and broker as objects of one process, linked over inproc; channels in memory, or in
 * Redis where --redis or REDIS_URL says so. One file of settings, one registry of metrics, one internal HTTP port.
 *
 *   start:  broker (its inproc endpoint) → gateway (its workers link to it) → internal HTTP
 *   stop:   gateway drains, sessions leave → broker drains → internal HTTP closes → gateway, broker end
 *
 * Failure modes: what cannot start says which setting to mend, takes down what was started, and the program ends
 * with 1. What has not drained within its window is cut off, told in the log, and makes the exit code 1. */
#include "base/admin_page.h"
#include "base/check.h"
#include "base/http_service.h"
#include "base/log.h"
#include "base/program.h"
#include "broker/admin_http.h"
#include "broker/broker.h"
#include "gateway/gateway.h"

#include <stdio.h>
#include <zmq.h>

#define INPROC_ENDPOINT "inproc://callboard-broker"

enum { POLL_MS = 20, ENDPOINTS_MAX = 16 };

struct appliance {
    program_t *program;
    const struct gateway_config *gateway_config;
    const struct broker_config *broker_config;
    void *zmq_context;
    metrics_t *metrics;
    broker_t *broker;
    gateway_t *gateway;
    http_service_t *internal;
    struct http_endpoint endpoints[ENDPOINTS_MAX]; /* the gateway's, and the broker's under /broker */
    uv_timer_t reload_poll;
    uv_timer_t drain_poll;
    uint64_t drain_deadline_ms; /* of the loop's clock */
    bool is_broker_draining;
};

/* ---- start ---- */

static bool start_broker(struct appliance *self, char *ret_error, size_t error_size) {
    const struct broker_options options = {.config = self->broker_config,
                                           .zmq_context = self->zmq_context,
                                           .metrics = self->metrics,
                                           .inproc_endpoint = INPROC_ENDPOINT,
                                           .no_endpoint = true};
    self->broker = broker_new(&options, ret_error, error_size);
    return self->broker != NULL;
}

static bool start_gateway(struct appliance *self, char *ret_error, size_t error_size) {
    const struct gateway_options options = {.config = self->gateway_config,
                                            .zmq_context = self->zmq_context,
                                            .metrics = self->metrics,
                                            .raw_endpoint = true};
    self->gateway = gateway_new(&options, ret_error, error_size);
    return self->gateway != NULL;
}

static void on_broker_info(void *context, struct http_answer *answer) {
    const struct appliance *self = context;
    answer->content_type = "application/json";
    admin_http_append_info(self->broker, &answer->body);
}

static size_t collect_endpoints(struct appliance *self) {
    size_t n;
    const struct http_endpoint *gateway = gateway_endpoints(self->gateway, &n);
    check(n < ENDPOINTS_MAX, "%zu endpoints", n);
    memcpy(self->endpoints, gateway, n * sizeof *gateway);
    self->endpoints[n] = (struct http_endpoint){"/broker/info", on_broker_info, self, false};
    return n + 1;
}

static bool start_internal(struct appliance *self, char *ret_error, size_t error_size) {
    struct http_service_options options = {.address = self->gateway_config->internal_address,
                                           .port = (int) self->gateway_config->internal_port,
                                           .bearer_token = self->gateway_config->internal_token,
                                           .metrics = self->metrics};
    if (self->gateway_config->internal_admin) {
        options.pages = admin_page_endpoints(&options.n_pages, ret_error, error_size);
        if (options.pages == NULL) {
            return false;
        }
    }
    options.endpoints = self->endpoints;
    options.n_endpoints = collect_endpoints(self);
    options.calls = gateway_calls(self->gateway);
    self->internal = http_service_new(program_loop(self->program), &options, ret_error, error_size);
    return self->internal != NULL;
}

static void finish(struct appliance *self) {
    gateway_destroy(&self->gateway);
    broker_destroy(&self->broker);
    program_set_metrics(self->program, NULL);
    metrics_destroy(&self->metrics);
    zmq_ctx_term(self->zmq_context);
}

static void apply_log_settings(const struct gateway_config *config) {
    log_set_level((enum log_level) config->log_level);
    log_set_rate((unsigned) config->log_rate);
}

static void tell_ready(const struct appliance *self) {
    const struct broker_config *broker = self->broker_config;
    struct broker_status status;
    broker_read_status(self->broker, &status);
    program_ready(
        self->program,
        "clients http%s://%s:%d, internal http://%s:%d, backends %s and %s, engine %s, %u workers, %u shards",
        gateway_speaks_tls(self->gateway) ? "s" : "", self->gateway_config->http_address, gateway_port(self->gateway),
        self->gateway_config->internal_address, http_service_port(self->internal),
        broker->backend_endpoint[0] == '\0' ? "off" : broker->backend_endpoint,
        broker->backend_pull_endpoint[0] == '\0' ? "off" : broker->backend_pull_endpoint,
        broker->redis_url[0] == '\0' ? "memory" : "redis", gateway_workers(self->gateway), broker_shards(self->broker));
}

static bool start(void *context, program_t *program, void *const *configs, char *ret_error, size_t error_size) {
    struct appliance *self = context;
    self->program = program;
    self->gateway_config = configs[0];
    self->broker_config = configs[1];
    self->zmq_context = zmq_ctx_new();
    self->metrics = metrics_new();
    program_set_metrics(program, self->metrics);
    apply_log_settings(self->gateway_config);
    if (!start_broker(self, ret_error, error_size) || !start_gateway(self, ret_error, error_size) ||
        !start_internal(self, ret_error, error_size)) {
        finish(self);
        return false;
    }
    uv_timer_init(program_loop(program), &self->reload_poll);
    uv_timer_init(program_loop(program), &self->drain_poll);
    self->reload_poll.data = self;
    self->drain_poll.data = self;
    tell_ready(self);
    return true;
}

/* ---- reload: the gateway takes it whole or refuses; then the broker, whose shards let go of the old one by turns ----
 */

static void on_reload_poll(uv_timer_t *timer) {
    struct appliance *self = timer->data;
    if (broker_finish_reload(self->broker)) {
        uv_timer_stop(timer);
        program_reloaded(self->program);
    }
}

static void reload(void *context, void *const *configs) {
    struct appliance *self = context;
    char error[PROGRAM_ERROR_SIZE] = "";
    if (!gateway_reload(self->gateway, configs[0], error, sizeof error)) {
        program_reload_refused(self->program, error);
        return;
    }
    apply_log_settings(configs[0]);
    broker_reload(self->broker, configs[1]);
    uv_timer_start(&self->reload_poll, on_reload_poll, 0, POLL_MS);
}

static void look(void *context) {
    gateway_look(((struct appliance *) context)->gateway);
}

/* ---- stop ---- */

static void on_internal_closed(void *context) {
    struct appliance *self = context;
    program_t *program = self->program;
    finish(self);
    program_stopped(program, true);
}

static void end(struct appliance *self) {
    uv_close((uv_handle_t *) &self->reload_poll, NULL);
    uv_close((uv_handle_t *) &self->drain_poll, NULL);
    http_service_close(&self->internal, on_internal_closed, self);
}

static void on_drain_poll(uv_timer_t *timer) {
    struct appliance *self = timer->data;
    bool is_late = uv_now(timer->loop) >= self->drain_deadline_ms;
    bool is_drained = self->is_broker_draining ? broker_is_drained(self->broker) : gateway_is_drained(self->gateway);
    if (!is_drained && !is_late) {
        return;
    }
    if (!is_drained) {
        log_warning("drain_cut_off", log_text("part", self->is_broker_draining ? "broker" : "gateway"));
    }
    if (self->is_broker_draining) {
        end(self);
        return;
    }
    self->is_broker_draining = true;
    self->drain_deadline_ms = uv_now(timer->loop) + (uint64_t) self->broker_config->drain_window_ms;
    broker_drain(self->broker);
}

static void stop(void *context) {
    struct appliance *self = context;
    gateway_drain(self->gateway);
    self->drain_deadline_ms = uv_now(program_loop(self->program)) + gateway_drain_ms(self->gateway);
    uv_timer_start(&self->drain_poll, on_drain_poll, 0, POLL_MS);
}

int main(int argc, char **argv) {
    static const struct config_table *const tables[] = {&gateway_config_table, &broker_config_table};
    static const struct program_shortcut shortcuts[] = {
        {"--redis", "URL", "redis.url", "keep channels in this Redis instead of in memory; also REDIS_URL"}};
    static const struct program_alias aliases[] = {{"REDIS_URL", "CALLBOARD_REDIS_URL"}};
    static const char *const fixed_settings[] = {"brokers.endpoints=" INPROC_ENDPOINT, NULL};
    static const struct program_description description = {
        .name = "callboard",
        .summary = "message broker appliance, gateway and broker in one process.",
        .tables = tables,
        .n_tables = sizeof tables / sizeof *tables,
        .shortcuts = shortcuts,
        .n_shortcuts = sizeof shortcuts / sizeof *shortcuts,
        .aliases = aliases,
        .n_aliases = sizeof aliases / sizeof *aliases,
        .fixed_settings = fixed_settings,
        .start = start,
        .reload = reload,
        .look = look,
        .stop = stop,
    };
    struct appliance self = {.program = NULL};
    return program_run(&description, &self, argc, argv);
}
