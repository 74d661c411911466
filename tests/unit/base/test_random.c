/* Random bytes and texts: the right alphabet, every value reachable, nothing twice. The bounds on counts are ten
 * standard deviations wide. */
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static void bytes_fill_exactly_what_was_asked(void **state) {
    (void) state;
    unsigned char bytes[1000];
    unsigned changed[1000] = {0};
    for (int round = 0; round < 20; round++) {
        memset(bytes, 0, sizeof bytes);
        random_bytes(bytes, 990);
        for (size_t i = 0; i < sizeof bytes; i++) {
            changed[i] += bytes[i] != 0;
        }
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(changed[i] > 0, i < 990);
    }
    random_bytes(bytes, 0);
}

static void two_numbers_of_64_bits_differ(void **state) {
    (void) state;
    assert_true(random_u64() != random_u64());
}

static void below_reaches_every_value_and_no_other(void **state) {
    (void) state;
    unsigned seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint32_t value = random_below(7);
        assert_true(value < 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(seen[i], 700, 1300);
    }
    assert_int_equal(random_below(0), 0);
    assert_int_equal(random_below(1), 0);
}

static void below_is_uniform_where_the_bound_does_not_divide_the_range(void **state) {
    (void) state;
    const uint32_t bound = 0xc0000000; /* a plain modulus would give the lower third twice as often as it should */
    unsigned lower_third = 0;
    for (int i = 0; i < 9000; i++) {
        lower_third += random_below(bound) < bound / 3;
    }
    assert_in_range(lower_third, 2550, 3450);
}

static void base62_has_its_length_and_alphabet(void **state) {
    (void) state;
    char text[101];
    unsigned seen[128] = {0};
    for (int round = 0; round < 100; round++) {
        memset(text, '!', sizeof text);
        random_base62(text, 100);
        assert_int_equal(strlen(text), 100);
        for (size_t i = 0; i < 100; i++) {
            assert_true(isalnum((unsigned char) text[i]));
            seen[(unsigned char) text[i]]++;
        }
    }
    unsigned different = 0;
    for (int i = 0; i < 128; i++) {
        different += seen[i] > 0;
    }
    assert_int_equal(different, 62);
    random_base62(text, 0);
    assert_string_equal(text, "");
}

static void uuids_are_of_version_4(void **state) {
    (void) state;
    char first[37];
    char text[37];
    random_uuid(first);
    for (int round = 0; round < 100; round++) {
        random_uuid(text);
        assert_int_equal(strlen(text), 36);
        assert_string_not_equal(text, first);
        for (int i = 0; i < 36; i++) {
            bool dash = i == 8 || i == 13 || i == 18 || i == 23;
            assert_int_equal(text[i] == '-', dash);
            assert_true(dash || (isxdigit((unsigned char) text[i]) && !isupper((unsigned char) text[i])));
        }
        assert_int_equal(text[14], '4');
        assert_non_null(strchr("89ab", text[19]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_fill_exactly_what_was_asked),
        cmocka_unit_test(two_numbers_of_64_bits_differ),
        cmocka_unit_test(below_reaches_every_value_and_no_other),
        cmocka_unit_test(below_is_uniform_where_the_bound_does_not_divide_the_range),
        cmocka_unit_test(base62_has_its_length_and_alphabet),
        cmocka_unit_test(uuids_are_of_version_4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
