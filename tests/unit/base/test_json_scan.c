/* What JSON is here, as tables of accepted and refused texts; and what cutting and decoding promise. */
#include "base/json_scan.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/utf8.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
/* As SPAN_LITERAL, where only a constant may stand. */
#define BYTES(literal)                                                                                                 \
    { (const uint8_t *) ("" literal), sizeof(literal) - 1 }

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

static enum json_outcome judge(struct span text, const struct json_limits *limits) {
    /* An exact copy, so that a read past the end is seen by the address sanitizer. */
    uint8_t *copy = memory_alloc(text.size + (text.size == 0));
    memcpy(copy, text.data == NULL ? (const uint8_t *) "" : text.data, text.size);
    struct json_value value;
    struct json_error error;
    enum json_outcome outcome = json_scan(span_of(copy, text.size), limits, &value, &error);
    assert_int_equal(error.outcome, outcome);
    assert_true(error.offset <= text.size);
    assert_int_equal(value.type == JSON_NONE, outcome != JSON_OK);
    memory_free(copy);
    return outcome;
}

/* ---- hostile and odd texts ---- */

struct judged_case {
    struct span text;
    enum json_outcome outcome;
};

static const struct judged_case cases[] = {
    /* nothing */
    {{NULL, 0}, JSON_EMPTY},
    {BYTES(" "), JSON_EMPTY},
    {BYTES("\t\r\n "), JSON_EMPTY},
    {BYTES("\f"), JSON_BAD_SYNTAX},
    {BYTES("\v1"), JSON_BAD_SYNTAX},
    {BYTES("\xC2\xA0"), JSON_BAD_SYNTAX},
    {BYTES("\0"), JSON_BAD_SYNTAX},
    {BYTES("\xEF\xBB\xBF"), JSON_BAD_SYNTAX},
    {BYTES("\xEF\xBB\xBF{}"), JSON_BAD_SYNTAX},
    {BYTES("\xFE\xFF\0{\0}"), JSON_BAD_SYNTAX},
    /* words */
    {BYTES("true"), JSON_OK},
    {BYTES("false"), JSON_OK},
    {BYTES("null"), JSON_OK},
    {BYTES(" true "), JSON_OK},
    {BYTES("True"), JSON_BAD_SYNTAX},
    {BYTES("TRUE"), JSON_BAD_SYNTAX},
    {BYTES("tru"), JSON_BAD_SYNTAX},
    {BYTES("t"), JSON_BAD_SYNTAX},
    {BYTES("truee"), JSON_TRAILING_BYTES},
    {BYTES("nul"), JSON_BAD_SYNTAX},
    {BYTES("nil"), JSON_BAD_SYNTAX},
    {BYTES("undefined"), JSON_BAD_SYNTAX},
    {BYTES("NaN"), JSON_BAD_SYNTAX},
    {BYTES("Infinity"), JSON_BAD_SYNTAX},
    {BYTES("-Infinity"), JSON_BAD_SYNTAX},
    /* numbers */
    {BYTES("0"), JSON_OK},
    {BYTES("-0"), JSON_OK},
    {BYTES("10"), JSON_OK},
    {BYTES("0.0"), JSON_OK},
    {BYTES("1e5"), JSON_OK},
    {BYTES("1E+5"), JSON_OK},
    {BYTES("1.25e-5"), JSON_OK},
    {BYTES("1e999"), JSON_OK}, /* a number is text until somebody asks for an integer */
    {BYTES("123456789012345678901234567890"), JSON_OK},
    {BYTES("00"), JSON_TRAILING_BYTES},
    {BYTES("01"), JSON_TRAILING_BYTES},
    {BYTES("[01]"), JSON_BAD_SYNTAX},
    {BYTES("-01"), JSON_TRAILING_BYTES},
    {BYTES("-"), JSON_BAD_SYNTAX},
    {BYTES("--1"), JSON_BAD_SYNTAX},
    {BYTES("+1"), JSON_BAD_SYNTAX},
    {BYTES(".5"), JSON_BAD_SYNTAX},
    {BYTES("5."), JSON_BAD_SYNTAX},
    {BYTES("-.5"), JSON_BAD_SYNTAX},
    {BYTES("1e"), JSON_BAD_SYNTAX},
    {BYTES("1e+"), JSON_BAD_SYNTAX},
    {BYTES("1.e5"), JSON_BAD_SYNTAX},
    {BYTES("1e5.5"), JSON_TRAILING_BYTES},
    {BYTES("1 2"), JSON_TRAILING_BYTES},
    {BYTES("0x10"), JSON_TRAILING_BYTES},
    {BYTES("1_000"), JSON_TRAILING_BYTES},
    {BYTES("- 1"), JSON_BAD_SYNTAX},
    {BYTES("1\0"), JSON_TRAILING_BYTES},
    {BYTES("\xEF\xBC\x91"), JSON_BAD_SYNTAX}, /* a full-width digit */
    /* strings */
    {BYTES("\"\""), JSON_OK},
    {BYTES("\"abcdefgh\""), JSON_OK},
    {BYTES("\"abcdefghijklmnopqrstuvwxyz\""), JSON_OK},
    {BYTES("\"\x7F\""), JSON_OK},
    {BYTES("\""), JSON_BAD_SYNTAX},
    {BYTES("\"abc"), JSON_BAD_SYNTAX},
    {BYTES("\"abcdefghijklmnop"), JSON_BAD_SYNTAX},
    {BYTES("'abc'"), JSON_BAD_SYNTAX},
    {BYTES("\"a\nb\""), JSON_BAD_SYNTAX},
    {BYTES("\"a\tb\""), JSON_BAD_SYNTAX},
    {BYTES("\"a\0b\""), JSON_BAD_SYNTAX},
    {BYTES("\"\x1F\""), JSON_BAD_SYNTAX},
    {BYTES("\"abcdefg\x01hijklmno\""), JSON_BAD_SYNTAX},
    {BYTES("\"abcdefgh\x1Fijklmno\""), JSON_BAD_SYNTAX},
    /* escapes */
    {BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), JSON_OK},
    {BYTES("\"\\u0000\""), JSON_OK}, /* refused where it is decoded as text */
    {BYTES("\"\\u00e9\\u00E9\""), JSON_OK},
    {BYTES("\"\\ud83d\\ude00\""), JSON_OK},
    {BYTES("\"\\"), JSON_BAD_SYNTAX},
    {BYTES("\"\\\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\x41\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\a\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\'\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\U0041\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\0\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\\n\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\u\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\u12\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\u12G4\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\u 123\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\u+123\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\u123"), JSON_BAD_SYNTAX},
    {BYTES("\"\\ud800\""), JSON_BAD_UTF8},
    {BYTES("\"\\udc00\""), JSON_BAD_UTF8},
    {BYTES("\"\\udfff\""), JSON_BAD_UTF8},
    {BYTES("\"\\ud800\\ud800\""), JSON_BAD_UTF8},
    {BYTES("\"\\udc00\\ud800\""), JSON_BAD_UTF8},
    {BYTES("\"\\ud800\\u0041\""), JSON_BAD_UTF8},
    {BYTES("\"\\ud800\\n\""), JSON_BAD_UTF8},
    {BYTES("\"\\ud800abcdef\""), JSON_BAD_UTF8},
    {BYTES("\"\\ud800\\u\""), JSON_BAD_SYNTAX},
    {BYTES("\"\\ud800\\udc0"), JSON_BAD_SYNTAX},
    {BYTES("\"\\ud800"), JSON_BAD_UTF8},
    {BYTES("\"\\ud83d\\ude00\\ude00\""), JSON_BAD_UTF8},
    /* UTF-8 */
    {BYTES("\"\xC3\xA9\""), JSON_OK},
    {BYTES("\"\xE2\x82\xAC\""), JSON_OK},
    {BYTES("\"\xF0\x9F\x98\x80\""), JSON_OK},
    {BYTES("\"\xC2\x80\xDF\xBF\""), JSON_OK},
    {BYTES("\"\xE0\xA0\x80\xEF\xBF\xBF\""), JSON_OK},
    {BYTES("\"\xED\x9F\xBF\xEE\x80\x80\""), JSON_OK},
    {BYTES("\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""), JSON_OK},
    {BYTES("\"\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xBF\""), JSON_BAD_UTF8},
    {BYTES("\"\xC0\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xC1\xBF\""), JSON_BAD_UTF8},
    {BYTES("\"\xC3\""), JSON_BAD_UTF8},
    {BYTES("\"\xC3"), JSON_BAD_UTF8},
    {BYTES("\"\xC3\x28\""), JSON_BAD_UTF8},
    {BYTES("\"\xE0\x80\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xE0\x9F\xBF\""), JSON_BAD_UTF8},
    {BYTES("\"\xE2\x82\""), JSON_BAD_UTF8},
    {BYTES("\"\xE2\x82"), JSON_BAD_UTF8},
    {BYTES("\"\xE2\x28\xA1\""), JSON_BAD_UTF8},
    {BYTES("\"\xED\xA0\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xED\xBF\xBF\""), JSON_BAD_UTF8},
    {BYTES("\"\xED\xA0\xBD\xED\xB8\x80\""), JSON_BAD_UTF8}, /* CESU-8 */
    {BYTES("\"\xF0\x80\x80\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xF0\x8F\xBF\xBF\""), JSON_BAD_UTF8},
    {BYTES("\"\xF0\x9F\x98\""), JSON_BAD_UTF8},
    {BYTES("\"\xF0\x9F\x98"), JSON_BAD_UTF8},
    {BYTES("\"\xF0\x28\x8C\xBC\""), JSON_BAD_UTF8},
    {BYTES("\"\xF4\x90\x80\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xF5\x80\x80\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xF8\x88\x80\x80\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xFC\x84\x80\x80\x80\x80\""), JSON_BAD_UTF8},
    {BYTES("\"\xFE\""), JSON_BAD_UTF8},
    {BYTES("\"\xFF\""), JSON_BAD_UTF8},
    {BYTES("\"abcdefghijklmno\xFF\""), JSON_BAD_UTF8},
    {BYTES("\"\xC3\\u00a9\""), JSON_BAD_UTF8},
    {BYTES("{\"\xFF\":1}"), JSON_BAD_UTF8},
    {BYTES("[\xC3\xA9]"), JSON_BAD_SYNTAX},
    /* arrays */
    {BYTES("[]"), JSON_OK},
    {BYTES("[ ]"), JSON_OK},
    {BYTES("[1]"), JSON_OK},
    {BYTES("[ 1 , 2 ]"), JSON_OK},
    {BYTES("[[],[[]]]"), JSON_OK},
    {BYTES("["), JSON_BAD_SYNTAX},
    {BYTES("[1"), JSON_BAD_SYNTAX},
    {BYTES("[1,"), JSON_BAD_SYNTAX},
    {BYTES("[1,]"), JSON_BAD_SYNTAX},
    {BYTES("[,1]"), JSON_BAD_SYNTAX},
    {BYTES("[,]"), JSON_BAD_SYNTAX},
    {BYTES("[1,,2]"), JSON_BAD_SYNTAX},
    {BYTES("[1 2]"), JSON_BAD_SYNTAX},
    {BYTES("[1:2]"), JSON_BAD_SYNTAX},
    {BYTES("[1;2]"), JSON_BAD_SYNTAX},
    {BYTES("[\"a\":1]"), JSON_BAD_SYNTAX},
    {BYTES("]"), JSON_BAD_SYNTAX},
    {BYTES("[}"), JSON_BAD_SYNTAX},
    {BYTES("[]]"), JSON_TRAILING_BYTES},
    {BYTES("[1]{}"), JSON_TRAILING_BYTES},
    {BYTES("[\"a\"\"b\"]"), JSON_BAD_SYNTAX},
    {BYTES("(1)"), JSON_BAD_SYNTAX},
    /* objects */
    {BYTES("{}"), JSON_OK},
    {BYTES("{ }"), JSON_OK},
    {BYTES("{\"\":0}"), JSON_OK},
    {BYTES("{ \"a\" : 1 , \"b\" : { } }"), JSON_OK},
    {BYTES("{\"a\":1,\"a\":2}"), JSON_OK}, /* whoever minds asks json_has_duplicate_names */
    {BYTES("{"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\""), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":1"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":1,"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":1,}"), JSON_BAD_SYNTAX},
    {BYTES("{,}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\"}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\" 1}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\",1}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\"::1}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":1 \"b\":2}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":1,,\"b\":2}"), JSON_BAD_SYNTAX},
    {BYTES("{a:1}"), JSON_BAD_SYNTAX},
    {BYTES("{'a':1}"), JSON_BAD_SYNTAX},
    {BYTES("{1:1}"), JSON_BAD_SYNTAX},
    {BYTES("{null:1}"), JSON_BAD_SYNTAX},
    {BYTES("{[]:1}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":1]"), JSON_BAD_SYNTAX},
    {BYTES("}"), JSON_BAD_SYNTAX},
    {BYTES("{}}"), JSON_TRAILING_BYTES},
    {BYTES("{}{}"), JSON_TRAILING_BYTES},
    {BYTES("{}\n{}"), JSON_TRAILING_BYTES},
    {BYTES("{}\0"), JSON_TRAILING_BYTES},
    {BYTES("{} \xEF\xBB\xBF"), JSON_TRAILING_BYTES},
    {BYTES("{}//"), JSON_TRAILING_BYTES},
    {BYTES("/**/{}"), JSON_BAD_SYNTAX},
    {BYTES("{/**/}"), JSON_BAD_SYNTAX},
    {BYTES("#\n{}"), JSON_BAD_SYNTAX},
    {BYTES("{\"a\":/**/1}"), JSON_BAD_SYNTAX},
    {BYTES(":"), JSON_BAD_SYNTAX},
    {BYTES(","), JSON_BAD_SYNTAX},
    {BYTES("\\u0031"), JSON_BAD_SYNTAX},
    {BYTES("<html>"), JSON_BAD_SYNTAX},
};

static void each_odd_text_has_its_named_outcome(void **state) {
    (void) state;
    assert_true(N_OF(cases) >= 100);
    for (size_t i = 0; i < N_OF(cases); i++) {
        enum json_outcome outcome = judge(cases[i].text, &JSON_LIMITS_PAYLOAD);
        if (outcome != cases[i].outcome) {
            fail_msg("case %zu (%.*s): %s, expected %s", i, (int) cases[i].text.size, (const char *) cases[i].text.data,
                     json_outcome_text(outcome), json_outcome_text(cases[i].outcome));
        }
    }
}

static void every_cut_of_a_valid_object_is_refused(void **state) {
    (void) state;
    struct span text =
        SPAN_LITERAL("{\"a\":[1.5e3,true,null,\"h\xC3\xA9\\u00e9\\ud83d\\ude00\xF0\x9F\x98\x80\"],\"b\":{}}");
    assert_int_equal(judge(text, &JSON_LIMITS_PAYLOAD), JSON_OK);
    for (size_t size = 0; size < text.size; size++) {
        assert_int_not_equal(judge(span_of(text.data, size), &JSON_LIMITS_PAYLOAD), JSON_OK);
    }
}

/* Every position inside the eight bytes that are looked at together. */
static void a_special_byte_is_seen_at_any_place_in_a_string(void **state) {
    (void) state;
    static const uint8_t refused[] = {0x00, 0x01, 0x1F, 0x80, 0xBF, 0xC0, 0xF5, 0xFF};
    for (size_t length = 1; length < 40; length++) {
        for (size_t place = 0; place < length; place++) {
            uint8_t text[48];
            memset(text, 'a', sizeof text);
            text[0] = '"';
            text[length + 1] = '"';
            assert_int_equal(judge(span_of(text, length + 2), &JSON_LIMITS_PAYLOAD), JSON_OK);
            for (size_t i = 0; i < N_OF(refused); i++) {
                text[place + 1] = refused[i];
                assert_int_not_equal(judge(span_of(text, length + 2), &JSON_LIMITS_PAYLOAD), JSON_OK);
            }
            text[place + 1] = 0x7F;
            assert_int_equal(judge(span_of(text, length + 2), &JSON_LIMITS_PAYLOAD), JSON_OK);
        }
    }
}

static void an_error_names_the_byte_where_it_was_noticed(void **state) {
    (void) state;
    struct json_value value;
    struct json_error error;
    json_scan(SPAN_LITERAL("{\"a\": tru}"), &JSON_LIMITS_DEFAULT, &value, &error);
    assert_int_equal(error.outcome, JSON_BAD_SYNTAX);
    assert_int_equal(error.offset, 6);
    json_scan(SPAN_LITERAL("[] []"), &JSON_LIMITS_DEFAULT, &value, &error);
    assert_int_equal(error.outcome, JSON_TRAILING_BYTES);
    assert_int_equal(error.offset, 3);
    json_scan(SPAN_LITERAL("\"ab\xFF\""), &JSON_LIMITS_DEFAULT, &value, &error);
    assert_int_equal(error.outcome, JSON_BAD_UTF8);
    assert_int_equal(error.offset, 3);
}

/* ---- limits ---- */

static enum json_outcome judge_repeated(const char *left, const char *middle, const char *right, unsigned n,
                                        const struct json_limits *limits) {
    struct buffer text;
    buffer_init(&text, 0);
    for (unsigned i = 0; i < n; i++) {
        buffer_append_text(&text, left);
    }
    buffer_append_text(&text, middle);
    for (unsigned i = 0; i < n; i++) {
        buffer_append_text(&text, right);
    }
    enum json_outcome outcome = judge(buffer_span(&text), limits);
    buffer_finish(&text);
    return outcome;
}

static void nesting_is_bounded(void **state) {
    (void) state;
    assert_int_equal(judge_repeated("[", "", "]", 32, &JSON_LIMITS_DEFAULT), JSON_OK);
    assert_int_equal(judge_repeated("[", "", "]", 33, &JSON_LIMITS_DEFAULT), JSON_TOO_DEEP);
    assert_int_equal(judge_repeated("{\"a\":", "1", "}", 32, &JSON_LIMITS_DEFAULT), JSON_OK);
    assert_int_equal(judge_repeated("{\"a\":", "1", "}", 33, &JSON_LIMITS_DEFAULT), JSON_TOO_DEEP);
    assert_int_equal(judge_repeated("[", "", "]", 64, &JSON_LIMITS_PAYLOAD), JSON_OK);
    assert_int_equal(judge_repeated("[", "", "]", 65, &JSON_LIMITS_PAYLOAD), JSON_TOO_DEEP);
    assert_int_equal(judge_repeated("[", "", "", 200000, &JSON_LIMITS_PAYLOAD), JSON_TOO_DEEP);
    assert_int_equal(judge_repeated("{\"a\":", "", "", 200000, &JSON_LIMITS_PAYLOAD), JSON_TOO_DEEP);
    /* Side by side is not inside each other. */
    assert_int_equal(judge_repeated("[", "", "],[],[]", 1, &JSON_LIMITS_PAYLOAD), JSON_TRAILING_BYTES);
    assert_int_equal(judge(SPAN_LITERAL("[[],[],[[]]]"), &((struct json_limits){3, 100, 100})), JSON_OK);
}

static void values_and_names_are_counted(void **state) {
    (void) state;
    struct json_limits five = {.depth = 4, .tokens = 5, .names = 64};
    assert_int_equal(judge(SPAN_LITERAL("[1,2,3,4]"), &five), JSON_OK);
    assert_int_equal(judge(SPAN_LITERAL("[1,2,3,4,5]"), &five), JSON_TOO_MANY_TOKENS);
    assert_int_equal(judge(SPAN_LITERAL("{\"a\":1,\"b\":2}"), &five), JSON_OK);
    assert_int_equal(judge(SPAN_LITERAL("{\"a\":1,\"b\":[1]}"), &five), JSON_TOO_MANY_TOKENS);
    assert_int_equal(judge(SPAN_LITERAL("{\"a\":1,\"b\":2,\"c\":3}"), &five), JSON_TOO_MANY_TOKENS);
    assert_int_equal(judge_repeated("[", "", ",1]", 1, &five), JSON_BAD_SYNTAX);
    assert_int_equal(judge_repeated("", "[0", "", 0, &five), JSON_BAD_SYNTAX);
}

static void names_are_counted_for_each_object_alone(void **state) {
    (void) state;
    struct json_limits two = {.depth = 4, .tokens = 100, .names = 2};
    assert_int_equal(judge(SPAN_LITERAL("{\"a\":{\"c\":1,\"d\":2},\"b\":{\"c\":1,\"d\":2}}"), &two), JSON_OK);
    assert_int_equal(judge(SPAN_LITERAL("{\"a\":1,\"b\":2,\"c\":3}"), &two), JSON_TOO_MANY_NAMES);
    assert_int_equal(judge(SPAN_LITERAL("[1,2,3,4]"), &two), JSON_OK);
}

/* ---- the public conformance suite ---- */

/* The texts a parser may judge as it likes, and what we made of it: numbers of any size are accepted as text; what is
 * not strict UTF-8 or holds half a surrogate pair, a byte order mark, or 500 levels is refused. */
static const char *const accepted_by_choice[] = {
    "i_number_double_huge_neg_exp.json",   "i_number_huge_exp.json",          "i_number_neg_int_huge_exp.json",
    "i_number_pos_double_huge_exp.json",   "i_number_real_neg_overflow.json", "i_number_real_pos_overflow.json",
    "i_number_real_underflow.json",        "i_number_too_big_neg_int.json",   "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
};

static bool is_expected_valid(const char *name) {
    if (name[0] != 'i') {
        return name[0] == 'y';
    }
    for (size_t i = 0; i < N_OF(accepted_by_choice); i++) {
        if (strcmp(name, accepted_by_choice[i]) == 0) {
            return true;
        }
    }
    return false;
}

static struct buffer read_all(const char *path) {
    struct buffer text;
    buffer_init(&text, 0);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char block[4096];
    for (size_t n = fread(block, 1, sizeof block, file); n > 0; n = fread(block, 1, sizeof block, file)) {
        buffer_append(&text, block, n);
    }
    fclose(file);
    return text;
}

static void the_public_test_suite_is_judged_as_documented(void **state) {
    (void) state;
    static const char folder_path[] = CALLBOARD_SOURCE_DIR "/../shared/data/json-test-suite/test_parsing";
    DIR *folder = opendir(folder_path);
    if (folder == NULL) {
        print_message("skipped: JSONTestSuite is not beside the sources\n");
        skip();
    }
    unsigned n_files = 0;
    unsigned n_wrong = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strstr(entry->d_name, ".json") == NULL) {
            continue;
        }
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder_path, entry->d_name);
        struct buffer text = read_all(path);
        enum json_outcome outcome = judge(buffer_span(&text), &JSON_LIMITS_PAYLOAD);
        if ((outcome == JSON_OK) != is_expected_valid(entry->d_name)) {
            print_message("%s: %s\n", entry->d_name, json_outcome_text(outcome));
            n_wrong++;
        }
        buffer_finish(&text);
        n_files++;
    }
    closedir(folder);
    assert_true(n_files > 300);
    assert_int_equal(n_wrong, 0);
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

/* ---- UTF-8 alone, and one line ---- */

static void utf8_alone_is_judged_as_inside_strings(void **state) {
    (void) state;
    unsigned n = 0;
    for (size_t i = 0; i < N_OF(cases); i++) {
        struct span text = cases[i].text;
        bool is_raw_string = text.size >= 3 && text.data[0] == '"' && memchr(text.data, '\\', text.size) == NULL;
        if (is_raw_string && (cases[i].outcome == JSON_OK || cases[i].outcome == JSON_BAD_UTF8)) {
            assert_int_equal(utf8_is_valid(text), cases[i].outcome == JSON_OK);
            n++;
        }
    }
    assert_true(n > 20);
    assert_true(utf8_is_valid(SPAN_EMPTY));
    assert_true(utf8_is_valid(SPAN_LITERAL("a\0b\x7F")));
    assert_true(utf8_is_valid(SPAN_LITERAL("12345678\xC3\xA9"
                                           "12345678")));
    assert_false(utf8_is_valid(SPAN_LITERAL("1234567812345678\xC3")));
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

static void every_outcome_has_a_text(void **state) {
    (void) state;
    for (int outcome = JSON_OK; outcome <= JSON_EMPTY; outcome++) {
        assert_true(strlen(json_outcome_text((enum json_outcome) outcome)) > 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_odd_text_has_its_named_outcome),
        cmocka_unit_test(every_cut_of_a_valid_object_is_refused),
        cmocka_unit_test(a_special_byte_is_seen_at_any_place_in_a_string),
        cmocka_unit_test(an_error_names_the_byte_where_it_was_noticed),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(values_and_names_are_counted),
        cmocka_unit_test(names_are_counted_for_each_object_alone),
        cmocka_unit_test(the_public_test_suite_is_judged_as_documented),
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
        cmocka_unit_test(utf8_alone_is_judged_as_inside_strings),
        cmocka_unit_test(line_ends_between_tokens_go_and_nothing_else_changes),
        cmocka_unit_test(every_outcome_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
