/* What the kinds of topology share; nobody else includes this. Thread: the loop's. */
#ifndef CALLBOARD_BROKER_REDIS_TOPOLOGY_PARTS_H
#define CALLBOARD_BROKER_REDIS_TOPOLOGY_PARTS_H

#include "broker/redis/link/redis_link.h"
#include "broker/redis/topology/redis_topology.h"

struct redis_topology_methods {
    const struct redis_address *(*find)(const redis_topology_t *self, uint32_t slot);
    unsigned (*replicas)(const redis_topology_t *self, uint32_t slot);
    void (*moved)(redis_topology_t *self, uint32_t slot, struct span address);
    void (*refresh)(redis_topology_t *self);
    /* Closes what is open, then calls redis_topology_closed. */
    void (*close)(redis_topology_t *self);
};

/* The first field of each kind's struct. */
struct redis_topology {
    const struct redis_topology_methods *methods;
    struct redis_topology_options options; /* its url is the copy below */
    struct redis_url url;
    struct redis_url sentinel_url; /* login and TLS of links to Sentinels */
    char client_name[64];
    const char *trouble; /* as last told */
    uint64_t asked_ms;   /* see redis_topology_asked_ms */
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

redis_topology_t *redis_sentinel_new(const struct redis_topology_options *options);
redis_topology_t *redis_cluster_new(const struct redis_topology_options *options);

void redis_topology_init(redis_topology_t *self, const struct redis_topology_methods *methods,
                         const struct redis_topology_options *options);
/* For a link of its own to this address; the events are the caller's to set. as_sentinel: with a Sentinel's login, and
 * no database. */
struct redis_link_options redis_topology_link_options(const redis_topology_t *self, const struct redis_address *address,
                                                      bool as_sentinel);
/* Tells it where it is another one than before; NULL: none. */
void redis_topology_set_trouble(redis_topology_t *self, const char *reason);
/* Frees it and tells its user. */
void redis_topology_closed(redis_topology_t *self);

#endif
