/* Two trees beside each other. Items of a list are found by what names them (name, mountPath, key, type), so that one
 * more in front does not make all of them differ; lists without names are compared by position. */
#include "operator/diff/diff_parts.h"

#include "operator/manifest/manifest_emit.h"

#include <string.h>

enum { TEXT_BYTES_MAX = 160 };

struct walk {
    struct diff_run *run;
    const struct diff_pair *pair;
    bool rolls_pods; /* the template of the workload that mounts this ConfigMap changes, too */
};

/* ---- values ---- */

static const char *scalar_text(arena_t *arena, const manifest_t *node) {
    switch (manifest_kind(node)) {
    case MANIFEST_TEXT:
    case MANIFEST_NUMBER:
        return manifest_text_of(node);
    case MANIFEST_INT:
        return arena_format(arena, "%lld", (long long) manifest_int_of(node));
    case MANIFEST_BOOL:
        return manifest_bool_of(node) ? "true" : "false";
    case MANIFEST_NULL:
        return "null";
    case MANIFEST_MAP:
    case MANIFEST_LIST:
        break;
    }
    return NULL;
}

static bool is_scalar(const manifest_t *node) {
    return manifest_kind(node) != MANIFEST_MAP && manifest_kind(node) != MANIFEST_LIST;
}

/* {name: a, port: 1}, one line. */
static void append_flow(arena_t *arena, const manifest_t *node, struct buffer *out) {
    bool is_map = manifest_kind(node) == MANIFEST_MAP;
    if (is_scalar(node)) {
        buffer_append_text(out, scalar_text(arena, node));
        return;
    }
    buffer_append_text(out, is_map ? "{" : "[");
    for (size_t i = 0; i < manifest_count(node); i++) {
        buffer_append_format(out, "%s%s%s", i == 0 ? "" : ", ", is_map ? manifest_key_at(node, i) : "",
                             is_map ? ": " : "");
        append_flow(arena, manifest_at(node, i), out);
    }
    buffer_append_text(out, is_map ? "}" : "]");
}

/* Cut where a character begins. */
static size_t cut_at(const struct buffer *text, size_t limit) {
    while (limit > 0 && (text->data[limit] & 0xC0) == 0x80) {
        limit--;
    }
    return limit;
}

const char *diff_text_of(arena_t *arena, const manifest_t *node) {
    if (node == NULL) {
        return NULL;
    }
    struct buffer text = BUFFER_EMPTY;
    append_flow(arena, node, &text);
    for (size_t i = 0; i < text.size; i++) {
        text.data[i] = text.data[i] < ' ' ? ' ' : text.data[i];
    }
    bool is_long = text.size > TEXT_BYTES_MAX;
    size_t size = is_long ? cut_at(&text, TEXT_BYTES_MAX) : text.size;
    const char *line = arena_format(arena, "%.*s%s", (int) size, (const char *) text.data, is_long ? "…" : "");
    buffer_finish(&text);
    return line;
}

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

/* ---- the same? ---- */

static bool is_empty(const manifest_t *node) {
    return node == NULL || manifest_kind(node) == MANIFEST_NULL || (!is_scalar(node) && manifest_count(node) == 0);
}

static bool is_same_scalar(const char *path, const manifest_t *old_node, const manifest_t *new_node) {
    arena_t *scratch = arena_new();
    const char *default_text = diff_default_of(path);
    const char *a = old_node == NULL ? default_text : scalar_text(scratch, old_node);
    const char *b = new_node == NULL ? default_text : scalar_text(scratch, new_node);
    bool is_same = a != NULL && b != NULL && (strcmp(a, b) == 0 || diff_is_same_amount(path, a, b));
    arena_destroy(&scratch);
    return is_same;
}

static bool is_same_leaf(const char *path, const manifest_t *old_node, const manifest_t *new_node) {
    if (is_empty(old_node) && is_empty(new_node)) {
        return true;
    }
    bool are_scalars = (old_node == NULL || is_scalar(old_node)) && (new_node == NULL || is_scalar(new_node));
    return are_scalars && is_same_scalar(path, old_node, new_node);
}

/* ---- lists ---- */

/* What names an item; NULL: nothing does. */
static const char *name_of(const manifest_t *item) {
    static const char *const keys[] = {"name", "mountPath", "topologyKey", "key", "type"};
    for (size_t i = 0; item != NULL && manifest_kind(item) == MANIFEST_MAP && i < sizeof keys / sizeof keys[0]; i++) {
        const char *name = manifest_text_of(manifest_get(item, keys[i]));
        if (name != NULL) {
            return name;
        }
    }
    return manifest_kind(item) == MANIFEST_MAP ? manifest_text_of(manifest_find(item, "metadata.name")) : NULL;
}

static manifest_t *named(const manifest_t *list, const char *name) {
    for (size_t i = 0; i < manifest_count(list); i++) {
        const char *other = name_of(manifest_at(list, i));
        if (other != NULL && strcmp(other, name) == 0) {
            return manifest_at(list, i);
        }
    }
    return NULL;
}

/* Each item has a name, and none has another's. */
static bool is_named(const manifest_t *list) {
    for (size_t i = 0; i < manifest_count(list); i++) {
        const char *name = name_of(manifest_at(list, i));
        if (name == NULL || named(list, name) != manifest_at(list, i)) {
            return false;
        }
    }
    return true;
}

static void walk(struct walk *self, const char *path, const manifest_t *old_node, const manifest_t *new_node);

static void walk_named(struct walk *self, const char *path, const manifest_t *old_list, const manifest_t *new_list) {
    arena_t *arena = self->run->diff->arena;
    for (size_t i = 0; i < manifest_count(old_list); i++) {
        const char *name = name_of(manifest_at(old_list, i));
        walk(self, arena_format(arena, "%s[%s]", path, name), manifest_at(old_list, i), named(new_list, name));
    }
    for (size_t i = 0; i < manifest_count(new_list); i++) {
        const char *name = name_of(manifest_at(new_list, i));
        if (named(old_list, name) == NULL) {
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

static const char *join(arena_t *arena, const char *path, const char *key) {
    bool has_dot = strchr(key, '.') != NULL;
    return path[0] == '\0' ? key : arena_format(arena, has_dot ? "%s[%s]" : "%s.%s", path, key);
}

static void walk_member(struct walk *self, const char *path, const char *key, const manifest_t *old_node,
                        const manifest_t *new_node) {
    bool is_data = strcmp(path, "data") == 0 && diff_is_kind(self->pair->new_object, "ConfigMap");
    if (is_data) {
        diff_config_text(self->run, self->pair, key, manifest_text_of(old_node), manifest_text_of(new_node),
                         self->rolls_pods);
    } else {
        walk(self, join(self->run->diff->arena, path, key), old_node, new_node);
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
        bool has_names = is_named(old_node) && is_named(new_node);
        (has_names ? walk_named : walk_positions)(self, path, old_node, new_node);
    } else if (!is_same_leaf(path, old_node, new_node)) {
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
        if (!mounts(workload, map)) {
            continue;
        }
        const manifest_t *old = manifests_find(run->old_objects, diff_kind_of(workload),
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
