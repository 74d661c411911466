/* A ring of references that doubles up to its bound. An append to the full ring drops the oldest first; so the steady
 * state allocates nothing. The order of use is a list that a tail moves to the end of: giving one up costs what was put
 * into it. */
#include "broker/channel_tail.h"

#include "base/check.h"
#include "base/memory.h"

enum { RING_FIRST = 4 };

void channel_tail_init(struct channel_tail *self, uint32_t count_max, size_t bytes_max, struct channel_tails *tails) {
    *self = (struct channel_tail){.count_max = count_max, .bytes_max = bytes_max, .tails = tails};
    list_init(&self->by_use);
}

static uint32_t ring_index(const struct channel_tail *self, uint32_t place) {
    return (self->begin + place) & (self->capacity - 1);
}

static void drop_oldest(struct channel_tail *self) {
    payload_t **oldest = &self->ring[self->begin];
    size_t bytes = payload_footprint(*oldest);
    quota_release(&self->tails->quota, bytes);
    self->bytes -= bytes;
    payload_unref(oldest);
    self->begin = ring_index(self, 1);
    self->count--;
    self->first++;
}

void channel_tail_clear(struct channel_tail *self) {
    while (self->count > 0) {
        drop_oldest(self);
    }
    memory_free(self->ring);
    self->ring = NULL;
    self->capacity = 0;
    self->begin = 0;
    list_remove(&self->by_use);
}

void channel_tail_finish(struct channel_tail *self) {
    channel_tail_clear(self);
}

/* ---- all tails ---- */

void channel_tails_init(struct channel_tails *self, size_t bytes_max) {
    *self = (struct channel_tails){.n_given_up = 0};
    quota_init(&self->quota, bytes_max, NULL);
    list_init(&self->by_use);
}

void channel_tail_use(struct channel_tail *self) {
    if (self->count > 0 && self->tails->by_use.previous != &self->by_use) {
        list_remove(&self->by_use);
        list_push_back(&self->tails->by_use, &self->by_use);
    }
}

/* Charges at the expense of the others, never of `self` (NULL: of all). */
static bool charge_tails(struct channel_tails *tails, const struct channel_tail *self, size_t bytes) {
    while (!quota_charge(&tails->quota, bytes)) {
        struct list_link *oldest = tails->by_use.next;
        if (self != NULL && oldest == &self->by_use) {
            oldest = oldest->next;
        }
        if (oldest == &tails->by_use) {
            return false;
        }
        channel_tail_clear(list_entry(oldest, struct channel_tail, by_use));
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

/* ---- adding ---- */

static void grow(struct channel_tail *self) {
    uint32_t capacity = self->capacity == 0 ? RING_FIRST : self->capacity * 2;
    payload_t **ring = memory_alloc_array(capacity, sizeof *ring);
    for (uint32_t i = 0; i < self->count; i++) {
        ring[i] = self->ring[ring_index(self, i)];
    }
    memory_free(self->ring);
    self->ring = ring;
    self->capacity = capacity;
    self->begin = 0;
}

static void charge(struct channel_tail *self, size_t bytes) {
    self->bytes += bytes;
    self->count++;
    channel_tail_use(self);
}

bool channel_tail_append(struct channel_tail *self, uint64_t offset, payload_t *publication) {
    size_t bytes = payload_footprint(publication);
    if (self->count > 0 && offset != self->first + self->count) {
        channel_tail_clear(self);
    }
    if (self->count_max == 0 || bytes > self->bytes_max) {
        channel_tail_clear(self);
        return true;
    }
    while (self->count > 0 && (self->count >= self->count_max || self->bytes + bytes > self->bytes_max)) {
        drop_oldest(self);
    }
    if (!charge_tails(self->tails, self, bytes)) {
        self->tails->n_given_up += self->count > 0;
        channel_tail_clear(self);
        return false;
    }
    if (self->count == self->capacity) {
        grow(self);
    }
    if (self->count == 0) {
        self->first = offset;
    }
    self->ring[ring_index(self, self->count)] = payload_ref(publication);
    charge(self, bytes);
    return true;
}

bool channel_tail_prepend(struct channel_tail *self, uint64_t offset, payload_t *publication) {
    check(self->count > 0 && offset + 1 == self->first, "prepend %llu", (unsigned long long) offset);
    size_t bytes = payload_footprint(publication);
    if (self->count >= self->count_max || self->bytes + bytes > self->bytes_max ||
        !charge_tails(self->tails, self, bytes)) {
        return false;
    }
    if (self->count == self->capacity) {
        grow(self);
    }
    self->begin = ring_index(self, self->capacity - 1);
    self->ring[self->begin] = payload_ref(publication);
    self->first = offset;
    charge(self, bytes);
    return true;
}

/* ---- reading ---- */

payload_t *channel_tail_at(const struct channel_tail *self, uint64_t offset) {
    if (self->count == 0 || offset < self->first || offset - self->first >= self->count) {
        return NULL;
    }
    return self->ring[ring_index(self, (uint32_t) (offset - self->first))];
}

uint64_t channel_tail_first(const struct channel_tail *self, uint64_t cursor) {
    return self->count == 0 ? cursor + 1 : self->first;
}
