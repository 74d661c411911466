/* May a pod of a Redis Cluster be stopped now, and who takes over from it: pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_ROLL_PLAN_H
#define CALLBOARD_OPERATOR_ROLL_PLAN_H

#include "operator/redis/cluster_plan.h"

enum roll_verdict {
    ROLL_MAY_GO,    /* stopping it interrupts no slot that a replica could serve */
    ROLL_HAND_OVER, /* a primary: CLUSTER FAILOVER at the heir first */
    ROLL_WAIT,      /* reason says for what */
};

/* The strict question, of a roll: everything has to be well (every replica of every shard in sync, within max_lag
 * bytes; no slot under way), so that the stop is the only thing that is wrong meanwhile. */
enum roll_verdict roll_judge(const struct cluster_view *view, unsigned pod, uint64_t max_lag, unsigned *ret_heir,
                             char ret_reason[CLUSTER_REASON_MAX]);
/* The question of a pod that is being stopped anyway: the best of its replicas. False: it has none in sync. */
bool roll_find_heir(const struct cluster_view *view, unsigned pod, unsigned *ret_heir);

#endif
