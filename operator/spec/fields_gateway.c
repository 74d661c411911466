/* gateway: the pods that clients are connected to. */
#include "operator/spec/field_rows.h"

static const char *const providers[] = {"adapter", "keda", NULL}; /* enum spec_autoscaling_provider */

static const struct spec_field listener_fields[] = {
    ITEM(spec_listener, "port", SPEC_COUNT, port, RANGE(1024, 65535), .is_required = true, EFFECT(ROLLS),
         HELP("Where clients connect. Above 1023: pods run without privileges."),
         CHANGES("http.port in the gateways' configuration, containerPort, targetPort of the Service")),
    ITEM(spec_listener, "tls.secretName", SPEC_TEXT, tls_secret, FORMAT(NAME), EFFECT(ROLLS),
         HELP("A Secret of type kubernetes.io/tls: then the gateway itself speaks TLS on this port."),
         CHANGES("a volume of the gateway pods, http.tls_certificate_file and http.tls_key_file")),
};
static const struct spec_fields listeners = {
    .title = "gateway.listeners[]",
    .intro = "One public port.",
    FIELDS_OF(listener_fields),
    .item_size = sizeof(struct spec_listener),
};

static const struct spec_field fields[] = {
    FIELD("gateway.replicas", SPEC_COUNT, gateway.replicas, RANGE(1, 1000), PROFILES("1", "2", "3", "3", "3"),
          EFFECT(HOT), DERIVED("none with gateway.autoscaling.max: the autoscaler decides"),
          HELP("Gateway pods. Not together with gateway.autoscaling."),
          CHANGES("spec.replicas of the gateways' Deployment")),
    FIELD("gateway.autoscaling.min", SPEC_COUNT, gateway.autoscaling.min, RANGE(1, 1000), DEFAULT("2"), EFFECT(HOT),
          HELP("Never fewer pods."), CHANGES("spec.minReplicas of the HorizontalPodAutoscaler")),
    FIELD("gateway.autoscaling.max", SPEC_COUNT, gateway.autoscaling.max, RANGE(0, 1000), DEFAULT("0"), EFFECT(HOT),
          HELP("Never more pods. 0: no autoscaling."),
          CHANGES("the HorizontalPodAutoscaler (or ScaledObject); spec.replicas is left out of the Deployment")),
    FIELD("gateway.autoscaling.connectionsPerPod", SPEC_COUNT, gateway.autoscaling.connections_per_pod,
          RANGE(1, 1000000), EFFECT(HOT), DERIVED("65 % of gateway.connectionsMax"),
          HELP("Connections of a pod, on average, above which pods are added."),
          CHANGES("averageValue of the connections' metric")),
    FIELD("gateway.autoscaling.cpuPercent", SPEC_COUNT, gateway.autoscaling.cpu_percent, RANGE(0, 100), DEFAULT("75"),
          EFFECT(HOT), HELP("CPU of a pod, as a share of what it asks for, above which pods are added. 0: not by CPU."),
          CHANGES("averageUtilization of the CPU metric")),
    FIELD("gateway.autoscaling.scaleDownWindow", SPEC_DURATION, gateway.autoscaling.scale_down_window_ms,
          RANGE(0, 1 * HOUR), DEFAULT("30m"), EFFECT(HOT),
          HELP("How long fewer pods must have been enough before one goes: each that goes moves its clients."),
          CHANGES("behavior.scaleDown.stabilizationWindowSeconds")),
    FIELD(
        "gateway.autoscaling.provider", SPEC_CHOICE, gateway.autoscaling.provider, CHOICES(providers),
        DEFAULT("adapter"), EFFECT(RECREATE),
        HELP("Who gives the autoscaler the connections: adapter (prometheus-adapter, custom.metrics.k8s.io) or keda."),
        CHANGES("a HorizontalPodAutoscaler, or a ScaledObject")),
    FIELD("gateway.autoscaling.prometheusUrl", SPEC_TEXT, gateway.autoscaling.prometheus_url, RANGE(1, 255),
          DEFAULT("http://prometheus-operated.monitoring:9090"), EFFECT(HOT),
          HELP("With provider keda: where it asks for the connections."), CHANGES("the trigger of the ScaledObject")),
    FIELD("gateway.connectionsMax", SPEC_COUNT, gateway.connections_max, RANGE(1, 1000000),
          PROFILES("1000", "10000", "20000", "50000", "50000"), EFFECT(ROLLS),
          HELP("Connections that a pod takes; one more is answered 503, and the client goes to another."),
          CHANGES("client.connections_max in the gateways' configuration")),
    FIELD("gateway.maxConnectionAge", SPEC_DURATION, gateway.connection_age_max_ms, RANGE(0, 30 * DAY), DEFAULT("0"),
          EFFECT(HOT),
          HELP("How old a connection may get, at least 1m: then its gateway closes it with 3011, each at an age by "
               "chance from 80 % on, and the client reconnects, by the load balancer's choice to a pod that was added "
               "meanwhile. 0: connections stay where they are."),
          CHANGES("client.connection_age_max in the gateways' configuration")),
    RESOURCES("gateway.resources", gateway.resources, "a gateway", PROFILES("100m", "500m", "1", "2", "2"),
              PROFILES("128Mi", "512Mi", "1Gi", "3Gi", "3Gi")),
    FIELD("gateway.drain.propagation", SPEC_DURATION, gateway.drain.propagation_ms, RANGE(0, 5 * MINUTE), DEFAULT("5s"),
          EFFECT(ROLLS),
          HELP("After SIGTERM: how long load balancers may need to learn of it; connections stay until then."),
          CHANGES("drain.delay in the gateways' configuration, terminationGracePeriodSeconds")),
    FIELD("gateway.drain.closeRate", SPEC_COUNT, gateway.drain.close_rate, RANGE(1, 100000), DEFAULT("500"),
          EFFECT(ROLLS), HELP("Connections that a leaving pod closes in a second: those that remain must take them."),
          CHANGES("terminationGracePeriodSeconds of the gateways")),
    FIELD("gateway.drain.window", SPEC_DURATION, gateway.drain.window_ms, RANGE(0, 1 * HOUR), EFFECT(ROLLS),
          HELP("Over how long a leaving pod closes its connections, in random order."),
          DERIVED("gateway.connectionsMax / gateway.drain.closeRate, at least 20s"),
          CHANGES("drain.window in the gateways' configuration, terminationGracePeriodSeconds")),
    FIELD("gateway.drain.grace", SPEC_DURATION, gateway.drain.grace_ms, RANGE(1 * SECOND, 2 * HOUR), EFFECT(ROLLS),
          HELP("When Kubernetes kills a pod that is still there."), DERIVED("propagation + window + 20s"),
          CHANGES("terminationGracePeriodSeconds of the gateways")),
    FIELD("gateway.listeners", SPEC_ITEM_LIST, gateway.listeners, .items = &listeners, .items_max = 1, EFFECT(ROLLS),
          HELP("Public ports. Not set: 8000 without TLS."), DERIVED("one, port 8000"),
          CHANGES("ports of the gateways' container and Service")),
    FIELD("gateway.allowedOrigins", SPEC_TEXT_LIST, gateway.allowed_origins, .items_max = 64, FORMAT(ORIGIN),
          RANGE(1, 255), EFFECT(HOT),
          HELP("Pages that may connect, as scheme://host[:port]; https://*.example.com allows one label for the star. "
               "Empty: only pages of the same host."),
          CHANGES("http.allowed_origins in the gateways' configuration")),
    FIELD("gateway.config", SPEC_RAW_MAP, gateway.config, .is_config = true, EFFECT(ROLLS),
          HELP("Further keys of the gateways' configuration (docs/config.md), as they stand in its file. Keys that "
               "other fields decide, secrets and file names are refused."),
          CHANGES("the ConfigMap of the gateways; keys that need a restart roll the pods")),
};

const struct spec_fields spec_fields_gateway = {
    .title = "gateway",
    .intro = "The pods that clients are connected to.",
    FIELDS_OF(fields),
};
