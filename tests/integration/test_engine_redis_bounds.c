/* The bounds of what one shard has with Redis: what is on its way, what one call takes, what is held back until a batch
 * that is missing comes, how long a topic is listened to. At each of them it waits or is read later, nothing is lost
 * and nothing is told twice; what is refused is a definite ENGINE_FULL. (What waits for replicas:
 * test_engine_redis_safe.c.) */
#include "tests/integration/engine_bench.h"

#include "base/memory.h"
#include "base/metrics.h"
#include "base/partition.h"

#include <stdio.h>
#include <string.h>

static int64_t figure(struct bench *bench, const char *name) {
    return metrics_read(bench->metrics, name, NULL);
}

/* Channels of partitions of their own, so that each has a batch of its own on the way. */
static void add_channels(struct bench *bench) {
    while (bench->n_channels < CHANNELS_MAX) {
        static unsigned n;
        char name[16];
        snprintf(name, sizeof name, "room%u", n++);
        uint32_t partition = partition_of(span_of_text(name), PARTITIONS);
        bool is_new = true;
        for (unsigned i = 0; i < bench->n_channels; i++) {
            is_new = is_new && partition_of(span_of_text(bench->names[i]), PARTITIONS) != partition;
        }
        if (is_new) {
            bench_add_channel(bench, name);
        }
    }
}

/* One publication for each channel of one node. */
static void publish_everywhere(struct bench *bench) {
    for (unsigned channel = 0; channel < bench->n_channels; channel++) {
        bench_publish_with(&bench->nodes[0], channel, &bench->options, 25000);
    }
}

static void assert_all_are_ok(struct bench *bench) {
    for (unsigned i = 0; i < bench->n_published; i++) {
        bench_assert_published(&bench->published[i], ENGINE_OK);
    }
}

/* ---- specs ---- */

static void above_pipeline_commands_batches_wait_and_are_counted(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench->config.redis_pipeline_commands = 1;
    bench->config.redis_command_timeout_ms = 20000;
    bench_start_all(bench);
    add_channels(bench);
    bench_wait_for(bench, bench_is_quiet(bench));
    redis_server_pause(bench->server);
    int64_t n_batches = figure(bench, "callboard_redis_batches_total");
    publish_everywhere(bench);
    bench_wait_for(bench, figure(bench, "callboard_redis_pipeline_waits_total") > 0 &&
                              figure(bench, "callboard_redis_pipeline_commands") > 0 &&
                              figure(bench, "callboard_redis_pipeline_bytes") > 0);
    assert_true(figure(bench, "callboard_redis_batches_total") - n_batches <= 1);
    assert_int_equal(bench->n_under_way, CHANNELS_MAX);
    redis_server_resume(bench->server);
    bench_wait_for(bench, bench->n_under_way == 0);
    assert_all_are_ok(bench);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void above_pipeline_bytes_batches_wait_and_are_counted(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench->config.redis_pipeline_bytes = 1; /* whatever is on its way is the only one */
    bench_start_all(bench);
    add_channels(bench);
    for (unsigned i = 0; i < 50; i++) {
        publish_everywhere(bench);
    }
    bench_wait_for(bench, bench->n_under_way == 0);
    assert_true(figure(bench, "callboard_redis_pipeline_waits_total") > 0);
    assert_all_are_ok(bench);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void what_waits_for_the_pipeline_is_bounded_and_above_that_refused_for_sure(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench->config.redis_pipeline_commands = 1;
    bench->config.redis_command_timeout_ms = 20000;
    bench->config.redis_batch_publications = 4; /* on their way; the others stay in the queue */
    bench->config.inbox_messages = 20;
    bench_start_all(bench);
    redis_server_pause(bench->server);
    for (unsigned i = 0; i < 60; i++) {
        bench_publish_with(&bench->nodes[0], 0, &bench->options, 25000);
    }
    bench_wait_for(bench, bench->n_under_way <= 20);
    unsigned n_full = 0;
    for (unsigned i = 0; i < bench->n_published; i++) {
        n_full += bench->published[i].fate == FATE_NO && bench->published[i].outcome == ENGINE_FULL;
    }
    assert_int_equal(n_full, 60 - 20);
    bench_wait_for(bench, figure(bench, "callboard_redis_queued") > 0);
    redis_server_resume(bench->server);
    bench_wait_for(bench, bench->n_under_way == 0);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

static void a_call_takes_batch_publications_and_the_others_go_with_the_next(void **state) {
    (void) state;
    enum { PUBLICATIONS = 41, IN_ONE = 4 };
    struct bench *bench = bench_new(NULL);
    bench->config.redis_batch_publications = IN_ONE;
    bench_start_all(bench);
    int64_t n_batches = figure(bench, "callboard_redis_batches_total");
    for (unsigned i = 0; i < PUBLICATIONS; i++) {
        bench_publish(&bench->nodes[0], 0);
    }
    bench_wait_for(bench, bench->n_under_way == 0);
    assert_true(figure(bench, "callboard_redis_batches_total") - n_batches >= (PUBLICATIONS + IN_ONE - 1) / IN_ONE);
    assert_all_are_ok(bench);
    for (unsigned i = 0; i < PUBLICATIONS; i++) {
        assert_int_equal(bench->published[i].position.offset, i + 1);
    }
    bench_judge(bench);
    bench_destroy(bench);
}

/* A batch that nobody hears of: the number moves without a message. */
static void lose_a_batch(struct bench *bench) {
    char *key = bench_key_of(bench, 0, "p");
    redis_server_expect(bench->server, "0", "EVAL %s 1 %s",
                        "local g, n = struct.unpack('<c16I8', redis.call('HGET', KEYS[1], 's')) "
                        "return redis.call('HSET', KEYS[1], 's', struct.pack('<c16I8', g, n + 1))",
                        key);
    memory_free(key);
}

static void above_held_batches_what_comes_too_early_is_dropped_and_read(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench->config.redis_held_batches = 2;
    bench->config.redis_batch_publications = 1;
    bench_start_all(bench);
    bench_publish_and_wait(&bench->nodes[0], 0);
    /* Those that follow come within the time that the lost one is waited for; on a slow machine not at the first try.
     */
    for (unsigned round = 0; round < 50 && figure(bench, "callboard_redis_held_dropped_total") == 0; round++) {
        lose_a_batch(bench);
        for (unsigned i = 0; i < 20; i++) {
            bench_publish_with(&bench->nodes[0], 0, &bench->options, 25000);
        }
        while (bench->n_under_way > 0) {
            bench_pass(bench, 1);
        }
    }
    assert_true(figure(bench, "callboard_redis_held_dropped_total") > 0);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_wait_for(bench, figure(bench, "callboard_redis_held_batches") == 0 &&
                              figure(bench, "callboard_redis_held_bytes") == 0);
    bench_destroy(bench);
}

static void a_topic_without_use_is_listened_to_for_topic_idle_and_again_when_it_is_used(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench->config.redis_topic_idle_ms = 1000;
    bench_start_all(bench);
    bench_publish_and_wait(&bench->nodes[0], 0);
    bench_wait_for(bench, figure(bench, "callboard_redis_topics") == NODES);
    struct node *idle = &bench->nodes[1];
    idle->engine->methods->release(idle->engine, span_of_text(bench->names[0]));
    bench_wait_for(bench, figure(bench, "callboard_redis_topics") == NODES - 1);
    bench_assert_published(bench_publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);

    idle->engine->methods->hold(idle->engine, span_of_text(bench->names[0]), &bench->options);
    bench_wait_for(bench, bench_is_sure(idle, 0));
    bench_load(&idle->cursors[0]); /* with what was published meanwhile */
    bench_wait_for(bench, figure(bench, "callboard_redis_topics") == NODES);
    bench_judge(bench);
    assert_int_equal(bench_lost(bench, 0), 0);
    bench_destroy(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(above_pipeline_commands_batches_wait_and_are_counted),
        cmocka_unit_test(above_pipeline_bytes_batches_wait_and_are_counted),
        cmocka_unit_test(what_waits_for_the_pipeline_is_bounded_and_above_that_refused_for_sure),
        cmocka_unit_test(a_call_takes_batch_publications_and_the_others_go_with_the_next),
        cmocka_unit_test(above_held_batches_what_comes_too_early_is_dropped_and_read),
        cmocka_unit_test(a_topic_without_use_is_listened_to_for_topic_idle_and_again_when_it_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
