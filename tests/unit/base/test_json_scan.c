/* What JSON is here, as tables of accepted and refused texts. */
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

/* ---- UTF-8 alone ---- */

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
        cmocka_unit_test(utf8_alone_is_judged_as_inside_strings),
        cmocka_unit_test(every_outcome_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
