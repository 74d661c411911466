/* Six agents around six servers: they form the cluster, bring it back after all pods came up at other addresses, take a
 * pod with an empty volume in again, and hand slots over before a stop. One set serves all; each test goes on from
 * where the last one left it. */
#include "base/memory.h"
#include "tests/support/redis_pod_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { PODS = 6, SHARDS = 3 };

static redis_pod_set_t *set;

static void start_all(void) {
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_start(set, i);
    }
}

static void await_all_well(void) {
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_await(set, i, "/readyz", 200);
        redis_pod_set_await_answer(set, i, "CLUSTER INFO", "cluster_state:ok", true);
        redis_pod_set_await_answer(set, i, "CLUSTER INFO", "cluster_slots_ok:16384", true);
        redis_pod_set_await_answer(set, i, "CLUSTER INFO", "cluster_known_nodes:6", true);
    }
}

static int set_up(void **state) {
    static const char *const lines[] = {"cluster-enabled yes",
                                        "cluster-node-timeout 1000",
                                        "cluster-announce-ip ${pod-ip}",
                                        "cluster-require-full-coverage no",
                                        "cluster-allow-replica-migration no",
                                        NULL};
    static const char *const settings[] = {"CALLBOARD_AGENT_TIMEOUT=10", NULL};
    (void) state;
    set = redis_pod_set_new(
        &(struct redis_pod_set_options){.mode = "cluster", .n = PODS, .lines = lines, .settings = settings});
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    redis_pod_set_destroy(&set);
    return 0;
}

/* The line of CLUSTER NODES that says "myself". */
static void own_line(unsigned pod, char *ret_line, size_t size) {
    char *nodes = redis_pod_set_ask(set, pod, "CLUSTER NODES");
    assert_non_null(nodes);
    const char *myself = strstr(nodes, "myself");
    assert_non_null(myself);
    snprintf(ret_line, size, "%.*s", (int) strcspn(myself, "\n"), myself);
    memory_free(nodes);
}

/* CLUSTER MYID and who follows: the layout is by ordinal. */
static void assert_follows(unsigned replica, unsigned primary) {
    char line[512];
    char *id = redis_pod_set_ask(set, primary, "CLUSTER MYID");
    assert_non_null(id);
    own_line(replica, line, sizeof line);
    assert_non_null(strstr(line, "slave"));
    assert_non_null(strstr(line, id));
    memory_free(id);
}

static void forms_by_ordinal(void **state) {
    static const char *const slots[SHARDS] = {" 0-5460", " 5461-10922", " 10923-16383"};
    (void) state;
    /* Five of six: nothing is given away before all are there. */
    for (unsigned i = 0; i + 1 < PODS; i++) {
        redis_pod_set_start(set, i);
    }
    assert_non_null(
        process_wait_text(redis_pod_set_agent(set, 0), PROCESS_STDERR, "before slots are given away", 30000));
    redis_pod_set_await(set, 0, "/livez", 200);
    redis_pod_set_await(set, 0, "/startupz", 200);
    assert_int_equal(redis_pod_set_probe(set, 0, "/readyz"), 503);
    assert_int_equal(redis_pod_set_probe(set, 0, "/other"), 404);
    redis_pod_set_start(set, PODS - 1);
    await_all_well();
    redis_pod_set_await_status(set, 0, "\"cluster\":{\"state\":\"ok\",\"slots\":5461,\"slots_ok\":16384,");
    redis_pod_set_await_status(set, 0, "\"role\":\"primary\",");
    redis_pod_set_await_status(set, SHARDS, "\"link_up\":true,\"syncing\":false,");
    for (unsigned i = 0; i < SHARDS; i++) {
        char line[512];
        own_line(i, line, sizeof line);
        assert_non_null(strstr(line, slots[i]));
        assert_follows(i + SHARDS, i);
    }
    char *answer = redis_pod_set_ask(set, 0, "SET {06S} kept"); /* slot 0 */
    assert_string_equal(answer, "OK");
    memory_free(answer);
    redis_pod_set_await_answer(set, 0, "WAIT 1 1000", "1", true);
}

static void heals_when_all_have_other_addresses(void **state) {
    (void) state;
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_crash(set, i);
    }
    redis_pod_set_move(set);
    start_all();
    await_all_well();
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_await_answer(set, i, "CLUSTER NODES", redis_pod_set_address(set, (i + 1) % PODS), true);
        redis_pod_set_await_answer(set, i, "CLUSTER NODES", "fail", false);
    }
    char *nodes = redis_pod_set_ask(set, 0, "CLUSTER SLOTS");
    memory_free(nodes);
    unsigned holder = 0;
    char line[512];
    own_line(holder, line, sizeof line);
    if (strstr(line, "master") == NULL) {
        holder = SHARDS; /* its replica was quicker */
    }
    redis_pod_set_await_answer(set, holder, "GET {06S}", "kept", true);
}

static void takes_an_empty_volume_in_again(void **state) {
    unsigned pod = PODS - 1;
    char line[512];
    (void) state;
    own_line(pod, line, sizeof line);
    if (strstr(line, "slave") == NULL) {
        pod = SHARDS - 1; /* the other of this shard is the replica now */
    }
    char *id = redis_pod_set_ask(set, pod, "CLUSTER MYID");
    redis_pod_set_crash(set, pod);
    redis_pod_set_wipe(set, pod);
    redis_pod_set_start(set, pod);
    await_all_well(); /* six nodes known: the old one is forgotten everywhere */
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_await_answer(set, i, "CLUSTER NODES", id, false);
    }
    assert_follows(pod, pod == PODS - 1 ? SHARDS - 1 : PODS - 1);
    memory_free(id);
}

static void hands_over_before_it_stops(void **state) {
    unsigned pod = 0;
    char line[512];
    int status;
    (void) state;
    own_line(pod, line, sizeof line);
    if (strstr(line, "master") == NULL) {
        pod = SHARDS;
    }
    process_t *leave = redis_pod_set_command(set, pod, "leave", NULL);
    assert_true(process_wait_exit(leave, 15000, &status));
    assert_int_equal(status, 0);
    process_kill(&leave);
    own_line(pod, line, sizeof line);
    assert_non_null(strstr(line, "slave"));
    /* The heir is primary now; its agent does the same by itself on SIGTERM. */
    unsigned heir = (pod + SHARDS) % PODS;
    own_line(heir, line, sizeof line);
    assert_non_null(strstr(line, "master"));
    redis_pod_set_await(set, pod, "/readyz", 200);
    redis_pod_set_terminate(set, heir);
    own_line(pod, line, sizeof line);
    assert_non_null(strstr(line, "master"));
    redis_pod_set_await_answer(set, pod, "GET {06S}", "kept", true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_by_ordinal),
        cmocka_unit_test(heals_when_all_have_other_addresses),
        cmocka_unit_test(takes_an_empty_volume_in_again),
        cmocka_unit_test(hands_over_before_it_stops),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
