/* What is asked of a partition and answered for itself, beside the batches: reads (redis_history.c) and what services
 * keep (redis_services.c). The way is one for all, here; each kind says what it sends and what an answer means.
 *
 *   waiting ─▶ sent ─▶ answered ─▶ (gate, where it is to be confirmed) ─▶ told, completed, gone
 *      ▲         └─ refused, cut ─┐          │ another reign
 *      └──────────────────────────┴──────────┘   or completed as unknown, where a repeat could do it twice
 *
 * Thread: the shard's. */
#ifndef CALLBOARD_BROKER_REDIS_READS_H
#define CALLBOARD_BROKER_REDIS_READS_H

#include "broker/redis/engine_redis_parts.h"
#include "broker/redis/link/redis_request.h"

struct redis_read;

struct redis_read_kind {
    bool is_service; /* goes before the others, and is not bounded by redis.loads */
    bool changes;    /* without an answer it may have happened */
    /* The caller's completion; once. */
    void (*complete)(struct redis_read *self, enum engine_outcome outcome);
    /* Lets go of what an answer brought; also before the end. NULL: nothing. */
    void (*drop)(struct redis_read *self);
    /* Appends the command. */
    void (*send)(const struct redis_read *self, struct buffer *out);
    /* Takes an answer that is no refusal: ends in redis_read_tell_when_sure, redis_read_fail or redis_read_destroy. */
    void (*take)(struct redis_read *self, const struct redis_reply *reply);
    /* What was taken is sure: completed and destroyed. NULL where it never waits for that. */
    void (*tell)(struct redis_read *self);
};

/* Embedded first in each kind's own. */
struct redis_read {
    struct list_link link;    /* in its partition's reads or services while it waits */
    struct redis_gated gated; /* while its answer is to be confirmed */
    struct redis_partition *partition;
    struct redis_channel *channel; /* of its name, pinned */
    const struct redis_read_kind *kind;
    uint64_t number; /* in the order of asking */
    uint64_t deadline_ms;
    bool may_repeat; /* where its kind changes something: doing it twice is doing it once */
    bool with_text;
    bool was_sent;
    bool is_answered; /* completed already */
};

/* Takes what memory_alloc made, with kind, deadline_ms and may_repeat set. */
void redis_read_begin(struct engine_redis *engine, struct redis_read *self, struct span name);
void redis_read_finish(struct redis_read *self, enum engine_outcome outcome); /* completes, once */
void redis_read_destroy(struct redis_read *self);
void redis_read_fail(struct redis_read *self, enum engine_outcome outcome); /* both */
/* Tells now, or, where it is safe and replicas confirm, when they did. */
void redis_read_tell_when_sure(struct redis_read *self, bool is_safe, size_t bytes);

/* ---- for send ---- */
void redis_read_append_fence(const struct redis_read *self, struct buffer *head);
/* And the seed of new epochs, and the durability. */
void redis_read_append_settling(const struct redis_read *self, bool is_safe, struct buffer *head);
/* prefix:{tag}<what><name> */
void redis_read_key(const struct redis_read *self, const char *what, struct buffer *out);
void redis_read_hash_key(const struct redis_read *self, struct buffer *out); /* the partition's hash */

#endif
