/* What --assert reads, where it says that something is wrong, and when an assertion holds. */
#include "tools/bench/bench_figures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct bench_assertion assertions[BENCH_ASSERTIONS_MAX];
static size_t n_assertions;
static char error[256];

static bool parse(const char *text) {
    error[0] = '\0';
    return bench_assertions_parse(text, assertions, &n_assertions, error, sizeof error);
}

static void reads_figures_operators_and_units(void **state) {
    (void) state;
    assert_true(parse("success>=99.5, p95 < 50ms ,lost=0,p99.9<=1s,max>200us,pss<2MB,pss_per_user<=2.5KB,cpu<1s"));
    assert_int_equal(n_assertions, 8);
    static const struct {
        enum bench_figure figure;
        enum bench_operator operator;
        double value;
        const char *text;
    } expected[] = {
        {BENCH_FIGURE_SUCCESS, BENCH_AT_LEAST, 99.5, "success>=99.5"},
        {BENCH_FIGURE_P95, BENCH_BELOW, 50, "p95 < 50ms"},
        {BENCH_FIGURE_LOST, BENCH_EQUAL, 0, "lost=0"},
        {BENCH_FIGURE_P999, BENCH_AT_MOST, 1000, "p99.9<=1s"},
        {BENCH_FIGURE_MAX, BENCH_ABOVE, 0.2, "max>200us"},
        {BENCH_FIGURE_PSS, BENCH_BELOW, 2 << 20, "pss<2MB"},
        {BENCH_FIGURE_PSS_PER_USER, BENCH_AT_MOST, 2560, "pss_per_user<=2.5KB"},
        {BENCH_FIGURE_CPU, BENCH_BELOW, 1, "cpu<1s"},
    };
    for (size_t i = 0; i < n_assertions; i++) {
        assert_int_equal(assertions[i].figure, expected[i].figure);
        assert_int_equal(assertions[i].operator, expected[i].operator);
        assert_true(fabs(assertions[i].value - expected[i].value) < 1e-9);
        assert_true(span_equal_text(assertions[i].text, expected[i].text));
    }
}

static void says_at_which_column_it_is_wrong(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *error;
    } wrong[] = {
        {"", "column 1: expected a figure"},
        {"p96<50", "column 1: expected a figure such as success, p95 or lost (bench --help lists them), not 'p96'"},
        {"p95<50ms,", "column 10: expected a figure"},
        {"p95<50ms,, lost=0",
         "column 10: expected a figure such as success, p95 or lost (bench --help lists them), not ','"},
        {"p95", "column 4: expected <, <=, >, >= or ="},
        {"p95==50", "column 4: expected <, <=, >, >= or =, not '=='"},
        {"p95 != 50", "column 5: expected <, <=, >, >= or =, not '!='"},
        {"p95<", "column 5: expected a number"},
        {"p95<x", "column 5: expected a number, not 'x'"},
        {"p95<1.2.3", "column 5: expected a number, not '1.2.3'"},
        {"p95<.", "column 5: expected a number, not '.'"},
        {"p95<-1", "column 5: expected a number, not '-'"},
        {"p95<50min", "column 7: this figure's units are us, ms (the default) and s, not 'min'"},
        {"lost=0%", "column 7: this figure has no unit, not '%'"},
        {"success>=99ms", "column 12: this figure's unit is %, not 'ms'"},
        {"pss<5GB", "column 6: this figure's units are B (the default), KB and MB, not 'GB'"},
        {"p95<50ms lost=0", "column 10: expected a comma, or the end, not 'l'"},
        {"p95<50;lost=0", "column 7: expected a comma, or the end, not ';'"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(parse(wrong[i].text));
        if (strncmp(error, wrong[i].error, strlen(wrong[i].error)) != 0) {
            fail_msg("'%s': '%s', expected '%s'", wrong[i].text, error, wrong[i].error);
        }
    }
}

static void more_than_32_are_refused(void **state) {
    (void) state;
    char text[512] = "lost=0";
    for (int i = 1; i < BENCH_ASSERTIONS_MAX; i++) {
        strcat(text, ",lost=0");
    }
    assert_true(parse(text));
    strcat(text, ",lost=0");
    assert_false(parse(text));
    assert_non_null(strstr(error, "more than 32"));
}

static bool holds(const char *text, double value) {
    double figures[BENCH_N_FIGURES];
    for (unsigned i = 0; i < BENCH_N_FIGURES; i++) {
        figures[i] = value;
    }
    assert_true(parse(text));
    return bench_assertion_holds(&assertions[0], figures);
}

static void compares(void **state) {
    (void) state;
    assert_true(holds("p95<50", 49.9));
    assert_false(holds("p95<50", 50));
    assert_true(holds("p95<=50", 50));
    assert_false(holds("p95<=50", 50.1));
    assert_true(holds("p95>50", 50.1));
    assert_false(holds("p95>50", 50));
    assert_true(holds("p95>=50", 50));
    assert_false(holds("p95>=50", 49.9));
    assert_true(holds("p95=50", 50));
    assert_false(holds("p95=50", 49));
    assert_false(holds("p95=50", 51));
}

static void nothing_holds_of_what_was_not_measured(void **state) {
    (void) state;
    static const char *const all[] = {"p95<50", "p95<=50", "p95>50", "p95>=50", "p95=50"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_false(holds(all[i], NAN));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_figures_operators_and_units),
        cmocka_unit_test(says_at_which_column_it_is_wrong),
        cmocka_unit_test(more_than_32_are_refused),
        cmocka_unit_test(compares),
        cmocka_unit_test(nothing_holds_of_what_was_not_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
