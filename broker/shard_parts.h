/* What the files of a shard share (shard.c, shard_*.c) and nobody else includes. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_SHARD_PARTS_H
#define CALLBOARD_BROKER_SHARD_PARTS_H

#include "base/process_memory.h"
#include "base/quota.h"
#include "broker/channel.h"
#include "broker/lease_queues.h"
#include "broker/shard.h"
#include "broker/shard_metrics.h"
#include "broker/shard_request.h"
#include "broker/user_registry.h"

#include <stdatomic.h>

#include <uthash.h>

/* Of a gateway's worker, zeroed behind the id: the key as a whole. */
struct shard_peer_name {
    uint32_t worker;
    uint32_t size;
    char gateway_id[GATEWAY_ID_MAX];
};

struct shard_peer_entry {
    UT_hash_handle by_number;
    UT_hash_handle by_name;
    uint32_t number;
    gateway_peer_t *peer;
    struct shard_peer_name name;
};

/* Of whom are gateways asked? Everywhere: what is wrong may be a channel's that another broker serves by now. */
enum shard_members_doubt { SHARD_MEMBERS_SURE, SHARD_MEMBERS_DOUBTED, SHARD_MEMBERS_DOUBTED_EVERYWHERE };

struct shard {
    struct shard_options options;
    actor_t *actor;
    metric_values_t *metrics;
    struct engine_options engine_options;
    engine_t *engine;
    channel_set_t *channels;
    gateway_leases_t *leases;
    struct shard_peer_entry *peers;
    struct shard_peer_entry *peers_by_name;
    user_registry_t *users; /* connections of users, as gateways tell them */
    struct list_link dirty; /* peers to be flushed at the end of the turn */
    struct list_link operations;
    struct quota operations_quota;
    uint32_t n_operations;
    lease_queues_t *lease_queues;
    struct list_link commands; /* struct command_round, oldest first */
    uint32_t n_commands;
    uint32_t last_command;
    struct buffer scratch; /* bytes of an answer */
    /* enum shard_members_doubt of each partition, until the end of the turn */
    uint8_t *members_doubts;
    bool has_members_doubts;
    uint64_t trimmed_ms;      /* when memory was given back last */
    uint64_t published_bytes; /* since the shard looked at the process's memory */
    uint64_t totals_ms;       /* when TOTALS went out last */
    uint64_t own_lease_ms;    /* when the broker's own lease was renewed last */
    uint32_t n_subscriptions; /* of all peers */
    bool draining;
    uint32_t reload;             /* number of the last one */
    uint64_t n_occupancies_lost; /* the backend API's inbox was full; told with the next one, or in a moment */
    uv_timer_t timer;

    /* For other threads. */
    atomic_bool engine_connected;
    atomic_bool pubsub_connected;
    _Atomic(const char *) engine_reason; /* static text; NULL: none yet */
    atomic_bool seen_draining;
    atomic_uint seen_reload;
    atomic_int mode;
    atomic_bool stands_in;
    atomic_uint_fast64_t seen_peers, seen_channels, seen_subscriptions, seen_operations;
    atomic_uint_fast64_t seen_brokers, seen_gateways, seen_connections, seen_users;
};

/* shard.c */
void shard_publish_figures(struct shard *self);
/* Is the engine memory although Redis is configured? */
bool shard_stands_in(const struct shard *self);
/* For WELCOME, beats and health: it does not do what it is configured for. */
bool shard_is_degraded(const struct shard *self);

/* shard_messages.c: callbacks of the actor. */
void shard_take_message(void *context, struct actor_message *message);
void shard_drop_message(void *context, struct actor_message *message);

/* shard_peers.c */
gateway_peer_t *shard_find_peer(const struct shard *self, uint32_t number);
/* The link of that gateway's worker; NULL: it has none here. */
gateway_peer_t *shard_find_worker(const struct shard *self, struct span gateway_id, uint32_t worker);
void shard_add_peer(struct shard *self, const struct shard_peer *model);
void shard_remove_peer(struct shard *self, uint32_t number);
void shard_drop_peer(struct shard *self, struct shard_peer_entry *entry);
/* The link is of no use any more: RESET, once. */
void shard_fail_peer(struct shard *self, gateway_peer_t *peer, enum wire_reset_reason reason);
void shard_take_batch(struct shard *self, uint32_t number, zmq_msg_t *batch, bool overload);
bool shard_owns(const struct shard *self, struct span channel);
/* One batch to each peer that has something coming. */
void shard_flush_peers(struct shard *self);

/* shard_events.c */
extern const struct engine_events shard_engine_events;
/* Asks for the members of these partitions again; n 0: of all. */
void shard_resync(gateway_peer_t *peer, const uint32_t *partitions, uint32_t n);
/* At the end of the turn gateways are asked for their members in this partition again, also where another broker serves
 * the channel by now. context: the shard. */
void shard_doubt_members_everywhere(void *context, uint32_t partition);
void shard_keep_own_lease(struct shard *self, uint64_t now_ms);

/* shard_frames.c: handles one frame; false: it is malformed, or none that a gateway sends. */
bool shard_handle_frame(struct shard *self, gateway_peer_t *peer, const struct wire_frame *frame, bool overload);

/* shard_calls.c: for channel_set_options; context: the shard. */
void shard_tell_occupied(void *context, struct span channel, bool is_occupied);
/* Those that the inbox had no room for, when nothing else tells of them. */
void shard_tell_lost_occupancies(struct shard *self);

/* shard_emulation.c: handlers of such frames; false: malformed. */
bool shard_on_emulate(struct shard *self, gateway_peer_t *peer, struct span body);
bool shard_on_delivered(struct shard *self, struct span body);

/* shard_users.c; false: malformed. */
bool shard_on_user_take(struct shard *self, gateway_peer_t *peer, struct span body);
bool shard_on_user_counts(struct shard *self, gateway_peer_t *peer, struct span body);
void shard_forget_users(struct shard *self, gateway_peer_t *peer); /* its link has ended */

/* shard_calls.c; false: malformed. */
bool shard_on_call(struct shard *self, gateway_peer_t *peer, struct span body);
void shard_on_called(struct shard *self, const struct shard_called *called);

/* shard_commands.c; false: malformed. */
bool shard_on_command(struct shard *self, gateway_peer_t *peer, struct span body);
bool shard_on_commanded(struct shard *self, gateway_peer_t *peer, struct span body);
void shard_commands_forget_peer(struct shard *self, uint32_t number); /* its link has ended; it is still found */
void shard_commands_tick(struct shard *self, uint64_t now_ms);
void shard_commands_drop(struct shard *self); /* nobody is answered */

/* shard_services.c */
void shard_start_leases(struct shard *self);
void shard_on_lease_freed(void *context, struct span name); /* the engine's event */
void shard_leases_tick(struct shard *self, uint64_t now_ms);

/* shard_memory.c */
void shard_guard_memory(struct shard *self, uint64_t now_ms); /* with every tick */
/* `own`: a gateway goes on with what it had. */
bool shard_refuses_subscription(struct shard *self, bool own);
bool shard_refuses_publication(struct shard *self, size_t bytes);

/* shard_operations.c: what ends with one answer, for gateways (peer, request) and for other actors (reply_to). */
struct operation_origin {
    uint32_t peer; /* 0: not from a gateway */
    uint32_t request;
    actor_t *reply_to; /* NULL and no peer: nobody wants to know */
    uint32_t reply_kind;
    uint64_t ticket;
};
/* Was every operation that waits begun behind this reload? */
bool shard_operations_are_behind(const struct shard *self, uint32_t reload);
void shard_operate(struct shard *self, const struct shard_request *request, const struct operation_origin *origin,
                   bool overload);

#endif
