/* The engine contract on engine_redis and a real Redis Sentinel set: safe by default. */
#include "tests/contract/engine_contract.h"

#include "base/memory.h"
#include "broker/redis/engine_redis.h"
#include "tests/support/redis_sentinel_set.h"

static void *start_servers(void) {
    return redis_sentinel_set_start(NULL);
}

static void stop_servers(void *store) {
    redis_sentinel_set_t *servers = store;
    redis_sentinel_set_stop(&servers);
}

static engine_t *new_engine(void *store, const struct engine_options *options, const struct engine_wishes *wishes) {
    char error[256] = "";
    char *url = memory_strdup(redis_sentinel_set_url(store));
    const struct broker_config config = {.redis_url = url, .key_ttl_ms = (int64_t) wishes->key_ttl_ms};
    engine_t *engine = engine_redis_new(options, &config, error, sizeof error);
    memory_free(url);
    if (engine == NULL) {
        fail_msg("%s", error);
    }
    return engine;
}

static const struct engine_factory factory = {"redis sentinel", start_servers, stop_servers, new_engine,
                                              .has_shared_store = true};

int main(void) {
    return engine_contract_run(&factory) == 0 ? 0 : 1;
}
