/* From a workload (spec.workload) to what carries it: pods, CPU, memory, disk, bandwidth, times. Each figure is a row
 * with its formula, the margin in it and the constants it uses (sizing_constants.h); sizing_of() fills what the
 * workload needs, what the spec has, and the formula with its numbers. Pure; all texts live in the arena. Thread: any.
 */
#ifndef CALLBOARD_OPERATOR_PLAN_SIZING_H
#define CALLBOARD_OPERATOR_PLAN_SIZING_H

#include "operator/arena.h"
#include "operator/spec/spec.h"

enum sizing_unit { SIZING_COUNT, SIZING_CORES, SIZING_BYTES, SIZING_BYTES_A_SECOND, SIZING_SECONDS };

/* X(name in the code, group, key of JSON, name, unit, formula, margin, constants) */
#define SIZING_FIGURES(X)                                                                                                 \
    X(GATEWAYS_FOR_CONNECTIONS, "gateways", "podsForConnections", "pods, by connections", SIZING_COUNT,                   \
      "connections / (connections share × connectionsMax); and all of them without one zone, or one pod",                 \
      "35 % of each pod's connections stay free", "connections share")                                                    \
    X(GATEWAYS_FOR_CPU, "gateways", "podsForCpu", "pods, by CPU", SIZING_COUNT,                                           \
      "the fewest whose CPU a pod (below) is within gateway.resources.requests.cpu", "30 % of the CPU stay free",         \
      "CPU share")                                                                                                        \
    X(GATEWAYS_FOR_NETWORK, "gateways", "podsForNetwork", "pods, by egress", SIZING_COUNT,                                \
      "bytes to clients a second / network of a pod", "half of a node's network", "network of a pod")                     \
    X(GATEWAYS, "gateways", "pods", "pods", SIZING_COUNT, "the most of the three", "theirs", "")                          \
    X(GATEWAY_CPU, "gateways", "cpu", "CPU of a pod", SIZING_CORES,                                                       \
      "((handshakes × handshake CPU + connections × idle CPU + publishRate × fanout × delivery CPU) / pods + min(r "  \
      "× "                                                                                                               \
      "wake CPU, wakes at most) + r × publication CPU) / CPU share; r: publications that reach a pod; handshakes: "      \
      "connectRate, and with "                                                                                            \
      "maxConnectionAge connections / (0.9 × it)",                                                                        \
      "30 % stay free", "handshake CPU, idle CPU, delivery CPU, wake CPU, wakes at most, publication CPU, CPU share")     \
    X(GATEWAY_MEMORY, "gateways", "memory", "memory of a pod", SIZING_BYTES,                                              \
      "(process memory + connectionsMax × (connection memory + socket memory + further subscriptions × subscription "   \
      "memory)) / memory share",                                                                                          \
      "full with connectionsMax, and 20 % stay free",                                                                     \
      "process memory, connection memory, socket memory, subscription memory, memory share")                              \
    X(GATEWAY_DESCRIPTORS, "gateways", "descriptors", "descriptors of a pod", SIZING_COUNT,                               \
      "connectionsMax + 64; programs raise their soft limit to the hard one, which containerd 2 leaves at 524,288",       \
      "64 for listeners, brokers and files", "")                                                                          \
    X(BROKERS, "brokers", "pods", "pods, by publications", SIZING_COUNT,                                                  \
      "publishRate / (shardActors × shard rate × CPU share), and one that may be away where there are several",           \
      "30 % of the rate, and one pod", "shard rate with Redis, shard rate in memory, CPU share")                          \
    X(BROKER_CPU, "brokers", "cpu", "CPU of a pod", SIZING_CORES,                                                         \
      "publishRate × broker CPU / pods that are there / CPU share", "30 % stay free, one pod may be away",                \
      "broker CPU, CPU share")                                                                                            \
    X(BROKER_MEMORY, "brokers", "memory", "memory of a pod", SIZING_BYTES,                                                \
      "(process memory + channels × channel memory / pods that are there + what is kept) / memory share; kept: the "     \
      "tails, at most tails memory a shard, or with redis.mode embedded all histories",                                   \
      "one pod may be away, and 20 % stay free",                                                                          \
      "process memory, channel memory, kept memory, tail messages, tails memory, memory share")                           \
    X(REDIS_DATA, "redis", "data", "data, all primaries", SIZING_BYTES,                                                   \
      "channels × (stream memory + blocks × (block size + block memory)); in a block: streamNodeMaxBytes / "            \
      "(messageBytes + entry memory) publications",                                                                       \
      "none: the last block of each channel counts whole", "stream memory, block memory, entry memory")                   \
    X(REDIS_MAXMEMORY, "redis", "maxmemory", "maxmemory of a primary", SIZING_BYTES,                                      \
      "data / primaries / memory share", "20 % stay free", "memory share")                                                \
    X(REDIS_MEMORY, "redis", "memory", "memory limit of a pod", SIZING_BYTES,                                             \
      "maxmemory / 0.6 with a volume, / 0.75 without: rewriting the file copies pages", "40 % (25 %) of the limit",       \
      "")                                                                                                                 \
    X(REDIS_VOLUME, "redis", "volume", "volume of a pod", SIZING_BYTES,                                                   \
      "the most of 3 × maxmemory and: data + growth until it is rewritten (as much again, at least rewrite minimum) "    \
      "+ "                                                                                                                \
      "data + rewrite time × bytes written a second",                                                                     \
      "the old file, the new one, and what is written meanwhile", "rewrite minimum, rewrite time, append disk")           \
    X(REDIS_FOR_RATE, "redis", "primariesForRate", "primaries, by publications", SIZING_COUNT,                            \
      "publishRate × append CPU / CPU share: Redis executes on one core",                                                 \
      "30 % of a core, and no gathering in batches", "append CPU, CPU share")                                             \
    X(REDIS_FOR_MEMORY, "redis", "primariesForMemory", "primaries, by data", SIZING_COUNT,                                \
      "data / memory share / redis.maxmemory", "20 % stay free", "memory share")                                          \
    X(REDIS_DISK, "redis", "written", "written to a primary's file", SIZING_BYTES_A_SECOND,                               \
      "publishRate × (messageBytes + append disk) / primaries", "one publication a call; batches write less",             \
      "append disk")                                                                                                      \
    X(EGRESS, "network", "toClients", "to clients", SIZING_BYTES_A_SECOND,                                                \
      "publishRate × fanout × (messageBytes + push bytes + segments × packet bytes) + connections / ping interval × " \
      "packet bytes + handshakes (as above) × handshake bytes",                                                           \
      "no compression, each push a packet of its own",                                                                    \
      "push bytes, packet bytes, segment bytes, ping interval, handshake bytes")                                          \
    X(EGRESS_A_POD, "network", "toClientsOfAPod", "to clients, a pod", SIZING_BYTES_A_SECOND, "to clients / pods", "",    \
      "network of a pod")                                                                                                 \
    X(EGRESS_A_MONTH, "network", "toClientsAMonth", "to clients in 30 days", SIZING_BYTES,                                \
      "to clients × 2,592,000 s, at this rate all the time: what egress is billed by", "", "")                            \
    X(INGRESS, "network", "fromClients", "from clients and services", SIZING_BYTES_A_SECOND,                              \
      "publishRate × (messageBytes + push bytes + segments × packet bytes) + connections / ping interval × packet "    \
      "bytes + handshakes (as above) × handshake bytes",                                                                  \
      "",                                                                                                                 \
      "push bytes, packet bytes, segment bytes, ping interval, "                                                          \
      "handshake bytes")                                                                                                  \
    X(INSIDE, "network", "brokersToGateways", "brokers to gateways", SIZING_BYTES_A_SECOND,                               \
      "publishRate × gateways that a publication reaches × (messageBytes + push bytes + packet bytes)",                   \
      "no gathering in batches", "push bytes, packet bytes")                                                              \
    X(REDIS_INGRESS, "network", "brokersToRedis", "brokers to Redis, and to each replica", SIZING_BYTES_A_SECOND,         \
      "publishRate × (messageBytes + append disk)", "one publication a call", "append disk")                              \
    X(DRAIN_WINDOW, "times", "drainWindow", "drain.window of a gateway", SIZING_SECONDS,                                  \
      "connectionsMax / drain.closeRate, at least 20 s", "a full pod", "")                                                \
    X(GRACE, "times", "grace", "grace of a gateway", SIZING_SECONDS, "drain.propagation + window + 20 s",                 \
      "20 s for what ends after the last connection", "")                                                                 \
    X(ROLL, "times", "roll", "rolling all gateways", SIZING_SECONDS,                                                      \
      "rounds × (propagation + window); in a round roll surge of the pods, rounded up", "", "roll surge")                 \
    X(RETURN, "times", "return", "all connections come back", SIZING_SECONDS,                                             \
      "connections × handshake CPU / (pods × cores × CPU share)", "30 % of the CPU stay free",                            \
      "handshake CPU, CPU share")                                                                                         \
    X(FAILOVER, "times", "failover", "failover of Redis", SIZING_SECONDS,                                                 \
      "Cluster: 1.6 × nodeTimeout; Sentinel: downAfter + 1.3 s", "", "failover of Cluster, failover of Sentinel")

#define SIZING_FIGURE(name, group, key, label, unit, formula, margin, constants) SIZING_##name,
enum sizing_figure { SIZING_FIGURES(SIZING_FIGURE) SIZING_FIGURES_N };
#undef SIZING_FIGURE

/* No more gateways are looked at; a need above it: more pods alone do not help. */
enum { SIZING_GATEWAYS_MOST = 1000 };

struct sizing_figure_row {
    const char *group;
    const char *key;
    const char *name;
    enum sizing_unit unit;
    const char *formula;
    const char *margin;    /* "": none */
    const char *constants; /* names in sizing_constants.h, with commas; "": none */
};

struct sizing_value {
    bool is_known; /* false: the workload does not say enough, or the spec has no such part */
    double need;
    double has; /* of the spec; below 0: it says nothing of it */
    const char *worked;
};

struct sizing {
    double gateways; /* pods that the figures are for: what connections and egress need, or what the spec has if more */
    struct sizing_value values[SIZING_FIGURES_N];
};

/* Nothing is known where spec.workload is empty. */
const struct sizing *sizing_of(arena_t *arena, const struct spec *spec);
const struct sizing_figure_row *sizing_figure_row(enum sizing_figure figure);
/* Connections made in a second: new ones, and those that gateway.maxConnectionAge brings again. */
double sizing_handshakes(const struct spec *spec);
/* Known, and the spec has less. */
bool sizing_is_short(const struct sizing *self, enum sizing_figure figure);

/* Numbers for a person: 1,234,567; 1.5 GiB; 12.3 MB/s; 2.5 cores; 45 s. */
const char *sizing_number(arena_t *arena, double value);
const char *sizing_amount(arena_t *arena, enum sizing_unit unit, double value);

#endif
