/* Dotted paths into trees; which defaults are whose. */
#include "operator/chart/chart_fields.h"

#include <stdlib.h>
#include <string.h>

void chart_set_at(manifest_t *top, const char *path, manifest_t *value) {
    const char *dot;
    char name[64];
    while ((dot = strchr(path, '.')) != NULL && (size_t) (dot - path) < sizeof name) {
        memcpy(name, path, (size_t) (dot - path));
        name[dot - path] = '\0';
        top = manifest_add_map(top, name);
        path = dot + 1;
    }
    manifest_set(top, path, value);
}

manifest_t *chart_scalar(arena_t *arena, const struct spec_field *field, const char *text) {
    if (field->type == SPEC_BOOL) {
        return manifest_bool(arena, strcmp(text, "true") == 0);
    }
    return field->type == SPEC_COUNT ? manifest_int(arena, strtoll(text, NULL, 10)) : manifest_text(arena, text);
}

bool chart_is_common(const struct spec_field *field) {
    const char *first = spec_default_of(field, 0);
    for (int profile = 1; profile < SPEC_PROFILES; profile++) {
        const char *other = spec_default_of(field, profile);
        bool is_same = first == other || (first != NULL && other != NULL && strcmp(first, other) == 0);
        if (!is_same) {
            return false;
        }
    }
    return true;
}
