/* Sources and their buckets. */
#include "gateway/transport/source_limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SECOND = 1000000 };

static struct sockaddr_storage peer(const char *text) {
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *) &address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &address;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
    }
    return address;
}

static bool take(source_limits_t *limits, const char *text, uint32_t per_second, uint64_t now_us) {
    struct sockaddr_storage address = peer(text);
    return source_limits_take(limits, &address, per_second, now_us);
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

static void zero_is_no_limit_and_remembers_nobody(void **state) {
    (void) state;
    source_limits_t *limits = source_limits_new(10);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(take(limits, "192.0.2.1", 0, SECOND));
    }
    assert_int_equal(source_limits_count(limits), 0);
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
        struct sockaddr_storage address = {0};
        ((struct sockaddr_in *) &address)->sin_family = AF_INET;
        ((struct sockaddr_in *) &address)->sin_addr.s_addr = htonl(0x0a000000 + i);
        assert_true(source_limits_take(limits, &address, 1, SECOND));
    }
    assert_int_equal(source_limits_count(limits), 5000);
    source_limits_destroy(&limits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_has_five_seconds_worth_at_once_then_its_rate),
        cmocka_unit_test(one_sources_flood_does_not_touch_another),
        cmocka_unit_test(a_source_is_an_ipv4_address_or_an_ipv6_slash_64),
        cmocka_unit_test(zero_is_no_limit_and_remembers_nobody),
        cmocka_unit_test(a_full_table_forgets_the_source_seen_longest_ago),
        cmocka_unit_test(thousands_of_sources_keep_the_table_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
