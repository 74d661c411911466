/* Sources and their buckets. */
#include "gateway/transport/source_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SECOND = 1000000 };

static struct ip_address address_of(const char *text) {
    struct ip_address address;
    assert_true(ip_address_parse(span_of_text(text), &address));
    return address;
}

static enum source_verdict open_one(source_limits_t *limits, const char *text, uint32_t connections,
                                    struct source **ret_source) {
    struct ip_address from = address_of(text);
    const struct source_bounds bounds = {.connections = connections};
    return source_limits_take(limits, &from, &bounds, SECOND, ret_source);
}

/* A connection that is gone at once: only handshakes count. */
static bool take(source_limits_t *limits, const char *text, uint32_t per_second, uint64_t now_us) {
    struct ip_address from = address_of(text);
    const struct source_bounds bounds = {.handshakes_per_second = per_second};
    struct source *source;
    enum source_verdict verdict = source_limits_take(limits, &from, &bounds, now_us, &source);
    assert_int_equal(source != NULL, verdict == SOURCE_ADMITTED);
    source_limits_release(limits, &source);
    assert_null(source);
    return verdict == SOURCE_ADMITTED;
}

static unsigned take_all(source_limits_t *limits, const char *text, uint32_t per_second, uint64_t now_us) {
    unsigned n = 0;
    while (n < 100000 && take(limits, text, per_second, now_us)) {
        n++;
    }
    return n;
}

static void a_source_has_five_seconds_worth_at_once_then_its_rate(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(10);
    uint64_t now = 77 * SECOND;
    assert_int_equal(take_all(limits, "192.0.2.1", 20, now), 100);
    assert_int_equal(take_all(limits, "192.0.2.1", 20, now + SECOND / 2), 10);
    assert_int_equal(take_all(limits, "192.0.2.1", 20, now + SECOND), 10);
    assert_int_equal(take_all(limits, "192.0.2.1", 20, now + 100 * SECOND), 100);
    source_limits_destroy(&limits);
    assert_null(limits);
}

static void one_sources_flood_does_not_touch_another(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(10);
    take_all(limits, "192.0.2.1", 20, SECOND);
    assert_false(take(limits, "192.0.2.1", 20, SECOND));
    assert_true(take(limits, "192.0.2.2", 20, SECOND));
    source_limits_destroy(&limits);
}

static void a_source_is_an_ipv4_address_or_an_ipv6_slash_64(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(10);
    take_all(limits, "2001:db8:0:1::1", 20, SECOND);
    assert_false(take(limits, "2001:db8:0:1:ffff::2", 20, SECOND));
    assert_true(take(limits, "2001:db8:0:2::1", 20, SECOND));
    take_all(limits, "198.51.100.7", 20, SECOND);
    assert_false(take(limits, "::ffff:198.51.100.7", 20, SECOND));
    assert_true(take(limits, "::ffff:198.51.100.8", 20, SECOND));
    source_limits_destroy(&limits);
}

static void zero_is_no_limit(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(10);
    struct source *sources[1000];
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(open_one(limits, "192.0.2.1", 0, &sources[i]), SOURCE_ADMITTED);
    }
    assert_int_equal(source_limits_count(limits), 1);
    for (unsigned i = 0; i < 1000; i++) {
        source_limits_release(limits, &sources[i]);
    }
    source_limits_destroy(&limits);
}

static void so_many_connections_of_a_source_are_open_at_once(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(10);
    struct source *sources[3];
    struct source *other;
    assert_int_equal(open_one(limits, "2001:db8::1", 2, &sources[0]), SOURCE_ADMITTED);
    assert_int_equal(open_one(limits, "2001:db8::2", 2, &sources[1]), SOURCE_ADMITTED);
    assert_int_equal(open_one(limits, "2001:db8::3", 2, &sources[2]), SOURCE_TOO_MANY);
    assert_null(sources[2]);
    assert_int_equal(open_one(limits, "2001:db8:1::1", 2, &other), SOURCE_ADMITTED);
    source_limits_release(limits, &sources[0]);
    assert_int_equal(open_one(limits, "2001:db8::3", 2, &sources[2]), SOURCE_ADMITTED);
    char text[SOURCE_TEXT];
    source_print(sources[2], text);
    assert_string_equal(text, "2001:db8::/64");
    source_limits_release(limits, &sources[1]);
    source_limits_release(limits, &sources[2]);
    source_limits_release(limits, &other);
    source_limits_release(limits, &other);
    source_limits_destroy(&limits);
}

static void sources_with_a_connection_are_never_forgotten(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(2);
    struct source *held;
    struct source *more;
    char text[SOURCE_TEXT];
    assert_int_equal(open_one(limits, "192.0.2.1", 1, &held), SOURCE_ADMITTED);
    for (unsigned i = 2; i < 100; i++) {
        snprintf(text, sizeof text, "192.0.2.%u", i);
        assert_true(take(limits, text, 1, SECOND));
    }
    assert_int_equal(source_limits_count(limits), 3);
    assert_int_equal(open_one(limits, "192.0.2.1", 1, &more), SOURCE_TOO_MANY);
    source_print(held, text);
    assert_string_equal(text, "192.0.2.1");
    source_limits_release(limits, &held);
    source_limits_destroy(&limits);
}

static void a_full_table_forgets_the_source_seen_longest_ago(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(3);
    take_all(limits, "192.0.2.1", 1, SECOND);
    take_all(limits, "192.0.2.2", 1, SECOND);
    take_all(limits, "192.0.2.3", 1, SECOND);
    assert_false(take(limits, "192.0.2.1", 1, SECOND)); /* seen again: now 2 is the oldest */
    assert_true(take(limits, "192.0.2.4", 1, SECOND));
    assert_int_equal(source_limits_count(limits), 3);
    assert_false(take(limits, "192.0.2.1", 1, SECOND));
    assert_false(take(limits, "192.0.2.3", 1, SECOND));
    assert_true(take(limits, "192.0.2.2", 1, SECOND));
    source_limits_destroy(&limits);
}

static void thousands_of_sources_keep_the_table_bounded(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(5000);
    for (uint32_t i = 0; i < 20000; i++) {
        char text[SOURCE_TEXT];
        snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        assert_true(take(limits, text, 1, SECOND));
    }
    assert_int_equal(source_limits_count(limits), 5000);
    source_limits_destroy(&limits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_has_five_seconds_worth_at_once_then_its_rate),
        cmocka_unit_test(one_sources_flood_does_not_touch_another),
        cmocka_unit_test(a_source_is_an_ipv4_address_or_an_ipv6_slash_64),
        cmocka_unit_test(zero_is_no_limit),
        cmocka_unit_test(so_many_connections_of_a_source_are_open_at_once),
        cmocka_unit_test(sources_with_a_connection_are_never_forgotten),
        cmocka_unit_test(a_full_table_forgets_the_source_seen_longest_ago),
        cmocka_unit_test(thousands_of_sources_keep_the_table_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
