/* Durability safe on a primary and one replica, or one server that writes through: nothing is told before it is
 * confirmed, and what was told stays. Failovers: test_engine_redis_failover.c. */
#include "tests/integration/engine_bench.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

struct pair {
    redis_server_t *primary;
    redis_server_t *replica;
    struct bench *bench;
};

static redis_server_t *start_replica(const redis_server_t *primary) {
    char line[64];
    snprintf(line, sizeof line, "replicaof 127.0.0.1 %d", redis_server_port(primary));
    redis_server_t *replica = redis_server_start((const char *const[]){line, NULL});
    redis_server_await(replica, "master_link_status:up", "INFO replication");
    return replica;
}

static struct pair start_pair(void) {
    struct pair pair = {.primary = redis_server_start((const char *const[]){"repl-diskless-sync-delay 0", NULL})};
    pair.replica = start_replica(pair.primary);
    pair.bench = bench_new_at(redis_server_url(pair.primary));
    pair.bench->config.redis_confirm = REDIS_CONFIRM_BY_REPLICAS;
    pair.bench->options.durability = DURABILITY_SAFE;
    bench_start_all(pair.bench);
    return pair;
}

static void stop_pair(struct pair *pair) {
    bench_destroy(pair->bench);
    redis_server_stop(&pair->replica);
    redis_server_stop(&pair->primary);
}

static unsigned n_seen(const struct bench *bench) {
    return bench->n_seen;
}

/* ---- specs ---- */

static void safe_publications_are_acked_and_seen_when_a_replica_has_them(void **state) {
    (void) state;
    struct pair pair = start_pair();
    bench_add_channel(pair.bench, "second");
    bench_traffic(pair.bench, 500);
    bench_judge(pair.bench);
    assert_int_equal(bench_lost(pair.bench, 0), 0);
    for (unsigned i = 0; i < pair.bench->n_published; i++) {
        bench_assert_published(&pair.bench->published[i], ENGINE_OK);
    }
    stop_pair(&pair);
}

static void nothing_is_told_while_no_replica_confirms_and_all_of_it_when_one_does(void **state) {
    (void) state;
    struct pair pair = start_pair();
    struct bench *bench = pair.bench;
    bench_publish_and_wait(&bench->nodes[0], 0);
    bench_wait_for(bench, bench_is_quiet(bench) && n_seen(bench) == 1 && bench->seen[0].by[1]);
    redis_server_pause(pair.replica);
    unsigned number = bench_publish_with(&bench->nodes[0], 0, &bench->options, 800);
    bench_wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    bench_assert_published(&bench->published[number], ENGINE_UNKNOWN);
    bench_pass(bench, 500);
    assert_int_equal(n_seen(bench), 1); /* the primary has it; nobody was told */
    redis_server_resume(pair.replica);
    bench_wait_for(bench, n_seen(bench) == 2 && bench->seen[1].by[0] && bench->seen[1].by[1]);
    assert_int_equal(bench->seen[1].number, number);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    stop_pair(&pair);
}

struct reading {
    struct engine_read read;
    bool is_done;
    enum engine_outcome outcome;
    uint64_t top;
};

static void on_read(struct engine_read *read, enum engine_outcome outcome) {
    struct reading *reading = list_entry(read, struct reading, read);
    reading->is_done = true;
    reading->outcome = outcome;
    reading->top = read->top.offset;
}

static void begin_reading(struct reading *reading, struct node *node, uint64_t deadline_ms) {
    *reading = (struct reading){.read = {.channel = span_of_text(node->bench->names[0]),
                                         .options = &node->bench->options,
                                         .limit = 10,
                                         .deadline_ms = clock_monotonic_ms() + deadline_ms,
                                         .on_done = on_read}};
    engine_read(node->engine, &reading->read);
}

static void a_read_of_what_is_not_confirmed_waits_and_ends_as_temporary(void **state) {
    (void) state;
    struct pair pair = start_pair();
    struct bench *bench = pair.bench;
    bench_publish_and_wait(&bench->nodes[0], 0);
    redis_server_pause(pair.replica);
    bench_publish_with(&bench->nodes[0], 0, &bench->options, 300);
    struct reading first;
    struct reading second;
    begin_reading(&first, &bench->nodes[1], 700);
    begin_reading(&second, &bench->nodes[1], 20000);
    bench_wait_for(bench, first.is_done);
    assert_int_equal(first.outcome, ENGINE_TEMPORARY);
    assert_false(second.is_done);
    redis_server_resume(pair.replica);
    bench_wait_for(bench, second.is_done);
    assert_int_equal(second.outcome, ENGINE_OK);
    assert_int_equal(second.top, 2);
    bench_judge(bench);
    stop_pair(&pair);
}

static void as_many_replicas_have_to_confirm_as_are_asked_for(void **state) {
    (void) state;
    struct pair pair = {.primary = redis_server_start((const char *const[]){"repl-diskless-sync-delay 0", NULL})};
    pair.replica = start_replica(pair.primary);
    redis_server_t *second = start_replica(pair.primary);
    pair.bench = bench_new_at(redis_server_url(pair.primary));
    pair.bench->config.redis_confirm = REDIS_CONFIRM_BY_REPLICAS;
    pair.bench->config.redis_confirm_replicas = 2;
    pair.bench->options.durability = DURABILITY_SAFE;
    bench_start_all(pair.bench);
    struct bench *bench = pair.bench;
    bench_publish_and_wait(&bench->nodes[0], 0);
    redis_server_pause(second);
    unsigned number = bench_publish_with(&bench->nodes[0], 0, &bench->options, 20000);
    bench_pass(bench, 700);
    assert_int_equal(bench->published[number].fate, FATE_UNDER_WAY); /* one of two has it */
    redis_server_resume(second);
    bench_wait_for(bench, bench->n_under_way == 0);
    bench_assert_published(&bench->published[number], ENGINE_OK);
    bench_judge(bench);
    stop_pair(&pair);
    redis_server_stop(&second);
}

/* redis.held_batches: own batches stop at it, and publishers meet the queue's bound; others' messages are dropped at it
 * and read later. */
static void what_waits_for_replicas_is_bounded_and_nothing_is_lost_by_that(void **state) {
    (void) state;
    struct pair pair = {.primary = redis_server_start((const char *const[]){"repl-diskless-sync-delay 0", NULL})};
    pair.replica = start_replica(pair.primary);
    pair.bench = bench_new_at(redis_server_url(pair.primary));
    struct bench *bench = pair.bench;
    bench->config.redis_confirm = REDIS_CONFIRM_BY_REPLICAS;
    bench->config.redis_held_batches = 4;
    bench->config.inbox_messages = 20;
    bench->options.durability = DURABILITY_SAFE;
    bench_start_all(bench);
    redis_server_pause(pair.replica);
    for (unsigned i = 0; i < 60; i++) {
        bench_publish_with(&bench->nodes[0], 0, &bench->options, 25000);
        bench_pass(bench, 5);
    }
    unsigned n_refused = 0;
    for (unsigned i = 0; i < bench->n_published; i++) {
        n_refused += bench->published[i].fate == FATE_NO;
        assert_int_not_equal(bench->published[i].fate, FATE_OK);
    }
    assert_true(n_refused > 0);
    redis_server_resume(pair.replica);
    bench_wait_for(bench, bench->n_under_way == 0);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    stop_pair(&pair);
}

static void fast_channels_beside_safe_ones_do_not_wait(void **state) {
    (void) state;
    struct pair pair = start_pair();
    struct bench *bench = pair.bench;
    struct namespace_options fast = bench->options;
    fast.durability = DURABILITY_FAST;
    unsigned channel = bench->n_channels++;
    strcpy(bench->names[channel], "fast");
    redis_server_pause(pair.replica);
    unsigned safe = bench_publish_with(&bench->nodes[0], 0, &bench->options, 5000);
    unsigned number = bench_publish_with(&bench->nodes[0], channel, &fast, 2000);
    bench_wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    bench_assert_published(&bench->published[number], ENGINE_OK);
    assert_int_equal(bench->published[safe].fate, FATE_UNDER_WAY);
    redis_server_resume(pair.replica);
    bench_wait_for(bench, bench->n_under_way == 0);
    bench_assert_published(&bench->published[safe], ENGINE_OK);
    bench->n_channels--;
    stop_pair(&pair);
}

static void a_confirm_link_that_is_cut_is_made_again(void **state) {
    (void) state;
    struct pair pair = start_pair();
    struct bench *bench = pair.bench;
    for (int i = 0; i < 5; i++) {
        bench_traffic(bench, 100);
        char *answer = redis_server_command(pair.primary, "CLIENT KILL TYPE normal");
        memory_free(answer);
    }
    bench_traffic(bench, 100);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    stop_pair(&pair);
}

static void a_change_from_fast_to_safe_changes_the_epoch(void **state) {
    (void) state;
    struct pair pair = start_pair();
    struct bench *bench = pair.bench;
    struct position before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    struct namespace_options fast = bench->options;
    fast.durability = DURABILITY_FAST;
    unsigned number =
        bench_publish_with(&bench->nodes[1], 0, &fast, 2000); /* half rolled out: the other still says fast */
    bench_wait_for(bench, bench->n_under_way == 0 && bench_is_quiet(bench));
    assert_false(epoch_equal(&bench->published[number].position.epoch, &before.epoch));
    struct position after = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    assert_false(epoch_equal(&bench->published[number].position.epoch, &after.epoch));
    assert_int_equal(after.offset, before.offset + 2);
    bench_wait_for(bench, bench_lost(bench, 0) >= 2); /* the other node hears of it by its topic */
    bench_judge(bench);
    stop_pair(&pair);
}

static void one_server_that_writes_through_keeps_epochs_over_a_kill(void **state) {
    (void) state;
    struct bench *bench = bench_new((const char *const[]){"appendonly yes", "appendfsync always", NULL});
    bench->options.durability = DURABILITY_SAFE;
    bench_start_all(bench);
    struct position last = {.offset = 0};
    for (int i = 0; i < 10; i++) {
        last = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    }
    redis_server_kill(bench->server);
    redis_server_restart(bench->server);
    bench_wait_for(bench, bench_is_sure(&bench->nodes[0], 0) && bench_is_sure(&bench->nodes[1], 0));
    const struct published *next = bench_publish_and_wait(&bench->nodes[1], 0);
    bench_assert_published(next, ENGINE_OK);
    assert_true(epoch_equal(&next->position.epoch, &last.epoch));
    assert_int_equal(next->position.offset, last.offset + 1);
    bench_traffic(bench, 100);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0); /* nobody noticed */
    bench_destroy(bench);
}

static void one_server_that_does_not_write_through_is_refused_where_a_namespace_is_safe(void **state) {
    (void) state;
    struct bench *bench = bench_new((const char *const[]){"appendonly yes", "appendfsync everysec", NULL});
    bench->namespaces[0].durability = DURABILITY_SAFE;
    bench->config.namespaces = (struct config_section_list){.items = bench->namespaces, .n = 1};
    struct node *node = bench_start_node(bench, 0);
    bench_wait_for(bench, node->reason[0] != '\0');
    assert_false(node->connected);
    assert_string_equal(node->reason,
                        "durability safe needs replicas (redis.confirm), or appendonly yes and appendfsync always");
    redis_server_expect(bench->server, "OK", "CONFIG SET appendfsync always");
    bench_wait_for(bench, node->connected);
    bench_destroy(bench);
}

static void a_namespace_that_a_reload_makes_safe_is_refused_by_a_server_that_does_not_write_through(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    struct namespace_options safe = bench->options;
    safe.durability = DURABILITY_SAFE;
    unsigned number = bench_publish_with(&bench->nodes[0], 0, &safe, 2000);
    bench_wait_for(bench, bench->n_under_way == 0);
    bench_assert_published(&bench->published[number], ENGINE_DENIED);
    bench_destroy(bench);
}

/* How many follow, as confirm.lua tells behind the replid, a blank before each. */
static void assert_followers(redis_server_t *primary, unsigned expected) {
    char script[4096];
    FILE *file = fopen(CALLBOARD_SOURCE_DIR "/broker/redis/scripts/confirm.lua", "re");
    assert_non_null(file);
    script[fread(script, 1, sizeof script - 1, file)] = '\0';
    fclose(file);
    char *answer = redis_server_command(primary, "EVAL %s 1 key %s", script, "");
    assert_non_null(answer);
    unsigned n = 0;
    for (const char *at = strchr(answer, ' '); at != NULL; at = strchr(at + 1, ' ')) {
        n++;
    }
    assert_int_equal(n, expected);
    memory_free(answer);
}

/* A tool that takes a copy: it asks as a replica does, and has no port. */
static int begin_copy(const redis_server_t *primary) {
    int copier = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t) redis_server_port(primary)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(copier, (struct sockaddr *) &to, sizeof to), 0);
    assert_int_equal(write(copier, "SYNC\r\n", 6), 6);
    return copier;
}

/* It may be promoted as soon as it has its copy, without what came after that was begun. */
static void a_replica_that_is_being_copied_to_has_to_confirm_and_a_backup_has_not(void **state) {
    (void) state;
    redis_server_t *primary = redis_server_start((const char *const[]){"repl-diskless-sync-delay 0", NULL});
    redis_server_t *replica = start_replica(primary);
    redis_server_await(primary, "state=online", "INFO replication");
    assert_followers(primary, 1);
    redis_server_expect(primary, "OK", "CONFIG SET repl-diskless-sync-delay 3600");
    char line[64];
    snprintf(line, sizeof line, "replicaof 127.0.0.1 %d", redis_server_port(primary));
    redis_server_t *second = redis_server_start((const char *const[]){line, NULL});
    redis_server_await(primary, "state=wait_bgsave", "INFO replication");
    assert_followers(primary, 2);
    int copier = begin_copy(primary);
    redis_server_await(primary, "connected_slaves:3", "INFO replication");
    assert_followers(primary, 2);
    close(copier);
    redis_server_stop(&second);
    redis_server_stop(&replica);
    redis_server_stop(&primary);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safe_publications_are_acked_and_seen_when_a_replica_has_them),
        cmocka_unit_test(nothing_is_told_while_no_replica_confirms_and_all_of_it_when_one_does),
        cmocka_unit_test(a_read_of_what_is_not_confirmed_waits_and_ends_as_temporary),
        cmocka_unit_test(as_many_replicas_have_to_confirm_as_are_asked_for),
        cmocka_unit_test(a_replica_that_is_being_copied_to_has_to_confirm_and_a_backup_has_not),
        cmocka_unit_test(what_waits_for_replicas_is_bounded_and_nothing_is_lost_by_that),
        cmocka_unit_test(fast_channels_beside_safe_ones_do_not_wait),
        cmocka_unit_test(a_confirm_link_that_is_cut_is_made_again),
        cmocka_unit_test(a_change_from_fast_to_safe_changes_the_epoch),
        cmocka_unit_test(one_server_that_writes_through_keeps_epochs_over_a_kill),
        cmocka_unit_test(one_server_that_does_not_write_through_is_refused_where_a_namespace_is_safe),
        cmocka_unit_test(a_namespace_that_a_reload_makes_safe_is_refused_by_a_server_that_does_not_write_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
