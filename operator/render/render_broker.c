/* The brokers: a StatefulSet, because gateways rank them by their names, which outlive restarts; a headless Service by
 * which gateways find every pod; a normal one for backend services. One pod rolls at a time: what it owned moves to the
 * others and back, and subscribers notice nothing. */
#include "operator/render/render_parts.h"

/* The next broker goes when the gateways know the new address of the one before: a cluster's DNS keeps the old one for
 * 30 s, and they look every two. With the only other one gone meanwhile they would know none. */
enum { GRACE_MS = 60000, ROLL_PAUSE_S = 35, ROLL_PAUSE_ALONE_S = 5 };

static void add_redis_volume(const struct render *self, manifest_t *pod, manifest_t *container) {
    const struct spec *spec = self->spec;
    static const char *const items[] = {"ca.crt", "ca.crt", NULL};
    const char *secret = spec->redis.mode == SPEC_REDIS_EXTERNAL   ? spec->redis.external.tls_ca_secret
                         : spec->redis.mode == SPEC_REDIS_EMBEDDED ? ""
                         : spec->tls.is_on                         ? spec->tls.secret
                                                                   : "";
    if (secret[0] != '\0') {
        render_mount(container, "redis-tls", "/etc/callboard/redis-tls", true);
        render_add_secret_volume(pod, "redis-tls", secret, items);
    }
}

/* Passwords of an external Redis stand in a Secret of their own. */
static void add_auth_volume(const struct render *self, manifest_t *pod, manifest_t *container) {
    const struct spec *spec = self->spec;
    const char *items[8] = {spec->auth.keys.internal_token, "internal-token"};
    size_t n = 2;
    bool is_external = spec->redis.mode == SPEC_REDIS_EXTERNAL;
    if (spec->redis.mode != SPEC_REDIS_EMBEDDED && !is_external) {
        items[n++] = spec->auth.keys.redis_password;
        items[n++] = "redis-password";
    }
    if (spec->redis.mode == SPEC_REDIS_SENTINEL) {
        items[n++] = spec->auth.keys.sentinel_password;
        items[n++] = "sentinel-password";
    }
    render_mount(container, "auth", "/etc/callboard/auth", true);
    render_add_secret_volume(pod, "auth", spec->auth.existing_secret, items);
    if (is_external && spec->redis.external.auth_secret[0] != '\0') {
        const char *password[] = {spec->auth.keys.redis_password, "redis-password", NULL};
        render_mount(container, "redis-auth", "/etc/callboard/redis-auth", true);
        render_add_secret_volume(pod, "redis-auth", spec->redis.external.auth_secret, password);
    }
}

/* Services' public keys and rights come and go without a restart: the Secret is mounted whole, and need not be there.
 */
static void add_services_volume(const struct render *self, manifest_t *pod, manifest_t *container) {
    render_mount(container, "services", "/etc/callboard/services", true);
    manifest_t *volume = manifest_append_map(manifest_add_list(pod, "volumes"));
    manifest_set_text(volume, "name", "services");
    manifest_t *secret = manifest_add_map(volume, "secret");
    manifest_set_format(secret, "secretName", "%s-services", self->spec->broker.curve_secret);
    manifest_set_int(secret, "defaultMode", 0440);
    manifest_set_bool(secret, "optional", true);
}

static void add_volumes(const struct render *self, manifest_t *pod, manifest_t *container) {
    static const char *const curve[] = {"broker.key", "broker.key", "gateway.key.pub", "gateways/gateway.pub", NULL};
    render_mount(container, "config", "/etc/callboard/config", true);
    render_add_config_volume(pod, "config", render_name(self, RENDER_BROKER));
    render_mount(container, "curve", "/etc/callboard/curve", true);
    render_add_secret_volume(pod, "curve", self->spec->broker.curve_secret, curve);
    add_services_volume(self, pod, container);
    add_auth_volume(self, pod, container);
    add_redis_volume(self, pod, container);
}

static void add_container(const struct render *self, manifest_t *pod) {
    const struct spec_broker *broker = &self->spec->broker;
    manifest_t *container = render_container(self, pod, "containers", RENDER_BROKER, NULL);
    manifest_t *command = manifest_add_list(container, "command");
    manifest_append_text(command, "/usr/bin/callboard-broker");
    manifest_append_text(command, "--config");
    manifest_append_text(command, "/etc/callboard/config/broker.yaml");
    manifest_append_text(command, "--watch"); /* what needs no restart is taken up when the ConfigMap changes */
    render_add_env_of_field(container, "CALLBOARD_BROKER_ID", "metadata.name");
    render_add_port(container, "gateways", broker->ports.gateways);
    render_add_port(container, "backend", broker->ports.backend);
    render_add_port(container, "backend-pull", broker->ports.backend_pull);
    render_add_port(container, "internal", broker->ports.internal);
    render_set_resources(self, container, &broker->resources);
    render_set_probe(container, "startupProbe", "/health", "internal", 1, 60);
    render_set_probe(container, "livenessProbe", "/health", "internal", 10, 3);
    render_set_probe(container, "readinessProbe", "/ready", "internal", 2, 2);
    add_volumes(self, pod, container);
}

static void add_stateful_set(const struct render *self, const char *checksum) {
    manifest_t *set = render_add(self, "apps/v1", "StatefulSet", render_name(self, RENDER_BROKER), RENDER_BROKER);
    manifest_t *spec = manifest_add_map(set, "spec");
    manifest_set_int(spec, "replicas", self->spec->broker.replicas);
    manifest_set_text(spec, "serviceName", render_pods_name(self, RENDER_BROKER));
    manifest_set_text(spec, "podManagementPolicy", "Parallel");
    manifest_set_int(spec, "minReadySeconds", self->spec->broker.replicas > 1 ? ROLL_PAUSE_S : ROLL_PAUSE_ALONE_S);
    manifest_set_int(spec, "revisionHistoryLimit", 10);
    render_set_match(self, spec, "selector", RENDER_BROKER);
    manifest_set_text(manifest_add_map(spec, "updateStrategy"), "type", "RollingUpdate");
    add_container(self, render_pod(self, spec, RENDER_BROKER, checksum, GRACE_MS));
}

static void add_services(const struct render *self) {
    const struct spec_broker *broker = &self->spec->broker;
    manifest_t *pods = render_add_service(self, render_pods_name(self, RENDER_BROKER), RENDER_BROKER, true);
    render_add_service_port(pods, "gateways", broker->ports.gateways, "tcp");
    render_add_service_port(pods, "backend", broker->ports.backend, "tcp");
    render_add_service_port(pods, "backend-pull", broker->ports.backend_pull, "tcp");
    manifest_t *service = render_add_service(self, render_name(self, RENDER_BROKER), RENDER_BROKER, false);
    render_add_service_port(service, "backend", broker->ports.backend, "tcp");
    render_add_service_port(service, "backend-pull", broker->ports.backend_pull, "tcp");
}

void render_broker(const struct render *self) {
    struct render_config config = render_broker_config(self);
    manifest_t *map = render_add(self, "v1", "ConfigMap", render_name(self, RENDER_BROKER), RENDER_BROKER);
    manifest_set_text(manifest_add_map(map, "data"), "broker.yaml", config.text);
    render_add_service_account(self, RENDER_BROKER);
    add_services(self);
    add_stateful_set(self, config.checksum);
    if (self->spec->disruption.budgets && self->spec->disruption.broker_pods > 0) {
        render_add_budget(self, RENDER_BROKER,
                          arena_format(self->arena, "%lld", (long long) self->spec->disruption.broker_pods));
    }
}
