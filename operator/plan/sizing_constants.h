/* What the planner calculates with: every number that is no field of a spec, once, with where it comes from. Measured
 * ones are those of tests/bench/README.md; `chosen` ones are margins, which the figures name. Thread: any (constants).
 */
#ifndef CALLBOARD_OPERATOR_PLAN_SIZING_CONSTANTS_H
#define CALLBOARD_OPERATOR_PLAN_SIZING_CONSTANTS_H

#include <stddef.h>

#define BENCH "measured, tests/bench/README.md: "

/* X(name in the code, name, value, unit, source) */
#define SIZING_CONSTANTS(X)                                                                                            \
    /* memory of gateways */                                                                                           \
    X(PROCESS_MEMORY, "process memory", 17825792, "B",                                                                 \
      BENCH "resident set of a gateway before its first connection; a broker has less")                                \
    X(CONNECTION_MEMORY, "connection memory", 2712, "B", BENCH "50,000 over three gateways, with a subscription each") \
    X(SUBSCRIPTION_MEMORY, "subscription memory", 207, "B",                                                            \
      BENCH "PSS per idle connection with one subscription, less that without")                                        \
    X(SOCKET_MEMORY, "socket memory", 16384, "B",                                                                      \
      "rule of thumb, not measured: 10 to 20 KiB of the kernel for an idle socket, which count to the pod")            \
    /* CPU of gateways */                                                                                              \
    X(HANDSHAKE_CPU, "handshake CPU", 43, "µs", BENCH "handshakes that end with close frames, the dearer ones")        \
    X(IDLE_CPU, "idle CPU", 0.9, "µs/s", BENCH "10,000 connections, pings answered: 0.9 % of a core")                  \
    X(DELIVERY_CPU, "delivery CPU", 7.3, "µs",                                                                         \
      BENCH "1 to 10,000 at 3/s, the dearest: each a write of its own to a cold socket; 0.11 µs at full rate")         \
    X(WAKE_CPU, "wake CPU", 60, "µs",                                                                                  \
      BENCH "1,000 channels of 5 subscribers: a publication that finds all threads asleep, without its deliveries")    \
    X(WAKES_MAX, "wakes at most", 0.6, "cores",                                                                        \
      "chosen: a thread that is awake is not woken; the cost of a publication falls from 91 µs at 5,000/s to 3.6 at " \
      "243,000/s")                                                                                                     \
    X(PUBLICATION_CPU, "publication CPU", 3.6, "µs", BENCH "1 to 1 at full rate, all the way")                         \
    /* brokers */                                                                                                      \
    X(BROKER_CPU, "broker CPU", 15, "µs",                                                                              \
      BENCH "1,000 channels of 5 subscribers: 15 % of a publication's 100 µs; less at high rates")                     \
    X(SHARD_RATE_REDIS, "shard rate with Redis", 61600, "/s",                                                          \
      BENCH "ROUTER, Redis with history, one client, one shard")                                                       \
    X(SHARD_RATE_MEMORY, "shard rate in memory", 218000, "/s", BENCH "ROUTER, memory with history, one client")        \
    X(CHANNEL_MEMORY, "channel memory", 379, "B", BENCH "PSS per idle channel in the broker")                          \
    X(KEPT_MEMORY, "kept memory", 237, "B",                                                                            \
      BENCH "memory engine: 745 B with one publication of 130 bytes stored, less the channel's 378 and the payload")   \
    X(TAIL_MESSAGES, "tail messages", 1024, "publications", "docs/config.md: broker.tail_messages")                    \
    X(TAILS_MEMORY, "tails memory", 268435456, "B", "docs/config.md: broker.tails_bytes, for each shard")              \
    /* Redis */                                                                                                        \
    X(STREAM_MEMORY, "stream memory", 372, "B", BENCH "kept_sizes.py: the keys of a channel beside the blocks")        \
    X(BLOCK_MEMORY, "block memory", 256, "B",                                                                          \
      BENCH "kept_sizes.py: a block of a stream beyond stream-node-max-bytes, fitted to all rows from above")          \
    X(ENTRY_MEMORY, "entry memory", 48, "B", BENCH "kept_sizes.py: a publication in a block beyond its payload")       \
    X(APPEND_CPU, "append CPU", 21, "µs", BENCH "1,000 channels, 1.05 a call: Redis's CPU; 6.9 µs at 16 a call")       \
    X(APPEND_DISK, "append disk", 402, "B", BENCH "kept_sizes.py: one publication a call, beyond its payload")         \
    X(REWRITE_MIN, "rewrite minimum", 268435456, "B", "redis.conf as rendered: auto-aof-rewrite-min-size")             \
    X(REWRITE_TIME, "rewrite time", 60, "s", "chosen: how long rewriting the file may take")                           \
    /* network */                                                                                                      \
    X(PUSH_BYTES, "push bytes", 49, "B", BENCH "compression: a delivery of JSON beyond its payload, frame header too") \
    X(PACKET_BYTES, "packet bytes", 66, "B", "Ethernet 14, IPv4 20, TCP with timestamps 32")                           \
    X(SEGMENT_BYTES, "segment bytes", 1448, "B", "payload of a TCP segment at an MTU of 1,500")                        \
    X(PING_INTERVAL, "ping interval", 25, "s", "docs/config.md: client.ping_interval; one ping, one answer")           \
    X(HANDSHAKE_BYTES, "handshake bytes", 2048, "B", "chosen: upgrade, token and reply with their packets")            \
    X(POD_NETWORK, "network of a pod", 625e6, "B/s", "chosen: 5 Gbit/s, half of a node with 10 Gbit/s")                \
    /* margins */                                                                                                      \
    X(CPU_SHARE, "CPU share", 0.7, "", "chosen: 30 % are free for bursts and for what was not measured here")          \
    X(CONNECTIONS_SHARE, "connections share", 0.65, "", "chosen: 60 to 70 % of a pod's cap; the autoscaler's target")  \
    X(MEMORY_SHARE, "memory share", 0.8, "", "chosen: 20 % are free for queues, fragmentation, growth")                \
    X(FAILOVER_CLUSTER, "failover of Cluster", 1.6, "node timeouts",                                                   \
      "measured on Redis 7.0.15: 3.3 s at 2 s, 8.9 at 5")                                                              \
    X(FAILOVER_SENTINEL, "failover of Sentinel", 1.3, "s", "measured on Redis 7.0.15: beyond down-after")              \
    X(ROLL_SURGE, "roll surge", 0.25, "", "as rendered: maxSurge of the gateways' Deployment")

#define SIZING_CONSTANT(name, label, value, unit, source) CONSTANT_##name,
enum sizing_constant { SIZING_CONSTANTS(SIZING_CONSTANT) SIZING_CONSTANTS_N };
#undef SIZING_CONSTANT

struct sizing_constant_row {
    const char *name;
    double value;
    const char *unit;
    const char *source;
};

const struct sizing_constant_row *sizing_constant_row(enum sizing_constant constant);
static inline double sizing_constant(enum sizing_constant constant) {
    return sizing_constant_row(constant)->value;
}
/* Of one in µs. */
static inline double sizing_constant_seconds(enum sizing_constant constant) {
    return sizing_constant(constant) / 1e6;
}

#endif
