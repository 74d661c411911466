/* What Prometheus and Grafana are given: PodMonitors, because each pod tells its own figures; the alarms and dashboards
 * of k8s/monitoring, as they are, so that their names cannot drift from the metrics. Where the cluster has no such API
 * nothing is rendered; dashboards are plain ConfigMaps, which Grafana's sidecar finds by their label. */
#include "operator/render/render_parts.h"

#include "base/check.h"
#include "monitoring_embedded.h"
#include "operator/spec/spec_derive.h"

static const char monitoring_api[] = "monitoring.coreos.com/v1";

/* The endpoint. */
static manifest_t *add_pod_monitor(const struct render *self, const char *component, const char *port) {
    manifest_t *monitor = render_add(self, monitoring_api, "PodMonitor", render_name(self, component), component);
    render_set_pairs(manifest_find(monitor, "metadata.labels"), &self->spec->monitoring.labels);
    manifest_t *spec = manifest_add_map(monitor, "spec");
    render_set_match(self, spec, "selector", component);
    manifest_t *endpoint = manifest_append_map(manifest_add_list(spec, "podMetricsEndpoints"));
    manifest_set_text(endpoint, "port", port);
    manifest_set_text(endpoint, "path", "/metrics");
    manifest_set_text(endpoint, "interval", "10s");
    manifest_t *job = manifest_append_map(manifest_add_list(endpoint, "relabelings")); /* what alarms look for */
    manifest_set_text(job, "targetLabel", "job");
    manifest_set_format(job, "replacement", "callboard-%s", component);
    return endpoint;
}

/* Of our programs, whose internal listeners ask for a token. */
static void add_own_pod_monitor(const struct render *self, const char *component) {
    manifest_t *endpoint = add_pod_monitor(self, component, "internal");
    manifest_t *authorization = manifest_add_map(endpoint, "authorization");
    manifest_set_text(authorization, "type", "Bearer");
    manifest_t *credentials = manifest_add_map(authorization, "credentials");
    manifest_set_text(credentials, "name", self->spec->auth.existing_secret);
    manifest_set_text(credentials, "key", self->spec->auth.keys.internal_token);
}

static void on_error(void *context, const struct config_yaml_error *error) {
    (void) context;
    check(false, "alerts.yml:%u: %s", error->line, error->text);
}

static void add_rules(const struct render *self) {
    const struct config_yaml_errors errors = {.on_error = on_error};
    config_node_t *root = config_yaml_read(span_of(embedded_alerts_yml, sizeof embedded_alerts_yml - 1), &errors);
    manifest_t *rule = render_add(self, monitoring_api, "PrometheusRule",
                                  arena_format(self->arena, "%s-alarms", self->spec->metadata.name), "monitoring");
    render_set_pairs(manifest_find(rule, "metadata.labels"), &self->spec->monitoring.labels);
    manifest_set(rule, "spec", manifest_of_yaml(self->arena, root));
    config_node_destroy(&root);
}

static void add_dashboards(const struct render *self) {
    static const struct {
        const char *name;
        const unsigned char *text;
    } dashboards[] = {
        {"channels", embedded_channels_json},
        {"gateway", embedded_gateway_json},
        {"overview", embedded_overview_json},
        {"redis", embedded_redis_json},
    };
    for (size_t i = 0; i < sizeof dashboards / sizeof dashboards[0]; i++) {
        const char *name = arena_format(self->arena, "%s-dashboard-%s", self->spec->metadata.name, dashboards[i].name);
        manifest_t *map = render_add(self, "v1", "ConfigMap", name, "monitoring");
        manifest_set_text(manifest_find(map, "metadata.labels"), "grafana_dashboard", "1");
        manifest_set_text(manifest_add_map(map, "data"),
                          arena_format(self->arena, "callboard-%s.json", dashboards[i].name),
                          (const char *) dashboards[i].text);
    }
}

void render_monitoring(const struct render *self) {
    const struct spec_monitoring *monitoring = &self->spec->monitoring;
    bool has_operator = render_has_api(self, monitoring_api);
    if (monitoring->pod_monitor && has_operator) {
        add_own_pod_monitor(self, RENDER_GATEWAY);
        add_own_pod_monitor(self, RENDER_BROKER);
        if (monitoring->exporter[0] != '\0' && spec_redis_pods(self->spec) > 0) {
            add_pod_monitor(self, RENDER_REDIS, "metrics");
        }
    }
    if (monitoring->rules && has_operator) {
        add_rules(self);
    }
    if (monitoring->dashboards) {
        add_dashboards(self);
    }
}
