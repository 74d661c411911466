/* Which node of a cluster serves which slot, as CLUSTER SLOTS tells it. Pure: bytes in, values out
 * (tests/fuzz/fuzz_redis_topology.c). Thread: the owner's. */
#ifndef CALLBOARD_BROKER_REDIS_CLUSTER_MAP_H
#define CALLBOARD_BROKER_REDIS_CLUSTER_MAP_H

#include "base/redis_reply.h"
#include "broker/redis/link/redis_address.h"

enum { REDIS_CLUSTER_SLOTS = 16384, REDIS_CLUSTER_NODES_MAX = 1000 };

struct redis_cluster_node {
    struct redis_address address;
    unsigned replicas; /* of a primary: those that are named, which are those in order */
};

typedef struct redis_cluster_map redis_cluster_map_t;

redis_cluster_map_t *redis_cluster_map_new(void); /* nobody serves anything */
void redis_cluster_map_destroy(redis_cluster_map_t **self_p);

/* `asked`: the node that answered; one that is named without a host is reached where that one was. NULL: no such
 * answer, or more nodes than a cluster may have. */
redis_cluster_map_t *redis_cluster_map_parse(const struct redis_reply *reply, const struct redis_address *asked);

/* Valid until the map changes; NULL: nobody, as far as is known. */
const struct redis_cluster_node *redis_cluster_map_find(const redis_cluster_map_t *self, uint32_t slot);
/* The slot is served by this node from now on. False: it was so already, or there are too many nodes. */
bool redis_cluster_map_move(redis_cluster_map_t *self, uint32_t slot, const struct redis_address *address);
/* Same primary, with as many replicas, for each slot? */
bool redis_cluster_map_equal(const redis_cluster_map_t *a, const redis_cluster_map_t *b);
size_t redis_cluster_map_unserved(const redis_cluster_map_t *self); /* slots without a node */

/* Every node that was named, replicas too: those that can be asked. */
size_t redis_cluster_map_count(const redis_cluster_map_t *self);
const struct redis_address *redis_cluster_map_node(const redis_cluster_map_t *self, size_t number);

/* Of CLUSTER INFO. */
struct redis_cluster_condition {
    bool is_ok;     /* cluster_state: not cut off from the others, and serving */
    uint64_t epoch; /* cluster_current_epoch: grows with every change; a lower one is old news */
};
bool redis_cluster_condition_parse(struct span text, struct redis_cluster_condition *ret_condition);

#endif
