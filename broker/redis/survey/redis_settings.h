/* Judges a Redis server: what was read from it (redis_facts.h) against what we need of it, as findings. Pure. The
 * broker tells what is a warning or worse in its log, health and metrics; callboardctl doctor prints all.
 *
 * A check yields exactly one finding each time: fine, or what is wrong and how to mend it, or unknown where it could
 * not be read. REDIS_CHECKS is the list: docs/operations.md is printed from it, so ids and texts stay true. Thread:
 * any. */
#ifndef CALLBOARD_BROKER_REDIS_SETTINGS_H
#define CALLBOARD_BROKER_REDIS_SETTINGS_H

#include "base/findings.h"
#include "broker/redis/survey/redis_facts.h"

/* X(name, id, what is checked, what it means when it is not fine) */
#define REDIS_CHECKS(X)                                                                                                \
    X(VERSION, "redis.version", "Redis 6.2 or later; sharded pub/sub (7.0) in a Cluster",                              \
      "Below 6.2 nothing works. Without sharded pub/sub every node of a Cluster hears every publication.")             \
    X(MODE, "redis.mode", "the server is of the kind that `redis.url` says",                                           \
      "A Sentinel or Cluster node behind `redis://`, or the reverse: the broker speaks to the wrong server.")          \
    X(ROLE, "redis.role", "a primary that has loaded its data; replicas hear their primary",                           \
      "Writes go to primaries only. While it loads, publishes are refused for the moment.")                            \
    X(IDENTITY, "redis.identity", "`master_replid` can be seen",                                                       \
      "Behind a proxy that hides it a failover is noticed late; `durability: safe` cannot be kept there.")             \
    X(PARTITIONS, "redis.partitions", "the data under `redis.prefix` has `broker.partitions` partitions",              \
      "The broker leaves this server alone until both agree.")                                                         \
    X(RIGHTS, "redis.rights", "the user may read `INFO` and `CONFIG GET`",                                             \
      "What it may not read is unknown below: judge these settings by hand.")                                          \
    X(EVICTION, "redis.eviction", "`maxmemory-policy` is `noeviction`",                                                \
      "Redis throws away history to make room: subscribers are told of a new epoch, and what they missed is gone.")    \
    X(MEMORY_LIMIT, "redis.memory_limit", "`maxmemory` is set",                                                        \
      "Without it the kernel ends Redis when memory is out, instead of Redis refusing writes.")                        \
    X(RETENTION, "redis.retention", "one channel's history, as large as it may get, fits into half the memory",        \
      "A single channel of large publications can fill Redis; then every publish is refused.")                         \
    X(MEMORY, "redis.memory", "at most 80 % of the memory is used",                                                    \
      "At the bound every publish is refused (OOM); reading and live delivery go on.")                                 \
    X(PUBSUB_BUFFER, "redis.pubsub_buffer", "`client-output-buffer-limit pubsub` holds what a broker may lag behind",  \
      "Redis cuts the broker's pub/sub link under load; it heals by reading, which costs more.")                       \
    X(PERSISTENCE, "redis.persistence", "the append-only file is on",                                                  \
      "A restart of Redis forgets history: subscribers are told, what they missed is gone.")                           \
    X(APPENDFSYNC, "redis.appendfsync", "`appendfsync` is `everysec` or `always`",                                     \
      "A power cut forgets what the kernel had not written, up to half a minute.")                                     \
    X(DISK, "redis.disk", "the last write of the append-only file and the last snapshot went well",                    \
      "Every publish is refused (MISCONF) until the disk has room or is mended.")                                      \
    X(MIN_REPLICAS, "redis.min_replicas", "`min-replicas-to-write` is at least 1 with Sentinel or Cluster",            \
      "A primary that is cut off goes on taking publishes which the failover then loses.")                             \
    X(REPLICAS, "redis.replicas", "as many replicas are near as safe channels wait for",                               \
      "Safe publishes end as unknown; without any replica nobody can take over.")                                      \
    X(CONFIRM, "redis.confirm", "with Sentinel and several replicas all confirm (`redis.confirm_replicas: 0`)",        \
      "A failover ordered while the primary lives may lose acked safe publications; everyone is told.")                \
    X(BACKLOG, "redis.backlog", "`repl-backlog-size` holds a minute of writes",                                        \
      "A replica that was away for a moment is copied whole; until then nothing is confirmed by it.")                  \
    X(CLUSTER, "redis.cluster", "every slot of the Cluster is served",                                                 \
      "Channels of the slots that are missing cannot be published to or read.")                                        \
    X(NODE_TIMEOUT, "redis.node_timeout", "`cluster-node-timeout` is 10 s at most",                                    \
      "So long publishes to a dead primary's channels are refused before anybody takes over.")                         \
    X(CLIENTS, "redis.clients", "`maxclients` leaves room for the brokers' links",                                     \
      "A broker that reconnects is turned away.")                                                                      \
    X(IDLE_TIMEOUT, "redis.idle_timeout", "`timeout` is 0, or long",                                                   \
      "Redis cuts links that are quiet; each cut is a reconnect.")                                                     \
    X(SLOW, "redis.slow", "no command of the last 10 minutes took 100 ms, nor did our question",                       \
      "Everything waits while one command runs; from `redis.command_timeout` on links are cut.")                       \
    X(CLOCK, "redis.clock", "its clock and ours differ by 2 s at most",                                                \
      "A jumping clock stops Sentinel's failovers (TILT) and expires keys early.")                                     \
    X(TLS, "redis.tls", "the link is encrypted where it leaves the machine",                                           \
      "Whoever listens in between reads publications and the password.")                                               \
    X(NOTIFY, "redis.notify", "`notify-keyspace-events` is empty",                                                     \
      "Redis publishes an event for each write which nobody of ours reads.")

enum redis_check {
#define X(name, id, checks, means) REDIS_CHECK_##name,
    REDIS_CHECKS(X)
#undef X
        REDIS_CHECKS_COUNT
};
const char *redis_check_id(enum redis_check check);

#define REDIS_CONFIRM_ALL UINT32_MAX

/* What we need of the server. */
struct redis_setup {
    const char *where;  /* host:port, as findings name it; borrowed */
    bool is_replicated; /* reached over Sentinel or Cluster: there are failovers */
    bool is_cluster;
    bool is_replica;           /* asked as a replica of such a set-up */
    bool keeps_history;        /* any namespace has history */
    bool has_safe;             /* any such has durability safe */
    bool confirms_by_disk;     /* appendfsync always is their confirmation */
    bool is_declared;          /* the provider's promise is */
    uint32_t confirm_replicas; /* else so many replicas, or REDIS_CONFIRM_ALL */
    uint32_t n_partitions;     /* broker.partitions; 0: not known */
    uint32_t n_links;          /* that one broker keeps to it; 0: not known */
    uint64_t message_bytes;    /* the largest message on a topic */
    uint64_t history_bytes;    /* of one channel, when all its publications are as large as they may be */
    uint32_t patience_ms;      /* redis.command_timeout */
    bool is_encrypted;
    bool is_local; /* the loopback, or a unix socket */
};

/* Appends a finding for each check. */
void redis_settings_judge(const struct redis_facts *facts, const struct redis_setup *setup, struct findings *findings);

#endif
