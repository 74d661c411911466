/* The engine contract on engine_redis with the memory engine ready to stand in for it (redis.fallback: memory), and a
 * real redis-server that is there. How they change is tests/unit/broker/test_engine_fallback.c. */
#include "tests/contract/engine_contract.h"

#include "base/memory.h"
#include "broker/engine_fallback.h"
#include "broker/engine_memory.h"
#include "broker/redis/engine_redis.h"
#include "tests/support/redis_server.h"

struct store {
    redis_server_t *server;
    engine_choice_t *choice; /* of all engines of the suite: the first one decides */
};

struct making {
    const struct store *store;
    const struct engine_wishes *wishes;
};

static void *start_store(void) {
    struct store *store = memory_alloc_zero(sizeof *store);
    store->server = redis_server_start(NULL);
    store->choice = engine_choice_new(1);
    return store;
}

static void stop_store(void *context) {
    struct store *store = context;
    redis_server_stop(&store->server);
    engine_choice_destroy(&store->choice);
    memory_free(store);
}

static engine_t *make_redis(void *context, const struct engine_options *options, char *ret_error, size_t error_size) {
    const struct making *making = context;
    char *url = memory_strdup(redis_server_url(making->store->server));
    const struct broker_config config = {.redis_url = url, .key_ttl_ms = (int64_t) making->wishes->key_ttl_ms};
    engine_t *engine = engine_redis_new(options, &config, ret_error, error_size);
    memory_free(url);
    return engine;
}

static engine_t *make_memory(void *context, const struct engine_options *options, char *ret_error, size_t error_size) {
    const struct making *making = context;
    struct engine_memory_limits limits = ENGINE_MEMORY_LIMITS_DEFAULT;
    (void) ret_error;
    (void) error_size;
    limits.key_ttl_ms = making->wishes->key_ttl_ms;
    limits.stands_in = true;
    return engine_memory_new(options, &limits);
}

static engine_t *new_fallback_engine(void *context, const struct engine_options *options,
                                     const struct engine_wishes *wishes) {
    char error[256] = "";
    struct making making = {context, wishes};
    engine_t *engine = engine_fallback_new(options,
                                           &(struct engine_fallback_options){.choice = making.store->choice,
                                                                             .wait_ms = 60000,
                                                                             .make_primary = make_redis,
                                                                             .make_stand_in = make_memory,
                                                                             .context = &making},
                                           error, sizeof error);
    if (engine == NULL) {
        fail_msg("%s", error);
    }
    return engine;
}

static const struct engine_factory fallback_factory = {"redis with fallback", start_store, stop_store,
                                                       new_fallback_engine, .has_shared_store = true};

int main(void) {
    return engine_contract_run(&fallback_factory) == 0 ? 0 : 1;
}
