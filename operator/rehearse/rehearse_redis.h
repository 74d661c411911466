/* The Redis that is rehearsed on, by addresses: is it well, who is primary of each shard, and the orders to change
 * that. A set under Sentinel has one shard. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_REDIS_H
#define CALLBOARD_OPERATOR_REHEARSE_REDIS_H

#include "operator/redis/cluster_plan.h"
#include "operator/redis/redis_dialer.h"

typedef struct rehearse_redis rehearse_redis_t;

enum { REHEARSE_NOBODY = -1, REHEARSE_SHARDS_MAX = 90 };

/* mode cluster or replicated; the options outlive it. NULL: ret_error says what is wrong with them. */
rehearse_redis_t *rehearse_redis_new(const struct redis_options *options, char *ret_error, size_t error_size);
void rehearse_redis_destroy(rehearse_redis_t **self_p); /* accepts NULL */

enum rehearse_health {
    REHEARSE_WELL,   /* every server and Sentinel answers, one primary a shard, every replica in sync and near */
    REHEARSE_UNWELL, /* reason says what is not */
    REHEARSE_SILENT, /* nobody answers */
};
enum rehearse_health rehearse_redis_look(rehearse_redis_t *self, char ret_reason[CLUSTER_REASON_MAX]);

/* As the last look that found it well saw it. */
unsigned rehearse_redis_shards(const rehearse_redis_t *self);
int rehearse_redis_primary(const rehearse_redis_t *self, unsigned shard);
int rehearse_redis_heir(const rehearse_redis_t *self, unsigned shard); /* its best replica; REHEARSE_NOBODY: none */

/* Another one of the shard that says now that it is primary; REHEARSE_NOBODY: none does. */
int rehearse_redis_other_primary(rehearse_redis_t *self, unsigned shard, int old);

const struct redis_pods *rehearse_redis_pods(const rehearse_redis_t *self);
const struct redis_pods *rehearse_redis_sentinels(const rehearse_redis_t *self); /* of a cluster: none */
redis_dialer_t *rehearse_redis_dialer(rehearse_redis_t *self);

/* CLUSTER FAILOVER at the pod, or SENTINEL FAILOVER (which chooses by itself). ret_command: the order as redis-cli
 * would send it. False: ret_error has what was said to it. */
bool rehearse_redis_hand_over(rehearse_redis_t *self, unsigned to, char *ret_error, size_t error_size);
void rehearse_redis_hand_over_command(const rehearse_redis_t *self, unsigned to, char *ret_command, size_t size);

#endif
