/* Origins that must and must not pass: the table of security.md S1. */
#include "gateway/transport/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct probe {
    const char *origin;
    bool allowed;
};

static void run(const struct probe *probes, size_t n, const char *const *entries, size_t n_entries, const char *host) {
    char *texts[8];
    for (size_t i = 0; i < n_entries; i++) {
        texts[i] = (char *) (uintptr_t) entries[i]; /* only read */
    }
    const struct config_text_list list = {texts, n_entries};
    for (size_t i = 0; i < n; i++) {
        if (origin_is_allowed(span_of_text(probes[i].origin), &list, span_of_text(host)) != probes[i].allowed) {
            fail_msg("\"%s\" must%s pass with Host %s", probes[i].origin, probes[i].allowed ? "" : " not", host);
        }
    }
}

#define RUN(probes, entries, host)                                                                                     \
    run(probes, sizeof(probes) / sizeof((probes)[0]), entries, sizeof(entries) / sizeof((entries)[0]), host)

static void only_what_is_listed_exactly_passes(void **state) {
    (void) state;
    static const char *const entries[] = {"https://good.com", "http://dev.local:3000", "https://[2001:db8::1]:8443"};
    static const struct probe probes[] = {
        {"https://good.com", true},
        {"HTTPS://GOOD.COM", true},
        {"https://good.com:443", true},
        {"http://dev.local:3000", true},
        {"https://[2001:db8::1]:8443", true},
        {"https://[2001:DB8::1]:8443", true},
        {"http://good.com", false},
        {"https://good.com:8443", false},
        {"https://good.com:80", false},
        {"http://dev.local", false},
        {"http://dev.local:30000", false},
        {"https://evil-good.com", false},
        {"https://evilgood.com", false},
        {"https://good.com.evil.com", false},
        {"https://good.como", false},
        {"https://sub.good.com", false},
        {"https://good.com.", false},
        {"https://good.com/", false},
        {"https://good.com/path", false},
        {"https://good.com?x", false},
        {"https://good.com#x", false},
        {"https://good.com@evil.com", false},
        {"https://evil.com@good.com", false},
        {"https://user:pass@good.com", false},
        {"https://good.com\\.evil.com", false},
        {"https://good.com ", false},
        {" https://good.com", false},
        {"https:// good.com", false},
        {"https://good.com\tx", false},
        {"https://good.com,https://evil.com", false},
        {"https://good.comhttps://good.com", false},
        {"https://good.com:", false},
        {"https://good.com:0443", false},
        {"https://good.com:443x", false},
        {"https://good.com:0", false},
        {"https://good.com:65536", false},
        {"https://good.com:-443", false},
        {"https://g\xc3\xb6od.com", false},
        {"https://good%2ecom", false},
        {"https://", false},
        {"https:/good.com", false},
        {"//good.com", false},
        {"good.com", false},
        {"wss://good.com", false},
        {"file://good.com", false},
        {"javascript:alert(1)", false},
        {"null", false},
        {"*", false},
        {"", false},
        {"https://[2001:db8::2]:8443", false},
        {"https://[2001:db8::1:8443", false},
        {"https://[]:8443", false},
        {"https://[good.com]", false},
        {"https://.good.com", false},
    };
    RUN(probes, entries, "good.com");
}

static void a_star_stands_for_exactly_one_label(void **state) {
    (void) state;
    static const char *const entries[] = {"https://*.good.com", "http://*.dev.local:3000"};
    static const struct probe probes[] = {
        {"https://a.good.com", true},       {"https://A.Good.com", true},       {"http://x.dev.local:3000", true},
        {"https://good.com", false},        {"https://.good.com", false},       {"https://a.b.good.com", false},
        {"https://a.evilgood.com", false},  {"https://a.good.com.evil", false}, {"http://a.good.com", false},
        {"https://a.good.com:8443", false}, {"http://x.dev.local", false},      {"https://*.good.com", false},
    };
    RUN(probes, entries, "a.good.com");
}

static void null_passes_only_where_it_is_listed(void **state) {
    (void) state;
    static const char *const entries[] = {"https://good.com", "null"};
    static const struct probe probes[] = {{"null", true}, {"NULL", false}, {"nullx", false}, {"https://null", false}};
    RUN(probes, entries, "good.com");
}

static void entries_that_are_no_origins_match_nothing(void **state) {
    (void) state;
    static const char *const entries[] = {
        "*", "https://*", "good.com", "https://good.com/", "https://*.*.good.com", "https://a*.b.c"};
    static const struct probe probes[] = {
        {"https://good.com", false}, {"https://x", false}, {"https://a.b.good.com", false}, {"https://ab.b.c", false}};
    RUN(probes, entries, "good.com");
}

static void run_same_host(const char *host, const struct probe *probes, size_t n) {
    run(probes, n, NULL, 0, host);
}

static void an_empty_list_means_the_pages_own_host(void **state) {
    (void) state;
    static const struct probe without_port[] = {
        {"https://chat.example", true},     {"http://chat.example", true},        {"https://CHAT.example", true},
        {"https://chat.example:443", true}, {"https://chat.example:8443", false}, {"http://chat.example:443", false},
        {"https://other.example", false},   {"https://chat.example.evil", false}, {"null", false},
    };
    run_same_host("chat.example", without_port, 9);
    static const struct probe with_port[] = {
        {"http://127.0.0.1:8000", true},  {"https://127.0.0.1:8000", true}, {"http://127.0.0.1", false},
        {"http://127.0.0.1:8001", false}, {"http://localhost:8000", false},
    };
    run_same_host("127.0.0.1:8000", with_port, 5);
    static const struct probe v6[] = {{"http://[::1]:8000", true}, {"http://[::2]:8000", false}};
    run_same_host("[::1]:8000", v6, 2);
    static const struct probe bad_host[] = {{"http://a", false}, {"http://a:80", false}};
    run_same_host("a:b", bad_host, 2);
    run_same_host("user@a", bad_host, 2);
    run_same_host("", bad_host, 2);
}

static void an_endless_host_does_not_pass(void **state) {
    (void) state;
    char origin[400] = "https://";
    memset(origin + 8, 'a', 300);
    const struct config_text_list list = {NULL, 0};
    assert_false(origin_is_allowed(span_of_text(origin), &list, span_of_text(origin + 8)));
    origin[8 + 255] = '\0';
    assert_true(origin_is_allowed(span_of_text(origin), &list, span_of_text(origin + 8)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_listed_exactly_passes),
        cmocka_unit_test(a_star_stands_for_exactly_one_label),
        cmocka_unit_test(null_passes_only_where_it_is_listed),
        cmocka_unit_test(entries_that_are_no_origins_match_nothing),
        cmocka_unit_test(an_empty_list_means_the_pages_own_host),
        cmocka_unit_test(an_endless_host_does_not_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
