/* Keys of the HTTP API: finding, scopes, rate, and what is held over an exchange. */
#include "gateway/http_api/http_api_key_options.h"
#include "gateway/http_api/http_api_keys.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SECOND_US = 1000000 };

static const char first[] = "the-first-key-of-forty-three-characters-000";
static const char second[] = "the-second-key-of-forty-three-characters-00";
static const char other[] = "the-other-keys-of-forty-three-characters-00";

static char hashes[3][65];
static char name_one[] = "one";
static char name_two[] = "two";
static char star[] = "*";
static char publish[] = "publish";
static char history[] = "history";
static char news[] = "news:*";
static char exact[] = "exact";
static char *one_hashes[2] = {hashes[0], hashes[1]};
static char *two_hashes[1] = {hashes[2]};
static char *one_methods[1] = {star};
static char *two_methods[2] = {publish, history};
static char *one_channels[1] = {star};
static char *two_channels[2] = {news, exact};

static struct http_api_key_options items[2];
static const struct config_section_list list = {items, 2};

static void write_hash(const char *key, char *ret_hex) {
    uint8_t hash[32];
    EVP_Digest(key, strlen(key), hash, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < sizeof hash; i++) {
        snprintf(ret_hex + 2 * i, 3, "%02x", hash[i]);
    }
}

static int set_up(void **state) {
    (void) state;
    write_hash(first, hashes[0]);
    write_hash(second, hashes[1]);
    write_hash(other, hashes[2]);
    items[0] = (struct http_api_key_options){
        .name = name_one, .hashes = {one_hashes, 2}, .methods = {one_methods, 1}, .channels = {one_channels, 1}};
    items[1] = (struct http_api_key_options){.name = name_two,
                                             .hashes = {two_hashes, 1},
                                             .methods = {two_methods, 2},
                                             .channels = {two_channels, 2},
                                             .rate = 10};
    return 0;
}

static void both_keys_of_an_exchange_are_found_and_no_others(void **state) {
    (void) state;
    http_api_keys_t *keys = http_api_keys_new(&list);
    const struct {
        const char *key;
        const char *name;
    } cases[] = {{first, "one"}, {second, "one"}, {other, "two"}};
    for (size_t i = 0; i < 3; i++) {
        http_api_key_t *key = http_api_keys_find(keys, span_of_text(cases[i].key));
        assert_non_null(key);
        assert_string_equal(http_api_key_name(key), cases[i].name);
        http_api_key_release(&key);
        assert_null(key);
    }
    assert_null(http_api_keys_find(keys, span_of_text(hashes[0])));
    assert_null(http_api_keys_find(keys, span_of(first, sizeof first - 2)));
    assert_null(http_api_keys_find(keys, SPAN_LITERAL("short")));
    assert_null(http_api_keys_find(keys, SPAN_EMPTY));
    http_api_keys_destroy(&keys);
    assert_null(keys);
}

static void scopes_are_names_or_stars(void **state) {
    (void) state;
    http_api_keys_t *keys = http_api_keys_new(&list);
    http_api_key_t *one = http_api_keys_find(keys, span_of_text(first));
    http_api_key_t *two = http_api_keys_find(keys, span_of_text(other));
    assert_true(http_api_key_allows_method(one, "info"));
    assert_true(http_api_key_allows_channel(one, SPAN_LITERAL("any")));
    assert_true(http_api_key_allows_method(two, "history"));
    assert_false(http_api_key_allows_method(two, "history_remove"));
    assert_true(http_api_key_allows_channel(two, SPAN_LITERAL("news:a")));
    assert_true(http_api_key_allows_channel(two, SPAN_LITERAL("exact")));
    assert_false(http_api_key_allows_channel(two, SPAN_LITERAL("exactly")));
    assert_false(http_api_key_allows_channel(two, SPAN_LITERAL("a-news:a")));
    assert_false(http_api_key_allows_channel(two, SPAN_LITERAL("news")));
    http_api_key_release(&one);
    http_api_key_release(&two);
    http_api_keys_destroy(&keys);
}

static void a_rate_has_a_burst_of_two_seconds_and_comes_back(void **state) {
    (void) state;
    http_api_keys_t *keys = http_api_keys_new(&list);
    http_api_key_t *one = http_api_keys_find(keys, span_of_text(first));
    http_api_key_t *two = http_api_keys_find(keys, span_of_text(other));
    uint64_t now = 100 * SECOND_US;
    assert_true(http_api_key_take(one, 1000000, now)); /* without a rate */
    assert_false(http_api_key_take(two, 21, now));
    assert_true(http_api_key_take(two, 20, now));
    assert_false(http_api_key_take(two, 1, now));
    assert_true(http_api_key_take(two, 1, now + SECOND_US / 10));
    assert_false(http_api_key_take(two, 1, now + SECOND_US / 10));
    assert_true(http_api_key_take(two, 20, now + 100 * SECOND_US));
    http_api_key_release(&one);
    http_api_key_release(&two);
    http_api_keys_destroy(&keys);
}

static void a_key_that_is_held_outlives_its_set(void **state) {
    (void) state;
    http_api_keys_t *keys = http_api_keys_new(&list);
    http_api_key_t *key = http_api_keys_find(keys, span_of_text(other));
    http_api_keys_destroy(&keys);
    assert_true(http_api_key_allows_method(key, "publish"));
    assert_string_equal(http_api_key_name(key), "two");
    http_api_key_release(&key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_keys_of_an_exchange_are_found_and_no_others),
        cmocka_unit_test(scopes_are_names_or_stars),
        cmocka_unit_test(a_rate_has_a_burst_of_two_seconds_and_comes_back),
        cmocka_unit_test(a_key_that_is_held_outlives_its_set),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
