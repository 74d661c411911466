/* Two Redis pods and three Sentinel pods, each an agent around a real server, configured from templates and secrets: no
 * pod makes itself primary by guess, a pod that comes back follows whom the Sentinels name, and one with an empty
 * volume gives the primacy away before it starts. One set serves all; each test goes on from where the last one left
 * it. */
#include "base/memory.h"
#include "tests/support/redis_pod_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { PODS = 2, SENTINELS = 3 };

static redis_pod_set_t *pods;
static redis_pod_set_t *sentinels;

static int set_up(void **state) {
    static const char *const settings[] = {"CALLBOARD_AGENT_DOWN_AFTER_MS=2000", "CALLBOARD_AGENT_TIMEOUT=20", NULL};
    static const char *const redis_lines[] = {"replica-announce-ip ${pod-ip}", NULL};
    static char monitor[128];
    static const char *const lines[] = {monitor,
                                        "sentinel down-after-milliseconds callboard 2000",
                                        "sentinel failover-timeout callboard 3000",
                                        "sentinel auth-user callboard sentinel",
                                        "sentinel auth-pass callboard ${secret:sentinel}",
                                        "sentinel announce-ip ${pod-ip}",
                                        NULL};
    (void) state;
    pods = redis_pod_set_new(&(struct redis_pod_set_options){
        .mode = "replicated", .n = PODS, .by_address = true, .lines = redis_lines, .settings = settings});
    snprintf(monitor, sizeof monitor, "sentinel monitor callboard %s %d 2", redis_pod_set_address(pods, 0),
             redis_pod_set_port(pods));
    sentinels = redis_pod_set_new(&(struct redis_pod_set_options){
        .mode = "sentinel", .n = SENTINELS, .by_address = true, .lines = lines, .peers = redis_pod_set_list(pods)});
    redis_pod_set_watched_by(pods, sentinels);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    redis_pod_set_destroy(&pods);
    redis_pod_set_destroy(&sentinels);
    return 0;
}

static void await_roles(unsigned primary) {
    redis_pod_set_await_answer(pods, primary, "ROLE", "master", true);
    redis_pod_set_await_answer(pods, 1 - primary, "ROLE", "connected", true); /* of a replica: its link */
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_await(pods, i, "/readyz", 200);
        redis_pod_set_await_answer(pods, i, "GET kept", "yes", true);
    }
}

static void expect_exit(process_t *process, int status, const char *text) {
    int got = -1;
    assert_true(process_wait_exit(process, 15000, &got));
    if (got != status || (text != NULL && strstr(process_output(process, PROCESS_STDERR), text) == NULL)) {
        fail_msg("exit code %d: %s", got, process_output(process, PROCESS_STDERR));
    }
    process_kill(&process);
}

static void nobody_is_primary_by_guess(void **state) {
    static const char *const short_time[] = {"CALLBOARD_AGENT_TIMEOUT=1", NULL};
    char path[256];
    struct stat facts;
    (void) state;
    expect_exit(redis_pod_set_command(pods, 0, "prepare", short_time), 6, "does not make itself one by guess");
    snprintf(path, sizeof path, "%s/redis.conf", redis_pod_set_output(pods, 0));
    assert_int_equal(stat(path, &facts), -1);
    /* The other pod may start, as the seed's replica. */
    expect_exit(redis_pod_set_command(pods, 1, "prepare", short_time), 0, "until one does");
    snprintf(path, sizeof path, "%s/users.acl", redis_pod_set_output(pods, 1));
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0400);
}

static void refuses_a_directory_that_cannot_be_written(void **state) {
    static const char *const nowhere[] = {"CALLBOARD_AGENT_OUTPUT=/nonexistent/conf", NULL};
    static const char *const unwritable[] = {"CALLBOARD_AGENT_OUTPUT=/sys", NULL}; /* not even for root */
    static const char *const no_templates[] = {"CALLBOARD_AGENT_TEMPLATES=/nonexistent", NULL};
    (void) state;
    expect_exit(redis_pod_set_command(sentinels, 0, "prepare", nowhere), 3,
                "/nonexistent/conf is not writable: No such file or directory: mount a volume");
    expect_exit(redis_pod_set_command(sentinels, 0, "prepare", unwritable), 3, "/sys is not writable");
    expect_exit(redis_pod_set_command(sentinels, 0, "prepare", no_templates), 3, "mount the ConfigMap");
}

/* A single file mounted over its place, as subPath does it, in a mount namespace of the command's own. */
static void refuses_a_file_that_cannot_be_replaced(void **state) {
    char file[300];
    char command[1500];
    int status = -1;
    (void) state;
    snprintf(file, sizeof file, "%s/sentinel.conf", redis_pod_set_output(sentinels, 1));
    FILE *made = fopen(file, "w");
    assert_non_null(made);
    fclose(made);
    snprintf(command, sizeof command, "mount --bind %s %s || exit 77; exec \"$0\" prepare", file, file);
    process_t *process = redis_pod_set_command_in(sentinels, 1, command);
    assert_true(process_wait_exit(process, 15000, &status));
    const char *said = process_output(process, PROCESS_STDERR);
    if (status == 77 || strstr(said, "unshare") != NULL) {
        process_kill(&process);
        (void) remove(file);
        skip(); /* mounting is not ours to do here */
    }
    if (status != 3 || strstr(said, "it is mounted as a single file (subPath)") == NULL) {
        fail_msg("exit code %d: %s", status, said);
    }
    process_kill(&process);
    assert_int_equal(remove(file), 0);
}

static void starts_a_new_set(void **state) {
    (void) state;
    for (unsigned i = 0; i < SENTINELS; i++) {
        redis_pod_set_start(sentinels, i);
    }
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_start(pods, i);
    }
    redis_pod_set_await_answer(pods, 0, "SET kept yes", "OK", true);
    await_roles(0);
    for (unsigned i = 0; i < SENTINELS; i++) {
        redis_pod_set_await(sentinels, i, "/readyz", 200);
        redis_pod_set_await_answer(sentinels, i, "SENTINEL REPLICAS callboard", redis_pod_set_address(pods, 1), true);
        redis_pod_set_await_status(sentinels, i, "\"quorum_reached\":true,\"primary\":\"");
        redis_pod_set_await_status(sentinels, i, "\"replicas\":1,\"sentinels\":3,\"quorum\":2}");
    }
    redis_pod_set_await_status(pods, 0, "\"role\":\"primary\",");
    redis_pod_set_await_status(pods, 1, "\"link_up\":true,\"syncing\":false,");
}

static void comes_back_as_replica_of_whom_they_name(void **state) {
    (void) state;
    redis_pod_set_crash(pods, 0);
    redis_pod_set_await_answer(pods, 1, "ROLE", "master", true);
    redis_pod_set_start(pods, 0);
    await_roles(1);
}

static void an_empty_volume_gives_the_primacy_away_first(void **state) {
    (void) state;
    for (unsigned i = 0; i < SENTINELS; i++) { /* one that knows no replica could not fail over */
        redis_pod_set_await_answer(sentinels, i, "SENTINEL REPLICAS callboard", redis_pod_set_address(pods, 0), true);
    }
    redis_pod_set_crash(pods, 1);
    redis_pod_set_wipe(pods, 1);
    redis_pod_set_start(pods, 1);
    await_roles(0); /* with what was kept */
}

static void hands_over_on_sigterm(void **state) {
    (void) state;
    redis_pod_set_terminate(pods, 0);
    redis_pod_set_await_answer(pods, 1, "ROLE", "master", true);
    redis_pod_set_start(pods, 0);
    await_roles(1);
}

static process_t *operate(const char *action, const char *user, const char *more) {
    char password[256];
    snprintf(password, sizeof password, "%s/secrets/agent", redis_pod_set_directory(pods));
    const char *const argv[] = {CALLBOARD_BINARY_DIR "/operator/callboard-operator",
                                "redis",
                                action,
                                "--mode=replicated",
                                "--peers",
                                redis_pod_set_list(pods),
                                "--sentinels",
                                redis_pod_set_list(sentinels),
                                "--user",
                                user,
                                "--password-file",
                                password,
                                more,
                                NULL};
    return process_start(argv, NULL);
}

/* The primary hands over before it may go; nothing may while the replica is not in sync. */
static void a_roll_hands_the_primacy_over(void **state) {
    (void) state;
    redis_pod_set_pause(pods, 0, true);
    process_t *roll = operate("roll", "agent", "--ordinal=1");
    assert_non_null(process_wait_text(roll, PROCESS_STDERR, "does not answer", 30000));
    redis_pod_set_pause(pods, 0, false);
    expect_exit(roll, 0, "is primary and hands over");
    redis_pod_set_await_answer(pods, 0, "ROLE", "master", true);
    await_roles(0);
    /* Between the promotion and the old primary's hearing of it no write was taken that would be lost. */
    redis_pod_set_await_answer(pods, 1, "INFO commandstats", "cmdstat_client|pause:calls=1,", true);
    redis_pod_set_await_answer(pods, 1, "SET kept yes", "READONLY", true); /* and it answers again */
}

/* From the replica: the primary's Sentinels would take the copying connection for a new replica. */
static void a_copy_comes_from_the_replica(void **state) {
    char to[200];
    (void) state;
    snprintf(to, sizeof to, "--to=%s", redis_pod_set_directory(pods));
    expect_exit(operate("backup", "backup", to), 0, "bytes from the replica ");
    await_roles(0);
}

static void a_sentinel_keeps_what_it_knew(void **state) {
    (void) state;
    redis_pod_set_terminate(sentinels, 0);
    redis_pod_set_start(sentinels, 0);
    assert_non_null(process_wait_text(redis_pod_set_agent(sentinels, 0), PROCESS_STDERR, "\"kept\":true", 30000));
    redis_pod_set_await_answer(sentinels, 0, "SENTINEL GET-MASTER-ADDR-BY-NAME callboard",
                               redis_pod_set_address(pods, 0), true);
    redis_pod_set_await(sentinels, 0, "/readyz", 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_primary_by_guess),
        cmocka_unit_test(refuses_a_directory_that_cannot_be_written),
        cmocka_unit_test(refuses_a_file_that_cannot_be_replaced),
        cmocka_unit_test(starts_a_new_set),
        cmocka_unit_test(comes_back_as_replica_of_whom_they_name),
        cmocka_unit_test(an_empty_volume_gives_the_primacy_away_first),
        cmocka_unit_test(hands_over_on_sigterm),
        cmocka_unit_test(a_roll_hands_the_primacy_over),
        cmocka_unit_test(a_copy_comes_from_the_replica),
        cmocka_unit_test(a_sentinel_keeps_what_it_knew),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
