/* Allocation: plain functions abort, try_ functions refuse, and the n-th try can be made to fail. */
#include "aborts.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

/* The sanitizers ask these by name: their allocator shall refuse as malloc does, not end the process itself. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void) {
    return "allocator_may_return_null=1";
}

static volatile size_t too_much = SIZE_MAX / 2;

static void allocate_too_much(void) {
    memory_free(memory_alloc(too_much));
}

static void allocate_an_overflowing_array(void) {
    memory_free(memory_alloc_array(too_much, 16));
}

static void reallocate_too_much(void) {
    memory_free(memory_realloc(NULL, too_much));
}

static void plain_functions_abort_when_memory_is_out(void **state) {
    (void) state;
    assert_true(aborts(allocate_too_much, NULL, 0));
    assert_true(aborts(allocate_an_overflowing_array, NULL, 0));
    assert_true(aborts(reallocate_too_much, NULL, 0));
}

static void zeroed_memory_is_zero(void **state) {
    (void) state;
    static const char zeros[4096];
    char *block = memory_alloc_zero(sizeof zeros);
    char *array = memory_alloc_array(64, 64);
    assert_memory_equal(block, zeros, sizeof zeros);
    assert_memory_equal(array, zeros, sizeof zeros);
    memory_free(block);
    memory_free(array);
}

static void nothing_at_all_is_still_a_block(void **state) {
    (void) state;
    void *block = memory_alloc(0);
    void *array = memory_alloc_array(0, 0);
    assert_non_null(block);
    assert_non_null(array);
    block = memory_realloc(block, 0);
    assert_non_null(block);
    memory_free(block);
    memory_free(array);
    memory_free(NULL);
}

static void texts_are_copied_with_their_end(void **state) {
    (void) state;
    char *whole = memory_strdup("callboard");
    char *part = memory_strndup("callboard", 4);
    char *none = memory_strndup(NULL, 0);
    assert_string_equal(whole, "callboard");
    assert_string_equal(part, "call");
    assert_string_equal(none, "");
    memory_free_text(&whole);
    assert_null(whole);
    memory_free_text(&whole);
    memory_free(part);
    memory_free(none);
}

static void the_chosen_try_fails_and_only_that_one(void **state) {
    (void) state;
    memory_fail_nth_try(3);
    void *first = memory_try_alloc(8);
    void *second = memory_try_realloc(NULL, 8);
    void *third = memory_try_alloc(8);
    void *fourth = memory_try_alloc(8);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(third);
    assert_non_null(fourth);
    memory_free(first);
    memory_free(second);
    memory_free(fourth);
}

static void a_failed_try_realloc_leaves_the_block_as_it_was(void **state) {
    (void) state;
    char *block = memory_strdup("kept");
    memory_fail_nth_try(1);
    assert_null(memory_try_realloc(block, 100));
    assert_string_equal(block, "kept");
    memory_free(block);
}

static void zero_switches_the_fault_off(void **state) {
    (void) state;
    memory_fail_nth_try(1);
    memory_fail_nth_try(0);
    void *block = memory_try_alloc(8);
    assert_non_null(block);
    memory_free(block);
}

static void plain_functions_are_not_counted(void **state) {
    (void) state;
    memory_fail_nth_try(1);
    void *block = memory_alloc(8);
    assert_null(memory_try_alloc(8));
    memory_free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_functions_abort_when_memory_is_out),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(nothing_at_all_is_still_a_block),
        cmocka_unit_test(texts_are_copied_with_their_end),
        cmocka_unit_test(the_chosen_try_fails_and_only_that_one),
        cmocka_unit_test(a_failed_try_realloc_leaves_the_block_as_it_was),
        cmocka_unit_test(zero_switches_the_fault_off),
        cmocka_unit_test(plain_functions_are_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
