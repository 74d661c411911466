/* Whom X-Forwarded-For speaks for, from trusted proxies. */
#include "gateway/transport/forwarded_for.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char *networks[] = {(char[]){"10.0.0.0/8"}, (char[]){"2001:db8::/32"}};

static void the_first_from_the_right_that_is_no_proxy_counts(void **state) {
    (void) state;
    static const struct {
        const char *header;
        const char *source; /* NULL: refused */
    } cases[] = {
        {"", "10.1.1.1"},
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:4711", "192.0.2.1"},
        {"[2001:db9::1]:4711", "2001:db9::1"},
        {"198.51.100.1, 192.0.2.1", "192.0.2.1"},
        {"127.0.0.1, 192.0.2.1", "192.0.2.1"},
        {"192.0.2.1, 10.2.2.2", "192.0.2.1"},
        {"192.0.2.1,10.2.2.2,2001:db8::5 , 10.3.3.3", "192.0.2.1"},
        {"10.9.9.9, 10.2.2.2", "10.9.9.9"},
        {"anything; at <all>, 192.0.2.1", "192.0.2.1"},
        {"unknown", NULL},
        {"192.0.2.1, unknown, 10.2.2.2", NULL},
        {"192.0.2.1,", NULL},
        {", 10.2.2.2", "10.2.2.2"},
        {"192.0.2.1 198.51.100.1", NULL},
    };
    const struct config_text_list list = {.texts = networks, .n = 2};
    struct trusted_proxies proxies;
    trusted_proxies_init(&proxies, &list);
    struct ip_address peer;
    assert_true(ip_address_parse(SPAN_LITERAL("10.1.1.1"), &peer));
    assert_true(trusted_proxies_contain(&proxies, &peer));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_address source;
        char text[IP_ADDRESS_TEXT];
        bool found = forwarded_for_source(&proxies, &peer, span_of_text(cases[i].header), &source);
        if (found != (cases[i].source != NULL)) {
            fail_msg("%s: %s", cases[i].header, found ? "was taken" : "was refused");
        }
        if (found) {
            ip_address_print(&source, text);
            assert_string_equal(text, cases[i].source);
        }
    }
}

static void without_networks_nobody_is_trusted(void **state) {
    (void) state;
    const struct config_text_list none = {.n = 0};
    struct trusted_proxies proxies;
    struct ip_address address;
    trusted_proxies_init(&proxies, &none);
    assert_true(ip_address_parse(SPAN_LITERAL("127.0.0.1"), &address));
    assert_false(trusted_proxies_contain(&proxies, &address));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_from_the_right_that_is_no_proxy_counts),
        cmocka_unit_test(without_networks_nobody_is_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
