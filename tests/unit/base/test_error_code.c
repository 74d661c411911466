/* The one list of error codes: complete, unambiguous, with an answer for every number. */
#include "base/error_code.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

static void every_code_describes_itself(void **state) {
    (void) state;
    assert_int_equal(error_descriptions_count, 20);
    for (unsigned i = 0; i < error_descriptions_count; i++) {
        const struct error_description *row = &error_descriptions[i];
        assert_ptr_equal(error_describe((uint32_t) row->code), row);
        assert_true(strlen(row->message) > 0);
        for (const char *c = row->reason; *c != '\0'; c++) {
            assert_true(islower((unsigned char) *c) || *c == '_');
        }
    }
}

static void no_code_and_no_reason_stands_twice(void **state) {
    (void) state;
    for (unsigned i = 0; i < error_descriptions_count; i++) {
        for (unsigned j = 0; j < i; j++) {
            assert_true(error_descriptions[i].code != error_descriptions[j].code);
            assert_string_not_equal(error_descriptions[i].reason, error_descriptions[j].reason);
        }
    }
}

static void unknown_numbers_are_internal_errors(void **state) {
    (void) state;
    static const uint32_t codes[] = {0, 1, 99, 114, 126, 3000, UINT32_MAX};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_int_equal(error_describe(codes[i])->code, ERROR_INTERNAL);
    }
}

static void only_an_unknown_outcome_or_a_lost_worker_may_have_done_something(void **state) {
    (void) state;
    for (unsigned i = 0; i < error_descriptions_count; i++) {
        enum error_code code = error_descriptions[i].code;
        assert_int_equal(error_descriptions[i].definite, code != ERROR_OUTCOME_UNKNOWN && code != ERROR_WORKER_LOST);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_describes_itself),
        cmocka_unit_test(no_code_and_no_reason_stands_twice),
        cmocka_unit_test(unknown_numbers_are_internal_errors),
        cmocka_unit_test(only_an_unknown_outcome_or_a_lost_worker_may_have_done_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
