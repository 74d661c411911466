/* What callboardctl doctor makes of the pages of running programs, as a table: each state that they can tell, and pages
 * that are none of ours. */
#include "tests/support/doctor_run.h"
#include "tests/support/http_stub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char doctor_program[] = CALLBOARD_BINARY_DIR "/tools/callboardctl";
#define arguments(...) ((const char *const[]){__VA_ARGS__, NULL})

struct row {
    const char *option; /* --broker or --gateway */
    const char *health;
    int info_status;
    const char *info;
    const char *id;
    const char *severity;
};
#define REDIS_OK               "\"redis\":{\"connected\":true,\"pubsub_connected\":true,\"mode\":\"redis\",\"findings\":[]}"
#define REDIS_AWAY             "\"redis\":{\"connected\":false,\"pubsub_connected\":true,\"mode\":\"redis\"}"
#define FALLBACK               "\"redis\":{\"connected\":false,\"pubsub_connected\":false,\"mode\":\"memory\",\"fallback\":true}"
#define BROKER(status, redis)  "{\"status\":\"" status "\",\"broker\":\"b\"," redis "}"
#define GATEWAY(status, redis) "{\"status\":\"" status "\",\"connections\":{\"local\":7}," redis "}"
#define BROKER_OK              BROKER("ok", REDIS_OK)
#define GATEWAY_OK             GATEWAY("ok", REDIS_OK)
#define VERSION                "\"version\":\"" CALLBOARD_VERSION "\""
#define BROKER_INFO                                                                                                    \
    "{\"broker\":\"b\"," VERSION ",\"engine\":\"redis\",\"gateway_workers\":2,\"partitions\":256,"                     \
    "\"namespaces_hash\":\"00\",\"findings\":[]}"
#define GATEWAY_INFO                                                                                                   \
    "{\"gateway\":\"g\"," VERSION ",\"brokers_known\":1,\"brokers_alive\":1,\"websockets\":79,\"connections_max\":"    \
    "100}"

static const struct row rows[] = {
    {"--broker", BROKER_OK, 200, BROKER_INFO, "broker.reach", "fine"},
    {"--broker", BROKER_OK, 200, BROKER_INFO, "broker.health", "fine"},
    {"--broker", BROKER_OK, 200, BROKER_INFO, "broker.engine", "fine"},
    {"--broker", BROKER_OK, 200, BROKER_INFO, "broker.gateways", "fine"},
    {"--broker", BROKER_OK, 200, BROKER_INFO, "cluster.versions", "fine"},
    {"--broker", BROKER_OK, 200, BROKER_INFO, "cluster.partitions", "fine"},
    {"--broker", BROKER("draining", REDIS_OK), 200, BROKER_INFO, "broker.health", "warning"},
    {"--broker", BROKER("stalled", REDIS_OK), 200, BROKER_INFO, "broker.health", "error"},
    {"--broker", BROKER("degraded", REDIS_AWAY), 200, BROKER_INFO, "broker.health", "error"},
    {"--broker", BROKER("degraded", FALLBACK), 200, BROKER_INFO, "broker.health", "error"},
    {"--broker", BROKER("odd", REDIS_OK), 200, BROKER_INFO, "broker.health", "error"},
    {"--broker", BROKER_OK, 401, "", "broker.engine", "unknown"},
    {"--broker", BROKER_OK, 404, "", "broker.engine", "unknown"},
    {"--broker", BROKER_OK, 200, "no JSON", "broker.engine", "unknown"},
    {"--broker", BROKER_OK, 200, "{\"engine\":\"redis\",\"gateway_workers\":0}", "broker.gateways", "warning"},
    {"--broker", BROKER_OK, 200, "{\"version\":\"0.0.1\",\"engine\":\"redis\"}", "cluster.versions", "warning"},
    {"--broker", BROKER_OK, 200, "{\"engine\":\"redis\",\"time_ms\":1000}", "cluster.clocks", "warning"},
    {"--broker", BROKER_OK, 200,
     "{\"engine\":\"redis\",\"findings\":[{\"id\":\"redis.eviction\",\"severity\":\"error\",\"where\":\"10.0.0.1:"
     "6379\","
     "\"what\":\"w\",\"mend\":\"m\"},{\"id\":\"nothing.of.ours\",\"severity\":\"error\"},7]}",
     "redis.eviction", "error"},
    {"--broker", GATEWAY_OK, 200, GATEWAY_INFO, "broker.reach", "error"},
    {"--broker", "{\"status\":7}", 200, BROKER_INFO, "broker.reach", "error"},
    {"--broker", "[]", 200, BROKER_INFO, "broker.reach", "error"},
    {"--broker", "", 200, BROKER_INFO, "broker.reach", "error"},

    {"--gateway", GATEWAY_OK, 200, GATEWAY_INFO, "gateway.reach", "fine"},
    {"--gateway", GATEWAY_OK, 200, GATEWAY_INFO, "gateway.health", "fine"},
    {"--gateway", GATEWAY_OK, 200, GATEWAY_INFO, "gateway.connections", "fine"},
    {"--gateway", GATEWAY_OK, 200, "{\"websockets\":80,\"connections_max\":100}", "gateway.connections", "warning"},
    {"--gateway", GATEWAY_OK, 200, "{\"brokers_known\":3,\"brokers_alive\":2}", "gateway.health", "warning"},
    {"--gateway", GATEWAY_OK, 200, "{\"brokers_known\":3,\"brokers_alive\":0}", "gateway.health", "error"},
    {"--gateway", GATEWAY("starting", REDIS_OK), 200, GATEWAY_INFO, "gateway.health", "error"},
    {"--gateway", GATEWAY("draining", REDIS_OK), 200, GATEWAY_INFO, "gateway.health", "warning"},
    {"--gateway", GATEWAY("stalled", REDIS_OK), 200, GATEWAY_INFO, "gateway.health", "error"},
    {"--gateway", GATEWAY("degraded", REDIS_AWAY), 200, GATEWAY_INFO, "gateway.health", "error"},
    {"--gateway", GATEWAY("degraded", FALLBACK), 200, GATEWAY_INFO, "gateway.health", "error"},
    {"--gateway", GATEWAY_OK, 401, "", "cluster.versions", "unknown"},
    {"--gateway", BROKER_OK, 200, BROKER_INFO, "gateway.reach", "error"},
};

static void each_state_is_what_the_table_says(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct doctor_run run;
        const struct http_stub_page pages[] = {
            {"/health", 200, row->health}, {"/info", row->info_status, row->info}, {NULL, 0, NULL}};
        http_stub_t *stub = http_stub_start(pages);
        doctor_run(&run, doctor_program, NULL, NULL, arguments(row->option, http_stub_base(stub)));
        if (doctor_run_count(&run, row->id, row->severity) == 0) {
            doctor_run_print_bad(&run);
            fail_msg("row %zu: no %s of %s", i, row->severity, row->id);
        }
        doctor_run_expect_sound(&run);
        assert_int_equal(doctor_run_count(&run, "nothing.of.ours", NULL), 0);
        doctor_run_finish(&run);
        http_stub_stop(&stub);
    }
}

static void programs_have_to_agree(void **state) {
    (void) state;
    static const struct http_stub_page one[] = {
        {"/health", 200, BROKER_OK}, {"/info", 200, BROKER_INFO}, {NULL, 0, NULL}};
    static const struct http_stub_page two[] = {
        {"/health", 200, BROKER_OK},
        {"/info", 200, "{\"engine\":\"redis\",\"partitions\":128,\"namespaces_hash\":\"01\"}"},
        {NULL, 0, NULL}};
    struct doctor_run run;
    http_stub_t *first = http_stub_start(one);
    http_stub_t *second = http_stub_start(two);
    http_stub_t *third = http_stub_start(one);
    doctor_run(&run, doctor_program, NULL, NULL,
               arguments("--broker", http_stub_base(first), "--broker", http_stub_base(second)));
    doctor_run_expect(&run, "cluster.partitions", "error");
    doctor_run_expect(&run, "config.namespaces", "warning");
    doctor_run_finish(&run);
    doctor_run(&run, doctor_program, NULL, NULL,
               arguments("--broker", http_stub_base(first), "--broker", http_stub_base(third)));
    assert_int_equal(doctor_run_count(&run, "cluster.partitions", "fine"), 2);
    doctor_run_expect(&run, "config.namespaces", "fine");
    assert_int_equal(run.status, 0);
    doctor_run_finish(&run);
    http_stub_stop(&first);
    http_stub_stop(&second);
    http_stub_stop(&third);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_is_what_the_table_says),
        cmocka_unit_test(programs_have_to_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
