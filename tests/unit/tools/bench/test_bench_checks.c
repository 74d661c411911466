/* The judge of what a subscriber got, the stamp in each payload, and who does what in a plan. */
#include "tools/bench/bench_plan.h"
#include "tools/bench/bench_stamp.h"
#include "tools/bench/sequence_check.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void in_order_all_are_taken(void **state) {
    (void) state;
    struct sequence_check check = {0, 0};
    for (uint64_t i = 1; i <= 1000; i++) {
        assert_int_equal(sequence_check_take(&check, i), SEQUENCE_TAKEN);
    }
}

static void what_comes_again_is_doubled(void **state) {
    (void) state;
    struct sequence_check check = {0, 0};
    for (uint64_t i = 1; i <= 1000; i++) {
        sequence_check_take(&check, i);
        for (uint64_t back = 0; back < i && back < 200; back += 7) {
            assert_int_equal(sequence_check_take(&check, i - back), SEQUENCE_DOUBLED);
        }
    }
}

static void what_comes_after_a_later_one_is_late_and_once(void **state) {
    (void) state;
    struct sequence_check check = {0, 0};
    assert_int_equal(sequence_check_take(&check, 1), SEQUENCE_TAKEN);
    assert_int_equal(sequence_check_take(&check, 64), SEQUENCE_TAKEN);
    assert_int_equal(sequence_check_take(&check, 1), SEQUENCE_DOUBLED);
    for (uint64_t i = 2; i < 64; i++) {
        assert_int_equal(sequence_check_take(&check, i), SEQUENCE_LATE);
        assert_int_equal(sequence_check_take(&check, i), SEQUENCE_DOUBLED);
    }
    assert_int_equal(sequence_check_take(&check, 200), SEQUENCE_TAKEN); /* a jump over the window */
    assert_int_equal(sequence_check_take(&check, 137), SEQUENCE_LATE);
    assert_int_equal(sequence_check_take(&check, 136), SEQUENCE_DOUBLED); /* 64 back: out of the window */
}

static void a_stamp_is_read_as_it_was_written(void **state) {
    (void) state;
    struct buffer text = BUFFER_EMPTY;
    for (unsigned i = 0; i < 2000; i++) {
        struct bench_stamp stamp = {(uint32_t) random_u64(), (uint32_t) random_u64(), random_u64() >> (16 + i % 40),
                                    random_u64() >> i % 60};
        struct bench_stamp read;
        size_t size = BENCH_SIZE_MIN + random_below(300);
        buffer_clear(&text);
        bench_stamp_append(&text, &stamp, size);
        assert_int_equal(text.size, size);
        const uint8_t *end = text.data + text.size;
        const uint8_t *next = bench_stamp_find(text.data, end, &read);
        assert_non_null(next);
        assert_null(bench_stamp_find(next, end, &(struct bench_stamp){0}));
        assert_int_equal(read.run, stamp.run);
        assert_int_equal(read.publisher, stamp.publisher);
        assert_true(read.number == stamp.number);
        assert_true(read.sent_ns == stamp.sent_ns);
    }
    buffer_finish(&text);
}

static void a_cut_stamp_is_none(void **state) {
    (void) state;
    struct buffer text = BUFFER_EMPTY;
    struct bench_stamp stamp = {1, 2, 3, 4};
    bench_stamp_append(&text, &stamp, BENCH_SIZE_MIN);
    for (size_t size = 0; size < 57; size++) {
        assert_null(bench_stamp_find(text.data, text.data + size, &stamp));
    }
    assert_non_null(bench_stamp_find(text.data, text.data + 57, &stamp));
    buffer_finish(&text);
}

/* Each channel has its subscribers, each publisher is one of them, nobody is two of a channel. */
static void a_plan_is_even(void **state) {
    (void) state;
    static const unsigned plans[][4] = {/* users, channels, subscriptions, publishers */
                                        {1000, 1, 1, 1},
                                        {5000, 1000, 1, 2},
                                        {7, 3, 2, 1},
                                        {10, 10, 10, 10},
                                        {5, 4, 3, 3}};
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        struct bench_plan plan = {.users = plans[i][0],
                                  .channels = plans[i][1],
                                  .subscriptions_per_user = plans[i][2],
                                  .publishers = plans[i][3]};
        for (unsigned channel = 0; channel < plan.channels; channel++) {
            uint64_t next = 0; /* the places of a channel are 0, 1, 2 … by user */
            for (unsigned user = 0; user < plan.users; user++) {
                unsigned times = 0;
                for (unsigned j = 0; j < plan.subscriptions_per_user; j++) {
                    if (bench_channel_of(&plan, user, j) == channel) {
                        assert_int_equal(bench_place_of(&plan, user, j), next);
                        next++;
                        times++;
                    }
                }
                assert_in_range(times, 0, 1);
            }
            assert_int_equal(next, bench_subscribers_of(&plan, channel));
            assert_in_range(plan.publishers, 0, next);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_all_are_taken),
        cmocka_unit_test(what_comes_again_is_doubled),
        cmocka_unit_test(what_comes_after_a_later_one_is_late_and_once),
        cmocka_unit_test(a_stamp_is_read_as_it_was_written),
        cmocka_unit_test(a_cut_stamp_is_none),
        cmocka_unit_test(a_plan_is_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
