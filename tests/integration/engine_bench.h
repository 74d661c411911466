/* Brokers without their sockets, over any Redis: every node is one engine that behaves as a shard does (a cursor a
 * channel; ahead, another epoch or a doubt → load from the cursor), and a referee shared by all checks what may never
 * happen: a pair (epoch, offset) with two payloads, a step other than one that nobody was told of, a publication that
 * was refused for sure and yet exists, one that appears twice. Whatever is wrong fails the test. Thread: the test's. */
#ifndef CALLBOARD_TESTS_ENGINE_BENCH_H
#define CALLBOARD_TESTS_ENGINE_BENCH_H

#include "base/namespace_options.h"
#include "broker/broker_config.h"
#include "broker/engine.h"
#include "tests/support/redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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
    char reason[256];
    unsigned n_partition_doubts;
};

struct append {
    struct engine_append request;
    struct node *node;
    unsigned number;
};

struct bench {
    struct broker_config config; /* of each engine that is started from now on */
    redis_server_t *server;      /* NULL: the Redis is the test's own */
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_timer_t retry;
    bool timer_fired;
    metrics_t *metrics;
    struct namespace_options options;
    struct namespace_options namespaces[1];
    namespace_set_t *namespace_set;
    char names[CHANNELS_MAX][32];
    unsigned n_channels;
    struct node nodes[NODES];
    struct published *published;
    unsigned n_published;
    unsigned n_under_way;
    struct seen *seen;
    unsigned n_seen;
};

/* ---- the bench ---- */

/* On a server of its own; config_lines as redis_server_start's. */
struct bench *bench_new(const char *const *config_lines);
/* On a Redis that the test started and stops; `url` lives as long. */
struct bench *bench_new_at(const char *url);
void bench_destroy(struct bench *bench);
/* All nodes, and the channel "room". */
void bench_start_all(struct bench *bench);
struct bench *bench_with_channel(const char *const *config_lines); /* bench_new and bench_start_all */
struct node *bench_start_node(struct bench *bench, unsigned number);
engine_t *bench_make_engine(struct node *node, uint32_t n_partitions);
void bench_stop_node(struct node *node);
/* All nodes hold the channel and have loaded it. */
unsigned bench_add_channel(struct bench *bench, const char *name);
void bench_load(struct cursor_of_channel *cursor);

void bench_set_timer(struct bench *bench, uint64_t ms);
void bench_pass(struct bench *bench, uint64_t ms);
#define bench_wait_for(bench, condition)                                                                               \
    do {                                                                                                               \
        bench_set_timer(bench, PATIENCE_MS);                                                                           \
        while (!(condition)) {                                                                                         \
            if ((bench)->timer_fired) {                                                                                \
                fail_msg("waited in vain for: %s (%s; %s)", #condition, (bench)->nodes[0].reason,                      \
                         (bench)->nodes[1].reason);                                                                    \
            }                                                                                                          \
            uv_run(&(bench)->loop, UV_RUN_ONCE);                                                                       \
        }                                                                                                              \
    } while (0)

bool bench_is_sure(struct node *node, unsigned channel);

/* ---- publishing ---- */
unsigned bench_publish_with(struct node *node, unsigned channel, const struct namespace_options *options,
                            uint64_t deadline_ms); /* the publication's number */
unsigned bench_publish(struct node *node, unsigned channel);
const struct published *bench_publish_and_wait(struct node *node, unsigned channel);
void bench_assert_published(const struct published *published, enum engine_outcome outcome);
/* A little of traffic from every node for some time. */
void bench_traffic(struct bench *bench, uint64_t ms);

/* ---- judging ---- */
bool bench_is_quiet(struct bench *bench);
bool bench_all_saw(struct bench *bench, unsigned channel, const struct position *position);
/* A last publication comes through everywhere; then everything that was said is compared. */
void bench_judge(struct bench *bench);
unsigned bench_lost(struct bench *bench, unsigned channel);
/* A key of the channel: 'p' its partition's hash, 'm', 's'; to be freed by memory_free. */
char *bench_key_of(struct bench *bench, unsigned channel, const char *what);

#endif
