/* The engine of two, with a primary that does what the test says and the memory engine as stand-in; and the choice that
 * the shards of a broker make together. */
#include "broker/engine_fallback.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/engine_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, PARTITIONS = 64, SHARDS = 2 };

/* ---- a primary ---- */

struct primary {
    engine_t base;
    struct engine_options options;
    struct list_link appends;
    unsigned n_held;
    unsigned n_renewed;
    bool connected;
    bool is_closed;
    void (*on_closed)(void *context);
    void *closed_context;
    uv_timer_t timer;
};

static struct primary *primary_of(engine_t *base) {
    return (struct primary *) (void *) base;
}

static void primary_append(engine_t *base, struct engine_append *request) {
    list_init(&request->link);
    list_push_back(&primary_of(base)->appends, &request->link);
}

static void primary_hold(engine_t *base, struct span channel, const struct namespace_options *options) {
    (void) channel;
    (void) options;
    primary_of(base)->n_held++;
}

static void primary_release(engine_t *base, struct span channel) {
    (void) channel;
    primary_of(base)->n_held--;
}

static void primary_renew(engine_t *base, const struct engine_lease *lease) {
    (void) lease;
    primary_of(base)->n_renewed++;
}

static void primary_flush(engine_t *base) {
    (void) base;
}

static bool primary_is_connected(const engine_t *base) {
    return ((const struct primary *) (const void *) base)->connected;
}

static enum wire_mode primary_mode(const engine_t *base) {
    (void) base;
    return WIRE_MODE_REDIS;
}

static void complete_all(struct primary *self, enum engine_outcome outcome) {
    struct list_link *link = NULL;
    while ((link = list_pop_front(&self->appends)) != NULL) {
        struct engine_append *request = list_entry(link, struct engine_append, link);
        request->not_durable = false;
        request->on_done(request, outcome);
    }
}

static void on_primary_closed(uv_handle_t *timer) {
    struct primary *self = timer->data;
    complete_all(self, ENGINE_CANCELLED);
    self->is_closed = true;
    self->on_closed(self->closed_context);
}

static void primary_close(engine_t *base, void (*on_closed)(void *context), void *context) {
    struct primary *self = primary_of(base);
    self->on_closed = on_closed;
    self->closed_context = context;
    uv_close((uv_handle_t *) &self->timer, on_primary_closed);
}

static const struct engine_methods primary_methods = {.close = primary_close,
                                                      .append = primary_append,
                                                      .hold = primary_hold,
                                                      .release = primary_release,
                                                      .lease_renew = primary_renew,
                                                      .flush = primary_flush,
                                                      .is_connected = primary_is_connected,
                                                      .mode = primary_mode};

static void say_state(struct primary *self, bool connected) {
    self->connected = connected;
    self->options.events->on_state(self->options.context, connected, connected, "as the test says");
}

/* ---- the bench ---- */

struct node {
    struct primary primary;
    engine_t *engine;
    unsigned n_doubts;
    unsigned n_foreign_doubts;
    unsigned n_publications;
    bool is_closed;
    uint32_t shard;
};

static struct node nodes[SHARDS];
static uv_loop_t loop;
static metrics_t *metrics;
static engine_choice_t *choice;
static const struct namespace_options options_of_channel = {
    .name = NULL, .history_size = 10, .history_ttl_ms = 60000, .history_meta_ttl_ms = 600000};

static void on_publication(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication) {
    (void) channel;
    (void) epoch;
    (void) offset;
    (void) publication;
    ((struct node *) context)->n_publications++;
}

static void on_partition_doubt(void *context, uint32_t partition) {
    struct node *node = context;
    node->n_doubts++;
    node->n_foreign_doubts += partition_shard(partition, PARTITIONS, SHARDS) != node->shard;
}

static void on_leases(void *context, const struct engine_lease *leases, size_t n_leases) {
    (void) context;
    (void) leases;
    (void) n_leases;
}

static void on_state(void *context, bool connected, bool pubsub_connected, const char *reason) {
    (void) context;
    (void) connected;
    (void) pubsub_connected;
    assert_non_null(reason);
}

static const struct engine_events events = {.on_publication = on_publication,
                                            .on_partition_doubt = on_partition_doubt,
                                            .on_leases = on_leases,
                                            .on_state = on_state};

static engine_t *make_primary(void *context, const struct engine_options *options, char *ret_error, size_t error_size) {
    struct node *node = context;
    (void) ret_error;
    (void) error_size;
    node->primary = (struct primary){.base = {&primary_methods}, .options = *options};
    list_init(&node->primary.appends);
    uv_timer_init(options->loop, &node->primary.timer);
    node->primary.timer.data = &node->primary;
    return &node->primary.base;
}

static engine_t *refuse_primary(void *context, const struct engine_options *options, char *ret_error,
                                size_t error_size) {
    (void) context;
    (void) options;
    snprintf(ret_error, error_size, "no such thing");
    return NULL;
}

static engine_t *make_stand_in(void *context, const struct engine_options *options, char *ret_error,
                               size_t error_size) {
    struct engine_memory_limits limits = ENGINE_MEMORY_LIMITS_DEFAULT;
    (void) context;
    (void) ret_error;
    (void) error_size;
    limits.stands_in = true;
    return engine_memory_new(options, &limits);
}

static struct engine_options options_for(struct node *node) {
    return (struct engine_options){.loop = &loop,
                                   .shard = node->shard,
                                   .n_shards = SHARDS,
                                   .n_partitions = PARTITIONS,
                                   .broker_id = "b",
                                   .metrics = metrics,
                                   .events = &events,
                                   .context = node};
}

static void start(uint64_t wait_ms) {
    char error[128] = "";
    choice = engine_choice_new(SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++) {
        nodes[i] = (struct node){.shard = i};
        struct engine_options options = options_for(&nodes[i]);
        nodes[i].engine = engine_fallback_new(&options,
                                              &(struct engine_fallback_options){.choice = choice,
                                                                                .wait_ms = wait_ms,
                                                                                .make_primary = make_primary,
                                                                                .make_stand_in = make_stand_in,
                                                                                .context = &nodes[i]},
                                              error, sizeof error);
        assert_non_null(nodes[i].engine);
    }
}

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t deadline_ms_ = clock_monotonic_ms() + PATIENCE_MS;                                                    \
        while (!(condition)) {                                                                                         \
            if (clock_monotonic_ms() > deadline_ms_) {                                                                 \
                fail_msg("in vain: " #condition);                                                                      \
            }                                                                                                          \
            uv_run(&loop, UV_RUN_NOWAIT);                                                                              \
            usleep(200);                                                                                               \
        }                                                                                                              \
    } while (0)

static void on_closed(void *context) {
    ((struct node *) context)->is_closed = true;
}

static void close_all(void) {
    for (uint32_t i = 0; i < SHARDS; i++) {
        nodes[i].engine->methods->close(nodes[i].engine, on_closed, &nodes[i]);
    }
    AWAIT(nodes[0].is_closed && nodes[1].is_closed);
    assert_true(nodes[0].primary.is_closed && nodes[1].primary.is_closed);
    engine_choice_destroy(&choice);
}

static int set_up(void **state) {
    (void) state;
    uv_loop_init(&loop);
    metrics = metrics_new();
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    metrics_destroy(&metrics);
    return 0;
}

struct asked {
    struct engine_append append;
    unsigned n_done;
    enum engine_outcome outcome;
};

static void on_appended(struct engine_append *request, enum engine_outcome outcome) {
    struct asked *asked = (struct asked *) (void *) request;
    asked->n_done++;
    asked->outcome = outcome;
}

static void append(struct node *node, struct asked *asked) {
    *asked = (struct asked){.append = {.channel = SPAN_LITERAL("a"),
                                       .options = &options_of_channel,
                                       .data = SPAN_LITERAL("{}"),
                                       .deadline_ms = clock_monotonic_ms() + PATIENCE_MS,
                                       .on_done = on_appended}};
    engine_append(node->engine, &asked->append);
}

static enum wire_mode mode_of(const struct node *node) {
    return node->engine->methods->mode(node->engine);
}

static int64_t standing_in(void) {
    return metrics_read(metrics, "callboard_broker_fallback", NULL);
}

/* ---- tests ---- */

static void a_primary_that_is_there_in_time_is_kept_for_good(void **state) {
    (void) state;
    start(PATIENCE_MS);
    say_state(&nodes[0].primary, true); /* one shard's is enough */
    AWAIT(engine_choice_read(choice) == ENGINE_CHOICE_PRIMARY);
    struct asked asked;
    append(&nodes[0], &asked);
    say_state(&nodes[0].primary, false);
    engine_choice_give_up(choice);
    assert_int_equal(engine_choice_read(choice), ENGINE_CHOICE_PRIMARY);
    complete_all(&nodes[0].primary, ENGINE_OK);
    assert_int_equal(asked.n_done, 1);
    assert_int_equal(mode_of(&nodes[0]), WIRE_MODE_REDIS);
    assert_false(nodes[0].engine->methods->is_connected(nodes[0].engine));
    assert_int_equal(nodes[0].n_doubts, 0);
    close_all();
}

static void memory_stands_in_says_so_and_leaves_when_every_shard_has_its_primary(void **state) {
    (void) state;
    struct asked early, kept, late;
    start(1);
    append(&nodes[0], &early); /* the primary has it, whatever becomes of it */
    AWAIT(mode_of(&nodes[0]) == WIRE_MODE_MEMORY && mode_of(&nodes[1]) == WIRE_MODE_MEMORY);
    assert_int_equal(standing_in(), SHARDS);
    assert_true(nodes[0].engine->methods->is_connected(nodes[0].engine));
    assert_int_equal(nodes[0].n_doubts, PARTITIONS / SHARDS);
    assert_int_equal(nodes[0].n_foreign_doubts, 0);
    append(&nodes[0], &kept);
    AWAIT(kept.n_done == 1);
    assert_int_equal(kept.outcome, ENGINE_OK);
    assert_true(kept.append.not_durable);
    assert_int_equal(kept.append.position.offset, 1);
    assert_int_equal(nodes[0].n_publications, 1);

    say_state(&nodes[0].primary, true);
    say_state(&nodes[0].primary, false); /* it came and went */
    say_state(&nodes[1].primary, true);
    assert_int_equal(engine_choice_read(choice), ENGINE_CHOICE_STAND_IN);
    append(&nodes[0], &kept); /* in the stand-in's queue when the change comes */
    say_state(&nodes[0].primary, true);
    assert_int_equal(engine_choice_read(choice), ENGINE_CHOICE_PRIMARY);
    AWAIT(mode_of(&nodes[0]) == WIRE_MODE_REDIS && mode_of(&nodes[1]) == WIRE_MODE_REDIS);
    assert_int_equal(standing_in(), 0);
    assert_int_equal(nodes[0].n_doubts, 2 * PARTITIONS / SHARDS);
    AWAIT(kept.n_done == 1);
    assert_int_equal(kept.outcome, ENGINE_OK);
    append(&nodes[0], &late);
    assert_false(list_is_empty(&nodes[0].primary.appends));
    complete_all(&nodes[0].primary, ENGINE_OK);
    assert_int_equal(early.n_done + late.n_done, 2);
    assert_false(late.append.not_durable);
    close_all();
}

static void both_know_what_is_held(void **state) {
    (void) state;
    start(1);
    nodes[0].engine->methods->hold(nodes[0].engine, SPAN_LITERAL("a"), &options_of_channel);
    AWAIT(mode_of(&nodes[0]) == WIRE_MODE_MEMORY);
    nodes[0].engine->methods->hold(nodes[0].engine, SPAN_LITERAL("b"), &options_of_channel);
    assert_int_equal(nodes[0].primary.n_held, 2);
    nodes[0].engine->methods->release(nodes[0].engine, SPAN_LITERAL("a")); /* the memory engine checks the pairs */
    nodes[0].engine->methods->release(nodes[0].engine, SPAN_LITERAL("b"));
    assert_int_equal(nodes[0].primary.n_held, 0);
    close_all();
}

static void only_the_one_that_is_asked_is_heard(void **state) {
    (void) state;
    start(1);
    AWAIT(mode_of(&nodes[0]) == WIRE_MODE_MEMORY);
    unsigned n_doubts = nodes[0].n_doubts;
    struct primary *primary = &nodes[0].primary;
    payload_t *payload = payload_new(SPAN_LITERAL("x"));
    primary->options.events->on_partition_doubt(primary->options.context, 0);
    primary->options.events->on_publication(primary->options.context, SPAN_LITERAL("a"), &(struct epoch){"e"}, 1,
                                            payload);
    payload_unref(&payload);
    nodes[0].engine->methods->lease_renew(nodes[0].engine, &(struct engine_lease){.gateway_id = SPAN_LITERAL("g")});
    assert_int_equal(nodes[0].n_doubts, n_doubts);
    assert_int_equal(nodes[0].n_publications, 0);
    assert_int_equal(primary->n_renewed, 0);
    close_all();
}

static void closing_completes_what_either_has(void **state) {
    (void) state;
    struct asked at_primary, at_stand_in;
    start(1);
    append(&nodes[0], &at_primary);
    AWAIT(mode_of(&nodes[0]) == WIRE_MODE_MEMORY);
    append(&nodes[0], &at_stand_in);
    close_all();
    assert_int_equal(at_primary.n_done, 1);
    assert_int_equal(at_stand_in.n_done, 1);
    assert_int_equal(at_primary.outcome, ENGINE_CANCELLED);
}

static void closing_in_the_first_turn_is_fine(void **state) {
    (void) state;
    start(1);
    close_all();
}

static void a_primary_that_cannot_be_made_is_an_error(void **state) {
    (void) state;
    char error[64] = "";
    nodes[0] = (struct node){.shard = 0};
    struct engine_options options = options_for(&nodes[0]);
    assert_null(engine_fallback_new(&options,
                                    &(struct engine_fallback_options){.make_primary = refuse_primary,
                                                                      .make_stand_in = make_stand_in,
                                                                      .context = &nodes[0]},
                                    error, sizeof error));
    assert_string_equal(error, "no such thing");
}

int main(void) {
#define FALLBACK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        FALLBACK_TEST(a_primary_that_is_there_in_time_is_kept_for_good),
        FALLBACK_TEST(memory_stands_in_says_so_and_leaves_when_every_shard_has_its_primary),
        FALLBACK_TEST(both_know_what_is_held),
        FALLBACK_TEST(only_the_one_that_is_asked_is_heard),
        FALLBACK_TEST(closing_completes_what_either_has),
        FALLBACK_TEST(closing_in_the_first_turn_is_fine),
        FALLBACK_TEST(a_primary_that_cannot_be_made_is_an_error),
    };
    return cmocka_run_group_tests_name("engine_fallback", tests, NULL, NULL);
}
