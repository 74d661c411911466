/* /metrics as figures: what is a series, sums, rates and quantiles between two readings. */
#include "tools/ctl_top_reading.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SECOND_US = 1000000 };

static struct top_reading reading(const char *text, uint64_t at_us) {
    struct top_reading self = {.n = 0};
    self.text = BUFFER_EMPTY;
    top_reading_take(&self, span_of_text(text), at_us);
    return self;
}

static void lines_become_series(void **state) {
    (void) state;
    struct top_reading self =
        reading("# HELP a b\n# TYPE a gauge\na 1\nb{x=\"1\"} 2.5\nb{x=\"a b}\",y=\"2\"} 3e3\n\nodd\nodd x\n"
                "c{x=\"1\" 4\nlast -7",
                1);
    double sum;
    assert_int_equal(self.n, 4);
    assert_true(top_reading_sum(&self, "a", NULL, &sum));
    assert_true(sum == 1);
    assert_true(top_reading_sum(&self, "b", NULL, &sum));
    assert_true(sum == 3002.5);
    assert_true(top_reading_sum(&self, "b", "y=\"2\"", &sum));
    assert_true(sum == 3000);
    assert_true(top_reading_sum(&self, "b", "x=\"2\"", &sum)); /* counted, but never */
    assert_true(sum == 0);
    assert_true(top_reading_sum(&self, "last", NULL, &sum));
    assert_true(sum == -7);
    assert_false(top_reading_sum(&self, "c", NULL, &sum));
    top_reading_finish(&self);
}

static void a_label_is_a_whole_one(void **state) {
    (void) state;
    struct top_reading self = reading("a{xcode=\"1\"} 1\na{code=\"1\",z=\"2\"} 10\na{z=\"2\",code=\"1\"} 100\n", 1);
    double sum;
    assert_true(top_reading_sum(&self, "a", "code=\"1\"", &sum));
    assert_true(sum == 110);
    top_reading_finish(&self);
}

static void a_rate_is_of_the_time_between(void **state) {
    (void) state;
    struct top_reading before = reading("a 10\nb 5\n", SECOND_US);
    struct top_reading now = reading("a 30\nb 4\nc 1\n", 5 * SECOND_US);
    struct top_reading none = {.n = 0};
    double rate;
    assert_true(top_reading_rate(&now, &before, "a", NULL, &rate));
    assert_true(rate == 5);
    assert_false(top_reading_rate(&now, &before, "b", NULL, &rate)); /* the program began anew */
    assert_false(top_reading_rate(&now, &before, "c", NULL, &rate));
    assert_false(top_reading_rate(&now, &none, "a", NULL, &rate));
    top_reading_finish(&before);
    top_reading_finish(&now);
}

static void quantiles_are_of_what_came_between_in_all_programs(void **state) {
    (void) state;
    struct top_reading before =
        reading("h_bucket{le=\"0.1\"} 5\nh_bucket{le=\"0.2\"} 5\nh_bucket{le=\"+Inf\"} 5\nh_count 5\n", 1);
    struct top_reading now =
        reading("h_bucket{le=\"0.1\"} 55\nh_bucket{le=\"0.2\"} 105\nh_bucket{le=\"+Inf\"} 105\nh_count 105\n", 2);
    struct top_reading other = reading("h_bucket{le=\"+Inf\"} 0\nh_count 0\n", 1);
    struct top_reading other_now = reading("h_bucket{le=\"+Inf\"} 100\nh_count 100\n", 2);
    struct top_histogram histogram = {.n = 0};
    double value;
    assert_false(top_histogram_quantile(&histogram, 0.5, &value));
    top_histogram_add(&histogram, &now, &before, "h");
    assert_int_equal(histogram.n, 3);
    assert_true(top_histogram_quantile(&histogram, 0.25, &value));
    assert_true(value > 0.0499 && value < 0.0501);
    assert_true(top_histogram_quantile(&histogram, 0.75, &value));
    assert_true(value > 0.1499 && value < 0.1501);
    top_histogram_add(&histogram, &other_now, &other, "h");
    assert_true(top_histogram_quantile(&histogram, 0.99, &value));
    assert_true(value > 0.199 && value < 0.201); /* beyond the last bound: at least that */
    histogram.n = 0;
    top_histogram_add(&histogram, &before, &now, "h"); /* the program began anew */
    assert_false(top_histogram_quantile(&histogram, 0.5, &value));
    top_reading_finish(&before);
    top_reading_finish(&now);
    top_reading_finish(&other);
    top_reading_finish(&other_now);
}

static void series_and_buckets_are_bounded(void **state) {
    (void) state;
    struct buffer text = BUFFER_EMPTY;
    struct buffer earlier = BUFFER_EMPTY;
    struct top_histogram histogram = {.n = 0};
    for (int i = 0; i < 2 * TOP_BUCKETS_MAX; i++) {
        buffer_append_format(&text, "h_bucket{le=\"%d\"} %d\n", 2 * TOP_BUCKETS_MAX - i, i);
    }
    buffer_append_text(&text, "h_count 2\n");
    buffer_append_text(&earlier, "h_count 1\n");
    for (int i = 0; i < TOP_SERIES_MAX; i++) {
        buffer_append_format(&text, "s%d 1\n", i);
    }
    struct top_reading now = {.n = 0};
    struct top_reading before = {.n = 0};
    now.text = before.text = BUFFER_EMPTY;
    top_reading_take(&now, buffer_span(&text), 2);
    top_reading_take(&before, buffer_span(&earlier), 1);
    assert_int_equal(now.n, TOP_SERIES_MAX);
    top_histogram_add(&histogram, &now, &before, "h");
    assert_int_equal(histogram.n, TOP_BUCKETS_MAX);
    top_reading_finish(&now);
    top_reading_finish(&before);
    buffer_finish(&text);
    buffer_finish(&earlier);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_series),
        cmocka_unit_test(a_label_is_a_whole_one),
        cmocka_unit_test(a_rate_is_of_the_time_between),
        cmocka_unit_test(quantiles_are_of_what_came_between_in_all_programs),
        cmocka_unit_test(series_and_buckets_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
