/* See secret_object.h. */
#include "operator/cli/secret_object.h"

#include "base/base64.h"

#include <string.h>

/* ---- as it is ---- */

struct reading {
    arena_t *arena;
    const char *why;
};

static void on_error(void *context, const struct config_yaml_error *error) {
    struct reading *reading = context;
    if (reading->why == NULL) {
        reading->why = arena_format(reading->arena, "the current Secret, line %u: %s", error->line, error->text);
    }
}

static bool has_text(const manifest_t *object, const char *path, const char *text) {
    const char *found = manifest_text_of(manifest_find(object, path));
    return found != NULL && strcmp(found, text) == 0;
}

static bool is_secret(const manifest_t *object, const char *name) {
    return has_text(object, "kind", "Secret") && has_text(object, "metadata.name", name);
}

static manifest_t *find_secret(manifest_t *top, const char *name) {
    manifest_t *items = manifest_get(top, "items");
    if (is_secret(top, name)) {
        return top;
    }
    for (size_t i = 0; items != NULL && i < manifest_count(items); i++) {
        if (is_secret(manifest_at(items, i), name)) {
            return manifest_at(items, i);
        }
    }
    return NULL;
}

manifest_t *secret_object_read(arena_t *arena, const char *name, struct span text, const char **ret_why) {
    struct reading reading = {.arena = arena};
    const struct config_yaml_errors errors = {on_error, &reading};
    struct config_documents documents;
    manifest_t *found = NULL;
    if (!config_yaml_read_documents(text, &errors, &documents)) {
        *ret_why = reading.why;
        return NULL;
    }
    for (size_t i = 0; i < documents.n && found == NULL; i++) {
        found = find_secret(manifest_of_yaml(arena, documents.roots[i]), name);
    }
    config_documents_finish(&documents);
    if (found == NULL) {
        *ret_why = arena_format(arena, "there is no Secret %s in what --current names", name);
    }
    return found;
}

/* ---- as it shall be ---- */

void secret_object_set(manifest_t *data, const char *key, struct span bytes) {
    struct buffer text = BUFFER_EMPTY;
    base64_encode(&text, bytes);
    buffer_append_char(&text, '\0');
    manifest_set_text(data, key, (const char *) text.data);
    explicit_bzero(text.data, text.size);
    buffer_finish(&text);
}

/* What the API server keeps for itself would refuse the next apply. */
manifest_t *secret_object_add(const manifest_t *current, const char *name, manifests_t *out) {
    static const char *const kept[] = {"namespace", "labels", "annotations"};
    const manifest_t *old = manifest_get(current, "metadata");
    manifest_t *secret = manifests_add(out, "v1", "Secret", name);
    manifest_t *metadata = manifest_get(secret, "metadata");
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        const manifest_t *value = manifest_get(old, kept[i]);
        if (value != NULL) {
            manifest_set(metadata, kept[i], manifest_copy(manifests_arena(out), value));
        }
    }
    manifest_t *annotations = manifest_get(metadata, "annotations");
    if (annotations != NULL && manifest_kind(annotations) == MANIFEST_MAP) { /* it quotes the old passwords */
        manifest_remove(annotations, "kubectl.kubernetes.io/last-applied-configuration");
    }
    manifest_set_text(secret, "type", "Opaque");
    return manifest_add_map(secret, "data");
}
