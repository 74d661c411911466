/* A ring of references that doubles up to its bound. An append to the full ring drops the oldest first; so the steady
 * state allocates nothing. The order of use is a list that a tail moves to the end of: giving one up costs what was put
 * into it. */
#include "broker/channel_tail.h"

#include "base/check.h"
#include "base/memory.h"

enum { RING_FIRST = 4, SHED_PARTS = 4 };

struct channel_tail_ring {
    struct channel_tail *tail; /* whose it is */
    struct channel_tails *tails;
    struct list_link by_use;
    uint32_t capacity; /* a power of two */
    uint32_t begin;    /* index of the oldest */
    uint32_t count;    /* at least 1 between calls */
    uint64_t first;    /* offset of the oldest */
    size_t bytes;
    payload_t *places[];
};

static uint32_t index_of(const struct channel_tail_ring *ring, uint32_t place) {
    return (ring->begin + place) & (ring->capacity - 1);
}

static void drop_oldest(struct channel_tail_ring *ring) {
    payload_t **oldest = &ring->places[ring->begin];
    size_t bytes = payload_footprint(*oldest);
    quota_release(&ring->tails->quota, bytes);
    ring->bytes -= bytes;
    payload_unref(oldest);
    ring->begin = index_of(ring, 1);
    ring->count--;
    ring->first++;
}

void channel_tail_clear(struct channel_tail *self) {
    struct channel_tail_ring *ring = self->ring;
    if (ring == NULL) {
        return;
    }
    while (ring->count > 0) {
        drop_oldest(ring);
    }
    list_remove(&ring->by_use);
    memory_free(ring);
    self->ring = NULL;
}

static void drop_if_empty(struct channel_tail *self) {
    if (self->ring != NULL && self->ring->count == 0) {
        channel_tail_clear(self);
    }
}

static int64_t time_of(const payload_t *publication) {
    struct cursor cursor = cursor_of(payload_span(publication));
    cursor_u64(&cursor); /* offset */
    return (int64_t) cursor_u64(&cursor);
}

void channel_tail_expire(struct channel_tail *self, int64_t wall_ms) {
    struct channel_tail_ring *ring = self->ring;
    while (ring != NULL && ring->count > 0) {
        int64_t time_ms = time_of(ring->places[ring->begin]);
        if (time_ms == 0 || time_ms >= wall_ms) {
            break;
        }
        drop_oldest(ring);
    }
    drop_if_empty(self);
}

void channel_tail_drop_to(struct channel_tail *self, uint64_t offset) {
    while (self->ring != NULL && self->ring->count > 0 && self->ring->first <= offset) {
        drop_oldest(self->ring);
    }
    drop_if_empty(self);
}

/* ---- all tails ---- */

void channel_tails_init(struct channel_tails *self, size_t bytes_max, size_t bytes_max_each) {
    *self = (struct channel_tails){.bytes_max = bytes_max_each};
    quota_init(&self->quota, bytes_max, NULL);
    list_init(&self->by_use);
}

void channel_tail_use(struct channel_tail *self) {
    struct channel_tail_ring *ring = self->ring;
    if (ring != NULL && ring->tails->by_use.previous != &ring->by_use) {
        list_remove(&ring->by_use);
        list_push_back(&ring->tails->by_use, &ring->by_use);
    }
}

/* Charges at the expense of the others, never of `self` (NULL: of all). */
static bool charge_tails(struct channel_tails *tails, const struct channel_tail *self, size_t bytes) {
    while (!quota_charge(&tails->quota, bytes)) {
        struct list_link *oldest = tails->by_use.next;
        if (self != NULL && self->ring != NULL && oldest == &self->ring->by_use) {
            oldest = oldest->next;
        }
        if (oldest == &tails->by_use) {
            return false;
        }
        channel_tail_clear(list_entry(oldest, struct channel_tail_ring, by_use)->tail);
        tails->n_given_up++;
    }
    return true;
}

bool channel_tails_make_room(struct channel_tails *self, size_t bytes) {
    if (!charge_tails(self, NULL, bytes)) {
        return false;
    }
    quota_release(&self->quota, bytes);
    return true;
}

void channel_tails_shed(struct channel_tails *self) {
    size_t bytes = 0;
    list_for_each (link, &self->by_use) {
        bytes += list_entry(link, struct channel_tail_ring, by_use)->bytes;
    }
    size_t given_up = 0;
    while (!list_is_empty(&self->by_use) && given_up * SHED_PARTS < bytes) {
        struct channel_tail_ring *ring = list_entry(self->by_use.next, struct channel_tail_ring, by_use);
        given_up += ring->bytes;
        channel_tail_clear(ring->tail);
        self->n_given_up++;
    }
}

/* ---- adding ---- */

/* The ring, with room for one more. */
static struct channel_tail_ring *roomy_ring(struct channel_tail *self, struct channel_tails *tails) {
    struct channel_tail_ring *former = self->ring;
    if (former != NULL && former->count < former->capacity) {
        return former;
    }
    uint32_t capacity = former == NULL ? RING_FIRST : former->capacity * 2;
    struct channel_tail_ring *ring = memory_alloc_zero(sizeof *ring + capacity * sizeof(payload_t *));
    ring->tail = self;
    ring->tails = tails;
    ring->capacity = capacity;
    list_init(&ring->by_use);
    if (former != NULL) {
        for (uint32_t i = 0; i < former->count; i++) {
            ring->places[i] = former->places[index_of(former, i)];
        }
        ring->count = former->count;
        ring->first = former->first;
        ring->bytes = former->bytes;
        list_remove(&former->by_use);
        memory_free(former);
    }
    self->ring = ring;
    return ring;
}

static void charge(struct channel_tail *self, size_t bytes) {
    self->ring->bytes += bytes;
    self->ring->count++;
    channel_tail_use(self);
}

bool channel_tail_append(struct channel_tail *self, struct channel_tail_room room, uint64_t offset,
                         payload_t *publication) {
    size_t bytes = payload_footprint(publication);
    if (self->ring != NULL && offset != self->ring->first + self->ring->count) {
        channel_tail_clear(self);
    }
    if (room.count_max == 0 || bytes > room.tails->bytes_max) {
        channel_tail_clear(self);
        return true;
    }
    struct channel_tail_ring *ring = self->ring;
    while (ring != NULL && ring->count > 0 &&
           (ring->count >= room.count_max || ring->bytes + bytes > room.tails->bytes_max)) {
        drop_oldest(ring);
    }
    if (!charge_tails(room.tails, self, bytes)) {
        room.tails->n_given_up += ring != NULL && ring->count > 0;
        channel_tail_clear(self);
        return false;
    }
    ring = roomy_ring(self, room.tails);
    if (ring->count == 0) {
        ring->first = offset;
    }
    ring->places[index_of(ring, ring->count)] = payload_ref(publication);
    charge(self, bytes);
    return true;
}

bool channel_tail_prepend(struct channel_tail *self, struct channel_tail_room room, uint64_t offset,
                          payload_t *publication) {
    check(self->ring != NULL && offset + 1 == self->ring->first, "prepend %llu", (unsigned long long) offset);
    size_t bytes = payload_footprint(publication);
    if (self->ring->count >= room.count_max || self->ring->bytes + bytes > room.tails->bytes_max ||
        !charge_tails(room.tails, self, bytes)) {
        return false;
    }
    struct channel_tail_ring *ring = roomy_ring(self, room.tails);
    ring->begin = index_of(ring, ring->capacity - 1);
    ring->places[ring->begin] = payload_ref(publication);
    ring->first = offset;
    charge(self, bytes);
    return true;
}

/* ---- reading ---- */

uint32_t channel_tail_count(const struct channel_tail *self) {
    return self->ring == NULL ? 0 : self->ring->count;
}

size_t channel_tail_bytes(const struct channel_tail *self) {
    return self->ring == NULL ? 0 : self->ring->bytes;
}

payload_t *channel_tail_at(const struct channel_tail *self, uint64_t offset) {
    const struct channel_tail_ring *ring = self->ring;
    if (ring == NULL || offset < ring->first || offset - ring->first >= ring->count) {
        return NULL;
    }
    return ring->places[index_of(ring, (uint32_t) (offset - ring->first))];
}

uint64_t channel_tail_first(const struct channel_tail *self, uint64_t cursor) {
    return self->ring == NULL ? cursor + 1 : self->ring->first;
}
