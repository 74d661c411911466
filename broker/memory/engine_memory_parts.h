/* What the files of the memory engine share (engine_memory.c, memory/memory_append.c, memory_read.c, memory_presence.c,
 * memory_serve.c) and nobody else includes. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_MEMORY_ENGINE_MEMORY_PARTS_H
#define CALLBOARD_BROKER_MEMORY_ENGINE_MEMORY_PARTS_H

#include "broker/engine_memory.h"
#include "broker/memory/memory_leases.h"
#include "broker/memory/memory_services.h"
#include "broker/memory/memory_store.h"

enum engine_memory_metric {
    ENGINE_MEMORY_BYTES,
    ENGINE_MEMORY_CHANNELS,
    ENGINE_MEMORY_PUBLICATIONS,
    ENGINE_MEMORY_KEYS,
    ENGINE_MEMORY_MEMBERS,
    ENGINE_MEMORY_APPENDS,
    ENGINE_MEMORY_DUPLICATES,
    ENGINE_MEMORY_KEY_REUSED,
    ENGINE_MEMORY_EVICTED,
    ENGINE_MEMORY_REFUSED,
    ENGINE_MEMORY_MALFORMED_INFO,
    ENGINE_MEMORY_SERVICES,
    ENGINE_MEMORY_SERVICES_BYTES,
    ENGINE_MEMORY_SERVICES_REFUSED,
};

struct engine_memory {
    struct engine base;
    struct engine_options options;
    struct engine_memory_limits limits;
    struct memory_store store;
    struct memory_leases leases;
    struct memory_services services;
    struct list_link deliveries; /* what is to be told in the next turn, in order */
    struct buffer scratch;       /* the publication being encoded */
    bool state_is_due;           /* on_state with the next deliveries */
    bool leases_are_due;         /* on_leases with the next deliveries */
    uint64_t n_evicted_told;     /* of the store's count, in the metric */
    uint64_t n_full_told;        /* of the services' count, as well */
    metric_values_t *metrics;
    uv_idle_t idle; /* active while there is something to tell */
    uv_timer_t tick;
    unsigned n_handles;
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

/* Something to tell; embedded first. `deliver` frees it. */
struct engine_memory_delivery {
    struct list_link link;
    void (*deliver)(struct engine_memory *self, struct engine_memory_delivery *delivery);
};

static inline struct engine_memory *engine_memory_of(engine_t *base) {
    return (struct engine_memory *) (void *) base;
}

/* In the next turn, behind what is to be told already. */
void engine_memory_tell_later(struct engine_memory *self, struct engine_memory_delivery *delivery);
/* False: memory.bytes is full of channels in use; counted. */
bool engine_memory_make_room(struct engine_memory *self, size_t bytes);

/* memory_append.c, memory_read.c, memory_presence.c, memory_serve.c: the engine's methods. */
void engine_memory_append(engine_t *base, struct engine_append *request);
void engine_memory_read(engine_t *base, struct engine_read *request);
void engine_memory_remove_history(engine_t *base, struct engine_remove *request);
void engine_memory_set_presence(engine_t *base, struct span name, const struct engine_presence_entry *entry,
                                bool silent);
void engine_memory_clear_presence(engine_t *base, struct span name, struct span client,
                                  const struct engine_presence_owner *only_of);
void engine_memory_read_presence(engine_t *base, struct engine_presence_read *request);
void engine_memory_serve(engine_t *base, struct engine_service *request);

#endif
