/* A payload is queued by reference. The bytes charged are those on the wire: a payload shared by many sessions counts
 * in each, as each has them still to send.
 * At a bound nothing is queued and the caller ends the session (3008): dropping one frame would be a hole. */
#include "gateway/outbox.h"

#include "base/check.h"
#include "base/memory.h"

enum { RING_FIRST_CAPACITY = 8 };

void outbox_init(struct outbox *self) {
    *self = (struct outbox){.queue.only = NULL};
}

static payload_t **slot(struct outbox *self, uint32_t index) {
    if (self->capacity == 0) {
        return &self->queue.only;
    }
    return &self->queue.ring[(self->first + index) & (self->capacity - 1)];
}

static void grow(struct outbox *self) {
    uint32_t capacity = self->capacity == 0 ? RING_FIRST_CAPACITY : self->capacity * 2;
    payload_t **ring = memory_alloc_array(capacity, sizeof(*ring));
    for (uint32_t i = 0; i < self->count; i++) {
        ring[i] = *slot(self, i);
    }
    if (self->capacity != 0) {
        memory_free(self->queue.ring);
    }
    self->queue.ring = ring;
    self->capacity = capacity;
    self->first = 0;
}

enum outbox_result outbox_push(struct outbox *self, payload_t *framed, uint32_t bytes_max, uint32_t frames_max,
                               struct quota *all) {
    size_t size = payload_span(framed).size;
    if (self->count >= frames_max || size > bytes_max || self->bytes > bytes_max - size || !quota_charge(all, size)) {
        return OUTBOX_OVER_LIMIT;
    }
    uint32_t room = self->capacity == 0 ? 1 : self->capacity;
    if (self->count == room) {
        grow(self);
    }
    self->count++;
    *slot(self, self->count - 1) = payload_ref(framed);
    self->bytes += (uint32_t) size;
    return OUTBOX_QUEUED;
}

void outbox_push_first(struct outbox *self, payload_t *framed, struct quota *all) {
    uint32_t room = self->capacity == 0 ? 1 : self->capacity;
    if (self->count == room) {
        grow(self);
    }
    if (self->capacity != 0) {
        self->first = (self->first + self->capacity - 1) & (self->capacity - 1);
    }
    self->count++;
    *slot(self, 0) = payload_ref(framed);
    size_t size = payload_span(framed).size;
    self->bytes += (uint32_t) size;
    quota_charge_anyway(all, size);
}

struct span outbox_gather(struct outbox *self, struct buffer *scratch, uint32_t *ret_count) {
    check(self->count > 0, "gathering from an empty outbox");
    struct span first = payload_span(*slot(self, 0));
    *ret_count = 1;
    size_t limit = scratch->limit == 0 ? SIZE_MAX : scratch->limit;
    if (self->count == 1 || first.size > limit || payload_span(*slot(self, 1)).size > limit - first.size) {
        return first;
    }
    buffer_clear(scratch);
    buffer_append_span(scratch, first);
    uint32_t n = 1;
    while (n < self->count) {
        struct span next = payload_span(*slot(self, n));
        if (next.size > limit - scratch->size) {
            break;
        }
        buffer_append_span(scratch, next);
        n++;
    }
    check(!scratch->overflow, "the scratch buffer took less than its limit");
    *ret_count = n;
    return buffer_span(scratch);
}

void outbox_consume(struct outbox *self, uint32_t count, struct quota *all) {
    check(count <= self->count, "consuming %u of %u", count, self->count);
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        payload_t **place = slot(self, i);
        bytes += payload_span(*place).size;
        payload_unref(place);
    }
    self->count -= count;
    self->bytes -= (uint32_t) bytes;
    quota_release(all, bytes);
    if (self->capacity == 0) {
        return;
    }
    self->first = (self->first + count) & (self->capacity - 1);
    if (self->count == 0) {
        memory_free(self->queue.ring);
        outbox_init(self);
    }
}

void outbox_finish(struct outbox *self, struct quota *all) {
    outbox_consume(self, self->count, all);
}
