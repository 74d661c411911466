#include "operator/apply/apply_objects.h"

#include "operator/kube/kube_client.h"
#include "operator/kube/kube_json.h"

#include <string.h>

#define INSTANCE   "app.kubernetes.io/instance"
#define MANAGED_BY "app.kubernetes.io/managed-by"

/* ---- comparing ---- */

manifest_t *apply_object_stripped(arena_t *arena, const manifest_t *object) {
    static const char *const own[] = {"managedFields",     "uid",      "resourceVersion",           "generation",
                                      "creationTimestamp", "selfLink", "deletionGracePeriodSeconds"};
    manifest_t *copy = manifest_copy(arena, object);
    manifest_t *metadata = manifest_get(copy, "metadata");
    manifest_remove(copy, "status");
    for (size_t i = 0; metadata != NULL && i < sizeof own / sizeof own[0]; i++) {
        manifest_remove(metadata, own[i]);
    }
    return copy;
}

/* fieldsV1 of our manager; NULL: it owns none. */
static const manifest_t *our_fields(const manifest_t *object) {
    const manifest_t *list = manifest_find(object, "metadata.managedFields");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *entry = manifest_at(list, i);
        if (strcmp(kube_text_at(entry, "manager"), KUBE_FIELD_MANAGER) == 0 &&
            strcmp(kube_text_at(entry, "operation"), "Apply") == 0) {
            return manifest_get(entry, "fieldsV1");
        }
    }
    return NULL;
}

bool apply_object_is_same(arena_t *arena, const manifest_t *live, const manifest_t *result) {
    const manifest_t *before = our_fields(live);
    const manifest_t *after = our_fields(result);
    return before != NULL && after != NULL && manifest_equal(before, after) &&
           manifest_equal(apply_object_stripped(arena, live), apply_object_stripped(arena, result));
}

/* ---- narrowing ---- */

/* What names an item of a list; "" where nothing does. */
static const char *name_of(const manifest_t *item) {
    static const char *const paths[] = {"name", "mountPath", "metadata.name"};
    const char *name = "";
    for (size_t i = 0; name[0] == '\0' && manifest_kind(item) == MANIFEST_MAP && i < sizeof paths / sizeof paths[0];
         i++) {
        name = kube_text_at(item, paths[i]);
    }
    return name;
}

static const manifest_t *beside(const manifest_t *list, size_t index, const manifest_t *wanted) {
    const char *name = name_of(wanted);
    for (size_t i = 0; name[0] != '\0' && i < manifest_count(list); i++) {
        if (strcmp(name_of(manifest_at(list, i)), name) == 0) {
            return manifest_at(list, i);
        }
    }
    return name[0] == '\0' && index < manifest_count(list) ? manifest_at(list, index) : NULL;
}

static manifest_t *narrowed(arena_t *arena, const manifest_t *live, const manifest_t *wanted);

static manifest_t *narrowed_map(arena_t *arena, const manifest_t *live, const manifest_t *wanted) {
    manifest_t *map = manifest_map(arena);
    for (size_t i = 0; i < manifest_count(wanted); i++) {
        const char *key = manifest_key_at(wanted, i);
        const manifest_t *value = manifest_get(live, key);
        if (value != NULL) {
            manifest_set(map, key, narrowed(arena, value, manifest_at(wanted, i)));
        }
    }
    return map;
}

/* Items that are wanted no more stay: they are a difference. */
static manifest_t *narrowed_list(arena_t *arena, const manifest_t *live, const manifest_t *wanted) {
    manifest_t *list = manifest_list(arena);
    for (size_t i = 0; i < manifest_count(live); i++) {
        const manifest_t *item = manifest_at(live, i);
        const manifest_t *other = beside(wanted, i, item);
        manifest_append(list, other == NULL ? manifest_copy(arena, item) : narrowed(arena, item, other));
    }
    return list;
}

static manifest_t *narrowed(arena_t *arena, const manifest_t *live, const manifest_t *wanted) {
    enum manifest_kind kind = manifest_kind(live);
    if (kind != manifest_kind(wanted) || (kind != MANIFEST_MAP && kind != MANIFEST_LIST)) {
        return manifest_copy(arena, live);
    }
    return kind == MANIFEST_MAP ? narrowed_map(arena, live, wanted) : narrowed_list(arena, live, wanted);
}

manifest_t *apply_object_narrowed(arena_t *arena, const manifest_t *live, const manifest_t *wanted) {
    return narrowed(arena, live, wanted);
}

/* ---- replicas ---- */

static bool owns_replicas(const manifest_t *entry) {
    const manifest_t *fields = manifest_get(entry, "fieldsV1");
    const manifest_t *spec = fields == NULL ? NULL : manifest_get(fields, "f:spec");
    return spec != NULL && manifest_get(spec, "f:replicas") != NULL;
}

static bool is_only_ours(const manifest_t *live) {
    const manifest_t *list = manifest_find(live, "metadata.managedFields");
    size_t n = 0;
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *entry = manifest_at(list, i);
        if (owns_replicas(entry)) {
            n++;
            if (strcmp(kube_text_at(entry, "manager"), KUBE_FIELD_MANAGER) != 0) {
                return false;
            }
        }
    }
    return n > 0;
}

void apply_object_keep_replicas(manifest_t *wanted, const manifest_t *live) {
    manifest_t *spec = manifest_get(wanted, "spec");
    const manifest_t *found = manifest_find(live, "spec.replicas");
    bool is_deployment = strcmp(kube_text_at(wanted, "kind"), "Deployment") == 0;
    if (is_deployment && spec != NULL && found != NULL && manifest_get(spec, "replicas") == NULL &&
        is_only_ours(live)) {
        manifest_set_int(spec, "replicas", manifest_int_of(found));
    }
}

/* ---- whose it is ---- */

const char *apply_object_owner(arena_t *arena, const manifest_t *live, const char *instance) {
    const char *manager = kube_metadata_text(live, "labels", MANAGED_BY);
    const char *other = kube_metadata_text(live, "labels", INSTANCE);
    if (manager[0] != '\0' && strcmp(manager, KUBE_FIELD_MANAGER) != 0) {
        return arena_format(arena, "%s's (label " MANAGED_BY ")", manager);
    }
    if (other[0] != '\0' && strcmp(other, instance) != 0) {
        return arena_format(arena, "of the instance %s (label " INSTANCE ")", other);
    }
    return NULL;
}

/* ---- pruning ---- */

static bool is_kept_always(const char *kind) {
    static const char *const kinds[] = {"Secret",    "PersistentVolumeClaim",    "PersistentVolume",
                                        "Namespace", "CustomResourceDefinition", ""};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i], kind) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_of(const manifest_t *object, const char *namespace, const char *instance) {
    return strcmp(kube_text_at(object, "metadata.namespace"), namespace) == 0 &&
           strcmp(kube_metadata_text(object, "labels", INSTANCE), instance) == 0 &&
           strcmp(kube_metadata_text(object, "labels", MANAGED_BY), KUBE_FIELD_MANAGER) == 0 &&
           strcmp(kube_metadata_text(object, "labels", "app.kubernetes.io/part-of"), "callboard") == 0;
}

static bool is_owned(const manifest_t *object) {
    const manifest_t *owners = manifest_find(object, "metadata.ownerReferences");
    return owners != NULL && manifest_count(owners) > 0;
}

static bool is_going(const manifest_t *object) {
    return kube_text_at(object, "metadata.deletionTimestamp")[0] != '\0';
}

void apply_choose_pruned(const manifests_t *live, const manifests_t *rendered, const char *namespace,
                         const char *instance, manifests_t *out) {
    for (size_t i = manifests_count(live); i > 0; i--) {
        manifest_t *object = manifests_at(live, i - 1);
        const char *kind = kube_text_at(object, "kind");
        bool is_rendered = manifests_find(rendered, kind, kube_text_at(object, "metadata.name")) != NULL;
        if (!is_rendered && !is_kept_always(kind) && is_of(object, namespace, instance) && !is_owned(object) &&
            !is_going(object)) {
            manifests_append(out, object);
        }
    }
}
