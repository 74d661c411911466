/* callboardctl doctor on Sentinel and Cluster: every primary and every replica that the settings lead to is examined,
 * and each Sentinel is asked whether it could do a failover. */
#include "base/memory.h"
#include "tests/support/certificates.h"
#include "tests/support/doctor_run.h"
#include "tests/support/free_port.h"
#include "tests/support/redis_cluster_set.h"
#include "tests/support/redis_sentinel_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentinel_set_is_examined_server_by_server),
        cmocka_unit_test(a_cluster_is_examined_node_by_node),
        cmocka_unit_test(tls_is_examined_through_tls),
        cmocka_unit_test(seeds_that_nobody_answers_are_one_finding_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
