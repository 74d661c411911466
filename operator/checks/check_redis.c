/* Redis that we run: memory, disk, quorum, and what a mode passes over. */
#include "operator/checks/check_rules.h"

#include "operator/spec/spec_derive.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

static bool is_ours(const struct check *check) {
    return spec_redis_pods(check->spec) > 0;
}

/* ---- memory and disk ---- */

static void check_maxmemory(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    int64_t percent = spec_maxmemory_percent(check->spec);
    int64_t most = spec_share(redis->resources.limits_memory, percent);
    if (is_ours(check) && redis->maxmemory > most) {
        check_tell(check, DIAGNOSTIC_MAXMEMORY_TOO_LARGE, "redis.maxmemory",
                   "%s is more than %" PRId64 " %% of the limit %s", check_amount(check, SPEC_MEMORY, redis->maxmemory),
                   percent, check_amount(check, SPEC_MEMORY, redis->resources.limits_memory));
        check_mend(check, "use at most %s", check_amount(check, SPEC_MEMORY, most / (1024 * 1024) * 1024 * 1024));
        check_other(check, "redis.resources.limits.memory");
    }
}

static void check_volume(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    bool is_small = redis->persistence.size > 0 && redis->persistence.size < 3 * redis->maxmemory;
    if (is_ours(check) && is_small) {
        check_tell(check, DIAGNOSTIC_VOLUME_TOO_SMALL, "redis.persistence.size",
                   "%s is less than three times maxmemory %s",
                   check_amount(check, SPEC_MEMORY, redis->persistence.size),
                   check_amount(check, SPEC_MEMORY, redis->maxmemory));
        check_other(check, "redis.maxmemory");
    }
}

static void check_has_volume(const struct check *check) {
    if (is_ours(check) && check->spec->redis.persistence.size == 0 && check->spec->profile != SPEC_PROFILE_DEV) {
        check_tell(check, DIAGNOSTIC_NO_VOLUME, "redis.persistence.size", "nothing outlives the pods");
    }
}

static void check_fsync(const struct check *check) {
    if (is_ours(check) && check->spec->redis.appendfsync == SPEC_FSYNC_NO) {
        check_tell(check, DIAGNOSTIC_FSYNC_NEVER, "redis.appendfsync", "the kernel decides when writes reach the disk");
    }
}

/* ---- redis.config ---- */

/* What render_redis_files.c writes behind the user's lines, what would let others in or put the data elsewhere, and the
 * older names of both. A test compares it with what is rendered. */
static const struct {
    const char *line;
    const char *decided_by;
} managed_lines[] = {
    {"bind", "the operator"},
    {"protected-mode", "the operator"},
    {"port", "the operator"},
    {"unixsocket", "the operator"},
    {"tls-port", "tls"},
    {"tls-cert-file", "tls"},
    {"tls-key-file", "tls"},
    {"tls-ca-cert-file", "tls"},
    {"tls-ca-cert-dir", "tls"},
    {"tls-auth-clients", "tls"},
    {"tls-replication", "tls"},
    {"tls-cluster", "tls"},
    {"dir", "the operator"},
    {"dbfilename", "the operator"},
    {"appendfilename", "the operator"},
    {"appenddirname", "the operator"},
    {"logfile", "the operator"},
    {"pidfile", "the operator"},
    {"aclfile", "the operator"},
    {"user", "auth.existingSecret"},
    {"requirepass", "auth.existingSecret"},
    {"masterauth", "auth.existingSecret"},
    {"primaryauth", "auth.existingSecret"},
    {"masteruser", "the operator"},
    {"primaryuser", "the operator"},
    {"include", "the operator"},
    {"loadmodule", "redis.image"},
    {"daemonize", "the operator"},
    {"supervised", "the operator"},
    {"shutdown-timeout", "the operator"},
    {"shutdown-on-sigterm", "redis.version"},
    {"appendonly", "redis.persistence.size"},
    {"appendfsync", "redis.appendfsync"},
    {"save", "backup"},
    {"maxmemory", "redis.maxmemory"},
    {"stream-node-max-bytes", "redis.streamNodeMaxBytes"},
    {"min-replicas-to-write", "redis.minReplicasToWrite"},
    {"min-slaves-to-write", "redis.minReplicasToWrite"},
    {"min-replicas-max-lag", "redis.minReplicasMaxLag"},
    {"min-slaves-max-lag", "redis.minReplicasMaxLag"},
    {"replicaof", "redis.mode"},
    {"slaveof", "redis.mode"},
    {"replica-announce-ip", "the operator"},
    {"slave-announce-ip", "the operator"},
    {"replica-announce-port", "the operator"},
    {"slave-announce-port", "the operator"},
    {"replica-priority", "the operator"},
    {"slave-priority", "the operator"},
    {"replica-read-only", "the operator"},
    {"slave-read-only", "the operator"},
    {"rename-command", "the operator"},
    {"cluster-enabled", "redis.mode"},
    {"cluster-config-file", "the operator"},
    {"cluster-node-timeout", "redis.cluster.nodeTimeout"},
    {"cluster-port", "the operator"},
    {"cluster-announce-ip", "redis.cluster.announce"},
    {"cluster-announce-hostname", "redis.cluster.announce"},
    {"cluster-announce-port", "the operator"},
    {"cluster-announce-tls-port", "the operator"},
    {"cluster-announce-bus-port", "the operator"},
    {"cluster-preferred-endpoint-type", "redis.cluster.announce"},
    {"cluster-allow-replica-migration", "the operator"},
    {"cluster-allow-pubsubshard-when-down", "the operator"},
    {"cluster-require-full-coverage", "the operator"},
};

/* Redis reads names in any case. */
static const char *who_decides(const char *line) {
    for (size_t i = 0; i < sizeof managed_lines / sizeof managed_lines[0]; i++) {
        if (strcasecmp(managed_lines[i].line, line) == 0) {
            return managed_lines[i].decided_by;
        }
    }
    return NULL;
}

static void check_managed_lines(const struct check *check) {
    const struct spec_pairs *config = &check->spec->redis.config;
    for (size_t i = 0; i < config->n; i++) {
        const char *decides = who_decides(config->items[i].name);
        if (decides != NULL) {
            check_tell(check, DIAGNOSTIC_MANAGED_KEY,
                       arena_format(check->document->arena, "redis.config.%s", config->items[i].name),
                       "%s decides this line", decides);
            check_mend(check, "leave it out");
        }
    }
}

/* A line break in a value would be another line, a managed one perhaps. The reader lets texts have them. */
static void check_lines_are_single(const struct check *check) {
    const struct spec_pairs *config = &check->spec->redis.config;
    for (size_t i = 0; i < config->n; i++) {
        const char *path = arena_format(check->document->arena, "redis.config.%s", config->items[i].name);
        for (const char *c = config->items[i].value; *c != '\0'; c++) {
            if ((unsigned char) *c < 0x20 || *c == 0x7F) {
                check_tell(check, DIAGNOSTIC_BAD_FORMAT, path, "a control character, such as a line feed, is inside");
                check_mend(check, "write one line");
                break;
            }
        }
    }
}

static void check_eviction(const struct check *check) {
    const struct spec_pairs *config = &check->spec->redis.config;
    for (size_t i = 0; i < config->n; i++) {
        bool is_policy = strcasecmp(config->items[i].name, "maxmemory-policy") == 0;
        if (is_policy && strcmp(config->items[i].value, "noeviction") != 0) {
            check_tell(check, DIAGNOSTIC_EVICTS_HISTORIES,
                       arena_format(check->document->arena, "redis.config.%s", config->items[i].name),
                       "%s throws whole histories away when memory is full", config->items[i].value);
        }
    }
}

/* ---- replicas and Sentinels ---- */

static void check_sentinels(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    if (redis->mode == SPEC_REDIS_SENTINEL && redis->sentinel.replicas % 2 == 0) {
        check_tell(check, DIAGNOSTIC_SENTINELS_EVEN, "redis.sentinel.replicas", "%" PRId64 " is an even number",
                   redis->sentinel.replicas);
    }
}

static void check_quorum(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    int64_t majority = redis->sentinel.replicas / 2 + 1;
    if (redis->mode != SPEC_REDIS_SENTINEL) {
        return;
    }
    if (redis->sentinel.quorum < majority) {
        check_tell(check, DIAGNOSTIC_QUORUM_NO_MAJORITY, "redis.sentinel.quorum",
                   "%" PRId64 " is no majority of %" PRId64 " sentinels", redis->sentinel.quorum,
                   redis->sentinel.replicas);
        check_mend(check, "two masters could be elected; use %" PRId64, majority);
        check_other(check, "redis.sentinel.replicas");
    } else if (redis->sentinel.quorum > redis->sentinel.replicas) {
        check_tell(check, DIAGNOSTIC_QUORUM_NO_MAJORITY, "redis.sentinel.quorum",
                   "%" PRId64 " of %" PRId64 " sentinels can never agree", redis->sentinel.quorum,
                   redis->sentinel.replicas);
        check_mend(check, "no failover could ever happen; use %" PRId64, majority);
        check_other(check, "redis.sentinel.replicas");
    }
}

/* Replicas that a primary has while all is well. */
static int64_t replicas_of_primary(const struct spec_redis *redis) {
    switch ((enum spec_redis_mode) redis->mode) {
    case SPEC_REDIS_SENTINEL:
        return redis->replicas - 1;
    case SPEC_REDIS_CLUSTER:
        return redis->cluster.replicas_per_shard;
    case SPEC_REDIS_EMBEDDED:
    case SPEC_REDIS_STANDALONE:
    case SPEC_REDIS_EXTERNAL:
        break;
    }
    return 0;
}

/* The field that says how many there are. */
static const char *field_of_replicas(const struct spec_redis *redis) {
    bool is_sentinel = redis->mode == SPEC_REDIS_SENTINEL;
    bool is_cluster = redis->mode == SPEC_REDIS_CLUSTER;
    return is_sentinel ? "redis.replicas" : is_cluster ? "redis.cluster.replicasPerShard" : "redis.mode";
}

static void check_min_replicas(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    int64_t replicas = replicas_of_primary(redis);
    if (!is_ours(check) || redis->min_replicas_to_write == 0) {
        return;
    }
    if (redis->min_replicas_to_write > replicas) {
        check_tell(check, DIAGNOSTIC_MIN_REPLICAS_TOO_MANY, "redis.minReplicasToWrite",
                   "a primary has %" PRId64 " replica%s, so it would refuse every write", replicas,
                   replicas == 1 ? "" : "s");
        check_mend(check, "use at most %" PRId64, replicas);
        check_other(check, field_of_replicas(redis));
    } else if (redis->min_replicas_to_write == replicas) {
        check_tell(check, DIAGNOSTIC_TWO_DATA_PODS, "redis.minReplicasToWrite",
                   "a primary has as many replicas, so nothing is written while one of them restarts");
        check_mend(check, "use one replica more");
        check_other(check, field_of_replicas(redis));
    }
}

static void check_shards_have_replicas(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    if (redis->mode == SPEC_REDIS_CLUSTER && redis->cluster.replicas_per_shard == 0) {
        check_tell(check, DIAGNOSTIC_NO_REPLICAS, "redis.cluster.replicasPerShard",
                   "a lost pod takes its share of the channels with it");
    }
}

static void check_budget(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    int64_t spare = replicas_of_primary(redis) - redis->min_replicas_to_write;
    bool has_budget = check->spec->disruption.budgets && is_ours(check) && redis->min_replicas_to_write > 0;
    if (has_budget && spare >= 0 && check->spec->disruption.redis_pods > spare + 1) {
        check_tell(check, DIAGNOSTIC_BUDGET_STOPS_WRITES, "disruption.redisPods",
                   "%" PRId64 " pods may go, and writes need all but %" PRId64, check->spec->disruption.redis_pods,
                   spare);
        check_other(check, "redis.minReplicasToWrite");
    }
}

/* ---- versions ---- */

static void check_version(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    unsigned major = 0;
    unsigned minor = 0;
    bool is_old = sscanf(redis->version, "%5u.%5u", &major, &minor) == 2 && major < 7;
    if (is_ours(check) && is_old) {
        check_tell(check, DIAGNOSTIC_VERSION_TOO_OLD, "redis.version",
                   "%s is older than 7.0, which brings sharded topics and host names", redis->version);
        check_mend(check, "use 7.2 of redis, or 8.0 of valkey");
    }
    if (is_ours(check) && redis->engine == SPEC_ENGINE_VALKEY && major == 7 && minor < 2) {
        check_tell(check, DIAGNOSTIC_VERSION_TOO_OLD, "redis.version", "the first version of valkey is 7.2");
        check_mend(check, "use 8.0");
        check_other(check, "redis.engine");
    }
}

static void check_announced_address(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    if (redis->mode == SPEC_REDIS_CLUSTER && redis->cluster.announce == SPEC_ANNOUNCE_IP && check->spec->tls.is_on) {
        check_tell(check, DIAGNOSTIC_EDGE_INCOMPLETE, "redis.cluster.announce",
                   "certificates are for names, and clients are sent to addresses");
        check_mend(check, "use hostname with TLS");
        check_other(check, check_is_set(check, "tls.secretName") ? "tls.secretName" : "tls.issuerRef.name");
    }
}

/* ---- what a mode passes over ---- */

static void check_no_effect(const struct check *check) {
    static const struct {
        const char *path;
        int mode;
    } sections[] = {{"redis.sentinel", SPEC_REDIS_SENTINEL},
                    {"redis.replicas", SPEC_REDIS_SENTINEL},
                    {"redis.cluster", SPEC_REDIS_CLUSTER},
                    {"redis.external", SPEC_REDIS_EXTERNAL}};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (check->spec->redis.mode != sections[i].mode && check_is_set(check, sections[i].path)) {
            check_tell(check, DIAGNOSTIC_NO_EFFECT, sections[i].path, "changes nothing with this redis.mode");
            check_other(check, "redis.mode");
        }
    }
}

static void check_no_effect_without_pods(const struct check *check) {
    static const char *const paths[] = {"redis.image",     "redis.version",     "redis.engine",
                                        "redis.resources", "redis.persistence", "redis.config",
                                        "redis.maxmemory", "redis.appendfsync", "redis.streamNodeMaxBytes"};
    bool is_embedded = check->spec->redis.mode == SPEC_REDIS_EMBEDDED;
    bool is_external = check->spec->redis.mode == SPEC_REDIS_EXTERNAL;
    for (size_t i = 0; (is_embedded || is_external) && i < sizeof paths / sizeof paths[0]; i++) {
        bool is_of_provider = is_external && i < 3; /* what a provider shall run */
        if (check_is_set(check, paths[i]) && !is_of_provider) {
            check_tell(check, DIAGNOSTIC_NO_EFFECT, paths[i], "changes nothing with this redis.mode");
            check_other(check, "redis.mode");
        }
    }
}

check_rule_t *const check_rules_redis[] = {
    check_maxmemory,
    check_volume,
    check_has_volume,
    check_fsync,
    check_managed_lines,
    check_lines_are_single,
    check_eviction,
    check_sentinels,
    check_quorum,
    check_min_replicas,
    check_shards_have_replicas,
    check_budget,
    check_version,
    check_announced_address,
    check_no_effect,
    check_no_effect_without_pods,
    NULL,
};
