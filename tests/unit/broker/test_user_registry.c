/* Connections of users over all gateway workers: sums, questions, workers that go. */
#include "broker/user_registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WORKERS = 4, USERS = 50, STEPS = 20000 };

static void a_user_may_have_so_many_at_all_workers_together(void **state) {
    (void) state;
    user_registry_t *registry = user_registry_new();
    user_count_t *a = NULL;
    user_count_t *b = NULL;
    uint32_t others = 9;
    assert_true(user_registry_take(registry, &a, 7, 1, 2, &others));
    assert_int_equal(others, 0);
    assert_true(user_registry_take(registry, &b, 7, 1, 2, &others));
    assert_int_equal(others, 1);
    assert_false(user_registry_take(registry, &a, 7, 2, 2, &others));
    assert_false(user_registry_take(registry, &b, 7, 2, 2, &others));
    assert_int_equal(user_registry_connections(registry, 7), 2); /* what was refused does not count */
    assert_true(user_registry_take(registry, &b, 8, 1, 2, &others));
    assert_true(user_registry_set(registry, &a, 7, 0));
    assert_true(user_registry_take(registry, &b, 7, 2, 2, &others));
    assert_int_equal(user_registry_users(registry), 2);
    user_registry_forget(registry, &a);
    user_registry_forget(registry, &b);
    assert_null(b);
    assert_int_equal(user_registry_users(registry), 0);
    user_registry_destroy(&registry);
}

static void a_worker_that_goes_counts_no_more_and_may_come_anew(void **state) {
    (void) state;
    user_registry_t *registry = user_registry_new();
    user_count_t *a = NULL;
    user_count_t *b = NULL;
    uint32_t others;
    user_registry_set(registry, &a, 7, 3);
    user_registry_set(registry, &b, 7, 1);
    user_registry_forget(registry, &a);
    assert_int_equal(user_registry_connections(registry, 7), 1);
    assert_true(user_registry_take(registry, &b, 7, 2, 3, &others));
    user_registry_set(registry, &a, 7, 3); /* told anew: more than may be, and they stay */
    assert_int_equal(user_registry_connections(registry, 7), 5);
    assert_false(user_registry_take(registry, &b, 7, 3, 3, &others));
    assert_int_equal(user_registry_connections(registry, 7), 5);
    assert_int_equal(user_registry_all_connections(registry), 5);
    user_registry_forget(registry, &a);
    user_registry_forget(registry, &b);
    user_registry_destroy(&registry);
}

static void numbers_from_outside_do_no_harm(void **state) {
    (void) state;
    user_registry_t *registry = user_registry_new();
    user_count_t *a = NULL;
    user_count_t *b = NULL;
    uint32_t others;
    assert_true(user_registry_take(registry, &a, 7, 0, 0, &others));
    assert_false(user_registry_take(registry, &a, 7, 1, 0, &others));
    assert_int_equal(user_registry_users(registry), 0);
    user_registry_set(registry, &a, 7, UINT32_MAX);
    user_registry_set(registry, &b, 7, UINT32_MAX);
    assert_false(user_registry_take(registry, &b, 7, UINT32_MAX, UINT32_MAX, &others));
    user_registry_forget(registry, &a);
    user_registry_forget(registry, &b);
    assert_int_equal(user_registry_users(registry), 0);
    user_registry_destroy(&registry);
}

/* Against a plain table. */
static void the_sum_is_that_of_the_parts(void **state) {
    (void) state;
    static uint32_t expected[WORKERS][USERS];
    user_registry_t *registry = user_registry_new();
    user_count_t *workers[WORKERS] = {NULL};
    srand(1);
    for (int i = 0; i < STEPS; i++) {
        unsigned worker = (unsigned) rand() % WORKERS;
        unsigned user = (unsigned) rand() % USERS;
        if (rand() % 500 == 0) {
            user_registry_forget(registry, &workers[worker]);
            memset(expected[worker], 0, sizeof expected[worker]);
        } else {
            expected[worker][user] = (uint32_t) rand() % 4;
            user_registry_set(registry, &workers[worker], user, expected[worker][user]);
        }
        uint32_t sum = 0;
        for (unsigned each = 0; each < WORKERS; each++) {
            sum += expected[each][user];
        }
        assert_int_equal(user_registry_connections(registry, user), sum);
    }
    for (unsigned each = 0; each < WORKERS; each++) {
        user_registry_forget(registry, &workers[each]);
    }
    assert_int_equal(user_registry_users(registry), 0);
    assert_int_equal(user_registry_all_connections(registry), 0);
    user_registry_destroy(&registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_may_have_so_many_at_all_workers_together),
        cmocka_unit_test(a_worker_that_goes_counts_no_more_and_may_come_anew),
        cmocka_unit_test(numbers_from_outside_do_no_harm),
        cmocka_unit_test(the_sum_is_that_of_the_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
