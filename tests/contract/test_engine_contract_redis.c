/* The engine contract on engine_redis and a real redis-server, as the user whose rule docs/redis.md prints. */
#include "tests/contract/engine_contract.h"

#include "base/memory.h"
#include "broker/redis/engine_redis.h"
#include "tests/support/documented_acl.h"

#include <stdio.h>

static void *start_server(void) {
    char *line = documented_acl_line(CALLBOARD_SOURCE_DIR, "broker", "");
    redis_server_t *server = redis_server_start((const char *const[]){line, NULL});
    memory_free(line);
    return server;
}

static void stop_server(void *store) {
    redis_server_t *server = store;
    /* what only tells more of the settings may be denied */
    documented_acl_expect_nothing_denied(server, (const char *const[]){"config|get", "slowlog|get", NULL});
    redis_server_stop(&server);
}

static engine_t *new_redis_engine(void *store, const struct engine_options *options,
                                  const struct engine_wishes *wishes) {
    char error[256] = "";
    char url[96];
    snprintf(url, sizeof url, "redis://callboard:secret@127.0.0.1:%d", redis_server_port(store));
    const struct broker_config config = {.redis_url = url, .key_ttl_ms = (int64_t) wishes->key_ttl_ms};
    engine_t *engine = engine_redis_new(options, &config, error, sizeof error);
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
