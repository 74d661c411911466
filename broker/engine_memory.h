/* The embedded engine: channels in this process's memory, for one broker. Complete for what engine.h promises: offsets
 * and random epochs, history by size and time, idempotency keys, presence, leases. What ends with the process is told
 * by the next one's new epochs.
 *
 * Each shard's engine is a world of its own, leases too: so every shard renews the leases on its own engine, whoever
 * keeps them elsewhere. Thread: the shard's. Time is base/clock.h's. */
#ifndef CALLBOARD_BROKER_ENGINE_MEMORY_H
#define CALLBOARD_BROKER_ENGINE_MEMORY_H

#include "broker/engine.h"

struct engine_memory_limits {
    size_t bytes_max;      /* of this engine: memory.bytes divided by the shards */
    size_t services_bytes; /* of leases and values: memory.services_bytes divided by the shards */
    uint64_t key_ttl_ms;   /* an idempotency key is known for so long */
    uint64_t lease_ms;     /* a lease lives so long from its last renewal */
    size_t read_bytes_max; /* of encoded publications in one read without a bound of its own */
    bool stands_in;        /* for an engine that would keep what it takes: acks say that this one does not */
};

#define ENGINE_MEMORY_LIMITS_DEFAULT                                                                                   \
    ((struct engine_memory_limits){.bytes_max = (size_t) 512 << 20,                                                    \
                                   .services_bytes = (size_t) 64 << 20,                                                \
                                   .key_ttl_ms = 300000,                                                               \
                                   .lease_ms = 4000,                                                                   \
                                   .read_bytes_max = (size_t) 4 << 20})

/* `options` and `limits` are copied; what the options point at lives as long as the engine. Closed through engine.h. */
engine_t *engine_memory_new(const struct engine_options *options, const struct engine_memory_limits *limits);

#endif
