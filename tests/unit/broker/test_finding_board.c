/* What engines found out: claimed by one, logged at each change, counted, told without doubles, forgotten when unused.
 */
#include "base/log.h"
#include "broker/finding_board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { KEEP_MS = 1000 };

struct bench {
    metrics_t *metrics;
    finding_board_t *board;
    struct buffer log;
};

static void on_line(void *context, struct span line) {
    struct bench *bench = context;
    buffer_append_span(&bench->log, line);
}

static int set_up(void **state) {
    static struct bench bench;
    bench = (struct bench){.metrics = metrics_new(), .log = BUFFER_EMPTY};
    bench.board = finding_board_new(bench.metrics);
    log_set_sink(on_line, &bench);
    *state = &bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    log_set_sink(NULL, NULL);
    finding_board_destroy(&bench->board);
    metrics_destroy(&bench->metrics);
    buffer_finish(&bench->log);
    return 0;
}

static void post(struct bench *bench, const char *place, enum finding_severity severity, uint64_t now_ms) {
    struct findings findings = FINDINGS_EMPTY;
    findings_add(&findings, "redis.eviction", severity, place, "the policy");
    findings_mend(&findings, "another policy");
    findings_add(&findings, "redis.version", FINDING_FINE, place, "7.0");
    finding_board_post(bench->board, place, &findings, now_ms, KEEP_MS);
    assert_int_equal(findings.n, 0); /* taken */
}

static unsigned lines_with(const struct bench *bench, const char *text) {
    unsigned n = 0;
    const uint8_t *at = bench->log.data;
    const uint8_t *end = at + bench->log.size;
    while (at < end && (at = memmem(at, (size_t) (end - at), text, strlen(text))) != NULL) {
        n++;
        at++;
    }
    return n;
}

static void expect_ids(struct bench *bench, const char *wanted) {
    struct buffer text = BUFFER_EMPTY;
    finding_board_append_ids(bench->board, &text);
    buffer_append_char(&text, '\0');
    assert_string_equal((const char *) text.data, wanted);
    buffer_finish(&text);
}

static void one_of_several_examines_a_place_until_it_is_due_again(void **state) {
    struct bench *bench = *state;
    assert_true(finding_board_claim(bench->board, "a:1", 1000, 500));
    assert_false(finding_board_claim(bench->board, "a:1", 1499, 500));
    assert_true(finding_board_claim(bench->board, "b:1", 1000, 500));
    assert_true(finding_board_claim(bench->board, "a:1", 1500, 500));
    finding_board_give_back(bench->board, "a:1");
    assert_true(finding_board_claim(bench->board, "a:1", 1501, 500));
}

static void each_change_is_logged_once(void **state) {
    struct bench *bench = *state;
    post(bench, "a:1", FINDING_WARNING, 1);
    post(bench, "a:1", FINDING_WARNING, 2);
    assert_int_equal(lines_with(bench, "\"redis_finding\""), 1);
    assert_int_equal(lines_with(bench, "another policy"), 1);
    post(bench, "a:1", FINDING_ERROR, 3);
    assert_int_equal(lines_with(bench, "\"redis_finding\""), 2);
    assert_int_equal(lines_with(bench, "\"level\":\"error\""), 1);
    post(bench, "a:1", FINDING_NOTE, 4);
    post(bench, "a:1", FINDING_FINE, 5);
    assert_int_equal(lines_with(bench, "\"redis_finding_over\""), 1);
    assert_int_equal(lines_with(bench, "redis.version"), 0);
}

static void findings_are_counted_by_severity(void **state) {
    struct bench *bench = *state;
    post(bench, "a:1", FINDING_WARNING, 1);
    post(bench, "b:1", FINDING_WARNING, 1);
    post(bench, "c:1", FINDING_UNKNOWN, 1);
    assert_int_equal(metrics_read(bench->metrics, "callboard_redis_findings", "severity=\"warning\""), 2);
    assert_int_equal(metrics_read(bench->metrics, "callboard_redis_findings", "severity=\"unknown\""), 1);
    assert_int_equal(metrics_read(bench->metrics, "callboard_redis_findings", "severity=\"error\""), 0);
}

static void health_names_each_id_once_and_info_all(void **state) {
    struct bench *bench = *state;
    expect_ids(bench, "[]");
    post(bench, "a:1", FINDING_WARNING, 1);
    post(bench, "b:1", FINDING_WARNING, 1);
    post(bench, "c:1", FINDING_ERROR, 1);
    post(bench, "d:1", FINDING_NOTE, 1);
    expect_ids(bench, "[{\"id\":\"redis.eviction\",\"severity\":\"warning\"},"
                      "{\"id\":\"redis.eviction\",\"severity\":\"error\"}]");
    struct buffer text = BUFFER_EMPTY;
    finding_board_append_json(bench->board, &text);
    buffer_append_char(&text, '\0');
    assert_non_null(strstr((const char *) text.data, "\"where\":\"d:1\""));
    assert_null(strstr((const char *) text.data, "redis.version"));
    buffer_finish(&text);
}

static void a_place_that_is_not_posted_any_more_is_forgotten(void **state) {
    struct bench *bench = *state;
    post(bench, "a:1", FINDING_WARNING, 1);
    post(bench, "b:1", FINDING_FINE, 1 + KEEP_MS);
    expect_ids(bench, "[{\"id\":\"redis.eviction\",\"severity\":\"warning\"}]");
    post(bench, "b:1", FINDING_FINE, 2 + KEEP_MS);
    expect_ids(bench, "[]");
    assert_int_equal(metrics_read(bench->metrics, "callboard_redis_findings", "severity=\"warning\""), 0);
}

static void a_claim_keeps_a_place_too(void **state) {
    struct bench *bench = *state;
    post(bench, "a:1", FINDING_WARNING, 1);
    assert_true(finding_board_claim(bench->board, "a:1", KEEP_MS, 1)); /* being examined again */
    post(bench, "b:1", FINDING_FINE, 2 + KEEP_MS);
    expect_ids(bench, "[{\"id\":\"redis.eviction\",\"severity\":\"warning\"}]");
    finding_board_give_back(bench->board, "a:1");
    post(bench, "b:1", FINDING_FINE, 2 + 2 * KEEP_MS);
    expect_ids(bench, "[]");
    assert_true(finding_board_claim(bench->board, "a:1", 2 + 2 * KEEP_MS, KEEP_MS)); /* as if it were new */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_of_several_examines_a_place_until_it_is_due_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_change_is_logged_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(findings_are_counted_by_severity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(health_names_each_id_once_and_info_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_that_is_not_posted_any_more_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_claim_keeps_a_place_too, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
