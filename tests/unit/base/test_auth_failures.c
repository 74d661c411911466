/* Ten wrong tokens a minute and source, and no more memory than the table has. */
#include "base/auth_failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ip_address address_of(const char *text) {
    struct ip_address address;
    assert_true(ip_address_parse(span_of_text(text), &address));
    return address;
}

static void fail_from(struct auth_failures *self, const char *source, unsigned n, int64_t now_ms) {
    struct ip_address address = address_of(source);
    for (unsigned i = 0; i < n; i++) {
        auth_failures_count(self, &address, now_ms);
    }
}

static bool is_over(const struct auth_failures *self, const char *source, int64_t now_ms) {
    struct ip_address address = address_of(source);
    return auth_failures_is_over(self, &address, now_ms);
}

static void the_tenth_is_the_last(void **state) {
    (void) state;
    static struct auth_failures self;
    fail_from(&self, "192.0.2.1", 9, 1000);
    assert_false(is_over(&self, "192.0.2.1", 1000));
    fail_from(&self, "192.0.2.1", 1, 2000);
    assert_true(is_over(&self, "192.0.2.1", 2000));
    assert_false(is_over(&self, "192.0.2.2", 2000));
}

static void a_minute_after_the_first_it_is_forgotten(void **state) {
    (void) state;
    static struct auth_failures self;
    fail_from(&self, "192.0.2.1", 1, 1000);
    fail_from(&self, "192.0.2.1", 20, 50000);
    assert_true(is_over(&self, "192.0.2.1", 60999));
    assert_false(is_over(&self, "192.0.2.1", 61000));
    fail_from(&self, "192.0.2.1", 1, 61000);
    assert_false(is_over(&self, "192.0.2.1", 61000));
}

static void a_network_of_ipv6_is_one_source(void **state) {
    (void) state;
    static struct auth_failures self;
    fail_from(&self, "2001:db8:0:1::1", 5, 1000);
    fail_from(&self, "2001:db8:0:1:ffff::2", 5, 1000);
    assert_true(is_over(&self, "2001:db8:0:1::3", 1000));
    assert_false(is_over(&self, "2001:db8:0:2::1", 1000));
}

static void a_full_table_forgets_the_oldest(void **state) {
    (void) state;
    static struct auth_failures self;
    char text[IP_ADDRESS_TEXT];
    fail_from(&self, "192.0.2.1", 10, 1000);
    fail_from(&self, "192.0.2.2", 10, 1001);
    for (unsigned i = 2; i < AUTH_FAILURES_SOURCES; i++) {
        snprintf(text, sizeof text, "10.0.%u.%u", i / 256, i % 256);
        fail_from(&self, text, 1, 2000);
    }
    assert_true(is_over(&self, "192.0.2.1", 3000));
    fail_from(&self, "198.51.100.1", 1, 3000);
    assert_false(is_over(&self, "192.0.2.1", 3000));
    assert_true(is_over(&self, "192.0.2.2", 3000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tenth_is_the_last),
        cmocka_unit_test(a_minute_after_the_first_it_is_forgotten),
        cmocka_unit_test(a_network_of_ipv6_is_one_source),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
