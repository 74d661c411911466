/* What a load brought: where the channel stands, and the entries that were asked for, out of load.lua's answer.
 * Thread: any (no state of its own). */
#ifndef CALLBOARD_BROKER_REDIS_LOADED_H
#define CALLBOARD_BROKER_REDIS_LOADED_H

#include "base/redis_reply.h"
#include "broker/engine.h"

struct redis_loaded {
    struct position top;
    uint64_t oldest;
    payload_t **publications;
    uint32_t n;
    size_t bytes;
    bool has_hole; /* an entry is missing between two, or is not ours */
};

/* The answer's first element: 'O', seq, epoch, top, oldest. */
bool redis_loaded_parse_head(struct span bytes, struct redis_loaded *ret_loaded);
/* The others: an offset and an entry each. */
void redis_loaded_collect(const struct engine_read *request, const struct redis_reply *reply,
                          struct redis_loaded *loaded);
/* Is everything there that follows the request's since? */
bool redis_loaded_is_complete(const struct engine_read *request, const struct redis_loaded *loaded);
/* Lets its publications go; it is empty then. */
void redis_loaded_drop(struct redis_loaded *loaded);

#endif
