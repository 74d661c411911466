/* The survey of a real redis-server over a link of its own: what is set badly is found, what an ACL denies is unknown,
 * and a server that falls silent ends it once. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/redis/survey/redis_settings.h"
#include "broker/redis/survey/redis_survey.h"
#include "tests/support/redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, COMMAND_MS = 500 };

struct bench {
    redis_server_t *server;
    uv_loop_t loop;
    uv_timer_t watchdog;
    redis_link_t *link;
    const char *key;
    bool pause_before; /* the server stands still when the survey goes out */
    struct redis_facts facts;
    unsigned n_done;
    unsigned n_cut;
    struct findings findings;
};

static void on_link_closed(void *context) {
    struct bench *bench = context;
    bench->link = NULL;
}

static void on_surveyed(void *context, void *request, const struct redis_facts *facts) {
    struct bench *bench = context;
    assert_ptr_equal(request, &bench->facts);
    bench->n_done++;
    if (facts == NULL) {
        bench->n_cut++;
    } else {
        bench->facts = *facts;
    }
    uv_close((uv_handle_t *) &bench->watchdog, NULL);
    redis_link_close(bench->link, on_link_closed, bench);
}

static void on_up(void *context) {
    struct bench *bench = context;
    if (bench->pause_before) {
        redis_server_pause(bench->server);
    }
    redis_survey_start(bench->link, bench->key, on_surveyed, &bench->facts);
    redis_link_flush(bench->link);
}

static void on_down(void *context, const char *reason) {
    (void) context;
    (void) reason;
}

static void on_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static void on_late(uv_timer_t *timer) {
    (void) timer;
    fail_msg("no survey in time");
}

static void survey(struct bench *bench, const char *user, const char *password) {
    static const struct redis_link_events events = {on_up, on_down, on_push};
    struct redis_link_options options = {.loop = &bench->loop,
                                         .client_name = "survey",
                                         .commands_max = 64,
                                         .bytes_max = 65536,
                                         .reply_limits = {.bytes = 1 << 20, .elements = 10000},
                                         .command_timeout_ms = COMMAND_MS,
                                         .events = &events,
                                         .context = bench};
    char error[256];
    assert_true(redis_url_parse(span_of_text(redis_server_url(bench->server)), &options.url, error, sizeof error));
    snprintf(options.url.user, sizeof options.url.user, "%s", user);
    snprintf(options.url.password, sizeof options.url.password, "%s", password);
    uv_loop_init(&bench->loop);
    uv_timer_init(&bench->loop, &bench->watchdog);
    uv_timer_start(&bench->watchdog, on_late, PATIENCE_MS, 0);
    bench->link = redis_link_new(&options);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    assert_int_equal(bench->n_done, 1);
}

/* `bench` is to be finished by stop. */
static void start(struct bench *bench, const char *const *lines) {
    *bench = (struct bench){.server = redis_server_start(lines), .key = "{cb}:partitions", .findings = FINDINGS_EMPTY};
}

static void stop(struct bench *bench) {
    findings_finish(&bench->findings);
    redis_server_stop(&bench->server);
}

static void command(struct bench *bench, const char *text) {
    memory_free(redis_server_command(bench->server, text));
}

static enum finding_severity judge(struct bench *bench, enum redis_check check) {
    if (bench->findings.n == 0) {
        const struct redis_setup setup = {.where = "here",
                                          .keeps_history = true,
                                          .n_partitions = 256,
                                          .message_bytes = 2 << 20,
                                          .patience_ms = 2000,
                                          .is_local = true};
        redis_settings_judge(&bench->facts, &setup, &bench->findings);
    }
    return findings_find(&bench->findings, redis_check_id(check), NULL)->severity;
}

#define lines(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_sound_server_is_fine(void **state) {
    (void) state;
    struct bench bench;
    start(&bench, lines("appendonly yes", "maxmemory 200mb"));
    command(&bench, "SET {cb}:partitions 256");
    survey(&bench, "", "");
    for (unsigned i = 0; i < REDIS_CHECKS_COUNT; i++) {
        if (judge(&bench, (enum redis_check) i) > FINDING_NOTE) {
            fail_msg("%s: %s", bench.findings.items[i].id, bench.findings.items[i].what);
        }
    }
    assert_true(bench.facts.round_trip_us.value > 0);
    assert_true(bench.facts.clock_ahead_ms.is_known);
    stop(&bench);
}

static void bad_settings_are_found(void **state) {
    (void) state;
    struct bench bench;
    start(&bench, lines("maxmemory 100mb", "maxmemory-policy allkeys-lru", "timeout 5", "notify-keyspace-events KEA",
                        "min-replicas-to-write 1", "client-output-buffer-limit pubsub 1mb 1mb 1",
                        "enable-debug-command local"));
    command(&bench, "CONFIG SET min-replicas-to-write 0");
    command(&bench, "SET {cb}:partitions 128");
    command(&bench, "CONFIG SET min-replicas-to-write 1");
    command(&bench, "CONFIG SET slowlog-log-slower-than 10000");
    command(&bench, "DEBUG SLEEP 0.15");
    survey(&bench, "", "");
    assert_int_equal(judge(&bench, REDIS_CHECK_EVICTION), FINDING_ERROR);
    assert_int_equal(judge(&bench, REDIS_CHECK_PERSISTENCE), FINDING_WARNING);
    assert_int_equal(judge(&bench, REDIS_CHECK_IDLE_TIMEOUT), FINDING_WARNING);
    assert_int_equal(judge(&bench, REDIS_CHECK_NOTIFY), FINDING_NOTE);
    assert_int_equal(judge(&bench, REDIS_CHECK_MIN_REPLICAS), FINDING_ERROR);
    assert_int_equal(judge(&bench, REDIS_CHECK_PUBSUB_BUFFER), FINDING_WARNING);
    assert_int_equal(judge(&bench, REDIS_CHECK_PARTITIONS), FINDING_ERROR);
    assert_int_equal(judge(&bench, REDIS_CHECK_SLOW), FINDING_WARNING);
    stop(&bench);
}

/* What we need to work, but not CONFIG and SLOWLOG. */
static void what_an_acl_denies_is_unknown_and_harmless(void **state) {
    (void) state;
    struct bench bench;
    start(&bench, NULL);
    command(&bench, "ACL SETUSER run on >secret ~cb:* &cb:* +@all -@dangerous +info +role -@admin");
    survey(&bench, "run", "secret");
    assert_int_equal(bench.n_cut, 0);
    assert_true(bench.facts.config_is_denied);
    assert_int_equal(judge(&bench, REDIS_CHECK_RIGHTS), FINDING_UNKNOWN);
    assert_int_equal(judge(&bench, REDIS_CHECK_PUBSUB_BUFFER), FINDING_UNKNOWN);
    assert_int_equal(judge(&bench, REDIS_CHECK_IDLE_TIMEOUT), FINDING_UNKNOWN);
    assert_int_equal(judge(&bench, REDIS_CHECK_PERSISTENCE), FINDING_WARNING); /* INFO tells */
    assert_int_equal(judge(&bench, REDIS_CHECK_EVICTION), FINDING_FINE);
    char *denied = redis_server_command(bench.server, "ACL LOG");
    unsigned n_config = 0;
    for (const char *at = strstr(denied, "object\nconfig|get"); at != NULL; at = strstr(at + 1, "object\nconfig|get")) {
        n_config++;
    }
    assert_int_equal(n_config, 1);
    assert_non_null(strstr(denied, "count\n1\n")); /* asked once, not for each parameter */
    memory_free(denied);
    stop(&bench);
}

static void a_user_without_info_leaves_nearly_all_unknown(void **state) {
    (void) state;
    struct bench bench;
    start(&bench, NULL);
    command(&bench, "ACL SETUSER run on >secret ~cb:* &cb:* +@all -@dangerous -@admin");
    survey(&bench, "run", "secret");
    assert_int_equal(bench.n_cut, 0);
    assert_int_equal(judge(&bench, REDIS_CHECK_VERSION), FINDING_UNKNOWN);
    assert_int_equal(judge(&bench, REDIS_CHECK_IDENTITY), FINDING_WARNING);
    assert_int_equal(judge(&bench, REDIS_CHECK_CLOCK), FINDING_FINE);
    stop(&bench);
}

static void a_server_that_falls_silent_ends_it_once(void **state) {
    (void) state;
    struct bench bench;
    start(&bench, NULL);
    bench.pause_before = true;
    survey(&bench, "", "");
    assert_int_equal(bench.n_cut, 1);
    redis_server_resume(bench.server);
    stop(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_server_is_fine),
        cmocka_unit_test(bad_settings_are_found),
        cmocka_unit_test(what_an_acl_denies_is_unknown_and_harmless),
        cmocka_unit_test(a_user_without_info_leaves_nearly_all_unknown),
        cmocka_unit_test(a_server_that_falls_silent_ends_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
