/* Memory of an arena: zeroed, aligned, apart from each other, all freed at once (which the sanitizers see). */
#include "operator/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void blocks_are_zeroed_aligned_and_apart(void **state) {
    (void) state;
    arena_t *arena = arena_new();
    unsigned char *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        size_t size = i * 41 + 1; /* some are larger than what is cut from a common block */
        blocks[i] = arena_alloc(arena, size);
        assert_int_equal((size_t) blocks[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++) {
            assert_int_equal(blocks[i][k], 0);
        }
        memset(blocks[i], (int) i & 0xFF, size);
    }
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(blocks[i][0], i & 0xFF);
        assert_int_equal(blocks[i][i * 41], i & 0xFF);
    }
    assert_true(arena_bytes(arena) > 300 * 299 / 2 * 41);
    arena_destroy(&arena);
    assert_null(arena);
    arena_destroy(&arena);
}

static void texts_are_copied_and_formatted(void **state) {
    (void) state;
    arena_t *arena = arena_new();
    assert_string_equal(arena_text(arena, "callboard"), "callboard");
    assert_string_equal(arena_text_of(arena, span_of("callboard", 4)), "call");
    assert_string_equal(arena_text_of(arena, SPAN_EMPTY), "");
    assert_string_equal(arena_format(arena, "%s-%d", "shop", 7), "shop-7");
    char *grown = arena_grow(arena, arena_text(arena, "ab"), 3, 6);
    memcpy(grown + 2, "cd", 3);
    assert_string_equal(grown, "abcd");
    arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_aligned_and_apart),
        cmocka_unit_test(texts_are_copied_and_formatted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
