/* engine_redis under faults of a real redis-server: cut links, stopped and killed servers, lost and foreign data, two
 * brokers. Every node behaves as a shard does (a cursor a channel; ahead, another epoch or a doubt → load from the
 * cursor), and a referee shared by all checks what may never happen: a pair (epoch, offset) with two payloads, a step
 * other than one that nobody was told of, a publication that was refused for sure and yet exists, one that appears
 * twice. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"
#include "base/wire.h"
#include "broker/redis/engine_redis.h"
#include "tests/support/redis_server.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

enum { NODES = 2, CHANNELS_MAX = 4, SEEN_MAX = 65536, PUBLISHED_MAX = 65536, PATIENCE_MS = 30000, PARTITIONS = 64 };

/* ---- the referee ---- */

enum fate { FATE_UNDER_WAY, FATE_OK, FATE_NO, FATE_UNKNOWN };

struct published {
    enum fate fate;
    enum engine_outcome outcome;
    struct position position;
    bool not_durable;
    unsigned channel;
};

struct seen {
    struct position position;
    unsigned channel;
    unsigned number; /* of the publication */
    bool by[NODES];
};

struct bench;

struct cursor_of_channel {
    struct position at;
    bool loading;
    bool load_again;
    bool was_set;
    unsigned n_lost;
    unsigned n_live_only;
    struct engine_read read;
    struct node *node;
    unsigned channel;
};

struct node {
    struct bench *bench;
    unsigned number;
    engine_t *engine;
    struct cursor_of_channel cursors[CHANNELS_MAX];
    bool is_closed;
    bool connected;
    bool pubsub_connected;
    char reason[128];
    unsigned n_partition_doubts;
};

struct append {
    struct engine_append request;
    struct node *node;
    unsigned number;
};

struct bench {
    redis_server_t *server;
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_timer_t retry;
    bool timer_fired;
    metrics_t *metrics;
    struct namespace_options options;
    struct namespace_options namespaces[1];
    namespace_set_t *namespace_set;
    char *password;
    char names[CHANNELS_MAX][32];
    unsigned n_channels;
    struct node nodes[NODES];
    struct published *published;
    unsigned n_published;
    unsigned n_under_way;
    struct seen *seen;
    unsigned n_seen;
};

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

static void load(struct cursor_of_channel *cursor);

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
        load(cursor);
    }
}

static void load(struct cursor_of_channel *cursor) {
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

static struct cursor_of_channel *cursor_named(struct node *node, struct span name) {
    for (unsigned i = 0; i < node->bench->n_channels; i++) {
        if (span_equal_text(name, node->bench->names[i])) {
            return &node->cursors[i];
        }
    }
    return NULL;
}

static void on_publication(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication) {
    struct cursor_of_channel *cursor = cursor_named(context, channel);
    assert_non_null(cursor);
    if (offset == 0) {
        cursor->n_live_only++;
        return;
    }
    const struct position position = {*epoch, offset};
    if (cursor->loading || !cursor->was_set) {
        cursor->load_again = true;
    } else if (!epoch_equal(epoch, &cursor->at.epoch) || offset > cursor->at.offset + 1) {
        load(cursor);
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
        load(cursor);
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
                load(cursor);
            }
        }
    }
}

static void on_timer(uv_timer_t *timer) {
    ((struct bench *) timer->data)->timer_fired = true;
}

static void set_timer(struct bench *bench, uint64_t ms) {
    bench->timer_fired = false;
    uv_update_time(&bench->loop);
    uv_timer_start(&bench->timer, on_timer, ms, 0);
}

#define wait_for(bench, condition)                                                                                     \
    do {                                                                                                               \
        set_timer(bench, PATIENCE_MS);                                                                                 \
        while (!(condition)) {                                                                                         \
            if ((bench)->timer_fired) {                                                                                \
                fail_msg("waited in vain for: %s (%s; %s)", #condition, (bench)->nodes[0].reason,                      \
                         (bench)->nodes[1].reason);                                                                    \
            }                                                                                                          \
            uv_run(&(bench)->loop, UV_RUN_ONCE);                                                                       \
        }                                                                                                              \
    } while (0)

static void pass(struct bench *bench, uint64_t ms) {
    set_timer(bench, ms);
    while (!bench->timer_fired) {
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
}

static struct bench *bench_new(const char *const *config_lines) {
    struct bench *bench = memory_alloc_zero(sizeof *bench);
    bench->server = redis_server_start(config_lines);
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

static struct broker_config config_of(struct bench *bench) {
    return (struct broker_config){.redis_url = (char *) redis_server_url(bench->server),
                                  .redis_password = bench->password};
}

static engine_t *make_engine(struct node *node, uint32_t n_partitions) {
    const struct engine_options options = {.loop = &node->bench->loop,
                                           .n_shards = 1,
                                           .n_partitions = n_partitions,
                                           .broker_id = "b",
                                           .boot_nonce = random_u64(),
                                           .metrics = node->bench->metrics,
                                           .namespaces = node->bench->namespace_set,
                                           .events = &events,
                                           .context = node};
    struct broker_config config = config_of(node->bench);
    char error[256] = "";
    engine_t *engine = engine_redis_new(&options, &config, error, sizeof error);
    if (engine == NULL) {
        fail_msg("%s", error);
    }
    return engine;
}

static struct node *start_node(struct bench *bench, unsigned number) {
    struct node *node = &bench->nodes[number];
    *node = (struct node){.bench = bench, .number = number};
    node->engine = make_engine(node, PARTITIONS);
    return node;
}

static void on_closed(void *context) {
    ((struct node *) context)->is_closed = true;
}

static void stop_node(struct node *node) {
    if (node->engine != NULL) {
        node->engine->methods->close(node->engine, on_closed, node);
        wait_for(node->bench, node->is_closed);
        node->engine = NULL;
    }
}

static void bench_destroy(struct bench *bench) {
    for (unsigned i = 0; i < NODES; i++) {
        stop_node(&bench->nodes[i]);
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

static bool is_sure(struct node *node, unsigned channel) {
    return node->engine->methods->is_sure(node->engine, span_of_text(node->bench->names[channel]));
}

/* All nodes hold the channel and have loaded it. */
static unsigned add_channel(struct bench *bench, const char *name) {
    unsigned channel = bench->n_channels++;
    snprintf(bench->names[channel], sizeof bench->names[channel], "%s", name);
    for (unsigned i = 0; i < NODES; i++) {
        struct node *node = &bench->nodes[i];
        if (node->engine != NULL) {
            node->cursors[channel] = (struct cursor_of_channel){.node = node, .channel = channel};
            node->engine->methods->hold(node->engine, span_of_text(name), &bench->options);
            wait_for(bench, is_sure(node, channel));
            load(&node->cursors[channel]);
            wait_for(bench, node->cursors[channel].was_set);
        }
    }
    return channel;
}

static struct bench *bench_with_channel(const char *const *config_lines) {
    struct bench *bench = bench_new(config_lines);
    for (unsigned i = 0; i < NODES; i++) {
        start_node(bench, i);
    }
    add_channel(bench, "room");
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

static unsigned publish_with(struct node *node, unsigned channel, const struct namespace_options *options,
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

static unsigned publish(struct node *node, unsigned channel) {
    return publish_with(node, channel, &node->bench->options, 2000);
}

static const struct published *publish_and_wait(struct node *node, unsigned channel) {
    unsigned number = publish(node, channel);
    wait_for(node->bench, node->bench->published[number].fate != FATE_UNDER_WAY);
    return &node->bench->published[number];
}

static void assert_published(const struct published *published, enum engine_outcome outcome) {
    assert_string_equal(engine_outcome_text(published->outcome), engine_outcome_text(outcome));
}

/* A little of traffic from every node for some time. */
static void traffic(struct bench *bench, uint64_t ms) {
    uint64_t end_ms = clock_monotonic_ms() + ms;
    for (unsigned i = 0; clock_monotonic_ms() < end_ms; i++) {
        struct node *node = &bench->nodes[i % NODES];
        if (node->engine != NULL && bench->n_under_way < 200) {
            publish(node, i % bench->n_channels);
        }
        pass(bench, 1);
    }
}

/* ---- judging ---- */

static bool is_quiet(struct bench *bench) {
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned k = 0; bench->nodes[i].engine != NULL && k < bench->n_channels; k++) {
            if (bench->nodes[i].cursors[k].loading || bench->nodes[i].cursors[k].load_again) {
                return false;
            }
        }
    }
    return bench->n_under_way == 0;
}

static bool all_saw(struct bench *bench, unsigned channel, const struct position *position) {
    const struct seen *seen = find_seen(bench, channel, position);
    for (unsigned i = 0; i < NODES; i++) {
        if (bench->nodes[i].engine != NULL && (seen == NULL || !seen->by[i])) {
            return false;
        }
    }
    return true;
}

/* A last publication comes through everywhere; then everything that was said is compared. */
static void judge(struct bench *bench) {
    wait_for(bench, is_quiet(bench));
    for (unsigned channel = 0; channel < bench->n_channels; channel++) {
        const struct published *canary = publish_and_wait(&bench->nodes[0], channel);
        assert_published(canary, ENGINE_OK);
        wait_for(bench, all_saw(bench, channel, &canary->position) ||
                            (bench->nodes[0].cursors[channel].n_lost + bench->nodes[1].cursors[channel].n_lost > 0 &&
                             is_quiet(bench)));
    }
    wait_for(bench, is_quiet(bench));
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
            assert_true(all_saw(bench, published->channel, &published->position));
        }
    }
    memory_free(times);
}

static char *key_of(struct bench *bench, unsigned channel, const char *what) {
    struct partition_tag tags[PARTITIONS];
    partition_tags(PARTITIONS, tags);
    char *key = memory_alloc(96);
    uint32_t partition = partition_of(span_of_text(bench->names[channel]), PARTITIONS);
    snprintf(key, 96, "cb:{%s}:%s%s%s", tags[partition].text, what, what[0] == 'p' ? "" : ":",
             what[0] == 'p' ? "" : bench->names[channel]);
    return key;
}

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

static unsigned lost(struct bench *bench, unsigned channel) {
    return bench->nodes[0].cursors[channel].n_lost + bench->nodes[1].cursors[channel].n_lost;
}

/* ---- specs: links ---- */

static void a_script_flush_is_not_noticed(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    redis(bench, "SCRIPT FLUSH");
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    redis(bench, "SCRIPT FLUSH");
    load(&bench->nodes[1].cursors[0]);
    judge(bench);
    assert_int_equal(lost(bench, 0), 0);
    bench_destroy(bench);
}

static void a_cut_command_link_costs_no_publication_and_doubles_none(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    for (int i = 0; i < 5; i++) {
        traffic(bench, 100);
        redis(bench, "CLIENT KILL TYPE normal");
    }
    traffic(bench, 100);
    judge(bench);
    assert_int_equal(lost(bench, 0), 0);
    for (unsigned i = 0; i < bench->n_published; i++) {
        assert_published(&bench->published[i], ENGINE_OK); /* sent again under its number, inside the deadline */
    }
    bench_destroy(bench);
}

static void a_cut_pubsub_link_costs_no_publication(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    for (int i = 0; i < 5; i++) {
        traffic(bench, 100);
        redis(bench, "CLIENT KILL TYPE pubsub");
    }
    traffic(bench, 100);
    judge(bench);
    assert_int_equal(lost(bench, 0), 0);
    bench_destroy(bench);
}

static void both_links_cut_at_once_cost_no_publication(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    for (int i = 0; i < 5; i++) {
        traffic(bench, 100);
        redis(bench, "CLIENT KILL TYPE pubsub");
        redis(bench, "CLIENT KILL TYPE normal");
    }
    traffic(bench, 100);
    judge(bench);
    assert_int_equal(lost(bench, 0), 0);
    bench_destroy(bench);
}

static void a_lost_batch_of_the_topic_is_found_and_read(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    publish_and_wait(&bench->nodes[0], 0);
    /* A batch that nobody hears of: the number moves without a message. */
    redis_script(bench,
                 "local g, n = struct.unpack('<c16I8', redis.call('HGET', KEYS[1], 's')) "
                 "return redis.call('HSET', KEYS[1], 's', struct.pack('<c16I8', g, n + 1))",
                 key_of(bench, 0, "p"));
    traffic(bench, 300);
    judge(bench);
    assert_int_equal(lost(bench, 0), 0);
    bench_destroy(bench);
}

/* ---- specs: Redis stands still, dies, forgets ---- */

static void a_stopped_redis_ends_publishes_as_unknown_and_nothing_is_doubled(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    traffic(bench, 100);
    wait_for(bench, is_quiet(bench));
    redis_server_pause(bench->server);
    unsigned first = bench->n_published;
    traffic(bench, 500);
    wait_for(bench, bench->n_under_way == 0);
    unsigned n_unknown = 0;
    for (unsigned i = first; i < bench->n_published; i++) {
        assert_int_not_equal(bench->published[i].fate, FATE_OK);
        n_unknown += bench->published[i].fate == FATE_UNKNOWN;
    }
    assert_true(n_unknown > 0); /* what was sent; what still waited here is a sure no */
    redis_server_resume(bench->server);
    wait_for(bench, is_sure(&bench->nodes[0], 0) && is_sure(&bench->nodes[1], 0));
    traffic(bench, 100);
    judge(bench);
    assert_int_equal(lost(bench, 0), 0);
    bench_destroy(bench);
}

static void a_batch_whose_answer_was_lost_is_sent_again_and_happens_once(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    publish_and_wait(&bench->nodes[0], 0); /* the server knows the script */
    redis_server_pause(bench->server);
    unsigned first = bench->n_published;
    for (int i = 0; i < 10; i++) {
        publish_with(&bench->nodes[0], 0, &bench->options, 15000);
    }
    /* It lies in the stopped server's socket while the link is given up: executed later, with nobody to answer to. */
    wait_for(bench, !bench->nodes[0].connected);
    redis_server_resume(bench->server);
    wait_for(bench, bench->n_under_way == 0);
    for (unsigned i = first; i < bench->n_published; i++) {
        assert_published(&bench->published[i], ENGINE_OK);
        assert_int_equal(bench->published[i].position.offset, i - first + 2);
    }
    char *key = key_of(bench, 0, "s");
    char *answer = redis_server_command(bench->server, "XLEN %s", key);
    assert_string_equal(answer, "11");
    memory_free(answer);
    memory_free(key);
    judge(bench);
    assert_int_equal(lost(bench, 0), 0);
    bench_destroy(bench);
}

static void after_kill_and_restart_every_channel_has_a_new_epoch_and_keeps_its_history(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel((const char *const[]){"appendonly yes", "appendfsync always", NULL});
    struct position last = {.offset = 0};
    for (int i = 0; i < 20; i++) {
        last = publish_and_wait(&bench->nodes[0], 0)->position;
    }
    redis_server_kill(bench->server);
    redis_server_restart(bench->server);
    wait_for(bench, lost(bench, 0) >= 2 && is_quiet(bench));
    const struct published *next = publish_and_wait(&bench->nodes[1], 0);
    assert_published(next, ENGINE_OK);
    assert_false(epoch_equal(&next->position.epoch, &last.epoch));
    assert_int_equal(next->position.offset, last.offset + 1);
    char *key = key_of(bench, 0, "s");
    char *answer = redis_server_command(bench->server, "XLEN %s", key);
    assert_string_equal(answer, "21");
    memory_free(answer);
    memory_free(key);
    judge(bench);
    assert_int_equal(lost(bench, 0), 2); /* told once to each */
    bench_destroy(bench);
}

static void publishes_over_a_restart_are_told_truthfully(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel((const char *const[]){"appendonly yes", "appendfsync everysec", NULL});
    for (int i = 0; i < 3; i++) {
        traffic(bench, 150);
        redis_server_kill(bench->server);
        traffic(bench, 50);
        redis_server_restart(bench->server);
        traffic(bench, 300);
    }
    judge(bench);
    assert_true(lost(bench, 0) >= 2);
    bench_destroy(bench);
}

static void after_flushall_subscribers_are_told_and_offsets_begin_anew(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    struct position last = publish_and_wait(&bench->nodes[0], 0)->position;
    redis(bench, "FLUSHALL");
    wait_for(bench, lost(bench, 0) >= 2 && is_quiet(bench));
    const struct published *next = publish_and_wait(&bench->nodes[1], 0);
    assert_false(epoch_equal(&next->position.epoch, &last.epoch));
    assert_int_equal(next->position.offset, 1);
    judge(bench);
    bench_destroy(bench);
}

static void a_lost_meta_key_changes_the_epoch_of_that_channel_alone(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    unsigned other = add_channel(bench, "other");
    struct position before = {.offset = 0};
    for (int i = 0; i < 3; i++) {
        before = publish_and_wait(&bench->nodes[0], 0)->position;
        publish_and_wait(&bench->nodes[0], other);
    }
    redis_on_key(bench, "DEL %s", key_of(bench, 0, "m"));
    const struct published *next = publish_and_wait(&bench->nodes[0], 0);
    assert_published(next, ENGINE_OK);
    assert_false(epoch_equal(&next->position.epoch, &before.epoch));
    assert_int_equal(next->position.offset, 4);
    wait_for(bench, lost(bench, 0) == 2);
    judge(bench);
    assert_int_equal(lost(bench, other), 0);
    bench_destroy(bench);
}

static void a_position_above_the_top_of_redis_breaks_that_channel(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    struct position before = {.offset = 0};
    for (int i = 0; i < 5; i++) {
        before = publish_and_wait(&bench->nodes[0], 0)->position;
    }
    wait_for(bench, all_saw(bench, 0, &before));
    /* An old copy of the channel comes back: what was told is above it. */
    redis_script(bench,
                 "local m = redis.call('HGET', KEYS[1], 'c') "
                 "return redis.call('HSET', KEYS[1], 'c', string.sub(m, 1, 33) .. struct.pack('<I8', 3))",
                 key_of(bench, 0, "m"));
    redis_on_key(bench, "DEL %s", key_of(bench, 0, "s"));
    const struct published *next = publish_and_wait(&bench->nodes[1], 0);
    assert_published(next, ENGINE_OK);
    assert_false(epoch_equal(&next->position.epoch, &before.epoch));
    wait_for(bench, lost(bench, 0) == 2);
    judge(bench);
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
    unsigned other = add_channel(bench, name);
    redis_on_key(bench, "DEL %s", key_of(bench, 0, "m"));
    redis_on_key(bench, "SET %s foreign", key_of(bench, 0, "m"));
    unsigned bad = publish(&bench->nodes[0], 0);
    unsigned good = publish(&bench->nodes[0], other);
    wait_for(bench, bench->n_under_way == 0);
    assert_published(&bench->published[bad], ENGINE_CORRUPT);
    assert_published(&bench->published[good], ENGINE_OK);
    redis_on_key(bench, "DEL %s", key_of(bench, 0, "m"));
    judge(bench);
    bench_destroy(bench);
}

static void a_foreign_stream_is_refused_and_the_rest_of_the_batch_goes_on(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    publish_and_wait(&bench->nodes[0], 0);
    redis_on_key(bench, "DEL %s", key_of(bench, 0, "s"));
    redis_on_key(bench, "SADD %s foreign", key_of(bench, 0, "s"));
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_CORRUPT);
    redis_on_key(bench, "DEL %s", key_of(bench, 0, "s"));
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    judge(bench);
    bench_destroy(bench);
}

/* ---- specs: Redis refuses ---- */

static void out_of_memory_is_a_sure_no_that_passes(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    redis(bench, "CONFIG SET maxmemory 1");
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_TEMPORARY);
    redis(bench, "CONFIG SET maxmemory 0");
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    judge(bench);
    assert_int_equal(lost(bench, 0), 0);
    bench_destroy(bench);
}

static void missing_replicas_are_a_sure_no_that_passes(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    redis(bench, "CONFIG SET min-replicas-to-write 1");
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_TEMPORARY);
    redis(bench, "CONFIG SET min-replicas-to-write 0");
    assert_published(publish_and_wait(&bench->nodes[0], 0), ENGINE_OK);
    judge(bench);
    bench_destroy(bench);
}

static void demoted_and_promoted_again_redis_is_met_as_a_new_reign(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    struct position before = publish_and_wait(&bench->nodes[0], 0)->position;
    redis(bench, "REPLICAOF 127.0.0.1 1");
    unsigned number = publish(&bench->nodes[0], 0);
    pass(bench, 300);
    assert_int_equal(bench->published[number].fate, FATE_UNDER_WAY); /* it waits for its deadline */
    redis(bench, "REPLICAOF NO ONE");
    wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    wait_for(bench, is_sure(&bench->nodes[0], 0) && is_sure(&bench->nodes[1], 0));
    const struct published *next = publish_and_wait(&bench->nodes[0], 0);
    assert_published(next, ENGINE_OK);
    assert_false(epoch_equal(&next->position.epoch, &before.epoch));
    wait_for(bench, lost(bench, 0) >= 2);
    judge(bench);
    bench_destroy(bench);
}

static void a_wrong_password_is_said_and_appends_are_refused_for_sure(void **state) {
    (void) state;
    struct bench *bench = bench_new((const char *const[]){"requirepass right", NULL});
    bench->password = (char *) "wrong";
    struct node *node = start_node(bench, 0);
    bench->n_channels = 1;
    strcpy(bench->names[0], "room");
    unsigned number = publish_with(node, 0, &bench->options, 500);
    wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    assert_published(&bench->published[number], ENGINE_TEMPORARY);
    assert_false(node->connected);
    assert_string_equal(node->reason, "Redis refused user or password");
    stop_node(node);
    bench->password = (char *) "right";
    node = start_node(bench, 0);
    wait_for(bench, node->connected && node->pubsub_connected);
    assert_published(publish_and_wait(node, 0), ENGINE_OK);
    bench_destroy(bench);
}

static void another_number_of_partitions_is_refused(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    stop_node(&bench->nodes[1]);
    struct node *node = &bench->nodes[1];
    *node = (struct node){.bench = bench, .number = 1};
    node->engine = make_engine(node, 2 * PARTITIONS);
    wait_for(bench, node->reason[0] != '\0');
    assert_false(node->connected);
    assert_string_equal(node->reason, "the data in Redis has another number of partitions than broker.partitions");
    bench_destroy(bench);
}

static void no_redis_at_all_is_no_error_and_ends_appends_at_their_deadline(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    redis_server_kill(bench->server);
    struct node *node = start_node(bench, 0);
    bench->n_channels = 1;
    strcpy(bench->names[0], "room");
    unsigned number = publish_with(node, 0, &bench->options, 400);
    wait_for(bench, bench->published[number].fate != FATE_UNDER_WAY);
    assert_published(&bench->published[number], ENGINE_TEMPORARY);
    redis_server_restart(bench->server);
    wait_for(bench, node->connected && node->pubsub_connected);
    assert_published(publish_and_wait(node, 0), ENGINE_OK);
    bench_destroy(bench);
}

static void while_redis_is_away_publications_pass_live_where_the_namespace_says_so(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel((const char *const[]){"appendonly yes", NULL});
    struct namespace_options memory = bench->options;
    memory.on_engine_down = ENGINE_DOWN_MEMORY;
    struct namespace_options plain = {.name = (char *) ""};
    publish_and_wait(&bench->nodes[0], 0);
    redis_server_kill(bench->server);
    wait_for(bench, !bench->nodes[0].connected);
    unsigned refused = publish_with(&bench->nodes[0], 0, &bench->options, 1500);
    unsigned live = publish_with(&bench->nodes[0], 0, &memory, 1500);
    unsigned without_history = publish_with(&bench->nodes[0], 0, &plain, 1500);
    wait_for(bench, bench->n_under_way == 0);
    assert_published(&bench->published[refused], ENGINE_TEMPORARY);
    assert_published(&bench->published[live], ENGINE_OK);
    assert_true(bench->published[live].not_durable);
    assert_int_equal(bench->published[live].position.offset, 0);
    assert_published(&bench->published[without_history], ENGINE_OK);
    assert_true(bench->published[without_history].not_durable);
    assert_int_equal(bench->nodes[0].cursors[0].n_live_only, 2);
    redis_server_restart(bench->server);
    wait_for(bench, is_sure(&bench->nodes[0], 0) && is_sure(&bench->nodes[1], 0));
    judge(bench);
    bench_destroy(bench);
}

/* ---- specs: two brokers ---- */

static void two_brokers_under_load_tell_one_order(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    add_channel(bench, "second");
    add_channel(bench, "third");
    traffic(bench, 1000);
    judge(bench);
    for (unsigned i = 0; i < bench->n_channels; i++) {
        assert_int_equal(lost(bench, i), 0);
    }
    bench_destroy(bench);
}

static void a_broker_that_dies_leaves_no_trace_for_the_other(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel(NULL);
    traffic(bench, 100);
    stop_node(&bench->nodes[1]);
    traffic(bench, 100);
    judge(bench);
    assert_int_equal(bench->nodes[0].cursors[0].n_lost, 0);
    bench_destroy(bench);
}

static void everything_at_once_stays_truthful(void **state) {
    (void) state;
    struct bench *bench = bench_with_channel((const char *const[]){"appendonly yes", "appendfsync everysec", NULL});
    add_channel(bench, "second");
    for (unsigned i = 0; i < 12; i++) {
        traffic(bench, 80);
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
            traffic(bench, 150);
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
    traffic(bench, 100);
    judge(bench);
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
        cmocka_unit_test(two_brokers_under_load_tell_one_order),
        cmocka_unit_test(a_broker_that_dies_leaves_no_trace_for_the_other),
        cmocka_unit_test(everything_at_once_stays_truthful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
