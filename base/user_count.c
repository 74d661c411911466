/* Open addressing with linear probing; a removed entry is closed up by moving later ones of its run back, so that the
 * table never fills with tombstones. It grows at half full and does not shrink: who had a hundred thousand users will
 * have them again. */
#include "base/user_count.h"

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

uint64_t user_count_key(struct span user) {
    return XXH3_64bits(user.data, user.size);
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

uint32_t user_count_set(user_count_t *self, uint64_t key, uint32_t count) {
    uint32_t index = find(self, key);
    uint32_t before = self->slots[index].count;
    self->slots[index] = (struct slot){.hash = key, .count = count};
    if (before > 0 && count == 0) {
        self->n_used--;
        close_hole(self, index);
    } else if (before == 0 && count > 0 && ++self->n_used > self->n_slots / 2) {
        grow(self);
    }
    return before;
}

void user_count_add(user_count_t *self, struct span user) {
    uint64_t key = user_count_key(user);
    user_count_set(self, key, user_count_at(self, key) + 1);
}

void user_count_remove(user_count_t *self, struct span user) {
    uint64_t key = user_count_key(user);
    uint32_t count = user_count_at(self, key);
    check(count > 0, "a user is removed that was not added");
    user_count_set(self, key, count - 1);
}

uint32_t user_count_different(const user_count_t *self) {
    return self->n_used;
}

uint32_t user_count_at(const user_count_t *self, uint64_t key) {
    return self->slots[find(self, key)].count;
}

uint32_t user_count_of(const user_count_t *self, struct span user) {
    return user_count_at(self, user_count_key(user));
}

bool user_count_next(const user_count_t *self, uint32_t *at, uint64_t *ret_key, uint32_t *ret_count) {
    for (; *at < self->n_slots; (*at)++) {
        if (self->slots[*at].count > 0) {
            *ret_key = self->slots[*at].hash;
            *ret_count = self->slots[*at].count;
            (*at)++;
            return true;
        }
    }
    return false;
}
