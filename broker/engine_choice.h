/* One decision for all shards of a broker: are they on the engine that is configured, or on the one that stands in for
 * it? Every shard tells of its own connection; nobody waits for anybody.
 *
 *            a shard's primary connected                       (for good)
 *   OPEN ─────────────────────────────────▶ PRIMARY ◀── every shard's primary connected ──┐
 *     └── waited long enough, none is connected ──▶ STAND_IN ─────────────────────────────┘
 *
 * Thread: any. */
#ifndef CALLBOARD_BROKER_ENGINE_CHOICE_H
#define CALLBOARD_BROKER_ENGINE_CHOICE_H

#include <stdbool.h>

typedef struct engine_choice engine_choice_t;

enum engine_chosen { ENGINE_CHOICE_OPEN, ENGINE_CHOICE_PRIMARY, ENGINE_CHOICE_STAND_IN };

engine_choice_t *engine_choice_new(unsigned n_shards);
void engine_choice_destroy(engine_choice_t **self_p); /* accepts NULL; nobody uses it any more */

/* One shard's primary engine became connected, or is not any more. Told in turn, at each change. */
void engine_choice_note(engine_choice_t *self, bool connected);
/* A shard waited long enough. */
void engine_choice_give_up(engine_choice_t *self);
enum engine_chosen engine_choice_read(const engine_choice_t *self);

#endif
