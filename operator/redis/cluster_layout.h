/* Which pods are a shard of a formed cluster, and which are free: pure. Shards are what Redis says they are: a pod that
 * serves slots, and those that follow it. Ordinals decide at forming, and between equals later; so shards may be added
 * and taken away without any other pod changing its place. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_CLUSTER_LAYOUT_H
#define CALLBOARD_OPERATOR_CLUSTER_LAYOUT_H

#include "operator/redis/cluster_view.h"

enum {
    LAYOUT_NOBODY = -1,   /* of a slot: it belongs to no node */
    LAYOUT_SOMEBODY = -2, /* of a slot: a node that is none of the pods that answer */
    LAYOUT_CHANGING = -3, /* of a slot: a pod, as another one says, but not as that pod itself says */
    LAYOUT_STAYS = -4,    /* of an assignment: the pod goes on as it is */
};

enum layout_place {
    LAYOUT_SILENT,    /* does not answer */
    LAYOUT_OWNER,     /* serves slots */
    LAYOUT_REPLICA,   /* follows an owner, or a pod that does */
    LAYOUT_FREE,      /* a primary without slots, or a replica of one, or of nobody that is known */
    LAYOUT_UNSETTLED, /* between two places: it takes slots over, or its shard has no owner that answers */
};

struct layout_pod {
    enum layout_place place;
    int16_t owner;   /* a replica's: the pod that serves its shard's slots */
    int16_t follows; /* the pod that it says it follows, or LAYOUT_NOBODY */
    bool is_primary;
    uint16_t n_slots; /* an owner's */
};

enum { LAYOUT_LOST_MAX = 128 };

struct cluster_layout {
    struct layout_pod pods[CLUSTER_PODS_MAX];
    size_t n;
    int16_t owner[CLUSTER_SLOTS];                     /* pod, LAYOUT_NOBODY, LAYOUT_SOMEBODY or LAYOUT_CHANGING */
    const struct cluster_node *lost[LAYOUT_LOST_MAX]; /* what LAYOUT_SOMEBODY are, each once */
    size_t n_lost;
    bool is_lost_alive; /* each of them is linked with a pod: pods that are not in this list */
    unsigned shards;    /* that have slots: owners and lost ones */
    unsigned unowned;   /* slots of nobody */
    unsigned changing;  /* slots that change hands */
    bool is_settled;    /* all pods answer, and each slot is a pod's */
    int conflict[2];    /* two pods that claim the same slot and do not know each other; else conflict[0] is nobody */
    unsigned conflict_slot;
};

void cluster_layout_make(struct cluster_layout *self, const struct cluster_view *view);

/* Whom each pod follows from now on, a pod's number or LAYOUT_STAYS. A shard that lacks replicas gets free pods (of its
 * own ordinals first), then those that another one has too many of; while there are fewer shards than view->shards,
 * free pods are kept for those that `redis scale` will add: one stays a primary, the others follow it.
 * ret_spares: how many of those primaries there are. */
void cluster_layout_assign(const struct cluster_layout *self, const struct cluster_view *view,
                           int16_t ret_follows[CLUSTER_PODS_MAX], unsigned *ret_spares);

/* How many replicas each shard has to have: n pods, S shards. */
unsigned cluster_layout_replicas(size_t pods, unsigned shards);

/* The number by which people are told of a pod's shard: shards are counted by their lowest ordinals. LAYOUT_NOBODY: it
 * is of none. */
int cluster_layout_shard_number(const struct cluster_layout *self, size_t pod);

/* Whether the node that this table is of waits, without slots, for `redis scale`: fewer shards than wanted, and each of
 * those has its slots and replicas. */
bool cluster_table_is_spare(const struct cluster_table *table, size_t pods, unsigned shards);

#endif
