/* Budgets: refused at the bound, charged along the chain or not at all, never released twice. */
#include "aborts.h"
#include "base/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_charge_up_to_the_limit_fits_and_one_more_byte_does_not(void **state) {
    (void) state;
    struct quota quota;
    quota_init(&quota, 100, NULL);
    assert_true(quota_charge(&quota, 60));
    assert_true(quota_charge(&quota, 40));
    assert_false(quota_charge(&quota, 1));
    assert_true(quota_charge(&quota, 0));
    assert_int_equal(quota.used, 100);
    quota_release(&quota, 1);
    assert_true(quota_charge(&quota, 1));
}

static void a_limit_of_zero_is_no_limit(void **state) {
    (void) state;
    struct quota quota;
    quota_init(&quota, 0, NULL);
    assert_true(quota_charge(&quota, SIZE_MAX));
    assert_false(quota_charge(&quota, 1)); /* the count itself is full */
    assert_false(quota_is_over(&quota));
}

static void a_size_that_would_wrap_around_is_refused(void **state) {
    (void) state;
    struct quota quota;
    quota_init(&quota, 100, NULL);
    assert_true(quota_charge(&quota, 50));
    assert_false(quota_charge(&quota, SIZE_MAX - 10));
    assert_int_equal(quota.used, 50);
}

static void a_charge_fits_in_child_and_parent_or_is_taken_by_neither(void **state) {
    (void) state;
    struct quota parent;
    struct quota first;
    struct quota second;
    quota_init(&parent, 100, NULL);
    quota_init(&first, 80, &parent);
    quota_init(&second, 0, &parent);
    assert_true(quota_charge(&first, 70));
    assert_false(quota_charge(&second, 40));
    assert_int_equal(second.used, 0);
    assert_int_equal(parent.used, 70);
    assert_false(quota_charge(&first, 20));
    assert_int_equal(parent.used, 70);
    assert_true(quota_charge(&second, 30));
    quota_release(&first, 70);
    assert_int_equal(parent.used, 30);
}

static void what_must_not_be_refused_may_exceed_the_limit(void **state) {
    (void) state;
    struct quota quota;
    quota_init(&quota, 10, NULL);
    quota_charge_anyway(&quota, 25);
    assert_true(quota_is_over(&quota));
    assert_false(quota_charge(&quota, 1));
    quota_release(&quota, 15);
    assert_false(quota_is_over(&quota));
    assert_false(quota_charge(&quota, 1));
}

static void the_highest_use_is_remembered(void **state) {
    (void) state;
    struct quota quota;
    quota_init(&quota, 100, NULL);
    quota_charge(&quota, 90);
    quota_release(&quota, 80);
    quota_charge(&quota, 10);
    assert_int_equal(quota.high, 90);
}

static void release_too_much(void) {
    struct quota quota;
    quota_init(&quota, 100, NULL);
    quota_charge(&quota, 5);
    quota_release(&quota, 6);
}

static void releasing_more_than_was_charged_aborts(void **state) {
    (void) state;
    assert_true(aborts(release_too_much, NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_charge_up_to_the_limit_fits_and_one_more_byte_does_not),
        cmocka_unit_test(a_limit_of_zero_is_no_limit),
        cmocka_unit_test(a_size_that_would_wrap_around_is_refused),
        cmocka_unit_test(a_charge_fits_in_child_and_parent_or_is_taken_by_neither),
        cmocka_unit_test(what_must_not_be_refused_may_exceed_the_limit),
        cmocka_unit_test(the_highest_use_is_remembered),
        cmocka_unit_test(releasing_more_than_was_charged_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
