/* Shares of the budget and what is given up at each. */
#include "base/process_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static void each_share_has_its_level(void **state) {
    (void) state;
    static const struct {
        uint64_t used;
        enum memory_level level;
    } cases[] = {{0, MEMORY_FINE},
                 {799, MEMORY_FINE},
                 {800, MEMORY_SHEDS},
                 {899, MEMORY_SHEDS},
                 {900, MEMORY_REFUSES_NEWCOMERS},
                 {949, MEMORY_REFUSES_NEWCOMERS},
                 {950, MEMORY_REFUSES_PUBLICATIONS},
                 {5000, MEMORY_REFUSES_PUBLICATIONS}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(process_memory_level(cases[i].used, 1000), cases[i].level);
        assert_int_equal(process_memory_level(cases[i].used * MIB, 1000 * (uint64_t) MIB), cases[i].level);
    }
    assert_int_equal(process_memory_level(UINT64_MAX, 0), MEMORY_FINE);
}

static void what_the_process_holds_grows_with_it(void **state) {
    (void) state;
    uint64_t before = process_memory_bytes();
    assert_true(before > 0);
    volatile char *block = malloc(64 * MIB);
    for (size_t i = 0; i < 64 * MIB; i += 1024) {
        block[i] = 1;
    }
    assert_true(process_memory_bytes() >= before + 32 * MIB);
    free((char *) (uintptr_t) block);
    process_memory_give_back();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_share_has_its_level),
        cmocka_unit_test(what_the_process_holds_grows_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
