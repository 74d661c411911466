/* What the files of a channel share (channel.c, channel_answer.c, channel_presence.c, channel_set.c) and nobody else
 * includes. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_CHANNEL_PARTS_H
#define CALLBOARD_BROKER_CHANNEL_PARTS_H

#include "base/timer_wheel.h"
#include "broker/channel.h"
#include "broker/channel_tail.h"

/* What a load brought; only valid while its completion is handled. */
struct channel_load {
    bool valid;
    struct position since; /* empty epoch: only the top was asked for */
    struct position top;
    uint64_t first; /* unbroken run, 0: none */
    uint64_t last;
    bool gap;
    payload_t **publications; /* borrowed: the run */
};

struct channel {
    channel_set_t *set;
    UT_hash_handle by_name;
    struct list_link of_partition;
    struct timer_entry due; /* idle for long, load to be tried again */
    const struct namespace_options *options;
    uint32_t partition;
    struct channel_state state;
    struct channel_tail tail;

    /* Subscriptions: those in the fan-out, and those that ask or lag. */
    struct list_link live;
    struct list_link aside;
    struct list_link waiting; /* subscription.waiting: SUBSCRIBEs without an answer yet */
    uint32_t n_subscriptions;

    /* The one load. */
    struct engine_read read;
    struct list_link load_wanted; /* in the set's queue until its turn */
    bool load_has_since;          /* asked for by the state: from the cursor; else from what those waiting need */
    struct position load_since;
    uint32_t loads_sent;
    bool reading;
    uint32_t read_generation; /* the set's, when it was sent */
    struct channel_load loaded;

    /* Publications that wait for the load. */
    payload_t **kept;
    uint32_t kept_capacity;
    uint32_t n_kept;
    uint64_t kept_first;
    size_t kept_bytes;

    /* Presence, where the namespace has it; NULL: nobody needed it yet. */
    presence_t *presence;
    struct engine_presence_read presence_read;
    uint64_t sweep_until_ms;

    size_t footprint; /* charged to the tails' quota */
    size_t name_size;
    char name[];
};

struct channel_set {
    struct channel_set_options options;
    engine_t *engine;
    struct channel *by_name;
    struct list_link *partitions; /* lists of channel.of_partition */
    timer_wheel_t *wheel;
    struct channel_tails tails; /* and what else is charged to their quota: kept publications, channels */
    struct list_link loads_wanted;
    uint32_t loads_out;
    uint32_t presence_reads_out;
    uint64_t sweep_until_ms;
    uint64_t swept_ms;
    struct buffer scratch; /* an answer's publications */
    uint32_t generation;   /* counts reloads */
    bool closing;
};

/* channel.c */
struct channel *channel_new(channel_set_t *set, struct span name, const struct namespace_options *options);
void channel_destroy(struct channel *self, bool release);
/* Moves the state and does what it says. False: the channel is gone. */
bool channel_step(struct channel *self, const struct channel_event *event, payload_t *publication);
/* Behind every outer call: nobody there any more? False: the channel is gone. */
bool channel_settle(struct channel *self);
void channel_send_load(struct channel *self);
void channel_take_options(struct channel *self, const struct namespace_options *options);
void channel_tell_members(struct channel *self, bool joined, struct span info);

/* channel_answer.c */
bool channel_needs_load(const struct channel *self, const struct subscription *subscription);
void channel_answer_waiting(struct channel *self);
void channel_refuse_waiting(struct channel *self);
/* From where shall the load for those who wait be? False: only the top is needed. */
bool channel_choose_since(const struct channel *self, struct position *ret_since, bool *ret_own);

/* channel_presence.c */
void channel_load_presence(struct channel *self);
void channel_sweep_presence(struct channel *self, uint64_t now_ms);

#endif
