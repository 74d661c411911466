/* Metrics: one writer a thread, sums at the scrape, and a text that Prometheus reads. */
#include "aborts.h"
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

enum { SENT_JSON, SENT_BINARY, OPEN, LARGEST, DURATION, ROWS };

static const struct metric_description table[ROWS] = {
    [SENT_JSON] = {"callboard_sent_total", "Frames sent.", METRIC_COUNTER, "kind=\"json\""},
    [SENT_BINARY] = {"callboard_sent_total", "Frames sent.", METRIC_COUNTER, "kind=\"binary\""},
    [OPEN] = {"callboard_open", "Open \\ now\nand later.", METRIC_GAUGE, NULL},
    [LARGEST] = {"callboard_largest_bytes", "Largest queue.", METRIC_GAUGE_MAX, NULL},
    [DURATION] = {"callboard_duration_seconds", "Time to answer.", METRIC_HISTOGRAM, NULL},
};

static const struct metric_description other_table[] = {
    {"callboard_another_total", "Something else.", METRIC_COUNTER, NULL},
    {"callboard_sent_total", "Frames sent.", METRIC_COUNTER, "kind=\"json\""},
    {"callboard_wait_seconds", "Waiting.", METRIC_HISTOGRAM, "step=\"first\""},
};

static char *render(metrics_t *registry, struct buffer *buffer) {
    assert_true(metrics_render(registry, buffer));
    buffer_append_char(buffer, '\0');
    return (char *) buffer->data;
}

static unsigned count_of(const char *text, const char *part) {
    unsigned n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        n++;
    }
    return n;
}

static void counters_and_gauges_are_read_back_summed_over_threads(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    metric_values_t *first = metric_values_new(registry, table, ROWS);
    metric_values_t *second = metric_values_new(registry, table, ROWS);
    metric_count(first, SENT_JSON);
    metric_add(second, SENT_JSON, 41);
    metric_add(second, SENT_BINARY, 7);
    metric_set(first, OPEN, 10);
    metric_change(second, OPEN, -3);
    metric_set(first, LARGEST, 100);
    metric_set(second, LARGEST, 250);
    assert_int_equal(metrics_read(registry, "callboard_sent_total", "kind=\"json\""), 42);
    assert_int_equal(metrics_read(registry, "callboard_sent_total", "kind=\"binary\""), 7);
    assert_int_equal(metrics_read(registry, "callboard_sent_total", NULL), 0);
    assert_int_equal(metrics_read(registry, "callboard_open", NULL), 7);
    assert_int_equal(metrics_read(registry, "callboard_largest_bytes", NULL), 250);
    assert_int_equal(metrics_read(registry, "nobody_counts_this", NULL), 0);
    metric_values_destroy(&first);
    metric_values_destroy(&second);
    metrics_destroy(&registry);
}

static void the_largest_of_negative_gauges_is_negative(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    metric_values_t *first = metric_values_new(registry, table, ROWS);
    metric_values_t *second = metric_values_new(registry, table, ROWS);
    metric_set(first, LARGEST, -5);
    metric_set(second, LARGEST, -9);
    assert_true(metrics_read(registry, "callboard_largest_bytes", NULL) == -5);
    metric_values_destroy(&first);
    metric_values_destroy(&second);
    metrics_destroy(&registry);
}

static void counters_and_histograms_outlive_their_thread_and_gauges_do_not(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    for (int i = 0; i < 3; i++) {
        metric_values_t *values = metric_values_new(registry, table, ROWS);
        metric_add(values, SENT_JSON, 5);
        metric_set(values, OPEN, 9);
        metric_set(values, LARGEST, 9);
        metric_observe_us(values, DURATION, 1000);
        metric_values_destroy(&values);
        assert_null(values);
        metric_values_destroy(&values);
    }
    assert_int_equal(metrics_read(registry, "callboard_sent_total", "kind=\"json\""), 15);
    assert_int_equal(metrics_read(registry, "callboard_duration_seconds", NULL), 3);
    assert_int_equal(metrics_read(registry, "callboard_open", NULL), 0);
    assert_int_equal(metrics_read(registry, "callboard_largest_bytes", NULL), 0);
    metrics_destroy(&registry);
    metrics_destroy(&registry);
}

static void the_text_has_names_in_order_with_one_head_each(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    metric_values_t *values = metric_values_new(registry, table, ROWS);
    metric_values_t *others = metric_values_new(registry, other_table, 3);
    metric_add(values, SENT_JSON, 1);
    metric_add(values, SENT_BINARY, 2);
    metric_add(others, 1, 10);
    metric_set(values, OPEN, -4);
    struct buffer buffer = BUFFER_EMPTY;
    const char *text = render(registry, &buffer);
    const char *start = "# HELP callboard_another_total Something else.\n"
                        "# TYPE callboard_another_total counter\n"
                        "callboard_another_total 0\n"
                        "# HELP callboard_duration_seconds Time to answer.\n"
                        "# TYPE callboard_duration_seconds histogram\n"
                        "callboard_duration_seconds_bucket{le=\"0.00005\"} 0\n";
    assert_memory_equal(text, start, strlen(start));
    assert_non_null(strstr(text, "# HELP callboard_largest_bytes Largest queue.\n"
                                 "# TYPE callboard_largest_bytes gauge\n"
                                 "callboard_largest_bytes 0\n"
                                 "# HELP callboard_open Open \\\\ now\\nand later.\n"
                                 "# TYPE callboard_open gauge\n"
                                 "callboard_open -4\n"
                                 "# HELP callboard_sent_total Frames sent.\n"
                                 "# TYPE callboard_sent_total counter\n"
                                 "callboard_sent_total{kind=\"binary\"} 2\n"
                                 "callboard_sent_total{kind=\"json\"} 11\n"
                                 "# HELP callboard_wait_seconds Waiting.\n"));
    assert_int_equal(count_of(text, "# TYPE callboard_sent_total"), 1);
    assert_non_null(strstr(text, "callboard_wait_seconds_bucket{step=\"first\",le=\"+Inf\"} 0\n"));
    assert_non_null(strstr(text, "callboard_wait_seconds_sum{step=\"first\"} 0.000000\n"));
    buffer_finish(&buffer);
    metric_values_destroy(&values);
    metric_values_destroy(&others);
    metrics_destroy(&registry);
}

static void histogram_buckets_are_cumulative_and_inclusive(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    metric_values_t *values = metric_values_new(registry, table, ROWS);
    metric_observe_us(values, DURATION, 0);
    metric_observe_us(values, DURATION, 50);
    metric_observe_us(values, DURATION, 51);
    metric_observe_us(values, DURATION, 2000000);
    metric_observe_us(values, DURATION, 10000000);
    metric_observe_us(values, DURATION, 10000001);
    struct buffer buffer = BUFFER_EMPTY;
    const char *text = render(registry, &buffer);
    assert_non_null(strstr(text, "callboard_duration_seconds_bucket{le=\"0.00005\"} 2\n"
                                 "callboard_duration_seconds_bucket{le=\"0.0001\"} 3\n"
                                 "callboard_duration_seconds_bucket{le=\"0.00025\"} 3\n"));
    assert_non_null(strstr(text, "callboard_duration_seconds_bucket{le=\"1.0\"} 3\n"
                                 "callboard_duration_seconds_bucket{le=\"2.5\"} 4\n"
                                 "callboard_duration_seconds_bucket{le=\"5.0\"} 4\n"
                                 "callboard_duration_seconds_bucket{le=\"10.0\"} 5\n"
                                 "callboard_duration_seconds_bucket{le=\"+Inf\"} 6\n"
                                 "callboard_duration_seconds_sum 22.000102\n"
                                 "callboard_duration_seconds_count 6\n"));
    assert_int_equal(count_of(text, "callboard_duration_seconds_bucket"), 18);
    assert_int_equal(metrics_read(registry, "callboard_duration_seconds", NULL), 6);
    buffer_finish(&buffer);
    metric_values_destroy(&values);
    metrics_destroy(&registry);
}

static void a_text_over_the_limit_says_so(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    metric_values_t *values = metric_values_new(registry, table, ROWS);
    struct buffer buffer;
    buffer_init(&buffer, 500);
    assert_false(metrics_render(registry, &buffer));
    buffer_finish(&buffer);
    metric_values_destroy(&values);
    metrics_destroy(&registry);
}

static void a_registry_that_nobody_uses_renders_nothing(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    struct buffer buffer = BUFFER_EMPTY;
    assert_true(metrics_render(registry, &buffer));
    assert_int_equal(buffer.size, 0);
    metrics_destroy(&registry);
}

static const struct metric_alias aliases[] = {
    {"others_sent", "Sent.", METRIC_COUNTER, NULL, "callboard_sent_total", NULL},
    {"others_sent_by", "By kind.", METRIC_COUNTER, "format=\"json\"", "callboard_sent_total", "kind=\"json\""},
    {"others_sent_by", "By kind.", METRIC_COUNTER, "format=\"protobuf\"", "callboard_sent_total", "kind=\"binary\""},
    {"others_absent", "Not counted.", METRIC_COUNTER, NULL, "nobody_counts_this", NULL},
    {"others_open", "Open.", METRIC_GAUGE, NULL, "callboard_open", NULL},
    {"others_seconds", "Sum and count.", METRIC_SUMMARY, "method=\"a\"", "callboard_duration_seconds", NULL},
    {"others_seconds_histogram", "All.", METRIC_HISTOGRAM, "method=\"a\"", "callboard_duration_seconds", NULL},
};

static void aliases_show_the_same_figures_under_other_names(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    metrics_set_aliases(registry, aliases, sizeof aliases / sizeof aliases[0]);
    metric_values_t *values = metric_values_new(registry, table, ROWS);
    metric_values_t *others = metric_values_new(registry, other_table, 3);
    metric_add(values, SENT_JSON, 1);
    metric_add(values, SENT_BINARY, 2);
    metric_add(others, 1, 10);
    metric_set(values, OPEN, -4);
    metric_observe_us(values, DURATION, 1500);
    struct buffer buffer = BUFFER_EMPTY;
    const char *text = render(registry, &buffer);
    assert_non_null(strstr(text, "# HELP others_sent Sent.\n"
                                 "# TYPE others_sent counter\n"
                                 "others_sent 13\n"
                                 "# HELP others_sent_by By kind.\n"
                                 "# TYPE others_sent_by counter\n"
                                 "others_sent_by{format=\"json\"} 11\n"
                                 "others_sent_by{format=\"protobuf\"} 2\n"
                                 "# HELP others_open Open.\n"
                                 "# TYPE others_open gauge\n"
                                 "others_open -4\n"
                                 "# HELP others_seconds Sum and count.\n"
                                 "# TYPE others_seconds summary\n"
                                 "others_seconds{method=\"a\",quantile=\"0.5\"} 0.001750\n"
                                 "others_seconds{method=\"a\",quantile=\"0.99\"} 0.002485\n"
                                 "others_seconds{method=\"a\",quantile=\"0.999\"} 0.002498\n"
                                 "others_seconds_sum{method=\"a\"} 0.001500\n"
                                 "others_seconds_count{method=\"a\"} 1\n"
                                 "# HELP others_seconds_histogram All.\n"
                                 "# TYPE others_seconds_histogram histogram\n"
                                 "others_seconds_histogram_bucket{method=\"a\",le=\"0.00005\"} 0\n"));
    assert_null(strstr(text, "others_absent"));
    assert_int_equal(count_of(text, "others_seconds_histogram_bucket"), 18);
    assert_int_equal(metrics_read(registry, "others_sent", NULL), 0);
    buffer_finish(&buffer);
    metric_values_destroy(&values);
    metric_values_destroy(&others);
    metrics_destroy(&registry);
}

struct counting {
    metrics_t *registry;
    atomic_bool stop;
};

enum { THREADS = 4, GENERATIONS = 20, COUNTS = 1000 };

/* Comes and goes as threads do, counting. */
static void *count_in_generations(void *argument) {
    struct counting *counting = argument;
    for (int generation = 0; generation < GENERATIONS; generation++) {
        metric_values_t *values = metric_values_new(counting->registry, table, ROWS);
        for (int i = 0; i < COUNTS; i++) {
            metric_count(values, SENT_JSON);
            metric_observe_us(values, DURATION, (uint64_t) i);
        }
        metric_values_destroy(&values);
    }
    return NULL;
}

static void *scrape_until_stopped(void *argument) {
    struct counting *counting = argument;
    int64_t last = 0;
    while (!atomic_load(&counting->stop)) {
        int64_t now = metrics_read(counting->registry, "callboard_sent_total", "kind=\"json\"");
        if (now < last) {
            return counting; /* a sum went back */
        }
        last = now;
        struct buffer buffer = BUFFER_EMPTY;
        metrics_render(counting->registry, &buffer);
        buffer_finish(&buffer);
    }
    return NULL;
}

static void threads_that_come_and_go_lose_no_count_and_no_sum_goes_back(void **state) {
    (void) state;
    struct counting counting = {.registry = metrics_new()};
    pthread_t threads[THREADS];
    pthread_t scraper;
    assert_int_equal(pthread_create(&scraper, NULL, scrape_until_stopped, &counting), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_in_generations, &counting), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&counting.stop, true);
    void *went_back = NULL;
    pthread_join(scraper, &went_back);
    assert_null(went_back);
    assert_int_equal(metrics_read(counting.registry, "callboard_sent_total", "kind=\"json\""),
                     THREADS * GENERATIONS * COUNTS);
    assert_int_equal(metrics_read(counting.registry, "callboard_duration_seconds", NULL),
                     THREADS * GENERATIONS * COUNTS);
    metrics_destroy(&counting.registry);
}

static void count_a_gauge(void) {
    metrics_t *registry = metrics_new();
    metric_values_t *values = metric_values_new(registry, table, ROWS);
    metric_count(values, OPEN);
}

static void count_a_row_too_far(void) {
    metrics_t *registry = metrics_new();
    metric_values_t *values = metric_values_new(registry, table, ROWS);
    metric_count(values, ROWS);
}

static void destroy_the_registry_first(void) {
    metrics_t *registry = metrics_new();
    metric_values_new(registry, table, ROWS);
    metrics_destroy(&registry);
}

static void give_one_name_two_types(void) {
    static const struct metric_description contradiction[] = {
        {"callboard_open", "Open.", METRIC_COUNTER, NULL},
    };
    metrics_t *registry = metrics_new();
    metric_values_new(registry, table, ROWS);
    metric_values_new(registry, contradiction, 1);
}

static void count_a_summary(void) {
    static const struct metric_description summary[] = {{"callboard_summary", "No.", METRIC_SUMMARY, NULL}};
    metric_values_new(metrics_new(), summary, 1);
}

static void call_a_gauge_a_counter(void) {
    static const struct metric_alias wrong[] = {{"others_open", "Open.", METRIC_COUNTER, NULL, "callboard_open", NULL}};
    metrics_t *registry = metrics_new();
    metrics_set_aliases(registry, wrong, 1);
    metric_values_new(registry, table, ROWS);
    struct buffer buffer = BUFFER_EMPTY;
    metrics_render(registry, &buffer);
}

static void set_aliases_twice(void) {
    metrics_t *registry = metrics_new();
    metrics_set_aliases(registry, aliases, 2);
    metrics_set_aliases(registry, aliases + 1, 1);
}

static void misuse_aborts(void **state) {
    (void) state;
    assert_true(aborts(count_a_gauge, NULL, 0));
    assert_true(aborts(count_a_row_too_far, NULL, 0));
    assert_true(aborts(destroy_the_registry_first, NULL, 0));
    assert_true(aborts(give_one_name_two_types, NULL, 0));
    assert_true(aborts(count_a_summary, NULL, 0));
    assert_true(aborts(call_a_gauge_a_counter, NULL, 0));
    assert_true(aborts(set_aliases_twice, NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_read_back_summed_over_threads),
        cmocka_unit_test(the_largest_of_negative_gauges_is_negative),
        cmocka_unit_test(counters_and_histograms_outlive_their_thread_and_gauges_do_not),
        cmocka_unit_test(the_text_has_names_in_order_with_one_head_each),
        cmocka_unit_test(histogram_buckets_are_cumulative_and_inclusive),
        cmocka_unit_test(aliases_show_the_same_figures_under_other_names),
        cmocka_unit_test(a_text_over_the_limit_says_so),
        cmocka_unit_test(a_registry_that_nobody_uses_renders_nothing),
        cmocka_unit_test(threads_that_come_and_go_lose_no_count_and_no_sum_goes_back),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
