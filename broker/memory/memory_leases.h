/* Gateways' leases as one memory engine knows them: a lease lives for a while from each renewal; one that lapsed, or
 * whose gateway started anew, comes back under a new number.
 * Thread: the shard's. Times are monotonic ms. */
#ifndef CALLBOARD_BROKER_MEMORY_LEASES_H
#define CALLBOARD_BROKER_MEMORY_LEASES_H

#include "broker/engine.h"

struct memory_leases {
    struct list_link leases; /* of gateways that were alive when last looked at: tens, not thousands */
    size_t n;
    uint64_t life_ms;
};

void memory_leases_init(struct memory_leases *self, uint64_t life_ms);
void memory_leases_finish(struct memory_leases *self);
/* True: the lease was made (anew) and has a new number. `number` in the argument is ignored. */
bool memory_leases_renew(struct memory_leases *self, const struct engine_lease *lease, uint64_t now_ms);
/* Drops the lapsed ones; true: there was one. */
bool memory_leases_expire(struct memory_leases *self, uint64_t now_ms);
bool memory_leases_has(const struct memory_leases *self, struct span gateway_id, uint64_t number);
/* self->n of them; the gateway ids are borrowed until the next renew or expire. */
void memory_leases_list(const struct memory_leases *self, struct engine_lease *ret_leases);

#endif
