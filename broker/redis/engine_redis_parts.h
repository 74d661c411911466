/* The parts of engine_redis share one struct; nobody else includes this.
 *
 *   engine_redis.c      methods, start and close                      redis_leases.c    gateways' leases
 *   redis_routing.c     which node serves which partition             redis_tops.c      which channels missed something
 *   redis_node.c        one server: links                             redis_examination.c   what it is asked
 *   redis_reads.c       what is asked for itself, out and back        redis_loaded.c    what a load brought
 *   redis_history.c     load, remove, presence                        redis_services.c  leases and values of services
 *   redis_partition.c   state machine, order, the topic               redis_gate.c      what waits for its confirmation
 *   redis_appends.c     own batches, out and back                     redis_tell.c      applied → events, completions
 *   redis_queue.c       what waits to be sent, deadlines              redis_answers.c   what is answered without Redis
 *   redis_refused.c     presence that Redis refused, for another try  redis_ticks.c     what comes round by time
 *   redis_renewals.c    epochs of channels that rest                  redis_figures.c   metrics
 *   redis_watch.c       are the servers set up soundly?               engine_redis_settings.c   the configuration
 *
 * Beneath, and without knowing the engine: link/ (one connection: socket, TLS, RESP, pub/sub), topology/ (who is
 * primary of what: one server, Sentinel, Cluster), survey/ (facts of a server and what is to be said of them). */
#ifndef CALLBOARD_BROKER_ENGINE_REDIS_PARTS_H
#define CALLBOARD_BROKER_ENGINE_REDIS_PARTS_H

#include "base/partition.h"
#include "broker/broker_config.h"
#include "broker/engine.h"
#include "broker/redis/batch_order.h"
#include "broker/redis/link/redis_error.h"
#include "broker/redis/link/redis_link.h"
#include "broker/redis/link/redis_pubsub.h"
#include "broker/redis/partition_state.h"
#include "broker/redis/redis_batch.h"
#include "broker/redis/redis_channels.h"
#include "broker/redis/redis_confirm.h"
#include "broker/redis/redis_scripts.h"
#include "broker/redis/survey/redis_setup.h"
#include "broker/redis/topology/redis_topology.h"

enum {
    REDIS_TICK_MS = 50,
    REDIS_TICKS_HELLO = 2,          /* a hello again, where one was refused */
    REDIS_TICKS_DEAF = 5,           /* a seq read while deaf */
    REDIS_TICKS_SECOND = 20,        /* a seq read while open, leases */
    REDIS_PRESENCE_WAIT_MS = 10000, /* of a presence change, in the queue */
    REDIS_PRESENCE_LATE_MS = 500,   /* from there on it may have been overtaken by another broker's */
    REDIS_HOLE_MS = 20,             /* a batch that is ahead waits so long for the one before it */
    REDIS_STALL_MS = 1000,          /* having stood still so long, nothing is sure any more */
    REDIS_FALLBACK_MS = 500,        /* Redis is away so long before publications pass live */
    REDIS_AGAIN_MS = 50,            /* after TRYAGAIN, CLUSTERDOWN, BUSY: nothing was done, the next try */
    REDIS_PREFIX_MAX = 32,
    REDIS_TOPIC_MAX = REDIS_PREFIX_MAX + PARTITION_TAG_MAX + 4,
};

enum redis_metric {
    REDIS_METRIC_UP,
    REDIS_METRIC_PUBSUB_UP,
    REDIS_METRIC_NODES,
    REDIS_METRIC_RECONNECTS,
    REDIS_METRIC_BATCHES,
    REDIS_METRIC_PUBLICATIONS,
    REDIS_METRIC_DUPLICATES,
    REDIS_METRIC_RESENT,
    REDIS_METRIC_REFUSED,
    REDIS_METRIC_UNKNOWN,
    REDIS_METRIC_LIVE_ONLY,
    REDIS_METRIC_LOADS,
    REDIS_METRIC_RENEWALS,
    REDIS_METRIC_COMPARED,
    REDIS_METRIC_OPENINGS,
    REDIS_METRIC_MOVES,
    REDIS_METRIC_HOLES,
    REDIS_METRIC_MALFORMED,
    REDIS_METRIC_QUEUED,
    REDIS_METRIC_PIPELINE_COMMANDS,
    REDIS_METRIC_PIPELINE_BYTES,
    REDIS_METRIC_PIPELINE_WAITS,
    REDIS_METRIC_HELD,
    REDIS_METRIC_HELD_BYTES,
    REDIS_METRIC_HELD_DROPPED,
    REDIS_METRIC_TOPICS,
    REDIS_METRIC_UNCONFIRMED,
    REDIS_METRIC_UNCONFIRMED_BYTES,
    REDIS_METRIC_CONFIRMS_SHORT,
    REDIS_METRIC_CONFIRM_OVERFLOWS,
    REDIS_METRIC_LATENCY,
    REDIS_METRIC_CONFIRM_LATENCY,
    REDIS_METRIC_TLS_RENEWALS,
    REDIS_METRIC_TLS_FAILURES,
    REDIS_METRIC_TLS_REFUSED,
    REDIS_METRIC_TLS_EXPIRES_AT,
    REDIS_METRICS,
};

struct engine_redis;
struct redis_read;

/* How what was appended to a safe channel becomes sure. */
enum redis_confirm_kind {
    REDIS_CONFIRM_REPLICAS, /* WAIT on the confirm link */
    REDIS_CONFIRM_DISK,     /* appendfsync always: the answer itself comes behind the fsync */
    REDIS_CONFIRM_DECLARED, /* the provider's promise */
};

/* One server that serves partitions of this shard, or the leases. */
struct redis_node {
    struct engine_redis *engine;
    struct list_link link; /* in engine->nodes */
    struct redis_address address;
    redis_link_t *command;
    redis_pubsub_t *pubsub;        /* NULL until the server was asked what it can */
    redis_confirm_t *confirm;      /* NULL until something waits to be confirmed */
    struct list_link partitions;   /* served here: redis_partition.of_node */
    struct list_link gated;        /* partitions with something that waits to be confirmed here */
    struct redis_partition *probe; /* its slot is the probe's, and the confirm key's; NULL: none yet */
    struct buffer probe_topic;
    bool is_ready; /* command link up and the server examined */
    bool sharded;
    bool is_wanted; /* while the map is read: something lives here */
    bool is_closing;
    char replid[REDIS_REIGN_LENGTH + 1]; /* of the last INFO */
    bool replid_asked;                   /* an INFO stands in this turn's commands already */
    unsigned n_exams;                    /* replies of the examination of the server still owed */
    bool is_hidden;                      /* it does not show its replid */
    bool writes_through;                 /* fsync before the answer, where safe channels rely on that; else true */
    bool is_surveyed;                    /* its settings are being asked for */
    uint64_t looked_ms;                  /* when it was last seen whether that is due */
    const char *unfit;                   /* what the examination found against the server; NULL: nothing */
    const char *reason;
    unsigned n_closing;
    unsigned sent_scripts; /* a bit for each enum redis_script of services that this link was given the text of */
};

struct redis_partition {
    struct engine_redis *engine;
    uint32_t number;
    uint32_t slot;
    struct redis_node *node;   /* serves it; NULL: not known yet, or moving */
    struct redis_node *target; /* shall serve it when nothing is owed by the old one any more */
    struct list_link of_node;
    unsigned n_owed;        /* replies of node that count: hello, seq, batch, reads */
    uint64_t again_ms;      /* not to be asked before: it answered that this is not the time */
    uint32_t link_number;   /* of the last hello; fences everything sent before it */
    uint64_t away_since_ms; /* while its node cannot be spoken to; 0: it can */
    struct partition_state state;
    struct batch_order order;
    struct list_link held;     /* channels */
    struct list_link queue;    /* items not yet in a batch */
    struct list_link refused;  /* presence changes that Redis refused for now, and those behind them */
    uint64_t next_deadline_ms; /* no item of queue, batch or gate is due before */
    struct redis_batch *batch; /* the one in flight, or to be sent again */
    uint32_t last_number;
    struct list_link waiting;   /* batches that wrote nothing told, until `applied` reached their seq */
    struct list_link reads;     /* waiting to be sent */
    struct list_link services;  /* as well: what goes before them */
    struct list_link gate;      /* struct redis_gated: applied or read, not yet confirmed */
    struct list_link gate_link; /* in node->gated */
    size_t n_gated;
    size_t gated_bytes;
    uint64_t gate_doubt;        /* once this cycle is confirmed the channels are loaded; 0: they need not be */
    struct list_link busy_link; /* in engine->busy: there is something to send */
    struct list_link hole_link; /* in engine->holes */
    uint64_t hole_since_ms;
    char reign[REDIS_REIGN_LENGTH + 1]; /* of state.gen */
    uint64_t hole_applied;              /* the last batch applied at that time: progress begins the wait anew */
    uint64_t used_ms;
    bool was_cut;       /* a link failed since the last hello: another server may answer at the same place */
    bool lost_presence; /* a change was given up, or came too late: ask for the whole set when open */
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
    size_t gate_items_max;
    size_t gate_bytes_max;
    uint64_t lease_ms;
    uint64_t topic_idle_ms;
    uint32_t key_ttl_ms;
    uint32_t loads_max;
    size_t read_bytes_max;
    int64_t compared_channels; /* a second at most */
    bool has_safe;             /* a namespace was safe at the start: servers that cannot keep that are refused */
    enum redis_confirm_kind confirm_kind;
    unsigned confirm_replicas; /* 0: all that the topology holds for up */
    uint32_t confirm_wait_ms;
    char client_name[64]; /* of our links, as CLIENT LIST shows it */
    struct redis_link_options link_options;
    struct redis_setup setup; /* what the servers are judged by */
    uint64_t survey_ms;       /* redis.survey */

    redis_scripts_t *scripts;
    redis_channels_t *channels;
    struct redis_partition *partitions; /* those of this shard */
    uint32_t first_partition;
    uint32_t n_partitions;
    metric_values_t *metrics;

    redis_tls_t *tls;
    struct redis_tls_figures tls_counted; /* in the metrics so far */
    redis_topology_t *topology;
    const char *topology_trouble; /* NULL: none */
    struct list_link nodes;
    struct redis_node *home; /* serves {prefix}: the leases, the number of partitions; NULL: not known */
    uint32_t home_slot;
    uint32_t hello_number; /* of the last hello, of whatever partition */
    bool is_ready;         /* every node that is needed is */
    bool all_hear;         /* and every pub/sub link is up */
    const char *reason;

    struct list_link busy;  /* partitions with something to send */
    struct list_link holes; /* partitions that miss a batch */
    struct list_link done;  /* requests answered in the next turn: struct redis_answer */
    size_t queued_items;
    size_t queued_bytes;
    size_t unconfirmed_items;
    size_t unconfirmed_bytes;
    uint32_t n_loads; /* under way */
    uint64_t last_read;
    uint64_t last_token; /* the highest that a lease was granted with here: no later one is below it */
    unsigned n_tick;
    uint64_t last_tick_ms;
    struct redis_leases *leases;
    struct buffer scratch;
    size_t renewal_slot;    /* of the channels, the next to be looked at */
    uint32_t next_compared; /* of the partitions, the next whose channels are compared */
    int64_t
        compare_allowance; /* channels that this tick may compare, times REDIS_TICKS_SECOND; < 0: owed by the next */

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
/* What durability of the options means on this Redis. */
static inline bool engine_redis_is_safe(const struct engine_redis *self, const struct namespace_options *options) {
    return redis_batch_limits_say_safe(&self->batch_limits, options);
}

/* Made by hello for a server that does not show its replid. */
static inline bool redis_reign_is_own(struct span reign) {
    return reign.size > 0 && reign.data[0] == '-';
}

/* ---- engine_redis_settings.c ---- */
/* Reads what it needs, with self->options set. False: ret_error says what and how to mend it. */
bool engine_redis_take_settings(struct engine_redis *self, const struct broker_config *config, char *ret_error,
                                size_t error_size);

/* ---- engine_redis.c ---- */
struct redis_partition *engine_redis_partition(struct engine_redis *self, uint32_t number);
/* Looks at the nodes, and tells the shard where the answer changed. */
void engine_redis_tell_state(struct engine_redis *self);
/* A part of the engine is gone: the last one ends it. */
void engine_redis_part_closed(struct engine_redis *self);

/* ---- redis_answers.c ---- */
/* Answers a request in the next turn. */
void redis_answers_later(struct engine_redis *self, void (*answer)(void *request, enum engine_outcome outcome),
                         void *request, enum engine_outcome outcome);
void redis_answers_pass_live(struct engine_redis *self, struct redis_item *item); /* the item is taken */
/* All that wait; at the end with ENGINE_CANCELLED. */
void redis_answers_give(struct engine_redis *self);

/* ---- redis_routing.c ---- */
void redis_routing_start(struct engine_redis *self, const char *sentinel_user, const char *sentinel_password);
/* Every second. */
void redis_routing_tick(struct engine_redis *self);
/* The partition goes to the node that was chosen for it, once the old one owes nothing more. */
void redis_routing_settle(struct redis_partition *partition);
/* The engine closes: its node may be gone before the partition is. */
void redis_routing_let_go(struct redis_partition *partition);
/* A reply that counts has come. */
void redis_routing_paid(struct redis_partition *partition);
/* What a server answered: MOVED (taken at once), or that this is not the time or the place. True: nothing was done, and
 * the partition is asked again, here or elsewhere. */
bool redis_routing_take_error(struct redis_partition *partition, enum redis_error error, struct span text);
void redis_routing_take_moved(struct engine_redis *self, struct span text); /* anything but a MOVED does nothing */
/* The server left, or is not the right one: the map is read anew. */
void redis_routing_doubt(struct engine_redis *self);
/* The partition whose topic's slot a MOVED speaks of; taken as redis_routing_take_error. NULL: none of ours. */
struct redis_partition *redis_routing_moved_topic(struct engine_redis *self, struct span text);

/* ---- redis_examination.c ---- */
/* Asks the server all that has to be known of it: redis_node_become_ready, or its command link is dropped. */
void redis_node_examine(struct redis_node *self);
/* Reads the server's replid with the commands of this turn. */
void redis_node_ask_replid(struct redis_node *self);

/* ---- redis_node.c ---- */
struct redis_node *redis_node_new(struct engine_redis *engine, const struct redis_address *address);
void redis_node_close(struct redis_node *self); /* engine_redis_part_closed later, where the engine closes */
void redis_node_flush(struct redis_node *self);
/* The examination found nothing against the server: its partitions are served from now on. */
void redis_node_become_ready(struct redis_node *self);
/* The pub/sub link where there is none yet: the server was examined, and a partition lives here. */
void redis_node_listen(struct redis_node *self);
/* The confirm link, made where there is none yet. */
redis_confirm_t *redis_node_confirm(struct redis_node *self);
static inline bool redis_node_hears(const struct redis_node *self) {
    return self->pubsub != NULL && redis_pubsub_is_up(self->pubsub);
}
/* May commands be sent? */
static inline bool redis_node_is_up(const struct redis_node *self) {
    return self != NULL && self->is_ready && redis_link_is_up(self->command);
}

/* ---- redis_watch.c ---- */
/* It has become ready: its settings are examined, unless another shard has done it just now. */
void redis_watch_new(struct redis_node *node);
/* Every second. */
void redis_watch_tick(struct engine_redis *self);

/* ---- redis_figures.c ---- */
extern const struct metric_description redis_metric_rows[REDIS_METRICS];
/* Sets the gauges of what waits where; with every tick. */
void redis_figures_show(struct engine_redis *self);

/* ---- redis_partition.c ---- */
void redis_partition_init(struct redis_partition *self, struct engine_redis *engine, uint32_t number,
                          const struct partition_tag *tag);
void redis_partition_finish(struct redis_partition *self); /* cancels what is left */
void redis_partition_step(struct redis_partition *self, enum partition_event event);
/* Marks it used, and opens it where it is closed. */
void redis_partition_want(struct redis_partition *self);
/* Tells what is next in order. */
void redis_partition_drain(struct redis_partition *self);
void redis_partition_on_message(struct redis_partition *self, struct span message);
/* A hole of REDIS_HOLE_MS is given up and healed by loads. */
void redis_partition_heal(struct redis_partition *self);
/* Whether nothing needs it any more. */
bool redis_partition_is_idle(const struct redis_partition *self, uint64_t now_ms);

/* ---- redis_appends.c ---- */
/* Sends what may be sent: a batch, reads. */
void redis_partition_pump(struct redis_partition *self);

/* ---- redis_queue.c ---- */
/* Takes the item. */
void redis_queue_push(struct redis_partition *self, struct redis_item *item);
/* The batch did not happen: its items wait again, before the others; those that nobody waits for go. Takes it. */
void redis_queue_take_back(struct redis_partition *self, struct redis_batch **batch_p);
/* The same where it did not happen on this server, but may have on one that this one knows nothing of. */
void redis_queue_take_back_unsure(struct redis_partition *self, struct redis_batch **batch_p);
/* Another server, which knows our batches up to last_number: what may be there by one of them, and could be there
 * twice, is answered ENGINE_UNKNOWN instead of being sent again. */
void redis_queue_drop_maybe_there(struct redis_partition *self, uint32_t last_number);
/* The item counts as queued from now on. */
void redis_queue_charge(struct redis_partition *self, const struct redis_item *item);
/* A batch of what waits longest, no longer in the queue. */
struct redis_batch *redis_queue_gather(struct redis_partition *self);
/* Everything that waits is answered alike: what is wrong does not pass by itself. */
void redis_queue_refuse(struct redis_partition *self, enum engine_outcome outcome);
void redis_queue_note_deadline(struct redis_partition *self, uint64_t deadline_ms);
void redis_partition_mark_busy(struct redis_partition *self);
/* Items past their deadline are answered; while Redis is away those that may pass live do. */
void redis_queue_expire(struct redis_partition *self, uint64_t now_ms);
/* Redis is away for long enough that this publication may pass live. */
bool redis_queue_passes_live(const struct redis_partition *self, const struct redis_item *item);
/* Answers the item's request with other than ENGINE_OK, and counts it. */
void redis_queue_answer(struct redis_partition *self, struct redis_item *item, enum engine_outcome outcome);

/* ---- redis_ticks.c ---- */
void engine_redis_note_hole(struct redis_partition *partition);
/* Several times a second; timer->data: the engine. */
void redis_ticks_on_tick(uv_timer_t *timer);

/* ---- redis_refused.c ---- */
/* Takes the presence changes out of a batch that Redis refused, and those that wait behind it. */
void redis_refused_keep(struct redis_partition *self, struct redis_batch *batch);
/* A presence change comes while others wait here: true, it waits behind them. */
bool redis_refused_follow(struct redis_partition *self, struct redis_item *item);
/* All are to be sent again. */
void redis_refused_release(struct redis_partition *self);
/* The same, once a second; asks for the whole set where something was given up. */
void redis_refused_second(struct redis_partition *self);

/* ---- redis_gate.c ---- */
bool redis_gate_is_needed(const struct engine_redis *self);
bool redis_gate_has_room(const struct redis_partition *self);
/* Each takes what it is given; told when confirmed, in the order of these calls. */
void redis_gate_hold_batch(struct redis_partition *self, struct redis_batch *batch, bool tell);
void redis_gate_hold_message(struct redis_partition *self, struct span bytes);
void redis_gate_hold_read(struct redis_partition *self, struct redis_gated *gated, size_t bytes);
/* The node's confirm link says: everything before this cycle is sure in this reign. */
void redis_gate_on_confirmed(struct redis_node *node, uint64_t cycle, struct span replid);
/* The channels are told to be doubtful now, but what is in the gate, and older, is told to them later: a channel that
 * begins with it lacks what followed. So they are told again behind it. */
void redis_gate_note_doubt(struct redis_partition *self);
/* Another reign: what it may lack is not told any more. last_number: the last batch of ours that it knows. */
void redis_gate_reopen(struct redis_partition *self, uint32_t last_number);
void redis_gate_expire(struct redis_partition *self, uint64_t now_ms);
void redis_gate_finish(struct redis_partition *self); /* cancels */
/* The partition has another node: what waits is confirmed there. */
void redis_gate_on_node(struct redis_partition *self);

/* ---- redis_tell.c ---- */
enum redis_telling { REDIS_TELL_AT_ONCE, REDIS_TELL_CONFIRMED };
/* Events (where `tell`) and completions of a batch with results, in its order; what is of safe channels when it is
 * confirmed. Takes the batch. */
void redis_tell_batch(struct redis_partition *self, struct redis_batch **batch_p, bool tell);
/* The confirmed part; destroys the batch. */
void redis_tell_confirmed_batch(struct redis_partition *self, struct redis_batch **batch_p, bool tell);
/* True: it has publications of the other kind, too. */
bool redis_tell_message(struct redis_partition *self, struct redis_topic_message *message, enum redis_telling telling);
/* Answers every request of the batch alike and destroys it. */
void redis_tell_failure(struct redis_partition *self, struct redis_batch **batch_p, enum engine_outcome outcome);

/* ---- redis_tops.c ---- */
/* Asks where the held channels stand; on_doubt for those that are further than told. */
void redis_tops_compare(struct redis_partition *self);
/* With every tick: each held channel about once a second; on_doubt for those that Redis forgot. */
void redis_tops_tick(struct engine_redis *self);

/* ---- redis_renewals.c ---- */
/* The channel is held from now on; its load renews its meta ttl. */
void redis_renewals_begin(struct redis_channel *channel);
/* Every second. */
void redis_renewals_tick(struct engine_redis *self);

/* ---- redis_history.c ---- */
void redis_reads_load(struct engine_redis *self, struct engine_read *request);
void redis_reads_remove(struct engine_redis *self, struct engine_remove *request);
void redis_reads_presence(struct engine_redis *self, struct engine_presence_read *request);

/* ---- redis_services.c ---- */
void redis_services_ask(struct engine_redis *self, struct engine_service *request);

/* ---- redis_reads.c ---- */
void redis_reads_pump(struct redis_partition *self);
void redis_reads_expire(struct redis_partition *self, uint64_t now_ms);
void redis_reads_cancel(struct redis_partition *self);
/* What the gate held: the answer is sure; the other reign may answer otherwise; nobody waits any more. */
void redis_reads_confirmed(struct redis_gated *gated);
void redis_reads_again(struct redis_gated *gated);
void redis_reads_fail(struct redis_gated *gated, enum engine_outcome outcome);
uint64_t redis_reads_deadline_ms(const struct redis_gated *gated);

/* ---- redis_leases.c ---- */
struct redis_leases *redis_leases_new(struct engine_redis *engine);
void redis_leases_destroy(struct redis_leases **self_p);
void redis_leases_renew(struct redis_leases *self, const struct engine_lease *lease);
void redis_leases_read(struct redis_leases *self);
void redis_leases_on_ready(struct redis_leases *self); /* sends what waited, then reads */

#endif
