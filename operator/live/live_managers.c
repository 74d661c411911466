/* See live_managers.h. A tree that ends (f:command: {}) means all below; but where another manager's goes on there, the
 * one that ends only made the empty map. */
#include "operator/live/live_managers.h"

#include <string.h>

static const char *text_at(const manifest_t *node, const char *key) {
    const char *text = manifest_text_of(manifest_get(node, key));
    return text == NULL ? "" : text;
}

/* ---- who ---- */

static bool is_named(const char *name, const char *const *names) {
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Its tree has our label: it made the object what it is. */
static bool has_installed(const manifest_t *fields) {
    const manifest_t *metadata = manifest_get(fields, "f:metadata");
    const manifest_t *labels = metadata == NULL ? NULL : manifest_get(metadata, "f:labels");
    return labels != NULL && manifest_get(labels, "f:app.kubernetes.io/part-of") != NULL;
}

static bool is_machine(const char *name, const char *subresource) {
    static const char *const parts[] = {"controller", "autoscaler", "cert-manager", "istio", "linkerd", "keda"};
    bool is_one = subresource[0] != '\0' || strncmp(name, "kube-", 5) == 0 || strncmp(name, "vpa-", 4) == 0;
    for (size_t i = 0; !is_one && i < sizeof parts / sizeof parts[0]; i++) {
        is_one = strstr(name, parts[i]) != NULL;
    }
    return is_one;
}

static enum live_side side_of(const char *name, const char *subresource, const manifest_t *fields) {
    static const char *const ours[] = {"callboard-operator", "helm", "Helm", NULL};
    if (is_named(name, ours) || has_installed(fields)) {
        return LIVE_OURS;
    }
    return is_machine(name, subresource) ? LIVE_MACHINE : LIVE_OTHERS;
}

void live_managers_read(struct live_managers *self, arena_t *arena, const manifest_t *object) {
    const manifest_t *list = manifest_find(object, "metadata.managedFields");
    *self = (struct live_managers){.arena = arena};
    for (size_t i = 0; list != NULL && i < manifest_count(list) && self->n < LIVE_MANAGERS_MAX; i++) {
        const manifest_t *entry = manifest_at(list, i);
        const manifest_t *fields = manifest_get(entry, "fieldsV1");
        if (fields != NULL && manifest_kind(fields) == MANIFEST_MAP) {
            const char *name = text_at(entry, "manager");
            /* scale counts as a person's too: `kubectl scale` is one */
            bool is_person = strncmp(name, "kubectl", 7) == 0;
            self->items[self->n++] = (struct live_manager){
                .name = name,
                .time = text_at(entry, "time"),
                .is_applier = strcmp(text_at(entry, "operation"), "Apply") == 0,
                .side = side_of(name, is_person ? "" : text_at(entry, "subresource"), fields),
                .fields = fields,
            };
        }
    }
}

/* ---- where ---- */

struct live_place live_place_top(const struct live_managers *self) {
    struct live_place place = {{NULL}};
    for (size_t i = 0; i < self->n; i++) {
        place.fields[i] = self->items[i].fields;
    }
    return place;
}

static bool is_end(const manifest_t *fields) {
    return manifest_count(fields) == 0;
}

/* Who ends here keeps all below, unless somebody's tree goes on. */
static struct live_place keep_ends(const struct live_managers *self, const struct live_place *above,
                                   struct live_place below) {
    bool is_known = false;
    for (size_t i = 0; i < self->n; i++) {
        is_known = is_known || below.fields[i] != NULL;
    }
    for (size_t i = 0; !is_known && i < self->n; i++) {
        below.fields[i] = above->fields[i] != NULL && is_end(above->fields[i]) ? above->fields[i] : NULL;
    }
    return below;
}

struct live_place live_place_member(const struct live_managers *self, const struct live_place *place, const char *key) {
    struct live_place below = {{NULL}};
    const char *name = arena_format(self->arena, "f:%s", key);
    for (size_t i = 0; i < self->n; i++) {
        below.fields[i] = place->fields[i] == NULL ? NULL : manifest_get(place->fields[i], name);
    }
    return keep_ends(self, place, below);
}

static void forget(void *context, const struct config_yaml_error *error) {
    (void) context; /* what is no key of a list names none of its items */
    (void) error;
}

static bool is_same(const manifest_t *a, const manifest_t *b) {
    return a != NULL && b != NULL && manifest_equal(a, b);
}

/* The values of k:{…} and v:… are JSON, which is YAML too. */
static bool names_item(arena_t *arena, const char *name, const manifest_t *item) {
    struct config_yaml_errors errors = {.on_error = forget};
    config_node_t *root = config_yaml_read(span_of_text(name + 2), &errors);
    const manifest_t *key = root == NULL ? NULL : manifest_of_yaml(arena, root);
    config_node_destroy(&root);
    if (key == NULL || name[0] == 'v') {
        return is_same(key, item);
    }
    bool is_it = manifest_kind(item) == MANIFEST_MAP && manifest_count(key) > 0;
    for (size_t i = 0; is_it && i < manifest_count(key); i++) {
        is_it = is_same(manifest_at(key, i), manifest_get(item, manifest_key_at(key, i)));
    }
    return is_it;
}

static const manifest_t *fields_of_item(arena_t *arena, const manifest_t *list, const manifest_t *item) {
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const char *name = manifest_key_at(list, i);
        bool is_key = (name[0] == 'k' || name[0] == 'v') && name[1] == ':';
        if (is_key && names_item(arena, name, item)) {
            return manifest_at(list, i);
        }
    }
    return NULL;
}

struct live_place live_place_item(const struct live_managers *self, const struct live_place *place,
                                  const manifest_t *item) {
    struct live_place below = {{NULL}};
    for (size_t i = 0; i < self->n; i++) {
        below.fields[i] = fields_of_item(self->arena, place->fields[i], item);
    }
    return keep_ends(self, place, below);
}

const struct live_manager *live_place_owner(const struct live_managers *self, const struct live_place *place,
                                            enum live_side side) {
    const struct live_manager *last = NULL;
    for (size_t i = 0; i < self->n; i++) {
        bool is_one = place->fields[i] != NULL && self->items[i].side == side;
        if (is_one && (last == NULL || strcmp(self->items[i].time, last->time) >= 0)) {
            last = &self->items[i];
        }
    }
    return last;
}
