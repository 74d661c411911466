#include "operator/redis/resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void reads_hosts_lines(void **state) {
    static const struct {
        const char *line;
        const char *address; /* NULL: not named there */
    } cases[] = {
        {"10.0.0.1 redis-0.pods redis-0\n", "10.0.0.1"},
        {"10.0.0.1\tother  REDIS-0.PODS", "10.0.0.1"},
        {"::1 redis-0.pods # redis-1", "::1"},
        {"10.0.0.1 redis-0.pods.test", NULL},
        {"# 10.0.0.1 redis-0.pods", NULL},
        {"10.0.0.1 # redis-0.pods", NULL},
        {"localhost redis-0.pods", NULL},
        {"", NULL},
        {"10.0.0.1", NULL},
    };
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char address[IP_ADDRESS_TEXT] = "";
        bool is_found = resolver_hosts_line(span_of_text(cases[i].line), "redis-0.pods", address);
        assert_int_equal(is_found, cases[i].address != NULL);
        if (is_found) {
            assert_string_equal(address, cases[i].address);
        }
    }
}

/* One question (a.b, A), one CNAME, one A record. */
static const uint8_t answer[] = {0,  1,    0x81, 0x80, 0,  1, 0, 2, 0, 0, 0,  0, 1,  'a', 1, 'b', 0,   0,
                                 1,  0,    1,    0xC0, 12, 0, 5, 0, 1, 0, 0,  0, 60, 0,   4, 1,   'c', 0xC0,
                                 14, 0xC0, 33,   0,    1,  0, 1, 0, 0, 0, 60, 0, 4,  10,  0, 0,   7};

static void reads_dns_answers(void **state) {
    char address[IP_ADDRESS_TEXT] = "";
    (void) state;
    assert_true(resolver_dns_answer(span_of(answer, sizeof answer), 1, address));
    assert_string_equal(address, "10.0.0.7");
    assert_false(resolver_dns_answer(span_of(answer, sizeof answer), 28, address));
    for (size_t size = 0; size < sizeof answer; size++) { /* cut off anywhere */
        assert_false(resolver_dns_answer(span_of(answer, size), 1, address));
    }
    uint8_t refused[sizeof answer];
    memcpy(refused, answer, sizeof answer);
    refused[3] = 0x83; /* NXDOMAIN */
    assert_false(resolver_dns_answer(span_of(refused, sizeof refused), 1, address));
}

static void finds_numbers_and_says_why_not(void **state) {
    char address[IP_ADDRESS_TEXT] = "";
    char error[256] = "";
    (void) state;
    const struct resolver_options options = {.hosts_file = "/nonexistent", .nameserver = "127.0.0.1:1"};
    resolver_t *resolver = resolver_new(&options, error, sizeof error);
    assert_non_null(resolver);
    assert_true(resolver_find(resolver, "10.1.2.3", address, error, sizeof error));
    assert_string_equal(address, "10.1.2.3");
    assert_true(resolver_find(resolver, "::1", address, error, sizeof error));
    assert_false(resolver_find(resolver, "", address, error, sizeof error));
    assert_false(resolver_find(resolver, "redis-0.pods.test.", address, error, sizeof error));
    assert_non_null(strstr(error, "DNS does not answer"));
    resolver_destroy(&resolver);
    assert_null(resolver_new(&(struct resolver_options){.nameserver = "dns.example"}, error, sizeof error));
    assert_non_null(strstr(error, "dns.example"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_hosts_lines),
        cmocka_unit_test(reads_dns_answers),
        cmocka_unit_test(finds_numbers_and_says_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
