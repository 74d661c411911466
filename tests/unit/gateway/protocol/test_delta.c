/* Deltas: the vector of client-protocol.md 15, edits of every kind against a decoder of the test's own, and text that
 * is never cut inside a character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "gateway/protocol/delta.h"
#include "gateway/protocol/delta_chain.h"
#include "tests/support/delta_apply.h"

static struct buffer scratch;
static struct buffer patch;
static struct buffer result;

static int tear_down(void **state) {
    (void) state;
    buffer_finish(&scratch);
    buffer_finish(&patch);
    buffer_finish(&result);
    return 0;
}

/* The patch gives the target; returns whether there is one. */
static bool check_pair(struct span base, struct span target, bool is_text) {
    if (!delta_encode(base, target, is_text, &scratch, &patch)) {
        return false;
    }
    assert_true(patch.size < target.size);
    assert_true(delta_apply(base, buffer_span(&patch), &result));
    assert_true(span_equal(buffer_span(&result), target));
    if (is_text) {
        assert_true(utf8_is_valid(buffer_span(&patch)));
        assert_true(delta_inserts_are_text(buffer_span(&patch)));
    }
    return true;
}

static void test_the_vector_of_the_protocol(void **state) {
    (void) state;
    struct span base = SPAN_LITERAL("{\"price\":100,\"symbol\":\"ACME\",\"venue\":\"XNYS\"}");
    struct span target = SPAN_LITERAL("{\"price\":101,\"symbol\":\"ACME\",\"venue\":\"XNYS\"}");
    assert_true(delta_apply(base, SPAN_LITERAL("h\nB@0,1:1W@C,1BpAPV;"), &result));
    assert_true(span_equal(buffer_span(&result), target));
    assert_true(check_pair(base, target, true));
    assert_true(span_equal_text(buffer_span(&patch), "h\nB@0,1:1W@C,1BpAPV;"));
}

static void test_small_or_foreign_targets_travel_whole(void **state) {
    (void) state;
    assert_false(check_pair(SPAN_EMPTY, SPAN_LITERAL("{\"a\":1}"), true));
    assert_false(check_pair(SPAN_LITERAL("{\"a\":1}"), SPAN_EMPTY, true));
    assert_false(check_pair(SPAN_LITERAL("{\"a\":1}"), SPAN_LITERAL("{\"a\":2}"), true));
    assert_false(check_pair(SPAN_LITERAL("0123456789abcdefghijklmnopqrstuvwxyz"),
                            SPAN_LITERAL("ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponm"), true));
}

static void test_the_same_again_is_one_copy(void **state) {
    (void) state;
    struct span text = SPAN_LITERAL("{\"list\":[1,2,3,4,5,6,7,8,9,10]}");
    assert_true(check_pair(text, text, true));
    assert_true(patch.size < 16);
}

static void test_what_moved_is_found(void **state) {
    (void) state;
    struct span base =
        SPAN_LITERAL("[{\"name\":\"alpha\",\"size\":1000001},{\"name\":\"beta\",\"size\":2000002},{\"name\":"
                     "\"gamma\",\"size\":3000003}]");
    struct span target = SPAN_LITERAL("[{\"name\":\"gamma\",\"size\":3000003},{\"name\":\"alpha\",\"size\":1000001},{"
                                      "\"name\":\"beta\",\"size\":2000002}]");
    assert_true(check_pair(base, target, true));
    assert_true(patch.size < target.size / 2);
}

/* Letters that share their first byte: an edit of one leaves a boundary inside of it, if nobody looks. */
static void test_text_is_never_cut_inside_a_character(void **state) {
    (void) state;
    struct span base = SPAN_LITERAL("{\"текст\":\"Съешь ещё этих мягких французских "
                                    "булок\",\"смайлы\":\"😀😁😂🤣😃😄\"}");
    static const char *const targets[] = {
        "{\"текст\":\"Съешь ещё этих мягких французских "
        "булак\",\"смайлы\":\"😀😁😂🤣😃😄\"}",
        "{\"текст\":\"Съешь ещё этих мягких французских "
        "булок\",\"смайлы\":\"😀😁😎🤣😃😄\"}",
        "{\"текст\":\"Съешь еще этих мягких французских "
        "булок\",\"смайлы\":\"😀😁😂🤣😃😅\"}",
        "{\"текст\":\"Съешь этих ещё мягких французских булок, да выпей "
        "чаю\",\"смайлы\":\"😄😃🤣😂😁😀\"}",
        "{\"текст\":\"съешь ещё этих мягких французских "
        "булок\",\"смайлы\":\"😀😁😂🤣😃😄\"}",
        "{\"текст\":\"Съешь ещё этих мягких французских "
        "булок\",\"смайлы\":\"😀😁😂🤣😃\"}",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_true(check_pair(base, span_of_text(targets[i]), true));
    }
}

/* ---- at random ---- */

static uint64_t seed = 0x2545F4914F6CDD1D;

static size_t below(size_t bound) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t) (seed % bound);
}

static const char *const characters[] = {"a", "b", "c", " ", "\"", ",",  "{",  "0", "1", "\n",   "д",   "е",
                                         "ё", "ж", "щ", "é", "€",  "中", "文", "😀", "😁", "🤣", "\x7f"};

static void append_characters(struct buffer *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        buffer_append_text(out, characters[below(sizeof characters / sizeof characters[0])]);
    }
}

static size_t boundary_before(struct span text, size_t at) {
    while (at > 0 && at < text.size && (text.data[at] & 0xc0) == 0x80) {
        at--;
    }
    return at;
}

/* Some pieces of the base in any order, something new between them. */
static void edit(struct span base, struct buffer *out) {
    size_t at = 0;
    for (size_t n = 1 + below(4); n > 0 && base.size > 0; n--) {
        size_t from = below(4) == 0 ? boundary_before(base, below(base.size)) : at;
        size_t to = boundary_before(base, from + below(base.size - from + 1));
        if (to > from) {
            buffer_append(out, base.data + from, to - from);
            at = boundary_before(base, to + below(base.size - to + 1) / 8);
        }
        append_characters(out, below(5));
    }
    buffer_append(out, base.data + at, base.size - at);
}

static void test_random_edits_of_text(void **state) {
    (void) state;
    unsigned n_patches = 0;
    for (unsigned i = 0; i < 3000; i++) {
        struct buffer base = BUFFER_EMPTY;
        struct buffer target = BUFFER_EMPTY;
        append_characters(&base, below(i % 10 == 0 ? 3000 : 120));
        edit(buffer_span(&base), &target);
        n_patches += check_pair(buffer_span(&base), buffer_span(&target), true);
        check_pair(buffer_span(&base), buffer_span(&target), false);
        buffer_finish(&base);
        buffer_finish(&target);
    }
    assert_true(n_patches > 1000);
}

static void test_random_bytes(void **state) {
    (void) state;
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t base[700];
        uint8_t target[700];
        size_t alphabet = 1 + below(i % 2 == 0 ? 3 : 255);
        size_t base_size = below(sizeof base);
        size_t target_size = below(sizeof target);
        for (size_t j = 0; j < sizeof base; j++) {
            base[j] = (uint8_t) below(alphabet);
            target[j] = below(3) == 0 ? (uint8_t) below(alphabet) : base[j];
        }
        check_pair(span_of(base, base_size), span_of(target, target_size), false);
    }
}

static void test_a_large_document_with_little_new_is_a_small_patch(void **state) {
    (void) state;
    struct buffer base = BUFFER_EMPTY;
    struct buffer target = BUFFER_EMPTY;
    for (int i = 0; i < 5000; i++) {
        buffer_append_format(&base, "{\"id\":%d,\"value\":%d},", i, i * 7919);
        buffer_append_format(&target, "{\"id\":%d,\"value\":%d},", i, i == 100 || i == 4900 ? 1 : i * 7919);
    }
    assert_true(check_pair(buffer_span(&base), buffer_span(&target), true));
    assert_true(patch.size < 100);
    buffer_finish(&base);
    buffer_finish(&target);
}

/* Zeros: every place matches every block. Bounded work, and a copy in the end. */
static void test_the_worst_case_ends(void **state) {
    (void) state;
    struct buffer base = BUFFER_EMPTY;
    struct buffer target = BUFFER_EMPTY;
    for (int i = 0; i < 1000000; i++) {
        buffer_append_char(&base, '0');
        buffer_append_char(&target, i == 500000 || i == 0 || i == 999999 ? '1' : '0');
    }
    assert_true(check_pair(buffer_span(&base), buffer_span(&target), true));
    buffer_finish(&base);
    buffer_finish(&target);
}

/* ---- chains ---- */

static void test_a_chain_begins_whole_and_is_patched_where_that_is_due(void **state) {
    (void) state;
    struct delta_chain chain = {.is_text_only = true};
    struct wire_publication publication = {.flags = WIRE_PUBLICATION_DELTA,
                                           .data =
                                               SPAN_LITERAL("{\"price\":100,\"symbol\":\"ACME\",\"venue\":\"XNYS\"}")};
    assert_false(delta_chain_next(&chain, &publication).is_patch);
    publication.data = SPAN_LITERAL("{\"price\":101,\"symbol\":\"ACME\",\"venue\":\"XNYS\"}");
    struct client_delta delta = delta_chain_next(&chain, &publication);
    assert_true(delta.is_patch);
    assert_true(span_equal_text(delta.data, "h\nB@0,1:1W@C,1BpAPV;"));
    publication.flags = 0; /* not to be patched */
    assert_false(delta_chain_next(&chain, &publication).is_patch);
    publication.flags = WIRE_PUBLICATION_DELTA;
    assert_true(delta_chain_next(&chain, &publication).is_patch);
    publication.flags = WIRE_PUBLICATION_DELTA | WIRE_PUBLICATION_BINARY; /* another kind of data */
    assert_false(delta_chain_next(&chain, &publication).is_patch);
    assert_false(delta_chain_next(&chain, &publication).is_patch); /* text only */
    chain.is_text_only = false;
    assert_true(delta_chain_next(&chain, &publication).is_patch);
    delta_chain_finish(&chain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vector_of_the_protocol),
        cmocka_unit_test(test_small_or_foreign_targets_travel_whole),
        cmocka_unit_test(test_the_same_again_is_one_copy),
        cmocka_unit_test(test_what_moved_is_found),
        cmocka_unit_test(test_text_is_never_cut_inside_a_character),
        cmocka_unit_test(test_random_edits_of_text),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_a_large_document_with_little_new_is_a_small_patch),
        cmocka_unit_test(test_the_worst_case_ends),
        cmocka_unit_test(test_a_chain_begins_whole_and_is_patched_where_that_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
