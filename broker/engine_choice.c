/* See the header. A compare-and-set decides; who lost one looks again, so that the last to connect never goes unheard
 * beside the one that gives up. */
#include "broker/engine_choice.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <stddef.h>

struct engine_choice {
    unsigned n_shards;
    atomic_uint n_connected;
    atomic_int chosen;
};

engine_choice_t *engine_choice_new(unsigned n_shards) {
    engine_choice_t *self = memory_alloc_zero(sizeof *self);
    self->n_shards = n_shards;
    return self;
}

void engine_choice_destroy(engine_choice_t **self_p) {
    memory_free(*self_p);
    *self_p = NULL;
}

void engine_choice_note(engine_choice_t *self, bool connected) {
    if (!connected) {
        atomic_fetch_sub(&self->n_connected, 1);
        return;
    }
    unsigned n_connected = atomic_fetch_add(&self->n_connected, 1) + 1;
    for (int seen = atomic_load(&self->chosen); seen != ENGINE_CHOICE_PRIMARY;) {
        if (seen == ENGINE_CHOICE_STAND_IN && n_connected < self->n_shards) {
            return;
        }
        if (atomic_compare_exchange_strong(&self->chosen, &seen, ENGINE_CHOICE_PRIMARY)) {
            return;
        }
    }
}

void engine_choice_give_up(engine_choice_t *self) {
    int open = ENGINE_CHOICE_OPEN;
    if (atomic_load(&self->n_connected) == 0) {
        atomic_compare_exchange_strong(&self->chosen, &open, ENGINE_CHOICE_STAND_IN);
    }
}

enum engine_chosen engine_choice_read(const engine_choice_t *self) {
    return (enum engine_chosen) atomic_load(&self->chosen);
}
