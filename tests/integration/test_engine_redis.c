/* engine_redis under faults of a real redis-server: cut links, stopped and killed servers, lost and foreign data, two
 * brokers. */
#include "tests/integration/engine_bench.h"

#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"

#include <stdio.h>

static void redis(struct bench *bench, const char *command) {
    char *answer = redis_server_command(bench->server, command);
    assert_non_null(answer);
    memory_free(answer);
}

static void redis_on_key(struct bench *bench, const char *format, char *key) {
    char *answer = redis_server_command(bench->server, format, key);
    assert_non_null(answer);
    assert_int_not_equal(strncmp(answer, "ERR", 3), 0);
    memory_free(answer);
    memory_free(key);
}

static void redis_script(struct bench *bench, const char *script, char *key) {
    char *answer = redis_server_command(bench->server, "EVAL %s 1 %s", script, key);
    assert_string_equal(answer, "0"); /* HSET changed a field that was there */
    memory_free(answer);
    memory_free(key);
}

/* ---- specs: links ---- */

static void a_script_flush_is_not_noticed(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    redis(bench, "SCRIPT FLUSH");
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    redis(bench, "SCRIPT FLUSH");
    bench_load(&bench->nodes[1].cursors[0]);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void a_cut_command_link_costs_no_publication_and_doubles_none(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    for (int i = 0; i < 5; i++) {
        bench_traffic(bench, 100);
        redis(bench, "CLIENT KILL TYPE normal");
    }
    bench_traffic(bench, 100);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    for (unsigned i = 0; i < bench->n_published; i++) {
        bench_assert_published(&bench->published[i], ENGINE_OK); /* sent again under its number, inside the deadline */
    }
    bench_destroy(bench);
}

static void a_cut_pubsub_link_costs_no_publication(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    for (int i = 0; i < 5; i++) {
        bench_traffic(bench, 100);
        redis(bench, "CLIENT KILL TYPE pubsub");
    }
    bench_traffic(bench, 100);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void both_links_cut_at_once_cost_no_publication(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    for (int i = 0; i < 5; i++) {
        bench_traffic(bench, 100);
        redis(bench, "CLIENT KILL TYPE pubsub");
        redis(bench, "CLIENT KILL TYPE normal");
    }
    bench_traffic(bench, 100);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void a_lost_batch_of_the_topic_is_found_and_read(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_publish_and_wait(&bench->nodes[0], 0);
    /* A batch that nobody hears of: the number moves without a message. */
    redis_script(bench,
                 "local g, n = struct.unpack('<c16I8', redis.call('HGET', KEYS[1], 's')) "
                 "return redis.call('HSET', KEYS[1], 's', struct.pack('<c16I8', g, n + 1))",
                 bench_key_of(bench, 0, "p"));
    bench_traffic(bench, 300);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

/* ---- specs: Redis stands still, dies, forgets ---- */

static void a_stopped_redis_ends_publishes_as_unknown_and_nothing_is_doubled(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_traffic(bench, 100);
    bench_wait_for(bench, bench_is_quiet(bench));
    redis_server_pause(bench->server);
    unsigned first = bench->n_published;
    bench_traffic(bench, 500);
    bench_wait_for(bench, bench->n_under_way == 0);
    unsigned n_unknown = 0;
    for (unsigned i = first; i < bench->n_published; i++) {
        assert_int_not_equal(bench->published[i].fate, FATE_OK);
        n_unknown += bench->published[i].fate == FATE_UNKNOWN;
    }
    assert_true(n_unknown > 0); /* what was sent; what still waited here is a sure no */
    redis_server_resume(bench->server);
    bench_wait_for(bench, bench_is_sure(&bench->nodes[0], 0) && bench_is_sure(&bench->nodes[1], 0));
    bench_traffic(bench, 100);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void a_batch_whose_answer_was_lost_is_sent_again_and_happens_once(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_publish_and_wait(&bench->nodes[0], 0); /* the server knows the script */
    redis_server_pause(bench->server);
    unsigned first = bench->n_published;
    for (int i = 0; i < 10; i++) {
        bench_publish_with(&bench->nodes[0], 0, &bench->options, 15000);
    }
    /* It lies in the stopped server's socket while the link is given up: executed later, with nobody to answer to. */
    bench_wait_for(bench, !bench->nodes[0].connected);
    redis_server_resume(bench->server);
    bench_wait_for(bench, bench->n_under_way == 0);
    for (unsigned i = first; i < bench->n_published; i++) {
        bench_assert_published(&bench->published[i], ENGINE_OK);
        assert_int_equal(bench->published[i].position.offset, i - first + 2);
    }
    char *key = bench_key_of(bench, 0, "s");
    char *answer = redis_server_command(bench->server, "XLEN %s", key);
    assert_string_equal(answer, "11");
    memory_free(answer);
    memory_free(key);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void after_kill_and_restart_every_channel_has_a_new_epoch_and_keeps_its_history(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel((const char *const[]){"appendonly yes", "appendfsync always", NULL});
    struct position last = {.offset = 0};
    for (int i = 0; i < 20; i++) {
        last = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    }
    redis_server_kill(bench->server);
    redis_server_restart(bench->server);
    bench_wait_for(bench, bench_lost(bench, 0) >= 2 && bench_is_quiet(bench));
    const struct published *next = bench_publish_and_wait(&bench->nodes[1], 0);
    bench_assert_published(next, ENGINE_OK);
    assert_false(epoch_equal(&next->position.epoch, &last.epoch));
    assert_int_equal(next->position.offset, last.offset + 1);
    char *key = bench_key_of(bench, 0, "s");
    char *answer = redis_server_command(bench->server, "XLEN %s", key);
    assert_string_equal(answer, "21");
    memory_free(answer);
    memory_free(key);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 2); /* told once to each */
    bench_destroy(bench);
}

static void publishes_over_a_restart_are_told_truthfully(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel((const char *const[]){"appendonly yes", "appendfsync everysec", NULL});
    for (int i = 0; i < 3; i++) {
        bench_traffic(bench, 150);
        redis_server_kill(bench->server);
        bench_traffic(bench, 50);
        redis_server_restart(bench->server);
        bench_traffic(bench, 300);
    }
    bench_judge(bench);
    assert_true(bench_lost(bench, 0) >= 2);
    bench_destroy(bench);
}

static void after_flushall_subscribers_are_told_and_offsets_begin_anew(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    struct position last = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    redis(bench, "FLUSHALL");
    bench_wait_for(bench, bench_lost(bench, 0) >= 2 && bench_is_quiet(bench));
    const struct published *next = bench_publish_and_wait(&bench->nodes[1], 0);
    assert_false(epoch_equal(&next->position.epoch, &last.epoch));
    assert_int_equal(next->position.offset, 1);
    bench_judge(bench);
    bench_destroy(bench);
}

static void a_lost_meta_key_changes_the_epoch_of_that_channel_alone(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    unsigned other = bench_add_channel(bench, "other");
    struct position before = {.offset = 0};
    for (int i = 0; i < 3; i++) {
        before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
        bench_publish_and_wait(&bench->nodes[0], other);
    }
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "m"));
    const struct published *next = bench_publish_and_wait(&bench->nodes[0], 0);
    bench_assert_published(next, ENGINE_OK);
    assert_false(epoch_equal(&next->position.epoch, &before.epoch));
    assert_int_equal(next->position.offset, 4);
    bench_wait_for(bench, bench_lost(bench, 0) == 2);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, other), 0);
    bench_destroy(bench);
}

/* Nothing is published, and the partition's numbers show nothing. */
static void a_meta_key_that_goes_alone_is_told_without_a_publication(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    unsigned other = bench_add_channel(bench, "other");
    struct position before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    bench_wait_for(bench, bench_all_saw(bench, 0, &before));
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "m"));
    bench_wait_for(bench, bench_lost(bench, 0) == 2);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 2);
    assert_int_equal(bench_lost(bench, other), 0);
    bench_destroy(bench);
}

static void a_meta_key_of_an_old_copy_is_told_without_a_publication(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    struct position before = {.offset = 0};
    for (int i = 0; i < 5; i++) {
        before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    }
    bench_wait_for(bench, bench_all_saw(bench, 0, &before));
    redis_script(bench,
                 "local m = redis.call('HGET', KEYS[1], 'c') "
                 "return redis.call('HSET', KEYS[1], 'c', string.sub(m, 1, 33) .. struct.pack('<I8', 3))",
                 bench_key_of(bench, 0, "m"));
    bench_wait_for(bench, bench_lost(bench, 0) == 2);
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "s"));
    bench_judge(bench);
    bench_destroy(bench);
}

/* One channel of three may be compared a second; and under load nothing is taken for forgotten. */
static void channels_above_the_bound_are_compared_in_turn(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench->config.redis_compared_channels = 1;
    bench_start_all(bench);
    unsigned second = bench_add_channel(bench, "second");
    unsigned third = bench_add_channel(bench, "third");
    bench_traffic(bench, 1500);
    assert_int_equal(bench_lost(bench, 0) + bench_lost(bench, second) + bench_lost(bench, third), 0);
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "m"));
    redis_on_key(bench, "DEL %s", bench_key_of(bench, second, "m"));
    redis_on_key(bench, "DEL %s", bench_key_of(bench, third, "m"));
    bench_wait_for(bench, bench_lost(bench, 0) == 2 && bench_lost(bench, second) == 2 && bench_lost(bench, third) == 2);
    bench_judge(bench);
    bench_destroy(bench);
}

static void a_position_above_the_top_of_redis_breaks_that_channel(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    struct position before = {.offset = 0};
    for (int i = 0; i < 5; i++) {
        before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    }
    bench_wait_for(bench, bench_all_saw(bench, 0, &before));
    /* An old copy of the channel comes back: what was told is above it. */
    redis_script(bench,
                 "local m = redis.call('HGET', KEYS[1], 'c') "
                 "return redis.call('HSET', KEYS[1], 'c', string.sub(m, 1, 33) .. struct.pack('<I8', 3))",
                 bench_key_of(bench, 0, "m"));
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "s"));
    const struct published *next = bench_publish_and_wait(&bench->nodes[1], 0);
    bench_assert_published(next, ENGINE_OK);
    assert_false(epoch_equal(&next->position.epoch, &before.epoch));
    bench_wait_for(bench, bench_lost(bench, 0) == 2);
    bench_judge(bench);
    bench_destroy(bench);
}

static void foreign_bytes_in_one_channel_leave_the_others_of_its_partition_alone(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    /* another channel of the same partition */
    char name[32];
    uint32_t partition = partition_of(SPAN_LITERAL("room"), PARTITIONS);
    unsigned i = 0;
    do {
        snprintf(name, sizeof name, "room%u", i++);
    } while (partition_of(span_of_text(name), PARTITIONS) != partition);
    unsigned other = bench_add_channel(bench, name);
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "m"));
    redis_on_key(bench, "SET %s foreign", bench_key_of(bench, 0, "m"));
    unsigned bad = bench_publish(&bench->nodes[0], 0);
    unsigned good = bench_publish(&bench->nodes[0], other);
    bench_wait_for(bench, bench->n_under_way == 0);
    bench_assert_published(&bench->published[bad], ENGINE_CORRUPT);
    bench_assert_published(&bench->published[good], ENGINE_OK);
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "m"));
    bench_judge(bench);
    bench_destroy(bench);
}

static void a_foreign_stream_is_refused_and_the_rest_of_the_batch_goes_on(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_publish_and_wait(&bench->nodes[0], 0);
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "s"));
    redis_on_key(bench, "SADD %s foreign", bench_key_of(bench, 0, "s"));
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_CORRUPT);
    redis_on_key(bench, "DEL %s", bench_key_of(bench, 0, "s"));
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    bench_judge(bench);
    bench_destroy(bench);
}

/* ---- specs: Redis refuses ---- */

static void out_of_memory_is_a_sure_no_that_passes(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    redis(bench, "CONFIG SET maxmemory 1");
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_TEMPORARY);
    redis(bench, "CONFIG SET maxmemory 0");
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void missing_replicas_are_a_sure_no_that_passes(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    redis(bench, "CONFIG SET min-replicas-to-write 1");
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_TEMPORARY);
    redis(bench, "CONFIG SET min-replicas-to-write 0");
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    bench_judge(bench);
    bench_destroy(bench);
}

static void demoted_and_promoted_again_redis_is_met_as_a_new_reign(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    struct position before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    redis(bench, "REPLICAOF 127.0.0.1 1");
    unsigned number = bench_publish(&bench->nodes[0], 0);
    bench_pass(bench, 300);
    assert_int_equal(bench->published[number].fate, FATE_UNDER_WAY); /* it waits for its deadline */
    redis(bench, "REPLICAOF NO ONE");
    bench_wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    bench_wait_for(bench, bench_is_sure(&bench->nodes[0], 0) && bench_is_sure(&bench->nodes[1], 0));
    const struct published *next = bench_publish_and_wait(&bench->nodes[0], 0);
    bench_assert_published(next, ENGINE_OK);
    assert_false(epoch_equal(&next->position.epoch, &before.epoch));
    bench_wait_for(bench, bench_lost(bench, 0) >= 2);
    bench_judge(bench);
    bench_destroy(bench);
}

static void a_wrong_password_is_said_and_appends_are_refused_for_sure(void **state) {
    (void) state;
    struct bench *bench = bench_new((const char *const[]){"requirepass right", NULL});
    bench->config.redis_password = (char *) "wrong";
    struct node *node = bench_start_node(bench, 0);
    bench->n_channels = 1;
    strcpy(bench->names[0], "room");
    unsigned number = bench_publish_with(node, 0, &bench->options, 500);
    bench_wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    bench_assert_published(&bench->published[number], ENGINE_TEMPORARY);
    assert_false(node->connected);
    assert_string_equal(node->reason, "Redis refused user or password");
    bench_stop_node(node);
    bench->config.redis_password = (char *) "right";
    node = bench_start_node(bench, 0);
    bench_wait_for(bench, node->connected && node->pubsub_connected);
    bench_assert_published(bench_publish_and_wait(node, 0), ENGINE_OK);
    bench_destroy(bench);
}

static void another_number_of_partitions_is_refused(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_stop_node(&bench->nodes[1]);
    struct node *node = &bench->nodes[1];
    *node = (struct node){.bench = bench, .number = 1};
    node->engine = bench_make_engine(node, 2 * PARTITIONS);
    bench_wait_for(bench, node->reason[0] != '\0');
    assert_false(node->connected);
    assert_string_equal(node->reason, "the data in Redis has another number of partitions than broker.partitions");
    bench_destroy(bench);
}

static void no_redis_at_all_is_no_error_and_ends_appends_at_their_deadline(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    redis_server_kill(bench->server);
    struct node *node = bench_start_node(bench, 0);
    bench->n_channels = 1;
    strcpy(bench->names[0], "room");
    unsigned number = bench_publish_with(node, 0, &bench->options, 400);
    bench_wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    bench_assert_published(&bench->published[number], ENGINE_TEMPORARY);
    redis_server_restart(bench->server);
    bench_wait_for(bench, node->connected && node->pubsub_connected);
    bench_assert_published(bench_publish_and_wait(node, 0), ENGINE_OK);
    bench_destroy(bench);
}

static void while_redis_is_away_publications_pass_live_where_the_namespace_says_so(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel((const char *const[]){"appendonly yes", NULL});
    struct namespace_options memory = bench->options;
    memory.on_engine_down = ENGINE_DOWN_MEMORY;
    struct namespace_options plain = {.name = (char *) ""};
    bench_publish_and_wait(&bench->nodes[0], 0);
    redis_server_kill(bench->server);
    bench_wait_for(bench, !bench->nodes[0].connected);
    unsigned refused = bench_publish_with(&bench->nodes[0], 0, &bench->options, 1500);
    unsigned live = bench_publish_with(&bench->nodes[0], 0, &memory, 1500);
    unsigned without_history = bench_publish_with(&bench->nodes[0], 0, &plain, 1500);
    bench_wait_for(bench, bench->n_under_way == 0);
    bench_assert_published(&bench->published[refused], ENGINE_TEMPORARY);
    bench_assert_published(&bench->published[live], ENGINE_OK);
    assert_true(bench->published[live].not_durable);
    assert_int_equal(bench->published[live].position.offset, 0);
    bench_assert_published(&bench->published[without_history], ENGINE_OK);
    assert_true(bench->published[without_history].not_durable);
    assert_int_equal(bench->nodes[0].cursors[0].n_live_only, 2);
    redis_server_restart(bench->server);
    bench_wait_for(bench, bench_is_sure(&bench->nodes[0], 0) && bench_is_sure(&bench->nodes[1], 0));
    bench_judge(bench);
    bench_destroy(bench);
}

/* ---- specs: proxies that hide the server ---- */

static const char *const hidden[] = {"rename-command INFO \"\"", "appendonly yes", "appendfsync always", NULL};

static void a_server_that_hides_its_identity_is_met_as_a_new_reign_after_each_cut(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(hidden);
    bench_traffic(bench, 200);
    bench_wait_for(bench, bench_is_quiet(bench));
    assert_int_equal(bench_lost(bench, 0), 0); /* both brokers adopted one reign */
    struct position before = bench_publish_and_wait(&bench->nodes[0], 0)->position;
    bench_pass(bench, 1500); /* a new one at most once a second */
    redis_server_kill(bench->server);
    redis_server_restart(bench->server);
    bench_wait_for(bench, bench_is_sure(&bench->nodes[0], 0) && bench_is_sure(&bench->nodes[1], 0));
    bench_wait_for(bench, bench_lost(bench, 0) >= 2 && bench_is_quiet(bench));
    struct position next = bench_publish_and_wait(&bench->nodes[1], 0)->position;
    assert_false(epoch_equal(&next.epoch, &before.epoch));
    assert_int_equal(next.offset, before.offset + 1);
    bench_judge(bench);
    bench_destroy(bench);
}

static void a_server_that_hides_its_identity_is_refused_where_a_namespace_is_safe(void **state) {
    (void) state;
    struct bench *bench = bench_new(hidden);
    bench->namespaces[0].durability = DURABILITY_SAFE;
    bench->config.namespaces = (struct config_section_list){.items = bench->namespaces, .n = 1};
    struct node *node = bench_start_node(bench, 0);
    bench_wait_for(bench, node->reason[0] != '\0');
    assert_false(node->connected);
    assert_non_null(strstr(node->reason, "does not show its master_replid"));
    bench_stop_node(node);
    bench->config.redis_confirm = REDIS_CONFIRM_BY_DECLARATION;
    node = bench_start_node(bench, 0);
    bench_wait_for(bench, node->connected);
    bench_destroy(bench);
}

/* ---- specs: two brokers ---- */

static void two_brokers_under_load_tell_one_order(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_add_channel(bench, "second");
    bench_add_channel(bench, "third");
    bench_traffic(bench, 1000);
    bench_judge(bench);
    for (unsigned i = 0; i < bench->n_channels; i++) {
        assert_int_equal(bench_lost(bench, i), 0);
    }
    bench_destroy(bench);
}

static void a_broker_that_dies_leaves_no_trace_for_the_other(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    bench_traffic(bench, 100);
    bench_stop_node(&bench->nodes[1]);
    bench_traffic(bench, 100);
    bench_judge(bench);
    assert_int_equal(bench->nodes[0].cursors[0].n_lost, 0);
    bench_destroy(bench);
}

static void everything_at_once_stays_truthful(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel((const char *const[]){"appendonly yes", "appendfsync everysec", NULL});
    bench_add_channel(bench, "second");
    for (unsigned i = 0; i < 12; i++) {
        bench_traffic(bench, 80);
        switch (random_below(6)) {
        case 0:
            redis(bench, "CLIENT KILL TYPE normal");
            break;
        case 1:
            redis(bench, "CLIENT KILL TYPE pubsub");
            break;
        case 2:
            redis(bench, "SCRIPT FLUSH");
            break;
        case 3:
            redis_server_pause(bench->server);
            bench_traffic(bench, 150);
            redis_server_resume(bench->server);
            break;
        case 4:
            redis_server_kill(bench->server);
            redis_server_restart(bench->server);
            break;
        case 5:
            redis(bench, "FLUSHALL");
            break;
        }
    }
    bench_traffic(bench, 100);
    bench_judge(bench);
    bench_destroy(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_flush_is_not_noticed),
        cmocka_unit_test(a_cut_command_link_costs_no_publication_and_doubles_none),
        cmocka_unit_test(a_cut_pubsub_link_costs_no_publication),
        cmocka_unit_test(both_links_cut_at_once_cost_no_publication),
        cmocka_unit_test(a_lost_batch_of_the_topic_is_found_and_read),
        cmocka_unit_test(a_stopped_redis_ends_publishes_as_unknown_and_nothing_is_doubled),
        cmocka_unit_test(a_batch_whose_answer_was_lost_is_sent_again_and_happens_once),
        cmocka_unit_test(after_kill_and_restart_every_channel_has_a_new_epoch_and_keeps_its_history),
        cmocka_unit_test(publishes_over_a_restart_are_told_truthfully),
        cmocka_unit_test(after_flushall_subscribers_are_told_and_offsets_begin_anew),
        cmocka_unit_test(a_lost_meta_key_changes_the_epoch_of_that_channel_alone),
        cmocka_unit_test(a_meta_key_that_goes_alone_is_told_without_a_publication),
        cmocka_unit_test(a_meta_key_of_an_old_copy_is_told_without_a_publication),
        cmocka_unit_test(channels_above_the_bound_are_compared_in_turn),
        cmocka_unit_test(a_position_above_the_top_of_redis_breaks_that_channel),
        cmocka_unit_test(foreign_bytes_in_one_channel_leave_the_others_of_its_partition_alone),
        cmocka_unit_test(a_foreign_stream_is_refused_and_the_rest_of_the_batch_goes_on),
        cmocka_unit_test(out_of_memory_is_a_sure_no_that_passes),
        cmocka_unit_test(missing_replicas_are_a_sure_no_that_passes),
        cmocka_unit_test(demoted_and_promoted_again_redis_is_met_as_a_new_reign),
        cmocka_unit_test(a_wrong_password_is_said_and_appends_are_refused_for_sure),
        cmocka_unit_test(another_number_of_partitions_is_refused),
        cmocka_unit_test(no_redis_at_all_is_no_error_and_ends_appends_at_their_deadline),
        cmocka_unit_test(while_redis_is_away_publications_pass_live_where_the_namespace_says_so),
        cmocka_unit_test(a_server_that_hides_its_identity_is_met_as_a_new_reign_after_each_cut),
        cmocka_unit_test(a_server_that_hides_its_identity_is_refused_where_a_namespace_is_safe),
        cmocka_unit_test(two_brokers_under_load_tell_one_order),
        cmocka_unit_test(a_broker_that_dies_leaves_no_trace_for_the_other),
        cmocka_unit_test(everything_at_once_stays_truthful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
