/* Looks at the Redis servers of one set (a primary and its replicas, or one server) by INFO, each over a connection of
 * its own. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_SET_OBSERVE_H
#define CALLBOARD_OPERATOR_SET_OBSERVE_H

#include "operator/redis/redis_dialer.h"
#include "operator/redis/set_plan.h"

/* One a pod; to be freed with memory_free. */
struct set_server *set_observe(redis_dialer_t *dialer, const struct redis_pods *pods);

/* Pure: what INFO says. */
void set_server_read(struct set_server *server, struct span info);

#endif
