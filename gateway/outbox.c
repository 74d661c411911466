/* A payload is queued by reference. The bytes charged are those on the wire: a payload shared by many sessions counts
 * in each, as each has them still to send.
 * A gathered write is found again by the payloads in it, pointer by pointer. It holds a reference of each, so none of
 * them is freed and its address given to another while it can be found. Who consumes it leaves its own references
 * there; they are dropped together when the write is replaced or the turn ends.
 * At a bound nothing is queued and the caller ends the session (3008): dropping one frame would be a hole. */
#include "gateway/outbox.h"

#include "base/check.h"
#include "base/memory.h"

enum { RING_FIRST_CAPACITY = 16 };

void outbox_init(struct outbox *self) {
    *self = (struct outbox){.queue.only = NULL};
}

static payload_t **slot(struct outbox *self, uint32_t index) {
    if (self->capacity == 0) {
        return &self->queue.only;
    }
    return &self->queue.ring[(self->first + index) & (self->capacity - 1)];
}

static payload_t *queued(const struct outbox *self, uint32_t index) {
    return self->capacity == 0 ? self->queue.only : self->queue.ring[(self->first + index) & (self->capacity - 1)];
}

static void grow(struct outbox *self) {
    uint32_t capacity = self->capacity == 0 ? RING_FIRST_CAPACITY : self->capacity * 2;
    payload_t **ring = memory_alloc(capacity * sizeof *ring);
    for (uint32_t i = 0; i < self->count; i++) {
        ring[i] = queued(self, i);
    }
    if (self->capacity != 0) {
        memory_free(self->queue.ring);
    }
    self->queue.ring = ring;
    self->capacity = capacity;
    self->first = 0;
}

static void make_room(struct outbox *self) {
    if (self->count == (self->capacity == 0 ? 1 : self->capacity)) {
        grow(self);
    }
}

enum outbox_result outbox_push(struct outbox *self, payload_t *framed, uint32_t bytes_max, uint32_t frames_max,
                               struct quota *all) {
    size_t size = payload_span(framed).size;
    if (self->count >= frames_max || size > bytes_max || self->bytes > bytes_max - size || !quota_charge(all, size)) {
        return OUTBOX_OVER_LIMIT;
    }
    make_room(self);
    self->count++;
    *slot(self, self->count - 1) = framed;
    self->bytes += (uint32_t) size;
    return OUTBOX_QUEUED;
}

void outbox_push_first(struct outbox *self, payload_t *framed, struct quota *all) {
    make_room(self);
    if (self->capacity != 0) {
        self->first = (self->first + self->capacity - 1) & (self->capacity - 1);
    }
    self->count++;
    *slot(self, 0) = framed;
    size_t size = payload_span(framed).size;
    self->bytes += (uint32_t) size;
    quota_charge_anyway(all, size);
}

/* ---- what one write carries ---- */

static void drop_write(struct outbox_write *self) {
    for (uint32_t i = 0; i < self->count; i++) {
        payload_unref_many(&self->payloads[i], self->n_owed);
    }
    self->count = 0;
    self->n_owed = 0;
}

static bool has_room(const struct outbox_write *self, const payload_t *payload) {
    size_t limit = self->bytes.limit == 0 ? SIZE_MAX : self->bytes.limit;
    return self->count < OUTBOX_WRITE_PAYLOADS && payload_span(payload).size <= limit - self->bytes.size;
}

/* Whether gathering this outbox would give just this write: its first payloads are the same and no more go in. */
static bool fits(const struct outbox_write *self, const struct outbox *outbox) {
    if (self->count == 0 || outbox->count < self->count ||
        (outbox->count > self->count && has_room(self, queued(outbox, self->count)))) {
        return false;
    }
    uint32_t until_end = outbox->capacity - outbox->first;
    uint32_t n = self->count < until_end ? self->count : until_end;
    payload_t *const *ring = outbox->queue.ring;
    return memcmp(self->payloads, ring + outbox->first, n * sizeof *ring) == 0 &&
           memcmp(self->payloads + n, ring, (self->count - n) * sizeof *ring) == 0;
}

static struct outbox_write *find_write(struct outbox_writes *self, const struct outbox *outbox) {
    const payload_t *first = queued(outbox, 0);
    for (unsigned i = 0; i < OUTBOX_WRITES; i++) {
        if (self->writes[i].payloads[0] == first && fits(&self->writes[i], outbox)) {
            return &self->writes[i];
        }
    }
    return NULL;
}

static struct outbox_write *make_write(struct outbox_writes *self, const struct outbox *outbox) {
    struct outbox_write *write = &self->writes[self->next];
    self->next = (self->next + 1) % OUTBOX_WRITES;
    drop_write(write);
    buffer_clear(&write->bytes);
    write->n_owed = 1;
    while (write->count < outbox->count && has_room(write, queued(outbox, write->count))) {
        payload_t *payload = queued(outbox, write->count);
        buffer_append_span(&write->bytes, payload_span(payload));
        write->payloads[write->count++] = payload_ref(payload);
    }
    check(!write->bytes.overflow, "the gathered bytes took less than their limit");
    return write;
}

/* A write of fewer than two is no gain. */
static bool is_to_stand_alone(const struct outbox *self, const struct outbox_writes *writes) {
    size_t limit = writes->writes[0].bytes.limit == 0 ? SIZE_MAX : writes->writes[0].bytes.limit;
    size_t first = payload_span(queued(self, 0)).size;
    return self->count == 1 || first > limit || payload_span(queued(self, 1)).size > limit - first;
}

struct outbox_gathered outbox_gather(const struct outbox *self, struct outbox_writes *writes) {
    check(self->count > 0, "gathering from an empty outbox");
    if (is_to_stand_alone(self, writes)) {
        return (struct outbox_gathered){.bytes = payload_span(queued(self, 0)), .count = 1};
    }
    struct outbox_write *write = find_write(writes, self);
    if (write == NULL) {
        write = make_write(writes, self);
    }
    return (struct outbox_gathered){.bytes = buffer_span(&write->bytes), .count = write->count, .write = write};
}

static void take_out(struct outbox *self, uint32_t count, size_t bytes, struct quota *all) {
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

static void drop(struct outbox *self, uint32_t count, struct quota *all) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        payload_t **place = slot(self, i);
        bytes += payload_span(*place).size;
        payload_unref(place);
    }
    take_out(self, count, bytes, all);
}

void outbox_consume(struct outbox *self, const struct outbox_gathered *gathered, struct quota *all) {
    check(gathered->count <= self->count, "consuming %u of %u", gathered->count, self->count);
    if (gathered->write == NULL) {
        drop(self, gathered->count, all);
    } else {
        gathered->write->n_owed++;
        take_out(self, gathered->count, gathered->bytes.size, all);
    }
}

void outbox_finish(struct outbox *self, struct quota *all) {
    drop(self, self->count, all);
}

/* ---- life of the writes ---- */

void outbox_writes_init(struct outbox_writes *self, size_t bytes_max) {
    *self = (struct outbox_writes){.next = 0};
    for (unsigned i = 0; i < OUTBOX_WRITES; i++) {
        buffer_init(&self->writes[i].bytes, bytes_max);
    }
}

void outbox_writes_release(struct outbox_writes *self) {
    for (unsigned i = 0; i < OUTBOX_WRITES; i++) {
        drop_write(&self->writes[i]);
    }
}

void outbox_writes_finish(struct outbox_writes *self) {
    outbox_writes_release(self);
    for (unsigned i = 0; i < OUTBOX_WRITES; i++) {
        buffer_finish(&self->writes[i].bytes);
    }
}
