#include "tests/support/gateway_bench.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

static void on_tick(uv_timer_t *ticker) {
    struct gateway_bench *self = ticker->data;
    timer_wheel_advance(self->wheel, clock_monotonic_ms());
}

void gateway_bench_init(struct gateway_bench *self) {
    memset(self, 0, sizeof *self);
    uv_loop_init(&self->loop);
    self->zmq_context = zmq_ctx_new();
    self->wheel = timer_wheel_new(clock_monotonic_ms(), 5);
    self->metrics = metrics_new();
    uv_timer_init(&self->loop, &self->ticker);
    self->ticker.data = self;
    uv_timer_start(&self->ticker, on_tick, 5, 5);
    static char id[] = "gateway-under-test", none[] = "";
    self->config.id = id;
    self->config.resolve_interval_ms = 1000;
    self->config.heartbeat_ms = 100;
    self->config.heartbeat_timeout_ms = 1500;
    self->config.request_timeout_ms = 2000;
    self->config.move_grace_ms = 10000;
    self->config.departures_bytes_max = 4 << 20;
    self->config.curve_key_file = none;
    self->config.curve_broker_key = none;
    self->config.brokers.texts = self->endpoints;
}

void gateway_bench_add_endpoint(struct gateway_bench *self, const char *endpoint) {
    assert_true(self->config.brokers.n < GATEWAY_BENCH_ENDPOINTS_MAX);
    self->endpoints[self->config.brokers.n++] = (char *) (uintptr_t) endpoint;
}

static void on_command(void *context, const struct wire_command *command, struct wire_commanded *ret_answer,
                       struct buffer *bytes) {
    ret_answer->n = 3;
    buffer_append_span(bytes, command->channel); /* told back */
    struct gateway_bench *self = context;
    self->n_commands++;
    assert_true(command->user.size < sizeof self->command_user);
    memcpy(self->command_user, command->user.data, command->user.size);
    self->command_user[command->user.size] = '\0';
}

static void on_mode_change(void *context, enum wire_mode mode) {
    struct gateway_bench *self = context;
    self->mode = mode;
    self->n_mode_changes++;
}

static bool on_emulated(void *context, struct span session, struct span data) {
    struct gateway_bench *self = context;
    self->n_emulated_bytes += data.size;
    return span_equal_text(session, "00-here");
}

static void figures(void *context, struct broker_beat_figures *ret_figures) {
    *ret_figures = ((struct gateway_bench *) context)->figures;
}

void gateway_bench_start(struct gateway_bench *self) {
    char error[256] = "";
    self->requests = broker_requests_new(&(struct broker_requests_settings){.loop = &self->loop,
                                                                            .zmq_context = self->zmq_context,
                                                                            .wheel = self->wheel,
                                                                            .metrics = self->metrics,
                                                                            .config = &self->config,
                                                                            .worker = 3,
                                                                            .boot_nonce = 42,
                                                                            .config_hash = 7,
                                                                            .context = self,
                                                                            .on_command = on_command,
                                                                            .on_emulated = on_emulated,
                                                                            .on_mode_change = on_mode_change,
                                                                            .figures = figures},
                                         error, sizeof error);
    if (self->requests == NULL) {
        fail_msg("broker_requests_new: %s", error);
    }
}

static void on_requests_closed(void *context) {
    *(bool *) context = true;
}

void gateway_bench_finish(struct gateway_bench *self) {
    bool closed = false;
    broker_requests_close(&self->requests, on_requests_closed, &closed);
    while (!closed) {
        uv_run(&self->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *) &self->ticker, NULL);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&self->loop), 0);
    timer_wheel_destroy(&self->wheel);
    zmq_ctx_term(self->zmq_context);
    metrics_destroy(&self->metrics);
}

/* A millisecond's rest after turns in which nothing happens spares the machine, not the test's outcome. */
void gateway_bench_turn(void *bench) {
    struct gateway_bench *self = bench;
    if (uv_run(&self->loop, UV_RUN_NOWAIT) != 0) {
        usleep(300);
    }
}

int64_t gateway_bench_metric(struct gateway_bench *self, const char *name, const char *labels) {
    return metrics_read(self->metrics, name, labels);
}
