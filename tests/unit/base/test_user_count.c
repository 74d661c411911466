/* The multiset of connected users. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/user_count.h"

static void test_a_user_counts_once_however_often_connected(void **state) {
    (void) state;
    user_count_t *users = user_count_new();
    user_count_add(users, SPAN_LITERAL("ann"));
    user_count_add(users, SPAN_LITERAL("ann"));
    user_count_add(users, SPAN_LITERAL("bob"));
    assert_int_equal(user_count_different(users), 2);
    assert_int_equal(user_count_of(users, SPAN_LITERAL("ann")), 2);
    assert_int_equal(user_count_of(users, SPAN_LITERAL("eve")), 0);
    user_count_remove(users, SPAN_LITERAL("ann"));
    assert_int_equal(user_count_different(users), 2);
    user_count_remove(users, SPAN_LITERAL("ann"));
    assert_int_equal(user_count_different(users), 1);
    user_count_remove(users, SPAN_LITERAL("bob"));
    assert_int_equal(user_count_different(users), 0);
    user_count_destroy(&users);
    user_count_destroy(&users);
}

static struct span name_of(char *text, size_t size, unsigned i) {
    snprintf(text, size, "user-%u", i);
    return span_of_text(text);
}

static void test_many_come_and_go_in_any_order(void **state) {
    (void) state;
    enum { N = 20000 };
    user_count_t *users = user_count_new();
    char text[32];
    for (unsigned i = 0; i < N; i++) {
        user_count_add(users, name_of(text, sizeof text, i));
    }
    assert_int_equal(user_count_different(users), N);
    for (unsigned i = 0; i < N; i++) { /* 7919 is prime to N: every user once, in a scattered order */
        user_count_remove(users, name_of(text, sizeof text, (unsigned) ((uint64_t) i * 7919 % N)));
        if (i % 3 == 0) {
            user_count_add(users, name_of(text, sizeof text, N + i));
        }
    }
    assert_int_equal(user_count_different(users), (N + 2) / 3);
    for (unsigned i = 0; i < N; i += 3) {
        user_count_remove(users, name_of(text, sizeof text, N + i));
    }
    assert_int_equal(user_count_different(users), 0);
    user_count_destroy(&users);
}

static void test_counts_are_set_and_walked_by_key(void **state) {
    (void) state;
    enum { N = 500 };
    user_count_t *users = user_count_new();
    for (uint64_t i = 1; i <= N; i++) {
        assert_int_equal(user_count_set(users, i * 64, (uint32_t) i), 0); /* one run of the table */
    }
    for (uint64_t i = 1; i <= N; i += 2) {
        assert_int_equal(user_count_set(users, i * 64, 0), i);
    }
    assert_int_equal(user_count_set(users, 12345, 0), 0);
    assert_int_equal(user_count_different(users), N / 2);
    uint64_t key;
    uint32_t count;
    uint32_t at = 0;
    unsigned n = 0;
    while (user_count_next(users, &at, &key, &count)) {
        assert_true(key % 128 == 0 && key / 64 == count && user_count_at(users, key) == count);
        n++;
    }
    assert_int_equal(n, N / 2);
    user_count_add(users, SPAN_LITERAL("ann"));
    assert_int_equal(user_count_at(users, user_count_key(SPAN_LITERAL("ann"))), 1);
    user_count_destroy(&users);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_set_and_walked_by_key),
        cmocka_unit_test(test_a_user_counts_once_however_often_connected),
        cmocka_unit_test(test_many_come_and_go_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
