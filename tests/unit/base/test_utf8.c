/* UTF-8: every character there and back, and what is none. (Inside JSON it is judged in test_json_scan.c too.) */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LAST_CHARACTER = 0x10FFFF };

static bool is_surrogate(uint32_t character) {
    return character >= 0xD800 && character <= 0xDFFF;
}

static void every_character_is_written_valid_and_in_its_size(void **state) {
    (void) state;
    for (uint32_t character = 0; character <= LAST_CHARACTER; character++) {
        uint8_t bytes[4];
        size_t expected = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
        size_t size = utf8_encode(character, bytes);
        if (size != expected || utf8_is_valid(span_of(bytes, size)) == is_surrogate(character)) {
            fail_msg("U+%04X", (unsigned) character);
        }
    }
}

static void nothing_but_those_is_valid(void **state) {
    (void) state;
    uint32_t n_valid = 0;
    for (uint32_t bits = 0; bits <= 0xFFFFFF; bits++) { /* all of three bytes whose first is not ASCII */
        uint8_t bytes[3] = {(uint8_t) (bits >> 16), (uint8_t) (bits >> 8), (uint8_t) bits};
        if (bytes[0] >= 0x80) {
            n_valid += utf8_is_valid(span_of(bytes, 3));
        }
    }
    uint32_t two_and_ascii = (0x800 - 0x80) * 0x80;
    uint32_t three = 0x10000 - 0x800 - 0x800; /* without surrogates */
    assert_int_equal(n_valid, two_and_ascii + three);
}

static void it_is_judged_wherever_it_stands(void **state) {
    (void) state;
    static const struct {
        const char *text;
        bool is_valid;
    } rows[] = {
        {"", true},
        {"12345678", true},
        {"12345678\xC3\xA9", true},
        {"1234567\xC3\xA9", true},
        {"\xF0\x9F\x98\x80 1234567812345678", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\xF4\x90\x80\x80", false},        /* above U+10FFFF */
        {"\xF0\x8F\xBF\xBF", false},        /* overlong */
        {"\xF5\x80\x80\x80", false},        /* no first byte */
        {"\xF0\x9F\x98", false},            /* cut */
        {"1234567812345678\xC3", false},    /* cut at the end */
        {"12345678\x80", false},            /* a continuation alone */
        {"1234567812345678\xFF zzz", false} /* never */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (utf8_is_valid(span_of_text(rows[i].text)) != rows[i].is_valid) {
            fail_msg("row %zu", i);
        }
    }
    assert_true(utf8_is_valid(SPAN_LITERAL("a\0b\x7F")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_is_written_valid_and_in_its_size),
        cmocka_unit_test(nothing_but_those_is_valid),
        cmocka_unit_test(it_is_judged_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
