/* The live leases of gateways as the engine told them last. Until it did, every gateway counts as alive.
 * Brokers keep a lease too, so that they can be counted; theirs are told from the gateways' by their id.
 * Thread: the shard's. */
#ifndef CALLBOARD_BROKER_GATEWAY_LEASES_H
#define CALLBOARD_BROKER_GATEWAY_LEASES_H

#include "base/wire.h"
#include "broker/engine.h"

/* What a broker's id begins with among the leases; no gateway's id does. */
#define LEASE_OF_BROKER "broker:"

typedef struct gateway_leases gateway_leases_t;

gateway_leases_t *gateway_leases_new(void);
void gateway_leases_destroy(gateway_leases_t **self_p);
/* Takes over the whole list (copies). True: somebody came, went, or has another number. */
bool gateway_leases_update(gateway_leases_t *self, const struct engine_lease *leases, size_t n_leases);
bool gateway_leases_are_known(const gateway_leases_t *self);
/* Told within the last LEASES_FRESH_MS? An older list says of no entry that its gateway is dead: it may have got a new
 * lease since. */
enum { LEASES_FRESH_MS = 2000 };
bool gateway_leases_are_fresh(const gateway_leases_t *self, uint64_t now_ms);
/* The number of this gateway's lease; 0: it has none, or nothing is known yet. */
uint64_t gateway_leases_number(const gateway_leases_t *self, struct span gateway_id);
/* Does an entry of this gateway under this number live? Number 0 was set before its lease was known. */
bool gateway_leases_is_alive(const gateway_leases_t *self, struct span gateway_id, uint64_t number);
/* The i-th gateway's id; false: there are no more. */
bool gateway_leases_each(const gateway_leases_t *self, size_t i, struct span *ret_gateway_id);
/* Gateways, brokers (this one at least) and what the gateways told of themselves. */
struct wire_totals gateway_leases_totals(const gateway_leases_t *self);

#endif
