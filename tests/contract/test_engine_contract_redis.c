/* The engine contract on engine_redis and a real redis-server. */
#include "tests/contract/engine_contract.h"

#include "base/memory.h"
#include "broker/redis/engine_redis.h"
#include "tests/support/redis_server.h"

static void *start_server(void) {
    return redis_server_start(NULL);
}

static void stop_server(void *store) {
    redis_server_t *server = store;
    redis_server_stop(&server);
}

static engine_t *new_redis_engine(void *store, const struct engine_options *options,
                                  const struct engine_wishes *wishes) {
    char error[256] = "";
    char *url = memory_strdup(redis_server_url(store));
    const struct broker_config config = {.redis_url = url, .key_ttl_ms = (int64_t) wishes->key_ttl_ms};
    engine_t *engine = engine_redis_new(options, &config, error, sizeof error);
    memory_free(url);
    if (engine == NULL) {
        fail_msg("%s", error);
    }
    return engine;
}

static const struct engine_factory redis_factory = {"redis", start_server, stop_server, new_redis_engine,
                                                    .has_shared_store = true};

int main(void) {
    return engine_contract_run(&redis_factory) == 0 ? 0 : 1;
}
