/* redis: where histories and presence are kept. */
#include "operator/spec/field_rows.h"

static const char *const modes[] = {"embedded", "standalone", "sentinel",
                                    "cluster",  "external",   NULL};    /* spec_redis_mode */
static const char *const engines[] = {"redis", "valkey", NULL};         /* enum spec_redis_engine */
static const char *const fsyncs[] = {"everysec", "always", "no", NULL}; /* enum spec_appendfsync */
static const char *const retentions[] = {"retain", "delete", NULL};     /* enum spec_retention */
static const char *const announces[] = {"hostname", "ip", NULL};        /* enum spec_announce */

static const struct spec_field fields[] = {
    FIELD(
        "redis.mode", SPEC_CHOICE, redis.mode, CHOICES(modes),
        PROFILES("embedded", "standalone", "sentinel", "cluster", "external"), EFFECT(DATA),
        HELP(
            "embedded: the broker's memory, one broker, nothing outlives it. standalone: one Redis. sentinel: primary, "
            "replicas and Sentinels. cluster: Redis Cluster. external: one that somebody else runs."),
        CHANGES("which StatefulSets of Redis there are, redis.url in the brokers' configuration")),
    FIELD("redis.engine", SPEC_CHOICE, redis.engine, CHOICES(engines), DEFAULT("redis"), EFFECT(ROLLS),
          HELP("Which program."), CHANGES("image and options of the Redis pods")),
    FIELD("redis.version", SPEC_TEXT, redis.version, RANGE(1, 32), FORMAT(VERSION),
          DERIVED("7.2 of redis, 8.0 of valkey"), EFFECT(ROLLS),
          HELP("Its version, at least 7.0. A cluster of valkey 9.0 and later hands over to a replica by itself at "
               "SIGTERM."),
          CHANGES("image of the Redis pods, shutdown-on-sigterm in redis.conf")),
    FIELD("redis.image", SPEC_TEXT, redis.image, RANGE(1, 512), FORMAT(IMAGE),
          DERIVED("redis:<version> or valkey/valkey:<version>"), EFFECT(ROLLS),
          HELP("Its image, with a tag or a digest; an official one of redis or valkey."),
          CHANGES("image of the Redis and Sentinel containers")),
    FIELD("redis.replicas", SPEC_COUNT, redis.replicas, RANGE(2, 6), DEFAULT("3"), EFFECT(HOT),
          HELP("With mode sentinel: pods with data, the primary among them."),
          CHANGES("spec.replicas of the StatefulSet of Redis")),
    RESOURCES("redis.resources", redis.resources, "a Redis pod", PROFILES("100m", "250m", "1", "2", "1"),
              PROFILES("256Mi", "1Gi", "4Gi", "8Gi", "1Gi")),
    FIELD(
        "redis.persistence.size", SPEC_MEMORY, redis.persistence.size, RANGE(0, 64 * 1024 * GIB), EFFECT(RECREATE),
        DERIVED("3 × maxmemory, in whole GiB"),
        HELP("Volume of each pod: the append-only file is rewritten beside the old one. 0: none, nothing outlives the "
             "pod."),
        CHANGES("volumeClaimTemplates of the StatefulSet, appendonly in redis.conf")),
    FIELD("redis.persistence.class", SPEC_TEXT, redis.persistence.class, FORMAT(NAME), EFFECT(RECREATE),
          HELP("Storage class. Not set: the cluster's default."), CHANGES("storageClassName of the claims")),
    FIELD("redis.persistence.retention", SPEC_CHOICE, redis.persistence.retention, CHOICES(retentions),
          DEFAULT("retain"), EFFECT(HOT), HELP("What happens to the volumes when the StatefulSet is deleted."),
          CHANGES("persistentVolumeClaimRetentionPolicy")),
    FIELD("redis.appendfsync", SPEC_CHOICE, redis.appendfsync, CHOICES(fsyncs), DEFAULT("everysec"), EFFECT(ROLLS),
          HELP("When writes reach the disk. always: before they are acknowledged; pipelined brokers pay little for it "
               "on a local disk."),
          CHANGES("appendfsync in redis.conf")),
    FIELD("redis.maxmemory", SPEC_MEMORY, redis.maxmemory, RANGE(16 * MIB, 4096 * GIB), EFFECT(ROLLS),
          DERIVED("60 % of redis.resources.limits.memory, 75 % without a volume"),
          HELP("What Redis may hold; the rest of its limit is for rewriting the file and for buffers."),
          CHANGES("maxmemory in redis.conf")),
    FIELD("redis.streamNodeMaxBytes", SPEC_MEMORY, redis.stream_node_max_bytes, RANGE(256, 1 * MIB), DEFAULT("4096"),
          EFFECT(ROLLS),
          HELP("Block size of a stream. 1Ki saves memory where channels are many and their histories short."),
          CHANGES("stream-node-max-bytes in redis.conf")),
    FIELD(
        "redis.minReplicasToWrite", SPEC_COUNT, redis.min_replicas_to_write, RANGE(0, 5), DEFAULT("0"), EFFECT(ROLLS),
        HELP("A primary with fewer replicas refuses writes, so that one that is cut off takes nothing it would lose."),
        CHANGES("min-replicas-to-write in redis.conf")),
    FIELD("redis.minReplicasMaxLag", SPEC_DURATION, redis.min_replicas_max_lag_ms, RANGE(1 * SECOND, 1 * MINUTE),
          DEFAULT("5s"), EFFECT(ROLLS), HELP("A replica that is silent for so long does not count."),
          CHANGES("min-replicas-max-lag in redis.conf")),
    FIELD("redis.config", SPEC_PAIRS, redis.config, .items_max = 64, RANGE(0, 1024), EFFECT(ROLLS),
          HELP("Further lines of redis.conf. Lines that other fields decide are refused."),
          CHANGES("redis.conf, between our defaults and the lines that we manage")),
    FIELD("redis.sentinel.replicas", SPEC_COUNT, redis.sentinel.replicas, RANGE(3, 7), DEFAULT("3"), EFFECT(HOT),
          HELP("Sentinels: 3, 5 or 7."), CHANGES("spec.replicas of the StatefulSet of Sentinel")),
    FIELD("redis.sentinel.quorum", SPEC_COUNT, redis.sentinel.quorum, RANGE(1, 7),
          DERIVED("a majority of redis.sentinel.replicas"), EFFECT(ROLLS),
          HELP("Sentinels that must agree that the primary is gone."), CHANGES("sentinel monitor in sentinel.conf")),
    FIELD("redis.sentinel.downAfter", SPEC_DURATION, redis.sentinel.down_after_ms, RANGE(500, 10 * MINUTE),
          DEFAULT("5s"), EFFECT(ROLLS), HELP("How long a primary may be silent. A failover is done about 1.3 s later."),
          CHANGES("sentinel down-after-milliseconds")),
    FIELD("redis.sentinel.failoverTimeout", SPEC_DURATION, redis.sentinel.failover_timeout_ms,
          RANGE(1 * SECOND, 30 * MINUTE), DEFAULT("20s"), EFFECT(ROLLS),
          HELP("A failover that failed is tried again after twice as long."), CHANGES("sentinel failover-timeout")),
    FIELD("redis.sentinel.masterSet", SPEC_TEXT, redis.sentinel.master_set, RANGE(1, 63), FORMAT(LABEL),
          DEFAULT("callboard"), EFFECT(DATA), HELP("The name under which Sentinels know the primary."),
          CHANGES("sentinel monitor, redis.url in the brokers' configuration")),
    RESOURCES("redis.sentinel.resources", redis.sentinel.resources, "a Sentinel", DEFAULT("50m"), DEFAULT("64Mi")),
    FIELD("redis.cluster.shards", SPEC_COUNT, redis.cluster.shards, RANGE(3, 128), DEFAULT("3"), EFFECT(DATA),
          HELP("Primaries, each with a share of the slots."),
          CHANGES("spec.replicas of the StatefulSet, the slots' layout")),
    FIELD("redis.cluster.replicasPerShard", SPEC_COUNT, redis.cluster.replicas_per_shard, RANGE(0, 5), DEFAULT("1"),
          EFFECT(DATA),
          HELP("Replicas of each. 0: a lost pod takes its share of the channels with it until it is back."),
          CHANGES("spec.replicas of the StatefulSet")),
    FIELD("redis.cluster.nodeTimeout", SPEC_DURATION, redis.cluster.node_timeout_ms, RANGE(1 * SECOND, 5 * MINUTE),
          DEFAULT("5s"), EFFECT(ROLLS),
          HELP("How long a node may be silent. A failover is done after about 1.6 times as long."),
          CHANGES("cluster-node-timeout in redis.conf")),
    FIELD("redis.cluster.announce", SPEC_CHOICE, redis.cluster.announce, CHOICES(announces), DEFAULT("hostname"),
          EFFECT(ROLLS), HELP("What clients are redirected to. hostname: needed with TLS; Redis 7.0 and later."),
          CHANGES("cluster-preferred-endpoint-type and cluster-announce-hostname in redis.conf")),
};

const struct spec_fields spec_fields_redis = {
    .title = "redis",
    .intro = "Where histories and presence are kept.",
    FIELDS_OF(fields),
};
