/* A Redis that somebody else runs: where it is, how it is entered, and what its provider lacks. */
#include "operator/checks/check_rules.h"

#include <stdio.h>

static bool is_external(const struct check *check) {
    return check->spec->redis.mode == SPEC_REDIS_EXTERNAL;
}

static bool is_provider(const struct check *check, enum spec_provider provider) {
    return is_external(check) && check->spec->redis.external.provider == (int) provider;
}

static void check_address(const struct check *check) {
    const struct spec_external *external = &check->spec->redis.external;
    bool has_url = external->url[0] != '\0';
    bool has_endpoint = external->endpoint[0] != '\0';
    if (!is_external(check)) {
        return;
    }
    if (!has_url && !has_endpoint) {
        check_tell(check, DIAGNOSTIC_EXTERNAL_INCOMPLETE, "redis.external", "neither url nor endpoint is set");
        check_mend(check, "set redis.external.endpoint: host:port");
    } else if (has_url && has_endpoint) {
        check_tell(check, DIAGNOSTIC_BOTH_SET, "redis.external.endpoint", "url says where Redis is, too");
        check_other(check, "redis.external.url");
    }
}

/* Between :// and the last @ of the address. */
static void check_no_password(const struct check *check) {
    const char *url = check->spec->redis.external.url;
    const char *slashes = strstr(url, "://");
    const char *at = slashes == NULL ? NULL : strrchr(slashes, '@');
    if (at != NULL && memchr(slashes + 3, ':', (size_t) (at - (slashes + 3))) != NULL) {
        check_tell(check, DIAGNOSTIC_URL_PASSWORD, "redis.external.url", "the address has a password inside");
    }
}

static void check_url_decides(const struct check *check) {
    static const char *const paths[] = {"redis.external.tls.enabled", "redis.external.clusterMode"};
    bool has_url = check->spec->redis.external.url[0] != '\0';
    for (size_t i = 0; is_external(check) && has_url && i < sizeof paths / sizeof paths[0]; i++) {
        if (check_is_set(check, paths[i])) {
            check_tell(check, DIAGNOSTIC_NO_EFFECT, paths[i], "the scheme of url says it");
            check_other(check, "redis.external.url");
        }
    }
}

static void check_login(const struct check *check) {
    const struct spec_external *external = &check->spec->redis.external;
    if (!is_external(check) || !external->auth_iam) {
        return;
    }
    bool has_iam = is_provider(check, SPEC_PROVIDER_ELASTICACHE) || is_provider(check, SPEC_PROVIDER_MEMORYSTORE);
    if (!has_iam) {
        check_tell(check, DIAGNOSTIC_IAM_IMPOSSIBLE, "redis.external.auth.iam", "this provider has no such tokens");
        check_mend(check, "use auth.secretRef");
        check_other(check, "redis.external.provider");
    } else if (!external->tls) {
        check_tell(check, DIAGNOSTIC_IAM_IMPOSSIBLE, "redis.external.auth.iam", "tokens are taken over TLS only");
        check_mend(check, "set redis.external.tls.enabled: true");
        check_other(check, "redis.external.tls.enabled");
    }
    if (external->auth_secret[0] != '\0') {
        check_tell(check, DIAGNOSTIC_BOTH_SET, "redis.external.auth.secretRef.name", "IAM gives the password");
        check_other(check, "redis.external.auth.iam");
    }
}

static void check_tls(const struct check *check) {
    const struct spec_external *external = &check->spec->redis.external;
    if (is_external(check) && !external->tls) {
        bool has_url = external->url[0] != '\0';
        const char *path = has_url ? "redis.external.url" : "redis.external.tls.enabled";
        check_tell(check, DIAGNOSTIC_PLAIN_REDIS, path, "what goes to Redis can be read on the way");
        check_mend(check, has_url ? "begin it with rediss in place of redis" : "set it to true");
    }
}

/* ---- ElastiCache ---- */

static bool is_log_kept(const struct check *check) {
    int durability = check->spec->redis.external.durability;
    return is_provider(check, SPEC_PROVIDER_ELASTICACHE) &&
           (durability == SPEC_DURABILITY_SYNC || durability == SPEC_DURABILITY_ASYNC);
}

static void tell_precondition(const struct check *check, const char *other, const char *needs, const char *mend) {
    check_tell(check, DIAGNOSTIC_DURABILITY_PRECONDITION, "redis.external.durability", "the transaction log needs %s",
               needs);
    check_mend(check, "set %s: %s, or durability: disabled", other, mend);
    check_other(check, other);
}

static void check_durability(const struct check *check) {
    const struct spec_external *external = &check->spec->redis.external;
    if (!is_log_kept(check)) {
        return;
    }
    if (!external->cluster_mode) {
        tell_precondition(check, "redis.external.clusterMode", "cluster mode", "true");
    }
    if (!external->multi_az) {
        tell_precondition(check, "redis.external.multiAz", "several zones", "true");
    }
    if (external->replicas_per_shard == 0) {
        tell_precondition(check, "redis.external.replicasPerShard", "a replica in each shard", "1");
    }
    if (!external->tls) {
        tell_precondition(check, "redis.external.tls.enabled", "TLS", "true");
    }
}

static void check_durability_engine(const struct check *check) {
    const struct spec_redis *redis = &check->spec->redis;
    unsigned major = 0;
    bool is_known = check_is_set(check, "redis.version") && sscanf(redis->version, "%5u", &major) == 1;
    if (is_log_kept(check) && check_is_set(check, "redis.engine") && redis->engine != SPEC_ENGINE_VALKEY) {
        tell_precondition(check, "redis.engine", "Valkey", "valkey");
    }
    if (is_log_kept(check) && is_known && major < 9) {
        tell_precondition(check, "redis.version", "Valkey 9.0", "\"9.0\"");
    }
}

/* R and M of Graviton from the sixth generation on, c7gn, c8gn. */
static bool has_log(const char *node_type) {
    static const char *const families[] = {"cache.r6g.", "cache.r7g.", "cache.r8g.",  "cache.m6g.",
                                           "cache.m7g.", "cache.m8g.", "cache.c7gn.", "cache.c8gn."};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (strncmp(node_type, families[i], strlen(families[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void check_durability_node(const struct check *check) {
    const char *node_type = check->spec->redis.external.node_type;
    if (is_log_kept(check) && node_type[0] != '\0' && !has_log(node_type)) {
        tell_precondition(check, "redis.external.nodeType", "a node of r6g to r8g, m6g to m8g, c7gn or c8gn",
                          "cache.r7g.large");
    }
}

static void check_durability_provider(const struct check *check) {
    if (is_external(check) && !is_provider(check, SPEC_PROVIDER_ELASTICACHE) &&
        check_is_set(check, "redis.external.durability")) {
        check_tell(check, DIAGNOSTIC_NO_EFFECT, "redis.external.durability", "only ElastiCache has it");
        check_other(check, "redis.external.provider");
    }
}

static void check_loses_writes(const struct check *check) {
    if (is_provider(check, SPEC_PROVIDER_ELASTICACHE) &&
        check->spec->redis.external.durability == SPEC_DURABILITY_DISABLED) {
        check_tell(check, DIAGNOSTIC_NO_DURABILITY, "redis.external.durability",
                   "a failover may lose what was acknowledged");
    }
}

/* The rules of replication groups; letters are small ones here, as the field's format has it. */
static void check_name(const struct check *check) {
    const char *name = check->spec->redis.external.name;
    bool begins = name[0] >= 'a' && name[0] <= 'z';
    if (is_provider(check, SPEC_PROVIDER_ELASTICACHE) && (!begins || strlen(name) > 40 || strstr(name, "--") != NULL)) {
        check_tell(check, DIAGNOSTIC_PROVIDER_NAME, "redis.external.name", "ElastiCache takes no replication group %s",
                   name);
    }
}

/* ---- others ---- */

static void check_upstash(const struct check *check) {
    if (!is_provider(check, SPEC_PROVIDER_UPSTASH)) {
        return;
    }
    if (check->spec->redis.external.cluster_mode) {
        check_tell(check, DIAGNOSTIC_UNFIT_PROVIDER, "redis.external.clusterMode", "Upstash has no sharded topics");
        check_mend(check, "leave it out");
        check_other(check, "redis.external.provider");
    }
    check_tell(check, DIAGNOSTIC_PER_COMMAND_PRICE, "redis.external.provider", "Upstash bills each command");
}

static void check_azure_port(const struct check *check) {
    const char *colon = strrchr(check->spec->redis.external.endpoint, ':');
    if (is_provider(check, SPEC_PROVIDER_AZURE) && colon != NULL && strcmp(colon, ":10000") != 0) {
        check_tell(check, DIAGNOSTIC_NO_EFFECT, "redis.external.endpoint", "Azure Managed Redis listens on port 10000");
        check_mend(check, "end it with :10000");
    }
}

static void check_egress(const struct check *check) {
    if (is_external(check) && check->spec->network_policy.enabled && !check_is_set(check, "networkPolicy.to")) {
        check_tell(check, DIAGNOSTIC_EGRESS_CLOSED, "networkPolicy.to", "nothing here leads to the external Redis");
        check_other(check, "redis.mode");
    }
}

check_rule_t *const check_rules_external[] = {
    check_address,
    check_no_password,
    check_url_decides,
    check_login,
    check_tls,
    check_durability,
    check_durability_engine,
    check_durability_node,
    check_durability_provider,
    check_loses_writes,
    check_name,
    check_upstash,
    check_azure_port,
    check_egress,
    NULL,
};
