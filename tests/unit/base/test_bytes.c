/* Spans, buffers with a bound, cursors with an end. */
#include "aborts.h"
#include "base/bytes.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>

static void assert_buffer_is(const struct buffer *buffer, const char *text) {
    assert_int_equal(buffer->size, strlen(text));
    if (buffer->size > 0) {
        assert_memory_equal(buffer->data, text, buffer->size);
    }
}

static void spans_compare_by_their_bytes(void **state) {
    (void) state;
    assert_true(span_equal(SPAN_EMPTY, SPAN_LITERAL("")));
    assert_true(span_equal_text(SPAN_LITERAL("abc"), "abc"));
    assert_false(span_equal_text(SPAN_LITERAL("abc"), "abd"));
    assert_false(span_equal_text(SPAN_LITERAL("abc"), "ab"));
    assert_true(span_starts_with(SPAN_LITERAL("abc"), SPAN_LITERAL("ab")));
    assert_true(span_starts_with(SPAN_LITERAL("abc"), SPAN_EMPTY));
    assert_false(span_starts_with(SPAN_LITERAL("ab"), SPAN_LITERAL("abc")));
    assert_int_equal(span_of_text(NULL).size, 0);
}

static void whole_numbers_are_read_strictly(void **state) {
    (void) state;
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"9007199254740991", true, 9007199254740991U},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"00", false, 0},
        {"01", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"0x10", false, 0},
        {"/", false, 0},
        {":", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 4711;
        assert_int_equal(span_parse_u64(span_of_text(rows[i].text), &value), rows[i].good);
        assert_int_equal(value, rows[i].good ? rows[i].value : 4711);
    }
}

static void a_buffer_grows_as_it_is_appended_to(void **state) {
    (void) state;
    struct buffer buffer;
    buffer_init(&buffer, 0);
    for (int i = 0; i < 10000; i++) {
        assert_true(buffer_append_text(&buffer, "0123456789"));
    }
    assert_int_equal(buffer.size, 100000);
    for (size_t i = 0; i < buffer.size; i++) {
        assert_int_equal(buffer.data[i], '0' + i % 10);
    }
    buffer_finish(&buffer);
    assert_null(buffer.data);
    assert_true(buffer_append_char(&buffer, 'x'));
    buffer_finish(&buffer);
}

static void an_append_over_the_limit_appends_nothing_and_bars_later_ones(void **state) {
    (void) state;
    struct buffer buffer;
    buffer_init(&buffer, 8);
    assert_true(buffer_append_text(&buffer, "12345"));
    assert_false(buffer_append_text(&buffer, "6789"));
    assert_true(buffer.overflow);
    assert_false(buffer_append_char(&buffer, '6'));
    assert_false(buffer_append(&buffer, NULL, 0));
    assert_buffer_is(&buffer, "12345");
    buffer_clear(&buffer);
    assert_true(buffer_append_text(&buffer, "12345678"));
    assert_false(buffer.overflow);
    assert_true(buffer.capacity <= 8);
    buffer_finish(&buffer);
    assert_int_equal(buffer.limit, 8);
}

static void a_size_that_would_wrap_around_is_over_the_limit(void **state) {
    (void) state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    assert_true(buffer_append_text(&buffer, "abc"));
    assert_false(buffer_reserve(&buffer, SIZE_MAX));
    assert_true(buffer.overflow);
    buffer_finish(&buffer);
}

static void a_refused_allocation_is_an_overflow_where_there_is_a_limit(void **state) {
    (void) state;
    for (unsigned long n = 1; n <= 3; n++) {
        struct buffer buffer;
        buffer_init(&buffer, 1 << 20);
        memory_fail_nth_try(n);
        for (int i = 0; i < 300; i++) {
            buffer_append_char(&buffer, 'x');
        }
        memory_fail_nth_try(0);
        assert_true(buffer.overflow);
        assert_true(buffer.size < 300);
        buffer_finish(&buffer);
    }
}

static void numbers_are_written_in_decimal(void **state) {
    (void) state;
    struct buffer buffer = BUFFER_EMPTY;
    buffer_append_u64_decimal(&buffer, 0);
    buffer_append_char(&buffer, ' ');
    buffer_append_u64_decimal(&buffer, UINT64_MAX);
    buffer_append_char(&buffer, ' ');
    buffer_append_i64_decimal(&buffer, INT64_MIN);
    buffer_append_char(&buffer, ' ');
    buffer_append_i64_decimal(&buffer, -1);
    buffer_append_char(&buffer, ' ');
    buffer_append_i64_decimal(&buffer, INT64_MAX);
    assert_buffer_is(&buffer, "0 18446744073709551615 -9223372036854775808 -1 9223372036854775807");
    buffer_finish(&buffer);
}

static void formats_are_appended_whole_or_not_at_all(void **state) {
    (void) state;
    struct buffer buffer = BUFFER_EMPTY;
    assert_true(buffer_append_format(&buffer, "%s=%d;", "first", 1));
    assert_true(buffer_append_format(&buffer, "%s=%d", "second", 22));
    assert_buffer_is(&buffer, "first=1;second=22");
    buffer_finish(&buffer);

    struct buffer exact;
    buffer_init(&exact, 5);
    assert_true(buffer_append_format(&exact, "%d", 12345));
    assert_buffer_is(&exact, "12345");
    assert_false(buffer_append_format(&exact, "%d", 6));
    assert_false(buffer_append_format(&exact, "%s", ""));
    assert_buffer_is(&exact, "12345");
    buffer_finish(&exact);

    struct buffer narrow;
    buffer_init(&narrow, 5);
    assert_false(buffer_append_format(&narrow, "%d", 123456));
    assert_buffer_is(&narrow, "");
    buffer_finish(&narrow);
}

static void integers_travel_with_the_low_byte_first(void **state) {
    (void) state;
    struct buffer buffer = BUFFER_EMPTY;
    buffer_append_u8(&buffer, 0x01);
    buffer_append_u16(&buffer, 0x0302);
    buffer_append_u32(&buffer, 0x07060504);
    buffer_append_u64(&buffer, 0x0f0e0d0c0b0a0908U);
    assert_int_equal(buffer.size, 15);
    for (size_t i = 0; i < buffer.size; i++) {
        assert_int_equal(buffer.data[i], i + 1);
    }
    struct cursor cursor = cursor_of(buffer_span(&buffer));
    assert_int_equal(cursor_u8(&cursor), 0x01);
    assert_int_equal(cursor_u16(&cursor), 0x0302);
    assert_int_equal(cursor_u32(&cursor), 0x07060504);
    assert_int_equal(cursor_u64(&cursor), 0x0f0e0d0c0b0a0908U);
    assert_true(cursor_is_done(&cursor));
    buffer_finish(&buffer);
}

static void sized_bytes_come_back_as_they_went(void **state) {
    (void) state;
    struct buffer buffer = BUFFER_EMPTY;
    assert_true(buffer_append_sized(&buffer, SPAN_LITERAL("hello")));
    assert_true(buffer_append_sized(&buffer, SPAN_EMPTY));
    struct cursor cursor = cursor_of(buffer_span(&buffer));
    assert_true(span_equal_text(cursor_sized(&cursor), "hello"));
    assert_int_equal(cursor_sized(&cursor).size, 0);
    assert_true(cursor_is_done(&cursor));
    buffer_finish(&buffer);
}

static void sized_bytes_over_the_limit_leave_no_length_behind(void **state) {
    (void) state;
    struct buffer buffer;
    buffer_init(&buffer, 8);
    assert_false(buffer_append_sized(&buffer, SPAN_LITERAL("hello")));
    assert_int_equal(buffer.size, 0);
    buffer_finish(&buffer);
}

static void a_read_past_the_end_fails_and_so_does_every_later_one(void **state) {
    (void) state;
    static const uint8_t bytes[] = {1, 2, 3};
    struct cursor cursor = cursor_of(span_of(bytes, sizeof bytes));
    assert_int_equal(cursor_u32(&cursor), 0);
    assert_true(cursor.failed);
    assert_int_equal(cursor_u8(&cursor), 0);
    assert_int_equal(cursor_bytes(&cursor, 0).size, 0);
    assert_false(cursor_is_done(&cursor));
}

static void a_length_larger_than_what_is_left_fails(void **state) {
    (void) state;
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 'a'};
    struct cursor cursor = cursor_of(span_of(bytes, sizeof bytes));
    assert_int_equal(cursor_sized(&cursor).size, 0);
    assert_true(cursor.failed);
}

static void reading_nothing_from_nothing_is_fine(void **state) {
    (void) state;
    struct cursor cursor = cursor_of(SPAN_EMPTY);
    assert_int_equal(cursor_bytes(&cursor, 0).size, 0);
    assert_true(cursor_is_done(&cursor));
    assert_int_equal(cursor_u8(&cursor), 0);
    assert_true(cursor.failed);
}

static void put_overwrites_and_consume_drops_from_the_front(void **state) {
    (void) state;
    struct buffer buffer = BUFFER_EMPTY;
    buffer_append_text(&buffer, "....rest");
    buffer_put_u32(&buffer, 0, 0x44434241);
    assert_buffer_is(&buffer, "ABCDrest");
    buffer_consume(&buffer, 5);
    assert_buffer_is(&buffer, "est");
    buffer_consume(&buffer, 3);
    assert_buffer_is(&buffer, "");
    buffer_consume(&buffer, 0);
    buffer_finish(&buffer);
}

static void put_behind_the_end(void) {
    struct buffer buffer = BUFFER_EMPTY;
    buffer_append_text(&buffer, "abcde");
    buffer_put_u32(&buffer, 2, 1);
}

static void consume_too_much(void) {
    struct buffer buffer = BUFFER_EMPTY;
    buffer_append_text(&buffer, "abc");
    buffer_consume(&buffer, 4);
}

static void misuse_aborts(void **state) {
    (void) state;
    assert_true(aborts(put_behind_the_end, NULL, 0));
    assert_true(aborts(consume_too_much, NULL, 0));
}

static void json_strings_escape_what_must_be_escaped(void **state) {
    (void) state;
    struct buffer buffer = BUFFER_EMPTY;
    assert_true(buffer_append_json_string(&buffer, SPAN_LITERAL("a\"b\\c\n\r\t\b\f\x01\x1f\x7f\xc3\xa9/")));
    assert_buffer_is(&buffer, "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\\u007f\xc3\xa9/\"");
    buffer_clear(&buffer);
    assert_true(buffer_append_json_string(&buffer, SPAN_EMPTY));
    assert_buffer_is(&buffer, "\"\"");
    buffer_finish(&buffer);
}

static void every_byte_below_0x80_survives_a_json_parser(void **state) {
    (void) state;
    for (char c = 1; c > 0; c++) {
        struct buffer buffer = BUFFER_EMPTY;
        char text[] = {'<', c, '>', '\0'};
        buffer_append_json_string(&buffer, span_of_text(text));
        buffer_append_char(&buffer, '\0');
        cJSON *value = cJSON_Parse((const char *) buffer.data);
        assert_non_null(value);
        assert_string_equal(value->valuestring, text);
        cJSON_Delete(value);
        buffer_finish(&buffer);
        if (c == 0x7f) {
            break;
        }
    }
}

static void a_json_string_over_the_limit_says_so(void **state) {
    (void) state;
    for (size_t limit = 1; limit < 12; limit++) {
        struct buffer buffer;
        buffer_init(&buffer, limit);
        assert_false(buffer_append_json_string(&buffer, SPAN_LITERAL("ab\ncdefg\"")));
        assert_true(buffer.overflow);
        buffer_finish(&buffer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_compare_by_their_bytes),
        cmocka_unit_test(whole_numbers_are_read_strictly),
        cmocka_unit_test(a_buffer_grows_as_it_is_appended_to),
        cmocka_unit_test(an_append_over_the_limit_appends_nothing_and_bars_later_ones),
        cmocka_unit_test(a_size_that_would_wrap_around_is_over_the_limit),
        cmocka_unit_test(a_refused_allocation_is_an_overflow_where_there_is_a_limit),
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(formats_are_appended_whole_or_not_at_all),
        cmocka_unit_test(integers_travel_with_the_low_byte_first),
        cmocka_unit_test(sized_bytes_come_back_as_they_went),
        cmocka_unit_test(sized_bytes_over_the_limit_leave_no_length_behind),
        cmocka_unit_test(a_read_past_the_end_fails_and_so_does_every_later_one),
        cmocka_unit_test(a_length_larger_than_what_is_left_fails),
        cmocka_unit_test(reading_nothing_from_nothing_is_fine),
        cmocka_unit_test(put_overwrites_and_consume_drops_from_the_front),
        cmocka_unit_test(misuse_aborts),
        cmocka_unit_test(json_strings_escape_what_must_be_escaped),
        cmocka_unit_test(every_byte_below_0x80_survives_a_json_parser),
        cmocka_unit_test(a_json_string_over_the_limit_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
