/* Looks at every pod of a Redis Cluster, and does what a plan says. Each call opens its own connections and ends within
 * the command timeout for each pod and command. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_CLUSTER_OBSERVE_H
#define CALLBOARD_OPERATOR_CLUSTER_OBSERVE_H

#include "operator/redis/cluster_plan.h"
#include "operator/redis/redis_dialer.h"

typedef struct cluster_observation cluster_observation_t;

/* is_stopped: asked between two pods; true ends early, the rest counts as silent. May be NULL. */
cluster_observation_t *cluster_observe(redis_dialer_t *dialer, const struct redis_pods *pods, unsigned shards,
                                       bool (*is_stopped)(void *context), void *context);
void cluster_observation_destroy(cluster_observation_t **self_p); /* accepts NULL */
const struct cluster_view *cluster_observation_view(const cluster_observation_t *self);

/* Sends one command of a plan. False: ret_error says what the server said, or why it could not be asked. */
bool cluster_step_send(redis_dialer_t *dialer, const struct redis_pods *pods, const struct cluster_step *step,
                       char *ret_error, size_t error_size);

#endif
