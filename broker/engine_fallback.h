/* An engine of two (redis.fallback: memory): the primary, and one that stands in for it while the primary could not be
 * reached since the start. What both are is the maker's business; here is who is asked and heard.
 *
 *   WAITING ──primary connected────────────────────────────────────────────▶ SETTLED
 *      └─ none of the broker's shards reached it in time ─▶ STANDING_IN ──▶ LEAVING ──▶ SETTLED
 *                                                            every shard reached it ▲
 *
 * Waiting, requests go to the primary and end by its rules. Each change is told as a doubt about every partition: the
 * channels load from the engine that is asked from now on, find another epoch there, and tell their subscribers that
 * continuity is lost. Epochs are never shared: each engine makes its own. A request is completed by the engine that
 * took it, exactly once. Settled, it stays with the primary, whatever becomes of it. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_ENGINE_FALLBACK_H
#define CALLBOARD_BROKER_ENGINE_FALLBACK_H

#include "broker/engine.h"
#include "broker/engine_choice.h"

typedef engine_t *engine_maker(void *context, const struct engine_options *options, char *ret_error, size_t error_size);

struct engine_fallback_options {
    engine_choice_t *choice; /* all shards', outlives them */
    uint64_t wait_ms;        /* for the primary */
    engine_maker *make_primary;
    engine_maker *make_stand_in; /* cannot fail */
    void *context;
};

/* NULL: the primary could not be made, ret_error says why. */
engine_t *engine_fallback_new(const struct engine_options *options, const struct engine_fallback_options *how,
                              char *ret_error, size_t error_size);

#endif
