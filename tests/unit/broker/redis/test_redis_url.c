/* Redis URLs: what is understood, and what is refused with which words. */
#include "broker/redis/redis_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct redis_url parse(const char *text) {
    struct redis_url url;
    char error[256] = "";
    if (!redis_url_parse(span_of_text(text), &url, error, sizeof error)) {
        fail_msg("%s: %s", text, error);
    }
    return url;
}

static void assert_refused(const char *text, const char *words) {
    struct redis_url url;
    char error[256] = "";
    assert_false(redis_url_parse(span_of_text(text), &url, error, sizeof error));
    if (strstr(error, words) == NULL) {
        fail_msg("%s: \"%s\" does not say \"%s\"", text, error, words);
    }
}

static void a_host_alone_has_the_usual_port_and_database_0(void **state) {
    (void) state;
    struct redis_url url = parse("redis://cache.example");
    assert_string_equal(url.host, "cache.example");
    assert_int_equal(url.port, 6379);
    assert_int_equal(url.database, 0);
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "");
}

static void port_and_database_are_read(void **state) {
    (void) state;
    struct redis_url url = parse("redis://127.0.0.1:7000/12");
    assert_string_equal(url.host, "127.0.0.1");
    assert_int_equal(url.port, 7000);
    assert_int_equal(url.database, 12);
    assert_int_equal(parse("redis://h/").database, 0);
}

static void user_and_password_may_be_percent_encoded(void **state) {
    (void) state;
    struct redis_url url = parse("redis://al%40ice:p%3A%2f%25@h:1");
    assert_string_equal(url.user, "al@ice");
    assert_string_equal(url.password, "p:/%");
    url = parse("redis://:only@h");
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "only");
    url = parse("redis://a:b@c:d@h");
    assert_string_equal(url.password, "b@c:d");
}

static void addresses_of_ipv6_stand_in_brackets(void **state) {
    (void) state;
    struct redis_url url = parse("redis://[::1]:7001/3");
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 7001);
    assert_string_equal(parse("redis://[fe80::1]").host, "fe80::1");
}

static void unix_sockets_are_named_by_their_path(void **state) {
    (void) state;
    struct redis_url url = parse("unix:///run/redis/redis.sock");
    assert_string_equal(url.path, "/run/redis/redis.sock");
    url = parse("unix://u:p@/run/r.sock?db=4");
    assert_string_equal(url.path, "/run/r.sock");
    assert_string_equal(url.user, "u");
    assert_string_equal(url.password, "p");
    assert_int_equal(url.database, 4);
}

static void forms_of_a_later_release_are_refused_by_name(void **state) {
    (void) state;
    assert_refused("rediss://h", "TLS");
    assert_refused("redis+sentinel://a,b,c/master", "Sentinel");
    assert_refused("rediss+sentinel://a/m", "Sentinel");
    assert_refused("redis+cluster://a,b", "Cluster");
    assert_refused("redis://a,b,c", "one host only");
}

static void broken_urls_are_refused_with_what_is_wrong(void **state) {
    (void) state;
    assert_refused("", "begins with redis://");
    assert_refused("http://h", "begins with redis://");
    assert_refused("redis://", "host or port");
    assert_refused("redis://h:", "host or port");
    assert_refused("redis://h:0", "host or port");
    assert_refused("redis://h:65536", "host or port");
    assert_refused("redis://h:6379x", "host or port");
    assert_refused("redis://[::1", "host or port");
    assert_refused("redis://h/zero", "database");
    assert_refused("redis://h/-1", "database");
    assert_refused("redis://a%zz:b@h", "%-escape");
    assert_refused("redis://a:b%0@h", "%-escape");
    assert_refused("redis://a%00:b@h", "%-escape");
    assert_refused("unix://", "whole path");
    assert_refused("unix://relative/path", "whole path");
    assert_refused("unix:///s?database=1", "db=<number>");
}

static void what_is_too_long_is_refused(void **state) {
    (void) state;
    char text[1200] = "redis://";
    memset(text + 8, 'h', 300);
    assert_refused(text, "host or port");
    snprintf(text, sizeof text, "unix:///%0200d", 0);
    assert_refused(text, "107 bytes");
    snprintf(text, sizeof text, "redis://u:%0600d@h", 0);
    assert_refused(text, "too long");
}

static void no_message_and_no_description_tells_the_password(void **state) {
    (void) state;
    struct redis_url url;
    char error[256] = "";
    assert_false(redis_url_parse(SPAN_LITERAL("redis://u:secret@h:x"), &url, error, sizeof error));
    assert_null(strstr(error, "secret"));
    url = parse("redis://u:secret@h:1/2");
    redis_url_describe(&url, error, sizeof error);
    assert_string_equal(error, "h:1/2");
    url = parse("unix://u:secret@/s?db=1");
    redis_url_describe(&url, error, sizeof error);
    assert_string_equal(error, "unix:/s/1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_alone_has_the_usual_port_and_database_0),
        cmocka_unit_test(port_and_database_are_read),
        cmocka_unit_test(user_and_password_may_be_percent_encoded),
        cmocka_unit_test(addresses_of_ipv6_stand_in_brackets),
        cmocka_unit_test(unix_sockets_are_named_by_their_path),
        cmocka_unit_test(forms_of_a_later_release_are_refused_by_name),
        cmocka_unit_test(broken_urls_are_refused_with_what_is_wrong),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(no_message_and_no_description_tells_the_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
