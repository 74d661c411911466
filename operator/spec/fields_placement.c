/* scheduling, disruption, kubernetes: where pods run, and how many may be missing. */
#include "operator/spec/field_rows.h"

static const char *const spreads[] = {"none", "preferred", "required", NULL}; /* enum spec_spread */

static const struct spec_field fields[] = {
    FIELD("scheduling.spread.node", SPEC_CHOICE, scheduling.spread_node, CHOICES(spreads),
          PROFILES("none", "preferred", "preferred", "required", "preferred"), DEFAULT("preferred"), EFFECT(ROLLS),
          HELP("Pods of one kind on different nodes. required: a pod without a free node waits."),
          CHANGES("topologySpreadConstraints and podAntiAffinity of all pods")),
    FIELD("scheduling.spread.zone", SPEC_CHOICE, scheduling.spread_zone, CHOICES(spreads),
          PROFILES("none", "none", "preferred", "preferred", "preferred"), DEFAULT("preferred"), EFFECT(ROLLS),
          HELP("Pods of one kind in different zones."), CHANGES("topologySpreadConstraints of all pods")),
    FIELD("scheduling.nodes", SPEC_COUNT, scheduling.nodes, RANGE(0, 10000), DEFAULT("0"), EFFECT(NOTHING),
          HELP("Nodes that there are for these pods. 0: unknown; else check says when a required spread cannot work."),
          CHANGES("nothing; only check and plan read it")),
    FIELD("scheduling.zones", SPEC_COUNT, scheduling.zones, RANGE(0, 100), DEFAULT("0"), EFFECT(NOTHING),
          HELP("Zones that these nodes stand in. 0: unknown."), CHANGES("nothing; only check and plan read it")),
    FIELD("scheduling.nodeSelector", SPEC_PAIRS, scheduling.node_selector, .items_max = 32, FORMAT(WORD), RANGE(0, 63),
          EFFECT(ROLLS), HELP("Only nodes with these labels."), CHANGES("nodeSelector of all pods")),
    FIELD("scheduling.tolerations", SPEC_RAW_LIST, scheduling.tolerations, .items_max = 32, EFFECT(ROLLS),
          HELP("Taints that the pods accept, as Kubernetes writes them."), CHANGES("tolerations of all pods")),
    FIELD("scheduling.priorityClass", SPEC_TEXT, scheduling.priority_class, FORMAT(NAME), EFFECT(ROLLS),
          HELP("Who is evicted last."), CHANGES("priorityClassName of all pods")),
    FIELD("scheduling.runtimeClass", SPEC_TEXT, scheduling.runtime_class, FORMAT(NAME), EFFECT(ROLLS),
          HELP("Another container runtime."), CHANGES("runtimeClassName of all pods")),
    FIELD("disruption.budgets", SPEC_BOOL, disruption.budgets, PROFILES("false", "true", "true", "true", "true"),
          DEFAULT("true"), EFFECT(HOT), HELP("Drains of nodes wait for each other."),
          CHANGES("the PodDisruptionBudgets")),
    FIELD("disruption.gatewayPercent", SPEC_COUNT, disruption.gateway_percent, RANGE(0, 100), DEFAULT("25"),
          EFFECT(HOT), HELP("Gateways that may be missing, as a share."),
          CHANGES("maxUnavailable of the gateways' PodDisruptionBudget")),
    FIELD("disruption.brokerPods", SPEC_COUNT, disruption.broker_pods, RANGE(0, 16), DEFAULT("1"), EFFECT(HOT),
          HELP("Brokers that may be missing."), CHANGES("maxUnavailable of the brokers' PodDisruptionBudget")),
    FIELD("disruption.redisPods", SPEC_COUNT, disruption.redis_pods, RANGE(0, 16), DEFAULT("1"), EFFECT(HOT),
          HELP("Redis pods, and Sentinels, that may be missing."),
          CHANGES("maxUnavailable of the PodDisruptionBudgets of Redis and Sentinel")),
    FIELD("kubernetes.version", SPEC_TEXT, kubernetes.version, RANGE(1, 16), FORMAT(VERSION), DEFAULT("1.30"),
          EFFECT(NOTHING), HELP("The cluster's version, at least 1.25: fields that it lacks are not rendered."),
          CHANGES("which fields are rendered")),
    FIELD("kubernetes.clusterDomain", SPEC_TEXT, kubernetes.cluster_domain, RANGE(1, 253), FORMAT(NAME),
          DEFAULT("cluster.local"), EFFECT(ROLLS), HELP("What the names of Services end with."),
          CHANGES("host names in all configurations")),
    FIELD("kubernetes.apis", SPEC_TEXT_LIST, kubernetes.apis, .items_max = 512, RANGE(1, 128), FORMAT(API),
          EFFECT(NOTHING),
          HELP("What the cluster has beside its own, as group/version: monitoring.coreos.com/v1, cert-manager.io/v1, "
               "gateway.networking.k8s.io/v1, keda.sh/v1alpha1. Empty: all of them are taken to be there. kubectl "
               "api-versions lists them."),
          CHANGES("which objects are rendered")),
};

const struct spec_fields spec_fields_placement = {
    .title = "scheduling, disruption, kubernetes",
    .intro = "Where pods run, how many may be missing, and on what.",
    FIELDS_OF(fields),
};
