/* redis_sentinel.c on real Sentinels: who is primary, before and after failovers, with Sentinels away, hung, back. */
#include "base/memory.h"
#include "tests/support/documented_acl.h"
#include "tests/support/redis_sentinel_set.h"
#include "tests/support/topology_watch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static int port_of(redis_sentinel_set_t *set, unsigned server) {
    return redis_server_port(redis_sentinel_set_server(set, server));
}

static void the_primary_is_found_and_followed_when_it_is_killed(void **state) {
    redis_sentinel_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_sentinel_set_url(set), NULL);
    unsigned first = redis_sentinel_set_primary(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, first)));
    assert_true(topology_watch_await_replicas(&watch, 0, 2));
    assert_false(redis_topology_is_cluster(watch.topology));
    assert_true(topology_watch_await_trouble(&watch, ""));

    redis_server_kill(redis_sentinel_set_server(set, first));
    unsigned second = redis_sentinel_set_await_failover(set, first);
    assert_true(topology_watch_await(&watch, 16383, port_of(set, second)));
    assert_true(topology_watch_await_trouble(&watch, ""));
    redis_server_restart(redis_sentinel_set_server(set, first));
    redis_sentinel_set_await_replicas(set);
    topology_watch_stop(&watch);
}

static void a_failover_by_hand_is_seen(void **state) {
    redis_sentinel_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_sentinel_set_url(set), NULL);
    assert_true(topology_watch_await(&watch, 0, port_of(set, redis_sentinel_set_primary(set))));
    unsigned n_changed = watch.n_changed;
    unsigned second = redis_sentinel_set_failover(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, second)));
    assert_in_range(watch.n_changed, n_changed + 1, n_changed + 4);
    topology_watch_stop(&watch);
}

/* The URL names one Sentinel; the others are learned from it, and heard when it hangs. */
static void what_a_hung_sentinel_does_not_tell_the_learned_ones_do(void **state) {
    redis_sentinel_set_t *set = *state;
    char url[96];
    redis_server_t *named = redis_sentinel_set_sentinel(set, 0);
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/mymaster", redis_server_port(named));
    struct topology_watch watch;
    topology_watch_start(&watch, url, NULL);
    unsigned first = redis_sentinel_set_primary(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, first)));
    redis_sentinel_set_await_replicas(set);
    topology_watch_run(&watch, 200); /* the links to those learned come up meanwhile, or later: it does not matter */

    redis_server_pause(named);
    redis_server_expect(redis_sentinel_set_sentinel(set, 1), "OK", "SENTINEL FAILOVER mymaster");
    bool is_seen = false;
    for (unsigned i = 0; i < 3 && !is_seen; i++) {
        const struct redis_address *address = redis_topology_find(watch.topology, 0);
        int old = port_of(set, first);
        for (unsigned k = 0; k < 1000 && address->port == old; k++) {
            topology_watch_run(&watch, 10);
            address = redis_topology_find(watch.topology, 0);
        }
        is_seen = address->port != old;
    }
    assert_true(is_seen);
    redis_server_resume(named);
    unsigned second = redis_sentinel_set_primary(set);
    assert_int_not_equal(second, first);
    assert_true(topology_watch_await(&watch, 0, port_of(set, second)));
    topology_watch_stop(&watch);
    redis_sentinel_set_await_replicas(set);
}

/* Publishing news is denied to us: what is left is asking. */
static void a_failover_is_seen_by_polling_alone(void **state) {
    redis_sentinel_set_t *set = *state;
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_server_expect(redis_sentinel_set_sentinel(set, i), "OK",
                            "ACL SETUSER deaf on >secret allchannels +@all -subscribe");
    }
    struct topology_watch watch;
    const struct topology_watch_options options = {.sentinel_user = "deaf", .sentinel_password = "secret"};
    topology_watch_start(&watch, redis_sentinel_set_url(set), &options);
    unsigned first = redis_sentinel_set_primary(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, first)));
    unsigned second = redis_sentinel_set_failover(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, second)));
    topology_watch_stop(&watch);
}

static void the_documented_user_may_all_that_is_needed(void **state) {
    redis_sentinel_set_t *set = *state;
    char *line = documented_acl_line(CALLBOARD_SOURCE_DIR, "sentinel", "");
    char command[2048];
    snprintf(command, sizeof command, "ACL SETUSER %s", strchr(line, ' ') + 1);
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_server_expect(redis_sentinel_set_sentinel(set, i), "OK", "ACL LOG RESET");
        redis_server_expect(redis_sentinel_set_sentinel(set, i), "OK", command);
    }
    memory_free(line);
    struct topology_watch watch;
    const struct topology_watch_options options = {.sentinel_user = "callboard", .sentinel_password = "secret"};
    topology_watch_start(&watch, redis_sentinel_set_url(set), &options);
    assert_true(topology_watch_await(&watch, 0, port_of(set, redis_sentinel_set_primary(set))));
    unsigned second = redis_sentinel_set_failover(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, second)));
    topology_watch_stop(&watch);
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        documented_acl_expect_nothing_denied(redis_sentinel_set_sentinel(set, i), (const char *const[]){NULL});
    }
}

static void all_sentinels_may_go_and_come_back(void **state) {
    redis_sentinel_set_t *set = *state;
    struct topology_watch watch;
    topology_watch_start(&watch, redis_sentinel_set_url(set), NULL);
    unsigned primary = redis_sentinel_set_primary(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, primary)));
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_server_kill(redis_sentinel_set_sentinel(set, i));
    }
    assert_true(topology_watch_await_trouble(&watch, "no Sentinel answers"));
    /* what is known stays */
    assert_true(topology_watch_await(&watch, 0, port_of(set, primary)));
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_sentinel_set_restart_sentinel(set, i);
    }
    assert_true(topology_watch_await_trouble(&watch, ""));
    unsigned second = redis_sentinel_set_failover(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, second)));
    topology_watch_stop(&watch);
}

/* The Sentinels answer and have no primary to name, for longer than we wait for all of them to answer. */
static void a_set_without_a_primary_is_asked_until_it_has_one(void **state) {
    redis_sentinel_set_t *set = *state;
    unsigned primary = redis_sentinel_set_primary(set);
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        redis_server_kill(redis_sentinel_set_server(set, i));
    }
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_server_await(redis_sentinel_set_sentinel(set, i), "o_down", "SENTINEL MASTER mymaster");
    }
    struct topology_watch watch;
    topology_watch_start(&watch, redis_sentinel_set_url(set), NULL);
    assert_true(topology_watch_await_trouble(&watch, "the primary is down"));
    topology_watch_run(&watch, 600); /* twice SETTLE_MS */
    assert_null(redis_topology_find(watch.topology, 0));
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        redis_server_restart(redis_sentinel_set_server(set, (primary + i) % REDIS_SENTINEL_SET_SERVERS));
    }
    assert_true(topology_watch_await_trouble(&watch, ""));
    assert_true(topology_watch_await(&watch, 0, port_of(set, redis_sentinel_set_primary(set))));
    topology_watch_stop(&watch);
    redis_sentinel_set_await_replicas(set);
}

static void sentinels_that_start_after_us_are_found(void **state) {
    redis_sentinel_set_t *set = *state;
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_server_kill(redis_sentinel_set_sentinel(set, i));
    }
    struct topology_watch watch;
    topology_watch_start(&watch, redis_sentinel_set_url(set), NULL);
    assert_true(topology_watch_await_trouble(&watch, "no Sentinel answers"));
    assert_null(redis_topology_find(watch.topology, 0));
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_sentinel_set_restart_sentinel(set, i);
    }
    assert_true(topology_watch_await(&watch, 0, port_of(set, redis_sentinel_set_primary(set))));
    assert_true(topology_watch_await_trouble(&watch, ""));
    topology_watch_stop(&watch);
}

/* One that slept through a failover is the only one left when it wakes: it names the primary of yesterday, until the
 * others tell it. */
static void a_sentinel_with_old_news_is_not_believed(void **state) {
    redis_sentinel_set_t *set = *state;
    unsigned first = redis_sentinel_set_primary(set);
    redis_server_t *sleeper = redis_sentinel_set_sentinel(set, 2);
    struct topology_watch watch;
    topology_watch_start(&watch, redis_sentinel_set_url(set), NULL);
    assert_true(topology_watch_await(&watch, 0, port_of(set, first)));
    redis_server_kill(sleeper); /* its book, with the old epoch, stays on its disk */
    unsigned second = redis_sentinel_set_failover(set);
    assert_true(topology_watch_await(&watch, 0, port_of(set, second)));
    redis_server_pause(redis_sentinel_set_sentinel(set, 0));
    redis_server_pause(redis_sentinel_set_sentinel(set, 1));
    /* it cannot reach the new primary either, so that nobody tells it */
    redis_server_pause(redis_sentinel_set_server(set, second));
    redis_sentinel_set_restart_sentinel(set, 2);
    assert_true(topology_watch_await_trouble(&watch, "old news"));
    assert_true(topology_watch_await(&watch, 0, port_of(set, second)));
    redis_server_resume(redis_sentinel_set_server(set, second));
    redis_server_resume(redis_sentinel_set_sentinel(set, 0));
    redis_server_resume(redis_sentinel_set_sentinel(set, 1));
    assert_true(topology_watch_await_trouble(&watch, ""));
    assert_true(topology_watch_await(&watch, 0, port_of(set, redis_sentinel_set_primary(set))));
    topology_watch_stop(&watch);
    redis_sentinel_set_await_replicas(set);
}

static void a_wrong_master_name_is_told(void **state) {
    redis_sentinel_set_t *set = *state;
    char url[96];
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/other",
             redis_server_port(redis_sentinel_set_sentinel(set, 0)));
    struct topology_watch watch;
    topology_watch_start(&watch, url, NULL);
    assert_true(topology_watch_await_trouble(&watch, "do not know the master's name"));
    assert_null(redis_topology_find(watch.topology, 0));
    topology_watch_stop(&watch);
}

static void sentinels_with_a_password_ask_for_theirs_and_not_for_that_of_redis(void **state) {
    (void) state;
    const struct redis_sentinel_set_options set_options = {.password = "of-redis", .sentinel_password = "of-sentinel"};
    redis_sentinel_set_t *set = redis_sentinel_set_start(&set_options);
    struct topology_watch watch;
    struct topology_watch_options options = {.sentinel_password = "of-redis"};
    topology_watch_start(&watch, redis_sentinel_set_url(set), &options);
    assert_true(topology_watch_await_trouble(&watch, "redis.sentinel_password"));
    topology_watch_stop(&watch);
    topology_watch_start(&watch, redis_sentinel_set_url(set), NULL);
    assert_true(topology_watch_await_trouble(&watch, "redis.sentinel_password"));
    topology_watch_stop(&watch);
    options.sentinel_password = "of-sentinel";
    topology_watch_start(&watch, redis_sentinel_set_url(set), &options);
    assert_true(topology_watch_await(&watch, 0, port_of(set, 0)));
    topology_watch_stop(&watch);
    redis_sentinel_set_stop(&set);
}

static void through_TLS_the_ports_for_TLS_are_told(void **state) {
    (void) state;
    if (!redis_server_has_tls()) {
        skip();
    }
    signal(SIGPIPE, SIG_IGN); /* as our programs do */
    tls_directory_t *directory = tls_directory_new();
    const struct redis_sentinel_set_options set_options = {.tls = directory, .password = "of-redis"};
    redis_sentinel_set_t *set = redis_sentinel_set_start(&set_options);
    char ca[TLS_PATH_MAX];
    tls_directory_file(directory, "authority.crt", ca);
    struct topology_watch watch;
    const struct topology_watch_options options = {.tls = {.ca_file = ca}};
    topology_watch_start(&watch, redis_sentinel_set_url(set), &options);
    assert_true(topology_watch_await(&watch, 0, redis_sentinel_set_port(set, 0)));
    unsigned second = redis_sentinel_set_failover(set);
    assert_true(topology_watch_await(&watch, 0, redis_sentinel_set_port(set, second)));
    topology_watch_stop(&watch);
    const struct topology_watch_options none = {.sentinel_user = NULL};
    topology_watch_start(&watch, redis_sentinel_set_url(set), &none);
    assert_true(topology_watch_await_trouble(&watch, "redis.tls_ca_file"));
    topology_watch_stop(&watch);
    redis_sentinel_set_stop(&set);
    tls_directory_destroy(&directory);
}

static int start_set(void **state) {
    *state = redis_sentinel_set_start(NULL);
    return 0;
}

static int stop_set(void **state) {
    redis_sentinel_set_t *set = *state;
    redis_sentinel_set_stop(&set);
    return 0;
}

/* Started while the Sentinels hold the primary for down and have no other: it is told, the loop goes on, and the
 * primary is found when it is back. */
static void a_start_while_there_is_no_primary_waits_for_one(void **state) {
    redis_sentinel_set_t *set = *state;
    redis_sentinel_set_await_replicas(set);
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        redis_server_pause(redis_sentinel_set_server(set, i));
    }
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_server_await(redis_sentinel_set_sentinel(set, i), "o_down", "SENTINEL MASTER mymaster");
    }
    struct topology_watch watch;
    topology_watch_start(&watch, redis_sentinel_set_url(set), NULL);
    assert_true(topology_watch_await_trouble(&watch, "the primary is down"));
    topology_watch_run(&watch, 1500); /* for longer than anything waits to settle */
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        redis_server_resume(redis_sentinel_set_server(set, i));
    }
    assert_true(topology_watch_await_trouble(&watch, ""));
    assert_true(topology_watch_await(&watch, 0, port_of(set, redis_sentinel_set_primary(set))));
    redis_sentinel_set_await_replicas(set);
    topology_watch_stop(&watch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_primary_is_found_and_followed_when_it_is_killed),
        cmocka_unit_test(a_failover_by_hand_is_seen),
        cmocka_unit_test(what_a_hung_sentinel_does_not_tell_the_learned_ones_do),
        cmocka_unit_test(a_failover_is_seen_by_polling_alone),
        cmocka_unit_test(the_documented_user_may_all_that_is_needed),
        cmocka_unit_test(a_sentinel_with_old_news_is_not_believed),
        cmocka_unit_test(a_wrong_master_name_is_told),
        cmocka_unit_test(a_start_while_there_is_no_primary_waits_for_one),
        cmocka_unit_test(all_sentinels_may_go_and_come_back),
        cmocka_unit_test(a_set_without_a_primary_is_asked_until_it_has_one),
        cmocka_unit_test(sentinels_that_start_after_us_are_found),
        cmocka_unit_test(through_TLS_the_ports_for_TLS_are_told),
        cmocka_unit_test(sentinels_with_a_password_ask_for_theirs_and_not_for_that_of_redis),
    };
    return cmocka_run_group_tests(tests, start_set, stop_set);
}
