/* Whether a server of a set may be stopped, and whom a copy is taken from. */
#include "operator/redis/set_observe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { N = 3, LAG = 100 };

static struct set_server servers[N];
static char reason[CLUSTER_REASON_MAX];

/* Pod 1 is primary, the others are in sync. */
static int set_up(void **state) {
    (void) state;
    for (unsigned i = 0; i < N; i++) {
        servers[i] = (struct set_server){.answers = true, .is_saving_well = true, .offset = 1000 + i};
        snprintf(servers[i].name, sizeof servers[i].name, "redis-%u", i);
        snprintf(servers[i].replication_id, sizeof servers[i].replication_id, "stream");
        servers[i].is_primary = i == 1;
        servers[i].is_in_sync = i != 1;
    }
    return 0;
}

static void expect(unsigned pod, int named, enum roll_verdict verdict, const char *text) {
    assert_int_equal(set_roll_judge(servers, N, pod, named, true, LAG, reason), verdict);
    if (strstr(reason, text) == NULL) {
        fail_msg("%s", reason);
    }
}

static void a_replica_may_go_and_the_primary_hands_over(void **state) {
    (void) state;
    expect(2, 1, ROLL_MAY_GO, "redis-2 may be stopped");
    expect(1, 1, ROLL_HAND_OVER, "redis-1 is primary");
}

static void waits_while_anything_is_not_well(void **state) {
    (void) state;
    expect(2, SET_NOBODY, ROLL_WAIT, "no majority");
    expect(2, 0, ROLL_WAIT, "name pod redis-0 as primary, but pod redis-1 is");
    servers[0].offset = 1001 - LAG - 1;
    expect(2, 1, ROLL_WAIT, "redis-0 is too far behind");
    servers[0].is_in_sync = false;
    expect(2, 1, ROLL_WAIT, "the replica redis-0 to be in sync");
    servers[0].is_in_sync = true;
    snprintf(servers[0].replication_id, sizeof servers[0].replication_id, "another");
    expect(2, 1, ROLL_WAIT, "redis-0 follows another one");
    servers[0].is_primary = true;
    expect(2, 1, ROLL_WAIT, "both say that they are primary");
    servers[0].is_saving_well = false;
    expect(2, 1, ROLL_WAIT, "cannot write its append-only file");
    servers[0].answers = false;
    expect(2, 1, ROLL_WAIT, "redis-0 does not answer");
}

static void one_server_goes_with_a_word_about_it(void **state) {
    (void) state;
    assert_int_equal(set_roll_judge(&servers[1], 1, 0, SET_NOBODY, false, LAG, reason), ROLL_MAY_GO);
    assert_non_null(strstr(reason, "away until it is back"));
    assert_int_equal(set_backup_source(&servers[1], 1, reason), 0);
    servers[1].answers = false;
    assert_int_equal(set_backup_source(&servers[1], 1, reason), SET_NOBODY);
}

static void copies_from_the_farthest_replica(void **state) {
    (void) state;
    assert_int_equal(set_backup_source(servers, N, reason), 2);
    servers[2].is_in_sync = false;
    assert_int_equal(set_backup_source(servers, N, reason), 0);
    servers[0].answers = false;
    assert_int_equal(set_backup_source(servers, N, reason), SET_NOBODY); /* the primary is left alone */
    assert_non_null(strstr(reason, "waiting for a replica of redis-1"));
}

/* Of a replica that came back between two looks, and one that does not answer. */
static void a_failover_waits_until_all_have_caught_up(void **state) {
    struct set_catching_up self = {.looks = 0};
    (void) state;
    uint64_t place = servers[1].offset;
    assert_false(set_has_caught_up(&self, servers, N));
    servers[1].offset = place + 1000;
    servers[0].is_in_sync = false;
    assert_false(set_has_caught_up(&self, servers, N));
    servers[0].is_in_sync = true;
    assert_false(set_has_caught_up(&self, servers, N)); /* the second look: up to here */
    servers[1].offset = place + 5000;
    servers[0].offset = place + 1000;
    servers[2].offset = place + 999;
    assert_false(set_has_caught_up(&self, servers, N));
    servers[2].offset = place + 1000;
    assert_true(set_has_caught_up(&self, servers, N));
    servers[0].answers = false;
    assert_false(set_has_caught_up(&self, servers, N));
    servers[1].is_primary = false;
    assert_false(set_has_caught_up(&self, servers, N));
}

static void reads_info(void **state) {
    struct set_server server = {.answers = false};
    (void) state;
    set_server_read(&server,
                    SPAN_LITERAL("redis_version:7.0.15\r\nrun_id:abc\r\nloading:0\r\naof_enabled:1\r\n"
                                 "aof_last_write_status:err\r\nrole:slave\r\nmaster_link_status:up\r\n"
                                 "master_sync_in_progress:0\r\nslave_repl_offset:77\r\nmaster_repl_offset:5\r\n"
                                 "master_replid:xyz\r\ncluster_enabled:0\r\n"
                                 "db0:keys=3,expires=0\r\ndb12:keys=4,expires=1\r\n"));
    assert_true(server.answers && server.is_in_sync && !server.is_primary && !server.is_saving_well);
    assert_int_equal(server.offset, 77);
    assert_int_equal(server.keys, 7);
    assert_string_equal(server.version, "7.0.15");
    assert_string_equal(server.replication_id, "xyz");
    set_server_read(&server,
                    SPAN_LITERAL("valkey_version:8.1.0\r\nredis_version:7.2.4\r\nrole:master\r\nloading:1\r\n"));
    assert_true(server.is_loading && !server.answers && server.is_saving_well);
    assert_string_equal(server.version, "8.1.0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_replica_may_go_and_the_primary_hands_over, set_up),
        cmocka_unit_test_setup(waits_while_anything_is_not_well, set_up),
        cmocka_unit_test_setup(one_server_goes_with_a_word_about_it, set_up),
        cmocka_unit_test_setup(copies_from_the_farthest_replica, set_up),
        cmocka_unit_test_setup(a_failover_waits_until_all_have_caught_up, set_up),
        cmocka_unit_test(reads_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
