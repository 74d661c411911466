/* Where a channel lives: its partition, the partition's Redis tag, the broker that gateways ask first, the shard actor.
 * Everybody, of any version, must compute the same: redis.md "Partitions", architecture.md "One idea".
 * Thread: any. */
#ifndef CALLBOARD_BASE_PARTITION_H
#define CALLBOARD_BASE_PARTITION_H

#include "base/bytes.h"

enum {
    PARTITIONS_DEFAULT = 256,
    PARTITIONS_MIN = 64,
    PARTITIONS_MAX = 4096,
    PARTITION_TAG_MAX = 8,
    REDIS_SLOTS = 16384
};

/* A power of two in [PARTITIONS_MIN, PARTITIONS_MAX]? */
bool partition_count_is_valid(uint64_t n_partitions);
/* XXH64 with seed 0 over the whole name, modulo n. */
uint32_t partition_of(struct span channel, uint32_t n_partitions);
/* Redis Cluster's slot of a key without braces: CRC16 (XMODEM) mod 16384. */
uint32_t partition_redis_slot(struct span tag);

struct partition_tag {
    char text[PARTITION_TAG_MAX]; /* NUL-terminated */
};
/* Fills n_partitions tags: tag i is the first of 0, 1, 2… in base 36 whose slot lies in [i·16384/P, (i+1)·16384/P). */
void partition_tags(uint32_t n_partitions, struct partition_tag *ret_tags);

/* contiguous: partition * n_shards / n_partitions */
uint32_t partition_shard(uint32_t partition, uint32_t n_partitions, uint32_t n_shards);

/* Rendezvous: the weight of a broker for a partition, XXH64 (seed = partition) of the broker's configured id. The
 * highest is first; equal weights are ordered by id. */
uint64_t partition_rank(uint32_t partition, struct span broker_id);

#endif
