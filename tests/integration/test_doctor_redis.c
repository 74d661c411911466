/* callboardctl doctor on Sentinel and Cluster: every primary and every replica that the settings lead to is examined,
 * and each Sentinel is asked whether it could do a failover. */
#include "base/memory.h"
#include "tests/support/certificates.h"
#include "tests/support/doctor_run.h"
#include "tests/support/free_port.h"
#include "tests/support/http_get.h"
#include "tests/support/process.h"
#include "tests/support/redis_cluster_set.h"
#include "tests/support/redis_sentinel_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char doctor_program[] = CALLBOARD_BINARY_DIR "/tools/callboardctl";
#define arguments(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_sentinel_set_is_examined_server_by_server(void **state) {
    (void) state;
    struct doctor_run run;
    redis_sentinel_set_t *set = redis_sentinel_set_start(&(struct redis_sentinel_set_options){
        .config_lines = (const char *const[]){"appendonly yes", "maxmemory 200mb", NULL}});
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--redis", redis_sentinel_set_url(set)));
    doctor_run_expect_sound(&run);
    assert_int_equal(doctor_run_count(&run, "redis.reach", "fine"), REDIS_SENTINEL_SET_SERVERS);
    assert_int_equal(doctor_run_count(&run, "redis.sentinels", "fine"), REDIS_SENTINEL_SET_SENTINELS);
    assert_int_equal(doctor_run_count(&run, "redis.role", "fine"), REDIS_SENTINEL_SET_SERVERS);
    assert_int_equal(doctor_run_count(&run, "redis.mode", "fine"), REDIS_SENTINEL_SET_SERVERS);
    assert_int_equal(doctor_run_count(&run, "redis.down_after", "fine"), REDIS_SENTINEL_SET_SENTINELS);
    doctor_run_expect(&run, "redis.min_replicas", "warning");
    doctor_run_expect(&run, "redis.backlog", "warning");
    doctor_run_finish(&run);
    memory_free(redis_server_command(redis_sentinel_set_sentinel(set, 2),
                                     "SENTINEL SET mymaster down-after-milliseconds 30000"));
    redis_server_kill(redis_sentinel_set_sentinel(set, 0));
    redis_server_kill(redis_sentinel_set_sentinel(set, 1));
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--redis", redis_sentinel_set_url(set)));
    assert_int_equal(doctor_run_count(&run, "redis.sentinels", "warning"), 2); /* do not answer */
    doctor_run_expect(&run, "redis.down_after", "note");
    doctor_run_finish(&run);
    redis_sentinel_set_stop(&set);
}

static void a_cluster_is_examined_node_by_node(void **state) {
    (void) state;
    struct doctor_run run;
    redis_cluster_set_t *set = redis_cluster_set_start(NULL);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--redis", redis_cluster_set_url(set)));
    doctor_run_expect_sound(&run);
    assert_int_equal(doctor_run_count(&run, "redis.reach", "fine"), REDIS_CLUSTER_SET_SERVERS);
    assert_int_equal(doctor_run_count(&run, "redis.cluster", "fine"), REDIS_CLUSTER_SET_SERVERS);
    assert_int_equal(doctor_run_count(&run, "redis.mode", "fine"), REDIS_CLUSTER_SET_SERVERS);
    doctor_run_finish(&run);
    redis_cluster_set_stop(&set);
}

static void seeds_that_nobody_answers_are_one_finding_each(void **state) {
    (void) state;
    struct doctor_run run;
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--redis", "redis+cluster://127.0.0.1:1,127.0.0.1:2"));
    assert_int_equal(run.status, 1);
    assert_int_equal(doctor_run_count(&run, "redis.reach", "error"), 1);
    doctor_run_finish(&run);
    doctor_run(&run, doctor_program, NULL, NULL,
               arguments("--redis", "redis+sentinel://127.0.0.1:1,127.0.0.1:2/primary"));
    assert_int_equal(run.status, 1);
    assert_int_equal(doctor_run_count(&run, "redis.reach", "error"), 1);
    assert_int_equal(doctor_run_count(&run, "redis.sentinels", "warning"), 2);
    doctor_run_finish(&run);
}

/* A server that speaks TLS, with an authority of the test's own. */
static void tls_is_examined_through_tls(void **state) {
    (void) state;
    struct doctor_run run;
    char directory[] = "/tmp/callboard-doctor-tls-XXXXXX";
    char tls_lines[4][128];
    char settings[2][128];
    int port = free_port();
    assert_non_null(mkdtemp(directory));
    certificates_make_authority(directory, "authority");
    certificates_make(directory,
                      &(struct certificate_wish){.name = "server", .authority = "authority", .names = "IP:127.0.0.1"});
    snprintf(tls_lines[0], sizeof tls_lines[0], "tls-port %d", port);
    snprintf(tls_lines[1], sizeof tls_lines[1], "tls-cert-file %s/server.crt", directory);
    snprintf(tls_lines[2], sizeof tls_lines[2], "tls-key-file %s/server.key", directory);
    snprintf(tls_lines[3], sizeof tls_lines[3], "tls-ca-cert-file %s/authority.crt", directory);
    redis_server_t *server = redis_server_start(arguments(tls_lines[0], tls_lines[1], tls_lines[2], tls_lines[3],
                                                          "tls-auth-clients no", "appendonly yes", "maxmemory 200mb"));
    snprintf(settings[0], sizeof settings[0], "CALLBOARD_REDIS_URL=rediss://127.0.0.1:%d", port);
    snprintf(settings[1], sizeof settings[1], "CALLBOARD_REDIS_TLS_CA_FILE=%s/authority.crt", directory);
    doctor_run(&run, doctor_program, NULL, arguments(settings[0], settings[1]),
               arguments("--broker", "http://127.0.0.1:1"));
    doctor_run_expect(&run, "redis.reach", "fine");
    doctor_run_expect(&run, "redis.tls", "fine");
    doctor_run_finish(&run);
    doctor_run(&run, doctor_program, NULL, arguments(settings[0]), arguments("--broker", "http://127.0.0.1:1"));
    doctor_run_expect(&run, "redis.reach", "error"); /* nobody that we trust has signed it */
    doctor_run_finish(&run);
    redis_server_stop(&server);
    static const char *const files[] = {"authority.crt", "authority.key", "server.crt", "server.key"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

static void a_broker_whose_memory_stands_in_is_told(void **state) {
    (void) state;
    struct doctor_run run;
    char settings[4][128];
    char base[64];
    int internal = free_port();
    snprintf(base, sizeof base, "http://127.0.0.1:%d", internal);
    snprintf(settings[0], sizeof settings[0], "CALLBOARD_REDIS_URL=redis://127.0.0.1:%d", free_port());
    snprintf(settings[1], sizeof settings[1], "CALLBOARD_INTERNAL_PORT=%d", internal);
    snprintf(settings[2], sizeof settings[2], "CALLBOARD_BROKER_ENDPOINT=tcp://127.0.0.1:%d", free_port());
    const char *const environment[] = {settings[0],
                                       settings[1],
                                       settings[2],
                                       "CALLBOARD_REDIS_FALLBACK=memory",
                                       "CALLBOARD_REDIS_FALLBACK_AFTER=100ms",
                                       "CALLBOARD_BACKEND_ENDPOINT=",
                                       "CALLBOARD_BACKEND_PULL_ENDPOINT=",
                                       "CALLBOARD_DRAIN_WINDOW=0",
                                       NULL};
    process_t *broker = process_start(arguments(CALLBOARD_BINARY_DIR "/broker/callboard-broker"), environment);
    for (unsigned waited_ms = 0;; waited_ms += 20) {
        struct http_got got = http_get(internal, "/health", NULL, 1000);
        bool stands_in = strstr(got.body, "\"fallback\":true") != NULL;
        http_got_finish(&got);
        if (stands_in) {
            break;
        }
        assert_true(waited_ms < 20000);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    doctor_run(&run, doctor_program, NULL, environment, arguments("--broker", base));
    doctor_run_expect_sound(&run);
    doctor_run_expect(&run, "redis.reach", "error");
    doctor_run_expect(&run, "broker.health", "error");
    doctor_run_expect(&run, "broker.engine", "error");
    doctor_run_finish(&run);
    process_stop(&broker);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentinel_set_is_examined_server_by_server),
        cmocka_unit_test(a_cluster_is_examined_node_by_node),
        cmocka_unit_test(tls_is_examined_through_tls),
        cmocka_unit_test(a_broker_whose_memory_stands_in_is_told),
        cmocka_unit_test(seeds_that_nobody_answers_are_one_finding_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
