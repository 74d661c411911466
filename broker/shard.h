/* A shard: the actor that owns a slice of the partitions, with one engine, their channels, and its ends of the lanes to
 * all gateway workers. Its turn: batches and requests → handlers, engine events → channels; then the loads whose turn
 * it is, the engine's one write, and one batch to each gateway worker that has something coming. Thread: shard_new,
 * shard_destroy: the broker's owner; shard_post_*, shard_read_figures: any. */
#ifndef CALLBOARD_BROKER_SHARD_H
#define CALLBOARD_BROKER_SHARD_H

#include "base/actor.h"
#include "base/wire.h"
#include "broker/broker_config.h"
#include "broker/engine.h"
#include "broker/shard_call.h"

#include <stdatomic.h>

#include <zmq.h>

typedef struct shard shard_t;

/* Kinds of messages a shard takes. SHARD_MESSAGE_REQUEST is struct shard_request (shard_request.h), posted with
 * actor_post by whoever asks; the others are made by the functions below. */
enum shard_message_kind {
    SHARD_MESSAGE_BATCH = 1,
    SHARD_MESSAGE_PEER_JOINED,
    SHARD_MESSAGE_PEER_LEFT,
    SHARD_MESSAGE_REQUEST,
    SHARD_MESSAGE_DRAIN,
    SHARD_MESSAGE_RELOAD,
    SHARD_MESSAGE_CALLED, /* struct shard_called (shard_call.h) */
};

/* What a shard needs of the switchboard. Called on the shard's thread. */
struct shard_uplink {
    /* Takes the bytes of a sealed batch: leaves *batch empty. */
    void (*send_batch)(void *context, uint32_t peer, uint64_t link_epoch, struct buffer *batch);
    /* The link is of no use: a RESET, and SHARD_MESSAGE_PEER_LEFT to every shard. */
    void (*reset)(void *context, uint32_t peer, enum wire_reset_reason reason);
    void *context;
};

/* How much memory the process has, and holds: the shards' own, made by the broker with the budget (0: none). */
struct shard_memory {
    uint64_t budget_bytes;
    atomic_uint level; /* enum memory_level */
    atomic_uint_fast64_t used_bytes;
};

struct shard_options {
    uint32_t index;
    uint32_t n_shards;
    const char *broker_id;
    const struct broker_config *config; /* lives as long as the shard, as everything here */
    const namespace_set_t *namespaces;
    metrics_t *metrics;
    finding_board_t *findings;           /* for the engine; may be NULL */
    struct shard_memory *memory;         /* NULL: not guarded */
    const struct shard_call_desk *calls; /* NULL: nobody answers gateways' calls */
    uint64_t boot_nonce;
    size_t batch_close;
    struct shard_uplink uplink;
    /* Makes the shard's engine, on its thread. NULL: ret_error says why. */
    engine_t *(*make_engine)(void *context, const struct engine_options *options, char *ret_error, size_t error_size);
    void *engine_context;
};

/* NULL: the engine or the thread could not be made; ret_error says why (at least 256 bytes). */
shard_t *shard_new(const struct shard_options *options, char *ret_error, size_t error_size);
/* Nobody posts any more. Cancels what waits for the engine; answers to requests are still posted to their reply_to. */
void shard_destroy(shard_t **self_p);
actor_t *shard_actor(const shard_t *self);

/* ---- for the switchboard ---- */
enum { GATEWAY_ID_MAX = 255 };
struct shard_peer {
    uint32_t number;
    uint64_t link_epoch;
    uint16_t version;
    uint32_t worker;
    uint64_t boot_nonce;
    struct span gateway_id; /* copied; up to GATEWAY_ID_MAX */
};
void shard_post_peer_joined(shard_t *self, const struct shard_peer *peer);
void shard_post_peer_left(shard_t *self, uint32_t number);
/* Moves *batch. Always taken: what a gateway worker has in flight is bounded by its credit. Over the inbox's bound the
 * publishes inside are answered with TOO_MANY_REQUESTS, everything else is handled. */
void shard_post_batch(shard_t *self, uint32_t peer, zmq_msg_t *batch);
/* No new subscriptions and publishes from now on. */
void shard_post_drain(shard_t *self);
/* Other namespaces; the old ones are in use until figures.reloads says this number. */
void shard_post_reload(shard_t *self, const namespace_set_t *namespaces, uint32_t number);

/* ---- seen from outside ---- */
struct shard_figures {
    bool engine_connected;
    bool pubsub_connected;
    const char *engine_reason; /* static: what it said last of its state; NULL: nothing yet */
    enum wire_mode mode;
    bool stands_in; /* the mode is memory although Redis is configured: redis.fallback */
    uint64_t peers;
    uint64_t channels;
    uint64_t subscriptions;
    uint64_t operations; /* requests that wait for the engine */
    uint32_t reloads;    /* the last reload that is through */
    bool draining;       /* and the figures above were read since */
    /* of the whole cluster, from the leases; only shard 0's are current everywhere */
    uint64_t brokers, gateways, connections, users;
};
void shard_read_figures(const shard_t *self, struct shard_figures *ret_figures);

#endif
