/* A hash table of members that carry its links: eight bytes in each, and four to eight for its slot. For what there is
 * a hundred thousand of: channels by name, subscriptions by handle. Slots with chains, doubled when there are two
 * members a slot, never shrunk. Keys that peers or clients choose cannot be steered into one chain: the seed is random.
 * Thread: the owner's. */
#ifndef CALLBOARD_BROKER_SLOT_TABLE_H
#define CALLBOARD_BROKER_SLOT_TABLE_H

#include "base/bytes.h"

struct slot_link {
    struct slot_link *next;
};

/* A place among the members: all before it were visited. */
struct slot_cursor {
    size_t slot;
    struct slot_link *next;
};

typedef struct slot_table slot_table_t;
struct slot_table {
    struct slot_link **slots;
    size_t n_slots; /* a power of two; 0: none yet */
    size_t n;
    uint64_t seed;
    struct slot_cursor walk;
    uint64_t (*hash_of)(const slot_table_t *self, const struct slot_link *link); /* of a member's key */
};

/* The member that embeds `link` as its field `member`. */
#define slot_entry(link, type, member) ((type *) (void *) ((char *) (uintptr_t) (link) -offsetof(type, member)))

void slot_table_init(slot_table_t *self, uint64_t (*hash_of)(const slot_table_t *self, const struct slot_link *link));
void slot_table_finish(slot_table_t *self); /* the members are the caller's */
uint64_t slot_table_hash_bytes(const slot_table_t *self, struct span key);
uint64_t slot_table_hash_number(const slot_table_t *self, uint64_t key);

/* The chain in which a key of this hash is, if it is there: compare, go on with ->next. NULL: nothing there. */
static inline struct slot_link *slot_table_chain(const slot_table_t *self, uint64_t hash) {
    return self->n_slots == 0 ? NULL : self->slots[hash & (self->n_slots - 1)];
}
/* The key is not there yet. */
void slot_table_add(slot_table_t *self, struct slot_link *link);
void slot_table_remove(slot_table_t *self, struct slot_link *link); /* it is there */

/* Every member: begin with a zeroed cursor; NULL at the end. The one that was given may be removed; nothing may be
 * added meanwhile. */
struct slot_link *slot_table_each(const slot_table_t *self, struct slot_cursor *cursor);

/* The next in turn, from the beginning again at the end; NULL: there is none. Others may come and go between the calls:
 * nobody who stays is left out, some are visited again. */
struct slot_link *slot_table_walk(slot_table_t *self);

#endif
