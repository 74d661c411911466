/* The engine contract on engine_redis and a real Redis with Sentinels, all of it through TLS: safe by default. */
#include "tests/contract/engine_contract.h"

#include "base/memory.h"
#include "broker/redis/engine_redis.h"
#include "tests/support/documented_acl.h"
#include "tests/support/redis_sentinel_set.h"

#include <signal.h>

struct servers {
    tls_directory_t *tls;
    redis_sentinel_set_t *set;
};

static void *start_servers(void) {
    struct servers *self = memory_alloc_zero(sizeof *self);
    char *line = documented_acl_line(CALLBOARD_SOURCE_DIR, "broker", "");
    const char *const lines[] = {line, NULL};
    self->tls = tls_directory_new();
    const struct redis_sentinel_set_options options = {.config_lines = lines, .tls = self->tls};
    self->set = redis_sentinel_set_start(&options);
    memory_free(line);
    return self;
}

static void stop_servers(void *store) {
    struct servers *self = store;
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        documented_acl_expect_nothing_denied(redis_sentinel_set_server(self->set, i),
                                             (const char *const[]){"config|get", "slowlog|get", NULL});
    }
    redis_sentinel_set_stop(&self->set);
    tls_directory_destroy(&self->tls);
    memory_free(self);
}

static engine_t *new_engine(void *store, const struct engine_options *options, const struct engine_wishes *wishes) {
    char error[256] = "";
    const struct servers *servers = store;
    char *url = memory_strdup(redis_sentinel_set_url(servers->set));
    char ca[TLS_PATH_MAX];
    tls_directory_file(servers->tls, "authority.crt", ca);
    char user[] = "callboard";
    char password[] = "secret";
    const struct broker_config config = {.redis_url = url,
                                         .redis_user = user,
                                         .redis_password = password,
                                         .redis_tls_ca_file = ca,
                                         .key_ttl_ms = (int64_t) wishes->key_ttl_ms};
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
    signal(SIGPIPE, SIG_IGN); /* as our programs do */
    return engine_contract_run(&factory) == 0 ? 0 : 1;
}
