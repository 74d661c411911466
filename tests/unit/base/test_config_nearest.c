/* How far names are from each other, and which one is near enough to be meant. */
#include "base/config_nearest.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static unsigned distance(const char *a, const char *b) {
    unsigned there = config_name_distance(span_of_text(a), span_of_text(b));
    assert_int_equal(there, config_name_distance(span_of_text(b), span_of_text(a)));
    return there;
}

static void one_letter_more_less_other_or_swapped_is_one(void **state) {
    (void) state;
    assert_int_equal(distance("port", "port"), 0);
    assert_int_equal(distance("port", "ports"), 1);
    assert_int_equal(distance("port", "pot"), 1);
    assert_int_equal(distance("port", "part"), 1);
    assert_int_equal(distance("port", "prot"), 1);
    assert_int_equal(distance("", ""), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("abcdef", "badcfe"), 3);
    assert_int_equal(distance("ca", "abc"), 3); /* no letter is moved twice */
}

static void very_long_names_are_far_from_all(void **state) {
    (void) state;
    char name[CONFIG_NAME_MAX + 1];
    memset(name, 'a', sizeof name);
    assert_int_equal(config_name_distance(span_of(name, CONFIG_NAME_MAX), span_of(name, CONFIG_NAME_MAX)), 0);
    assert_int_equal(config_name_distance(span_of(name, sizeof name), span_of(name, sizeof name)), UINT_MAX);
    struct config_nearest nearest = config_nearest_to(span_of(name, sizeof name));
    config_nearest_consider(&nearest, span_of(name, sizeof name));
    assert_int_equal(nearest.best.size, 0);
}

static struct span nearest_of(const char *name, const char *const *candidates) {
    struct config_nearest nearest = config_nearest_to(span_of_text(name));
    for (; *candidates != NULL; candidates++) {
        config_nearest_consider(&nearest, span_of_text(*candidates));
    }
    return nearest.best;
}

static void the_nearest_is_found_and_what_is_far_is_not(void **state) {
    (void) state;
    static const char *const names[] = {"port", "address", "allowed_origins", NULL};
    assert_true(span_equal_text(nearest_of("prot", names), "port"));
    assert_true(span_equal_text(nearest_of("adress", names), "address"));
    assert_true(span_equal_text(nearest_of("alowed_orgins", names), "allowed_origins"));
    assert_int_equal(nearest_of("pqrs", names).size, 0);
    assert_int_equal(nearest_of("secret", names).size, 0);
    assert_int_equal(nearest_of("", names).size, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_letter_more_less_other_or_swapped_is_one),
        cmocka_unit_test(very_long_names_are_far_from_all),
        cmocka_unit_test(the_nearest_is_found_and_what_is_far_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
