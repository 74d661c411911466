/* Which names a channel may have, and what their parts mean. */
#include "base/channel_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct span text(const char *name) {
    return span_of_text(name);
}

static void a_name_is_printable_ascii_without_pattern_brace_and_quote_bytes(void **state) {
    (void) state;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t name[3] = {'a', (uint8_t) byte, 'b'};
        bool is_allowed = byte > 0x20 && byte < 0x7F && (byte == 0 || strchr("{}*?[]\\\"'`", (int) byte) == NULL);
        enum channel_name_outcome expected = is_allowed ? CHANNEL_NAME_OK : CHANNEL_NAME_BAD_BYTE;
        assert_int_equal(channel_name_check(span_of(name, 3)), expected);
        assert_int_equal(channel_name_check(span_of(name + 1, 1)), expected);
    }
}

static void hostile_names_are_refused(void **state) {
    (void) state;
    static const struct span names[] = {
        {(const uint8_t *) "a\r\nDEL b", 8}, {(const uint8_t *) "a\0b", 3},        {(const uint8_t *) "{1}a", 4},
        {(const uint8_t *) "a b", 3},        {(const uint8_t *) "caf\xC3\xA9", 5}, {(const uint8_t *) "ns:*", 4},
        {(const uint8_t *) "\x1B[31m", 5},   {(const uint8_t *) "a\\b", 3},        {(const uint8_t *) "a\x7F", 2},
        {(const uint8_t *) "x'..'", 5},      {(const uint8_t *) "\xFF", 1},        {(const uint8_t *) " ", 1},
    };
    for (size_t i = 0; i < N_OF(names); i++) {
        assert_int_equal(channel_name_check(names[i]), CHANNEL_NAME_BAD_BYTE);
    }
}

static void a_name_has_one_to_255_bytes(void **state) {
    (void) state;
    uint8_t name[256];
    memset(name, 'a', sizeof name);
    assert_int_equal(channel_name_check(SPAN_EMPTY), CHANNEL_NAME_EMPTY);
    assert_int_equal(channel_name_check(span_of(name, 1)), CHANNEL_NAME_OK);
    assert_int_equal(channel_name_check(span_of(name, 255)), CHANNEL_NAME_OK);
    assert_int_equal(channel_name_check(span_of(name, 256)), CHANNEL_NAME_TOO_LONG);
}

static void the_namespace_stands_before_the_first_colon(void **state) {
    (void) state;
    static const char *const samples[][2] = {
        {"chat:index", "chat"},
        {"$chat:index", "chat"},
        {"chat:a:b", "chat"},
        {"chat", ""},
        {"$chat", ""},
        {":x", ""},
        {"$:x", ""},
        {"", ""},
        {"$", ""},
        {"chat:", "chat"},
        {"a$b:c", "a$b"},
        {"$$b:c", "$b"},
        {"chat:#42", "chat"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        assert_true(span_equal_text(channel_name_namespace(text(samples[i][0])), samples[i][1]));
    }
}

static void a_dollar_in_front_makes_a_name_private(void **state) {
    (void) state;
    assert_true(channel_name_is_private(text("$a")));
    assert_false(channel_name_is_private(text("a$")));
    assert_false(channel_name_is_private(text("")));
}

static void users_stand_behind_the_last_hash(void **state) {
    (void) state;
    static const struct {
        const char *name;
        const char *user;
        bool is_allowed;
    } samples[] = {
        {"dialog#42", "42", true},    {"dialog#42,43", "42", true},
        {"dialog#42,43", "43", true}, {"dialog#42,43,44", "43", true},
        {"dialog#42,43", "4", false}, {"dialog#42,43", "42,43", false},
        {"dialog#42", "", false},     {"dialog#", "", false},
        {"dialog#,", "", false},      {"dialog#42,", "42", true},
        {"dialog#,42", "42", true},   {"#42", "42", true},
        {"ns:#42", "42", true},       {"a#1#2", "1", false},
        {"a#1#2", "2", true},         {"dialog", "42", false},
        {"42", "42", false},          {"dialog#421", "42", false},
        {"dialog#142", "42", false},  {"", "42", false},
        {"dialog#A", "a", false},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        assert_int_equal(channel_name_allows_user(text(samples[i].name), text(samples[i].user)), samples[i].is_allowed);
    }
    assert_true(channel_name_is_user_limited(text("a#")));
    assert_true(channel_name_is_user_limited(text("#1")));
    assert_false(channel_name_is_user_limited(text("a")));
    assert_false(channel_name_is_user_limited(text("")));
}

static void a_namespace_has_two_to_64_letters_digits_dashes_or_underlines(void **state) {
    (void) state;
    assert_true(namespace_name_is_valid(text("ab")));
    assert_true(namespace_name_is_valid(text("-_")));
    assert_true(namespace_name_is_valid(text("Chat-2_x")));
    assert_false(namespace_name_is_valid(text("")));
    assert_false(namespace_name_is_valid(text("a")));
    assert_false(namespace_name_is_valid(text("a:b")));
    assert_false(namespace_name_is_valid(text("a b")));
    assert_false(namespace_name_is_valid(text("$ab")));
    assert_false(namespace_name_is_valid(text("ab\n")));
    assert_false(namespace_name_is_valid(text("caf\xC3\xA9")));
    char name[65];
    memset(name, 'a', sizeof name);
    assert_true(namespace_name_is_valid(span_of(name, 64)));
    assert_false(namespace_name_is_valid(span_of(name, 65)));
}

static void a_pattern_matches_whole_names_its_star_any_run(void **state) {
    (void) state;
    static const struct {
        const char *pattern;
        const char *name;
        bool is_match;
    } samples[] = {
        {"*", "", true},
        {"*", "abc", true},
        {"", "", true},
        {"", "a", false},
        {"abc", "abc", true},
        {"abc", "ab", false},
        {"abc", "abcd", false},
        {"chat:*", "chat:", true},
        {"chat:*", "chat:index", true},
        {"chat:*", "chats:x", false},
        {"*:index", "chat:index", true},
        {"*:index", "chat:indexx", false},
        {"a*c", "ac", true},
        {"a*c", "abc", true},
        {"a*c", "abcbc", true},
        {"a*c", "abcb", false},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "acb", false},
        {"**", "x", true},
        {"a**b", "ab", true},
        {"*ab*", "xxabyy", true},
        {"*ab*", "xxayby", false},
        {"?", "a", false},
        {"[a]", "a", false},
        {"A", "a", false},
        {"*aab", "aaab", true},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        if (channel_name_matches(text(samples[i].pattern), text(samples[i].name)) != samples[i].is_match) {
            fail_msg("%s on %s", samples[i].pattern, samples[i].name);
        }
    }
}

/* A recursive matcher would not come back from this one. */
static void many_stars_cost_no_more_than_pattern_times_name(void **state) {
    (void) state;
    char pattern[255];
    char name[255];
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    }
    pattern[sizeof pattern - 1] = 'b';
    memset(name, 'a', sizeof name);
    assert_false(channel_name_matches(span_of(pattern, sizeof pattern), span_of(name, sizeof name)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_printable_ascii_without_pattern_brace_and_quote_bytes),
        cmocka_unit_test(hostile_names_are_refused),
        cmocka_unit_test(a_name_has_one_to_255_bytes),
        cmocka_unit_test(the_namespace_stands_before_the_first_colon),
        cmocka_unit_test(a_dollar_in_front_makes_a_name_private),
        cmocka_unit_test(users_stand_behind_the_last_hash),
        cmocka_unit_test(a_namespace_has_two_to_64_letters_digits_dashes_or_underlines),
        cmocka_unit_test(a_pattern_matches_whole_names_its_star_any_run),
        cmocka_unit_test(many_stars_cost_no_more_than_pattern_times_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
