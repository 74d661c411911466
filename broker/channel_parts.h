/* What the files of a channel share (channel.c, channel_load.c, channel_answer.c, channel_presence.c, channel_set.c)
 * and nobody else includes. Thread: the shard's. */
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

/* A SUBSCRIBE without an answer yet. */
struct subscription_wait {
    struct list_link of_channel; /* in the work's `waiting` */
    struct subscription *subscription;
    struct subscription_question asked;
    uint32_t at_load; /* the load that may say no to it */
};

/* What a channel has beside its rest while something is under way; there from channel_work until nothing is. */
struct channel_work {
    struct channel *channel;
    struct channel_state state; /* its load and its kept run; the rest stands in the channel */
    struct list_link waiting;   /* struct subscription_wait */

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
};

/* Idle for long, or a load to be tried again. */
struct channel_due {
    struct timer_entry entry;
    struct channel *channel;
};

/* Where the namespace has presence. */
struct channel_presence {
    struct channel *channel;
    presence_t *members;
    struct engine_presence_read read; /* the page that is out, while it loads */
    bool load_again;                  /* something changed meanwhile that no event told */
    bool in_doubt;                    /* the next sweep loads it */
};

/* There may be a hundred thousand that rest: what only some need is apart. */
struct channel {
    channel_set_t *set;
    struct slot_link by_name;
    const struct namespace_options *options;
    struct position cursor; /* phase, cursor and past: channel_state's */
    struct epoch past;
    struct channel_tail tail;
    struct list_link subscriptions;    /* all: those in the fan-out, and those that ask or lag */
    struct channel_work *work;         /* NULL: nothing is under way */
    struct channel_due *due;           /* NULL: no deadline */
    struct channel_presence *presence; /* NULL: nobody needed it yet */
    uint32_t n_subscriptions;
    uint8_t phase; /* enum channel_phase */
    uint8_t name_size;
    char name[];
};

struct channel_set {
    struct channel_set_options options;
    engine_t *engine;
    slot_table_t *by_name; /* one table for each partition */
    uint32_t n_partitions;
    size_t n_channels;
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

/* Every channel: begin with a zeroed cursor; NULL at the end. The one that was given may go meanwhile. */
struct channel_cursor {
    uint32_t partition;
    struct slot_cursor slots;
};
struct channel *channel_set_each(const channel_set_t *self, struct channel_cursor *cursor);

/* channel.c */
struct channel_tail_room channel_tail_room(const struct channel *self);
/* What history_ttl says is gone is not given from the tail either. */
void channel_expire_tail(struct channel *self);
struct channel *channel_new(channel_set_t *set, struct span name, const struct namespace_options *options);
void channel_destroy(struct channel *self, bool release);
/* Moves the state and does what it says. False: the channel is gone. */
bool channel_step(struct channel *self, const struct channel_event *event, payload_t *publication);
/* Behind every outer call: nobody there any more, nothing under way? False: the channel is gone. */
bool channel_settle(struct channel *self);
/* Made where it is not there. */
struct channel_work *channel_work(struct channel *self);
void channel_take_options(struct channel *self, const struct namespace_options *options);
void channel_tell_members(struct channel *self, bool joined, struct span info);

/* channel_load.c */
void channel_want_load(struct channel *self, bool has_since, const struct position *since);
void channel_send_load(struct channel_work *work);

/* channel_answer.c */
/* It waits for no answer any more. */
void channel_forget_wait(struct subscription *subscription);
bool channel_needs_load(const struct channel *self, const struct subscription_wait *wait);
void channel_answer_waiting(struct channel *self);
void channel_refuse_waiting(struct channel *self);
/* From where shall the load for those who wait be? False: only the top is needed. */
bool channel_choose_since(const struct channel *self, struct position *ret_since, bool *ret_own);

/* channel_presence.c */
void channel_presence_destroy(struct channel *self);
bool channel_reads_presence(const struct channel *self);
void channel_load_presence(struct channel *self);
void channel_sweep_presence(struct channel *self, uint64_t now_ms);

#endif
