/* The gateway's settings: defaults, and the rules between them. */
#include "gateway/gateway_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool read_text(struct gateway_config *config, const char *text, struct buffer *ret_errors) {
    struct config_part part = {&gateway_config_table, config};
    struct config_source source = {.file_name = "g.yaml", .file_text = span_of_text(text)};
    buffer_init(ret_errors, 0);
    bool is_good = config_read(&part, 1, &source, ret_errors);
    buffer_append_char(ret_errors, '\0');
    return is_good;
}

static void finish(struct gateway_config *config) {
    struct config_part part = {&gateway_config_table, config};
    config_finish(&part, 1);
}

static void the_defaults_are_good_and_as_documented(void **state) {
    (void) state;
    struct gateway_config config;
    struct buffer errors;
    read_text(&config, "", &errors);
    assert_string_equal((char *) errors.data, "");
    assert_string_equal(config.id, "");
    assert_string_equal(config.http_address, "0.0.0.0");
    assert_int_equal(config.http_port, 8000);
    assert_string_equal(config.websocket_path, "/connection/websocket");
    assert_int_equal(config.allowed_origins.n, 0);
    assert_string_equal(config.internal_address, "127.0.0.1");
    assert_int_equal(config.internal_port, 9000);
    assert_string_equal(config.token.secret, "");
    assert_false(config.token.any_audience);
    assert_false(config.allow_anonymous);
    assert_int_equal(config.token.max_life_ms, 24 * 3600 * 1000);
    assert_int_equal(config.ping_interval_ms, 25000);
    assert_int_equal(config.pong_timeout_ms, 8000);
    assert_int_equal(config.message_size_max, 65536);
    assert_int_equal(config.message_fragments_max, 128);
    assert_int_equal(config.channels_max, 128);
    assert_int_equal(config.commands_per_second, 100);
    assert_int_equal(config.outbox_bytes, 1 << 20);
    assert_int_equal(config.outbox_frames, 4096);
    assert_int_equal(config.history_limit_max, 300);
    assert_int_equal(config.brokers.n, 1);
    assert_string_equal(config.brokers.texts[0], "tcp://127.0.0.1:7700");
    assert_int_equal(config.heartbeat_ms, 500);
    assert_int_equal(config.heartbeat_timeout_ms, 1500);
    assert_int_equal(config.drain_delay_ms, 5000);
    assert_int_equal(config.drain_window_ms, 20000);
    assert_int_equal(config.namespaces.n, 0);
    finish(&config);
    buffer_finish(&errors);
}

#define SECRET "0123456789abcdef0123456789abcdef"

static void good_settings_are_taken(void **state) {
    (void) state;
    static const char *const files[] = {
        "token: {secret: " SECRET ", audience: a, issuer: b}",
        "token: {secret: " SECRET ", any_audience: true, algorithm: HS512}",
        "http: {allowed_origins: [https://a.example, 'https://*.example.com', 'http://localhost:3000', 'null']}",
        "client: {ping_interval: 10s, pong_timeout: 9s}",
        "brokers: {endpoints: ['tcp://a:1', 'tcp://b:2'], curve_key_file: k, curve_broker_key: k.pub}",
        "namespaces: [{name: chat}, {name: news}]",
    };
    for (size_t i = 0; i < N_OF(files); i++) {
        struct gateway_config config;
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
        {"token: {secret: " SECRET "}", "g.yaml:1:1: token.audience: is needed with token.secret"},
        {"token: {secret: " SECRET ", audience: a}", "g.yaml:1:1: token.issuer: is needed with token.secret"},
        {"token: {secret: short, any_audience: true}", "g.yaml:1:9: token.secret: has 5 bytes; it must have from 32"},
        {"token: {secret: '', any_audience: true}", "token.secret: has 0 bytes"},
        {"token: {algorithm: none}", "token.algorithm: \"none\" is not known here"},
        {"token: {algorithm: hs256}", "token.algorithm: \"hs256\" is not known here"},
        {"http: {websocket_path: ws}", "http.websocket_path: must begin with /"},
        {"http: {allowed_origins: [a.example]}", "http.allowed_origins: a.example is no origin"},
        {"http: {allowed_origins: ['https://a.example/x']}", "is no origin"},
        {"http: {allowed_origins: ['https://']}", "is no origin"},
        {"http: {allowed_origins: ['https://a.*.example']}", "is no origin"},
        {"http: {allowed_origins: ['https://u@a.example']}", "is no origin"},
        {"http: {allowed_origins: ['*']}", "is no origin"},
        {"http: {port: 65536}", "http.port: \"65536\" is out of bounds"},
        {"client: {ping_interval: 5s, pong_timeout: 5s}", "client.pong_timeout: must be below client.ping_interval"},
        {"gateway: {id: 'broker:1'}", "gateway.id: may not begin with broker:"},
        {"brokers: {heartbeat: 2s}", "brokers.heartbeat_timeout: must be above brokers.heartbeat"},
        {"brokers: {endpoints: []}", "brokers.endpoints: must name 1 to 64 brokers"},
        {"brokers: {endpoints: ['tcp://a:1']}", "brokers.endpoints: tcp://a:1 is not on this machine"},
        {"brokers: {endpoints: ['127.0.0.1:7700']}", "brokers.endpoints: 127.0.0.1:7700 is no endpoint"},
        {"http: {allowed_origins: ['ftp://a.example']}", "is no origin"},
        {"brokers: {curve_key_file: k}", "brokers.curve_broker_key: is needed too"},
        {"brokers: {curve_broker_key: k}", "brokers.curve_key_file: is needed too"},
        {"namespaces: [{name: ab}, {name: ab}]", "namespaces[1].name: is the same as that of namespaces[0]"},
        {"namespaces: [{name: ab, durability: sure}]", "durability"},
        {"events: {connections: true}", "events.channel: is needed with"},
        {"namespaces: [{name: ab, subscription_events: true}]", "events.channel: is needed with"},
        {"events: {channel: 'a b'}", "events.channel: is no name of a channel"},
        {"events: {channel: ab:c}", "events.channel: needs a namespace with history_size and history_ttl"},
        {"{events: {channel: ab:c}, namespaces: [{name: ab}]}", "events.channel: needs a namespace with history_size"},
        {"{events: {channel: ab:c}, namespaces: [{name: ab, history_size: 9, history_ttl: 9s, subscription_events: "
         "true}]}",
         "events.channel: must not be of a namespace with subscription_events"},
        {"broker: {shards: 1}", "g.yaml:1:1: broker: there is no such key; did you mean brokers?"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        struct gateway_config config;
        struct buffer errors;
        assert_false(read_text(&config, samples[i][0], &errors));
        if (strstr((char *) errors.data, samples[i][1]) == NULL) {
            fail_msg("%s: %s", samples[i][0], (char *) errors.data);
        }
        finish(&config);
        buffer_finish(&errors);
    }
}

static void a_reload_applies_what_concerns_clients_and_names_the_rest(void **state) {
    (void) state;
    struct gateway_config old_config;
    struct gateway_config new_config;
    struct buffer errors;
    read_text(&old_config, "", &errors);
    buffer_finish(&errors);
    read_text(
        &new_config,
        "http: {port: 1, allowed_origins: ['https://a.example']}\nlog: {level: debug}\nclient: {channels_max: 5}\n"
        "token: {secret: " SECRET ", any_audience: true}\nnamespaces: [{name: ab}]\ndrain: {delay: 1s}\n",
        &errors);
    assert_string_equal((char *) errors.data, "");
    struct config_part old_part = {&gateway_config_table, &old_config};
    struct config_part new_part = {&gateway_config_table, &new_config};
    struct buffer need_restart;
    buffer_init(&need_restart, 0);
    config_compare(&old_part, &new_part, 1, &need_restart);
    assert_true(span_equal_text(buffer_span(&need_restart), "http.port\ndrain.delay\n"));
    finish(&old_config);
    finish(&new_config);
    buffer_finish(&need_restart);
    buffer_finish(&errors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_good_and_as_documented),
        cmocka_unit_test(good_settings_are_taken),
        cmocka_unit_test(settings_that_contradict_each_other_are_refused),
        cmocka_unit_test(a_reload_applies_what_concerns_clients_and_names_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
