/* All channels of one memory engine, under one budget of bytes. Over it, whole idle channels go, epoch and all, longest
 * untouched first; a channel that is held or has something under way never does.
 * Thread: the shard's. Times are monotonic ms. */
#ifndef CALLBOARD_BROKER_MEMORY_STORE_H
#define CALLBOARD_BROKER_MEMORY_STORE_H

#include "broker/memory/memory_channel.h"
#include "broker/memory/memory_leases.h"

struct memory_store {
    slot_table_t channels; /* by name; walked to be swept */
    struct list_link idle; /* those that may be evicted, longest untouched first */
    struct memory_totals totals;
    size_t bytes_max;
    uint64_t n_evicted;
};

void memory_store_init(struct memory_store *self, size_t bytes_max);
void memory_store_finish(struct memory_store *self); /* nothing may be pinned */

memory_channel_t *memory_store_find(const struct memory_store *self, struct span name); /* NULL: not there */
/* Found or made, and pinned: pair with memory_store_unpin. */
memory_channel_t *memory_store_pin(struct memory_store *self, struct span name);
void memory_store_pin_again(struct memory_store *self, memory_channel_t *channel);
/* The last unpin of a channel that nobody holds puts it at the end of the idle, or frees it where it is empty. */
void memory_store_unpin(struct memory_store *self, memory_channel_t *channel);

void memory_store_hold(struct memory_store *self, struct span name);
/* False: it was not held. From now on its epoch lives for its meta ttl. */
bool memory_store_release(struct memory_store *self, struct span name, uint64_t now_ms);

/* Evicts until `bytes` more fit. False: everything left is held or under way. */
bool memory_store_make_room(struct memory_store *self, size_t bytes);
/* Expires what is past its time in the next `n_channels` channels; in idle ones also members whose lease is gone, since
 * no shard watches those. */
void memory_store_sweep(struct memory_store *self, size_t n_channels, const struct memory_leases *leases,
                        uint64_t now_ms);

#endif
