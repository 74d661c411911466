/* The engine contract on every engine. */
#include "tests/contract/engine_contract.h"

#include "broker/engine_memory.h"

static engine_t *new_memory_engine(void *store, const struct engine_options *options,
                                   const struct engine_wishes *wishes) {
    (void) store;
    struct engine_memory_limits limits = ENGINE_MEMORY_LIMITS_DEFAULT;
    limits.key_ttl_ms = wishes->key_ttl_ms;
    return engine_memory_new(options, &limits);
}

static const struct engine_factory memory_factory = {"memory", NULL, NULL, new_memory_engine,
                                                     .has_shared_store = false};

int main(void) {
    int n_failed = engine_contract_run(&memory_factory);
    return n_failed == 0 ? 0 : 1;
}
