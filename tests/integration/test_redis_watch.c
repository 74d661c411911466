/* A broker on a Redis that is set up badly says so: in its log, its health, its info and its metrics, and stops saying
 * so when it was mended. */
#include "base/memory.h"
#include "tests/support/free_port.h"
#include "tests/support/http_get.h"
#include "tests/support/process.h"
#include "tests/support/redis_cluster_set.h"
#include "tests/support/redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000 };

static const char broker_program[] = CALLBOARD_BINARY_DIR "/broker/callboard-broker";

struct bench {
    redis_server_t *server; /* NULL: of others */
    process_t *broker;
    int internal;
    char settings[3][192];
};
#define lines(...) ((const char *const[]){__VA_ARGS__, NULL})

static void start_broker(struct bench *bench, const char *url) {
    bench->internal = free_port();
    snprintf(bench->settings[0], sizeof bench->settings[0], "broker.endpoint=tcp://127.0.0.1:%d", free_port());
    snprintf(bench->settings[1], sizeof bench->settings[1], "internal.port=%d", bench->internal);
    snprintf(bench->settings[2], sizeof bench->settings[2], "CALLBOARD_REDIS_URL=%s", url);
    const char *const argv[] = {broker_program,           "--set", bench->settings[0],  "--set",
                                bench->settings[1],       "--set", "backend.endpoint=", "--set",
                                "backend.pull_endpoint=", "--set", "broker.shards=4",   "--set",
                                "redis.survey=200ms",     "--set", "drain.window=0",    NULL};
    bench->broker = process_start(argv, lines(bench->settings[2]));
}

/* user: "" or user:password@ */
static void start(struct bench *bench, const char *const *config_lines, const char *commands, const char *user) {
    char url[128];
    bench->server = redis_server_start(config_lines);
    if (commands != NULL) {
        memory_free(redis_server_command(bench->server, commands));
    }
    snprintf(url, sizeof url, "redis://%s127.0.0.1:%d", user, redis_server_port(bench->server));
    start_broker(bench, url);
}

static void stop(struct bench *bench) {
    assert_int_equal(process_stop(&bench->broker), 0);
    redis_server_stop(&bench->server);
}

/* Until the page has (or has no more) this text. */
static void wait_page(struct bench *bench, const char *path, const char *text, bool is_there) {
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 20) {
        struct http_got got = http_get(bench->internal, path, NULL, 1000);
        bool is = got.status == 200 && (strstr(got.body, text) != NULL) == is_there;
        http_got_finish(&got);
        if (is) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    fail_msg("%s %s %s", path, is_there ? "never has" : "still has", text);
}

static unsigned count(const char *text, const char *wanted) {
    unsigned n = 0;
    for (const char *at = strstr(text, wanted); at != NULL; at = strstr(at + 1, wanted)) {
        n++;
    }
    return n;
}

static void what_is_set_badly_is_told_until_it_is_mended(void **state) {
    (void) state;
    struct bench bench;
    start(&bench, lines("maxmemory 100mb", "timeout 5"), NULL, "");
    const char *line = process_wait_text(bench.broker, PROCESS_STDERR, "\"redis.idle_timeout\"", PATIENCE_MS);
    assert_non_null(line);
    assert_non_null(strstr(line, "CONFIG SET timeout 0"));
    wait_page(&bench, "/health", "{\"id\":\"redis.idle_timeout\",\"severity\":\"warning\"}", true);
    wait_page(&bench, "/info", "CONFIG SET timeout 0", true);
    wait_page(&bench, "/metrics", "callboard_redis_findings{severity=\"warning\"} 1\n", true);
    memory_free(redis_server_command(bench.server, "CONFIG SET timeout 0"));
    wait_page(&bench, "/health", "redis.idle_timeout", false);
    wait_page(&bench, "/metrics", "callboard_redis_findings{severity=\"warning\"} 0\n", true);
    assert_non_null(process_wait_event(bench.broker, "redis_finding_over", PATIENCE_MS));
    /* four shards, several surveys: one line */
    assert_int_equal(count(process_output(bench.broker, PROCESS_STDERR), "\"event\":\"redis_finding\""), 1);
    stop(&bench);
}

static void what_the_acl_denies_is_unknown_and_the_broker_works(void **state) {
    (void) state;
    struct bench bench;
    start(&bench, lines("maxmemory 100mb"), "ACL SETUSER run on >secret ~* &* +@all -config -slowlog", "run:secret@");
    wait_page(&bench, "/info", "\"id\":\"redis.rights\",\"severity\":\"unknown\"", true);
    wait_page(&bench, "/health", "\"status\":\"ok\"", true);
    stop(&bench);
}

static void a_reconnect_examines_anew(void **state) {
    (void) state;
    struct bench bench;
    start(&bench, lines("maxmemory 100mb"), NULL, "");
    wait_page(&bench, "/info", "\"findings\":[{", true); /* no persistence is a note without namespaces */
    redis_server_shutdown(bench.server);
    wait_page(&bench, "/health", "\"status\":\"degraded\"", true);
    redis_server_restart(bench.server);
    wait_page(&bench, "/health", "\"status\":\"ok\"", true);
    stop(&bench);
}

static void every_primary_of_a_cluster_is_examined(void **state) {
    (void) state;
    struct bench bench = {.server = NULL};
    redis_cluster_set_t *set = redis_cluster_set_start(NULL);
    start_broker(&bench, redis_cluster_set_url(set));
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_PRIMARIES; i++) {
        char where[64];
        snprintf(where, sizeof where, "\"where\":\"127.0.0.1:%d\"",
                 redis_server_port(redis_cluster_set_server(set, i)));
        wait_page(&bench, "/info", where, true);
    }
    wait_page(&bench, "/info", "\"id\":\"redis.partitions\"", false);
    stop(&bench);
    redis_cluster_set_stop(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_badly_is_told_until_it_is_mended),
        cmocka_unit_test(what_the_acl_denies_is_unknown_and_the_broker_works),
        cmocka_unit_test(a_reconnect_examines_anew),
        cmocka_unit_test(every_primary_of_a_cluster_is_examined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
