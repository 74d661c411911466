/* Addresses and networks in every form that is taken, and in those that are not. */
#include "base/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void addresses_are_parsed_and_printed(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *printed; /* NULL: refused */
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"2001:DB8::1", "2001:db8::1"},
        {"::1", "::1"},
        {"0.0.0.0", "0.0.0.0"},
        {"", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.1 ", NULL},
        {" 192.0.2.1", NULL},
        {"192.0.2.1:80", NULL},
        {"[::1]", NULL},
        {"fe80::1%eth0", NULL},
        {"::1::", NULL},
        {"unknown", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_address address;
        char text[IP_ADDRESS_TEXT];
        bool parsed = ip_address_parse(span_of_text(cases[i].text), &address);
        assert_int_equal(parsed, cases[i].printed != NULL);
        if (parsed) {
            ip_address_print(&address, text);
            assert_string_equal(text, cases[i].printed);
        }
    }
    struct ip_address address;
    assert_false(ip_address_parse(SPAN_LITERAL("1.2.3.4\0"), &address));
}

static void ports_and_brackets_are_taken_off(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *printed;
    } cases[] = {
        {"192.0.2.1:443", "192.0.2.1"},
        {"192.0.2.1", "192.0.2.1"},
        {"[2001:db8::1]:443", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"2001:db8::1", "2001:db8::1"},
        {"192.0.2.1:", NULL},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:x", NULL},
        {"[::1", NULL},
        {"[::1]x", NULL},
        {"[]", NULL},
        {":80", NULL},
        {"_hidden", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_address address;
        char text[IP_ADDRESS_TEXT];
        bool parsed = ip_address_parse_with_port(span_of_text(cases[i].text), &address);
        assert_int_equal(parsed, cases[i].printed != NULL);
        if (parsed) {
            ip_address_print(&address, text);
            assert_string_equal(text, cases[i].printed);
        }
    }
}

static void networks_contain_what_they_should(void **state) {
    (void) state;
    static const struct {
        const char *network;
        const char *address;
        bool contained;
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.200", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"::1/128", "::1", true},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "8.8.8.8", true},
        {"172.16.0.0/12", "172.31.255.255", true},
        {"172.16.0.0/12", "172.32.0.0", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_network network;
        struct ip_address address;
        assert_true(ip_network_parse(span_of_text(cases[i].network), &network));
        assert_true(ip_address_parse(span_of_text(cases[i].address), &address));
        assert_int_equal(ip_network_contains(&network, &address), cases[i].contained);
    }
}

static void networks_that_are_none_are_refused(void **state) {
    (void) state;
    static const char *const bad[] = {"",     "10.0.0.0/33", "10.0.0.1/8",     "10.0.0.0/",   "10.0.0.0/-1",
                                      "10/8", "::/129",      "2001:db8::1/32", "example.org", "10.0.0.0/8/8",
                                      "*",    "10.0.0.0/ 8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ip_network network;
        if (ip_network_parse(span_of_text(bad[i]), &network)) {
            fail_msg("%s was taken", bad[i]);
        }
    }
}

static void sockets_give_their_address(void **state) {
    (void) state;
    struct sockaddr_storage socket_address = {.ss_family = AF_INET};
    struct ip_address address;
    char text[IP_ADDRESS_TEXT];
    inet_pton(AF_INET, "192.0.2.7", &((struct sockaddr_in *) &socket_address)->sin_addr);
    assert_true(ip_address_of_socket(&socket_address, &address));
    assert_true(ip_address_is_v4(&address));
    ip_address_print(&address, text);
    assert_string_equal(text, "192.0.2.7");
    socket_address.ss_family = AF_INET6;
    inet_pton(AF_INET6, "2001:db8::7", &((struct sockaddr_in6 *) &socket_address)->sin6_addr);
    assert_true(ip_address_of_socket(&socket_address, &address));
    assert_false(ip_address_is_v4(&address));
    socket_address.ss_family = AF_UNIX;
    assert_false(ip_address_of_socket(&socket_address, &address));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_parsed_and_printed),  cmocka_unit_test(ports_and_brackets_are_taken_off),
        cmocka_unit_test(networks_contain_what_they_should), cmocka_unit_test(networks_that_are_none_are_refused),
        cmocka_unit_test(sockets_give_their_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
