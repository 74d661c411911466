/* Redis URLs: what is understood, and what is refused with which words. */
#include "broker/redis/link/redis_url.h"

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

static void an_s_behind_redis_means_tls(void **state) {
    (void) state;
    assert_false(parse("redis://h").tls);
    assert_true(parse("rediss://u:p@h:7000/3").tls);
    assert_int_equal(parse("rediss://u:p@h:7000/3").database, 3);
    assert_true(parse("rediss+sentinel://h/m").tls);
    assert_true(parse("rediss+cluster://h").tls);
}

static void sentinels_are_named_with_their_master(void **state) {
    (void) state;
    struct redis_url url = parse("redis+sentinel://u:p%2f@a,b:5000,[::1]/my-master.1/2");
    assert_int_equal(url.kind, REDIS_URL_SENTINEL);
    assert_string_equal(url.master, "my-master.1");
    assert_string_equal(url.user, "u");
    assert_string_equal(url.password, "p/");
    assert_int_equal(url.database, 2);
    assert_int_equal(url.n_seeds, 3);
    assert_string_equal(url.seeds[0].host, "a");
    assert_int_equal(url.seeds[0].port, 26379);
    assert_string_equal(url.seeds[1].host, "b");
    assert_int_equal(url.seeds[1].port, 5000);
    assert_string_equal(url.seeds[2].host, "::1");
    assert_int_equal(url.seeds[2].port, 26379);
    assert_int_equal(parse("redis+sentinel://a/m").database, 0);
    assert_int_equal(parse("redis+sentinel://a/m/").database, 0);
}

static void a_cluster_is_named_by_some_of_its_nodes(void **state) {
    (void) state;
    struct redis_url url = parse("redis+cluster://:p@a:7000,b/");
    assert_int_equal(url.kind, REDIS_URL_CLUSTER);
    assert_string_equal(url.password, "p");
    assert_int_equal(url.n_seeds, 2);
    assert_int_equal(url.seeds[0].port, 7000);
    assert_int_equal(url.seeds[1].port, 6379);
    assert_string_equal(url.host, "a");
}

static void one_server_is_its_own_seed_and_a_nodes_url_is_a_copy_with_its_address(void **state) {
    (void) state;
    struct redis_url url = parse("redis://h:1");
    assert_int_equal(url.kind, REDIS_URL_STANDALONE);
    assert_int_equal(url.n_seeds, 1);
    assert_string_equal(url.seeds[0].host, "h");
    assert_int_equal(url.seeds[0].port, 1);
    assert_string_equal(parse("unix:///s").seeds[0].path, "/s");
    struct redis_address node;
    assert_true(redis_address_parse(&node, SPAN_LITERAL("10.0.0.1:7001")));
    redis_url_set_address(&url, &node);
    assert_string_equal(url.host, "10.0.0.1");
    assert_int_equal(url.port, 7001);
}

static void wrong_lists_are_refused_with_the_right_form(void **state) {
    (void) state;
    assert_refused("redis://a,b,c", "name one host");
    assert_refused("redis+sentinel://a,b", "name of the master");
    assert_refused("redis+sentinel://a,b/", "name of the master");
    assert_refused("redis+sentinel://a/my%20master", "name of the master");
    assert_refused("redis+sentinel://a/m/x", "database");
    assert_refused("redis+sentinel://a,,b/m", "write redis+sentinel://");
    assert_refused("rediss+sentinel:///m", "write rediss+sentinel://");
    assert_refused("redis+cluster://a,", "write redis+cluster://");
    assert_refused("redis+cluster://a/1", "database 0");
    assert_refused("redis+cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "at most 16");
    assert_int_equal(parse("redis+cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16").n_seeds, 16);
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
    url = parse("rediss+sentinel://u:secret@a,[::1]:1/m/2");
    redis_url_describe(&url, error, sizeof error);
    assert_string_equal(error, "sentinel a:26379,[::1]:1/m/2 (TLS)");
    url = parse("redis+cluster://u:secret@a,b:1");
    redis_url_describe(&url, error, sizeof error);
    assert_string_equal(error, "cluster a:6379,b:1");
    redis_url_describe(&url, error, 12);
    assert_true(strlen(error) < 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_alone_has_the_usual_port_and_database_0),
        cmocka_unit_test(port_and_database_are_read),
        cmocka_unit_test(user_and_password_may_be_percent_encoded),
        cmocka_unit_test(addresses_of_ipv6_stand_in_brackets),
        cmocka_unit_test(unix_sockets_are_named_by_their_path),
        cmocka_unit_test(an_s_behind_redis_means_tls),
        cmocka_unit_test(sentinels_are_named_with_their_master),
        cmocka_unit_test(a_cluster_is_named_by_some_of_its_nodes),
        cmocka_unit_test(one_server_is_its_own_seed_and_a_nodes_url_is_a_copy_with_its_address),
        cmocka_unit_test(wrong_lists_are_refused_with_the_right_form),
        cmocka_unit_test(broken_urls_are_refused_with_what_is_wrong),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(no_message_and_no_description_tells_the_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
