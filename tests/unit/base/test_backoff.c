/* Delays double, spread over their window, and stay between floor and cap. */
#include "base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The largest and smallest first delay after `attempt` failures, over many tries. */
static void observe(struct backoff backoff, uint32_t *ret_min, uint32_t *ret_max) {
    *ret_min = UINT32_MAX;
    *ret_max = 0;
    for (int i = 0; i < 2000; i++) {
        struct backoff copy = backoff;
        uint32_t delay = backoff_next_ms(&copy);
        *ret_min = delay < *ret_min ? delay : *ret_min;
        *ret_max = delay > *ret_max ? delay : *ret_max;
    }
}

static void the_window_doubles_up_to_the_cap(void **state) {
    (void) state;
    static const uint32_t windows[] = {100, 200, 400, 800, 1000, 1000, 1000};
    struct backoff backoff;
    backoff_init(&backoff, 100, 1000, 0);
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        uint32_t min;
        uint32_t max;
        observe(backoff, &min, &max);
        assert_in_range(max, windows[i] * 9 / 10, windows[i]);
        assert_in_range(min, 0, windows[i] / 10);
        backoff_next_ms(&backoff);
    }
}

static void no_delay_is_below_the_floor(void **state) {
    (void) state;
    struct backoff backoff;
    backoff_init(&backoff, 100, 1000, 50);
    uint32_t min;
    uint32_t max;
    observe(backoff, &min, &max);
    assert_int_equal(min, 50);
    assert_true(max <= 100);
}

static void a_reset_begins_anew(void **state) {
    (void) state;
    struct backoff backoff;
    backoff_init(&backoff, 10, 100000, 0);
    for (int i = 0; i < 10; i++) {
        backoff_next_ms(&backoff);
    }
    backoff_reset(&backoff);
    for (int i = 0; i < 100; i++) {
        struct backoff copy = backoff;
        assert_true(backoff_next_ms(&copy) <= 10);
    }
}

static void very_many_attempts_do_not_overflow(void **state) {
    (void) state;
    struct backoff backoff;
    backoff_init(&backoff, UINT32_MAX, UINT32_MAX, 7);
    for (int i = 0; i < 200; i++) {
        assert_true(backoff_next_ms(&backoff) >= 7);
    }
    backoff.attempt = UINT32_MAX;
    backoff_next_ms(&backoff);
    assert_int_equal(backoff.attempt, UINT32_MAX);
    backoff_init(&backoff, 1000, 60000, 0);
    backoff.attempt = UINT32_MAX - 1;
    assert_true(backoff_next_ms(&backoff) <= 60000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_doubles_up_to_the_cap),
        cmocka_unit_test(no_delay_is_below_the_floor),
        cmocka_unit_test(a_reset_begins_anew),
        cmocka_unit_test(very_many_attempts_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
