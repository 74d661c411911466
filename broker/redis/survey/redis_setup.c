/* See redis_setup.h. */
#include "broker/redis/survey/redis_setup.h"

#include <string.h>

enum { LINKS_A_SHARD = 2, CONFIRM_LINKS_A_SHARD = 1, COMMAND_TIMEOUT_MS = 2000 };
#define BATCH_BYTES ((uint64_t) 1 << 20) /* what a batch takes before it is closed */

bool redis_setup_is_local(const struct redis_url *url) {
    return url->path[0] != '\0' || strncmp(url->host, "127.", 4) == 0 || strcmp(url->host, "::1") == 0 ||
           strcmp(url->host, "localhost") == 0;
}

static bool is_safe(const struct namespace_options *options, bool safe_by_default) {
    return options->durability == DURABILITY_SAFE || (options->durability == DURABILITY_DEFAULT && safe_by_default);
}

struct redis_setup redis_setup_of(const struct broker_config *config, const struct redis_url *url, uint32_t n_shards,
                                  const char *where) {
    bool is_replicated = url->kind != REDIS_URL_STANDALONE;
    enum redis_confirm_setting confirm = (enum redis_confirm_setting) config->redis_confirm;
    if (confirm == REDIS_CONFIRM_BY_AUTO) {
        confirm = is_replicated ? REDIS_CONFIRM_BY_REPLICAS : REDIS_CONFIRM_BY_DISK;
    }
    struct redis_setup setup = {
        .where = where,
        .is_replicated = is_replicated,
        .is_cluster = url->kind == REDIS_URL_CLUSTER,
        .confirms_by_disk = confirm == REDIS_CONFIRM_BY_DISK,
        .is_declared = confirm == REDIS_CONFIRM_BY_DECLARATION,
        .confirm_replicas =
            config->redis_confirm_replicas == 0 ? REDIS_CONFIRM_ALL : (uint32_t) config->redis_confirm_replicas,
        .n_partitions = (uint32_t) config->partitions,
        .message_bytes = BATCH_BYTES + (uint64_t) config->publication_bytes_max,
        .patience_ms =
            config->redis_command_timeout_ms > 0 ? (uint32_t) config->redis_command_timeout_ms : COMMAND_TIMEOUT_MS,
        .is_encrypted = url->tls,
        .is_local = redis_setup_is_local(url),
    };
    const struct namespace_options *namespaces = config->namespaces.items;
    for (size_t i = 0; i < config->namespaces.n; i++) {
        bool is_durable = namespace_has_history(&namespaces[i]);
        uint64_t bytes =
            is_durable ? (uint64_t) namespaces[i].history_size * (uint64_t) config->publication_bytes_max : 0;
        setup.history_bytes = bytes > setup.history_bytes ? bytes : setup.history_bytes;
        setup.keeps_history = setup.keeps_history || is_durable;
        setup.has_safe = setup.has_safe || (is_durable && is_safe(&namespaces[i], is_replicated));
    }
    unsigned links = LINKS_A_SHARD + (setup.has_safe ? CONFIRM_LINKS_A_SHARD : 0);
    setup.n_links = n_shards * links;
    return setup;
}
