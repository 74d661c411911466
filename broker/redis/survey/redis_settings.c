/* See redis_settings.h. One function a check, in the order of REDIS_CHECKS; here those about what kind of server it is,
 * the others beside: redis_settings_memory.c, _durability.c, _link.c. */
#include "broker/redis/survey/redis_settings.h"

#include "base/check.h"
#include "broker/redis/survey/redis_settings_parts.h"

#include <stdio.h>

const char *redis_check_id(enum redis_check check) {
    static const char *const ids[REDIS_CHECKS_COUNT] = {
#define X(name, id, checks, means) [REDIS_CHECK_##name] = (id),
        REDIS_CHECKS(X)
#undef X
    };
    check(check < REDIS_CHECKS_COUNT, "no such check");
    return ids[check];
}

const char *redis_size_text(uint64_t bytes, char ret_text[REDIS_SIZE_TEXT_MAX]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    uint64_t tenths = bytes * 10;
    if (bytes > UINT64_MAX / 10) {
        tenths = UINT64_MAX;
    }
    while (tenths >= 10240 && unit + 1 < sizeof units / sizeof *units) {
        tenths /= 1024;
        unit++;
    }
    if (tenths % 10 == 0 || tenths >= 1000) {
        snprintf(ret_text, REDIS_SIZE_TEXT_MAX, "%llu %s", (unsigned long long) (tenths / 10), units[unit]);
    } else {
        snprintf(ret_text, REDIS_SIZE_TEXT_MAX, "%llu.%llu %s", (unsigned long long) (tenths / 10),
                 (unsigned long long) (tenths % 10), units[unit]);
    }
    return ret_text;
}

void redis_judge_unknown(const struct redis_judge *judge, enum redis_check check, const char *setting,
                         const char *wanted) {
    redis_judge_add(judge, check, FINDING_UNKNOWN, "%s cannot be read here: the user's rights or the service hide it",
                    setting);
    redis_judge_mend(judge, "look it up where Redis is set up; it should be: %s", wanted);
}

/* ---- what kind of server ---- */

void redis_judge_version(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    bool is_valkey = facts->valkey_version.is_known;
    const char *name = is_valkey ? "Valkey" : "Redis";
    const char *version = is_valkey ? facts->valkey_version.text : facts->version.text;
    unsigned number = redis_version_number(facts->version.text);
    if (number == 0) {
        redis_judge_unknown(judge, REDIS_CHECK_VERSION, "the version", "Redis 6.2 or later, Valkey 7.2 or later");
        return;
    }
    if (number < REDIS_VERSION_MIN) {
        redis_judge_add(judge, REDIS_CHECK_VERSION, FINDING_ERROR, "%s %s is too old: 6.2 is the first that works",
                        name, version);
        redis_judge_mend(judge, "upgrade to Redis 7.0 or Valkey 7.2, or later");
        return;
    }
    if (facts->has_sharded.is_known && facts->has_sharded.value == 0) {
        redis_judge_add(judge, REDIS_CHECK_VERSION, judge->setup->is_cluster ? FINDING_WARNING : FINDING_NOTE,
                        "%s %s has no sharded pub/sub: %s", name, version,
                        judge->setup->is_cluster ? "each publication goes to every node of the cluster"
                                                 : "plain pub/sub is used, which does as well on one primary");
        redis_judge_mend(judge, "upgrade to Redis 7.0 or Valkey 7.2, or later");
        return;
    }
    redis_judge_fine(judge, REDIS_CHECK_VERSION, "%s %s", name, version);
}

void redis_judge_mode(const struct redis_judge *judge) {
    const struct redis_word *mode = &judge->facts->mode;
    if (!mode->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_MODE, "redis_mode", "the kind of server that redis.url names");
        return;
    }
    if (strcmp(mode->text, "sentinel") == 0) {
        redis_judge_add(judge, REDIS_CHECK_MODE, FINDING_ERROR, "this is a Sentinel, it keeps no data");
        redis_judge_mend(judge, "write redis+sentinel://host:26379/NAME-OF-THE-PRIMARY in redis.url");
        return;
    }
    bool is_cluster = strcmp(mode->text, "cluster") == 0;
    if (is_cluster == judge->setup->is_cluster) {
        redis_judge_fine(judge, REDIS_CHECK_MODE, "%s, as redis.url says", mode->text);
    } else if (is_cluster) {
        redis_judge_add(judge, REDIS_CHECK_MODE, FINDING_ERROR,
                        "this is a node of a Redis Cluster, but redis.url names a single server");
        redis_judge_mend(judge, "write redis+cluster://host:port in redis.url, with two or three of the nodes");
    } else {
        redis_judge_add(judge, REDIS_CHECK_MODE, FINDING_ERROR,
                        "redis.url names a Redis Cluster, but this server runs with cluster-enabled no");
        redis_judge_mend(judge, "write redis://host:port in redis.url, or name the nodes of the cluster");
    }
}

void redis_judge_role(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    if (!facts->role.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_ROLE, "the role", "a primary");
        return;
    }
    bool is_replica = strcmp(facts->role.text, "master") != 0;
    if (facts->loading.is_known && facts->loading.value != 0) {
        redis_judge_add(judge, REDIS_CHECK_ROLE, FINDING_ERROR, "it is loading its data and answers nothing else yet");
        redis_judge_mend(judge, "wait until it has; INFO persistence tells how far it is");
    } else if (is_replica && !judge->setup->is_replica) {
        redis_judge_add(judge, REDIS_CHECK_ROLE, FINDING_ERROR, "this server is a replica and takes no writes");
        redis_judge_mend(judge, "name the primary in redis.url, or let Sentinel find it: redis+sentinel://…");
    } else if (is_replica && facts->master_link.is_known && strcmp(facts->master_link.text, "up") != 0) {
        redis_judge_add(judge, REDIS_CHECK_ROLE, FINDING_WARNING,
                        "this replica does not hear its primary (master_link_status %s)", facts->master_link.text);
        redis_judge_mend(judge, "look at its log; masterauth and tls-replication are the usual reasons");
    } else {
        redis_judge_fine(judge, REDIS_CHECK_ROLE, "%s", is_replica ? "a replica that hears its primary" : "a primary");
    }
}

void redis_judge_identity(const struct redis_judge *judge) {
    if (judge->facts->master_replid.is_known) {
        redis_judge_fine(judge, REDIS_CHECK_IDENTITY, "master_replid can be seen");
        return;
    }
    if (judge->setup->has_safe && !judge->setup->is_declared) {
        redis_judge_add(judge, REDIS_CHECK_IDENTITY, FINDING_ERROR,
                        "master_replid is hidden, so a failover behind this address may go unseen: durability safe "
                        "cannot be kept");
        redis_judge_mend(judge, "let the user read INFO (ACL: +info), or speak to Redis without the proxy; else set "
                                "durability: fast, or redis.confirm: declared where the provider promises it");
    } else {
        redis_judge_add(judge, REDIS_CHECK_IDENTITY, FINDING_WARNING,
                        "master_replid is hidden: a failover behind this address is noticed late");
        redis_judge_mend(judge, "let the user read INFO (ACL: +info); behind a proxy that hides it nothing helps");
    }
}

void redis_judge_partitions(const struct redis_judge *judge) {
    const struct redis_number *stored = &judge->facts->partitions;
    uint32_t ours = judge->setup->n_partitions;
    if (judge->setup->is_replica || ours == 0 || (judge->setup->is_cluster && !stored->is_known)) {
        redis_judge_fine(judge, REDIS_CHECK_PARTITIONS, "asked of the primary that keeps the number");
    } else if (!stored->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_PARTITIONS, "the stored number of partitions", "broker.partitions");
    } else if (stored->value == 0) {
        redis_judge_fine(judge, REDIS_CHECK_PARTITIONS, "no data under this prefix yet");
    } else if (stored->value == (int64_t) ours) {
        redis_judge_fine(judge, REDIS_CHECK_PARTITIONS, "%u, as broker.partitions says", ours);
    } else {
        redis_judge_add(judge, REDIS_CHECK_PARTITIONS, FINDING_ERROR,
                        "the data under this prefix has %lld partitions, broker.partitions is %u",
                        (long long) stored->value, ours);
        redis_judge_mend(judge, "set broker.partitions to %lld, or choose another redis.prefix for new data",
                         (long long) stored->value);
    }
}

void redis_judge_rights(const struct redis_judge *judge) {
    if (!judge->facts->info_is_known) {
        redis_judge_add(judge, REDIS_CHECK_RIGHTS, FINDING_UNKNOWN, "INFO is denied: next to nothing can be examined");
        redis_judge_mend(judge, "let the user read it: ACL SETUSER name +info");
    } else if (judge->facts->config_is_denied) {
        redis_judge_add(judge, REDIS_CHECK_RIGHTS, FINDING_UNKNOWN,
                        "CONFIG GET is denied: settings that only it tells are unknown");
        redis_judge_mend(judge, "let the user read them (Redis 7: ACL SETUSER name +config|get), or judge by hand what "
                                "is unknown");
    } else {
        redis_judge_fine(judge, REDIS_CHECK_RIGHTS, "INFO and CONFIG GET can be read");
    }
}

void redis_judge_cluster(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    enum { SLOTS = 16384 };
    if (!judge->setup->is_cluster) {
        redis_judge_fine(judge, REDIS_CHECK_CLUSTER, "no Cluster");
    } else if (!facts->cluster_state.is_known || !facts->cluster_slots_assigned.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_CLUSTER, "CLUSTER INFO", "cluster_state:ok, all 16384 slots assigned");
    } else if (facts->cluster_slots_assigned.value < SLOTS) {
        redis_judge_add(judge, REDIS_CHECK_CLUSTER, FINDING_ERROR, "%lld of 16384 slots belong to no node",
                        (long long) (SLOTS - facts->cluster_slots_assigned.value));
        redis_judge_mend(judge, "redis-cli --cluster fix %s", judge->setup->where);
    } else if (strcmp(facts->cluster_state.text, "ok") != 0) {
        redis_judge_add(judge, REDIS_CHECK_CLUSTER, FINDING_ERROR,
                        "cluster_state is %s, %lld of 16384 slots are served", facts->cluster_state.text,
                        (long long) facts->cluster_slots_ok.value);
        redis_judge_mend(judge,
                         "redis-cli --cluster check %s; bring the primaries that failed back, or promote their "
                         "replicas with CLUSTER FAILOVER TAKEOVER",
                         judge->setup->where);
    } else {
        redis_judge_fine(judge, REDIS_CHECK_CLUSTER, "all 16384 slots are served");
    }
}

void redis_judge_node_timeout(const struct redis_judge *judge) {
    const struct redis_number *timeout = &judge->facts->node_timeout_ms;
    enum { LONG_MS = 10000 };
    if (!judge->setup->is_cluster) {
        redis_judge_fine(judge, REDIS_CHECK_NODE_TIMEOUT, "no Cluster");
    } else if (!timeout->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_NODE_TIMEOUT, "cluster-node-timeout", "5000");
    } else if (timeout->value > LONG_MS) {
        redis_judge_add(judge, REDIS_CHECK_NODE_TIMEOUT, FINDING_NOTE,
                        "cluster-node-timeout is %lld ms: a dead primary is replaced after that at the earliest",
                        (long long) timeout->value);
        redis_judge_mend(judge, "CONFIG SET cluster-node-timeout 5000 on every node, and in redis.conf");
    } else {
        redis_judge_fine(judge, REDIS_CHECK_NODE_TIMEOUT, "cluster-node-timeout is %lld ms",
                         (long long) timeout->value);
    }
}

/* ---- all of them ---- */

void redis_settings_judge(const struct redis_facts *facts, const struct redis_setup *setup, struct findings *findings) {
    static void (*const checks[REDIS_CHECKS_COUNT])(const struct redis_judge *judge) = {
        [REDIS_CHECK_VERSION] = redis_judge_version,
        [REDIS_CHECK_MODE] = redis_judge_mode,
        [REDIS_CHECK_ROLE] = redis_judge_role,
        [REDIS_CHECK_IDENTITY] = redis_judge_identity,
        [REDIS_CHECK_PARTITIONS] = redis_judge_partitions,
        [REDIS_CHECK_RIGHTS] = redis_judge_rights,
        [REDIS_CHECK_EVICTION] = redis_judge_eviction,
        [REDIS_CHECK_MEMORY_LIMIT] = redis_judge_memory_limit,
        [REDIS_CHECK_RETENTION] = redis_judge_retention,
        [REDIS_CHECK_MEMORY] = redis_judge_memory,
        [REDIS_CHECK_PUBSUB_BUFFER] = redis_judge_pubsub_buffer,
        [REDIS_CHECK_PERSISTENCE] = redis_judge_persistence,
        [REDIS_CHECK_APPENDFSYNC] = redis_judge_appendfsync,
        [REDIS_CHECK_DISK] = redis_judge_disk,
        [REDIS_CHECK_MIN_REPLICAS] = redis_judge_min_replicas,
        [REDIS_CHECK_REPLICAS] = redis_judge_replicas,
        [REDIS_CHECK_CONFIRM] = redis_judge_confirm,
        [REDIS_CHECK_BACKLOG] = redis_judge_backlog,
        [REDIS_CHECK_CLUSTER] = redis_judge_cluster,
        [REDIS_CHECK_NODE_TIMEOUT] = redis_judge_node_timeout,
        [REDIS_CHECK_CLIENTS] = redis_judge_clients,
        [REDIS_CHECK_IDLE_TIMEOUT] = redis_judge_idle_timeout,
        [REDIS_CHECK_SLOW] = redis_judge_slow,
        [REDIS_CHECK_CLOCK] = redis_judge_clock,
        [REDIS_CHECK_TLS] = redis_judge_tls,
        [REDIS_CHECK_NOTIFY] = redis_judge_notify,
    };
    const struct redis_judge judge = {facts, setup, findings};
    bool is_sentinel = facts->mode.is_known && strcmp(facts->mode.text, "sentinel") == 0;
    for (unsigned i = 0; i < REDIS_CHECKS_COUNT; i++) {
        if (is_sentinel && i != REDIS_CHECK_MODE) { /* one error, and not what follows from it */
            redis_judge_fine(&judge, (enum redis_check) i, "not asked of a Sentinel");
        } else {
            checks[i](&judge);
        }
    }
}
