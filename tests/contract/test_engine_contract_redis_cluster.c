/* The engine contract on engine_redis and a real Redis Cluster: three primaries, safe by default. */
#include "tests/contract/engine_contract.h"

#include "base/memory.h"
#include "broker/redis/engine_redis.h"
#include "tests/support/documented_acl.h"
#include "tests/support/redis_cluster_set.h"

static void *start_servers(void) {
    char *line = documented_acl_line(CALLBOARD_SOURCE_DIR, "broker", "+cluster|slots +cluster|info");
    const char *const lines[] = {line, NULL};
    const struct redis_cluster_set_options options = {.config_lines = lines};
    redis_cluster_set_t *servers = redis_cluster_set_start(&options);
    memory_free(line);
    return servers;
}

static void stop_servers(void *store) {
    redis_cluster_set_t *servers = store;
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        documented_acl_expect_nothing_denied(redis_cluster_set_server(servers, i),
                                             (const char *const[]){"config|get", "slowlog|get", NULL});
    }
    redis_cluster_set_stop(&servers);
}

static engine_t *new_engine(void *store, const struct engine_options *options, const struct engine_wishes *wishes) {
    char error[256] = "";
    char *url = memory_strdup(redis_cluster_set_url(store));
    char user[] = "callboard";
    char password[] = "secret";
    const struct broker_config config = {
        .redis_url = url, .redis_user = user, .redis_password = password, .key_ttl_ms = (int64_t) wishes->key_ttl_ms};
    engine_t *engine = engine_redis_new(options, &config, error, sizeof error);
    memory_free(url);
    if (engine == NULL) {
        fail_msg("%s", error);
    }
    return engine;
}

static const struct engine_factory factory = {"redis cluster", start_servers, stop_servers, new_engine,
                                              .has_shared_store = true};

int main(void) {
    return engine_contract_run(&factory) == 0 ? 0 : 1;
}
