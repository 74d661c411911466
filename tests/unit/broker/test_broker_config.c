/* The broker's settings: defaults, the rules between them, and that it shares a file with the gateway. */
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool read_text(struct broker_config *config, const char *text, struct buffer *ret_errors) {
    struct config_part part = {&broker_config_table, config};
    struct config_source source = {.file_name = "b.yaml", .file_text = span_of_text(text)};
    buffer_init(ret_errors, 0);
    bool is_good = config_read(&part, 1, &source, ret_errors);
    buffer_append_char(ret_errors, '\0');
    return is_good;
}

static void finish(struct broker_config *config) {
    struct config_part part = {&broker_config_table, config};
    config_finish(&part, 1);
}

static void the_defaults_are_good_and_as_documented(void **state) {
    (void) state;
    struct broker_config config;
    struct buffer errors;
    read_text(&config, "", &errors);
    assert_string_equal((char *) errors.data, "");
    assert_int_equal(config.partitions, 256);
    assert_string_equal(config.endpoint, "tcp://127.0.0.1:7700");
    assert_int_equal(config.peer_timeout_ms, 4000);
    assert_int_equal(config.drain_window_ms, 5000);
    assert_int_equal(config.inbox_messages, 65536);
    assert_int_equal(config.inbox_bytes, 64 << 20);
    assert_int_equal(config.tail_messages_max, 1024);
    assert_int_equal(config.tail_bytes_max, 4 << 20);
    assert_int_equal(config.tails_bytes_max, 256 << 20);
    assert_int_equal(config.memory_bytes_max, 512 << 20);
    assert_int_equal(config.recovery_publications_max, 300);
    assert_int_equal(config.recovery_bytes_max, 1 << 20);
    assert_int_equal(config.key_ttl_ms, 300000);
    assert_string_equal(config.redis_url, "");
    assert_string_equal(config.redis_prefix, "cb");
    assert_string_equal(config.backend_endpoint, "tcp://127.0.0.1:7710");
    assert_int_equal(config.internal_port, 9001);
    finish(&config);
    buffer_finish(&errors);
}

static void good_settings_are_taken(void **state) {
    (void) state;
    static const char *const files[] = {
        "broker: {endpoint: 'tcp://0.0.0.0:7700', curve_key_file: k, curve_allowed_dir: d}",
        "broker: {endpoint: 'tcp://127.0.0.2:1', partitions: 64}",
        "broker: {partitions: 4096}",
        "backend: {endpoint: '', pull_endpoint: ''}",
        "redis: {url: 'redis://h:1', password: p, user: u, prefix: a-B_1}",
        "redis: {url: 'redis+sentinel://a,b,c/master'}",
        "redis: {url: 'redis+sentinel://a,b,c/master', sentinel_user: u, sentinel_password: p}",
        "redis: {url: 'redis+cluster://a:7000,b:7001'}",
        "redis: {url: 'rediss://user@h'}",
        ("redis: {url: 'rediss+cluster://h', tls_ca_file: a, tls_certificate_file: c, tls_key_file: k, "
         "tls_server_name: redis.example}"),
        "redis: {url: 'unix:///run/redis.sock'}",
    };
    for (size_t i = 0; i < N_OF(files); i++) {
        struct broker_config config;
        struct buffer errors;
        read_text(&config, files[i], &errors);
        assert_string_equal((char *) errors.data, "");
        finish(&config);
        buffer_finish(&errors);
    }
}

static void settings_that_contradict_each_other_are_refused(void **state) {
    (void) state;
    static const char *const samples[][2] = {
        {"broker: {partitions: 100}", "b.yaml:1:10: broker.partitions: must be a power of two"},
        {"broker: {partitions: 0}", "broker.partitions: \"0\" is out of bounds"},
        {"broker: {partitions: 8192}", "broker.partitions: \"8192\" is out of bounds"},
        {"broker: {shards: 17}", "broker.shards: \"17\" is out of bounds"},
        {"broker: {peer_timeout: 500ms}", "broker.peer_timeout: must be above broker.heartbeat"},
        {"broker: {endpoint: 'tcp://0.0.0.0:7700'}", "broker.endpoint: can be reached from other machines"},
        {"broker: {endpoint: 'tcp://*:7700'}", "broker.endpoint: can be reached from other machines"},
        {"broker: {curve_key_file: k}", "broker.curve_allowed_dir: is needed with broker.curve_key_file"},
        {"backend: {endpoint: 'tcp://10.0.0.1:1'}", "backend.endpoint: can be reached from other machines"},
        {"backend: {pull_endpoint: 'tcp://10.0.0.1:1'}", "backend.pull_endpoint: can be reached from other machines"},
        {"redis: {url: 'host:6379'}", "redis.url: begins with redis://"},
        {"redis: {url: 'http://host'}", "redis.url: begins with redis://"},
        {"redis: {url: 'redis://a,b'}", "redis.url: redis:// and rediss:// name one host"},
        {"redis: {url: 'redis://h:telltale'}", "redis.url: the host or port is not valid"},
        {"redis: {url: 'redis+sentinel://:telltale@a/m'}", "redis.url: a password inside a URL"},
        {"redis: {url: 'redis://h', tls_ca_file: a}", "redis.tls_ca_file: is for TLS"},
        {"redis: {url: 'redis://h', tls_server_name: a}", "redis.tls_server_name: is for TLS"},
        {"redis: {url: 'rediss://h', tls_key_file: a}", "redis.tls_certificate_file: and redis.tls_key_file belong"},
        {"redis: {url: 'rediss://h', tls_certificate_file: a}",
         "redis.tls_certificate_file: and redis.tls_key_file belong"},
        {"redis: {url: 'redis://h', sentinel_password: telltale}", "redis.sentinel_password: and"},
        {"redis: {url: 'redis://:telltale@host'}", "redis.url: a password inside a URL"},
        {"redis: {prefix: 'a{b}'}", "redis.prefix: must be letters"},
        {"redis: {prefix: ''}", "redis.prefix: \"\" has 0 bytes"},
        {"namespaces: [{name: ab, occupancy_events: true}]", "events.channel: is needed with occupancy_events"},
        {"events: {channel: 'a b'}", "events.channel: is no name of a channel"},
        {"events: {channel: ab:c}", "events.channel: needs a namespace with history_size and history_ttl"},
        {"{events: {channel: ab:c}, namespaces: [{name: ab}]}", "events.channel: needs a namespace with history_size"},
        {"{events: {channel: ab:c}, namespaces: [{name: ab, history_size: 9, history_ttl: 9s, occupancy_events: "
         "true}]}",
         "events.channel: must not be of a namespace with occupancy_events"},
        {"namespaces: [{name: ab}, {name: ab}]", "namespaces[1].name: is the same as that of namespaces[0]"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        struct broker_config config;
        struct buffer errors;
        assert_false(read_text(&config, samples[i][0], &errors));
        if (strstr((char *) errors.data, samples[i][1]) == NULL) {
            fail_msg("%s: %s", samples[i][0], (char *) errors.data);
        }
        assert_null(strstr((char *) errors.data, "telltale"));
        finish(&config);
        buffer_finish(&errors);
    }
}

/* As the appliance does: one file, both tables. */
static void gateway_and_broker_read_one_file(void **state) {
    (void) state;
    struct gateway_config gateway;
    struct broker_config broker;
    const struct config_part parts[] = {{&gateway_config_table, &gateway}, {&broker_config_table, &broker}};
    struct config_source source = {
        .file_name = "c.yaml",
        .file_text = SPAN_LITERAL("http: {port: 1}\nbroker: {shards: 2}\nlog: {level: error}\ndrain: {window: 7s}\n"
                                  "namespaces: [{name: chat, presence: true}]\n")};
    struct buffer errors;
    buffer_init(&errors, 0);
    assert_true(config_read(parts, 2, &source, &errors));
    assert_int_equal(gateway.http_port, 1);
    assert_int_equal(broker.shards, 2);
    assert_int_equal(gateway.log_level, 3);
    assert_int_equal(broker.log_level, 3);
    assert_int_equal(gateway.drain_window_ms, 7000);
    assert_int_equal(broker.drain_window_ms, 7000);
    assert_int_equal(gateway.namespaces.n, 1);
    assert_int_equal(broker.namespaces.n, 1);
    config_finish(parts, 2);
    buffer_finish(&errors);
}

/* The reader gives a common key to both, so it must mean the same; and no two keys may be one variable. */
static void common_keys_have_one_type_and_every_key_a_variable_of_its_own(void **state) {
    (void) state;
    const struct config_table *tables[] = {&gateway_config_table, &broker_config_table};
    for (size_t a = 0; a < gateway_config_table.n_keys + broker_config_table.n_keys; a++) {
        const struct config_table *table_a = tables[a >= gateway_config_table.n_keys];
        const struct config_key *key_a =
            &table_a->keys[a >= gateway_config_table.n_keys ? a - gateway_config_table.n_keys : a];
        assert_true(strlen(key_a->help) > 10);
        for (size_t b = 0; b < broker_config_table.n_keys; b++) {
            const struct config_key *key_b = &broker_config_table.keys[b];
            if (strcmp(key_a->path, key_b->path) == 0) {
                assert_int_equal(key_a->type, key_b->type);
                assert_ptr_equal(key_a->section, key_b->section);
                assert_int_equal(key_a->flags, key_b->flags);
                continue;
            }
            size_t i = 0;
            while (key_a->path[i] != '\0' &&
                   (key_a->path[i] == key_b->path[i] ||
                    (strchr("._", key_a->path[i]) && key_b->path[i] != '\0' && strchr("._", key_b->path[i])))) {
                i++;
            }
            assert_true(key_a->path[i] != '\0' || key_b->path[i] != '\0');
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_good_and_as_documented),
        cmocka_unit_test(good_settings_are_taken),
        cmocka_unit_test(settings_that_contradict_each_other_are_refused),
        cmocka_unit_test(gateway_and_broker_read_one_file),
        cmocka_unit_test(common_keys_have_one_type_and_every_key_a_variable_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
