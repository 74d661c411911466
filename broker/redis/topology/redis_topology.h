/* Which Redis process is the primary for a slot: one server that is named by the URL, the primary that Sentinels name,
 * or the slot map of a cluster. It asks, listens and polls on connections of its own; nobody is asked by its users, who
 * read the map and tell what they met.
 *
 *   redis_topology.c   the interface, one fixed server
 *   redis_sentinel.c   SENTINEL MASTER of all Sentinels, +switch-master, poll
 *   redis_cluster.c    CLUSTER SLOTS of one node after the other, MOVED
 *
 * Failures: whoever is asked and silent, refused, or tells nonsense is passed over for the next; while nobody gives an
 * answer the last known map stays (a link to a dead server says so itself) and on_trouble says why. Thread: the loop's.
 * Nothing is called back inside a call. */
#ifndef CALLBOARD_BROKER_REDIS_TOPOLOGY_H
#define CALLBOARD_BROKER_REDIS_TOPOLOGY_H

#include "base/partition.h"
#include "base/redis_reply.h"
#include "base/redis_tls.h"
#include "broker/redis/link/redis_url.h"

#include <uv.h>

typedef struct redis_topology redis_topology_t;

struct redis_topology_events {
    /* Known or changed: ask redis_topology_find again. */
    void (*on_changed)(void *context);
    /* Nobody answers, or no primary is named; static text, at each change of the reason. NULL: it has passed. */
    void (*on_trouble)(void *context, const char *reason);
};

struct redis_topology_options {
    uv_loop_t *loop;
    const struct redis_url *url; /* copied */
    const char *sentinel_user;   /* copied; NULL or empty: none. The URL's are those of the Redis servers */
    const char *sentinel_password;
    redis_tls_t *tls;        /* where url->tls; lives longer */
    const char *client_name; /* copied */
    struct redis_reply_limits reply_limits;
    uint32_t command_timeout_ms;
    const struct redis_topology_events *events;
    void *context;
};

/* Begins to ask in the loop's next turn. */
redis_topology_t *redis_topology_new(const struct redis_topology_options *options);
/* No event follows; the memory is gone with on_closed. */
void redis_topology_close(redis_topology_t *self, void (*on_closed)(void *context), void *context);

bool redis_topology_is_cluster(const redis_topology_t *self);
/* The primary that serves the slot; NULL: not known now. Valid until on_changed or redis_topology_moved. */
const struct redis_address *redis_topology_find(const redis_topology_t *self, uint32_t slot);
/* How many replicas it has that the topology holds for up. 0 where that is not known (one fixed server). */
unsigned redis_topology_replicas(const redis_topology_t *self, uint32_t slot);
/* When those were asked whose answers that number is of, in monotonic ms, the oldest of them; 0: nobody has answered.
 * What happened later they may not have known. */
uint64_t redis_topology_asked_ms(const redis_topology_t *self);
/* A node answered MOVED or ASK: `address` ("host:port") counts for that slot at once, and the map is asked for anew.
 * redis_topology_find answers it already when this returns; on_changed follows all the same. */
void redis_topology_moved(redis_topology_t *self, uint32_t slot, struct span address);
/* A link failed, a server is no primary any more, CLUSTERDOWN…: ask again, at most once a second however often this is
 * called. */
void redis_topology_refresh(redis_topology_t *self);

#endif
