/* The objects of one rendering, and the order in which they are applied: an object comes behind what it refers to. */
#include "operator/manifest/manifest.h"

#include "base/check.h"

#include <stdlib.h>

/* Helm's InstallOrder. */
static const char *const install_order[] = {
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
};
enum { N_KINDS = sizeof install_order / sizeof install_order[0] };

struct manifests {
    arena_t *arena;
    manifest_t **objects;
    size_t n;
    size_t capacity;
};

manifests_t *manifests_new(arena_t *arena) {
    manifests_t *self = arena_alloc(arena, sizeof *self);
    self->arena = arena;
    return self;
}

arena_t *manifests_arena(const manifests_t *self) {
    return self->arena;
}

void manifests_append(manifests_t *self, manifest_t *object) {
    if (self->n == self->capacity) {
        size_t capacity = self->capacity == 0 ? 32 : 2 * self->capacity;
        self->objects =
            arena_grow(self->arena, self->objects, self->n * sizeof *self->objects, capacity * sizeof *self->objects);
        self->capacity = capacity;
    }
    self->objects[self->n++] = object;
}

manifest_t *manifests_add(manifests_t *self, const char *api_version, const char *kind, const char *name) {
    manifest_t *object = manifest_map(self->arena);
    manifest_set_text(object, "apiVersion", api_version);
    manifest_set_text(object, "kind", kind);
    manifest_set_text(manifest_add_map(object, "metadata"), "name", name);
    manifests_append(self, object);
    return object;
}

size_t manifests_count(const manifests_t *self) {
    return self->n;
}

manifest_t *manifests_at(const manifests_t *self, size_t index) {
    check(index < self->n, "object %zu of %zu", index, self->n);
    return self->objects[index];
}

static const char *kind_of(const manifest_t *object) {
    return manifest_text_of(manifest_get(object, "kind"));
}

static const char *name_of(const manifest_t *object) {
    return manifest_text_of(manifest_find(object, "metadata.name"));
}

manifest_t *manifests_find(const manifests_t *self, const char *kind, const char *name) {
    for (size_t i = 0; i < self->n; i++) {
        if (strcmp(kind_of(self->objects[i]), kind) == 0 && strcmp(name_of(self->objects[i]), name) == 0) {
            return self->objects[i];
        }
    }
    return NULL;
}

unsigned manifest_install_rank(const char *kind) {
    unsigned rank = 0;
    while (rank < N_KINDS && strcmp(install_order[rank], kind) != 0) {
        rank++;
    }
    return rank;
}

static int compare(const void *a, const void *b) {
    const manifest_t *object_a = *(manifest_t *const *) a;
    const manifest_t *object_b = *(manifest_t *const *) b;
    unsigned rank_a = manifest_install_rank(kind_of(object_a));
    unsigned rank_b = manifest_install_rank(kind_of(object_b));
    if (rank_a != rank_b) {
        return rank_a < rank_b ? -1 : 1;
    }
    int order = strcmp(kind_of(object_a), kind_of(object_b));
    return order != 0 ? order : strcmp(name_of(object_a), name_of(object_b));
}

void manifests_sort(manifests_t *self) {
    if (self->n > 1) {
        qsort(self->objects, self->n, sizeof *self->objects, compare);
    }
}
