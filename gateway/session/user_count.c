/* Open addressing with linear probing; a removed entry is closed up by moving later ones of its run back, so that the
 * table never fills with tombstones. It grows at half full and does not shrink: a worker that had a hundred thousand
 * users will have them again. */
#include "gateway/session/user_count.h"

#include "base/check.h"
#include "base/memory.h"

#include <xxhash.h>

enum { SLOTS_FIRST = 64 };

struct slot {
    uint64_t hash;
    uint32_t count; /* 0: free */
};

struct user_count {
    struct slot *slots;
    uint32_t n_slots; /* power of two */
    uint32_t n_used;
};

user_count_t *user_count_new(void) {
    user_count_t *self = memory_alloc_zero(sizeof *self);
    self->n_slots = SLOTS_FIRST;
    self->slots = memory_alloc_array(self->n_slots, sizeof *self->slots);
    return self;
}

void user_count_destroy(user_count_t **self_p) {
    user_count_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        memory_free(self->slots);
        memory_free(self);
    }
}

static uint32_t next_index(const user_count_t *self, uint32_t index) {
    return (index + 1) & (self->n_slots - 1);
}

/* The slot of this hash, or the free one where it belongs. */
static uint32_t find(const user_count_t *self, uint64_t hash) {
    uint32_t index = (uint32_t) hash & (self->n_slots - 1);
    while (self->slots[index].count > 0 && self->slots[index].hash != hash) {
        index = next_index(self, index);
    }
    return index;
}

static void grow(user_count_t *self) {
    struct slot *old = self->slots;
    uint32_t n_old = self->n_slots;
    self->n_slots *= 2;
    self->slots = memory_alloc_array(self->n_slots, sizeof *self->slots);
    for (uint32_t i = 0; i < n_old; i++) {
        if (old[i].count > 0) {
            self->slots[find(self, old[i].hash)] = old[i];
        }
    }
    memory_free(old);
}

void user_count_add(user_count_t *self, struct span user) {
    uint64_t hash = XXH3_64bits(user.data, user.size);
    struct slot *slot = &self->slots[find(self, hash)];
    slot->hash = hash;
    slot->count++;
    if (slot->count == 1 && ++self->n_used > self->n_slots / 2) {
        grow(self);
    }
}

/* May the entry at `index` move to the free slot at `hole`, or does its home lie behind the hole? */
static bool may_move(const user_count_t *self, uint32_t index, uint32_t hole) {
    uint32_t mask = self->n_slots - 1;
    uint32_t home = (uint32_t) self->slots[index].hash & mask;
    return ((index - home) & mask) >= ((index - hole) & mask);
}

static void close_hole(user_count_t *self, uint32_t hole) {
    for (uint32_t i = next_index(self, hole); self->slots[i].count > 0; i = next_index(self, i)) {
        if (may_move(self, i, hole)) {
            self->slots[hole] = self->slots[i];
            self->slots[i].count = 0;
            hole = i;
        }
    }
}

void user_count_remove(user_count_t *self, struct span user) {
    uint32_t index = find(self, XXH3_64bits(user.data, user.size));
    struct slot *slot = &self->slots[index];
    check(slot->count > 0, "a user is removed that was not added");
    if (--slot->count == 0) {
        self->n_used--;
        close_hole(self, index);
    }
}

uint32_t user_count_different(const user_count_t *self) {
    return self->n_used;
}

uint32_t user_count_of(const user_count_t *self, struct span user) {
    return self->slots[find(self, XXH3_64bits(user.data, user.size))].count;
}
