/* values.yaml and profiles/NAME.yaml from the tables. A field whose default differs between profiles, or follows from
 * other fields, stands in values.yaml as a comment only: a value there would win over the profile's.
 *
 *     # Gateway pods. […] By profile: dev 1, small 2, ha 3, cluster 3, elasticache 3.
 *     # replicas: 2
 */
#include "operator/chart/chart_fields.h"
#include "operator/chart/chart_values.h"
#include "operator/manifest/manifest_emit.h"
#include "operator/yaml_comment.h"

#include <string.h>

enum { WIDTH = 120, SMALL = SPEC_PROFILE_SMALL };

/* ---- which fields ---- */

/* A namespace is the release's; a chart cannot change the text of its objects afterwards (overrides). */
bool chart_has_field(const char *path) {
    return strcmp(path, "metadata.namespace") != 0 && strcmp(path, "overrides") != 0;
}

/* What stands in values.yaml itself; NULL: a comment. */
static manifest_t *live_value(arena_t *arena, const struct spec_field *field, const char *path) {
    const char *text = spec_default_of(field, SMALL);
    if (!chart_is_common(field) || strcmp(path, "kubernetes.version") == 0) {
        return NULL;
    }
    if (text != NULL && field->type <= SPEC_CHOICE) {
        return chart_scalar(arena, field, text);
    }
    switch (field->type) {
    case SPEC_TEXT:
        return manifest_text(arena, "");
    case SPEC_PAIRS:
    case SPEC_RAW_MAP:
        return manifest_map(arena);
    case SPEC_TEXT_LIST:
    case SPEC_ITEM_LIST:
    case SPEC_RAW_LIST:
        return manifest_list(arena);
    case SPEC_BOOL:
    case SPEC_COUNT:
    case SPEC_MEMORY:
    case SPEC_CPU:
    case SPEC_DURATION:
    case SPEC_CHOICE:
        break;
    }
    return NULL;
}

/* ---- profiles/NAME.yaml ---- */

manifest_t *chart_profile(arena_t *arena, int profile) {
    size_t n;
    const struct spec_fields *const *sections = spec_sections(&n);
    manifest_t *top = manifest_map(arena);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sections[i]->n; k++) {
            const struct spec_field *field = &sections[i]->fields[k];
            const char *text = spec_default_of(field, profile);
            if (!chart_is_common(field) && text != NULL) {
                chart_set_at(top, field->path, chart_scalar(arena, field, text));
            }
        }
    }
    return top;
}

/* ---- values.yaml ---- */

struct writer {
    struct buffer *out;
    arena_t *arena;
    manifest_t *live; /* all that is no comment, nested */
};

static void append_help(const struct writer *self, const struct spec_field *field, const char *path, size_t depth) {
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, field->help);
    if (strcmp(path, "metadata.name") == 0) {
        buffer_append_text(&text, " Not set: the release's name.");
    } else if (strcmp(path, "kubernetes.version") == 0) {
        buffer_append_text(&text, " Not set: the version of the cluster that the chart is installed in.");
    } else if (!chart_is_common(field)) {
        buffer_append_text(&text, " By profile:");
        for (int profile = 0; profile < SPEC_PROFILES; profile++) {
            const char *own = spec_default_of(field, profile);
            buffer_append_format(&text, "%s %s %s", profile == 0 ? "" : ",", spec_profile_name(profile),
                                 own == NULL ? "none" : own);
        }
        buffer_append_char(&text, '.');
    } else if (field->derived != NULL && spec_default_of(field, SMALL) == NULL &&
               strstr(field->help, "Not set") == NULL) {
        buffer_append_format(&text, " Not set: %s.", field->derived);
    }
    yaml_append_comment(self->out, depth, WIDTH, arena_text_of(self->arena, buffer_span(&text)));
    buffer_finish(&text);
}

/* Headers of the sections that this path enters, where the one before was not in them. A section of comments is one. */
static size_t append_sections(const struct writer *self, const char *path, const char *before) {
    size_t depth = 0;
    for (const char *at = path; strchr(at, '.') != NULL; at = strchr(at, '.') + 1, depth++) {
        size_t size = (size_t) (strchr(at, '.') - path) + 1;
        if (strncmp(path, before, size) == 0) {
            continue;
        }
        bool is_live = manifest_find(self->live, arena_text_of(self->arena, span_of(path, size - 1))) != NULL;
        buffer_append_text(self->out, depth == 0 ? "\n" : "");
        yaml_append_indent(self->out, depth);
        buffer_append_format(self->out, "%s%.*s:\n", is_live ? "" : "# ", (int) strcspn(at, "."), at);
    }
    return depth;
}

/* "name: value", of a map with one key. */
static void append_pair(const struct writer *self, const char *name, manifest_t *value) {
    manifest_t *pair = manifest_map(self->arena);
    manifest_set(pair, name, value);
    manifest_append_yaml(pair, self->out);
}

static void append_field(const struct writer *self, const struct spec_field *field, const char *path,
                         const char *before) {
    const char *dot = strrchr(path, '.');
    const char *name = dot == NULL ? path : dot + 1;
    const char *text = spec_default_of(field, SMALL);
    size_t depth = append_sections(self, path, before);
    manifest_t *value = live_value(self->arena, field, path);
    append_help(self, field, path, depth);
    yaml_append_indent(self->out, depth);
    if (value != NULL) {
        append_pair(self, name, value);
    } else if (text != NULL) {
        buffer_append_text(self->out, "# ");
        append_pair(self, name, chart_scalar(self->arena, field, text));
    } else {
        buffer_append_format(self->out, "# %s:\n", name);
    }
}

/* Calls for each field of metadata, of all sections in the order of the docs, and of the chart's own. */
static void each_field(struct writer *self, void (*visit)(struct writer *self, const struct spec_field *field,
                                                          const char *path, const char *before)) {
    size_t n;
    const struct spec_fields *const *sections = spec_sections(&n);
    const char *before = "";
    for (size_t i = 0; i <= n + 1; i++) {
        const struct spec_fields *fields = i == 0   ? &spec_fields_metadata
                                           : i <= n ? sections[i - 1]
                                                    : &chart_test_fields;
        for (size_t k = 0; k < fields->n; k++) {
            const char *path = arena_format(self->arena, "%s%s", i == 0 ? "metadata." : "", fields->fields[k].path);
            if (chart_has_field(path)) {
                visit(self, &fields->fields[k], path, before);
                before = path;
            }
        }
    }
}

static void collect(struct writer *self, const struct spec_field *field, const char *path, const char *before) {
    (void) before;
    manifest_t *value = live_value(self->arena, field, path);
    if (value != NULL) {
        chart_set_at(self->live, path, value);
    }
}

static void print(struct writer *self, const struct spec_field *field, const char *path, const char *before) {
    if (strchr(path, '.') == NULL && strchr(before, '.') != NULL) {
        buffer_append_char(self->out, '\n');
    }
    append_field(self, field, path, before);
}

void chart_values_append_defaults(struct buffer *out) {
    arena_t *arena = arena_new();
    struct writer self = {.out = out, .arena = arena, .live = manifest_map(arena)};
    buffer_append_text(
        out,
        "# The values are the fields of a spec (docs/operator-reference.md) under the same names. Printed from the "
        "operator's\n# tables by tools/print_chart. A line behind a # shows what counts where nothing is set: it "
        "follows from the profile or from\n# other fields. profiles/ has the defaults of each profile.\n");
    each_field(&self, collect);
    each_field(&self, print);
    arena_destroy(&arena);
}
