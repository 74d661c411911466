/* See redis_channels.h. Slots with chains, doubled when there are two channels a slot. */
#include "broker/redis/redis_channels.h"

#include "base/check.h"
#include "base/memory.h"

#include <xxhash.h>

enum { SLOTS_FIRST = 256 };

struct redis_channels {
    struct redis_channel **slots;
    size_t n_slots; /* a power of two */
    size_t n;
    uint32_t n_partitions;
};

redis_channels_t *redis_channels_new(uint32_t n_partitions) {
    redis_channels_t *self = memory_alloc_zero(sizeof *self);
    self->n_slots = SLOTS_FIRST;
    self->slots = memory_alloc_array(self->n_slots, sizeof(struct redis_channel *));
    self->n_partitions = n_partitions;
    return self;
}

void redis_channels_destroy(redis_channels_t **self_p) {
    redis_channels_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->n_slots; i++) {
        while (self->slots[i] != NULL) {
            struct redis_channel *channel = self->slots[i];
            self->slots[i] = channel->next_in_slot;
            memory_free(channel);
        }
    }
    memory_free(self->slots);
    memory_free(self);
    *self_p = NULL;
}

static void grow(redis_channels_t *self) {
    size_t n_slots = self->n_slots * 2;
    struct redis_channel **slots = memory_alloc_array(n_slots, sizeof(struct redis_channel *));
    for (size_t i = 0; i < self->n_slots; i++) {
        while (self->slots[i] != NULL) {
            struct redis_channel *channel = self->slots[i];
            self->slots[i] = channel->next_in_slot;
            struct redis_channel **slot = &slots[channel->hash & (n_slots - 1)];
            channel->next_in_slot = *slot;
            *slot = channel;
        }
    }
    memory_free(self->slots);
    self->slots = slots;
    self->n_slots = n_slots;
}

static struct redis_channel *find(const redis_channels_t *self, struct span name, uint32_t hash) {
    struct redis_channel *channel = self->slots[hash & (self->n_slots - 1)];
    while (channel != NULL && (channel->hash != hash || !span_equal(redis_channel_name(channel), name))) {
        channel = channel->next_in_slot;
    }
    return channel;
}

/* Its low bits are those of partition_of, so one computation serves both. */
static uint32_t hash_of(struct span name) {
    return (uint32_t) XXH64(name.data, name.size, 0);
}

struct redis_channel *redis_channels_find(const redis_channels_t *self, struct span name) {
    return find(self, name, hash_of(name));
}

struct redis_channel *redis_channels_pin(redis_channels_t *self, struct span name) {
    uint32_t hash = hash_of(name);
    struct redis_channel *channel = find(self, name, hash);
    if (channel == NULL) {
        check(name.size > 0 && name.size <= UINT8_MAX, "a channel name of %zu bytes", name.size);
        if (self->n >= 2 * self->n_slots) {
            grow(self);
        }
        channel = memory_alloc_zero(offsetof(struct redis_channel, name) + name.size);
        list_init(&channel->held_link);
        channel->hash = hash;
        channel->partition = (uint16_t) (hash % self->n_partitions);
        channel->name_size = (uint8_t) name.size;
        memcpy(channel->name, name.data, name.size);
        struct redis_channel **slot = &self->slots[hash & (self->n_slots - 1)];
        channel->next_in_slot = *slot;
        *slot = channel;
        self->n++;
    }
    channel->n_pins++;
    return channel;
}

void redis_channels_unpin(redis_channels_t *self, struct redis_channel *channel) {
    check(channel->n_pins > 0, "unpinned too often");
    if (--channel->n_pins > 0) {
        return;
    }
    struct redis_channel **place = &self->slots[channel->hash & (self->n_slots - 1)];
    while (*place != channel) {
        place = &(*place)->next_in_slot;
    }
    *place = channel->next_in_slot;
    list_remove(&channel->held_link);
    self->n--;
    memory_free(channel);
}

size_t redis_channels_count(const redis_channels_t *self) {
    return self->n;
}

size_t redis_channels_slots(const redis_channels_t *self) {
    return self->n_slots;
}

struct redis_channel *redis_channels_slot(const redis_channels_t *self, size_t slot) {
    return self->slots[slot];
}

void redis_channel_learn(struct redis_channel *self, const struct epoch *epoch, uint64_t offset) {
    if (epoch_is_empty(epoch)) {
        return;
    }
    if (!epoch_equal(&self->known.epoch, epoch)) {
        self->known = (struct position){*epoch, offset};
    } else if (offset > self->known.offset) {
        self->known.offset = offset;
    }
}
