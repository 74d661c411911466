/* A loop with a timer wheel, a ZeroMQ context and broker_requests on it: what tests of the gateway's upper side stand
 * on. Thread: the test's. */
#ifndef CALLBOARD_TESTS_GATEWAY_BENCH_H
#define CALLBOARD_TESTS_GATEWAY_BENCH_H

#include "gateway/broker_requests.h"

enum { GATEWAY_BENCH_ENDPOINTS_MAX = 4 };

struct gateway_bench {
    uv_loop_t loop;
    void *zmq_context;
    timer_wheel_t *wheel;
    uv_timer_t ticker;
    metrics_t *metrics;
    struct gateway_config config;
    char *endpoints[GATEWAY_BENCH_ENDPOINTS_MAX];
    broker_requests_t *requests;
    enum wire_mode mode;     /* the last on_mode_change */
    size_t n_emulated_bytes; /* in messages for session "00-here", the only one, or any other */
    unsigned n_mode_changes;
    unsigned n_commands;
    char command_user[64];
    struct broker_beat_figures figures;
};

/* Loop, wheel, context; the broker keys of `config` have short times and may be changed before _start. */
void gateway_bench_init(struct gateway_bench *self);
void gateway_bench_add_endpoint(struct gateway_bench *self, const char *endpoint);
void gateway_bench_start(struct gateway_bench *self);
void gateway_bench_finish(struct gateway_bench *self); /* closes requests too; the hub is gone before */
/* One turn without waiting; for wire_broker_settings.turn, the context is the bench. */
void gateway_bench_turn(void *bench);
int64_t gateway_bench_metric(struct gateway_bench *self, const char *name, const char *labels);

#endif
