/* Which methods each choice has, and that each publication by hand leaves its line. */
#include "base/admin_operations.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool has(const struct http_service_calls *calls, const char *name) {
    for (const char *const *method = calls->methods; *method != NULL; method++) {
        if (strcmp(*method, name) == 0) {
            return true;
        }
    }
    return false;
}

static void reading_has_no_publish(void **state) {
    (void) state;
    struct http_service_calls read = admin_operations_calls(ADMIN_OPERATIONS_READ, 1024, 3, 5000);
    struct http_service_calls publish = admin_operations_calls(ADMIN_OPERATIONS_PUBLISH, 1024, 3, 5000);
    assert_true(has(&read, "history") && has(&read, "channels") && has(&read, "presence"));
    assert_false(has(&read, "publish"));
    assert_true(has(&publish, "publish") && has(&publish, "history"));
    assert_false(has(&publish, "history_remove") || has(&publish, "disconnect"));
    assert_int_equal(read.body_max, 1024);
    assert_int_equal(read.calls_max, 3);
    assert_int_equal(read.timeout_ms, 5000);
}

static void keep_line(void *context, struct span line) {
    buffer_append_span(context, line);
}

static void observed(struct buffer *log, const char *method, const char *body, const char *answer) {
    struct http_service_calls calls = admin_operations_calls(ADMIN_OPERATIONS_PUBLISH, 1024, 3, 5000);
    struct http_call call = {.source = "192.0.2.7", .body = BUFFER_EMPTY, .answer = BUFFER_EMPTY};
    memcpy(call.method, method, strlen(method) + 1);
    buffer_append_text(&call.body, body);
    buffer_append_text(&call.answer, answer);
    log_set_sink(keep_line, log);
    calls.observe(&call);
    log_set_sink(NULL, NULL);
    buffer_append_char(log, '\0');
    buffer_finish(&call.body);
    buffer_finish(&call.answer);
}

static void a_publication_leaves_a_line_with_what_came_of_it(void **state) {
    (void) state;
    struct buffer log = BUFFER_EMPTY;
    observed(&log, "publish", "{\"channel\":\"news\",\"data\":1}", "{\"error\":{\"code\":102}}");
    const char *line = (const char *) log.data;
    assert_non_null(strstr(line, "\"published_by_hand\""));
    assert_non_null(strstr(line, "\"source\":\"192.0.2.7\""));
    assert_non_null(strstr(line, "\"channel\":\"news\""));
    assert_non_null(strstr(line, "\"bytes\":27"));
    assert_non_null(strstr(line, "\"error\":102"));
    buffer_clear(&log);
    observed(&log, "publish", "{\"channel\":\"news\",\"data\":1}", "{\"result\":{}}");
    assert_non_null(strstr((const char *) log.data, "\"error\":0"));
    buffer_clear(&log);
    observed(&log, "publish", "no JSON", "neither");
    assert_non_null(strstr((const char *) log.data, "\"channel\":\"\""));
    buffer_clear(&log);
    observed(&log, "history", "{\"channel\":\"news\"}", "{\"result\":{}}");
    assert_int_equal(log.size, 1); /* reading leaves none */
    buffer_finish(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_has_no_publish),
        cmocka_unit_test(a_publication_leaves_a_line_with_what_came_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
