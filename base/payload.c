/* One block of memory: the count, the size, the bytes behind.
 *
 * The last payload_unref frees, on whatever thread it happens. A reference is taken with relaxed order (who takes one
 * holds one already) and dropped with release, the last drop acquires: so everything any holder did with the bytes
 * happened before they are freed. */
#include "base/payload.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdatomic.h>

struct payload {
    atomic_size_t references;
    size_t size;
    uint8_t bytes[];
};

payload_t *payload_new_uninitialised(size_t size, uint8_t **ret_data) {
    check(size <= SIZE_MAX - sizeof(payload_t), "a payload of %zu bytes", size);
    payload_t *self = memory_alloc(sizeof *self + size);
    atomic_init(&self->references, 1);
    self->size = size;
    *ret_data = self->bytes;
    return self;
}

payload_t *payload_new(struct span bytes) {
    uint8_t *data = NULL;
    payload_t *self = payload_new_uninitialised(bytes.size, &data);
    if (bytes.size > 0) {
        memcpy(data, bytes.data, bytes.size);
    }
    return self;
}

payload_t *payload_ref(payload_t *self) {
    payload_ref_many(self, 1);
    return self;
}

void payload_ref_many(payload_t *self, size_t n) {
    size_t before = atomic_fetch_add_explicit(&self->references, n, memory_order_relaxed);
    check(before > 0, "reference to a freed payload");
}

void payload_unref(payload_t **self_p) {
    payload_unref_many(self_p, 1);
}

void payload_unref_many(payload_t **self_p, size_t n) {
    payload_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    size_t before = atomic_fetch_sub_explicit(&self->references, n, memory_order_acq_rel);
    check(before >= n, "payload freed twice");
    if (before == n) {
        memory_free(self);
    }
}

struct span payload_span(const payload_t *self) {
    return (struct span){self->bytes, self->size};
}

size_t payload_footprint(const payload_t *self) {
    return sizeof *self + self->size;
}
