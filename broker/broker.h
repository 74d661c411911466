/* The broker as one object: shards with their engines, the switchboard to gateways, the internal HTTP answers. The
 * program callboard-broker is this and a config file; the appliance (tools/callboard.c) embeds it beside gateway
 * workers. Thread: the owner's (one thread), but for broker_shard_for, broker_read_status and what says so. */
#ifndef CALLBOARD_BROKER_BROKER_H
#define CALLBOARD_BROKER_BROKER_H

#include "base/actor.h"
#include "base/http_service.h"
#include "base/metrics.h"
#include "broker/broker_config.h"
#include "broker/engine.h"

typedef struct broker broker_t;

struct broker_options {
    const struct broker_config *config; /* lives as long as the broker */
    void *zmq_context;                  /* ends after the broker */
    metrics_t *metrics;
    const char *inproc_endpoint; /* for gateway workers of this process; NULL: none */
    bool no_endpoint;            /* do not listen on config->endpoint: only inproc */
    /* Tests: another engine than the configuration's. */
    engine_t *(*make_engine)(void *context, const struct engine_options *options, char *ret_error, size_t error_size);
    void *engine_context;
};

/* NULL: ret_error says what and how to mend it (at least 512 bytes). */
broker_t *broker_new(const struct broker_options *options, char *ret_error, size_t error_size);
/* Stops at once; broker_drain first where time allows. Accepts NULL. */
void broker_destroy(broker_t **self_p);

/* No new subscriptions and publishes, DRAIN to the gateways. Returns at once; the owner waits for broker_is_drained, at
 * most config->drain_window_ms, then destroys. */
void broker_drain(broker_t *self);
/* Draining, and no subscription and no request is left? */
bool broker_is_drained(const broker_t *self);

/* Namespaces of another reading of the configuration count from now on; nothing else of it is read. `config` lives
 * until the next reload is through, or the broker ends. Not while one is under way. */
void broker_reload(broker_t *self, const struct broker_config *config);
/* Does nothing refer to the configuration of the reload before (not the first, which broker_new got) any more? Once it
 * is true, it frees what it had made of that one. Poll it after broker_reload. */
bool broker_finish_reload(broker_t *self);

/* By hand, from the internal listener, where internal.operations is on: takes the call and answers it. */
void broker_call_by_hand(broker_t *self, struct http_call *call);

/* ---- for the backend API ---- */
uint32_t broker_shards(const broker_t *self);
actor_t *broker_shard(const broker_t *self, uint32_t index);
/* The shard a channel's requests go to (shard_request.h, kind SHARD_MESSAGE_REQUEST). Any thread. */
actor_t *broker_shard_for(const broker_t *self, struct span channel);
const namespace_set_t *broker_namespaces(const broker_t *self);
uint32_t broker_partitions(const broker_t *self);
finding_board_t *broker_findings(const broker_t *self); /* of the engines' servers */

/* ---- seen from outside, any thread ---- */
struct broker_status {
    const char *id;
    uint32_t shards;
    enum wire_mode mode;       /* memory where one shard's is */
    bool stands_in;            /* memory, because Redis could not be reached at the start (redis.fallback) */
    bool engine_connected;     /* all shards' */
    const char *engine_reason; /* static: why a shard's is not; NULL: it is, or nothing was said yet */
    bool pubsub_connected;
    bool draining;       /* every shard knows it */
    uint64_t stalled_ms; /* of the actor that came round longest ago */
    uint64_t links;      /* gateway workers */
    uint64_t channels;
    uint64_t subscriptions;
    uint64_t operations;
    uint64_t brokers, gateways, connections, users; /* of the whole cluster, from the leases */
};
void broker_read_status(const broker_t *self, struct broker_status *ret_status);
/* Where gateways reach it over TCP; "" when only inside the process. */
const char *broker_endpoint(const broker_t *self);

#endif
