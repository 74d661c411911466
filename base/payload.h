/* Immutable, reference-counted bytes: written once by whoever makes them, then shared by queues and threads. The count
 * is atomic, the bytes never change after the first payload_ref that leaves the maker's thread. Thread: any. */
#ifndef CALLBOARD_BASE_PAYLOAD_H
#define CALLBOARD_BASE_PAYLOAD_H

#include "base/bytes.h"

typedef struct payload payload_t;

/* Copies the bytes; one reference, the caller's. */
payload_t *payload_new(struct span bytes);
/* Room for `size` bytes that the caller fills through *ret_data before anyone else sees the payload. */
payload_t *payload_new_uninitialised(size_t size, uint8_t **ret_data);
payload_t *payload_ref(payload_t *self); /* returns self, one reference more */
void payload_unref(payload_t **self_p);  /* nulls; the last one frees; accepts NULL */
/* The same `n` times at once, for who shares one payload among many: an atomic operation for all of them. */
void payload_ref_many(payload_t *self, size_t n);
void payload_unref_many(payload_t **self_p, size_t n);
struct span payload_span(const payload_t *self); /* valid as long as a reference is held */
size_t payload_footprint(const payload_t *self); /* bytes of memory it takes, for quotas */

#endif
