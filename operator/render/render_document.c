/* Overrides: each names an object by kind and name, and patches it by RFC 6902, in the order of the file. An object may
 * be patched in whatever it has but its identity: what it is called decides which other objects mean it.
 *
 * Failure modes: no such object (the nearest name is told), an operation that does not apply. All are told in one run;
 * of one override only the first, as the others may follow from it. */
#include "operator/render/render_document.h"

#include "base/config_nearest.h"
#include "operator/manifest/json_patch.h"

#include <string.h>

struct overriding {
    const spec_document_t *document;
    struct diagnostics *diagnostics;
    manifests_t *objects; /* of this document only */
    arena_t *arena;
};

static const char *kind_of(const manifest_t *object) {
    return manifest_text_of(manifest_get(object, "kind"));
}

static const char *name_of(const manifest_t *object) {
    return manifest_text_of(manifest_find(object, "metadata.name"));
}

static void tell(const struct overriding *self, enum diagnostic_code code, const char *path, const char *what) {
    diagnostics_add(self->diagnostics, code, spec_place(self->document, path),
                    arena_format(self->arena, "spec.%s", path), "%s", what);
}

/* ---- the object ---- */

static void consider_objects(const struct overriding *self, const char *kind, struct config_nearest *ret_kind,
                             struct config_nearest *ret_name) {
    for (size_t i = 0; i < manifests_count(self->objects); i++) {
        const manifest_t *object = manifests_at(self->objects, i);
        config_nearest_consider(ret_kind, span_of_text(kind_of(object)));
        if (strcmp(kind_of(object), kind) == 0) {
            config_nearest_consider(ret_name, span_of_text(name_of(object)));
        }
    }
}

static bool has_kind(const struct overriding *self, const char *kind) {
    for (size_t i = 0; i < manifests_count(self->objects); i++) {
        if (strcmp(kind_of(manifests_at(self->objects, i)), kind) == 0) {
            return true;
        }
    }
    return false;
}

/* A misspelt kind, else a misspelt name of that kind. */
static void tell_unknown(const struct overriding *self, size_t index, const struct spec_override *override) {
    struct config_nearest kind = config_nearest_to(span_of_text(override->kind));
    struct config_nearest name = config_nearest_to(span_of_text(override->name));
    bool is_kind = has_kind(self, override->kind);
    consider_objects(self, override->kind, &kind, &name);
    struct span best = is_kind ? name.best : kind.best;
    tell(self, DIAGNOSTIC_OVERRIDE_TARGET,
         arena_format(self->arena, "overrides[%zu].target.%s", index, is_kind ? "name" : "kind"),
         is_kind ? arena_format(self->arena, "no %s is called %s", override->kind, override->name)
                 : arena_format(self->arena, "no %s is rendered", override->kind));
    if (best.size > 0) {
        diagnostics_mend(self->diagnostics, "did you mean %.*s?", (int) best.size, (const char *) best.data);
    }
}

/* ---- its operations ---- */

static const config_node_t *member(const config_node_t *map, const char *name) {
    for (size_t i = 0; i < map->n_children; i++) {
        if (strcmp(map->children[i]->name, name) == 0) {
            return map->children[i];
        }
    }
    return NULL;
}

static const char *text_of(const config_node_t *node) {
    return node == NULL ? NULL : node->text;
}

/* NULL: done. */
static const char *apply_operation(const struct overriding *self, manifest_t *object, const config_node_t *item) {
    const config_node_t *value = member(item, "value");
    const struct json_patch_operation operation = {
        .op = text_of(member(item, "op")),
        .path = text_of(member(item, "path")),
        .from = text_of(member(item, "from")),
        .value = value == NULL ? NULL : manifest_of_yaml(self->arena, value),
    };
    return json_patch_apply(self->arena, object, &operation);
}

static bool is_text(const manifest_t *node, const char *text) {
    return node != NULL && manifest_kind(node) == MANIFEST_TEXT && strcmp(manifest_text_of(node), text) == 0;
}

static bool has_identity(const manifest_t *object, const struct spec_override *override) {
    const manifest_t *api = manifest_get(object, "apiVersion");
    return api != NULL && manifest_kind(api) == MANIFEST_TEXT &&
           is_text(manifest_get(object, "kind"), override->kind) &&
           is_text(manifest_find(object, "metadata.name"), override->name);
}

static bool apply_override(const struct overriding *self, size_t index, const struct spec_override *override) {
    manifest_t *object = manifests_find(self->objects, override->kind, override->name);
    if (object == NULL) {
        tell_unknown(self, index, override);
        return false;
    }
    for (size_t i = 0; override->patch != NULL && i < override->patch->n_children; i++) {
        const char *why = apply_operation(self, object, override->patch->children[i]);
        if (why == NULL && !has_identity(object, override)) {
            why = "apiVersion, kind and metadata.name say which object it is, and stay";
        }
        if (why != NULL) {
            tell(self, DIAGNOSTIC_OVERRIDE_FAILED, arena_format(self->arena, "overrides[%zu].patch[%zu]", index, i),
                 arena_format(self->arena, "%s %s: %s", override->kind, override->name, why));
            return false;
        }
    }
    return true;
}

bool render_document(const spec_document_t *document, const struct render_options *options,
                     struct diagnostics *diagnostics, manifests_t *out) {
    const struct spec_override *overrides = document->spec.overrides.items;
    struct overriding self = {
        .document = document,
        .diagnostics = diagnostics,
        .objects = manifests_new(manifests_arena(out)),
        .arena = manifests_arena(out),
    };
    bool is_good = true;
    render_manifests(&document->spec, options, self.objects);
    for (size_t i = 0; i < document->spec.overrides.n; i++) {
        is_good = apply_override(&self, i, &overrides[i]) && is_good;
    }
    for (size_t i = 0; i < manifests_count(self.objects); i++) {
        manifests_append(out, manifests_at(self.objects, i));
    }
    return is_good;
}
