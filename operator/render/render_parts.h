/* What the files of this folder share and nobody else includes. Thread: any. */
#ifndef CALLBOARD_OPERATOR_RENDER_RENDER_PARTS_H
#define CALLBOARD_OPERATOR_RENDER_RENDER_PARTS_H

#include "operator/render/render.h"

/* One rendering. */
struct render {
    const struct spec *spec;
    manifests_t *out;
    arena_t *arena;
    unsigned minor; /* of Kubernetes 1.x */
    const struct spec_texts *apis;
};

/* The parts of a deployment: app.kubernetes.io/component, and the end of its objects' names. */
#define RENDER_GATEWAY  "gateway"
#define RENDER_BROKER   "broker"
#define RENDER_REDIS    "redis"
#define RENDER_SENTINEL "sentinel"
#define RENDER_BACKUP   "backup"

enum {
    RENDER_GATEWAY_INTERNAL_PORT = 9000,
    RENDER_REDIS_PORT = 6379,
    RENDER_SENTINEL_PORT = 26379,
    RENDER_EXPORTER_PORT = 9121,
};

/* ---- render_names.c: texts live in the arena ---- */

const char *render_name(const struct render *self, const char *component); /* shop-gateway */
const char *render_pods_name(const struct render *self,
                             const char *component); /* shop-broker-pods: the headless Service */
/* The host of a Service; whole where the namespace is known, else as pods of the namespace find it. */
const char *render_host(const struct render *self, const char *service);
const char *render_pod_host(const struct render *self, const char *component, int64_t ordinal);
/* Has the cluster this API? True where nothing is known. */
bool render_has_api(const struct render *self, const char *group_version);

/* ---- render_metadata.c ---- */

/* A new object with namespace, labels and the user's annotations. */
manifest_t *render_add(const struct render *self, const char *api_version, const char *kind, const char *name,
                       const char *component);
/* Name, instance, component: what never changes. Into a map of labels. */
void render_set_selector(const struct render *self, manifest_t *labels, const char *component);
/* {matchLabels: …} under this key. */
void render_set_match(const struct render *self, manifest_t *map, const char *key, const char *component);
void render_set_pairs(manifest_t *map, const struct spec_pairs *pairs);
/* A headless or normal Service without ports; clients: only pods that are ready. */
manifest_t *render_add_service(const struct render *self, const char *name, const char *component, bool is_headless);
void render_add_service_port(manifest_t *service, const char *name, int64_t port, const char *app_protocol);
void render_add_budget(const struct render *self, const char *component, const char *max_unavailable);
void render_add_service_account(const struct render *self, const char *component);

/* ---- render_pod.c ---- */

/* The pod of a workload: metadata.labels of the template, then what all pods have (security, scheduling). Returns
 * template.spec, still without containers. `config_checksum` NULL: it has no configuration that rolls it. */
manifest_t *render_pod(const struct render *self, manifest_t *workload_spec, const char *component,
                       const char *config_checksum, int64_t grace_ms);
/* A container with image and security; `image` NULL: Callboard's own. */
manifest_t *render_container(const struct render *self, manifest_t *pod, const char *list, const char *name,
                             const char *image);
void render_set_resources(const struct render *self, manifest_t *container, const struct spec_resources *resources);
void render_add_port(manifest_t *container, const char *name, int64_t port);
manifest_t *render_add_env(manifest_t *container, const char *name, const char *value);
void render_add_env_of_secret(manifest_t *container, const char *name, const char *secret, const char *key);
void render_add_env_of_field(manifest_t *container, const char *name, const char *path);
void render_set_probe(manifest_t *container, const char *probe, const char *path, const char *port, int64_t period_s,
                      int64_t failures);
void render_mount(manifest_t *container, const char *volume, const char *path, bool is_read_only);
void render_add_config_volume(manifest_t *pod, const char *volume, const char *config_map);
/* Keys of a Secret as files, readable by the pod's group only. `items`: key, file, key, file, …, NULL. */
void render_add_secret_volume(manifest_t *pod, const char *volume, const char *secret, const char *const *items);
void render_add_claim_volume(manifest_t *pod, const char *volume, const char *claim);
void render_add_empty_volume(manifest_t *pod, const char *volume, bool is_memory, const char *size);

/* ---- render_config.c ---- */

/* The configuration of a program as the text of its file, and over the keys that need a restart the checksum. */
struct render_config {
    const char *text;
    const char *checksum;
};
struct render_config render_gateway_config(const struct render *self);
struct render_config render_broker_config(const struct render *self);

/* ---- render_redis_files.c: the ConfigMaps; each returns the checksum of its files ---- */

const char *render_redis_files(const struct render *self);
const char *render_sentinel_files(const struct render *self);

/* ---- render_redis.c ---- */

/* "shop-redis-{0..5}.shop-redis-pods…:6379": the pods of a part, as callboard-agent and `redis` take them. */
const char *render_pod_range(const struct render *self, const char *component, int64_t n, int port);

/* ---- render_exporter.c ---- */

void render_add_exporter(const struct render *self, manifest_t *pod);

/* ---- one concern each ---- */

void render_gateway(const struct render *self);
void render_scaling(const struct render *self);
void render_broker(const struct render *self);
void render_redis(const struct render *self);
void render_edge(const struct render *self);
void render_network(const struct render *self);
void render_monitoring(const struct render *self);
void render_backup(const struct render *self);
void render_certificates(const struct render *self);

#endif
