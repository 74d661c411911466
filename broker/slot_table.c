/* See slot_table.h. A member's hash is not kept: it is computed again when the table grows, which happens as often as
 * its size doubles. */
#include "broker/slot_table.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"

#include <xxhash.h>

enum { SLOTS_FIRST = 8, MEMBERS_A_SLOT = 2 };

void slot_table_init(slot_table_t *self, uint64_t (*hash_of)(const slot_table_t *self, const struct slot_link *link)) {
    *self = (slot_table_t){.seed = random_u64(), .hash_of = hash_of};
}

void slot_table_finish(slot_table_t *self) {
    memory_free(self->slots);
    self->slots = NULL;
    self->n_slots = 0;
    self->n = 0;
}

uint64_t slot_table_hash_bytes(const slot_table_t *self, struct span key) {
    return XXH3_64bits_withSeed(key.data, key.size, self->seed);
}

uint64_t slot_table_hash_number(const slot_table_t *self, uint64_t key) {
    uint64_t product = (key ^ (self->seed >> 32)) * (self->seed | 1);
    return product ^ (product >> 32); /* the slot is taken from the low bits, which only low bits of the key reach */
}

static struct slot_link **slot_of(const slot_table_t *self, const struct slot_link *link) {
    return &self->slots[self->hash_of(self, link) & (self->n_slots - 1)];
}

static void put(slot_table_t *self, struct slot_link *link) {
    struct slot_link **slot = slot_of(self, link);
    link->next = *slot;
    *slot = link;
}

static void grow(slot_table_t *self) {
    struct slot_link **former = self->slots;
    size_t n_former = self->n_slots;
    self->n_slots = n_former == 0 ? SLOTS_FIRST : n_former * 2;
    self->slots = memory_alloc_array(self->n_slots, sizeof(struct slot_link *));
    for (size_t i = 0; i < n_former; i++) {
        while (former[i] != NULL) {
            struct slot_link *link = former[i];
            former[i] = link->next;
            put(self, link);
        }
    }
    memory_free(former);
    /* Who stood in a slot stands there or in the new half: the slot that was walked last is walked again. */
    self->walk = (struct slot_cursor){.slot = self->walk.slot == 0 ? 0 : self->walk.slot - 1};
}

void slot_table_add(slot_table_t *self, struct slot_link *link) {
    if (self->n >= self->n_slots * MEMBERS_A_SLOT) {
        grow(self);
    }
    put(self, link);
    self->n++;
}

void slot_table_remove(slot_table_t *self, struct slot_link *link) {
    struct slot_link **place = slot_of(self, link);
    while (*place != link) {
        check(*place != NULL, "the member is not in the table");
        place = &(*place)->next;
    }
    if (self->walk.next == link) {
        self->walk.next = link->next;
    }
    *place = link->next;
    link->next = NULL;
    self->n--;
}

struct slot_link *slot_table_each(const slot_table_t *self, struct slot_cursor *cursor) {
    struct slot_link *link = cursor->next;
    while (link == NULL && cursor->slot < self->n_slots) {
        link = self->slots[cursor->slot++];
    }
    cursor->next = link == NULL ? NULL : link->next;
    return link;
}

struct slot_link *slot_table_walk(slot_table_t *self) {
    struct slot_link *link = slot_table_each(self, &self->walk);
    if (link == NULL) {
        self->walk = (struct slot_cursor){.slot = 0};
        link = slot_table_each(self, &self->walk);
    }
    return link;
}
