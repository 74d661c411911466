/* redis_cluster.c on a real cluster: the slot map before and after failovers and moves, with nodes away, hung, back. */
#include "base/clock.h"
#include "base/memory.h"
#include "tests/support/redis_cluster_set.h"
#include "tests/support/topology_watch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SLOT_OF_0 = 100, SLOT_OF_1 = 8000, SLOT_OF_2 = 16383, MOVED_SLOT = 12182 /* of the key foo */ };

static int port_of(redis_cluster_set_t *set, unsigned server) {
    return redis_server_port(redis_cluster_set_server(set, server));
}

static void assert_map_is_right(struct topology_watch *watch, redis_cluster_set_t *set) {
    static const uint32_t slots[] = {0, SLOT_OF_0, 5460, 5461, SLOT_OF_1, 10922, 10923, MOVED_SLOT, SLOT_OF_2};
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        if (!topology_watch_await(watch, slots[i], port_of(set, redis_cluster_set_primary(set, slots[i])))) {
            fail_msg("slot %u", slots[i]);
        }
    }
}

static void each_slot_has_its_primary_with_its_replica(void **state) {
    redis_cluster_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_cluster_set_url(set), NULL);
    assert_true(redis_topology_is_cluster(watch.topology));
    assert_null(redis_topology_find(watch.topology, 0));
    assert_map_is_right(&watch, set);
    assert_true(topology_watch_await_replicas(&watch, SLOT_OF_0, 1));
    assert_true(topology_watch_await_replicas(&watch, SLOT_OF_2, 1));
    assert_int_equal(watch.n_changed, 1);
    assert_int_equal(watch.n_troubles, 0);
    topology_watch_stop(&watch);
}

static void one_node_that_answers_is_enough_to_begin_with(void **state) {
    redis_cluster_set_t *set = *state;
    char url[128];
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:1,localhost:%d", port_of(set, 4));
    struct topology_watch watch;
    topology_watch_start(&watch, url, NULL);
    assert_map_is_right(&watch, set);
    topology_watch_stop(&watch);
}

static void moved_counts_at_once_and_the_map_is_asked_for(void **state) {
    redis_cluster_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_cluster_set_url(set), NULL);
    assert_map_is_right(&watch, set);
    unsigned n_changed = watch.n_changed;
    redis_cluster_set_move(set, MOVED_SLOT, 0);
    char *answer = redis_server_command(redis_cluster_set_server(set, 2), "GET foo");
    char wanted[64];
    snprintf(wanted, sizeof wanted, "MOVED %d 127.0.0.1:%d", MOVED_SLOT, port_of(set, 0));
    assert_string_equal(answer, wanted);
    struct span address = span_of_text(strrchr(answer, ' ') + 1);
    redis_topology_moved(watch.topology, MOVED_SLOT, address);
    assert_int_equal(redis_topology_find(watch.topology, MOVED_SLOT)->port, port_of(set, 0));
    assert_int_equal(redis_topology_find(watch.topology, MOVED_SLOT + 1)->port, port_of(set, 2));
    assert_int_equal(watch.n_changed, n_changed); /* never inside a call */
    topology_watch_run(&watch, 50);
    assert_int_equal(watch.n_changed, n_changed + 1);
    memory_free(answer);

    /* the same with a node that names no host, and back; nonsense is passed over */
    redis_cluster_set_move(set, MOVED_SLOT, 2);
    char text[16];
    snprintf(text, sizeof text, ":%d", port_of(set, 2));
    redis_topology_moved(watch.topology, MOVED_SLOT, span_of_text(text));
    redis_topology_moved(watch.topology, MOVED_SLOT, SPAN_LITERAL("nonsense"));
    redis_topology_moved(watch.topology, 16384, SPAN_LITERAL("127.0.0.1:1"));
    assert_int_equal(redis_topology_find(watch.topology, MOVED_SLOT)->port, port_of(set, 2));
    assert_map_is_right(&watch, set);
    topology_watch_stop(&watch);
}

static void a_wrong_moved_is_mended_by_the_map(void **state) {
    redis_cluster_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_cluster_set_url(set), NULL);
    assert_map_is_right(&watch, set);
    redis_topology_moved(watch.topology, SLOT_OF_1, SPAN_LITERAL("127.0.0.1:1"));
    assert_int_equal(redis_topology_find(watch.topology, SLOT_OF_1)->port, 1);
    assert_map_is_right(&watch, set);
    topology_watch_stop(&watch);
}

static void a_slot_that_moves_unasked_is_seen_by_polling(void **state) {
    redis_cluster_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_cluster_set_url(set), NULL);
    assert_map_is_right(&watch, set);
    redis_cluster_set_move(set, MOVED_SLOT, 1);
    assert_true(topology_watch_await(&watch, MOVED_SLOT, port_of(set, 1)));
    redis_cluster_set_move(set, MOVED_SLOT, 2);
    redis_topology_refresh(watch.topology);
    assert_true(topology_watch_await(&watch, MOVED_SLOT, port_of(set, 2)));
    topology_watch_stop(&watch);
}

/* CLUSTER SLOTS is counted by the server: however often it is asked for, once a second and no more. */
static void refreshes_are_at_most_one_a_second(void **state) {
    redis_cluster_set_t *set = *state;
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        redis_server_expect(redis_cluster_set_server(set, i), "OK", "CONFIG RESETSTAT");
    }
    uint64_t start_ms = clock_monotonic_ms();
    struct topology_watch watch;
    topology_watch_start(&watch, redis_cluster_set_url(set), NULL);
    assert_true(topology_watch_await(&watch, 0, port_of(set, 0)));
    for (unsigned i = 0; i < 300; i++) {
        redis_topology_refresh(watch.topology);
        topology_watch_run(&watch, 5);
    }
    unsigned calls = 0;
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        char *stats = redis_server_command(redis_cluster_set_server(set, i), "INFO commandstats");
        char *at = strstr(stats, "cmdstat_cluster|slots:calls=");
        calls += at == NULL ? 0 : (unsigned) strtoul(strchr(at, '=') + 1, NULL, 10);
        memory_free(stats);
    }
    assert_in_range(calls, 2, 2 + (clock_monotonic_ms() - start_ms) / 1000);
    topology_watch_stop(&watch);
}

static void a_failover_by_hand_and_one_by_kill_are_seen(void **state) {
    redis_cluster_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_cluster_set_url(set), NULL);
    assert_map_is_right(&watch, set);
    unsigned new_primary = redis_cluster_set_failover(set, SLOT_OF_0);
    assert_true(topology_watch_await(&watch, SLOT_OF_0, port_of(set, new_primary)));

    unsigned old = redis_cluster_set_primary(set, SLOT_OF_1);
    redis_server_kill(redis_cluster_set_server(set, old));
    redis_topology_refresh(watch.topology); /* as one does whose link was cut */
    new_primary = redis_cluster_set_await_failover(set, SLOT_OF_1, old);
    assert_true(topology_watch_await(&watch, SLOT_OF_1, port_of(set, new_primary)));
    assert_true(topology_watch_await_replicas(&watch, SLOT_OF_1, 0));
    redis_server_restart(redis_cluster_set_server(set, old));
    assert_true(topology_watch_await_replicas(&watch, SLOT_OF_1, 1));
    assert_map_is_right(&watch, set);
    topology_watch_stop(&watch);
}

/* All but one primary hang: for that one the cluster is down, and it says so. */
static void a_cluster_that_is_down_and_one_that_is_silent_are_told_apart(void **state) {
    redis_cluster_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_cluster_set_url(set), NULL);
    assert_map_is_right(&watch, set);
    unsigned left = redis_cluster_set_primary(set, SLOT_OF_2);
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        if (i != left) {
            redis_server_pause(redis_cluster_set_server(set, i));
        }
    }
    redis_topology_refresh(watch.topology);
    assert_true(topology_watch_await_trouble(&watch, "cluster_state:fail"));
    assert_non_null(redis_topology_find(watch.topology, SLOT_OF_0)); /* what is known stays */
    redis_server_pause(redis_cluster_set_server(set, left));
    assert_true(topology_watch_await_trouble(&watch, "no node of the cluster answers"));
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        redis_server_resume(redis_cluster_set_server(set, i));
    }
    assert_true(topology_watch_await_trouble(&watch, ""));
    assert_map_is_right(&watch, set);
    topology_watch_stop(&watch);
}

static void a_server_that_is_no_cluster_is_told(void **state) {
    (void) state;
    redis_server_t *server = redis_server_start(NULL);
    char url[64];
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d", redis_server_port(server));
    struct topology_watch watch;
    topology_watch_start(&watch, url, NULL);
    assert_true(topology_watch_await_trouble(&watch, "is no cluster"));
    topology_watch_stop(&watch);
    redis_server_stop(&server);
}

static void a_node_of_a_cluster_named_as_a_server_alone_is_told(void **state) {
    redis_cluster_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_server_url(redis_cluster_set_server(set, 0)), NULL);
    assert_true(topology_watch_await(&watch, MOVED_SLOT, port_of(set, 0)));
    topology_watch_run(&watch, 20);
    assert_int_equal(watch.n_changed, 1);
    assert_int_equal(watch.n_troubles, 0);
    redis_topology_moved(watch.topology, MOVED_SLOT, SPAN_LITERAL("127.0.0.1:1"));
    assert_true(topology_watch_await_trouble(&watch, "redis+cluster://"));
    assert_true(topology_watch_await(&watch, MOVED_SLOT, port_of(set, 0)));
    assert_int_equal(watch.n_changed, 1);
    topology_watch_stop(&watch);
}

static void a_login_that_is_refused_is_told(void **state) {
    redis_cluster_set_t *set = *state;
    char url[64];
    snprintf(url, sizeof url, "redis+cluster://nobody:wrong@127.0.0.1:%d", port_of(set, 0));
    struct topology_watch watch;
    topology_watch_start(&watch, url, NULL);
    assert_true(topology_watch_await_trouble(&watch, "refused user or password"));
    topology_watch_stop(&watch);
}

static void through_TLS_the_ports_for_TLS_are_told(void **state) {
    (void) state;
    if (!redis_server_has_tls()) {
        skip();
    }
    signal(SIGPIPE, SIG_IGN); /* as our programs do */
    tls_directory_t *directory = tls_directory_new();
    const struct redis_cluster_set_options set_options = {.tls = directory};
    redis_cluster_set_t *set = redis_cluster_set_start(&set_options);
    char ca[TLS_PATH_MAX];
    tls_directory_file(directory, "authority.crt", ca);
    struct topology_watch watch;
    const struct topology_watch_options options = {.tls = {.ca_file = ca}};
    topology_watch_start(&watch, redis_cluster_set_url(set), &options);
    assert_true(topology_watch_await(&watch, SLOT_OF_0, redis_cluster_set_port(set, 0)));
    assert_true(topology_watch_await(&watch, SLOT_OF_1, redis_cluster_set_port(set, 1)));
    assert_true(topology_watch_await(&watch, SLOT_OF_2, redis_cluster_set_port(set, 2)));
    unsigned new_primary = redis_cluster_set_failover(set, SLOT_OF_0);
    assert_true(topology_watch_await(&watch, SLOT_OF_0, redis_cluster_set_port(set, new_primary)));
    topology_watch_stop(&watch);
    topology_watch_start(&watch, redis_cluster_set_url(set), NULL);
    assert_true(topology_watch_await_trouble(&watch, "redis.tls_ca_file"));
    topology_watch_stop(&watch);
    redis_cluster_set_stop(&set);
    tls_directory_destroy(&directory);
}

static int start_set(void **state) {
    *state = redis_cluster_set_start(NULL);
    return 0;
}

static int stop_set(void **state) {
    redis_cluster_set_t *set = *state;
    redis_cluster_set_stop(&set);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_has_its_primary_with_its_replica),
        cmocka_unit_test(one_node_that_answers_is_enough_to_begin_with),
        cmocka_unit_test(moved_counts_at_once_and_the_map_is_asked_for),
        cmocka_unit_test(a_wrong_moved_is_mended_by_the_map),
        cmocka_unit_test(a_slot_that_moves_unasked_is_seen_by_polling),
        cmocka_unit_test(refreshes_are_at_most_one_a_second),
        cmocka_unit_test(a_failover_by_hand_and_one_by_kill_are_seen),
        cmocka_unit_test(a_cluster_that_is_down_and_one_that_is_silent_are_told_apart),
        cmocka_unit_test(a_server_that_is_no_cluster_is_told),
        cmocka_unit_test(a_node_of_a_cluster_named_as_a_server_alone_is_told),
        cmocka_unit_test(a_login_that_is_refused_is_told),
        cmocka_unit_test(through_TLS_the_ports_for_TLS_are_told),
    };
    return cmocka_run_group_tests(tests, start_set, stop_set);
}
