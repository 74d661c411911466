/* Clocks: the kernel's, or a test's. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

static uint64_t half_past(void) {
    return 1234567;
}

static int64_t the_epoch(void) {
    return -5;
}

static void the_monotonic_clock_never_goes_back(void **state) {
    (void) state;
    uint64_t last = clock_monotonic_us();
    assert_true(last > 0);
    for (int i = 0; i < 100000; i++) {
        uint64_t now = clock_monotonic_us();
        assert_true(now >= last);
        last = now;
    }
}

static void milliseconds_are_a_thousand_microseconds(void **state) {
    (void) state;
    uint64_t before_us = clock_monotonic_us();
    uint64_t ms = clock_monotonic_ms();
    uint64_t after_us = clock_monotonic_us();
    assert_true(before_us / 1000 <= ms && ms <= after_us / 1000);
}

static void the_wall_clock_is_the_time_of_day(void **state) {
    (void) state;
    int64_t before = (int64_t) time(NULL);
    int64_t ms = clock_wall_ms();
    assert_true(ms / 1000 >= before - 1 && ms / 1000 <= (int64_t) time(NULL) + 1);
}

static void a_test_may_put_its_own_clocks_and_take_them_back(void **state) {
    (void) state;
    clock_replace(half_past, the_epoch);
    assert_int_equal(clock_monotonic_us(), 1234567);
    assert_int_equal(clock_monotonic_ms(), 1234);
    assert_true(clock_wall_ms() == -5);
    clock_replace(NULL, NULL);
    assert_true(clock_wall_ms() > 1600000000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(milliseconds_are_a_thousand_microseconds),
        cmocka_unit_test(the_wall_clock_is_the_time_of_day),
        cmocka_unit_test(a_test_may_put_its_own_clocks_and_take_them_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
