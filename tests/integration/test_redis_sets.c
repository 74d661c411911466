/* The sets of servers for the other tests: Redis with Sentinels, Redis Cluster. */
#include "base/memory.h"
#include "tests/support/redis_cluster_set.h"
#include "tests/support/redis_sentinel_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void sentinels_replace_a_primary_that_was_killed_and_one_that_was_asked_to_go(void **state) {
    (void) state;
    redis_sentinel_set_t *set = redis_sentinel_set_start(NULL);
    assert_int_equal(redis_sentinel_set_primary(set), 0);
    redis_server_expect(redis_sentinel_set_server(set, 0), "OK", "SET a 1");
    redis_server_await(redis_sentinel_set_server(set, 1), "1", "GET a");
    redis_server_await(redis_sentinel_set_server(set, 2), "1", "GET a");
    redis_server_kill(redis_sentinel_set_server(set, 0));
    unsigned second = redis_sentinel_set_await_failover(set, 0);
    redis_server_expect(redis_sentinel_set_server(set, second), "1", "GET a");
    redis_server_restart(redis_sentinel_set_server(set, 0));
    unsigned third = redis_sentinel_set_failover(set);
    assert_int_not_equal(third, second);
    redis_sentinel_set_stop(&set);
    assert_null(set);
}

static void what_is_written_behind_a_cut_replication_is_lost_with_the_primary(void **state) {
    (void) state;
    const struct redis_sentinel_set_options options = {.password = "secret", .sentinel_password = "other"};
    redis_sentinel_set_t *set = redis_sentinel_set_start(&options);
    redis_sentinel_set_cut_replication(set);
    redis_server_expect(redis_sentinel_set_server(set, 0), "OK", "SET a 1");
    redis_server_kill(redis_sentinel_set_server(set, 0));
    unsigned second = redis_sentinel_set_await_failover(set, 0);
    redis_server_expect(redis_sentinel_set_server(set, second), "0", "EXISTS a");
    redis_sentinel_set_mend_replication(set);
    redis_server_restart(redis_sentinel_set_server(set, 0));
    redis_sentinel_set_await_replicas(set);
    redis_sentinel_set_stop(&set);
}

static void a_cluster_moves_slots_and_replaces_primaries(void **state) {
    (void) state;
    redis_cluster_set_t *set = redis_cluster_set_start(NULL);
    assert_int_equal(redis_cluster_set_primary(set, 0), 0);
    assert_int_equal(redis_cluster_set_primary(set, 16383), 2);
    enum { SLOT_OF_FOO = 12182 };
    redis_server_expect(redis_cluster_set_server(set, 2), "OK", "SET foo 1");
    redis_cluster_set_begin_move(set, SLOT_OF_FOO, 0);
    redis_server_await(redis_cluster_set_server(set, 2), "ASK", "SET {foo}b 1");
    redis_server_await(redis_cluster_set_server(set, 2), "TRYAGAIN", "MSET foo 1 {foo}b 1");
    redis_cluster_set_finish_move(set, SLOT_OF_FOO, 0);
    redis_server_expect(redis_cluster_set_server(set, 0), "1", "GET foo");
    redis_server_await(redis_cluster_set_server(set, 2), "MOVED", "GET foo");
    assert_int_equal(redis_cluster_set_failover(set, 0), 3);
    redis_server_kill(redis_cluster_set_server(set, 1));
    assert_int_equal(redis_cluster_set_await_failover(set, 8000, 1), 4);
    redis_cluster_set_stop(&set);
    assert_null(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentinels_replace_a_primary_that_was_killed_and_one_that_was_asked_to_go),
        cmocka_unit_test(what_is_written_behind_a_cut_replication_is_lost_with_the_primary),
        cmocka_unit_test(a_cluster_moves_slots_and_replaces_primaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
