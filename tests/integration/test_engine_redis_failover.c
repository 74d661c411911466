/* The worked scenarios of failovers, with real Sentinels and a real cluster: what survives, who is told, and that
 * nobody is told too much. */
#include "tests/integration/engine_bench.h"

#include "base/memory.h"
#include "base/partition.h"
#include "tests/support/redis_cluster_set.h"
#include "tests/support/redis_sentinel_set.h"

#include <stdio.h>

struct world {
    redis_sentinel_set_t *sentinels;
    redis_cluster_set_t *cluster;
    struct bench *bench;
};

static struct world with_sentinels(enum durability durability) {
    struct world world = {.sentinels = redis_sentinel_set_start(NULL)};
    world.bench = bench_new_at(redis_sentinel_set_url(world.sentinels));
    world.bench->options.durability = (int) durability;
    bench_start_all(world.bench);
    return world;
}

static struct world with_cluster(enum durability durability) {
    struct world world = {.cluster = redis_cluster_set_start(NULL)};
    world.bench = bench_new_at(redis_cluster_set_url(world.cluster));
    world.bench->options.durability = (int) durability;
    bench_start_all(world.bench);
    return world;
}

static void end(struct world *world) {
    bench_destroy(world->bench);
    redis_sentinel_set_stop(&world->sentinels);
    redis_cluster_set_stop(&world->cluster);
}

static void await_open(struct bench *bench) {
    for (unsigned k = 0; k < bench->n_channels; k++) {
        bench_wait_for(bench, bench_is_sure(&bench->nodes[0], k) && bench_is_sure(&bench->nodes[1], k));
    }
}

static unsigned count(const struct bench *bench, enum fate fate) {
    unsigned n = 0;
    for (unsigned i = 0; i < bench->n_published; i++) {
        n += bench->published[i].fate == fate;
    }
    return n;
}

static unsigned slot_of(const struct bench *bench, unsigned channel) {
    struct partition_tag tags[PARTITIONS];
    partition_tags(PARTITIONS, tags);
    return partition_redis_slot(span_of_text(tags[partition_of(span_of_text(bench->names[channel]), PARTITIONS)].text));
}

/* Every server's stream of the first channel holds so many. */
static void await_replicated(struct world *world, const char *n) {
    char *key = bench_key_of(world->bench, 0, "s");
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        redis_server_await(redis_sentinel_set_server(world->sentinels, i), n, "XLEN %s", key);
    }
    memory_free(key);
}

/* ---- Sentinel ---- */

/* Scenario 1: the tail is lost, and nobody knew of it. */
static void safe_a_lost_tail_that_nobody_knew_of_is_appended_again(void **state) {
    (void) state;
    struct world world = with_sentinels(DURABILITY_SAFE);
    struct bench *bench = world.bench;
    struct position before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    bench_wait_for(bench, bench_all_saw(bench, 0, &before));
    await_replicated(&world, "1");
    unsigned old = redis_sentinel_set_primary(world.sentinels);
    redis_sentinel_set_cut_replication(world.sentinels);
    unsigned number = bench_publish_with(&bench->nodes[0], 0, &bench->options, 25000);
    bench_pass(bench, 300); /* the primary has it; no push, no ack */
    assert_int_equal(bench->published[number].fate, FATE_UNDER_WAY);
    assert_int_equal(bench->n_seen, 1);
    redis_server_kill(redis_sentinel_set_server(world.sentinels, old));
    redis_sentinel_set_await_failover(world.sentinels, old);
    redis_sentinel_set_mend_replication(world.sentinels);
    bench_wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    bench_assert_published(&bench->published[number], ENGINE_OK);
    assert_true(epoch_equal(&bench->published[number].position.epoch, &before.epoch));
    assert_int_equal(bench->published[number].position.offset, before.offset + 1);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    end(&world);
}

/* Scenario 2: as 1, fast: it was told, so everyone learns that it is gone. */
static void fast_a_lost_tail_that_was_told_changes_the_epoch(void **state) {
    (void) state;
    struct world world = with_sentinels(DURABILITY_FAST);
    struct bench *bench = world.bench;
    struct position before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    await_replicated(&world, "1");
    unsigned old = redis_sentinel_set_primary(world.sentinels);
    redis_sentinel_set_cut_replication(world.sentinels);
    struct position gone = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    bench_wait_for(bench, bench_all_saw(bench, 0, &gone));
    redis_server_kill(redis_sentinel_set_server(world.sentinels, old));
    redis_sentinel_set_await_failover(world.sentinels, old);
    redis_sentinel_set_mend_replication(world.sentinels);
    bench_wait_for(bench, bench_lost(bench, 0) >= 2 && bench_is_quiet(bench));
    await_open(bench);
    struct position next = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    assert_false(epoch_equal(&next.epoch, &before.epoch));
    assert_int_equal(next.offset, before.offset + 1); /* the surviving history stays, under the new epoch */
    bench_judge(bench);
    end(&world);
}

/* Publications flow while the primary is killed: none that was acked is lost, nobody is told anything. */
static void safe_a_killed_primary_is_not_noticed_by_anyone(void **state) {
    (void) state;
    struct world world = with_sentinels(DURABILITY_SAFE);
    struct bench *bench = world.bench;
    bench_add_channel(bench, "second");
    for (int i = 0; i < 2; i++) {
        redis_sentinel_set_await_replicas(world.sentinels);
        bench_traffic(bench, 300);
        unsigned old = redis_sentinel_set_primary(world.sentinels);
        redis_server_kill(redis_sentinel_set_server(world.sentinels, old));
        bench_traffic(bench, 500);
        redis_sentinel_set_await_failover(world.sentinels, old);
        bench_traffic(bench, 500);
        redis_server_restart(redis_sentinel_set_server(world.sentinels, old));
        bench_traffic(bench, 300);
    }
    redis_sentinel_set_await_replicas(world.sentinels);
    await_open(bench);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0) + bench_lost(bench, 1), 0);
    assert_true(count(bench, FATE_OK) > 100);
    end(&world);
}

static void fast_a_killed_primary_is_told_truthfully(void **state) {
    (void) state;
    struct world world = with_sentinels(DURABILITY_FAST);
    struct bench *bench = world.bench;
    bench_traffic(bench, 300);
    unsigned old = redis_sentinel_set_primary(world.sentinels);
    redis_server_kill(redis_sentinel_set_server(world.sentinels, old));
    bench_traffic(bench, 500);
    redis_sentinel_set_await_failover(world.sentinels, old);
    bench_traffic(bench, 500);
    await_open(bench);
    bench_judge(bench);
    assert_true(bench_lost(bench, 0) >= 2);
    end(&world);
}

/* Scenario 4: a primary that the majority has given up goes on for a while with a broker of its own. */
static void safe_a_primary_in_the_minority_confirms_nothing(void **state) {
    (void) state;
    struct world world = with_sentinels(DURABILITY_SAFE);
    struct bench *bench = world.bench;
    bench_traffic(bench, 200);
    unsigned old = redis_sentinel_set_primary(world.sentinels);
    redis_server_pause(redis_sentinel_set_server(world.sentinels, old)); /* batches lie in its socket */
    bench_traffic(bench, 300);
    redis_sentinel_set_await_failover(world.sentinels, old);
    bench_traffic(bench, 300);
    redis_server_resume(redis_sentinel_set_server(world.sentinels, old)); /* and come true there: on a dead branch */
    bench_traffic(bench, 500);
    redis_sentinel_set_await_replicas(world.sentinels);
    await_open(bench);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    end(&world);
}

static void safe_a_failover_by_order_is_not_noticed(void **state) {
    (void) state;
    struct world world = with_sentinels(DURABILITY_SAFE);
    struct bench *bench = world.bench;
    for (int i = 0; i < 2; i++) {
        bench_traffic(bench, 300);
        redis_sentinel_set_failover(world.sentinels);
        bench_traffic(bench, 300);
        redis_sentinel_set_await_replicas(world.sentinels);
    }
    await_open(bench);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    end(&world);
}

/* While one replica is promoted by order, the other still follows the old primary and would confirm what is about to be
 * lost: all that are held for up have to. */
static void safe_many_failovers_by_order_lose_nothing(void **state) {
    (void) state;
    struct world world = with_sentinels(DURABILITY_SAFE);
    struct bench *bench = world.bench;
    unsigned n_failovers = 0;
    for (int i = 0; i < 4; i++) {
        redis_sentinel_set_await_replicas(world.sentinels);
        bench_traffic(bench, 100);
        redis_server_t *sentinel = redis_sentinel_set_sentinel(world.sentinels, 0);
        unsigned old = redis_sentinel_set_primary(world.sentinels);
        char *answer = redis_server_command(sentinel, "SENTINEL FAILOVER mymaster");
        memory_free(answer);
        bench_traffic(bench, 1500); /* on both sides of the promotion; Sentinel may give it up */
        n_failovers += redis_sentinel_set_primary(world.sentinels) != old;
    }
    assert_true(n_failovers > 0);
    redis_sentinel_set_await_replicas(world.sentinels);
    await_open(bench);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    end(&world);
}

/* ---- Cluster ---- */

/* Names of channels on each of the three primaries. */
static void spread_channels(struct bench *bench) {
    bool has[3] = {slot_of(bench, 0) <= 5460, slot_of(bench, 0) > 5460 && slot_of(bench, 0) <= 10922,
                   slot_of(bench, 0) > 10922};
    for (unsigned i = 0; bench->n_channels < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "room%u", i);
        strcpy(bench->names[bench->n_channels], name);
        unsigned slot = slot_of(bench, bench->n_channels);
        unsigned third = slot <= 5460 ? 0 : slot <= 10922 ? 1 : 2;
        if (!has[third]) {
            has[third] = true;
            bench_add_channel(bench, name);
        }
    }
}

static void a_cluster_serves_channels_of_all_its_primaries(void **state) {
    (void) state;
    struct world world = with_cluster(DURABILITY_DEFAULT);
    struct bench *bench = world.bench;
    spread_channels(bench);
    bench_traffic(bench, 1000);
    bench_judge(bench);
    for (unsigned i = 0; i < bench->n_published; i++) {
        bench_assert_published(&bench->published[i], ENGINE_OK);
    }
    end(&world);
}

static void safe_a_killed_primary_of_a_cluster_is_not_noticed(void **state) {
    (void) state;
    struct world world = with_cluster(DURABILITY_SAFE);
    struct bench *bench = world.bench;
    spread_channels(bench);
    bench_traffic(bench, 300);
    unsigned slot = slot_of(bench, 0);
    unsigned old = redis_cluster_set_primary(world.cluster, slot);
    redis_server_kill(redis_cluster_set_server(world.cluster, old));
    bench_traffic(bench, 500);
    redis_cluster_set_await_failover(world.cluster, slot, old);
    bench_traffic(bench, 500);
    redis_server_restart(redis_cluster_set_server(world.cluster, old));
    redis_server_await(redis_cluster_set_server(world.cluster, old), "master_link_status:up", "INFO replication");
    await_open(bench);
    bench_judge(bench);
    for (unsigned i = 0; i < bench->n_channels; i++) {
        assert_int_equal(bench_lost(bench, i), 0);
    }
    end(&world);
}

static void safe_a_failover_of_a_cluster_by_order_is_not_noticed(void **state) {
    (void) state;
    struct world world = with_cluster(DURABILITY_SAFE);
    struct bench *bench = world.bench;
    spread_channels(bench);
    for (int i = 0; i < 2; i++) {
        bench_traffic(bench, 300);
        redis_cluster_set_failover(world.cluster, slot_of(bench, 0));
        bench_traffic(bench, 500);
    }
    await_open(bench);
    bench_judge(bench);
    for (unsigned i = 0; i < bench->n_channels; i++) {
        assert_int_equal(bench_lost(bench, i), 0);
    }
    end(&world);
}

static void safe_a_slot_that_moves_under_load_takes_its_channels_along(void **state) {
    (void) state;
    struct world world = with_cluster(DURABILITY_SAFE);
    struct bench *bench = world.bench;
    spread_channels(bench);
    unsigned slot = slot_of(bench, 0);
    unsigned from = redis_cluster_set_primary(world.cluster, slot);
    unsigned to = (from + 1) % REDIS_CLUSTER_SET_PRIMARIES;
    bench_traffic(bench, 300);
    redis_cluster_set_begin_move(world.cluster, slot, to);
    bench_traffic(bench, 300);
    redis_cluster_set_finish_move(world.cluster, slot, to);
    bench_traffic(bench, 500);
    redis_cluster_set_move(world.cluster, slot, from);
    bench_traffic(bench, 300);
    await_open(bench);
    bench_judge(bench);
    for (unsigned i = 0; i < bench->n_channels; i++) {
        assert_int_equal(bench_lost(bench, i), 0);
    }
    end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safe_a_lost_tail_that_nobody_knew_of_is_appended_again),
        cmocka_unit_test(fast_a_lost_tail_that_was_told_changes_the_epoch),
        cmocka_unit_test(safe_a_killed_primary_is_not_noticed_by_anyone),
        cmocka_unit_test(fast_a_killed_primary_is_told_truthfully),
        cmocka_unit_test(safe_a_primary_in_the_minority_confirms_nothing),
        cmocka_unit_test(safe_a_failover_by_order_is_not_noticed),
        cmocka_unit_test(safe_many_failovers_by_order_lose_nothing),
        cmocka_unit_test(a_cluster_serves_channels_of_all_its_primaries),
        cmocka_unit_test(safe_a_killed_primary_of_a_cluster_is_not_noticed),
        cmocka_unit_test(safe_a_failover_of_a_cluster_by_order_is_not_noticed),
        cmocka_unit_test(safe_a_slot_that_moves_under_load_takes_its_channels_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
