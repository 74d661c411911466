/* The parts of engine_redis share one struct; nobody else includes this.
 *
 *   engine_redis.c      methods, links, start, ticks, close          redis_leases.c  gateways' leases
 *   redis_partition.c   state machine, queue, batches, order         redis_tops.c    which channels missed something
 *   redis_tell.c        applied batches → events and completions     redis_reads.c   load, remove, presence */
#ifndef CALLBOARD_BROKER_ENGINE_REDIS_PARTS_H
#define CALLBOARD_BROKER_ENGINE_REDIS_PARTS_H

#include "base/partition.h"
#include "broker/engine.h"
#include "broker/redis/batch_order.h"
#include "broker/redis/partition_state.h"
#include "broker/redis/redis_batch.h"
#include "broker/redis/redis_channels.h"
#include "broker/redis/redis_error.h"
#include "broker/redis/redis_link.h"
#include "broker/redis/redis_pubsub.h"
#include "broker/redis/redis_scripts.h"

enum {
    REDIS_TICK_MS = 50,
    REDIS_TICKS_DEAF = 5,    /* a seq read while deaf */
    REDIS_TICKS_SECOND = 20, /* a seq read while open, leases */
    REDIS_HOLE_MS = 20,      /* a batch that is ahead waits so long for the one before it */
    REDIS_STALL_MS = 1000,   /* having stood still so long, nothing is sure any more */
    REDIS_FALLBACK_MS = 500, /* Redis is away so long before publications pass live */
    REDIS_PREFIX_MAX = 32,
    REDIS_TOPIC_MAX = REDIS_PREFIX_MAX + PARTITION_TAG_MAX + 4,
};

enum redis_metric {
    REDIS_METRIC_UP,
    REDIS_METRIC_PUBSUB_UP,
    REDIS_METRIC_RECONNECTS,
    REDIS_METRIC_BATCHES,
    REDIS_METRIC_PUBLICATIONS,
    REDIS_METRIC_DUPLICATES,
    REDIS_METRIC_RESENT,
    REDIS_METRIC_REFUSED,
    REDIS_METRIC_UNKNOWN,
    REDIS_METRIC_LIVE_ONLY,
    REDIS_METRIC_LOADS,
    REDIS_METRIC_OPENINGS,
    REDIS_METRIC_HOLES,
    REDIS_METRIC_MALFORMED,
    REDIS_METRIC_QUEUED,
    REDIS_METRIC_LATENCY,
    REDIS_METRICS,
};

struct engine_redis;

struct redis_partition {
    struct engine_redis *engine;
    uint32_t number;
    struct partition_state state;
    struct batch_order order;
    struct list_link held;     /* channels */
    struct list_link queue;    /* items not yet in a batch */
    uint64_t next_deadline_ms; /* no item of queue or batch is due before */
    struct redis_batch *batch; /* the one in flight, or to be sent again */
    uint32_t last_number;
    struct list_link waiting;   /* batches that wrote nothing told, until `applied` reached their seq */
    struct list_link reads;     /* waiting to be sent */
    struct list_link busy_link; /* in engine->busy: there is something to send */
    struct list_link hole_link; /* in engine->holes */
    uint64_t hole_since_ms;
    char reign[REDIS_REIGN_LENGTH + 1]; /* of state.gen */
    uint64_t hole_applied;              /* the last batch applied at that time: progress begins the wait anew */
    uint64_t used_ms;
    bool lost_presence; /* a change could not be queued: ask for the whole set when open */
    char topic[REDIS_TOPIC_MAX];
};

struct engine_redis {
    struct engine base;
    struct engine_options options;
    struct redis_url url;
    char prefix[REDIS_PREFIX_MAX + 1];
    char boot_id[REDIS_BOOT_ID_LENGTH + 1];
    struct redis_batch_limits batch_limits;
    size_t queue_items_max;
    size_t queue_bytes_max;
    uint64_t lease_ms;
    uint64_t topic_idle_ms;
    uint32_t key_ttl_ms;
    uint32_t loads_max;
    size_t read_bytes_max;
    struct redis_link_options link_options;

    redis_scripts_t *scripts;
    redis_channels_t *channels;
    struct redis_partition *partitions; /* those of this shard */
    uint32_t first_partition;
    uint32_t n_partitions;
    metric_values_t *metrics;

    redis_link_t *command;
    redis_pubsub_t *pubsub; /* NULL until the server was asked what it can */
    uint32_t link_number;   /* of the command link; fences the older ones */
    bool is_ready;          /* command link up and the server examined */
    bool sharded;
    char replid[REDIS_REIGN_LENGTH + 1]; /* of the last INFO */
    bool replid_asked;                   /* an INFO stands in this turn's commands already */
    unsigned n_exams;                    /* replies of the examination of the server still owed */
    const char *unfit;                   /* what the examination found against the server; NULL: nothing */
    uint64_t away_since_ms;              /* while not ready */
    const char *reason;

    struct list_link busy;  /* partitions with something to send */
    struct list_link holes; /* partitions that miss a batch */
    struct list_link done;  /* requests answered in the next turn: struct redis_answer */
    size_t queued_items;
    size_t queued_bytes;
    uint32_t n_loads; /* under way */
    uint64_t stamp;   /* of the last batch built */
    unsigned n_tick;
    uint64_t last_tick_ms;
    struct redis_leases *leases;
    struct buffer scratch;

    uv_idle_t idle; /* active while `done` holds something */
    uv_timer_t tick;
    uv_timer_t hole_timer;
    unsigned n_closing;
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

static inline struct engine_redis *engine_redis_of(engine_t *base) {
    return (struct engine_redis *) (void *) base;
}

/* ---- engine_redis.c ---- */
struct redis_partition *engine_redis_partition(struct engine_redis *self, uint32_t number);
void engine_redis_pass_live(struct engine_redis *self, struct redis_item *item); /* the item is taken */
/* Answers a request in the next turn: nothing is completed inside the call that asked. */
void engine_redis_answer_later(struct engine_redis *self, void (*answer)(void *request, enum engine_outcome outcome),
                               void *request, enum engine_outcome outcome);
/* Redis is away for long enough that this publication may pass live. */
bool engine_redis_passes_live(const struct engine_redis *self, const struct redis_item *item);

/* Reads the server's replid with the commands of this turn. */
void engine_redis_ask_replid(struct engine_redis *self);
void engine_redis_note_hole(struct redis_partition *partition);

/* ---- redis_partition.c ---- */
void redis_partition_init(struct redis_partition *self, struct engine_redis *engine, uint32_t number,
                          const struct partition_tag *tag);
void redis_partition_finish(struct redis_partition *self); /* cancels what is left */
void redis_partition_step(struct redis_partition *self, enum partition_event event);
/* Marks it used, and opens it where it is closed. */
void redis_partition_want(struct redis_partition *self);
/* Takes the item. */
void redis_partition_push(struct redis_partition *self, struct redis_item *item);
void redis_partition_mark_busy(struct redis_partition *self);
/* Sends what may be sent. */
void redis_partition_pump(struct redis_partition *self);
void redis_partition_on_message(struct redis_partition *self, struct span message);
/* Items past their deadline are answered; while Redis is away those that may pass live do. */
void redis_partition_expire(struct redis_partition *self, uint64_t now_ms);
/* A hole of REDIS_HOLE_MS is given up and healed by loads. */
void redis_partition_heal(struct redis_partition *self);
/* Whether nothing needs it any more. */
bool redis_partition_is_idle(const struct redis_partition *self, uint64_t now_ms);

/* ---- redis_tell.c ---- */
/* Events (where `tell`) and completions of a batch with results, in its order; destroys the batch. */
void redis_tell_batch(struct redis_partition *self, struct redis_batch **batch_p, bool tell);
void redis_tell_message(struct redis_partition *self, struct redis_topic_message *message);
/* Answers every request of the batch alike and destroys it. */
void redis_tell_failure(struct redis_partition *self, struct redis_batch **batch_p, enum engine_outcome outcome);

/* ---- redis_tops.c ---- */
/* Asks where the held channels stand; on_doubt for those that are further than told. */
void redis_tops_compare(struct redis_partition *self);

/* ---- redis_reads.c ---- */
void redis_reads_load(struct engine_redis *self, struct engine_read *request);
void redis_reads_remove(struct engine_redis *self, struct engine_remove *request);
void redis_reads_presence(struct engine_redis *self, struct engine_presence_read *request);
void redis_reads_pump(struct redis_partition *self);
void redis_reads_expire(struct redis_partition *self, uint64_t now_ms);
void redis_reads_cancel(struct redis_partition *self);

/* ---- redis_leases.c ---- */
struct redis_leases *redis_leases_new(struct engine_redis *engine);
void redis_leases_destroy(struct redis_leases **self_p);
void redis_leases_renew(struct redis_leases *self, const struct engine_lease *lease);
void redis_leases_read(struct redis_leases *self);
void redis_leases_on_ready(struct redis_leases *self); /* sends what waited, then reads */

#endif
