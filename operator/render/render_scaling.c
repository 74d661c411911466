/* How many gateways: by their connections and their CPU. Fast up, slow down: a pod that goes moves its clients, and new
 * pods get only new connections (operator.md 2.7). */
#include "operator/render/render_parts.h"

enum { UP_PERIOD_S = 15, DOWN_PERIOD_S = 600 };

static void set_policy(manifest_t *behavior, const char *direction, int64_t window_s, const char *type, int64_t value,
                       int64_t period_s, const char *select) {
    manifest_t *map = manifest_add_map(behavior, direction);
    manifest_set_int(map, "stabilizationWindowSeconds", window_s);
    manifest_set_text(map, "selectPolicy", select);
    manifest_t *policy = manifest_append_map(manifest_add_list(map, "policies"));
    manifest_set_text(policy, "type", type);
    manifest_set_int(policy, "value", value);
    manifest_set_int(policy, "periodSeconds", period_s);
}

static void set_behavior(const struct render *self, manifest_t *map) {
    manifest_t *behavior = manifest_add_map(map, "behavior");
    set_policy(behavior, "scaleDown", self->spec->gateway.autoscaling.scale_down_window_ms / 1000, "Pods", 1,
               DOWN_PERIOD_S, "Min");
    set_policy(behavior, "scaleUp", 0, "Percent", 100, UP_PERIOD_S, "Max");
}

static void add_by_adapter(const struct render *self) {
    const char *name = render_name(self, RENDER_GATEWAY);
    manifest_t *object = render_add(self, "autoscaling/v2", "HorizontalPodAutoscaler", name, RENDER_GATEWAY);
    manifest_t *spec = manifest_add_map(object, "spec");
    manifest_t *target = manifest_add_map(spec, "scaleTargetRef");
    manifest_set_text(target, "apiVersion", "apps/v1");
    manifest_set_text(target, "kind", "Deployment");
    manifest_set_text(target, "name", name);
    manifest_set_int(spec, "minReplicas", self->spec->gateway.autoscaling.min);
    manifest_set_int(spec, "maxReplicas", self->spec->gateway.autoscaling.max);
    manifest_t *metrics = manifest_add_list(spec, "metrics");
    manifest_t *connections = manifest_append_map(metrics);
    manifest_set_text(connections, "type", "Pods");
    manifest_t *pods = manifest_add_map(connections, "pods");
    manifest_set_text(manifest_add_map(pods, "metric"), "name", "callboard_client_connections");
    manifest_t *value = manifest_add_map(pods, "target");
    manifest_set_text(value, "type", "AverageValue");
    manifest_set_format(value, "averageValue", "%lld", (long long) self->spec->gateway.autoscaling.connections_per_pod);
    if (self->spec->gateway.autoscaling.cpu_percent > 0) {
        manifest_t *cpu = manifest_append_map(metrics);
        manifest_set_text(cpu, "type", "Resource");
        manifest_t *resource = manifest_add_map(cpu, "resource");
        manifest_set_text(resource, "name", "cpu");
        manifest_t *share = manifest_add_map(resource, "target");
        manifest_set_text(share, "type", "Utilization");
        manifest_set_int(share, "averageUtilization", self->spec->gateway.autoscaling.cpu_percent);
    }
    set_behavior(self, spec);
}

/* The metric comes from Prometheus by KEDA. */
static void add_by_keda(const struct render *self) {
    const char *name = render_name(self, RENDER_GATEWAY);
    manifest_t *object = render_add(self, "keda.sh/v1alpha1", "ScaledObject", name, RENDER_GATEWAY);
    manifest_t *spec = manifest_add_map(object, "spec");
    manifest_set_text(manifest_add_map(spec, "scaleTargetRef"), "name", name);
    manifest_set_int(spec, "minReplicaCount", self->spec->gateway.autoscaling.min);
    manifest_set_int(spec, "maxReplicaCount", self->spec->gateway.autoscaling.max);
    manifest_t *advanced = manifest_add_map(manifest_add_map(spec, "advanced"), "horizontalPodAutoscalerConfig");
    set_behavior(self, advanced);
    manifest_t *triggers = manifest_add_list(spec, "triggers");
    manifest_t *connections = manifest_append_map(triggers);
    manifest_set_text(connections, "type", "prometheus");
    manifest_t *metadata = manifest_add_map(connections, "metadata");
    manifest_set_text(metadata, "serverAddress", self->spec->gateway.autoscaling.prometheus_url);
    manifest_set_format(metadata, "query", "sum(callboard_client_connections{pod=~\"%s-.*\"})", name);
    manifest_set_format(metadata, "threshold", "%lld", (long long) self->spec->gateway.autoscaling.connections_per_pod);
    if (self->spec->gateway.autoscaling.cpu_percent > 0) {
        manifest_t *cpu = manifest_append_map(triggers);
        manifest_set_text(cpu, "type", "cpu");
        manifest_set_text(cpu, "metricType", "Utilization");
        manifest_set_format(manifest_add_map(cpu, "metadata"), "value", "%lld",
                            (long long) self->spec->gateway.autoscaling.cpu_percent);
    }
}

void render_scaling(const struct render *self) {
    if (self->spec->gateway.autoscaling.max == 0) {
        return;
    }
    if (self->spec->gateway.autoscaling.provider == SPEC_SCALED_BY_ADAPTER) {
        add_by_adapter(self);
    } else if (render_has_api(self, "keda.sh/v1alpha1")) {
        add_by_keda(self);
    }
}
