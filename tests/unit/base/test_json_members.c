/* What cutting a JSON text into members and decoding its values promise. */
#include "base/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct json_value scan_ok(struct span text) {
    struct json_value value;
    struct json_error error;
    enum json_outcome outcome = json_scan(text, &JSON_LIMITS_PAYLOAD, &value, &error);
    if (outcome != JSON_OK) {
        fail_msg("%.*s: %s at %zu", (int) text.size, (const char *) text.data, json_outcome_text(outcome),
                 error.offset);
    }
    return value;
}

static struct json_value parse(const char *text) {
    return scan_ok(span_of_text(text));
}

/* ---- cutting ---- */

static void a_value_is_its_exact_bytes_without_space_around(void **state) {
    (void) state;
    struct json_value value = parse(" \n{ \"a\" : 1 }\t");
    assert_int_equal(value.type, JSON_OBJECT);
    assert_true(span_equal_text(value.text, "{ \"a\" : 1 }"));
    assert_int_equal(parse("[1]").type, JSON_ARRAY);
    assert_int_equal(parse("\"x\"").type, JSON_STRING);
    assert_true(span_equal_text(parse(" \"x\" ").text, "\"x\""));
    assert_int_equal(parse("-1.5").type, JSON_NUMBER);
    assert_int_equal(parse("true").type, JSON_TRUE);
    assert_int_equal(parse("false").type, JSON_FALSE);
    assert_int_equal(parse("null").type, JSON_NULL);
}

static void members_come_in_order_with_their_exact_bytes(void **state) {
    (void) state;
    struct json_value object =
        parse("{ \"a\" : 1 ,\n\"b\":\"x,\\\"}\" ,\"c\" : [ 1, {\"]\":\"[\"} ]\r\n, \"d\":{\"e\":null}, "
              "\"f\":true}");
    static const char *const names[] = {"\"a\"", "\"b\"", "\"c\"", "\"d\"", "\"f\""};
    static const char *const values[] = {"1", "\"x,\\\"}\"", "[ 1, {\"]\":\"[\"} ]", "{\"e\":null}", "true"};
    struct json_iterator iterator = json_iterate(object);
    struct json_value name;
    struct json_value value;
    size_t n = 0;
    while (json_next(&iterator, &name, &value)) {
        assert_true(n < N_OF(names));
        assert_true(span_equal_text(name.text, names[n]));
        assert_true(span_equal_text(value.text, values[n]));
        n++;
    }
    assert_int_equal(n, N_OF(names));
    assert_false(json_next(&iterator, &name, &value));
}

static void elements_come_in_order_without_names(void **state) {
    (void) state;
    struct json_iterator iterator = json_iterate(parse("[1 , \"]\" ,[2,3], {} ]"));
    static const char *const values[] = {"1", "\"]\"", "[2,3]", "{}"};
    struct json_value name;
    struct json_value value;
    size_t n = 0;
    while (json_next(&iterator, &name, &value)) {
        assert_true(n < N_OF(values));
        assert_int_equal(name.type, JSON_NONE);
        assert_true(span_equal_text(value.text, values[n++]));
    }
    assert_int_equal(n, N_OF(values));
}

static void empty_containers_and_scalars_have_nothing_to_walk(void **state) {
    (void) state;
    static const char *const texts[] = {"{}", "[]", "{ }", "[\n]", "1", "\"abc\"", "null", "true"};
    for (size_t i = 0; i < N_OF(texts); i++) {
        struct json_iterator iterator = json_iterate(parse(texts[i]));
        struct json_value name;
        struct json_value value;
        assert_false(json_next(&iterator, &name, &value));
    }
    struct json_iterator iterator = json_iterate(JSON_ABSENT);
    struct json_value name;
    struct json_value value;
    assert_false(json_next(&iterator, &name, &value));
}

static void a_member_is_found_by_its_case_sensitive_name_the_last_one_counts(void **state) {
    (void) state;
    struct json_value object = parse("{\"Exp\":1,\"exp\":2,\"e\\u0078p\":3,\"expo\":4,\"ex\":5}");
    assert_true(span_equal_text(json_member(object, "exp").text, "3"));
    assert_true(span_equal_text(json_member(object, "Exp").text, "1"));
    assert_int_equal(json_member(object, "EXP").type, JSON_NONE);
    assert_int_equal(json_member(parse("[1]"), "exp").type, JSON_NONE);
    assert_int_equal(json_member(JSON_ABSENT, "exp").type, JSON_NONE);
    assert_true(span_equal_text(json_member(parse("{\"\":7}"), "").text, "7"));
}

static void several_members_are_found_in_one_walk_as_each_alone(void **state) {
    (void) state;
    static const struct span names[] = {JSON_NAME("sub"), JSON_NAME("exp"), JSON_NAME(""), JSON_NAME("aud"),
                                        JSON_NAME("ex")};
    struct json_value object = parse("{\"exp\":1,\"expo\":2,\"sub\":{\"aud\":3},\"e\\u0078p\":4,\"\":null}");
    struct json_value found[N_OF(names)];
    json_members(object, names, N_OF(names), found);
    assert_true(span_equal_text(found[0].text, "{\"aud\":3}"));
    assert_true(span_equal_text(found[1].text, "4"));
    assert_int_equal(found[2].type, JSON_NULL);
    assert_int_equal(found[3].type, JSON_NONE);
    assert_int_equal(found[4].type, JSON_NONE);
    json_members(parse("[1]"), names, N_OF(names), found);
    for (size_t i = 0; i < N_OF(names); i++) {
        assert_int_equal(found[i].type, JSON_NONE);
    }
}

static void names_are_compared_with_their_escapes_decoded(void **state) {
    (void) state;
    assert_true(json_name_is(parse("\"id\""), "id"));
    assert_true(json_name_is(parse("\"\\u0069\\u0064\""), "id"));
    assert_true(json_name_is(parse("\"a\\/b\""), "a/b"));
    assert_false(json_name_is(parse("\"id\\u0000\""), "id"));
    assert_false(json_name_is(parse("\"i\""), "id"));
    assert_false(json_name_is(parse("\"idx\""), "id"));
    assert_false(json_name_is(parse("12"), "12"));
    assert_true(json_name_is(parse("\"\""), ""));
}

static void duplicate_names_are_found_in_any_spelling(void **state) {
    (void) state;
    assert_true(json_has_duplicate_names(parse("{\"a\":1,\"b\":2,\"a\":3}")));
    assert_true(json_has_duplicate_names(parse("{\"a\":1,\"\\u0061\":3}")));
    assert_true(json_has_duplicate_names(parse("{\"\xC3\xA9\":1,\"\\u00e9\":3}")));
    assert_true(json_has_duplicate_names(parse("{\"\xF0\x9F\x98\x80\":1,\"\\ud83d\\ude00\":3}")));
    assert_false(json_has_duplicate_names(parse("{\"a\":1,\"A\":3}")));
    assert_false(json_has_duplicate_names(parse("{\"a\":1,\"a\\u0000\":3}")));
    assert_false(json_has_duplicate_names(parse("{\"a\":{\"a\":{\"a\":1}}}")));
    assert_false(json_has_duplicate_names(parse("{}")));
    assert_false(json_has_duplicate_names(parse("[\"a\",\"a\"]")));
}

static void duplicate_names_are_found_in_large_objects_too(void **state) {
    (void) state;
    for (int twin = 0; twin < 200; twin += 13) {
        struct buffer text;
        buffer_init(&text, 0);
        buffer_append_text(&text, "{");
        for (int i = 0; i < 200; i++) {
            buffer_append_format(&text, "\"k%d\":[1,2],", i);
        }
        size_t size_without_last = text.size - 1;
        buffer_append_format(&text, "\"k%d\":0}", twin);
        assert_true(json_has_duplicate_names(scan_ok(buffer_span(&text))));
        text.data[size_without_last] = '}';
        assert_false(json_has_duplicate_names(scan_ok(span_of(text.data, size_without_last + 1))));
        buffer_finish(&text);
    }
}

/* ---- decoding ---- */

static void strings_are_decoded_to_utf8(void **state) {
    (void) state;
    static const struct {
        const char *json;
        const char *text;
    } samples[] = {
        {"\"\"", ""},
        {"\"abc\"", "abc"},
        {"\"a\\\"\\\\\\/b\"", "a\"\\/b"},
        {"\"\\b\\f\\n\\r\\t\"", "\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC"},
        {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80"},
        {"\"\\uDBFF\\uDFFF\"", "\xF4\x8F\xBF\xBF"},
        {"\"h\xC3\xA9\\n\"", "h\xC3\xA9\n"},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        struct buffer out;
        buffer_init(&out, 0);
        buffer_append_text(&out, ">");
        assert_true(json_decode_string(parse(samples[i].json), &out));
        assert_int_equal(out.data[0], '>');
        assert_true(span_equal_text(span_of(out.data + 1, out.size - 1), samples[i].text));
        buffer_finish(&out);
    }
}

static void a_string_with_nul_is_valid_json_but_never_text(void **state) {
    (void) state;
    struct buffer out;
    buffer_init(&out, 0);
    buffer_append_text(&out, "x");
    assert_false(json_decode_string(parse("\"a\\u0000b\""), &out));
    assert_int_equal(out.size, 1);
    assert_false(json_decode_string(parse("1"), &out));
    assert_false(json_decode_string(JSON_ABSENT, &out));
    assert_true(json_decode_string(parse("\"ok\""), &out));
    assert_true(span_equal_text(buffer_span(&out), "xok"));
    buffer_finish(&out);
}

static void decoding_stops_at_the_limit_of_the_buffer(void **state) {
    (void) state;
    struct buffer out;
    buffer_init(&out, 4);
    assert_true(json_decode_string(parse("\"abcd\""), &out));
    buffer_clear(&out);
    assert_false(json_decode_string(parse("\"ab\\ncd\""), &out));
    assert_int_equal(out.size, 0);
    assert_true(out.overflow);
    buffer_finish(&out);
}

static void a_plain_string_needs_no_copy(void **state) {
    (void) state;
    struct span text;
    struct json_value value = parse("\"news:\xC3\xA9\"");
    assert_true(json_plain_string(value, &text));
    assert_true(span_equal_text(text, "news:\xC3\xA9"));
    assert_ptr_equal(text.data, value.text.data + 1);
    assert_true(json_plain_string(parse("\"\""), &text));
    assert_int_equal(text.size, 0);
    assert_false(json_plain_string(parse("\"a\\nb\""), &text));
    assert_false(json_plain_string(parse("12"), &text));
    assert_false(json_plain_string(JSON_ABSENT, &text));
}

static void integers_are_exact_or_refused(void **state) {
    (void) state;
    static const struct {
        const char *json;
        bool is_u64;
        bool is_i64;
        uint64_t u64;
        int64_t i64;
    } samples[] = {
        {"0", true, true, 0, 0},
        {"1", true, true, 1, 1},
        {"9007199254740993", true, true, 9007199254740993U, 9007199254740993},
        {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
        {"9223372036854775808", true, false, 9223372036854775808U, 0},
        {"18446744073709551615", true, false, UINT64_MAX, 0},
        {"18446744073709551616", false, false, 0, 0},
        {"99999999999999999999999", false, false, 0, 0},
        {"-1", false, true, 0, -1},
        {"-9223372036854775808", false, true, 0, INT64_MIN},
        {"-9223372036854775809", false, false, 0, 0},
        {"-0", false, false, 0, 0},
        {"1.0", false, false, 0, 0},
        {"1e3", false, false, 0, 0},
        {"\"1\"", false, false, 0, 0},
        {"true", false, false, 0, 0},
        {"null", false, false, 0, 0},
        {"[1]", false, false, 0, 0},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        struct json_value value = parse(samples[i].json);
        uint64_t u64 = 0;
        int64_t i64 = 0;
        assert_int_equal(json_to_u64(value, &u64), samples[i].is_u64);
        assert_int_equal(json_to_i64(value, &i64), samples[i].is_i64);
        assert_true(u64 == samples[i].u64);
        assert_true(i64 == samples[i].i64);
    }
    uint64_t untouched = 7;
    assert_false(json_to_u64(JSON_ABSENT, &untouched));
    assert_int_equal(untouched, 7);
}

static void only_true_and_false_are_booleans(void **state) {
    (void) state;
    bool value = false;
    assert_true(json_to_bool(parse("true"), &value));
    assert_true(value);
    assert_true(json_to_bool(parse("false"), &value));
    assert_false(value);
    assert_false(json_to_bool(parse("1"), &value));
    assert_false(json_to_bool(parse("\"true\""), &value));
    assert_false(json_to_bool(parse("null"), &value));
    assert_false(json_to_bool(JSON_ABSENT, &value));
}

static void line_ends_between_tokens_go_and_nothing_else_changes(void **state) {
    (void) state;
    struct buffer out;
    buffer_init(&out, 0);
    struct json_value value = parse("{\r\n \"a\\n\" :\n[ 1 ,\r2 ]\n}");
    assert_true(json_append_one_line(&out, value.text));
    assert_true(span_equal_text(buffer_span(&out), "{ \"a\\n\" :[ 1 ,2 ]}"));
    buffer_clear(&out);
    assert_true(json_append_one_line(&out, SPAN_LITERAL("{\"a\":1}")));
    assert_true(span_equal_text(buffer_span(&out), "{\"a\":1}"));
    buffer_finish(&out);
    struct buffer small;
    buffer_init(&small, 3);
    assert_false(json_append_one_line(&small, SPAN_LITERAL("[\n1,2\n]")));
    buffer_finish(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_its_exact_bytes_without_space_around),
        cmocka_unit_test(members_come_in_order_with_their_exact_bytes),
        cmocka_unit_test(elements_come_in_order_without_names),
        cmocka_unit_test(empty_containers_and_scalars_have_nothing_to_walk),
        cmocka_unit_test(a_member_is_found_by_its_case_sensitive_name_the_last_one_counts),
        cmocka_unit_test(several_members_are_found_in_one_walk_as_each_alone),
        cmocka_unit_test(names_are_compared_with_their_escapes_decoded),
        cmocka_unit_test(duplicate_names_are_found_in_any_spelling),
        cmocka_unit_test(duplicate_names_are_found_in_large_objects_too),
        cmocka_unit_test(strings_are_decoded_to_utf8),
        cmocka_unit_test(a_string_with_nul_is_valid_json_but_never_text),
        cmocka_unit_test(decoding_stops_at_the_limit_of_the_buffer),
        cmocka_unit_test(a_plain_string_needs_no_copy),
        cmocka_unit_test(integers_are_exact_or_refused),
        cmocka_unit_test(only_true_and_false_are_booleans),
        cmocka_unit_test(line_ends_between_tokens_go_and_nothing_else_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
