/* Texts to values of each type: what is taken, what is refused, and what a refusal leaves behind. */
#include "base/config_values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool parse(const struct config_key *key, void *target, struct span text) {
    struct buffer why = BUFFER_EMPTY;
    bool is_good = config_value_parse(key, target, text, &why);
    assert_int_equal(is_good, why.size == 0); /* a refusal says why */
    buffer_finish(&why);
    return is_good;
}

struct number_case {
    const char *text;
    bool is_good;
    int64_t value;
};

static void check_numbers(enum config_type type, const struct number_case *cases, size_t n) {
    struct config_key key = {.path = "k", .type = type};
    for (size_t i = 0; i < n; i++) {
        int64_t value = -77;
        if (parse(&key, &value, span_of_text(cases[i].text)) != cases[i].is_good) {
            fail_msg("%s", cases[i].text);
        }
        assert_true(value == (cases[i].is_good ? cases[i].value : -77));
    }
}

static void whole_numbers_are_plain_decimal_digits(void **state) {
    (void) state;
    static const struct number_case cases[] = {
        {"0", true, 0},
        {"8000", true, 8000},
        {"-5", true, -5},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
        {"+1", false, 0},
        {"01", false, 0},
        {"007", false, 0},
        {"0x1F", false, 0},
        {"0o17", false, 0},
        {"0b1", false, 0},
        {"1_000", false, 0},
        {"1,000", false, 0},
        {"1e3", false, 0},
        {"1.0", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"12:30", false, 0},
        {"ten", false, 0},
        {".inf", false, 0},
    };
    check_numbers(CONFIG_INT, cases, N_OF(cases));
}

static void sizes_have_units_of_1024(void **state) {
    (void) state;
    static const struct number_case cases[] = {
        {"0", true, 0},
        {"512", true, 512},
        {"7B", true, 7},
        {"64KiB", true, 65536},
        {"1MiB", true, 1 << 20},
        {"2GiB", true, INT64_C(2) << 30},
        {"0KiB", true, 0},
        {"64kb", false, 0},
        {"64KB", false, 0},
        {"64K", false, 0},
        {"64k", false, 0},
        {"64 KiB", false, 0},
        {"KiB", false, 0},
        {"1.5MiB", false, 0},
        {"-1KiB", false, 0},
        {"010", false, 0},
        {"", false, 0},
        {"9999999999999GiB", false, 0},
        {"9223372036854775807GiB", false, 0},
    };
    check_numbers(CONFIG_BYTES, cases, N_OF(cases));
}

static void durations_need_a_unit(void **state) {
    (void) state;
    static const struct number_case cases[] = {
        {"0", true, 0},          {"500ms", true, 500},
        {"10s", true, 10000},    {"5m", true, 300000},
        {"24h", true, 86400000}, {"30d", true, INT64_C(2592000000)},
        {"0s", true, 0},         {"10", false, 0},
        {"00", false, 0},        {"1h30m", false, 0},
        {"1.5s", false, 0},      {"10 s", false, 0},
        {"10S", false, 0},       {"10sec", false, 0},
        {"s", false, 0},         {"-1s", false, 0},
        {"", false, 0},          {"010s", false, 0},
        {"1w", false, 0},        {"999999999999999999d", false, 0},
    };
    check_numbers(CONFIG_DURATION, cases, N_OF(cases));
}

static void bounds_are_inclusive_and_named_in_the_unit_of_the_key(void **state) {
    (void) state;
    struct config_key key = {.path = "k", .type = CONFIG_DURATION, .minimum = 1000, .maximum = 90000};
    int64_t value = 0;
    assert_true(parse(&key, &value, SPAN_LITERAL("1s")));
    assert_true(parse(&key, &value, SPAN_LITERAL("90s")));
    assert_false(parse(&key, &value, SPAN_LITERAL("999ms")));
    struct buffer why = BUFFER_EMPTY;
    assert_false(config_value_parse(&key, &value, SPAN_LITERAL("2m"), &why));
    assert_true(span_equal_text(buffer_span(&why), "is out of bounds; it must be from 1s to 90s"));
    buffer_clear(&why);
    key.maximum = INT64_MAX;
    assert_false(config_value_parse(&key, &value, SPAN_LITERAL("1ms"), &why));
    assert_true(span_equal_text(buffer_span(&why), "is out of bounds; it must be at least 1s"));
    buffer_finish(&why);
}

static void only_true_and_false_are_truth_values(void **state) {
    (void) state;
    static const char *const refused[] = {"yes", "no", "on", "off", "True", "FALSE", "1", "0", "", "y", "t"};
    struct config_key key = {.path = "k", .type = CONFIG_BOOL};
    bool value = false;
    assert_true(parse(&key, &value, SPAN_LITERAL("true")));
    assert_true(value);
    for (size_t i = 0; i < N_OF(refused); i++) {
        assert_false(parse(&key, &value, span_of_text(refused[i])));
    }
    assert_true(value);
    assert_true(parse(&key, &value, SPAN_LITERAL("false")));
    assert_false(value);
}

static void texts_are_utf8_without_controls_and_within_their_length(void **state) {
    (void) state;
    struct config_key key = {.path = "k", .type = CONFIG_TEXT, .minimum = 2, .maximum = 4};
    struct config_table table = {"T", &key, 1, sizeof(char *), NULL};
    char *value = NULL;
    config_values_init(&table, &value);
    assert_string_equal(value, "");
    assert_true(parse(&key, &value, SPAN_LITERAL("\xC3\xA9")));
    assert_string_equal(value, "\xC3\xA9");
    static const struct span refused[] = {
        {(const uint8_t *) "a", 1},
        {(const uint8_t *) "abcde", 5},
        {(const uint8_t *) "a\nb", 3},
        {(const uint8_t *) "a\0b", 3},
        {(const uint8_t *) "a\xFF", 2},
        {(const uint8_t *) "a\x7F", 2},
        {NULL, 0},
    };
    for (size_t i = 0; i < N_OF(refused); i++) {
        assert_false(parse(&key, &value, refused[i]));
    }
    assert_string_equal(value, "\xC3\xA9");
    config_values_finish(&table, &value);
    assert_null(value);
}

static void secrets_may_have_any_byte_but_nul(void **state) {
    (void) state;
    struct config_key key = {.path = "k", .type = CONFIG_SECRET};
    struct config_table table = {"T", &key, 1, sizeof(char *), NULL};
    char *value = NULL;
    config_values_init(&table, &value);
    assert_true(parse(&key, &value, SPAN_LITERAL("\x01\n\xFF")));
    assert_string_equal(value, "\x01\n\xFF");
    assert_false(parse(&key, &value, SPAN_LITERAL("a\0b")));
    config_values_finish(&table, &value);
}

static void choices_are_exact_words(void **state) {
    (void) state;
    static const char *const choices[] = {"fast", "safe", NULL};
    struct config_key key = {.path = "k", .type = CONFIG_CHOICE, .choices = choices};
    int value = 0;
    assert_true(parse(&key, &value, SPAN_LITERAL("safe")));
    assert_int_equal(value, 1);
    assert_false(parse(&key, &value, SPAN_LITERAL("Fast")));
    assert_false(parse(&key, &value, SPAN_LITERAL("")));
    assert_int_equal(value, 1);
}

static void lists_outside_the_file_are_separated_by_commas(void **state) {
    (void) state;
    struct config_key key = {.path = "k", .type = CONFIG_TEXT_LIST, .default_text = "x"};
    struct config_table table = {"T", &key, 1, sizeof(struct config_text_list), NULL};
    struct config_text_list list = {NULL, 0};
    config_values_init(&table, &list);
    assert_int_equal(list.n, 1);
    assert_true(parse(&key, &list, SPAN_LITERAL(" a ,b,c d")));
    assert_int_equal(list.n, 3);
    assert_string_equal(list.texts[0], "a");
    assert_string_equal(list.texts[2], "c d");
    static const char *const refused[] = {",", "a,", ",a", "a,,b", "a, ,b", "a,b\n"};
    for (size_t i = 0; i < N_OF(refused); i++) {
        assert_false(parse(&key, &list, span_of_text(refused[i])));
        assert_int_equal(list.n, 3);
    }
    assert_true(parse(&key, &list, SPAN_LITERAL(" ")));
    assert_int_equal(list.n, 0);
    config_values_finish(&table, &list);
}

static void passwords_are_found_in_urls(void **state) {
    (void) state;
    static const char *const samples[][2] = {
        {"redis://user:pass@host:6379/0", "pass"},
        {"redis://:pass@host", "pass"},
        {"redis://user@host", ""},
        {"redis://host:6379", ""},
        {"redis://u:p@ss@host", "p@ss"},
        {"redis://u:a:b@host", "a:b"},
        {"redis://h/a:b@c", ""},
        {"redis://h?a:b@c", ""},
        {"user:pass@host", ""},
        {"", ""},
        {"redis://", ""},
        {"redis://:@h", ""},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        assert_true(span_equal_text(config_url_password(span_of_text(samples[i][0])), samples[i][1]));
    }
}

static void amounts_are_printed_in_the_largest_unit_that_is_exact(void **state) {
    (void) state;
    static const struct {
        enum config_type type;
        int64_t value;
        const char *text;
    } samples[] = {
        {CONFIG_INT, 1024, "1024"},        {CONFIG_BYTES, 0, "0"},
        {CONFIG_BYTES, 1023, "1023B"},     {CONFIG_BYTES, 65536, "64KiB"},
        {CONFIG_BYTES, 1 << 20, "1MiB"},   {CONFIG_DURATION, 1500, "1500ms"},
        {CONFIG_DURATION, 60000, "1m"},    {CONFIG_DURATION, 86400000, "1d"},
        {CONFIG_DURATION, 5400000, "90m"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        struct buffer out = BUFFER_EMPTY;
        config_append_amount(&out, samples[i].type, samples[i].value);
        assert_true(span_equal_text(buffer_span(&out), samples[i].text));
        buffer_finish(&out);
    }
}

static void foreign_text_is_quoted_escaped_and_cut_at_a_character(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    config_append_quoted(&out, SPAN_LITERAL("a\"\x1B"));
    assert_true(span_equal_text(buffer_span(&out), "\"a\\\"\\u001b\""));
    buffer_clear(&out);
    char text[100];
    memset(text, 'a', sizeof text);
    memcpy(text + 63, "\xC3\xA9", 2);
    config_append_quoted(&out, span_of(text, sizeof text));
    assert_int_equal(out.size, 63 + 2 + 3);
    assert_true(span_starts_with(span_of(out.data + 64, out.size - 64), SPAN_LITERAL("\"\xE2\x80\xA6")));
    buffer_finish(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_plain_decimal_digits),
        cmocka_unit_test(sizes_have_units_of_1024),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(bounds_are_inclusive_and_named_in_the_unit_of_the_key),
        cmocka_unit_test(only_true_and_false_are_truth_values),
        cmocka_unit_test(texts_are_utf8_without_controls_and_within_their_length),
        cmocka_unit_test(secrets_may_have_any_byte_but_nul),
        cmocka_unit_test(choices_are_exact_words),
        cmocka_unit_test(lists_outside_the_file_are_separated_by_commas),
        cmocka_unit_test(passwords_are_found_in_urls),
        cmocka_unit_test(amounts_are_printed_in_the_largest_unit_that_is_exact),
        cmocka_unit_test(foreign_text_is_quoted_escaped_and_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
