/* Redis and Sentinel: StatefulSets whose servers run inside callboard-agent, which an init container copies into the
 * pod: the image of Redis needs no shell and none of our libraries. One StatefulSet holds all shards of a cluster, and
 * rolls from its highest ordinal: replicas first, one pod at a time (docs/redis-pods.md).
 *
 *     agent: emptyDir ◀─ install        templates: ConfigMap ─┐
 *                     └▶ run ──────────▶ secrets: Secret ─────┼▶ conf: in memory (Sentinel: a volume, it is its memory)
 *                                                             └▶ redis-server /conf/… */
#include "operator/render/render_parts.h"

#include "operator/spec/spec_derive.h"
#include "operator/spec/spec_values.h"

#include <string.h>

enum {
    AGENT_PORT = 8090,
    BUS_PORT = 16379,
    LEAVE_S = 45,     /* to hand over before a stop, and to ask the Sentinels before a start */
    GRACE_MS = 90000, /* LEAVE_S, Redis' own shutdown-timeout, and writing the last of the file */
    STARTUP_PERIOD_S = 5,
    LOADED_PER_S = 50 * 1024 * 1024,
};

static bool is_replicated(const struct render *self) {
    return self->spec->redis.mode == SPEC_REDIS_SENTINEL;
}

/* ---- the agent's environment ---- */

const char *render_pod_range(const struct render *self, const char *component, int64_t n, int port) {
    return arena_format(self->arena, "%s-{0..%lld}.%s:%d", render_name(self, component), (long long) n - 1,
                        render_host(self, render_pods_name(self, component)), port);
}

static void add_number(const struct render *self, manifest_t *container, const char *name, int64_t value) {
    render_add_env(container, name, arena_format(self->arena, "%lld", (long long) value));
}

static void add_sentinels(const struct render *self, manifest_t *container) {
    const struct spec_redis *redis = &self->spec->redis;
    render_add_env(container, "CALLBOARD_AGENT_SENTINELS",
                   render_pod_range(self, RENDER_SENTINEL, redis->sentinel.replicas, RENDER_SENTINEL_PORT));
    render_add_env(container, "CALLBOARD_AGENT_MASTER_SET", redis->sentinel.master_set);
    render_add_env(container, "CALLBOARD_AGENT_SENTINEL_USER", "agent");
    render_add_env(container, "CALLBOARD_AGENT_SENTINEL_PASSWORD_FILE", "/secrets/sentinel-password");
    add_number(self, container, "CALLBOARD_AGENT_DOWN_AFTER_MS", redis->sentinel.down_after_ms);
}

static void add_environment(const struct render *self, manifest_t *container, const char *mode) {
    const struct spec *spec = self->spec;
    render_add_env_of_field(container, "POD_NAME", "metadata.name");
    render_add_env_of_field(container, "POD_NAMESPACE", "metadata.namespace");
    render_add_env_of_field(container, "POD_IP", "status.podIP");
    render_add_env(container, "CALLBOARD_AGENT_MODE", mode);
    render_add_env(container, "CALLBOARD_AGENT_PEERS",
                   render_pod_range(self, RENDER_REDIS, spec_redis_pods(spec), RENDER_REDIS_PORT));
    if (spec->redis.mode == SPEC_REDIS_CLUSTER) {
        add_number(self, container, "CALLBOARD_AGENT_SHARDS", spec->redis.cluster.shards);
    }
    if (is_replicated(self)) {
        add_sentinels(self, container);
    }
    render_add_env(container, "CALLBOARD_AGENT_USER", "agent");
    render_add_env(container, "CALLBOARD_AGENT_PASSWORD_FILE", "/secrets/redis-password");
    add_number(self, container, "CALLBOARD_AGENT_TIMEOUT", LEAVE_S);
    if (spec->tls.is_on) {
        render_add_env(container, "CALLBOARD_AGENT_TLS", "true");
        render_add_env(container, "CALLBOARD_AGENT_TLS_CA_FILE", "/tls/ca.crt");
    }
}

/* ---- the pod ---- */

static void add_volumes(const struct render *self, manifest_t *pod, manifest_t *container, const char *component) {
    const struct spec *spec = self->spec;
    static const char *const tls[] = {"tls.crt", "tls.crt", "tls.key", "tls.key", "ca.crt", "ca.crt", NULL};
    const char *secrets[8] = {spec->auth.keys.redis_password, "redis-password"};
    size_t n = 2;
    if (is_replicated(self)) {
        secrets[n++] = spec->auth.keys.sentinel_password;
        secrets[n++] = "sentinel-password";
    }
    if (spec->monitoring.exporter[0] != '\0' && strcmp(component, RENDER_REDIS) == 0) {
        secrets[n++] = spec->auth.keys.exporter_password;
        secrets[n++] = "exporter-password";
    }
    render_mount(container, "agent", "/agent", true);
    render_mount(container, "templates", "/templates", true);
    render_add_config_volume(pod, "templates", render_name(self, component));
    render_mount(container, "secrets", "/secrets", true);
    render_add_secret_volume(pod, "secrets", spec->auth.existing_secret, secrets);
    if (spec->tls.is_on) {
        render_mount(container, "tls", "/tls", true);
        render_add_secret_volume(pod, "tls", spec->tls.secret, tls);
    }
}

static void add_installer(const struct render *self, manifest_t *pod) {
    manifest_t *container = render_container(self, pod, "initContainers", "agent", NULL);
    manifest_t *command = manifest_add_list(container, "command");
    manifest_append_text(command, "/usr/bin/callboard-agent");
    manifest_append_text(command, "install");
    manifest_append_text(command, "/agent");
    render_mount(container, "agent", "/agent", false);
    render_add_empty_volume(pod, "agent", false, "16Mi");
}

static void add_command(const struct render *self, manifest_t *container, bool is_sentinel) {
    manifest_t *command = manifest_add_list(container, "command");
    manifest_append_text(command, "/agent/callboard-agent");
    manifest_append_text(command, "run");
    manifest_append_text(command, "--");
    manifest_append_text(command, self->spec->redis.engine == SPEC_ENGINE_VALKEY ? "valkey-server" : "redis-server");
    manifest_append_text(command, is_sentinel ? "/conf/sentinel.conf" : "/conf/redis.conf");
    if (is_sentinel) {
        manifest_append_text(command, "--sentinel");
    }
}

/* The last one has time for what it has to load. */
static void add_probes(const struct render *self, manifest_t *container, bool is_sentinel) {
    int64_t loading_s = is_sentinel ? 0 : self->spec->redis.maxmemory / LOADED_PER_S;
    render_add_port(container, "probes", AGENT_PORT);
    render_set_probe(container, "startupProbe", "/startupz", "probes", STARTUP_PERIOD_S,
                     (LEAVE_S + 60 + loading_s) / STARTUP_PERIOD_S);
    render_set_probe(container, "livenessProbe", "/livez", "probes", 10, 6);
    render_set_probe(container, "readinessProbe", "/readyz", "probes", 2, 2);
}

/* ---- the StatefulSets ---- */

static void add_claim(const struct render *self, manifest_t *set_spec, const char *volume, int64_t size) {
    const struct spec_redis *redis = &self->spec->redis;
    struct buffer text = BUFFER_EMPTY;
    manifest_t *claim = manifest_append_map(manifest_add_list(set_spec, "volumeClaimTemplates"));
    manifest_set_text(manifest_add_map(claim, "metadata"), "name", volume);
    manifest_t *spec = manifest_add_map(claim, "spec");
    manifest_append_text(manifest_add_list(spec, "accessModes"), "ReadWriteOnce");
    manifest_set_text_if(spec, "storageClassName", redis->persistence.class);
    spec_append_memory(&text, size);
    manifest_set_text(manifest_add_map(manifest_add_map(spec, "resources"), "requests"), "storage",
                      arena_text_of(self->arena, buffer_span(&text)));
    buffer_finish(&text);
    if (self->minor >= 27) {
        manifest_t *retention = manifest_add_map(set_spec, "persistentVolumeClaimRetentionPolicy");
        manifest_set_text(retention, "whenDeleted", redis->persistence.retention == SPEC_DELETE ? "Delete" : "Retain");
        manifest_set_text(retention, "whenScaled", "Retain");
    }
}

static manifest_t *add_set(const struct render *self, const char *component, int64_t replicas) {
    manifest_t *set = render_add(self, "apps/v1", "StatefulSet", render_name(self, component), component);
    manifest_t *spec = manifest_add_map(set, "spec");
    manifest_set_int(spec, "replicas", replicas);
    manifest_set_text(spec, "serviceName", render_pods_name(self, component));
    manifest_set_text(spec, "podManagementPolicy", "Parallel"); /* ready is who knows the others */
    manifest_set_int(spec, "minReadySeconds", 5);
    manifest_set_int(spec, "revisionHistoryLimit", 10);
    render_set_match(self, spec, "selector", component);
    manifest_set_text(manifest_add_map(spec, "updateStrategy"), "type", "RollingUpdate");
    return spec;
}

static void add_redis_set(const struct render *self, const char *checksum) {
    static const char *const modes[] = {"", "standalone", "replicated", "cluster", ""}; /* enum spec_redis_mode */
    const struct spec_redis *redis = &self->spec->redis;
    manifest_t *set = add_set(self, RENDER_REDIS, spec_redis_pods(self->spec));
    manifest_t *pod = render_pod(self, set, RENDER_REDIS, checksum, GRACE_MS);
    add_installer(self, pod);
    manifest_t *container = render_container(self, pod, "containers", RENDER_REDIS, redis->image);
    add_command(self, container, false);
    add_environment(self, container, modes[redis->mode]);
    render_add_port(container, "redis", RENDER_REDIS_PORT);
    if (redis->mode == SPEC_REDIS_CLUSTER) {
        render_add_port(container, "bus", BUS_PORT);
    }
    render_set_resources(self, container, &redis->resources);
    add_probes(self, container, false);
    add_volumes(self, pod, container, RENDER_REDIS);
    render_mount(container, "conf", "/conf", false);
    render_add_empty_volume(pod, "conf", true, "1Mi");
    render_mount(container, "data", "/data", false);
    if (redis->persistence.size > 0) {
        add_claim(self, set, "data", redis->persistence.size);
    } else {
        render_add_empty_volume(pod, "data", false, "1Gi");
    }
    if (self->spec->monitoring.exporter[0] != '\0') {
        render_add_exporter(self, pod);
    }
}

/* Its file is its memory: epochs, votes, whom it follows. So it outlives the pod where data do. */
static void add_sentinel_set(const struct render *self, const char *checksum) {
    const struct spec_redis *redis = &self->spec->redis;
    manifest_t *set = add_set(self, RENDER_SENTINEL, redis->sentinel.replicas);
    manifest_t *pod = render_pod(self, set, RENDER_SENTINEL, checksum, GRACE_MS);
    add_installer(self, pod);
    manifest_t *container = render_container(self, pod, "containers", RENDER_SENTINEL, redis->image);
    add_command(self, container, true);
    add_environment(self, container, "sentinel");
    render_add_port(container, "sentinel", RENDER_SENTINEL_PORT);
    render_set_resources(self, container, &redis->sentinel.resources);
    add_probes(self, container, true);
    add_volumes(self, pod, container, RENDER_SENTINEL);
    render_mount(container, "conf", "/conf", false);
    if (redis->persistence.size > 0) {
        add_claim(self, set, "conf", 1024LL * 1024 * 1024);
    } else {
        render_add_empty_volume(pod, "conf", false, "1Mi");
    }
}

/* ---- all of one ---- */

static void add_services(const struct render *self, const char *component, int port) {
    manifest_t *pods = render_add_service(self, render_pods_name(self, component), component, true);
    render_add_service_port(pods, component, port, "tcp");
    manifest_t *service = render_add_service(self, render_name(self, component), component, false);
    render_add_service_port(service, component, port, "tcp");
}

static void add_budget(const struct render *self, const char *component, int64_t pods) {
    int64_t most = self->spec->disruption.redis_pods;
    if (self->spec->disruption.budgets && most > 0 && pods > 1) { /* a lone pod with one would block every drain */
        render_add_budget(self, component, arena_format(self->arena, "%lld", (long long) most));
    }
}

void render_redis(const struct render *self) {
    int mode = self->spec->redis.mode;
    if (mode == SPEC_REDIS_EMBEDDED || mode == SPEC_REDIS_EXTERNAL) {
        return;
    }
    render_add_service_account(self, RENDER_REDIS);
    add_services(self, RENDER_REDIS, RENDER_REDIS_PORT);
    add_redis_set(self, render_redis_files(self));
    add_budget(self, RENDER_REDIS, spec_redis_pods(self->spec));
    if (is_replicated(self)) {
        render_add_service_account(self, RENDER_SENTINEL);
        add_services(self, RENDER_SENTINEL, RENDER_SENTINEL_PORT);
        add_sentinel_set(self, render_sentinel_files(self));
        add_budget(self, RENDER_SENTINEL, self->spec->redis.sentinel.replicas);
    }
}
