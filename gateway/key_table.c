/* At most 3 of 4 slots are taken; the table doubles then. It never shrinks: it follows the worker's high-water mark. */
#include "gateway/key_table.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"

enum { FIRST_BITS = 4 };

void key_table_init(struct key_table *self) {
    *self = (struct key_table){.multiplier = random_u64() | 1};
}

void key_table_finish(struct key_table *self) {
    memory_free(self->slots);
    *self = (struct key_table){.multiplier = self->multiplier};
}

static size_t n_slots(const struct key_table *self) {
    return self->bits == 0 ? 0 : (size_t) 1 << self->bits;
}

static size_t home_of(const struct key_table *self, uint64_t key) {
    return (size_t) ((key * self->multiplier) >> (64 - self->bits));
}

/* Where the key stands, or the free slot where it would. */
static struct key_slot *slot_of(const struct key_table *self, uint64_t key) {
    size_t mask = n_slots(self) - 1;
    size_t place = home_of(self, key);
    while (self->slots[place].value != NULL && self->slots[place].key != key) {
        place = (place + 1) & mask;
    }
    return &self->slots[place];
}

void *key_table_find(const struct key_table *self, uint64_t key) {
    return self->bits == 0 ? NULL : slot_of(self, key)->value;
}

static void grow(struct key_table *self) {
    struct key_table bigger = {.count = self->count, .multiplier = self->multiplier};
    bigger.bits = self->bits == 0 ? FIRST_BITS : self->bits + 1;
    bigger.slots = memory_alloc_array(n_slots(&bigger), sizeof *bigger.slots);
    for (size_t i = 0; i < n_slots(self); i++) {
        if (self->slots[i].value != NULL) {
            *slot_of(&bigger, self->slots[i].key) = self->slots[i];
        }
    }
    memory_free(self->slots);
    *self = bigger;
}

void key_table_put(struct key_table *self, uint64_t key, void *value) {
    if (self->count * 4 >= n_slots(self) * 3) {
        grow(self);
    }
    struct key_slot *slot = slot_of(self, key);
    check(slot->value == NULL && value != NULL, "key %llu is there already", (unsigned long long) key);
    *slot = (struct key_slot){key, value};
    self->count++;
}

void key_table_replace(struct key_table *self, uint64_t key, void *value) {
    check(key_table_find(self, key) != NULL && value != NULL, "key %llu is not there", (unsigned long long) key);
    slot_of(self, key)->value = value;
}

/* Entries behind the hole move into it where their home is not between the hole and them. */
static void close_hole(struct key_table *self, size_t hole) {
    size_t mask = n_slots(self) - 1;
    for (size_t place = (hole + 1) & mask; self->slots[place].value != NULL; place = (place + 1) & mask) {
        size_t home = home_of(self, self->slots[place].key);
        if (((place - home) & mask) >= ((place - hole) & mask)) {
            self->slots[hole] = self->slots[place];
            hole = place;
        }
    }
    self->slots[hole] = (struct key_slot){0, NULL};
}

void *key_table_take(struct key_table *self, uint64_t key) {
    if (self->bits == 0) {
        return NULL;
    }
    struct key_slot *slot = slot_of(self, key);
    void *value = slot->value;
    if (value != NULL) {
        close_hole(self, (size_t) (slot - self->slots));
        self->count--;
    }
    return value;
}

void *key_table_each(const struct key_table *self, size_t *place) {
    while (*place < n_slots(self)) {
        void *value = self->slots[(*place)++].value;
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
