/* The backend API: an actor with a ROUTER socket for requests and a PULL socket for publications that nobody waits for.
 * It decodes, judges, hands each request to the shard of its channel, and answers when the shard did.
 * docs/backend-api.md. Thread: new and destroy on the owner's; everything else on the actor's own. */
#ifndef CALLBOARD_BROKER_BACKEND_API_H
#define CALLBOARD_BROKER_BACKEND_API_H

#include "base/actor.h"
#include "base/http_call.h"
#include "base/metrics.h"
#include "base/namespace_options.h"
#include "broker/broker_config.h"

typedef struct backend_api backend_api_t;

enum { BACKEND_SHARDS_MAX = 16 };
/* Kind of the actor_message that it takes a struct shard_call by, and of a struct shard_occupancy. */
enum { BACKEND_API_MESSAGE_CALL = 3, BACKEND_API_MESSAGE_OCCUPANCY = 5 };
/* Kind of a struct http_call, see backend_api_call. */
enum { BACKEND_API_MESSAGE_BY_HAND = 4 };

struct backend_api_options {
    void *zmq_context; /* used where no CURVE is asked for; with keys the API makes one of its own, for its own ZAP
                          handler */
    const struct broker_config *config;
    const char *broker_id;
    const char *switchboard_endpoint; /* inproc, in zmq_context: for subscriptions */
    const namespace_set_t *namespaces;
    metrics_t *metrics;
    actor_t *shards[BACKEND_SHARDS_MAX]; /* n_shards, alive until the API is destroyed */
    uint32_t n_shards;
    uint32_t n_partitions;
    uint32_t request_kind; /* of the actor_message that a shard takes a struct shard_request by */
};

/* NULL: ret_error says what is wrong (endpoint, keys missing off loopback, port taken) and how to mend it. Both
 * endpoints empty: an API that only exists. */
backend_api_t *backend_api_new(const struct backend_api_options *options, char *ret_error, size_t error_size);
/* Handles and posts nothing any more; shards may still post their answers, which are dropped. Accepts NULL. */
void backend_api_stop(backend_api_t *self);
/* Unanswered requests get error 120 (outcome unknown) first. Accepts NULL. Before the shards are destroyed. */
void backend_api_destroy(backend_api_t **self_p);
/* Where shards post calls; lives until destroy. */
/* The broker is drained. The first time it lets services know (events.channel); true: they do, or nobody asked for
 * that. Thread: any, one at a time. */
bool backend_api_tell_end(backend_api_t *self);
actor_t *backend_api_actor(const backend_api_t *self);
/* By hand, from the internal listener, where internal.operations is on: takes the call and answers it. Any thread. */
void backend_api_call(backend_api_t *self, struct http_call *call);
/* SIGHUP: other namespaces and settings of events from the next request on; the old set may be destroyed when this
 * returns. Any thread but the actor's. */
void backend_api_reload(backend_api_t *self, const namespace_set_t *namespaces, const struct broker_config *config);

#endif
