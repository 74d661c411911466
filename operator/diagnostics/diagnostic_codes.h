/* Every warning and error that this program has, once: its name in the code, its number (stable for ever; a code that
 * is no longer told stays in the list), its title, and what `callboard-operator explain CB2103` says beside it: why it
 * is one, and how it is mended. CB1xxx are warnings: accepted, but risky. CB20xx are about what is written, CB21xx
 * about what does not go together, CB22xx about what is rendered, CB30xx about what a change does to what runs, CB31xx
 * about `redis scale`, CB32xx about what a rehearsal does to it. Thread: any (constants). */
#ifndef CALLBOARD_OPERATOR_DIAGNOSTICS_DIAGNOSTIC_CODES_H
#define CALLBOARD_OPERATOR_DIAGNOSTICS_DIAGNOSTIC_CODES_H

#include "base/bytes.h"

/* X(name, number, title, why, mend) */
#define DIAGNOSTIC_CODES(X)                                                                                            \
    /* what is written: the file */                                                                                    \
    X(YAML_SYNTAX, 2001, "this is not YAML", "The file could not be read to its end.",                                 \
      "look at the indentation, quotes and brackets there and above")                                                  \
    X(YAML_TAB, 2002, "a tab in the indentation", "YAML indents by spaces only.", "replace tabs by spaces")            \
    X(YAML_TOO_LARGE, 2003, "the file is too large", "A file may have 256 KiB.",                                       \
      "split it: each deployment in a file")                                                                           \
    X(YAML_TOO_DEEP, 2004, "nested too deeply", "Maps and lists may be nested 32 deep.",                               \
      "look for brackets that are not closed")                                                                         \
    X(YAML_TOO_MANY, 2005, "too many values", "A file may have 20,000 keys, values and brackets.",                     \
      "split it: each deployment in a file")                                                                           \
    X(YAML_NO_UTF8, 2006, "not UTF-8", "The file has bytes that are no UTF-8.", "save it as UTF-8")                    \
    X(YAML_DIRECTIVE, 2007, "a directive", "Lines that begin with % change how the file is read.", "leave them out")   \
    X(YAML_ANCHOR, 2008, "an anchor",                                                                                  \
      "Anchors and aliases make small files huge, and say in one place what counts in another.",                       \
      "write the value where it is needed")                                                                            \
    X(YAML_ALIAS, 2009, "an alias",                                                                                    \
      "Anchors and aliases make small files huge, and say in one place what counts in another.",                       \
      "write the value where it is needed")                                                                            \
    X(YAML_TAG, 2010, "a tag", "Tags change what a value is; the field says that already.", "leave it out")            \
    X(YAML_MERGE_KEY, 2011, "a merge key", "Merge keys (<<) are not part of YAML 1.2, and readers disagree on them.",  \
      "write the keys where they are needed")                                                                          \
    X(YAML_DOUBLE_KEY, 2012, "a key stands twice", "Readers take the first, the last, or fail.", "leave one out")      \
    X(YAML_BAD_KEY, 2013, "no good key", "A key is plain text.", "write a name before the colon")                      \
    X(YAML_NO_MAP, 2014, "no map", "A spec is a map: lines like `key: value`.", "callboard-operator init prints one")  \
    X(FILE_UNREADABLE, 2015, "the file cannot be read", "The system refused.", "look at the name and the permissions") \
    X(FILE_EMPTY, 2016, "nothing to read", "There is no document in it.", "callboard-operator init prints one")        \
    /* what is written: fields and values */                                                                           \
    X(NOT_OURS, 2020, "not a Callboard", "Only apiVersion: callboard.dev/v1alpha1 and kind: Callboard are read.",      \
      "give only files that are specs")                                                                                \
    X(UNKNOWN_FIELD, 2021, "no such field", "What is not known is not passed over: it was meant to do something.",     \
      "callboard-operator explain lists the fields")                                                                   \
    X(MISSING_FIELD, 2022, "a field is missing", "Nothing can stand for it.", "set it")                                \
    X(WRONG_SHAPE, 2023, "a map, a list or a single value in the wrong place", "The field is of another shape.",       \
      "callboard-operator explain FIELD shows it")                                                                     \
    X(NO_VALUE, 2024, "no value", "A key without a value is null, and means nothing here.",                            \
      "give it a value, or leave the key out for its default")                                                         \
    X(NOT_A_TEXT, 2025, "a text that YAML readers take for something else",                                            \
      "Without quotes this is a number, a truth value, a date or nothing to some readers: 1.30 becomes 1.3, no "       \
      "becomes false.",                                                                                                \
      "put it in quotes")                                                                                              \
    X(NOT_A_BOOL, 2026, "no truth value", "yes, no, on, off are truth values in YAML 1.1 and texts in 1.2.",           \
      "write true or false")                                                                                           \
    X(NOT_A_NUMBER, 2027, "no whole number", "0755 is octal to some readers, 1_000 and 12:30 are numbers to some.",    \
      "write decimal digits only, without quotes")                                                                     \
    X(NOT_AN_AMOUNT, 2028, "no amount", "Memory, CPU and durations have units.",                                       \
      "write memory like 512Mi or 4Gi, CPU like 500m or 2, durations like 500ms, 10s, 5m, 24h or 30d")                 \
    X(OUT_OF_BOUNDS, 2029, "out of bounds", "The field has a least and a greatest value.",                             \
      "callboard-operator explain FIELD shows them")                                                                   \
    X(NOT_A_CHOICE, 2030, "not one of its words", "The field knows some words only.",                                  \
      "callboard-operator explain FIELD lists them")                                                                   \
    X(BAD_FORMAT, 2031, "a text of the wrong form", "Kubernetes, or the program that gets it, would refuse it.",       \
      "callboard-operator explain FIELD shows the form")                                                               \
    X(BAD_SETTING, 2032, "no good --set", "Settings are PATH=VALUE.", "write --set gateway.replicas=3")                \
    X(TOO_MANY_ITEMS, 2033, "too many items", "The list has a greatest length.",                                       \
      "callboard-operator explain FIELD shows it")                                                                     \
    X(MANAGED_KEY, 2034, "a key that is not yours to set",                                                             \
      "Another field of the spec decides it, or it is a secret or the name of a file in the pod.",                     \
      "use that field; give secrets in the Secret that auth.existingSecret names")                                     \
    X(BAD_CONFIG, 2035, "the program would refuse its configuration",                                                  \
      "broker.config, gateway.config and broker.namespaces are checked as the programs check them.",                   \
      "docs/config.md lists the keys")                                                                                 \
    X(DOUBLE_NAME, 2036, "two deployments of one name", "Their objects would be the same objects.",                    \
      "rename one, or give it another namespace")                                                                      \
    X(BAD_PATCH, 2037, "no JSON Patch", "Overrides are patched by RFC 6902.",                                          \
      "write items of op, path and, but for remove, value or from")                                                    \
    /* what does not go together */                                                                                    \
    X(SENTINELS_EVEN, 2102, "an even number of Sentinels",                                                             \
      "A tie elects nobody: the last one only adds a way to fail.", "use 3, 5 or 7")                                   \
    X(QUORUM_NO_MAJORITY, 2103, "a quorum that is no majority",                                                        \
      "With fewer than a majority two sides of a split network each start a failover.",                                \
      "leave redis.sentinel.quorum out: it is then n / 2 + 1")                                                         \
    X(GRACE_TOO_SHORT, 2104, "the grace period ends before the drain",                                                 \
      "Kubernetes kills the pod while it still closes connections; the rest reconnect all at once.",                   \
      "leave gateway.drain.grace out, or make it longer than propagation, window and 20 s together")                   \
    X(IDLE_BELOW_PING, 2105, "the edge cuts idle connections between two pings",                                       \
      "A connection that is silent between pings would be closed as idle.",                                            \
      "make edge.idleTimeout at least twice client.ping_interval")                                                     \
    X(SPREAD_IMPOSSIBLE, 2106, "more pods than nodes that may take them",                                              \
      "With a required spread a pod waits for a node that does not exist.", "use preferred, or more nodes")            \
    X(EVICTS_HISTORIES, 2107, "Redis would throw histories away",                                                      \
      "Any policy but noeviction drops whole streams when memory is full, and with them positions that clients hold.", \
      "leave maxmemory-policy out of redis.config")                                                                    \
    X(MAXMEMORY_TOO_LARGE, 2108, "maxmemory leaves no room",                                                           \
      "Rewriting the file copies pages that change meanwhile, and buffers stand outside maxmemory; the kernel would "  \
      "end Redis.",                                                                                                    \
      "use at most 60 % of the limit, 75 % without a volume, or leave redis.maxmemory out")                            \
    X(VOLUME_TOO_SMALL, 2109, "the volume is too small",                                                               \
      "The append-only file is rewritten beside the old one: both, and what is written meanwhile, must fit.",          \
      "use at least three times maxmemory, or leave redis.persistence.size out")                                       \
    X(TOO_FEW_PARTITIONS, 2110, "fewer partitions than threads",                                                       \
      "A thread without a partition has nothing to do, and the number is fixed for the data.",                         \
      "use at least replicas times shardActors; four times as many leave room")                                        \
    X(PARTITIONS_NO_POWER, 2111, "partitions are no power of two", "A channel's partition is a part of its hash.",     \
      "use 64, 128, 256, 512, 1024, 2048 or 4096")                                                                     \
    X(REPLICAS_AND_AUTOSCALING, 2112, "two who decide the number of pods",                                             \
      "Each apply would set the replicas back that the autoscaler chose.",                                             \
      "leave gateway.replicas or gateway.autoscaling out")                                                             \
    X(AUTOSCALING_BOUNDS, 2113, "min above max", "The autoscaler would be refused.",                                   \
      "make gateway.autoscaling.min at most max")                                                                      \
    X(BUDGET_BLOCKS_DRAINS, 2114, "a budget that allows nothing", "A node with such a pod could never be drained.",    \
      "allow one pod at least")                                                                                        \
    X(MIN_REPLICAS_TOO_MANY, 2116, "more replicas asked for than there are", "The primary would refuse every write.",  \
      "make redis.minReplicasToWrite less than the replicas")                                                          \
    X(DURABILITY_PRECONDITION, 2117, "ElastiCache refuses this durability",                                            \
      "The transaction log needs cluster mode, several zones, a replica in each shard, TLS, Valkey 9.0 and certain "   \
      "nodes.",                                                                                                        \
      "meet them, or use durability: disabled")                                                                        \
    X(VERSION_TOO_OLD, 2118, "the version does not have it",                                                           \
      "The option came with a later version; Redis would not start.", "use a later version, or leave the option out")  \
    X(EMBEDDED_ONE_BROKER, 2119, "the memory engine has one broker",                                                   \
      "What a broker keeps in memory no other one has.", "use one broker, or another redis.mode")                      \
    X(EDGE_INCOMPLETE, 2120, "the edge lacks something",                                                               \
      "An Ingress needs hosts, a route a Gateway to be attached to.", "set it")                                        \
    X(EXTERNAL_INCOMPLETE, 2121, "where Redis is, is not said",                                                        \
      "With mode external one of url and endpoint is needed.", "set one of them")                                      \
    X(BOTH_SET, 2122, "two fields that exclude each other", "Only one of them can count.", "leave one out")            \
    X(IAM_IMPOSSIBLE, 2123, "IAM does not work here",                                                                  \
      "Tokens of IAM exist at ElastiCache and Memorystore, and only over TLS.", "use a password, or meet both")        \
    X(LIMIT_BELOW_REQUEST, 2124, "a limit below what is asked for", "Kubernetes refuses it.",                          \
      "raise the limit, or ask for less")                                                                              \
    X(UNFIT_PROVIDER, 2125, "the provider lacks what is needed",                                                       \
      "Brokers use streams, functions or scripts and, in cluster mode, sharded topics.",                               \
      "use another provider, or its other mode")                                                                       \
    X(DRAIN_RATE_TOO_LOW, 2126, "the window is too short for its rate", "Connections would be left when it ends.",     \
      "raise closeRate or window: connectionsMax must be at most their product")                                       \
    X(LATEST_TAG, 2127, "the tag latest",                                                                              \
      "It names another program after each restart, and nobody knows which one runs.", "name a version or a digest")   \
    X(PORTS_CLASH, 2128, "one port for two things", "A container listens on a port once.", "choose another")           \
    X(BACKUP_IMPOSSIBLE, 2129, "nothing that can be backed up", "Only Redis that the operator runs, with a target.",   \
      "set backup.target, or leave backup out")                                                                        \
    X(URL_PASSWORD, 2130, "a password in an address", "The spec is no secret: many can read it.",                      \
      "put it into a Secret and name that in redis.external.auth.secretRef")                                           \
    X(KUBERNETES_TOO_OLD, 2131, "Kubernetes is too old",                                                               \
      "policy/v1, autoscaling/v2 and the Pod Security labels need 1.25.", "upgrade the cluster")                       \
    /* what is rendered */                                                                                             \
    X(OVERRIDE_TARGET, 2201, "an override of what is not rendered", "Its target is no object of this deployment.",     \
      "callboard-operator render SPEC, with overrides left out, shows what there is")                                  \
    X(OVERRIDE_FAILED, 2202, "an override that does not apply",                                                        \
      "An operation names a place that is not there, or tests for another value.",                                     \
      "callboard-operator render SPEC --only KIND/NAME, with overrides left out, shows the object")                    \
    /* what a change does to what runs (diff, apply) */                                                                \
    X(RISK_PARTITIONS, 3001, "another number of partitions", "What is stored was laid out by the old number.",         \
      "leave broker.partitions as it is, or make a new deployment beside and move the clients")                        \
    X(RISK_MODE, 3002, "another Redis", "Histories do not move from one Redis to another by themselves.",              \
      "redis backup before, redis restore after; or let the histories run out")                                        \
    X(RISK_PERSISTENCE, 3003, "a volume is taken away", "What is stored is lost with the next restart of its pod.",    \
      "leave redis.persistence.size set")                                                                              \
    X(RISK_SHARDS, 3004, "fewer shards", "Slots and what is stored in them are on the pods that go.",                  \
      "move the slots first: callboard-operator redis scale --shards N, with all pods in --peers")                     \
    X(RISK_MAXMEMORY, 3005, "less memory for data", "Redis that holds more refuses writes until it is trimmed.",       \
      "look at used_memory first: callboard-operator redis status")                                                    \
    X(RISK_VOLUME_SHRINKS, 3006, "smaller volumes", "Kubernetes cannot shrink a claim.",                               \
      "leave redis.persistence.size, or copy the data into new claims")                                                \
    X(RISK_DURABILITY, 3007, "data are kept less safely", "What was acknowledged may be lost.",                        \
      "take the override or the line of redis.config back")                                                            \
    X(RISK_RECREATE, 3008, "a field that cannot be changed",                                                           \
      "The API server refuses the change: only deleting and making anew helps.",                                       \
      "kubectl delete --cascade=orphan keeps the pods; then apply, which takes them over")                             \
    /* what redis scale does not do unless it is accepted */                                                           \
    X(SCALE_MEMORY, 3101, "the data would not fit",                                                                    \
      "Redis that is full (maxmemory, noeviction) refuses writes, and keys on their way stop half-way.",               \
      "give Redis more memory (redis.maxmemory) or keep more shards")                                                  \
    X(SCALE_DEGRADED, 3102, "a shard is not whole",                                                                    \
      "Data that move from or to a shard without a replica in sync are gone if a pod dies meanwhile.",                 \
      "callboard-operator redis status says what is missing; wait for it, or redis heal")                              \
    X(SCALE_BUSY, 3103, "somebody else moves slots",                                                                   \
      "Two who move slots at once undo each other's work, and a slot of both belongs to neither.",                     \
      "let the other one end (redis-cli reshard, another redis scale), then call it again")                            \
    X(SCALE_TWICE, 3104, "a key is on both sides of a move",                                                           \
      "A failover in the middle of a move let clients make a key anew that had left already. Accepted, the newer one " \
      "counts and the history that had left is lost.",                                                                 \
      "look at both (redis-cli with ASKING at the target), then delete one or accept")                                 \
    X(SCALE_FEW, 3105, "fewer than three shards", "A majority of primaries elects the heir of one that dies.",         \
      "keep three shards, or use redis.mode sentinel")                                                                 \
    X(SCALE_FUNCTIONS, 3106, "a library of functions is missing",                                                      \
      "Libraries are not moved with slots: FCALL on a new primary would fail.",                                        \
      "FUNCTION DUMP on an old primary, FUNCTION RESTORE on the new one")                                              \
    /* what a rehearsal does to what runs */                                                                           \
    X(REHEARSE_UNWELL, 3201, "a rehearsal on what is not well",                                                        \
      "A replica that is not in sync, a server or a Sentinel that is away: what is rehearsed on top of that may "      \
      "lose more than it shows.",                                                                                      \
      "look at callboard-operator redis status, and wait until all is well")                                           \
    /* accepted, but risky */                                                                                          \
    X(NO_EFFECT, 1001, "a field that changes nothing here", "It belongs to a mode or kind that is not chosen.",        \
      "leave it out, or choose that")                                                                                  \
    X(SINGLE_POINT, 1002, "one pod that all depend on", "While it restarts nothing is stored, and subscribers wait.",  \
      "use redis.mode sentinel or cluster")                                                                            \
    X(NO_REPLICAS, 1004, "shards without a replica",                                                                   \
      "A lost pod takes its share of the channels with it until it is back.", "set redis.cluster.replicasPerShard: 1") \
    X(NO_VOLUME, 1005, "histories that outlive no pod",                                                                \
      "Without a volume a restart of all Redis pods loses everything.", "set redis.persistence.size")                  \
    X(FSYNC_NEVER, 1006, "appendfsync no",                                                                             \
      "The kernel decides when writes reach the disk; up to half a minute may be lost.", "use everysec or always")     \
    X(BUDGET_STOPS_WRITES, 1007, "the budget lets more pods go than the writes need",                                  \
      "Draining nodes may stop all writes.", "lower disruption.redisPods or redis.minReplicasToWrite")                 \
    X(RETIRED_CONTROLLER, 1008, "ingress-nginx is retired",                                                            \
      "It gets no fixes since March 2026, and each reload cuts all its WebSockets after four minutes.",                \
      "use another class or the Gateway API")                                                                          \
    X(LIFETIME_TIMEOUT, 1009, "the timeout is a lifetime", "GKE closes a WebSocket when it is 24h old, idle or not.",  \
      "leave it out; clients reconnect and recover")                                                                   \
    X(NO_DURABILITY, 1010, "a failover may lose acknowledged writes",                                                  \
      "The provider replicates after it has acknowledged.", "use durability: sync where it exists")                    \
    X(FEW_PARTITIONS, 1011, "few partitions for so many threads",                                                      \
      "The number is fixed for the data: there is little room to grow.", "use four times as many")                     \
    X(EGRESS_CLOSED, 1012, "the network policy may close the way to Redis",                                            \
      "Nothing in networkPolicy.to leads to the external Redis, and host names cannot be followed.",                   \
      "add its network: networkPolicy.to: [{cidr: …, port: 6379}]")                                                    \
    X(LONG_GRACE, 1013, "the grace period is long", "A node that is drained waits for it.",                            \
      "close faster: gateway.drain.closeRate")                                                                         \
    X(PER_COMMAND_PRICE, 1014, "each command costs money",                                                             \
      "The provider bills commands, and brokers send some without being asked to.",                                    \
      "look at its price list, or use another one")                                                                    \
    X(UNDER_TWO_GATEWAYS, 1015, "one gateway", "While it restarts nobody can connect.", "use two")                     \
    X(TWO_DATA_PODS, 1016, "no writes while one of two restarts",                                                      \
      "With minReplicasToWrite a primary alone refuses writes.", "use three pods with data")                           \
    X(PLAIN_REDIS, 1017, "no TLS to a Redis outside", "Passwords and publications cross the network readably.",        \
      "set redis.external.tls.enabled: true, or rediss://")                                                            \
    X(PROVIDER_NAME, 1042, "a name that the provider refuses",                                                         \
      "A replication group of ElastiCache has at most 40 letters, digits and hyphens, begins with a letter, and has "  \
      "no double or final hyphen.",                                                                                    \
      "set redis.external.name to such a one")                                                                         \
    /* accepted, but spec.workload is more than it carries; plan shows the figures */                                  \
    X(WORKLOAD_CONNECTIONS, 1030, "too few gateways for the connections",                                              \
      "Each takes connectionsMax; without a third of them free there is no room for those of a pod or zone that "      \
      "goes.",                                                                                                         \
      "raise gateway.replicas or gateway.connectionsMax; callboard-operator plan shows the figures")                   \
    X(WORKLOAD_AUTOSCALING, 1031, "the autoscaler may not go as far as the workload needs",                            \
      "At max no pod is added, however many clients come.", "raise gateway.autoscaling.max")                           \
    X(WORKLOAD_GATEWAY_MEMORY, 1032, "a full gateway does not fit into its memory",                                    \
      "The kernel's memory of its sockets counts, too; a full pod would be killed, and its clients fill the others.",  \
      "raise gateway.resources.limits.memory, or lower gateway.connectionsMax")                                        \
    X(WORKLOAD_GATEWAY_CPU, 1033, "the gateways have too little CPU for the deliveries",                               \
      "Each delivery is a write to a socket, and each publication wakes every gateway with a subscriber.",             \
      "raise gateway.resources.requests.cpu, or gateway.replicas")                                                     \
    X(WORKLOAD_CONNECT_RATE, 1034, "the gateways have too little CPU for the handshakes",                              \
      "A handshake with its token costs 43 µs of CPU; while they queue, clients time out and come again.",             \
      "raise gateway.resources.requests.cpu, or gateway.replicas")                                                     \
    X(WORKLOAD_EGRESS, 1035, "more egress than a pod's network carries",                                               \
      "A gateway that cannot send closes the slow, who come back and ask for what they missed.",                       \
      "use more gateways on more nodes, smaller messages, or compression")                                             \
    X(WORKLOAD_BROKER_RATE, 1036, "too few brokers for the publications",                                              \
      "What comes faster than it is taken waits, and is refused at the bounds of the queues.",                         \
      "raise broker.replicas or broker.shardActors; callboard-operator plan shows the figures")                        \
    X(WORKLOAD_BROKER_CPU, 1037, "the brokers have too little CPU", "Threads that wait for a core answer late.",       \
      "raise broker.resources.requests.cpu, or broker.replicas")                                                       \
    X(WORKLOAD_BROKER_MEMORY, 1038, "the channels do not fit into a broker",                                           \
      "When one broker goes the others take its channels; one that is out of memory is killed, too.",                  \
      "raise broker.resources.limits.memory or broker.replicas, or keep shorter tails (broker.tails_bytes)")           \
    X(WORKLOAD_REDIS_MEMORY, 1039, "the histories do not fit into Redis",                                              \
      "At maxmemory every publication with history is refused.",                                                       \
      "raise redis.resources.limits.memory, use more shards, or keep less")                                            \
    X(WORKLOAD_REDIS_VOLUME, 1040, "the append-only file outgrows the volume",                                         \
      "Where the disk is full Redis refuses writes; the old file and the new one must fit, and what is written "       \
      "meanwhile.",                                                                                                    \
      "raise redis.persistence.size")                                                                                  \
    X(WORKLOAD_REDIS_RATE, 1041, "more publications than Redis takes",                                                 \
      "A primary executes on one core, and providers have bounds of their own.",                                       \
      "use redis.mode cluster, more shards, or another provider")

#define DIAGNOSTIC_NAME(name, number, title, why, mend) DIAGNOSTIC_##name,
enum diagnostic_code { DIAGNOSTIC_CODES(DIAGNOSTIC_NAME) DIAGNOSTIC_CODES_N };

struct diagnostic_meaning {
    unsigned number; /* CB2103: 2103 */
    const char *title;
    const char *why;
    const char *mend;
};

const struct diagnostic_meaning *diagnostic_meaning_of(enum diagnostic_code code);
static inline bool diagnostic_is_warning(const struct diagnostic_meaning *meaning) {
    return meaning->number < 2000;
}
/* "CB2103", also in small letters; false: no such code. */
bool diagnostic_code_parse(struct span text, enum diagnostic_code *ret_code);

#endif
