/* A ring of references that doubles up to its bound. An append to the full ring drops the oldest first; so the steady
 * state allocates nothing. At the bound of all tails the channel's own tail is given up: its history is in the engine,
 * reads go there. */
#include "broker/channel_tail.h"

#include "base/check.h"
#include "base/memory.h"

enum { RING_FIRST = 4 };

void channel_tail_init(struct channel_tail *self, uint32_t count_max, size_t bytes_max, struct quota *quota) {
    *self = (struct channel_tail){.count_max = count_max, .bytes_max = bytes_max, .quota = quota};
}

static uint32_t ring_index(const struct channel_tail *self, uint32_t place) {
    return (self->begin + place) & (self->capacity - 1);
}

static void drop_oldest(struct channel_tail *self) {
    payload_t **oldest = &self->ring[self->begin];
    size_t bytes = payload_footprint(*oldest);
    quota_release(self->quota, bytes);
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
}

void channel_tail_finish(struct channel_tail *self) {
    channel_tail_clear(self);
}

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
    if (!quota_charge(self->quota, bytes)) {
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
    if (self->count >= self->count_max || self->bytes + bytes > self->bytes_max || !quota_charge(self->quota, bytes)) {
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

payload_t *channel_tail_at(const struct channel_tail *self, uint64_t offset) {
    if (self->count == 0 || offset < self->first || offset - self->first >= self->count) {
        return NULL;
    }
    return self->ring[ring_index(self, (uint32_t) (offset - self->first))];
}

uint64_t channel_tail_first(const struct channel_tail *self, uint64_t cursor) {
    return self->count == 0 ? cursor + 1 : self->first;
}
