/* The recent publications of a channel in memory: offsets first … last without a hole, encoded as wire_publication.
 * Bounded in publications and bytes; the oldest go first. An empty tail knows where it stands only through its
 * channel's cursor.
 * The tails of a shard share a quota. At its bound the tail that was not used for longest is given up, whole: what it
 * held is in the engine, reads go there. Used is what is appended to or read for somebody who comes back.
 * Thread: the shard's. */
#ifndef CALLBOARD_BROKER_CHANNEL_TAIL_H
#define CALLBOARD_BROKER_CHANNEL_TAIL_H

#include "base/list.h"
#include "base/payload.h"
#include "base/quota.h"

/* The tails of a shard. */
struct channel_tails {
    struct quota quota;      /* they, and what their channels charge besides */
    size_t bytes_max;        /* of each */
    struct list_link by_use; /* those that are not empty, the one not used for longest first */
    uint64_t n_given_up;
};

struct channel_tail_ring;

/* Small: there is one in every channel. What it holds is one block, and none while it is empty. */
struct channel_tail {
    struct channel_tail_ring *ring; /* NULL: empty */
};

/* Where a tail's publications go and how many there may be. */
struct channel_tail_room {
    struct channel_tails *tails; /* the same in every call */
    uint32_t count_max;          /* 0: keeps nothing */
};

/* The bytes of all and of each. */
void channel_tails_init(struct channel_tails *self, size_t bytes_max, size_t bytes_max_each);
/* Gives up tails until so many bytes may be charged. False: there is not so much room without any tail. */
bool channel_tails_make_room(struct channel_tails *self, size_t bytes);

/* Gives up the tails not used for longest, a quarter of the bytes of all at least. */
void channel_tails_shed(struct channel_tails *self);

/* A zeroed tail is empty; it stays where it is. Clearing frees what it holds. */
void channel_tail_clear(struct channel_tail *self);
/* Takes a reference. `offset` is last + 1, else the tail starts anew with it. Drops the oldest over a bound; what alone
 * is over a bound leaves the tail empty. False: the quota of all tails has no room for it even without the others, the
 * tail is empty. */
bool channel_tail_append(struct channel_tail *self, struct channel_tail_room room, uint64_t offset,
                         payload_t *publication);
/* Puts one before the oldest, offset == first - 1 of a tail that is not empty, as long as the bounds allow it. */
bool channel_tail_prepend(struct channel_tail *self, struct channel_tail_room room, uint64_t offset,
                          payload_t *publication);
/* The oldest go that were published before `wall_ms` (and those whose time is not known stay). */
void channel_tail_expire(struct channel_tail *self, int64_t wall_ms);
/* Those up to this offset go. */
void channel_tail_drop_to(struct channel_tail *self, uint64_t offset);
/* It was read from. */
void channel_tail_use(struct channel_tail *self);
uint32_t channel_tail_count(const struct channel_tail *self);
size_t channel_tail_bytes(const struct channel_tail *self); /* charged */
/* NULL: not there. Borrowed. */
payload_t *channel_tail_at(const struct channel_tail *self, uint64_t offset);
/* The oldest offset; `cursor` + 1 when it is empty. */
uint64_t channel_tail_first(const struct channel_tail *self, uint64_t cursor);

#endif
