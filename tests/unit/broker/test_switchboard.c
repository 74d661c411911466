/* The switchboard while its broker ends: the shards go before it does. */
#include "broker/switchboard_parts.h"

static unsigned n_judged;

static void count_judged(switchboard_t *self, struct switchboard_peer *peer, uint64_t now_ms);
#define switchboard_judge_peer count_judged
#include "broker/switchboard.c"
#undef switchboard_judge_peer

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void count_judged(switchboard_t *self, struct switchboard_peer *peer, uint64_t now_ms) {
    (void) self;
    (void) peer;
    (void) now_ms;
    n_judged++;
}

static void a_quiet_switchboard_looks_at_no_shard(void **state) {
    (void) state;
    metrics_t *metrics = metrics_new();
    struct switchboard_peer peer = {.number = 1};
    switchboard_t self = {.metrics = metric_values_new(metrics, switchboard_metric_rows, SWITCHBOARD_METRICS_COUNT)};
    uv_timer_t timer = {.data = &self};
    HASH_ADD(by_number, self.by_number, number, sizeof peer.number, &peer);
    self.tick_ms = clock_monotonic_ms();
    on_tick(&timer);
    assert_int_equal(n_judged, 1);
    self.quiet = true;
    self.tick_ms = clock_monotonic_ms();
    on_tick(&timer);
    assert_int_equal(n_judged, 1);
    HASH_CLEAR(by_number, self.by_number);
    metric_values_destroy(&self.metrics);
    metrics_destroy(&metrics);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_switchboard_looks_at_no_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
