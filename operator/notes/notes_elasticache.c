/* ElastiCache, node based: the commands with every flag, and what it does not guarantee. A test gives each line to the
 * aws CLI itself. Names of groups follow from that of the replication group. */
#include "operator/notes/notes_parts.h"

#include <stdlib.h>
#include <string.h>

/* Streams, functions or scripts, topics of our prefix, and what brokers look at. */
#define ACCESS                                                                                                         \
    "on ~cb:* ~{cb}* resetchannels &cb:* -@all +eval +evalsha +get +set +del +hget +hmget +hset +hdel +hgetall "       \
    "+hscan "                                                                                                          \
    "+xadd +xrange +xrevrange +xtrim +pexpire +pttl +sadd +srem +smembers +publish +spublish +subscribe +unsubscribe " \
    "+ssubscribe +sunsubscribe +wait +time +role +select +info +command|info +client|setname +cluster|slots "          \
    "+cluster|info"

static const struct spec_external *external_of(const struct spec *spec) {
    return &spec->redis.external;
}

static bool has_log(const struct spec *spec) {
    int durability = external_of(spec)->durability;
    return durability == SPEC_DURABILITY_SYNC || durability == SPEC_DURABILITY_ASYNC;
}

static const char *durability_name(const struct spec *spec) {
    static const char *const names[] = {"default", "disabled", "async", "sync"}; /* enum spec_durability */
    return names[external_of(spec)->durability];
}

static int major_of(const struct spec *spec) {
    return (int) strtol(spec->redis.version, NULL, 10);
}

/* Valkey, but for who asks for a Redis that ElastiCache has: those end with 7.1. */
static bool is_oss(const struct spec *spec) {
    const char *version = spec->redis.version;
    return spec->redis.engine == SPEC_ENGINE_REDIS && !has_log(spec) &&
           (major_of(spec) < 7 || strcmp(version, "7.0") == 0 || strcmp(version, "7.1") == 0);
}

static const char *engine_of(const struct spec *spec) {
    return is_oss(spec) ? "redis" : "valkey";
}

/* The spec's, where it is one of the engine; the log is of Valkey 9. */
static const char *version_of(const struct spec *spec) {
    bool is_chosen = is_oss(spec) || spec->redis.engine == SPEC_ENGINE_VALKEY;
    if (has_log(spec)) {
        return is_chosen && major_of(spec) >= 9 ? spec->redis.version : "9.0";
    }
    return is_chosen ? spec->redis.version : "8.2";
}

/* --durability is known from 9.0 on; before there is no log that could be turned off. */
static bool has_durability_flag(const struct spec *spec) {
    return external_of(spec)->durability != SPEC_DURABILITY_DEFAULT && strtol(version_of(spec), NULL, 10) >= 9;
}

static void append_region(const struct spec *spec, struct buffer *out) {
    const char *region = external_of(spec)->region;
    if (region[0] != '\0') {
        buffer_append_format(out, " --region %s", region);
    }
}

/* ---- groups ---- */

static void append_groups(const struct spec *spec, struct buffer *out) {
    const char *name = external_of(spec)->name;
    buffer_append_format(out,
                         "### 1. Parameter group\n\nThe default groups cannot be edited. Ask for the family first: "
                         "that of versions above 8 is named by analogy here.\n\n```sh\naws elasticache "
                         "describe-cache-engine-versions --engine %s --engine-version %s",
                         engine_of(spec), version_of(spec));
    append_region(spec, out);
    buffer_append_format(out,
                         "\naws elasticache create-cache-parameter-group --cache-parameter-group-name %s-params \\\n"
                         "  --cache-parameter-group-family %s%c --description 'Callboard %s'",
                         name, engine_of(spec), version_of(spec)[0], name);
    append_region(spec, out);
    buffer_append_format(out,
                         "\naws elasticache modify-cache-parameter-group --cache-parameter-group-name %s-params "
                         "\\\n  --parameter-name-values ParameterName=maxmemory-policy,ParameterValue=noeviction \\\n  "
                         "ParameterName=tcp-keepalive,ParameterValue=60 "
                         "ParameterName=timeout,ParameterValue=0 \\\n  "
                         "ParameterName=stream-node-max-bytes,ParameterValue=%lld \\\n  "
                         "ParameterName=client-output-buffer-limit-pubsub-hard-limit,ParameterValue=268435456 \\\n  "
                         "ParameterName=client-output-buffer-limit-pubsub-soft-limit,ParameterValue=67108864 \\\n  "
                         "ParameterName=client-output-buffer-limit-pubsub-soft-seconds,ParameterValue=60",
                         name, (long long) spec->redis.stream_node_max_bytes);
    append_region(spec, out);
    buffer_append_format(out, "\naws elasticache describe-cache-parameters --cache-parameter-group-name %s-params",
                         name);
    append_region(spec, out);
    buffer_append_text(
        out, "\n```\n\n- `maxmemory-policy` is **volatile-lru** by default, which throws histories away.\n"
             "- `min-replicas-to-write` is 0 (lag 10 s): 1 makes a primary without replicas refuse writes.\n- "
             "`maxmemory`, `maxclients`, `appendonly` are fixed; `reserved-memory-percent` stays at "
             "25: plan data for at most 0.75 × maxmemory.\n- In cluster mode look in the last output "
             "at `cluster-enabled`: a group of your own may need it set to `yes`.\n");
}

static void append_users(const struct spec *spec, struct buffer *out) {
    const struct spec_external *external = external_of(spec);
    const char *user = external->auth_user[0] == '\0' ? "callboard" : external->auth_user;
    const char *group = external->user_group[0] == '\0' ? "'<USER_GROUP>'" : external->user_group;
    buffer_append_text(out, "\n### 2. Who may enter\n\n");
    if (!external->tls) {
        buffer_append_text(out, "Without TLS there is neither a password nor IAM: only the security group keeps others "
                                "out. Turn `redis.external.tls.enabled` on.\n");
        return;
    }
    buffer_append_format(out,
                         "```sh\naws elasticache create-user --engine %s --user-id %s --user-name %s \\\n  "
                         "--access-string '" ACCESS "' \\\n  --authentication-mode %s",
                         engine_of(spec), user, user,
                         external->auth_iam ? "Type=iam" : "Type=password,Passwords=\"$REDIS_PASSWORD\"");
    append_region(spec, out);
    buffer_append_format(out, "\naws elasticache create-user-group --engine %s --user-group-id %s --user-ids %s",
                         engine_of(spec), group, user);
    append_region(spec, out);
    buffer_append_text(out, "\n```\n\n");
    buffer_append_text(out,
                       external->auth_iam
                           ? "IAM: the user's id and name are the same. A token is a presigned URL that lives 15 "
                             "minutes, and a connection is cut after 12 hours unless it is authenticated anew:\n"
                             "somebody beside the broker has to write tokens into the password file.\n"
                           : "`REDIS_PASSWORD` comes from where you keep secrets, and is the same as in the Secret "
                             "of `redis.external.auth.secretRef`; it stands nowhere in the spec.\nA user takes two "
                             "passwords, so it is changed without an outage: add, roll the brokers, remove.\n");
    buffer_append_text(out,
                       "A group takes at most 100 users. An AUTH token instead has 16 to 128 printable characters, "
                       "of specials only `! & # $ ^ < > -`, and changes by `ROTATE`, then `SET` (`DELETE` on the way "
                       "to users and groups). "
                       "IAM needs Valkey 7.2 or Redis 7.0.\n");
}

/* ---- the replication group ---- */

static void append_shape(const struct spec *spec, struct buffer *out) {
    const struct spec_external *external = external_of(spec);
    if (external->cluster_mode) {
        buffer_append_format(out, " \\\n  --num-node-groups %lld --replicas-per-node-group %lld",
                             (long long) external->shards, (long long) external->replicas_per_shard);
    } else {
        buffer_append_format(out, " \\\n  --num-cache-clusters %lld", (long long) external->replicas_per_shard + 1);
    }
    bool has_replicas = external->replicas_per_shard > 0;
    buffer_append_text(out, has_replicas ? " --automatic-failover-enabled" : " --no-automatic-failover-enabled");
    buffer_append_text(out, has_replicas && external->multi_az ? " --multi-az-enabled" : " --no-multi-az-enabled");
}

static void append_network(const struct spec *spec, struct buffer *out) {
    const struct spec_external *external = external_of(spec);
    buffer_append_format(out, " \\\n  --cache-subnet-group-name %s --security-group-ids",
                         external->subnet_group[0] == '\0' ? "'<SUBNET_GROUP>'" : external->subnet_group);
    for (size_t i = 0; i < external->security_groups.n; i++) {
        buffer_append_format(out, " %s", external->security_groups.items[i]);
    }
    buffer_append_text(out, external->security_groups.n == 0 ? " '<SECURITY_GROUP>'" : "");
    buffer_append_format(out, " --cache-parameter-group-name %s-params", external->name);
    if (external->tls) {
        buffer_append_format(out, " --user-group-ids %s",
                             external->user_group[0] == '\0' ? "'<USER_GROUP>'" : external->user_group);
    }
}

static void append_create(const struct spec *spec, struct buffer *out) {
    const struct spec_external *external = external_of(spec);
    buffer_append_format(out,
                         "\n### 3. The replication group\n\nIts id has at most 40 letters, digits and hyphens, begins "
                         "with a letter, and has no double or final hyphen (`check` looks).\n\n```sh\naws elasticache "
                         "create-replication-group --replication-group-id %s \\\n  "
                         "--replication-group-description 'Callboard %s' --engine %s --engine-version %s \\\n  "
                         "--cache-node-type %s",
                         external->name, spec->metadata.name, engine_of(spec), version_of(spec),
                         external->node_type[0] == '\0' ? "'<NODE_TYPE>'" : external->node_type);
    append_shape(spec, out);
    buffer_append_text(out, external->tls ? " \\\n  --transit-encryption-enabled --at-rest-encryption-enabled"
                                          : " \\\n  --no-transit-encryption-enabled --at-rest-encryption-enabled");
    append_network(spec, out);
    buffer_append_text(out,
                       " \\\n  --snapshot-retention-limit 7 --snapshot-window 03:00-04:00 "
                       "--preferred-maintenance-window sun:04:00-sun:05:00 \\\n  --log-delivery-configurations "
                       "LogType=slow-log,DestinationType=cloudwatch-logs,DestinationDetails='{CloudWatchLogsDetails="
                       "{LogGroup=callboard-redis}}',LogFormat=json");
    if (has_durability_flag(spec)) {
        buffer_append_format(out, " \\\n  --durability %s", durability_name(spec));
    }
    append_region(spec, out);
    buffer_append_format(out, "\naws elasticache describe-replication-groups --replication-group-id %s",
                         external->name);
    append_region(spec, out);
    buffer_append_text(out, "\n```\n\n");
    if (has_durability_flag(spec)) {
        buffer_append_text(out, "CLIs from before 2026 do not know `--durability`.\n");
    }
    buffer_append_format(out, "`redis.external.endpoint` is the **%s endpoint** of the last output%s.\n",
                         external->cluster_mode ? "configuration" : "primary",
                         external->cluster_mode ? "" : ", not the reader endpoint: that one only turns names round");
    buffer_append_text(out, "VPC only: a subnet group of at least two zones (at most 20 subnets) with free addresses, "
                            "and a security group that lets 6379 in from the nodes or pods; security groups track a "
                            "bounded number of connections.\n"
                            "- One that exists: TLS comes in two steps, `--transit-encryption-mode preferred`, then "
                            "`required` (7.0 and later). Engines are upgraded in place, Redis to Valkey too, and never "
                            "down.\n- From cluster mode disabled to enabled: `--cluster-mode compatible`, then "
                            "`enabled`, with automatic failover on. Enabled it has 1 to 90 shards (up to 500 nodes on "
                            "request), and they are moved while it runs.\n");
}

/* ---- what is not guaranteed ---- */

static void append_guarantees(const struct spec *spec, struct buffer *out) {
    buffer_append_text(out, "\n### 4. What is guaranteed, and what is not\n\n");
    switch ((enum spec_durability) external_of(spec)->durability) {
    case SPEC_DURABILITY_SYNC:
        buffer_append_text(out, "- `durability: sync`: acknowledged writes survive, each takes some milliseconds.\n");
        break;
    case SPEC_DURABILITY_ASYNC:
        buffer_append_text(out, "- `durability: async`: **up to 10 seconds of acknowledged writes may be lost**, and "
                                "writes are refused while the log lags by more.\n");
        break;
    case SPEC_DURABILITY_DEFAULT:
    case SPEC_DURABILITY_DISABLED:
        buffer_append_text(out, "- No transaction log (the default of 9.0 is none): **a failover may lose the last "
                                "acknowledged writes**. There is no append-only file; snapshots (0 to 35 days) are "
                                "copies, not durability.\n");
        break;
    }
    buffer_append_text(
        out, has_log(spec) ? "- The log needs Valkey 9.0, cluster mode, Multi-AZ, a replica in each shard, TLS and "
                             "nodes of R or M 6g to 8g, C7gn or C8gn; it forces encryption at rest, takes at most "
                             "100 MiB/s of writes a primary,\n  and is not there with serverless, Global "
                             "Datastore, data tiering or Outposts.\n- Between sync and async it changes at any "
                             "time; from and to disabled the documentation contradicts itself: ask that of your "
                             "region.\n"
                           : "- A log exists for Valkey 9.0 and later (`redis.external.durability: sync`).\n");
    buffer_append_text(out,
                       "- Failover: a replica is promoted and the endpoint's DNS follows; how long it takes is not "
                       "promised (seconds to tens of seconds, by memory), planned replacements go on taking writes; "
                       "rehearse it (at most 15 shards in 24 hours, one at a time):\n\n```sh\n");
    buffer_append_format(out, "aws elasticache test-failover --replication-group-id %s --node-group-id 0001",
                         external_of(spec)->name);
    append_region(spec, out);
    buffer_append_text(
        out, "\n```\n\n- 65,000 connections a node, fixed; idle ones count.\n- `CONFIG`, `DEBUG`, "
             "`SAVE`, `REPLICAOF`, `SHUTDOWN` and others are away: what doctor looks at comes from "
             "INFO.\n- `PSYNC` is away, so `callboard-operator redis backup` cannot copy it: its snapshots are the "
             "copies.\n- Sharded topics (`clusterMode`) need Redis 7.0 or Valkey 7.2: plain ones would go to "
             "every node over the bus.\n- Serverless is unfit: no parameter group, no log, and an eviction that drops "
             "histories.\n");
}

/* ---- alarms ---- */

static const struct {
    const char *metric;
    const char *comparison;
    const char *threshold;
    bool is_of_log;
} alarms[] = {
    {"EngineCPUUtilization", "GreaterThanThreshold", "90", false},
    {"DatabaseMemoryUsagePercentage", "GreaterThanThreshold", "75", false},
    {"Evictions", "GreaterThanThreshold", "0", false},
    {"CurrConnections", "GreaterThanThreshold", "52000", false},
    {"ReplicationLag", "GreaterThanThreshold", "5", false},
    {"MasterLinkHealthStatus", "LessThanThreshold", "1", false},
    {"TrafficManagementActive", "GreaterThanThreshold", "0", false},
    {"DurabilityLag", "GreaterThanThreshold", "5", true},
    {"DurabilityBufferExceededErrorCount", "GreaterThanThreshold", "0", true},
};

static void append_alarms(const struct spec *spec, struct buffer *out) {
    buffer_append_text(out, "\n### 5. Alarms\n\nFor each node, named as `describe-replication-groups` lists it; with "
                            "fewer than 4 vCPU watch CPUUtilization above 90 / cores instead of "
                            "EngineCPUUtilization.\nAlso look at spikes of NewConnections, and SwapUsage above "
                            "FreeableMemory.\n\n```sh\n");
    for (size_t i = 0; i < sizeof alarms / sizeof alarms[0]; i++) {
        if (alarms[i].is_of_log && !has_log(spec)) {
            continue;
        }
        buffer_append_format(out,
                             "aws cloudwatch put-metric-alarm --alarm-name %s-%s --namespace AWS/ElastiCache "
                             "--metric-name %s \\\n  --dimensions 'Name=CacheClusterId,Value=<NODE>' --statistic "
                             "Maximum --period 60 --evaluation-periods 3 \\\n  --threshold %s --comparison-operator %s "
                             "--alarm-actions '<TOPIC>'",
                             external_of(spec)->name, alarms[i].metric, alarms[i].metric, alarms[i].threshold,
                             alarms[i].comparison);
        append_region(spec, out);
        buffer_append_char(out, '\n');
    }
    buffer_append_text(out, "```\n");
}

void notes_append_elasticache(const struct spec *spec, struct buffer *out) {
    buffer_append_text(out, "\n## Redis: ElastiCache, node based\n\n");
    append_groups(spec, out);
    append_users(spec, out);
    append_create(spec, out);
    append_guarantees(spec, out);
    append_alarms(spec, out);
}
