/* See live_compare.h. One walk over both trees and over each manager's tree of fields (live_managers.h) beside them.
 *
 *     a value stands in              whose is it      objects   drift
 *     both, the same                 any              kept      -
 *     both, another                  ours             kept      -        the spec has changed since
 *                                    another's        kept      changed
 *     the cluster only               ours             kept      -        apply takes it away
 *                                    a person's       -         added
 *                                    a controller's   -         -
 *                                    nobody's         -         -        the server's default
 *     the spec only                  nobody's         -         removed  or never applied: nobody can tell
 */
#include "operator/live/live_compare.h"

#include "operator/diff/diff.h"
#include "operator/diff/diff_values.h"
#include "operator/live/live_managers.h"

#include <string.h>

struct comparing {
    struct live *live;
    struct live_managers managers;
    const char *kind;
    const char *object; /* its name in messages */
};

/* ---- what the server and others keep beside ours ---- */

struct given {
    const char *kind; /* NULL: any */
    const char *end;  /* of the path, what stands in brackets left out */
};

/* Never ours where the spec does not render it. */
static const struct given given[] = {
    {"Service", "spec.clusterIP"},
    {"Service", "spec.clusterIPs"},
    {"Service", "spec.ipFamilies"},
    {"Service", "spec.ipFamilyPolicy"},
    {"Service", "spec.healthCheckNodePort"},
    {"Service", "spec.ports[].nodePort"},
    {"StatefulSet", "spec.volumeClaimTemplates[].apiVersion"},
    {"StatefulSet", "spec.volumeClaimTemplates[].kind"},
    {"StatefulSet", "spec.volumeClaimTemplates[].status"},
    {NULL, "template.spec.serviceAccount"},
};

/* Notes of tools on an object, whoever wrote them. */
static bool is_note(const char *key) {
    static const char *const begins[] = {"kubectl.kubernetes.io/", "deployment.kubernetes.io/", "meta.helm.sh/",
                                         "helm.sh/chart", "deprecated.daemonset.template.generation"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (strncmp(key, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* containers[gateway] becomes containers[]. */
static const char *without_names(arena_t *arena, const char *path) {
    char *text = arena_text(arena, path);
    size_t n = 0;
    bool is_inside = false;
    for (const char *at = path; *at != '\0'; at++) {
        is_inside = is_inside && *at != ']';
        if (!is_inside) {
            text[n++] = *at;
        }
        is_inside = is_inside || *at == '[';
    }
    text[n] = '\0';
    return text;
}

static bool is_given(const struct comparing *self, const char *path) {
    const char *plain = without_names(self->live->arena, path);
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        bool is_kind = given[i].kind == NULL || strcmp(given[i].kind, self->kind) == 0;
        if (is_kind && ends_with(plain, given[i].end)) {
            return true;
        }
    }
    return false;
}

/* An autoscaler's, unless ours applied it: then the next apply takes it away. */
static bool is_scaled(const struct comparing *self, const char *path, const struct live_place *place) {
    const struct live_manager *ours = live_place_owner(&self->managers, place, LIVE_OURS);
    bool is_workload = strcmp(self->kind, "Deployment") == 0 || strcmp(self->kind, "StatefulSet") == 0;
    return is_workload && strcmp(path, "spec.replicas") == 0 && (ours == NULL || !ours->is_applier);
}

/* ---- drift ---- */

static void add_drift(struct comparing *self, struct live_drift drift, const struct live_manager *manager) {
    struct live *live = self->live;
    drift.object = self->object;
    drift.manager = manager == NULL ? NULL : manager->name;
    drift.time = manager == NULL || manager->time[0] == '\0' ? NULL : manager->time;
    live->drifts =
        arena_grow(live->arena, live->drifts, live->n_drifts * sizeof drift, (live->n_drifts + 1) * sizeof drift);
    live->drifts[live->n_drifts++] = drift;
}

/* A configuration's text says nothing to a person: its keys do. */
static bool add_config_drift(struct comparing *self, const char *path, const manifest_t *found,
                             const manifest_t *wanted, const struct live_manager *manager) {
    arena_t *arena = self->live->arena;
    bool is_text = strcmp(self->kind, "ConfigMap") == 0 && strncmp(path, "data[", 5) == 0 &&
                   manifest_kind(found) == MANIFEST_TEXT && manifest_kind(wanted) == MANIFEST_TEXT;
    if (!is_text) {
        return false;
    }
    const manifest_t *sides[] = {wanted, found};
    manifests_t *lists[2];
    const char *file = arena_text_of(arena, span_of(path + 5, strlen(path) - 6));
    for (size_t i = 0; i < 2; i++) {
        lists[i] = manifests_new(arena);
        manifest_t *map = manifests_add(lists[i], "v1", "ConfigMap", "one");
        manifest_set_text(manifest_add_map(map, "data"), file, manifest_text_of(sides[i]));
    }
    struct diff diff = diff_manifests(arena, lists[0], lists[1], NULL, 0);
    for (size_t i = 0; i < diff.n_changes; i++) {
        add_drift(self,
                  (struct live_drift){.kind = LIVE_CHANGED,
                                      .path = diff.changes[i].path,
                                      .wanted = diff.changes[i].old_text,
                                      .found = diff.changes[i].new_text},
                  manager);
    }
    return diff.n_changes > 0;
}

static void note_changed(struct comparing *self, const char *path, const manifest_t *found, const manifest_t *wanted,
                         const struct live_place *place) {
    const struct live_manager *other = live_place_owner(&self->managers, place, LIVE_OTHERS);
    if (other == NULL) {
        other = live_place_owner(&self->managers, place, LIVE_MACHINE);
    }
    bool is_ours = live_place_owner(&self->managers, place, LIVE_OURS) != NULL;
    if (other == NULL || is_ours || diff_is_same_value(self->kind, path, found, wanted)) {
        return;
    }
    if (!add_config_drift(self, path, found, wanted, other)) {
        add_drift(self,
                  (struct live_drift){.kind = LIVE_CHANGED,
                                      .path = path,
                                      .wanted = diff_text_of(self->live->arena, wanted),
                                      .found = diff_text_of(self->live->arena, found)},
                  other);
    }
}

/* A ConfigMap's file goes as a whole. */
static const char *shown(const struct comparing *self, const char *path, const manifest_t *node) {
    bool is_file = strcmp(self->kind, "ConfigMap") == 0 && strncmp(path, "data", 4) == 0;
    return is_file ? "a text" : diff_text_of(self->live->arena, node);
}

static void note_added(struct comparing *self, const char *path, const manifest_t *found,
                       const struct live_place *place) {
    const struct live_manager *other = live_place_owner(&self->managers, place, LIVE_OTHERS);
    if (other != NULL && !diff_is_same_value(self->kind, path, found, NULL)) {
        add_drift(self, (struct live_drift){.kind = LIVE_ADDED, .path = path, .found = shown(self, path, found)},
                  other);
    }
}

static void note_removed(struct comparing *self, const char *path, const manifest_t *wanted) {
    if (self->managers.n > 0 && !diff_is_same_value(self->kind, path, NULL, wanted)) {
        add_drift(self, (struct live_drift){.kind = LIVE_REMOVED, .path = path, .wanted = shown(self, path, wanted)},
                  NULL);
    }
}

/* ---- the walk ---- */

/* What stays of `found`; NULL: nothing. */
static manifest_t *walk(struct comparing *self, const char *path, const manifest_t *found, const manifest_t *wanted,
                        const struct live_place *place);

static bool is_kind(const manifest_t *node, enum manifest_kind kind) {
    return node != NULL && manifest_kind(node) == kind;
}

static manifest_t *walk_map(struct comparing *self, const char *path, const manifest_t *found, const manifest_t *wanted,
                            const struct live_place *place) {
    arena_t *arena = self->live->arena;
    manifest_t *kept = manifest_map(arena);
    for (size_t i = 0; i < manifest_count(found); i++) {
        const char *key = manifest_key_at(found, i);
        const manifest_t *other = wanted == NULL ? NULL : manifest_get(wanted, key);
        struct live_place below = live_place_member(&self->managers, place, key);
        manifest_t *value = other == NULL && is_note(key)
                                ? NULL
                                : walk(self, diff_path_join(arena, path, key), manifest_at(found, i), other, &below);
        if (value != NULL) {
            manifest_set(kept, key, value);
        }
    }
    for (size_t i = 0; wanted != NULL && i < manifest_count(wanted); i++) {
        const char *key = manifest_key_at(wanted, i);
        if (manifest_get(found, key) == NULL) {
            note_removed(self, diff_path_join(arena, path, key), manifest_at(wanted, i));
        }
    }
    return kept;
}

static manifest_t *walk_named(struct comparing *self, const char *path, const manifest_t *found,
                              const manifest_t *wanted, const struct live_place *place) {
    arena_t *arena = self->live->arena;
    manifest_t *kept = manifest_list(arena);
    for (size_t i = 0; i < manifest_count(found); i++) {
        const char *name = diff_item_name(manifest_at(found, i));
        struct live_place below = live_place_item(&self->managers, place, manifest_at(found, i));
        manifest_t *item = walk(self, arena_format(arena, "%s[%s]", path, name), manifest_at(found, i),
                                wanted == NULL ? NULL : diff_item_named(wanted, name), &below);
        if (item != NULL) {
            manifest_append(kept, item);
        }
    }
    for (size_t i = 0; wanted != NULL && i < manifest_count(wanted); i++) {
        const char *name = diff_item_name(manifest_at(wanted, i));
        if (diff_item_named(found, name) == NULL) {
            note_removed(self, arena_format(arena, "%s[%s]", path, name), manifest_at(wanted, i));
        }
    }
    return kept;
}

static manifest_t *walk_positions(struct comparing *self, const char *path, const manifest_t *found,
                                  const manifest_t *wanted, const struct live_place *place) {
    manifest_t *kept = manifest_list(self->live->arena);
    for (size_t i = 0; i < manifest_count(found); i++) {
        bool has_other = wanted != NULL && i < manifest_count(wanted);
        struct live_place below = live_place_item(&self->managers, place, manifest_at(found, i));
        manifest_t *item = walk(self, arena_format(self->live->arena, "%s[%zu]", path, i), manifest_at(found, i),
                                has_other ? manifest_at(wanted, i) : NULL, &below);
        if (item != NULL) {
            manifest_append(kept, item);
        }
    }
    for (size_t i = manifest_count(found); wanted != NULL && i < manifest_count(wanted); i++) {
        note_removed(self, arena_format(self->live->arena, "%s[%zu]", path, i), manifest_at(wanted, i));
    }
    return kept;
}

static manifest_t *walk_end(struct comparing *self, const char *path, const manifest_t *found, const manifest_t *wanted,
                            const struct live_place *place) {
    if (wanted != NULL) {
        note_changed(self, path, found, wanted, place);
        return manifest_copy(self->live->arena, found);
    }
    if (self->managers.n == 0 || live_place_owner(&self->managers, place, LIVE_OURS) != NULL) {
        return manifest_copy(self->live->arena, found);
    }
    note_added(self, path, found, place);
    return NULL;
}

static manifest_t *walk(struct comparing *self, const char *path, const manifest_t *found, const manifest_t *wanted,
                        const struct live_place *place) {
    if (wanted == NULL && (is_given(self, path) || is_scaled(self, path, place))) {
        return NULL;
    }
    bool is_map = is_kind(found, MANIFEST_MAP) && (wanted == NULL || is_kind(wanted, MANIFEST_MAP));
    bool is_list = is_kind(found, MANIFEST_LIST) && (wanted == NULL || is_kind(wanted, MANIFEST_LIST));
    manifest_t *kept = NULL;
    if (is_map && manifest_count(found) > 0) {
        kept = walk_map(self, path, found, wanted, place);
    } else if (is_list && manifest_count(found) > 0) {
        bool has_names = diff_is_named(found) && (wanted == NULL || diff_is_named(wanted));
        kept = (has_names ? walk_named : walk_positions)(self, path, found, wanted, place);
    } else {
        return walk_end(self, path, found, wanted, place);
    }
    return wanted == NULL && manifest_count(kept) == 0 ? NULL : kept;
}

/* ---- objects ---- */

bool live_is_from_server(const manifest_t *object) {
    return manifest_find(object, "metadata.uid") != NULL || manifest_find(object, "metadata.resourceVersion") != NULL ||
           manifest_find(object, "metadata.managedFields") != NULL;
}

/* Helm's name where ours would stand says who installed it, and nothing of what it is. */
static void set_manager(manifest_t *labels, const manifest_t *wanted) {
    static const char key[] = "app.kubernetes.io/managed-by";
    const char *found = manifest_text_of(manifest_get(labels, key));
    const manifest_t *other = wanted == NULL ? NULL : manifest_get(wanted, key);
    if (found != NULL && other != NULL && strcmp(found, "Helm") == 0) {
        manifest_set_text(labels, key, manifest_text_of(other));
    }
}

/* Its identity is the spec's where there is one: a spec may leave the namespace to the context. */
static void add_metadata(struct comparing *self, manifest_t *kept, const manifest_t *found, const manifest_t *wanted) {
    static const char *const identity[] = {"name", "namespace"};
    static const char *const pairs[] = {"labels", "annotations"};
    struct live_place top = live_place_top(&self->managers);
    struct live_place place = live_place_member(&self->managers, &top, "metadata");
    const manifest_t *metadata = manifest_get(found, "metadata");
    const manifest_t *other = wanted == NULL ? NULL : manifest_get(wanted, "metadata");
    manifest_t *made = manifest_add_map(kept, "metadata");
    for (size_t i = 0; i < 2; i++) {
        const manifest_t *value = manifest_get(other == NULL ? metadata : other, identity[i]);
        if (value != NULL) {
            manifest_set(made, identity[i], manifest_copy(self->live->arena, value));
        }
    }
    for (size_t i = 0; i < 2; i++) {
        struct live_place below = live_place_member(&self->managers, &place, pairs[i]);
        const manifest_t *value = manifest_get(metadata, pairs[i]);
        const manifest_t *rendered = other == NULL ? NULL : manifest_get(other, pairs[i]);
        manifest_t *walked = walk(self, diff_path_join(self->live->arena, "metadata", pairs[i]),
                                  value == NULL ? manifest_map(self->live->arena) : value, rendered, &below);
        if (walked != NULL && manifest_count(walked) > 0) {
            set_manager(walked, rendered);
            manifest_set(made, pairs[i], walked);
        }
    }
}

static void add_object(struct comparing *self, const manifest_t *found, const manifest_t *wanted) {
    arena_t *arena = self->live->arena;
    manifest_t *kept = manifest_map(arena);
    struct live_place top = live_place_top(&self->managers);
    const manifest_t *version = manifest_get(wanted == NULL ? found : wanted, "apiVersion");
    if (version != NULL) {
        manifest_set(kept, "apiVersion", manifest_copy(arena, version));
    }
    manifest_set_text(kept, "kind", self->kind);
    add_metadata(self, kept, found, wanted);
    static const char *const apart[] = {"apiVersion", "kind", "metadata", "status", NULL};
    manifest_t *rest = manifest_map(arena);
    manifest_t *rendered = manifest_map(arena);
    const manifest_t *sides[] = {found, wanted};
    manifest_t *parts[] = {rest, rendered};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; sides[k] != NULL && i < manifest_count(sides[k]); i++) {
            const char *key = manifest_key_at(sides[k], i);
            size_t n = 0;
            while (apart[n] != NULL && strcmp(apart[n], key) != 0) {
                n++;
            }
            if (apart[n] == NULL) {
                manifest_set(parts[k], key, manifest_copy(arena, manifest_at(sides[k], i)));
            }
        }
    }
    manifest_t *walked = walk_map(self, "", rest, wanted == NULL ? NULL : rendered, &top);
    for (size_t i = 0; i < manifest_count(walked); i++) {
        manifest_set(kept, manifest_key_at(walked, i), manifest_copy(arena, manifest_at(walked, i)));
    }
    manifests_append(self->live->objects, kept);
}

struct live live_begin(arena_t *arena) {
    return (struct live){.arena = arena, .objects = manifests_new(arena)};
}

void live_compare(struct live *self, const manifest_t *found, const manifest_t *wanted) {
    const manifest_t *object = wanted == NULL ? found : wanted;
    const char *kind = manifest_text_of(manifest_get(object, "kind"));
    struct comparing comparing = {
        .live = self, .kind = kind == NULL ? "" : kind, .object = diff_object_name(self->arena, object)};
    if (found == NULL) {
        add_drift(&comparing, (struct live_drift){.kind = LIVE_REMOVED}, NULL);
        return;
    }
    live_managers_read(&comparing.managers, self->arena, found);
    add_object(&comparing, found, wanted);
}
