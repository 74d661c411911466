/* What the broker's settings need of Redis: whether there are failovers, what is safe and how it is confirmed. */
#include "broker/redis/survey/redis_setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { SHARDS = 4 };

static struct redis_setup setup_of(const char *yaml) {
    struct broker_config config = {.id = NULL};
    const struct config_part part = {&broker_config_table, &config};
    struct buffer errors = BUFFER_EMPTY;
    struct redis_url url;
    char error[512];
    const struct config_source source = {.file_name = "test", .file_text = span_of_text(yaml)};
    if (!config_read(&part, 1, &source, &errors)) {
        fail_msg("%.*s", (int) errors.size, (const char *) errors.data);
    }
    assert_true(redis_url_parse(span_of_text(config.redis_url), &url, error, sizeof error));
    struct redis_setup setup = redis_setup_of(&config, &url, SHARDS, "here");
    config_finish(&part, 1);
    buffer_finish(&errors);
    return setup;
}
#define HISTORY "history_size: 10, history_ttl: 1m"

static void one_server_is_fast_unless_told_otherwise(void **state) {
    (void) state;
    struct redis_setup setup =
        setup_of("redis: {url: \"redis://127.0.0.1:6379\"}\nnamespaces: [{name: chat, " HISTORY "}, {name: live}]\n");
    assert_false(setup.is_replicated);
    assert_true(setup.keeps_history);
    assert_false(setup.has_safe);
    assert_true(setup.is_local);
    assert_false(setup.is_encrypted);
    assert_int_equal(setup.n_links, 2 * SHARDS);
    assert_int_equal(setup.n_partitions, 256);
    assert_int_equal(setup.message_bytes, 2 << 20);
    assert_int_equal(setup.history_bytes, 10 << 20);
    assert_int_equal(setup.patience_ms, 2000);
    setup = setup_of("redis: {url: \"redis://10.0.0.1\"}\nnamespaces: [{name: chat, durability: safe, " HISTORY "}]\n");
    assert_true(setup.has_safe);
    assert_true(setup.confirms_by_disk);
    assert_false(setup.is_local);
    assert_int_equal(setup.n_links, 3 * SHARDS);
}

static void sentinel_and_cluster_are_safe_by_replicas(void **state) {
    (void) state;
    struct redis_setup setup =
        setup_of("redis: {url: \"rediss+sentinel://s:26379/m\"}\nnamespaces: [{name: chat, " HISTORY "}]\n");
    assert_true(setup.is_replicated);
    assert_false(setup.is_cluster);
    assert_true(setup.has_safe);
    assert_false(setup.confirms_by_disk);
    assert_true(setup.is_encrypted);
    assert_int_equal(setup.confirm_replicas, REDIS_CONFIRM_ALL);
    setup = setup_of(
        "redis: {url: \"redis+cluster://n\", confirm_replicas: 2}\nnamespaces: [{name: chat, durability: fast, " HISTORY
        "}]\n");
    assert_true(setup.is_cluster);
    assert_false(setup.has_safe);
    assert_int_equal(setup.confirm_replicas, 2);
}

static void the_confirmation_is_as_it_is_set(void **state) {
    (void) state;
    static const char format[] =
        "redis: {url: \"redis+sentinel://s/m\", confirm: %s%s}\nnamespaces: [{name: chat, " HISTORY "}]\n";
    char yaml[256];
    snprintf(yaml, sizeof yaml, format, "disk", "");
    assert_true(setup_of(yaml).confirms_by_disk);
    snprintf(yaml, sizeof yaml, format, "declared", "");
    assert_true(setup_of(yaml).is_declared);
    snprintf(yaml, sizeof yaml, format, "replicas", ", confirm_replicas: 1");
    struct redis_setup setup = setup_of(yaml);
    assert_false(setup.confirms_by_disk || setup.is_declared);
    assert_int_equal(setup.confirm_replicas, 1);
}

static void without_history_nothing_is_kept_or_safe(void **state) {
    (void) state;
    struct redis_setup setup = setup_of("redis: {url: \"redis+cluster://n\"}\nnamespaces: [{name: chat}]\n");
    assert_false(setup.keeps_history);
    assert_false(setup.has_safe);
    assert_int_equal(setup.history_bytes, 0);
}

static void the_loopback_and_unix_sockets_are_local(void **state) {
    (void) state;
    static const struct {
        const char *url;
        bool is_local;
    } rows[] = {{"redis://127.9.9.9", true},  {"redis://localhost:1", true}, {"redis://[::1]:1", true},
                {"unix:///run/r.sock", true}, {"redis://128.0.0.1", false},  {"redis://localhost.example", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redis_url url;
        char error[512];
        assert_true(redis_url_parse(span_of_text(rows[i].url), &url, error, sizeof error));
        assert_int_equal(redis_setup_is_local(&url), rows[i].is_local);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_server_is_fast_unless_told_otherwise),
        cmocka_unit_test(sentinel_and_cluster_are_safe_by_replicas),
        cmocka_unit_test(the_confirmation_is_as_it_is_set),
        cmocka_unit_test(without_history_nothing_is_kept_or_safe),
        cmocka_unit_test(the_loopback_and_unix_sockets_are_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
