/* What every pod has: the security context that Pod Security "restricted" asks for, where it may run, how it ends. */
#include "operator/render/render_parts.h"

#include "operator/spec/spec_values.h"

#include <string.h>

enum { IMAGE_USER = 65532 };

/* ---- security ---- */

/* OpenShift picks users and groups itself. */
static void set_pod_security(const struct render *self, manifest_t *pod) {
    manifest_t *context = manifest_add_map(pod, "securityContext");
    manifest_set_bool(context, "runAsNonRoot", true);
    if (self->spec->pod_security != SPEC_POD_OPENSHIFT) {
        manifest_set_int(context, "runAsUser", IMAGE_USER);
        manifest_set_int(context, "runAsGroup", IMAGE_USER);
        manifest_set_int(context, "fsGroup", IMAGE_USER);
        manifest_set_text(context, "fsGroupChangePolicy", "OnRootMismatch");
    }
    manifest_set_text(manifest_add_map(context, "seccompProfile"), "type", "RuntimeDefault");
}

static void set_container_security(manifest_t *container) {
    manifest_t *context = manifest_add_map(container, "securityContext");
    manifest_set_bool(context, "allowPrivilegeEscalation", false);
    manifest_set_bool(context, "readOnlyRootFilesystem", true);
    manifest_append_text(manifest_add_list(manifest_add_map(context, "capabilities"), "drop"), "ALL");
}

/* ---- where it may run ---- */

static void add_spread(const struct render *self, manifest_t *pod, int spread, const char *key, const char *component) {
    if (spread == SPEC_SPREAD_NONE) {
        return;
    }
    manifest_t *constraint = manifest_append_map(manifest_add_list(pod, "topologySpreadConstraints"));
    manifest_set_int(constraint, "maxSkew", 1);
    manifest_set_text(constraint, "topologyKey", key);
    manifest_set_text(constraint, "whenUnsatisfiable",
                      spread == SPEC_SPREAD_REQUIRED ? "DoNotSchedule" : "ScheduleAnyway");
    render_set_match(self, constraint, "labelSelector", component);
}

/* A broker and a primary of Redis on one node would die together, and with them the continuity of their channels. */
static void add_distance(const struct render *self, manifest_t *pod, const char *other) {
    manifest_t *list = manifest_add_list(manifest_add_map(manifest_add_map(pod, "affinity"), "podAntiAffinity"),
                                         "preferredDuringSchedulingIgnoredDuringExecution");
    manifest_t *item = manifest_append_map(list);
    manifest_set_int(item, "weight", 50);
    manifest_t *term = manifest_add_map(item, "podAffinityTerm");
    render_set_match(self, term, "labelSelector", other);
    manifest_set_text(term, "topologyKey", "kubernetes.io/hostname");
}

static void set_scheduling(const struct render *self, manifest_t *pod, const char *component) {
    const struct spec_scheduling *scheduling = &self->spec->scheduling;
    bool has_redis = self->spec->redis.mode != SPEC_REDIS_EMBEDDED && self->spec->redis.mode != SPEC_REDIS_EXTERNAL;
    manifest_set_text_if(pod, "priorityClassName", scheduling->priority_class);
    manifest_set_text_if(pod, "runtimeClassName", scheduling->runtime_class);
    if (scheduling->node_selector.n > 0) {
        render_set_pairs(manifest_add_map(pod, "nodeSelector"), &scheduling->node_selector);
    }
    if (scheduling->tolerations != NULL) {
        manifest_set(pod, "tolerations", manifest_of_yaml(self->arena, scheduling->tolerations));
    }
    if (has_redis && strcmp(component, RENDER_BROKER) == 0) {
        add_distance(self, pod, RENDER_REDIS);
    } else if (strcmp(component, RENDER_REDIS) == 0) {
        add_distance(self, pod, RENDER_BROKER);
    }
    if (strcmp(component, RENDER_BACKUP) != 0) { /* one pod at a time is nowhere too many */
        add_spread(self, pod, scheduling->spread_node, "kubernetes.io/hostname", component);
        add_spread(self, pod, scheduling->spread_zone, "topology.kubernetes.io/zone", component);
    }
}

/* ---- the pod ---- */

static void set_pull_secrets(const struct render *self, manifest_t *pod) {
    const struct spec_texts *secrets = &self->spec->image.pull_secrets;
    for (size_t i = 0; i < secrets->n; i++) {
        manifest_set_text(manifest_append_map(manifest_add_list(pod, "imagePullSecrets")), "name", secrets->items[i]);
    }
}

manifest_t *render_pod(const struct render *self, manifest_t *workload_spec, const char *component,
                       const char *config_checksum, int64_t grace_ms) {
    manifest_t *template = manifest_add_map(workload_spec, "template");
    manifest_t *metadata = manifest_add_map(template, "metadata");
    manifest_t *labels = manifest_add_map(metadata, "labels");
    render_set_selector(self, labels, component);
    if (config_checksum != NULL) {
        manifest_set_text(manifest_add_map(metadata, "annotations"), "callboard.dev/config", config_checksum);
    }
    manifest_t *pod = manifest_add_map(template, "spec");
    manifest_set_text(pod, "serviceAccountName", render_name(self, component));
    manifest_set_bool(pod, "automountServiceAccountToken", false);
    manifest_set_bool(pod, "enableServiceLinks", false);
    manifest_set_int(pod, "terminationGracePeriodSeconds", (grace_ms + 999) / 1000);
    set_pull_secrets(self, pod);
    set_pod_security(self, pod);
    set_scheduling(self, pod, component);
    return pod;
}

static const char *own_image(const struct render *self) {
    const struct spec_image *image = &self->spec->image;
    return image->digest[0] != '\0' ? arena_format(self->arena, "%s@%s", image->repository, image->digest)
                                    : arena_format(self->arena, "%s:%s", image->repository, image->tag);
}

manifest_t *render_container(const struct render *self, manifest_t *pod, const char *list, const char *name,
                             const char *image) {
    static const char *const policies[] = {"IfNotPresent", "Always", "Never"}; /* enum spec_pull_policy */
    manifest_t *container = manifest_append_map(manifest_add_list(pod, list));
    manifest_set_text(container, "name", name);
    manifest_set_text(container, "image", image == NULL ? own_image(self) : image);
    manifest_set_text(container, "imagePullPolicy",
                      image == NULL ? policies[self->spec->image.pull_policy] : "IfNotPresent");
    set_container_security(container);
    return container;
}

/* ---- what a container has ---- */

static void set_amounts(const struct render *self, manifest_t *map, int64_t cpu, int64_t memory) {
    struct buffer text = BUFFER_EMPTY;
    if (cpu > 0) {
        spec_append_cpu(&text, cpu);
        manifest_set(map, "cpu", manifest_text(self->arena, arena_text_of(self->arena, buffer_span(&text))));
    }
    if (memory > 0) {
        buffer_clear(&text);
        spec_append_memory(&text, memory);
        manifest_set(map, "memory", manifest_text(self->arena, arena_text_of(self->arena, buffer_span(&text))));
    }
    buffer_finish(&text);
}

void render_set_resources(const struct render *self, manifest_t *container, const struct spec_resources *resources) {
    manifest_t *map = manifest_add_map(container, "resources");
    if (resources->requests_cpu > 0 || resources->requests_memory > 0) {
        set_amounts(self, manifest_add_map(map, "requests"), resources->requests_cpu, resources->requests_memory);
    }
    if (resources->limits_cpu > 0 || resources->limits_memory > 0) {
        set_amounts(self, manifest_add_map(map, "limits"), resources->limits_cpu, resources->limits_memory);
    }
}

void render_add_port(manifest_t *container, const char *name, int64_t port) {
    manifest_t *item = manifest_append_map(manifest_add_list(container, "ports"));
    manifest_set_text(item, "name", name);
    manifest_set_int(item, "containerPort", port);
    manifest_set_text(item, "protocol", "TCP");
}

manifest_t *render_add_env(manifest_t *container, const char *name, const char *value) {
    manifest_t *item = manifest_append_map(manifest_add_list(container, "env"));
    manifest_set_text(item, "name", name);
    if (value != NULL) {
        manifest_set_text(item, "value", value);
    }
    return item;
}

void render_add_env_of_secret(manifest_t *container, const char *name, const char *secret, const char *key) {
    manifest_t *source = manifest_add_map(render_add_env(container, name, NULL), "valueFrom");
    manifest_t *reference = manifest_add_map(source, "secretKeyRef");
    manifest_set_text(reference, "name", secret);
    manifest_set_text(reference, "key", key);
}

void render_add_env_of_field(manifest_t *container, const char *name, const char *path) {
    manifest_t *source = manifest_add_map(render_add_env(container, name, NULL), "valueFrom");
    manifest_t *field = manifest_add_map(source, "fieldRef");
    manifest_set_text(field, "apiVersion", "v1");
    manifest_set_text(field, "fieldPath", path);
}

void render_set_probe(manifest_t *container, const char *probe, const char *path, const char *port, int64_t period_s,
                      int64_t failures) {
    manifest_t *map = manifest_add_map(container, probe);
    manifest_t *get = manifest_add_map(map, "httpGet");
    manifest_set_text(get, "path", path);
    manifest_set_text(get, "port", port);
    manifest_set_text(get, "scheme", "HTTP");
    manifest_set_int(map, "timeoutSeconds", 3);
    manifest_set_int(map, "periodSeconds", period_s);
    manifest_set_int(map, "successThreshold", 1);
    manifest_set_int(map, "failureThreshold", failures);
}

void render_mount(manifest_t *container, const char *volume, const char *path, bool is_read_only) {
    manifest_t *mount = manifest_append_map(manifest_add_list(container, "volumeMounts"));
    manifest_set_text(mount, "name", volume);
    manifest_set_text(mount, "mountPath", path);
    if (is_read_only) {
        manifest_set_bool(mount, "readOnly", true);
    }
}

/* ---- volumes ---- */

enum { MODE_OF_FILES = 0644, MODE_OF_SECRETS = 0440 };

static manifest_t *add_volume(manifest_t *pod, const char *name) {
    manifest_t *volume = manifest_append_map(manifest_add_list(pod, "volumes"));
    manifest_set_text(volume, "name", name);
    return volume;
}

static void add_items(manifest_t *source, const char *const *items) {
    manifest_t *list = manifest_add_list(source, "items");
    for (size_t i = 0; items[i] != NULL; i += 2) {
        manifest_t *item = manifest_append_map(list);
        manifest_set_text(item, "key", items[i]);
        manifest_set_text(item, "path", items[i + 1]);
    }
}

void render_add_config_volume(manifest_t *pod, const char *volume, const char *config_map) {
    manifest_t *source = manifest_add_map(add_volume(pod, volume), "configMap");
    manifest_set_text(source, "name", config_map);
    manifest_set_int(source, "defaultMode", MODE_OF_FILES);
}

void render_add_secret_volume(manifest_t *pod, const char *volume, const char *secret, const char *const *items) {
    manifest_t *source = manifest_add_map(add_volume(pod, volume), "secret");
    manifest_set_text(source, "secretName", secret);
    add_items(source, items);
    manifest_set_int(source, "defaultMode", MODE_OF_SECRETS);
}

void render_add_claim_volume(manifest_t *pod, const char *volume, const char *claim) {
    manifest_set_text(manifest_add_map(add_volume(pod, volume), "persistentVolumeClaim"), "claimName", claim);
}

void render_add_empty_volume(manifest_t *pod, const char *volume, bool is_memory, const char *size) {
    manifest_t *source = manifest_add_map(add_volume(pod, volume), "emptyDir");
    if (is_memory) {
        manifest_set_text(source, "medium", "Memory");
    }
    manifest_set_text(source, "sizeLimit", size);
}
