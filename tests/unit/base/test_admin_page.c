/* The page's files: each with the policy and open to who has no token yet; or, built without them, a reason. */
#include "base/admin_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void each_file_has_the_policy_or_there_is_a_reason(void **state) {
    (void) state;
    char error[256] = "";
    size_t n = 0;
    const struct http_endpoint *endpoints = admin_page_endpoints(&n, error, sizeof error);
    if (endpoints == NULL) {
        assert_int_equal(n, 0);
        assert_non_null(strstr(error, "tools/bring_sdk base/web"));
        return;
    }
    assert_string_equal(error, "");
    for (size_t i = 0; i < n; i++) {
        struct http_answer answer = {.status = 200};
        buffer_init(&answer.body, 0);
        assert_true(endpoints[i].without_token);
        endpoints[i].handle(endpoints[i].context, &answer);
        if (answer.status == 301) {
            assert_string_equal(answer.extra_header, "Location: /admin/");
        } else {
            assert_int_equal(answer.status, 200);
            assert_true(answer.body.size > 0);
            assert_non_null(strstr(answer.extra_header, "default-src 'none'; script-src 'self'"));
        }
        buffer_finish(&answer.body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_file_has_the_policy_or_there_is_a_reason)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
