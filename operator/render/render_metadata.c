/* Labels, and the small objects that every part has: Services, budgets, accounts. */
#include "operator/render/render_parts.h"

#include <stdlib.h>
#include <string.h>

void render_set_pairs(manifest_t *map, const struct spec_pairs *pairs) {
    for (size_t i = 0; i < pairs->n; i++) {
        manifest_set_text(map, pairs->items[i].name, pairs->items[i].value);
    }
}

void render_set_selector(const struct render *self, manifest_t *labels, const char *component) {
    manifest_set_text(labels, "app.kubernetes.io/name", "callboard");
    manifest_set_text(labels, "app.kubernetes.io/instance", self->spec->metadata.name);
    manifest_set_text(labels, "app.kubernetes.io/component", component);
}

void render_set_match(const struct render *self, manifest_t *map, const char *key, const char *component) {
    render_set_selector(self, manifest_add_map(manifest_add_map(map, key), "matchLabels"), component);
}

manifest_t *render_add(const struct render *self, const char *api_version, const char *kind, const char *name,
                       const char *component) {
    manifest_t *object = manifests_add(self->out, api_version, kind, name);
    manifest_t *metadata = manifest_add_map(object, "metadata");
    manifest_set_text_if(metadata, "namespace", self->spec->metadata.namespace);
    manifest_t *labels = manifest_add_map(metadata, "labels");
    render_set_selector(self, labels, component);
    manifest_set_text(labels, "app.kubernetes.io/version", CALLBOARD_VERSION);
    manifest_set_text(labels, "app.kubernetes.io/part-of", "callboard");
    manifest_set_text(labels, "app.kubernetes.io/managed-by", "callboard-operator");
    render_set_pairs(labels, &self->spec->metadata.labels);
    if (self->spec->metadata.annotations.n > 0) {
        render_set_pairs(manifest_add_map(metadata, "annotations"), &self->spec->metadata.annotations);
    }
    return object;
}

/* Peers must find each other before they are ready, and a failing one must be found, too. */
manifest_t *render_add_service(const struct render *self, const char *name, const char *component, bool is_headless) {
    manifest_t *service = render_add(self, "v1", "Service", name, component);
    manifest_t *spec = manifest_add_map(service, "spec");
    if (is_headless) {
        manifest_set_text(spec, "clusterIP", "None");
        manifest_set_bool(spec, "publishNotReadyAddresses", true);
    } else {
        manifest_set_text(spec, "type", "ClusterIP");
    }
    render_set_selector(self, manifest_add_map(spec, "selector"), component);
    manifest_add_list(spec, "ports");
    return service;
}

void render_add_service_port(manifest_t *service, const char *name, int64_t port, const char *app_protocol) {
    manifest_t *item = manifest_append_map(manifest_find(service, "spec.ports"));
    manifest_set_text(item, "name", name);
    manifest_set_text(item, "appProtocol", app_protocol);
    manifest_set_text(item, "protocol", "TCP");
    manifest_set_int(item, "port", port);
    manifest_set_text(item, "targetPort", name);
}

/* A pod that crashes over and over must not keep a node from being drained (1.31). */
void render_add_budget(const struct render *self, const char *component, const char *max_unavailable) {
    manifest_t *budget = render_add(self, "policy/v1", "PodDisruptionBudget", render_name(self, component), component);
    manifest_t *spec = manifest_add_map(budget, "spec");
    if (strchr(max_unavailable, '%') != NULL) {
        manifest_set_text(spec, "maxUnavailable", max_unavailable);
    } else {
        manifest_set_int(spec, "maxUnavailable", strtoll(max_unavailable, NULL, 10));
    }
    if (self->minor >= 27) {
        manifest_set_text(spec, "unhealthyPodEvictionPolicy", "AlwaysAllow");
    }
    render_set_match(self, spec, "selector", component);
}

/* An account of its own that may do nothing and has no token. */
void render_add_service_account(const struct render *self, const char *component) {
    manifest_t *account = render_add(self, "v1", "ServiceAccount", render_name(self, component), component);
    manifest_set_bool(account, "automountServiceAccountToken", false);
}
