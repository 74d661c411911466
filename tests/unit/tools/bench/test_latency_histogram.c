/* Quantiles of the histogram against the exact ones of the sorted values, over many sizes and distributions. */
#include "tools/bench/latency_histogram.h"

#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VALUES_MAX = 20000 };

static const double quantiles[] = {0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1};

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a;
    uint64_t y = *(const uint64_t *) b;
    return x < y ? -1 : x > y;
}

static void compare_quantiles(uint64_t *values, size_t n) {
    static struct latency_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    for (size_t i = 0; i < n; i++) {
        latency_histogram_record(&histogram, values[i]);
    }
    qsort(values, n, sizeof *values, compare);
    assert_int_equal(histogram.count, n);
    assert_int_equal(histogram.max, values[n - 1]);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        size_t rank = (size_t) ceil(quantiles[i] * (double) n);
        uint64_t exact = values[rank == 0 ? 0 : rank - 1];
        uint64_t ours = latency_histogram_quantile(&histogram, quantiles[i]);
        assert_true(ours >= exact);
        assert_true(ours - exact <= exact / HISTOGRAM_PARTS);
    }
}

static void quantiles_are_at_most_a_128th_above_the_exact_ones(void **state) {
    (void) state;
    static uint64_t values[VALUES_MAX];
    static const size_t sizes[] = {1, 2, 3, 10, 999, 1000, 1001, VALUES_MAX};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (unsigned bits = 1; bits <= 39; bits++) { /* uniform up to 2^bits */
            for (size_t i = 0; i < sizes[s]; i++) {
                values[i] = random_u64() >> (64 - bits);
            }
            compare_quantiles(values, sizes[s]);
        }
        for (size_t i = 0; i < sizes[s]; i++) { /* all orders of magnitude */
            values[i] = random_u64() >> (25 + random_below(39));
        }
        compare_quantiles(values, sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++) { /* one far off */
            values[i] = i == 0 ? 5000000000U : 100000;
        }
        compare_quantiles(values, sizes[s]);
    }
}

static void each_bucket_begins_where_the_one_before_ends(void **state) {
    (void) state;
    for (unsigned i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
        assert_int_equal(latency_histogram_bucket(latency_histogram_upper(i)), i);
        assert_int_equal(latency_histogram_bucket(latency_histogram_upper(i) + 1), i + 1);
    }
}

static void what_is_too_large_is_kept_in_the_last_bucket(void **state) {
    (void) state;
    static struct latency_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    latency_histogram_record(&histogram, UINT64_MAX);
    assert_int_equal(histogram.buckets[HISTOGRAM_BUCKETS - 1], 1);
    assert_true(latency_histogram_quantile(&histogram, 0.5) == UINT64_MAX);
}

static void nothing_recorded_is_zero(void **state) {
    (void) state;
    static struct latency_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    assert_int_equal(latency_histogram_quantile(&histogram, 0.99), 0);
}

static void sums_and_differences_undo_each_other(void **state) {
    (void) state;
    static struct latency_histogram first;
    static struct latency_histogram second;
    static struct latency_histogram both;
    static struct latency_histogram rest;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    for (unsigned i = 0; i < 1000; i++) {
        latency_histogram_record(&first, random_below(1000));
        latency_histogram_record(&second, 1000000 + random_below(1000000));
    }
    both = first;
    latency_histogram_add(&both, &second);
    assert_int_equal(both.count, 2000);
    assert_int_equal(both.max, second.max);
    latency_histogram_difference(&rest, &both, &first);
    assert_int_equal(rest.count, 1000);
    assert_int_equal(rest.max, second.max);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        assert_int_equal(latency_histogram_quantile(&rest, quantiles[i]),
                         latency_histogram_quantile(&second, quantiles[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_at_most_a_128th_above_the_exact_ones),
        cmocka_unit_test(each_bucket_begins_where_the_one_before_ends),
        cmocka_unit_test(what_is_too_large_is_kept_in_the_last_bucket),
        cmocka_unit_test(nothing_recorded_is_zero),
        cmocka_unit_test(sums_and_differences_undo_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
