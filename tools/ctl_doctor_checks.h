/* What callboardctl doctor looks at beside Redis's own settings (broker/redis/survey/redis_settings.h has those): the
 * list of ids, which stay the same between releases, with what is checked and what it means when it is not fine.
 * docs/operations.md is printed from it (tests/architecture/check_docs.py). */
#ifndef CALLBOARD_TOOLS_CTL_DOCTOR_CHECKS_H
#define CALLBOARD_TOOLS_CTL_DOCTOR_CHECKS_H

/* X(name, id, what is checked, what it means when it is not fine) */
#define DOCTOR_CHECKS(X)                                                                                               \
    X(CONFIG_FILE, "config.file", "the settings are valid, as `--check` of the program says",                          \
      "The program does not start with them, and a reload (SIGHUP) is refused.")                                       \
    X(CONFIG_NAMESPACES, "config.namespaces", "all settings and all running programs have the same namespaces",        \
      "Gateways and brokers judge channels differently; half a roll-out looks like this for a while.")                 \
    X(CONFIG_INTERNAL, "config.internal", "the internal listener is on the loopback, or asks for a token",             \
      "Whoever reaches the port reads metrics and figures.")                                                           \
    X(CONFIG_SECRETS, "config.secrets", "files with secrets cannot be read by others on the machine",                  \
      "Any user of the machine can sign tokens, or speak to Redis.")                                                   \
    X(KEYS_TOKEN, "keys.token", "tokens can be signed, with a secret that is hard to guess",                           \
      "Without a secret no client gets in but anonymous ones; a short or monotonous one can be guessed.")              \
    X(KEYS_PAIR, "keys.pair", "CURVE key files can be read, only by their owner, and their halves fit",                \
      "The program does not start, or its peers refuse it.")                                                           \
    X(KEYS_ALLOWED, "keys.allowed", "the folder of allowed public keys has some", "Nobody can connect.")               \
    X(KEYS_MATCH, "keys.match", "gateways know the brokers' key, and brokers allow the gateways'",                     \
      "The link is refused without a word: gateways see no broker.")                                                   \
    X(HOST_DESCRIPTORS, "host.descriptors", "`RLIMIT_NOFILE` allows `client.connections_max`",                         \
      "Connections are refused long before the bound that is set.")                                                    \
    X(HOST_SOMAXCONN, "host.somaxconn", "`net.core.somaxconn` is at least 1024 where clients connect",                 \
      "In a storm of reconnects the kernel drops connections before the gateway sees them.")                           \
    X(HOST_MEMORY, "host.memory", "the memory of the machine or control group holds the bounds that are set",          \
      "The kernel ends the process before its own bounds do.")                                                         \
    X(REDIS_REACH, "redis.reach", "Redis answers, and takes user and password",                                        \
      "Publishing with history, and reading it, is refused until it does.")                                            \
    X(REDIS_SENTINELS, "redis.sentinels", "each Sentinel answers, knows the primary, and enough agree for a failover", \
      "When the primary dies nobody takes over.")                                                                      \
    X(REDIS_DOWN_AFTER, "redis.down_after", "`down-after-milliseconds` of the Sentinels is 10 s at most",              \
      "So long publishes to a dead primary are refused before anybody takes over.")                                    \
    X(REDIS_USED, "redis.used", "`redis.url` is set where there is more than one broker",                              \
      "Without Redis channels live in one broker's memory and end with it.")                                           \
    X(BROKER_REACH, "broker.reach", "the broker's internal listener answers",                                          \
      "It is down, or this machine cannot reach it.")                                                                  \
    X(BROKER_HEALTH, "broker.health", "the broker is well: no thread stands still, it is not draining, Redis answers", \
      "`stalled`: restart it. `draining`: it is ending. `degraded`: look at Redis.")                                   \
    X(BROKER_ENGINE, "broker.engine", "the broker keeps channels where its settings say",                              \
      "It runs on its memory although a Redis is set, or with other settings than this file's.")                       \
    X(BROKER_LINKS, "broker.gateways", "gateways are linked to the broker", "Nobody is served by it.")                 \
    X(GATEWAY_REACH, "gateway.reach", "the gateway's internal listener answers",                                       \
      "It is down, or this machine cannot reach it.")                                                                  \
    X(GATEWAY_HEALTH, "gateway.health", "the gateway is well and ready, and its brokers and Redis answer",             \
      "`stalled`: restart it. `starting`: it has met no broker yet. `degraded`: look at brokers and Redis.")           \
    X(GATEWAY_CONNECTIONS, "gateway.connections", "the gateway has room for a fifth more connections",                 \
      "At `client.connections_max`, or what its descriptors allow, newcomers are refused with 503.")                   \
    X(BACKEND, "backend.answers", "the backend API answers `info`, with the CURVE keys where they are set",            \
      "Services cannot publish.")                                                                                      \
    X(PORT_BROKER, "port.broker", "the brokers' port for gateways can be reached", "Gateways cannot link.")            \
    X(PORT_HANDSHAKE, "port.handshake", "the brokers' port takes the gateway's keys",                                  \
      "Links are refused without a word: gateways see no broker although its port can be reached.")                    \
    X(PORT_PUBLIC, "port.public", "the gateway's public port answers", "Clients cannot connect.")                      \
    X(CLUSTER_VERSIONS, "cluster.versions", "all programs have one version, that of this tool",                        \
      "Fine during an upgrade, else a forgotten one.")                                                                 \
    X(CLUSTER_CLOCKS, "cluster.clocks", "the clocks of all programs and ours differ by 2 s at most",                   \
      "Tokens are refused as expired, or as not valid yet.")                                                           \
    X(CLUSTER_PARTITIONS, "cluster.partitions", "all brokers have the same `broker.partitions`",                       \
      "Gateways refuse the broker that differs.")

enum doctor_check {
#define X(name, id, checks, means) DOCTOR_##name,
    DOCTOR_CHECKS(X)
#undef X
        DOCTOR_CHECKS_COUNT
};
const char *doctor_check_id(enum doctor_check check);

#endif
