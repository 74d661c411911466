/* A planned failover under Sentinel that takes back nothing: whoever is primary gets no more writes before another one
 * is promoted. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_SENTINEL_HANDOVER_H
#define CALLBOARD_OPERATOR_SENTINEL_HANDOVER_H

#include "operator/redis/redis_dialer.h"

/* As sentinel_failover. pods: among them is the primary; one that is none is left alone. */
bool sentinel_hand_over(redis_dialer_t *dialer, const struct redis_pods *sentinels, const struct redis_pods *pods,
                        const char *master_set, char *ret_error, size_t error_size);

#endif
