/* Status codes and JSON for every state of a gateway. */
#include "gateway/transport/http_endpoints.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void give_status(void *context, struct gateway_status *ret_status) {
    *ret_status = *(const struct gateway_status *) context;
}

static const struct gateway_status healthy = {
    .is_ready = true,
    .workers = 2,
    .connections = 7,
    .users = 3,
    .alive = 6,
    .dead = 1,
    .brokers_known = 2,
    .brokers_alive = 2,
    .mode = WIRE_MODE_REDIS,
    .totals_known = true,
    .total_connections = 12345678901,
    .total_gateways = 4,
};

static void expect(const struct gateway_status *status, const char *path, unsigned code, const char *body) {
    struct gateway_status copy = *status;
    struct http_endpoints endpoints = {.read_status = give_status, .context = &copy};
    http_endpoints_init(&endpoints, true, false);
    for (size_t i = 0; i < sizeof(endpoints.internal) / sizeof(endpoints.internal[0]); i++) {
        if (strcmp(endpoints.internal[i].path, path) == 0) {
            struct http_answer answer = {.status = 200, .content_type = "application/json"};
            endpoints.internal[i].handle(endpoints.internal[i].context, &answer);
            buffer_append_char(&answer.body, '\0');
            assert_int_equal(answer.status, code);
            assert_string_equal((const char *) answer.body.data, body);
            buffer_finish(&answer.body);
            return;
        }
    }
    fail_msg("no endpoint %s", path);
}

#define CONNECTIONS "\"connections\":{\"total\":12345678901,\"local\":7,\"alive\":6,\"dead\":1},"
#define REDIS_UP    "\"redis\":{\"connected\":true,\"pubsub_connected\":true,\"mode\":\"redis\"}}\n"
#define REDIS_AWAY  "\"redis\":{\"connected\":false,\"pubsub_connected\":false,\"mode\":\"redis\"}}\n"

static void a_healthy_gateway_says_ok_everywhere(void **state) {
    (void) state;
    expect(&healthy, "/health", 200, "{\"status\":\"ok\"," CONNECTIONS REDIS_UP);
    expect(&healthy, "/ready", 200, "{\"status\":\"ok\"," CONNECTIONS REDIS_UP);
    expect(&healthy, "/ws/health", 200, "{\"status\":\"ok\"," CONNECTIONS REDIS_UP);
    expect(&healthy, "/health/redis", 200, "{\"status\":\"ok\"," REDIS_UP);
    expect(&healthy, "/ws/stats", 200,
           "{\"local_connections\":7,\"local_users\":3,\"redis_enabled\":true,\"total_instances\":4,"
           "\"total_connections\":12345678901}\n");
}

static void without_redis_it_lives_is_ready_and_degraded(void **state) {
    (void) state;
    struct gateway_status status = healthy;
    status.engine_degraded = true;
    expect(&status, "/health", 200, "{\"status\":\"degraded\"," CONNECTIONS REDIS_AWAY);
    expect(&status, "/ready", 200, "{\"status\":\"degraded\"," CONNECTIONS REDIS_AWAY);
    expect(&status, "/health/redis", 503, "{\"status\":\"unavailable\"," REDIS_AWAY);
}

static void before_the_first_broker_it_is_not_ready_and_knows_no_totals(void **state) {
    (void) state;
    const struct gateway_status status = {0};
    expect(&status, "/health", 200,
           "{\"status\":\"starting\",\"connections\":{\"total\":null,\"local\":0,\"alive\":0,\"dead\":0},"
           "\"redis\":{\"connected\":false,\"pubsub_connected\":false,\"mode\":\"unknown\"}}\n");
    expect(&status, "/ready", 503,
           "{\"status\":\"starting\",\"connections\":{\"total\":null,\"local\":0,\"alive\":0,\"dead\":0},"
           "\"redis\":{\"connected\":false,\"pubsub_connected\":false,\"mode\":\"unknown\"}}\n");
    expect(&status, "/health/redis", 503,
           "{\"status\":\"unavailable\",\"redis\":{\"connected\":false,\"pubsub_connected\":false,"
           "\"mode\":\"unknown\"}}\n");
    expect(&status, "/ws/stats", 200,
           "{\"local_connections\":0,\"local_users\":0,\"redis_enabled\":false,\"total_instances\":null,"
           "\"total_connections\":null}\n");
}

static void draining_is_alive_and_not_ready(void **state) {
    (void) state;
    struct gateway_status status = healthy;
    status.is_draining = true;
    expect(&status, "/health", 200, "{\"status\":\"draining\"," CONNECTIONS REDIS_UP);
    expect(&status, "/ready", 503, "{\"status\":\"draining\"," CONNECTIONS REDIS_UP);
}

static void a_loop_that_does_not_turn_is_not_alive(void **state) {
    (void) state;
    struct gateway_status status = healthy;
    status.stalled_ms = HTTP_ENDPOINTS_STALLED_MS;
    expect(&status, "/health", 503, "{\"status\":\"stalled\"," CONNECTIONS REDIS_UP);
    expect(&status, "/ready", 503, "{\"status\":\"stalled\"," CONNECTIONS REDIS_UP);
    status.stalled_ms = HTTP_ENDPOINTS_STALLED_MS - 1;
    expect(&status, "/health", 200, "{\"status\":\"ok\"," CONNECTIONS REDIS_UP);
}

static void the_memory_engine_has_no_redis_to_be_away(void **state) {
    (void) state;
    struct gateway_status status = healthy;
    status.mode = WIRE_MODE_MEMORY;
    expect(&status, "/health/redis", 200,
           "{\"status\":\"ok\",\"redis\":{\"connected\":false,\"pubsub_connected\":false,\"mode\":\"memory\"}}\n");
    expect(&status, "/ws/stats", 200,
           "{\"local_connections\":7,\"local_users\":3,\"redis_enabled\":false,\"total_instances\":4,"
           "\"total_connections\":12345678901}\n");
}

static int64_t noon(void) {
    return 1700000000123;
}

static void info_says_what_has_to_be_the_same_everywhere(void **state) {
    (void) state;
    struct gateway_status status = healthy;
    status.id = "gate\"way";
    status.namespaces_hash = 0xABC;
    status.websockets = 8;
    status.connections_max = 100;
    clock_replace(NULL, noon);
    expect(&status, "/info", 200,
           "{\"gateway\":\"gate\\\"way\",\"version\":\"" CALLBOARD_VERSION
           "\",\"status\":\"ok\",\"mode\":\"redis\",\"workers\":2,\"websockets\":8,\"connections_max\":100,\"brokers_"
           "known\":2,\"brokers_alive\":2,"
           "\"stalled_ms\":0,\"time_ms\":1700000000123,\"namespaces_hash\":\"0000000000000abc\",\"tls\":false,"
           "\"findings\":[]}\n");
    clock_replace(NULL, NULL);
}

static void a_certificate_that_ends_is_found(void **state) {
    (void) state;
    static const struct {
        int64_t left_s;
        const char *severity; /* NULL: nothing is found */
    } cases[] = {{-1, "error"}, {0, "error"}, {1, "warning"}, {14 * 86400 - 1, "warning"}, {14 * 86400, NULL}};
    clock_replace(NULL, noon);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gateway_status status = healthy;
        status.speaks_tls = true;
        status.certificate_expires_s = 1700000000 + cases[i].left_s;
        char body[512];
        char findings[80] = "";
        if (cases[i].severity != NULL) {
            snprintf(findings, sizeof findings, "\"findings\":[{\"id\":\"tls.certificate\",\"severity\":\"%s\"}],",
                     cases[i].severity);
        }
        snprintf(body, sizeof body, "{\"status\":\"ok\"," CONNECTIONS "%s" REDIS_UP, findings);
        expect(&status, "/health", 200, body);
    }
    clock_replace(NULL, NULL);
}

static void memory_that_stands_in_for_redis_is_said_to(void **state) {
    (void) state;
    struct gateway_status status = healthy;
    status.mode = WIRE_MODE_MEMORY;
    status.engine_degraded = true;
    expect(&status, "/health/redis", 503,
           "{\"status\":\"unavailable\",\"redis\":{\"connected\":false,\"pubsub_connected\":false,\"mode\":\"memory\","
           "\"fallback\":true}}\n");
    expect(&status, "/ws/stats", 200,
           "{\"local_connections\":7,\"local_users\":3,\"redis_enabled\":false,\"fallback\":true,\"total_instances\":4,"
           "\"total_connections\":12345678901}\n");
}

static void the_public_port_shows_details_only_where_configured_and_never_metrics(void **state) {
    (void) state;
    struct http_endpoints endpoints = {0};
    http_endpoints_init(&endpoints, false, false);
    assert_int_equal(endpoints.n_open, 3);
    assert_string_equal(endpoints.open[2].path, "/ws/health");
    http_endpoints_init(&endpoints, true, false);
    assert_int_equal(endpoints.n_open, 5);
    assert_string_equal(endpoints.open[4].path, "/health/redis");
    assert_true(endpoints.internal[0].without_token);
    assert_true(endpoints.internal[1].without_token);
    for (size_t i = 2; i < 7; i++) {
        assert_false(endpoints.internal[i].without_token);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_gateway_says_ok_everywhere),
        cmocka_unit_test(without_redis_it_lives_is_ready_and_degraded),
        cmocka_unit_test(before_the_first_broker_it_is_not_ready_and_knows_no_totals),
        cmocka_unit_test(draining_is_alive_and_not_ready),
        cmocka_unit_test(a_loop_that_does_not_turn_is_not_alive),
        cmocka_unit_test(the_memory_engine_has_no_redis_to_be_away),
        cmocka_unit_test(info_says_what_has_to_be_the_same_everywhere),
        cmocka_unit_test(a_certificate_that_ends_is_found),
        cmocka_unit_test(memory_that_stands_in_for_redis_is_said_to),
        cmocka_unit_test(the_public_port_shows_details_only_where_configured_and_never_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
