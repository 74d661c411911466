/* broker: the pods that own the channels. */
#include "operator/spec/field_rows.h"

static const struct spec_field fields[] = {
    FIELD("broker.replicas", SPEC_COUNT, broker.replicas, RANGE(1, 256), PROFILES("1", "1", "3", "3", "3"), EFFECT(HOT),
          HELP("Broker pods. One with redis.mode embedded."), CHANGES("spec.replicas of the brokers' StatefulSet")),
    FIELD(
        "broker.partitions", SPEC_COUNT, broker.partitions, RANGE(64, 4096), PROFILES(NULL, NULL, NULL, "1024", "1024"),
        DEFAULT("256"), EFFECT(DATA),
        HELP(
            "Slices of the channels, a power of two. Fixed for the data in Redis: another number is another data set."),
        CHANGES("broker.partitions in the brokers' configuration")),
    FIELD("broker.shardActors", SPEC_COUNT, broker.shard_actors, RANGE(1, 16), PROFILES("1", "1", "2", "4", "4"),
          EFFECT(ROLLS), HELP("Threads of a broker that own channels; one for each core it may use."),
          CHANGES("broker.shards in the brokers' configuration")),
    RESOURCES("broker.resources", broker.resources, "a broker", PROFILES("100m", "500m", "2", "4", "4"),
              PROFILES("128Mi", "512Mi", "2Gi", "4Gi", "4Gi")),
    FIELD("broker.ports.gateways", SPEC_COUNT, broker.ports.gateways, RANGE(1024, 65535), DEFAULT("7700"),
          EFFECT(ROLLS), HELP("Where gateways connect."),
          CHANGES("broker.endpoint, brokers.endpoints, containerPort, Service, NetworkPolicy")),
    FIELD("broker.ports.backend", SPEC_COUNT, broker.ports.backend, RANGE(1024, 65535), DEFAULT("7710"), EFFECT(ROLLS),
          HELP("Where services send requests."), CHANGES("backend.endpoint, containerPort, Service, NetworkPolicy")),
    FIELD("broker.ports.backendPull", SPEC_COUNT, broker.ports.backend_pull, RANGE(1024, 65535), DEFAULT("7711"),
          EFFECT(ROLLS), HELP("Where services push publications without an answer."),
          CHANGES("backend.pull_endpoint, containerPort, Service, NetworkPolicy")),
    FIELD("broker.ports.internal", SPEC_COUNT, broker.ports.internal, RANGE(1024, 65535), DEFAULT("9001"),
          EFFECT(ROLLS), HELP("Metrics, health, stats."), CHANGES("internal.port, probes, PodMonitor")),
    FIELD(
        "broker.curve.secretName", SPEC_TEXT, broker.curve_secret, FORMAT(NAME), EFFECT(ROLLS), DERIVED("<name>-curve"),
        HELP("The Secret with the CURVE keys of brokers, gateways and services; callboard-operator secret makes one."),
        CHANGES("volumes of gateway and broker pods")),
    FIELD("broker.namespaces", SPEC_RAW_LIST, broker.namespaces, .is_config = true, .items_max = 256, EFFECT(HOT),
          HELP("What channels keep and allow: the namespaces of docs/config.md, the same in gateways and brokers."),
          CHANGES("namespaces in both ConfigMaps; reloaded without a restart")),
    FIELD(
        "broker.config", SPEC_RAW_MAP, broker.config, .is_config = true, EFFECT(ROLLS),
        HELP("Further keys of the brokers' configuration (docs/config.md), as they stand in its file. Keys that other "
             "fields decide, secrets and file names are refused."),
        CHANGES("the ConfigMap of the brokers; keys that need a restart roll the pods")),
};

const struct spec_fields spec_fields_broker = {
    .title = "broker",
    .intro = "The pods that own the channels.",
    FIELDS_OF(fields),
};
