/* See engine_bench.h. */
#include "tests/integration/engine_bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"
#include "base/wire.h"
#include "broker/redis/engine_redis.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned number_of(struct span publication) {
    struct wire_publication decoded;
    struct cursor cursor = cursor_of(publication);
    assert_true(wire_read_publication(&cursor, &decoded));
    return (unsigned) strtoul((const char *) decoded.data.data, NULL, 10);
}

static struct seen *find_seen(struct bench *bench, unsigned channel, const struct position *position) {
    for (unsigned i = bench->n_seen; i > 0; i--) {
        if (bench->seen[i - 1].channel == channel && position_equal(&bench->seen[i - 1].position, position)) {
            return &bench->seen[i - 1];
        }
    }
    return NULL;
}

static void see(struct node *node, unsigned channel, const struct position *position, unsigned number) {
    struct bench *bench = node->bench;
    struct seen *seen = find_seen(bench, channel, position);
    if (seen == NULL) {
        assert_true(bench->n_seen < SEEN_MAX);
        seen = &bench->seen[bench->n_seen++];
        *seen = (struct seen){.position = *position, .channel = channel, .number = number};
    }
    if (seen->number != number) {
        fail_msg("(%s, %llu) names %u and %u", position->epoch.text, (unsigned long long) position->offset,
                 seen->number, number);
    }
    if (seen->by[node->number]) {
        fail_msg("(%s, %llu) was told twice", position->epoch.text, (unsigned long long) position->offset);
    }
    seen->by[node->number] = true;
}

/* ---- a node is a little shard ---- */

void bench_load(struct cursor_of_channel *cursor);

static void take(struct cursor_of_channel *cursor, const struct position *position, unsigned number) {
    see(cursor->node, cursor->channel, position, number);
    cursor->at = *position;
}

static void on_loaded(struct engine_read *request, enum engine_outcome outcome) {
    struct cursor_of_channel *cursor = list_entry(request, struct cursor_of_channel, read);
    cursor->loading = false;
    if (outcome == ENGINE_CANCELLED) {
        return;
    }
    if (outcome != ENGINE_OK) {
        cursor->load_again = true;
        return;
    }
    if (!cursor->was_set) {
        cursor->was_set = true;
        cursor->at = request->top;
    } else if (!request->complete) {
        cursor->n_lost++;
        cursor->at = request->top;
    } else {
        for (uint32_t i = 0; i < request->n_publications; i++) {
            struct span bytes = payload_span(request->publications[i]);
            struct cursor offset = cursor_of(bytes);
            const struct position position = {request->top.epoch, cursor_u64(&offset)};
            assert_int_equal(position.offset, cursor->at.offset + 1);
            take(cursor, &position, number_of(bytes));
        }
        if (cursor->at.offset < request->top.offset) {
            cursor->load_again = true; /* cut by a limit */
        }
    }
    if (cursor->load_again) {
        bench_load(cursor);
    }
}

void bench_load(struct cursor_of_channel *cursor) {
    if (cursor->loading) {
        cursor->load_again = true;
        return;
    }
    cursor->loading = true;
    cursor->load_again = false;
    cursor->read = (struct engine_read){.channel = span_of_text(cursor->node->bench->names[cursor->channel]),
                                        .options = &cursor->node->bench->options,
                                        .has_since = cursor->was_set,
                                        .since = cursor->at,
                                        .since_is_own = cursor->was_set,
                                        .limit = cursor->was_set ? 2000 : 0,
                                        .deadline_ms = clock_monotonic_ms() + 2000,
                                        .on_done = on_loaded};
    engine_read(cursor->node->engine, &cursor->read);
}

/* NULL: the node does not hold the channel. */
static struct cursor_of_channel *cursor_named(struct node *node, struct span name) {
    for (unsigned i = 0; i < node->bench->n_channels; i++) {
        if (span_equal_text(name, node->bench->names[i])) {
            return node->cursors[i].node != NULL ? &node->cursors[i] : NULL;
        }
    }
    return NULL;
}

static void on_publication(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication) {
    struct cursor_of_channel *cursor = cursor_named(context, channel);
    if (cursor == NULL) {
        return; /* an engine may tell of a channel that nobody here holds; a shard passes over it too */
    }
    if (offset == 0) {
        cursor->n_live_only++;
        return;
    }
    const struct position position = {*epoch, offset};
    if (cursor->loading || !cursor->was_set) {
        cursor->load_again = true;
    } else if (!epoch_equal(epoch, &cursor->at.epoch) || offset > cursor->at.offset + 1) {
        bench_load(cursor);
    } else if (offset == cursor->at.offset + 1) {
        take(cursor, &position, number_of(payload_span(publication)));
    }
}

static void on_presence(void *context, struct span channel, bool joined, const struct engine_presence_entry *entry) {
    (void) context;
    (void) channel;
    (void) joined;
    (void) entry;
}

static void on_doubt(void *context, struct span channel) {
    struct cursor_of_channel *cursor = cursor_named(context, channel);
    if (cursor != NULL && cursor->was_set) {
        bench_load(cursor);
    }
}

static void on_partition_doubt(void *context, uint32_t partition) {
    struct node *node = context;
    node->n_partition_doubts++;
    for (unsigned i = 0; i < node->bench->n_channels; i++) {
        if (partition_of(span_of_text(node->bench->names[i]), PARTITIONS) == partition) {
            on_doubt(node, span_of_text(node->bench->names[i]));
        }
    }
}

static void on_leases(void *context, const struct engine_lease *leases, size_t n_leases) {
    (void) context;
    (void) leases;
    (void) n_leases;
}

static void on_state(void *context, bool connected, bool pubsub_connected, const char *reason) {
    struct node *node = context;
    node->connected = connected;
    node->pubsub_connected = pubsub_connected;
    snprintf(node->reason, sizeof node->reason, "%s", reason);
}

static const struct engine_events events = {.on_publication = on_publication,
                                            .on_presence = on_presence,
                                            .on_doubt = on_doubt,
                                            .on_partition_doubt = on_partition_doubt,
                                            .on_leases = on_leases,
                                            .on_state = on_state};

/* ---- the bench ---- */

static void on_prepare(uv_prepare_t *prepare) {
    struct bench *bench = prepare->data;
    for (unsigned i = 0; i < NODES; i++) {
        if (bench->nodes[i].engine != NULL && !bench->nodes[i].is_closed) {
            bench->nodes[i].engine->methods->flush(bench->nodes[i].engine);
        }
    }
}

/* Loads that were refused for the moment are tried again, as a shard does. */
static void on_retry(uv_timer_t *timer) {
    struct bench *bench = timer->data;
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned k = 0; k < bench->n_channels; k++) {
            struct cursor_of_channel *cursor = &bench->nodes[i].cursors[k];
            if (bench->nodes[i].engine != NULL && cursor->load_again && !cursor->loading) {
                bench_load(cursor);
            }
        }
    }
}

static void on_timer(uv_timer_t *timer) {
    ((struct bench *) timer->data)->timer_fired = true;
}

void bench_set_timer(struct bench *bench, uint64_t ms) {
    bench->timer_fired = false;
    uv_update_time(&bench->loop);
    uv_timer_start(&bench->timer, on_timer, ms, 0);
}

void bench_pass(struct bench *bench, uint64_t ms) {
    bench_set_timer(bench, ms);
    while (!bench->timer_fired) {
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
}

struct bench *bench_new(const char *const *config_lines) {
    redis_server_t *server = redis_server_start(config_lines);
    struct bench *bench = bench_new_at(redis_server_url(server));
    bench->server = server;
    return bench;
}

struct bench *bench_new_at(const char *url) {
    struct bench *bench = memory_alloc_zero(sizeof *bench);
    bench->config.redis_url = (char *) url;
    bench->config.redis_compared_channels = 50000;
    uv_loop_init(&bench->loop);
    uv_prepare_init(&bench->loop, &bench->prepare);
    uv_timer_init(&bench->loop, &bench->timer);
    uv_timer_init(&bench->loop, &bench->retry);
    bench->prepare.data = bench;
    bench->timer.data = bench;
    bench->retry.data = bench;
    uv_prepare_start(&bench->prepare, on_prepare);
    uv_timer_start(&bench->retry, on_retry, 50, 50);
    bench->metrics = metrics_new();
    bench->options = (struct namespace_options){
        .name = (char *) "", .history_size = 10000, .history_ttl_ms = 600000, .history_meta_ttl_ms = 6000000};
    bench->namespaces[0] = bench->options;
    bench->namespace_set = namespace_set_new(&(struct config_section_list){.items = bench->namespaces, .n = 1});
    bench->published = memory_alloc_array(PUBLISHED_MAX, sizeof *bench->published);
    bench->seen = memory_alloc_array(SEEN_MAX, sizeof *bench->seen);
    return bench;
}

engine_t *bench_make_engine(struct node *node, uint32_t n_partitions) {
    const struct engine_options options = {.loop = &node->bench->loop,
                                           .n_shards = 1,
                                           .n_partitions = n_partitions,
                                           .broker_id = "b",
                                           .boot_nonce = random_u64(),
                                           .metrics = node->bench->metrics,
                                           .namespaces = node->bench->namespace_set,
                                           .events = &events,
                                           .context = node};
    char error[256] = "";
    engine_t *engine = engine_redis_new(&options, &node->bench->config, error, sizeof error);
    if (engine == NULL) {
        fail_msg("%s", error);
    }
    return engine;
}

struct node *bench_start_node(struct bench *bench, unsigned number) {
    struct node *node = &bench->nodes[number];
    *node = (struct node){.bench = bench, .number = number};
    node->engine = bench_make_engine(node, PARTITIONS);
    return node;
}

static void on_closed(void *context) {
    ((struct node *) context)->is_closed = true;
}

void bench_stop_node(struct node *node) {
    if (node->engine != NULL) {
        node->engine->methods->close(node->engine, on_closed, node);
        bench_wait_for(node->bench, node->is_closed);
        node->engine = NULL;
    }
}

void bench_destroy(struct bench *bench) {
    for (unsigned i = 0; i < NODES; i++) {
        bench_stop_node(&bench->nodes[i]);
    }
    uv_close((uv_handle_t *) &bench->prepare, NULL);
    uv_close((uv_handle_t *) &bench->timer, NULL);
    uv_close((uv_handle_t *) &bench->retry, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    namespace_set_destroy(&bench->namespace_set);
    metrics_destroy(&bench->metrics);
    redis_server_stop(&bench->server);
    memory_free(bench->published);
    memory_free(bench->seen);
    memory_free(bench);
}

bool bench_is_sure(struct node *node, unsigned channel) {
    return node->engine->methods->is_sure(node->engine, span_of_text(node->bench->names[channel]));
}

/* All nodes hold the channel and have loaded it. */
unsigned bench_add_channel(struct bench *bench, const char *name) {
    unsigned channel = bench->n_channels++;
    snprintf(bench->names[channel], sizeof bench->names[channel], "%s", name);
    for (unsigned i = 0; i < NODES; i++) {
        struct node *node = &bench->nodes[i];
        if (node->engine != NULL) {
            node->cursors[channel] = (struct cursor_of_channel){.node = node, .channel = channel};
            node->engine->methods->hold(node->engine, span_of_text(name), &bench->options);
            bench_wait_for(bench, bench_is_sure(node, channel));
            bench_load(&node->cursors[channel]);
            bench_wait_for(bench, node->cursors[channel].was_set);
        }
    }
    return channel;
}

void bench_start_all(struct bench *bench) {
    for (unsigned i = 0; i < NODES; i++) {
        bench_start_node(bench, i);
    }
    bench_add_channel(bench, "room");
}

struct bench *bench_with_channel(const char *const *config_lines) {
    struct bench *bench = bench_new(config_lines);
    bench_start_all(bench);
    return bench;
}

/* ---- publishing ---- */

static void on_append_done(struct engine_append *request, enum engine_outcome outcome) {
    struct append *append = list_entry(request, struct append, request);
    struct bench *bench = append->node->bench;
    struct published *published = &bench->published[append->number];
    bench->n_under_way--;
    assert_int_equal(published->fate, FATE_UNDER_WAY);
    published->outcome = outcome;
    published->not_durable = request->not_durable;
    published->position = request->position;
    published->fate = outcome == ENGINE_OK                                       ? FATE_OK
                      : outcome == ENGINE_UNKNOWN || outcome == ENGINE_CANCELLED ? FATE_UNKNOWN
                                                                                 : FATE_NO;
    memory_free(append);
}

unsigned bench_publish_with(struct node *node, unsigned channel, const struct namespace_options *options,
                            uint64_t deadline_ms) {
    struct bench *bench = node->bench;
    assert_true(bench->n_published < PUBLISHED_MAX);
    struct append *append = memory_alloc_zero(sizeof *append);
    append->node = node;
    append->number = bench->n_published++;
    bench->published[append->number] = (struct published){.channel = channel};
    bench->n_under_way++;
    char text[16];
    snprintf(text, sizeof text, "%u", append->number);
    append->request = (struct engine_append){.channel = span_of_text(bench->names[channel]),
                                             .options = options,
                                             .data = span_of(text, strlen(text) + 1),
                                             .deadline_ms = clock_monotonic_ms() + deadline_ms,
                                             .on_done = on_append_done};
    engine_append(node->engine, &append->request);
    return append->number;
}

unsigned bench_publish(struct node *node, unsigned channel) {
    return bench_publish_with(node, channel, &node->bench->options, 2000);
}

const struct published *bench_publish_and_wait(struct node *node, unsigned channel) {
    unsigned number = bench_publish(node, channel);
    bench_wait_for(node->bench, node->bench->published[number].fate != FATE_UNDER_WAY);
    return &node->bench->published[number];
}

void bench_assert_published(const struct published *published, enum engine_outcome outcome) {
    assert_string_equal(engine_outcome_text(published->outcome), engine_outcome_text(outcome));
}

/* A little of traffic from every node for some time. */
void bench_traffic(struct bench *bench, uint64_t ms) {
    uint64_t end_ms = clock_monotonic_ms() + ms;
    for (unsigned i = 0; clock_monotonic_ms() < end_ms; i++) {
        struct node *node = &bench->nodes[i % NODES];
        if (node->engine != NULL && bench->n_under_way < 200) {
            bench_publish(node, i % bench->n_channels);
        }
        bench_pass(bench, 1);
    }
}

/* ---- judging ---- */

bool bench_is_quiet(struct bench *bench) {
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned k = 0; bench->nodes[i].engine != NULL && k < bench->n_channels; k++) {
            if (bench->nodes[i].cursors[k].loading || bench->nodes[i].cursors[k].load_again) {
                return false;
            }
        }
    }
    return bench->n_under_way == 0;
}

bool bench_all_saw(struct bench *bench, unsigned channel, const struct position *position) {
    const struct seen *seen = find_seen(bench, channel, position);
    for (unsigned i = 0; i < NODES; i++) {
        if (bench->nodes[i].engine != NULL && (seen == NULL || !seen->by[i])) {
            return false;
        }
    }
    return true;
}

/* A last publication comes through everywhere; then everything that was said is compared. */
void bench_judge(struct bench *bench) {
    bench_wait_for(bench, bench_is_quiet(bench));
    for (unsigned channel = 0; channel < bench->n_channels; channel++) {
        const struct published *canary = bench_publish_and_wait(&bench->nodes[0], channel);
        bench_assert_published(canary, ENGINE_OK);
        bench_wait_for(bench,
                       bench_all_saw(bench, channel, &canary->position) ||
                           (bench->nodes[0].cursors[channel].n_lost + bench->nodes[1].cursors[channel].n_lost > 0 &&
                            bench_is_quiet(bench)));
    }
    bench_wait_for(bench, bench_is_quiet(bench));
    unsigned char *times = memory_alloc_zero(bench->n_published + 1);
    for (unsigned i = 0; i < bench->n_seen; i++) {
        const struct seen *seen = &bench->seen[i];
        const struct published *published = &bench->published[seen->number];
        assert_int_not_equal(published->fate, FATE_NO);
        assert_int_equal(times[seen->number], 0);
        times[seen->number] = 1;
        if (published->fate == FATE_OK && epoch_equal(&published->position.epoch, &seen->position.epoch)) {
            assert_int_equal(published->position.offset, seen->position.offset);
        }
    }
    for (unsigned i = 0; i < bench->n_published; i++) {
        const struct published *published = &bench->published[i];
        bool nobody_lost = true;
        for (unsigned k = 0; k < NODES; k++) {
            nobody_lost = nobody_lost && bench->nodes[k].cursors[published->channel].n_lost == 0;
        }
        if (published->fate == FATE_OK && published->position.offset > 0 && nobody_lost) {
            assert_true(bench_all_saw(bench, published->channel, &published->position));
        }
    }
    memory_free(times);
}

char *bench_key_of(struct bench *bench, unsigned channel, const char *what) {
    struct partition_tag tags[PARTITIONS];
    partition_tags(PARTITIONS, tags);
    char *key = memory_alloc(96);
    uint32_t partition = partition_of(span_of_text(bench->names[channel]), PARTITIONS);
    snprintf(key, 96, "cb:{%s}:%s%s%s", tags[partition].text, what, what[0] == 'p' ? "" : ":",
             what[0] == 'p' ? "" : bench->names[channel]);
    return key;
}

unsigned bench_lost(struct bench *bench, unsigned channel) {
    return bench->nodes[0].cursors[channel].n_lost + bench->nodes[1].cursors[channel].n_lost;
}
