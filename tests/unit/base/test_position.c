/* Epochs and positions: ours, foreign ones, and their texts. */
#include "base/position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>

static void new_epochs_are_16_characters_and_differ(void **state) {
    (void) state;
    struct epoch first = epoch_new();
    struct epoch second = epoch_new();
    assert_int_equal(strlen(first.text), EPOCH_LENGTH);
    for (size_t i = 0; i < EPOCH_LENGTH; i++) {
        assert_true(isalnum((unsigned char) first.text[i]));
    }
    assert_false(epoch_equal(&first, &second));
    assert_false(epoch_is_empty(&first));
}

static void an_epoch_comes_back_from_its_text(void **state) {
    (void) state;
    struct epoch epoch = epoch_new();
    struct epoch copy = epoch_from(epoch_span(&epoch));
    assert_true(epoch_equal(&epoch, &copy));
}

static void the_empty_text_is_the_unknown_epoch(void **state) {
    (void) state;
    struct epoch empty = epoch_from(SPAN_EMPTY);
    struct epoch zeroed = {{0}};
    assert_true(epoch_is_empty(&empty));
    assert_true(epoch_equal(&empty, &zeroed));
}

static void foreign_epochs_that_we_cannot_hold_never_match(void **state) {
    (void) state;
    const struct span texts[] = {
        SPAN_LITERAL("123456789012345678901234"),
        SPAN_LITERAL("with space"),
        SPAN_LITERAL("line\nfeed"),
        SPAN_LITERAL("nul\0inside"),
        SPAN_LITERAL("\x7f"),
        SPAN_LITERAL("\xc3\xa9"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct epoch epoch = epoch_from(texts[i]);
        assert_string_equal(epoch.text, "_");
        assert_false(epoch_is_empty(&epoch));
    }
    struct epoch longest = epoch_from(SPAN_LITERAL("12345678901234567890123"));
    assert_string_equal(longest.text, "12345678901234567890123");
}

static void positions_are_equal_by_epoch_and_offset(void **state) {
    (void) state;
    struct position a = {epoch_from(SPAN_LITERAL("abcd")), 7};
    struct position b = {epoch_from(SPAN_LITERAL("abcd")), 7};
    assert_true(position_equal(&a, &b));
    b.offset = 8;
    assert_false(position_equal(&a, &b));
    b = (struct position){epoch_from(SPAN_LITERAL("abce")), 7};
    assert_false(position_equal(&a, &b));
}

static void positions_come_back_from_their_texts(void **state) {
    (void) state;
    static const char *texts[] = {"abcdEFGH12345678:0", "a:1", ":12", "with:colon:9007199254740991",
                                  "12345678901234567890123:9007199254740991"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct position position;
        char text[POSITION_TEXT_SIZE];
        assert_true(position_parse(span_of_text(texts[i]), &position));
        position_format(&position, text, sizeof text);
        assert_string_equal(text, texts[i]);
    }
    struct position largest = {epoch_from(SPAN_LITERAL("12345678901234567890123")), UINT64_MAX};
    char text[POSITION_TEXT_SIZE];
    position_format(&largest, text, sizeof text);
    assert_string_equal(text, "12345678901234567890123:18446744073709551615");
    position_format(&largest, text, 5);
    assert_string_equal(text, "1234");
}

static void what_is_no_position_is_refused(void **state) {
    (void) state;
    static const char *texts[] = {"",
                                  ":",
                                  "abc",
                                  "abc:",
                                  "abc:-1",
                                  "abc:01",
                                  "abc:+1",
                                  "abc:1 ",
                                  "a b:1",
                                  "abc:9007199254740992",
                                  "123456789012345678901234:1",
                                  "abc:0x1",
                                  "5"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct position position = {epoch_from(SPAN_LITERAL("kept")), 3};
        assert_false(position_parse(span_of_text(texts[i]), &position));
        assert_int_equal(position.offset, 3);
        assert_string_equal(position.epoch.text, "kept");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_epochs_are_16_characters_and_differ),
        cmocka_unit_test(an_epoch_comes_back_from_its_text),
        cmocka_unit_test(the_empty_text_is_the_unknown_epoch),
        cmocka_unit_test(foreign_epochs_that_we_cannot_hold_never_match),
        cmocka_unit_test(positions_are_equal_by_epoch_and_offset),
        cmocka_unit_test(positions_come_back_from_their_texts),
        cmocka_unit_test(what_is_no_position_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
