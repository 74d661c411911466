/* callboard-gateway: WebSockets in, batches to the brokers out. */
#include "base/admin_page.h"
#include "base/http_service.h"
#include "base/program.h"
#include "gateway/gateway.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum { DRAIN_POLL_MS = 50 };

struct gateway_program {
    program_t *program;
    const struct gateway_config *config;
    void *zmq_context;
    metrics_t *metrics;
    gateway_t *gateway;
    http_service_t *internal;
    uv_timer_t drain_poll;
    uint64_t drain_deadline_ms;
};

static bool start_internal(struct gateway_program *self, char *ret_error, size_t error_size) {
    struct http_service_options options = {
        .address = self->config->internal_address,
        .port = (int) self->config->internal_port,
        .bearer_token = self->config->internal_token,
        .metrics = self->metrics,
    };
    if (self->config->internal_admin) {
        options.pages = admin_page_endpoints(&options.n_pages, ret_error, error_size);
        if (options.pages == NULL) {
            return false;
        }
    }
    options.endpoints = gateway_endpoints(self->gateway, &options.n_endpoints);
    options.calls = gateway_calls(self->gateway);
    self->internal = http_service_new(program_loop(self->program), &options, ret_error, error_size);
    return self->internal != NULL;
}

static void finish(struct gateway_program *self) {
    gateway_destroy(&self->gateway);
    program_set_metrics(self->program, NULL);
    metrics_destroy(&self->metrics);
    zmq_ctx_term(self->zmq_context);
}

static bool start(void *context, program_t *program, void *const *configs, char *ret_error, size_t error_size) {
    struct gateway_program *self = context;
    self->program = program;
    self->config = configs[0];
    self->zmq_context = zmq_ctx_new();
    self->metrics = metrics_new();
    program_set_metrics(program, self->metrics);
    const struct gateway_options options = {
        .config = self->config, .zmq_context = self->zmq_context, .metrics = self->metrics};
    self->gateway = gateway_new(&options, ret_error, error_size);
    if (self->gateway == NULL || !start_internal(self, ret_error, error_size)) {
        finish(self);
        return false;
    }
    uv_timer_init(program_loop(program), &self->drain_poll);
    self->drain_poll.data = self;
    program_ready(program, "gateway %s: clients on %s port %d, internal on %s port %d, %u workers",
                  gateway_id(self->gateway), self->config->http_address, gateway_port(self->gateway),
                  self->config->internal_address, http_service_port(self->internal), gateway_workers(self->gateway));
    return true;
}

static void reload(void *context, void *const *configs) {
    struct gateway_program *self = context;
    char error[PROGRAM_ERROR_SIZE];
    if (!gateway_reload(self->gateway, configs[0], error, sizeof(error))) {
        program_reload_refused(self->program, error);
        return;
    }
    program_reloaded(self->program);
}

static void look(void *context) {
    gateway_look(((struct gateway_program *) context)->gateway);
}

static void on_internal_closed(void *context) {
    struct gateway_program *self = context;
    program_t *program = self->program;
    finish(self);
    program_stopped(program, true);
}

static void on_drain_poll(uv_timer_t *timer) {
    struct gateway_program *self = timer->data;
    if (!gateway_is_drained(self->gateway) && uv_now(timer->loop) < self->drain_deadline_ms) {
        return;
    }
    uv_close((uv_handle_t *) timer, NULL);
    http_service_close(&self->internal, on_internal_closed, self);
}

static void stop(void *context) {
    struct gateway_program *self = context;
    gateway_drain(self->gateway);
    self->drain_deadline_ms = uv_now(program_loop(self->program)) + gateway_drain_ms(self->gateway);
    uv_timer_start(&self->drain_poll, on_drain_poll, DRAIN_POLL_MS, DRAIN_POLL_MS);
}

int main(int argc, char **argv) {
    static const struct config_table *const tables[] = {&gateway_config_table};
    static const struct program_description description = {
        .name = "callboard-gateway",
        .summary = "WebSocket gateway of the Callboard message broker.",
        .tables = tables,
        .n_tables = 1,
        .start = start,
        .reload = reload,
        .look = look,
        .stop = stop,
    };
    struct gateway_program self = {0};
    return program_run(&description, &self, argc, argv);
}
