/* The channels an engine has to do with: held ones, and those with work under way. A table by name; each belongs to a
 * partition's list while it is held. Freed when neither held nor pinned. There may be a hundred thousand that rest:
 * keep it small. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_REDIS_CHANNELS_H
#define CALLBOARD_BROKER_REDIS_CHANNELS_H

#include "base/list.h"
#include "base/namespace_options.h"
#include "base/position.h"

struct redis_channel {
    struct list_link held_link; /* in its partition's list while held */
    struct redis_channel *next_in_slot;
    const struct namespace_options *options; /* of the hold */
    struct position known; /* the furthest position told or read: evidence for what Redis lost; empty: none */
    uint32_t hash;
    uint32_t n_holds;
    uint32_t n_pins;
    uint32_t renewed_s; /* when its meta ttl began anew for all we know, monotonic */
    uint16_t partition;
    uint8_t batch_index[3]; /* while a batch is built: where the channel may stand in it, by kind - 1 */
    uint8_t name_size;
    char name[];
};

typedef struct redis_channels redis_channels_t;

redis_channels_t *redis_channels_new(uint32_t n_partitions);
void redis_channels_destroy(redis_channels_t **self_p);                                    /* frees what is left */
struct redis_channel *redis_channels_find(const redis_channels_t *self, struct span name); /* NULL: none */
/* Makes it where needed, and pins it. */
struct redis_channel *redis_channels_pin(redis_channels_t *self, struct span name);
void redis_channels_unpin(redis_channels_t *self, struct redis_channel *channel);
size_t redis_channels_count(const redis_channels_t *self);
/* For who looks at all of them in turn: the number of slots, and the chain of one. */
size_t redis_channels_slots(const redis_channels_t *self);
struct redis_channel *redis_channels_slot(const redis_channels_t *self, size_t slot);
static inline struct span redis_channel_name(const struct redis_channel *self) {
    return span_of(self->name, self->name_size);
}
/* A position told or read: kept where it is further, or of another epoch. */
void redis_channel_learn(struct redis_channel *self, const struct epoch *epoch, uint64_t offset);

#endif
