/* Addresses as other nodes name them. */
#include "broker/redis/link/redis_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void host_and_port_are_parted_at_the_last_colon(void **state) {
    (void) state;
    struct redis_address address;
    assert_true(redis_address_parse(&address, SPAN_LITERAL("10.0.0.1:6379")));
    assert_string_equal(address.host, "10.0.0.1");
    assert_int_equal(address.port, 6379);
    assert_true(redis_address_parse(&address, SPAN_LITERAL("fe80::1:7000")));
    assert_string_equal(address.host, "fe80::1");
    assert_int_equal(address.port, 7000);
    assert_true(redis_address_parse(&address, SPAN_LITERAL("[::1]:7000")));
    assert_string_equal(address.host, "::1");
    assert_true(redis_address_parse(&address, SPAN_LITERAL(":7000")));
    assert_string_equal(address.host, "");
}

static void nonsense_is_refused(void **state) {
    (void) state;
    static const char *const texts[] = {"", "host", "host:", "host:0", "host:65536", "host:1x", "ho st:1", "h\n:1"};
    struct redis_address address;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_false(redis_address_parse(&address, span_of_text(texts[i])));
    }
    char text[300];
    memset(text, 'h', sizeof text);
    assert_false(redis_address_set(&address, span_of(text, REDIS_URL_HOST_MAX + 1), 1));
    assert_true(redis_address_set(&address, span_of(text, REDIS_URL_HOST_MAX), 1));
}

static void addresses_are_equal_in_every_part(void **state) {
    (void) state;
    const struct redis_address a = {.host = "h", .port = 1};
    assert_true(redis_address_equal(&a, &(struct redis_address){.host = "h", .port = 1}));
    assert_false(redis_address_equal(&a, &(struct redis_address){.host = "h", .port = 2}));
    assert_false(redis_address_equal(&a, &(struct redis_address){.host = "i", .port = 1}));
    assert_false(redis_address_equal(&a, &(struct redis_address){.path = "h", .port = 1}));
}

static void a_description_can_be_read_back(void **state) {
    (void) state;
    char text[REDIS_ADDRESS_TEXT_MAX + 1];
    redis_address_describe(&(struct redis_address){.host = "::1", .port = 1}, text, sizeof text);
    assert_string_equal(text, "[::1]:1");
    redis_address_describe(&(struct redis_address){.host = "h", .port = 1}, text, sizeof text);
    assert_string_equal(text, "h:1");
    redis_address_describe(&(struct redis_address){.path = "/s"}, text, sizeof text);
    assert_string_equal(text, "unix:/s");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_and_port_are_parted_at_the_last_colon),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(addresses_are_equal_in_every_part),
        cmocka_unit_test(a_description_can_be_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
