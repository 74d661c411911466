/* Keys to pointers, compared with a plain array over many random puts and takes. */
#include "gateway/key_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void an_empty_table_finds_and_takes_nothing(void **state) {
    (void) state;
    struct key_table table;
    key_table_init(&table);
    size_t place = 0;
    assert_null(key_table_find(&table, 1));
    assert_null(key_table_take(&table, 1));
    assert_null(key_table_each(&table, &place));
    key_table_finish(&table);
}

static void a_value_can_be_replaced(void **state) {
    (void) state;
    struct key_table table;
    int first, second;
    key_table_init(&table);
    key_table_put(&table, 9, &first);
    key_table_replace(&table, 9, &second);
    assert_ptr_equal(key_table_find(&table, 9), &second);
    assert_int_equal(table.count, 1);
    key_table_finish(&table);
}

static void it_agrees_with_a_plain_array_over_many_changes(void **state) {
    (void) state;
    enum { KEYS = 3000, STEPS = 200000 };
    static char values[KEYS];
    static bool there[KEYS];
    struct key_table table;
    key_table_init(&table);
    srand(1);
    size_t count = 0;
    for (int i = 0; i < STEPS; i++) {
        /* Keys that share their low bits, as handles and hostile hashes do. */
        size_t n = (size_t) rand() % KEYS;
        uint64_t key = (uint64_t) n << (n % 3 * 20);
        if (there[n]) {
            assert_ptr_equal(key_table_take(&table, key), &values[n]);
            count--;
        } else {
            assert_null(key_table_find(&table, key));
            key_table_put(&table, key, &values[n]);
            count++;
        }
        there[n] = !there[n];
        assert_int_equal(table.count, count);
    }
    size_t seen = 0, place = 0;
    for (char *value = key_table_each(&table, &place); value != NULL; value = key_table_each(&table, &place)) {
        assert_true(there[value - values]);
        seen++;
    }
    assert_int_equal(seen, count);
    key_table_finish(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_finds_and_takes_nothing),
        cmocka_unit_test(a_value_can_be_replaced),
        cmocka_unit_test(it_agrees_with_a_plain_array_over_many_changes),
    };
    return cmocka_run_group_tests_name("key_table", tests, NULL, NULL);
}
