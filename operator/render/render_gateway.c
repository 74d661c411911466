/* The gateways: a Deployment whose pods are alike, its configuration, and the Service that clients come in by.
 *
 * Ending: the program says that it is not ready, waits for the load balancers, then closes its connections over the
 * window; terminationGracePeriodSeconds is the sum of that (operator.md 2.6), so no preStop is needed. */
#include "operator/render/render_parts.h"

enum { ROLL_PAUSE_S = 10 };

static void add_volumes(const struct render *self, manifest_t *pod, manifest_t *container) {
    const struct spec *spec = self->spec;
    const struct spec_listener *listener = spec->gateway.listeners.items;
    const char *auth[] = {spec->auth.keys.token_secret, "token-secret", spec->auth.keys.internal_token,
                          "internal-token", NULL};
    static const char *const curve[] = {"gateway.key", "gateway.key", "broker.key.pub", "broker.key.pub", NULL};
    static const char *const tls[] = {"tls.crt", "tls.crt", "tls.key", "tls.key", NULL};
    render_mount(container, "config", "/etc/callboard/config", true);
    render_add_config_volume(pod, "config", render_name(self, RENDER_GATEWAY));
    render_mount(container, "auth", "/etc/callboard/auth", true);
    render_add_secret_volume(pod, "auth", spec->auth.existing_secret, auth);
    render_mount(container, "curve", "/etc/callboard/curve", true);
    render_add_secret_volume(pod, "curve", spec->broker.curve_secret, curve);
    if (listener->tls_secret[0] != '\0') {
        render_mount(container, "tls", "/etc/callboard/tls", true);
        render_add_secret_volume(pod, "tls", listener->tls_secret, tls);
    }
}

static void add_container(const struct render *self, manifest_t *pod) {
    const struct spec_gateway *gateway = &self->spec->gateway;
    const struct spec_listener *listener = gateway->listeners.items;
    manifest_t *container = render_container(self, pod, "containers", RENDER_GATEWAY, NULL);
    manifest_t *command = manifest_add_list(container, "command");
    manifest_append_text(command, "/usr/bin/callboard-gateway");
    manifest_append_text(command, "--config");
    manifest_append_text(command, "/etc/callboard/config/gateway.yaml");
    manifest_append_text(command, "--watch"); /* what needs no restart is taken up when the ConfigMap changes */
    render_add_env_of_field(container, "CALLBOARD_GATEWAY_ID", "metadata.name");
    render_add_port(container, "websocket", listener->port);
    render_add_port(container, "internal", RENDER_GATEWAY_INTERNAL_PORT);
    render_set_resources(self, container, &gateway->resources);
    render_set_probe(container, "startupProbe", "/health", "internal", 1, 60);
    render_set_probe(container, "livenessProbe", "/health", "internal", 10, 3);
    render_set_probe(container, "readinessProbe", "/ready", "internal", 2, 2);
    add_volumes(self, pod, container);
}

static void add_deployment(const struct render *self, const char *checksum) {
    const struct spec_gateway *gateway = &self->spec->gateway;
    manifest_t *deployment =
        render_add(self, "apps/v1", "Deployment", render_name(self, RENDER_GATEWAY), RENDER_GATEWAY);
    manifest_t *spec = manifest_add_map(deployment, "spec");
    if (gateway->replicas > 0) {
        manifest_set_int(spec, "replicas", gateway->replicas); /* else the autoscaler's: it would be set back */
    }
    manifest_set_int(spec, "minReadySeconds", ROLL_PAUSE_S);
    manifest_set_int(spec, "revisionHistoryLimit", 10);
    render_set_match(self, spec, "selector", RENDER_GATEWAY);
    manifest_t *strategy = manifest_add_map(spec, "strategy");
    manifest_set_text(strategy, "type", "RollingUpdate");
    manifest_t *rolling = manifest_add_map(strategy, "rollingUpdate");
    manifest_set_text(rolling, "maxSurge", "25%");
    manifest_set_int(rolling, "maxUnavailable", 0);
    add_container(self, render_pod(self, spec, RENDER_GATEWAY, checksum, gateway->drain.grace_ms));
}

void render_gateway(const struct render *self) {
    struct render_config config = render_gateway_config(self);
    manifest_t *map = render_add(self, "v1", "ConfigMap", render_name(self, RENDER_GATEWAY), RENDER_GATEWAY);
    manifest_set_text(manifest_add_map(map, "data"), "gateway.yaml", config.text);
    render_add_service_account(self, RENDER_GATEWAY);
    add_deployment(self, config.checksum);
    if (self->spec->disruption.budgets && self->spec->disruption.gateway_percent > 0) {
        render_add_budget(self, RENDER_GATEWAY,
                          arena_format(self->arena, "%lld%%", (long long) self->spec->disruption.gateway_percent));
    }
}
