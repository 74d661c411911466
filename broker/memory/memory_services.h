/* Leases and values of services as the memory engine keeps them: one table, bounded in bytes. A lease that ended leaves
 * nothing behind: tokens rise over all names of the engine, so no counter has to be kept for a free one.
 * Thread: the shard's. Times are monotonic ms, handed in, but for the tokens: those begin with the wall clock, so that
 * a later start of the process goes on above. */
#ifndef CALLBOARD_BROKER_MEMORY_SERVICES_H
#define CALLBOARD_BROKER_MEMORY_SERVICES_H

#include "base/payload.h"
#include "broker/engine.h"
#include "broker/slot_table.h"

struct memory_services {
    slot_table_t records; /* by kind and name; walked to be swept */
    size_t bytes;
    size_t bytes_max;
    uint64_t last_token;
    uint64_t n_full; /* requests refused at bytes_max */
};

void memory_services_init(struct memory_services *self, size_t bytes_max);
void memory_services_finish(struct memory_services *self);
/* Does what the request asks and fills what it answers; of GET the content goes to *ret_content (owned by the caller;
 * else NULL). */
enum engine_outcome memory_services_serve(struct memory_services *self, struct engine_service *request, uint64_t now_ms,
                                          payload_t **ret_content);
/* Forgets what ended among the next `n` records. */
void memory_services_sweep(struct memory_services *self, size_t n, uint64_t now_ms);

#endif
