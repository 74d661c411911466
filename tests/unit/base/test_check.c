/* A failed check says where and what, on one line of JSON, and ends the process. */
#include "aborts.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static void fail_with_values(void) {
    check(1 + 1 == 3, "got %d, \"quoted\" \\ and a line\nfeed", 2);
}

static void fail_with_a_long_message(void) {
    char text[4000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    check(text[0] == 'y', "%s", text);
}

static void reach_the_unreachable(void) {
    unreachable("case %d", 7);
}

static void hold(void) {
    check(1 + 1 == 2, "arithmetic");
}

static void a_failed_check_aborts_and_leaves_one_json_line(void **state) {
    (void) state;
    char text[4096];
    assert_true(aborts(fail_with_values, text, sizeof text));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    cJSON *line = cJSON_Parse(text);
    assert_non_null(line);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(line, "event")->valuestring, "check_failed");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(line, "level")->valuestring, "error");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(line, "condition")->valuestring, "1 + 1 == 3");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(line, "message")->valuestring,
                        "got 2, \"quoted\" \\ and a line?feed");
    assert_non_null(strstr(cJSON_GetObjectItemCaseSensitive(line, "file")->valuestring, "test_check.c"));
    assert_true(cJSON_GetObjectItemCaseSensitive(line, "line")->valueint > 0);
    assert_int_equal(strlen(cJSON_GetObjectItemCaseSensitive(line, "time")->valuestring),
                     strlen("2026-01-01T00:00:00.000Z"));
    cJSON_Delete(line);
}

static void a_long_message_is_cut_and_the_line_stays_valid(void **state) {
    (void) state;
    char text[4096];
    assert_true(aborts(fail_with_a_long_message, text, sizeof text));
    cJSON *line = cJSON_Parse(text);
    assert_non_null(line);
    cJSON_Delete(line);
}

static void unreachable_aborts(void **state) {
    (void) state;
    assert_true(aborts(reach_the_unreachable, NULL, 0));
}

static void a_check_that_holds_does_nothing(void **state) {
    (void) state;
    char text[64];
    assert_false(aborts(hold, text, sizeof text));
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_check_aborts_and_leaves_one_json_line),
        cmocka_unit_test(a_long_message_is_cut_and_the_line_stays_valid),
        cmocka_unit_test(unreachable_aborts),
        cmocka_unit_test(a_check_that_holds_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
