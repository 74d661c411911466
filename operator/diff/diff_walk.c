/* Two trees beside each other. Items of a list are found by what names them (name, mountPath, key, type), so that one
 * more in front does not make all of them differ; lists without names are compared by position. */
#include "operator/diff/diff_parts.h"

#include "operator/diff/diff_values.h"

#include <string.h>

struct walk {
    struct diff_run *run;
    const struct diff_pair *pair;
    bool rolls_pods; /* the template of the workload that mounts this ConfigMap changes, too */
};

/* ---- what changing a path does ---- */

static bool begins(const char *path, const char *with) {
    size_t size = strlen(with);
    return strncmp(path, with, size) == 0 && (path[size] == '\0' || path[size] == '.' || path[size] == '[');
}

static bool is_any_of(const char *path, const char *const *list) {
    for (size_t i = 0; list[i] != NULL; i++) {
        if (begins(path, list[i])) {
            return true;
        }
    }
    return false;
}

/* operator.md 2.10: the rest of a StatefulSet's spec cannot be changed. */
static enum diff_effect effect_of(const manifest_t *object, const char *path) {
    static const char *const of_set[] = {"spec.replicas",
                                         "spec.ordinals",
                                         "spec.template",
                                         "spec.updateStrategy",
                                         "spec.minReadySeconds",
                                         "spec.persistentVolumeClaimRetentionPolicy",
                                         NULL};
    bool is_set = diff_is_kind(object, "StatefulSet");
    bool is_deployment = diff_is_kind(object, "Deployment");
    if ((is_set && begins(path, "spec") && !is_any_of(path, of_set)) ||
        (is_deployment && begins(path, "spec.selector")) ||
        (diff_is_kind(object, "Service") && begins(path, "spec.clusterIP"))) {
        return DIFF_RECREATES;
    }
    return (is_set || is_deployment) && begins(path, "spec.template") ? DIFF_ROLLS : DIFF_IN_PLACE;
}

static void tell(struct walk *self, const char *path, const manifest_t *old_node, const manifest_t *new_node) {
    arena_t *arena = self->run->diff->arena;
    diff_add_change(self->run, (struct diff_change){
                                   .kind = DIFF_CHANGED,
                                   .effect = effect_of(self->pair->new_object, path),
                                   .object = self->pair->name,
                                   .path = path,
                                   .old_text = diff_text_of(arena, old_node),
                                   .new_text = diff_text_of(arena, new_node),
                               });
}

/* ---- lists ---- */

static void walk(struct walk *self, const char *path, const manifest_t *old_node, const manifest_t *new_node);

static void walk_named(struct walk *self, const char *path, const manifest_t *old_list, const manifest_t *new_list) {
    arena_t *arena = self->run->diff->arena;
    for (size_t i = 0; i < manifest_count(old_list); i++) {
        const char *name = diff_item_name(manifest_at(old_list, i));
        walk(self, arena_format(arena, "%s[%s]", path, name), manifest_at(old_list, i),
             diff_item_named(new_list, name));
    }
    for (size_t i = 0; i < manifest_count(new_list); i++) {
        const char *name = diff_item_name(manifest_at(new_list, i));
        if (diff_item_named(old_list, name) == NULL) {
            walk(self, arena_format(arena, "%s[%s]", path, name), NULL, manifest_at(new_list, i));
        }
    }
}

static void walk_positions(struct walk *self, const char *path, const manifest_t *old_list,
                           const manifest_t *new_list) {
    size_t n_old = manifest_count(old_list);
    size_t n_new = manifest_count(new_list);
    for (size_t i = 0; i < n_old || i < n_new; i++) {
        walk(self, arena_format(self->run->diff->arena, "%s[%zu]", path, i),
             i < n_old ? manifest_at(old_list, i) : NULL, i < n_new ? manifest_at(new_list, i) : NULL);
    }
}

/* ---- maps ---- */

static void walk_member(struct walk *self, const char *path, const char *key, const manifest_t *old_node,
                        const manifest_t *new_node) {
    bool is_data = strcmp(path, "data") == 0 && diff_is_kind(self->pair->new_object, "ConfigMap");
    if (is_data) {
        diff_config_text(self->run, self->pair, key, manifest_text_of(old_node), manifest_text_of(new_node),
                         self->rolls_pods);
    } else {
        walk(self, diff_path_join(self->run->diff->arena, path, key), old_node, new_node);
    }
}

static void walk_map(struct walk *self, const char *path, const manifest_t *old_map, const manifest_t *new_map) {
    for (size_t i = 0; i < manifest_count(old_map); i++) {
        const char *key = manifest_key_at(old_map, i);
        walk_member(self, path, key, manifest_at(old_map, i), manifest_get(new_map, key));
    }
    for (size_t i = 0; i < manifest_count(new_map); i++) {
        const char *key = manifest_key_at(new_map, i);
        if (manifest_get(old_map, key) == NULL) {
            walk_member(self, path, key, NULL, manifest_at(new_map, i));
        }
    }
}

static bool are_both(const manifest_t *a, const manifest_t *b, enum manifest_kind kind) {
    return a != NULL && b != NULL && manifest_kind(a) == kind && manifest_kind(b) == kind;
}

static void walk(struct walk *self, const char *path, const manifest_t *old_node, const manifest_t *new_node) {
    if (are_both(old_node, new_node, MANIFEST_MAP)) {
        walk_map(self, path, old_node, new_node);
    } else if (are_both(old_node, new_node, MANIFEST_LIST)) {
        bool has_names = diff_is_named(old_node) && diff_is_named(new_node);
        (has_names ? walk_named : walk_positions)(self, path, old_node, new_node);
    } else if (!diff_is_same_value(diff_kind_of(self->pair->new_object), path, old_node, new_node)) {
        tell(self, path, old_node, new_node);
    }
}

/* ---- objects ---- */

static bool mounts(const manifest_t *workload, const char *config_map) {
    const manifest_t *volumes = manifest_find(workload, "spec.template.spec.volumes");
    for (size_t i = 0; volumes != NULL && i < manifest_count(volumes); i++) {
        const char *name = manifest_text_of(manifest_find(manifest_at(volumes, i), "configMap.name"));
        if (name != NULL && strcmp(name, config_map) == 0) {
            return true;
        }
    }
    return false;
}

/* A workload that mounts this ConfigMap and whose pods are replaced anyway. */
static bool rolls_with(const struct diff_run *run, const struct diff_pair *pair) {
    const char *map = manifest_text_of(manifest_find(pair->new_object, "metadata.name"));
    for (size_t i = 0; i < manifests_count(run->new_objects); i++) {
        const manifest_t *workload = manifests_at(run->new_objects, i);
        bool is_beside = strcmp(diff_namespace_of(workload), diff_namespace_of(pair->new_object)) == 0;
        if (!is_beside || !mounts(workload, map)) {
            continue;
        }
        const manifest_t *old = diff_find_beside(run->old_objects, workload, diff_kind_of(workload),
                                                 manifest_text_of(manifest_find(workload, "metadata.name")));
        const manifest_t *old_template = old == NULL ? NULL : manifest_find(old, "spec.template");
        if (old_template == NULL || !manifest_equal(old_template, manifest_find(workload, "spec.template"))) {
            return true;
        }
    }
    return false;
}

void diff_walk_object(struct diff_run *self, const struct diff_pair *pair) {
    bool is_map = diff_is_kind(pair->new_object, "ConfigMap");
    struct walk walking = {.run = self, .pair = pair, .rolls_pods = is_map && rolls_with(self, pair)};
    walk(&walking, "", pair->old_object, pair->new_object);
}
