/* What a window lets through, and where quantiles lie within buckets. */
#include "base/metric_window.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4 };
static const uint64_t bounds[N - 1] = {100, 200, 400};

static void a_quantile_lies_in_its_bucket(void **state) {
    (void) state;
    const uint64_t even[N] = {10, 10, 0, 0};
    assert_float_equal(metric_window_quantile(0.25, even, bounds, N), 50, 0.001);
    assert_float_equal(metric_window_quantile(0.5, even, bounds, N), 100, 0.001);
    assert_float_equal(metric_window_quantile(0.75, even, bounds, N), 150, 0.001);
    const uint64_t gap[N] = {1, 0, 3, 0};
    assert_float_equal(metric_window_quantile(0.625, gap, bounds, N), 300, 0.001);
    const uint64_t beyond[N] = {1, 0, 0, 9};
    assert_float_equal(metric_window_quantile(0.99, beyond, bounds, N), 400, 0.001);
    const uint64_t nothing[N] = {0};
    assert_true(isnan(metric_window_quantile(0.5, nothing, bounds, N)));
}

static void what_is_older_than_two_moves_is_seen_no_more(void **state) {
    (void) state;
    struct metric_window window = {.moved_ms = 0};
    uint64_t recent[N];
    uint64_t now_ms = 1000;
    const uint64_t first[N] = {5, 0, 0, 0};
    const uint64_t second[N] = {5, 7, 0, 0};
    const uint64_t third[N] = {5, 7, 1, 0};
    metric_window_look(&window, first, N, now_ms, recent);
    assert_memory_equal(recent, first, sizeof first);
    metric_window_look(&window, second, N, now_ms += METRIC_WINDOW_MS, recent); /* moves: newer is second */
    assert_memory_equal(recent, second, sizeof second);
    metric_window_look(&window, third, N, now_ms + METRIC_WINDOW_MS - 1, recent);
    assert_memory_equal(recent, third, sizeof third);                          /* up to ten minutes */
    metric_window_look(&window, third, N, now_ms += METRIC_WINDOW_MS, recent); /* older is second now */
    const uint64_t expected[N] = {0, 0, 1, 0};
    assert_memory_equal(recent, expected, sizeof expected);
    metric_window_look(&window, third, N, now_ms += METRIC_WINDOW_MS, recent);
    const uint64_t nothing[N] = {0};
    assert_memory_equal(recent, nothing, sizeof nothing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quantile_lies_in_its_bucket),
        cmocka_unit_test(what_is_older_than_two_moves_is_seen_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
