/* Files to documents.
 *
 *   text ─▶ config_yaml_read_documents() ─▶ apiVersion and kind ─▶ spec_decode() ─▶ spec_derive()
 *
 * Failure modes: a file that is no YAML has no documents; its first mistake is told. A document of another kind is told
 * and left alone. */
#include "operator/spec/spec_document.h"

#include "base/memory.h"
#include "operator/spec/spec_decode.h"
#include "operator/spec/spec_derive.h"
#include "operator/spec/spec_lookup.h"
#include "operator/spec/spec_unknown.h"
#include "operator/spec/spec_values.h"

static const char api_version[] = "callboard.dev/v1alpha1";
static const char kind[] = "Callboard";

void spec_documents_init(struct spec_documents *self, arena_t *arena) {
    *self = (struct spec_documents){.arena = arena};
}

void spec_documents_finish(struct spec_documents *self) {
    for (size_t i = 0; i < self->n_sources; i++) {
        config_documents_finish(&self->trees[i]);
    }
    memory_free(self->trees);
    memory_free(self->sources);
    memory_free(self->items);
    *self = (struct spec_documents){0};
}

struct source_text *spec_documents_add_source(struct spec_documents *self, const char *name, struct span text) {
    size_t n = self->n_sources + 1;
    self->sources = memory_realloc(self->sources, n * sizeof *self->sources);
    self->trees = memory_realloc(self->trees, n * sizeof *self->trees);
    struct source_text *source = arena_alloc(self->arena, sizeof *source);
    *source = (struct source_text){arena_text(self->arena, name), text};
    self->sources[self->n_sources] = source;
    self->trees[self->n_sources] = (struct config_documents){NULL, 0};
    self->n_sources = n;
    return source;
}

/* ---- YAML ---- */

struct yaml_context {
    struct diagnostics *diagnostics;
    const struct source_text *source;
};

static enum diagnostic_code code_of(enum config_yaml_problem problem) {
    switch (problem) {
    case CONFIG_YAML_SYNTAX:
    case CONFIG_YAML_SECOND_DOCUMENT:
        return DIAGNOSTIC_YAML_SYNTAX;
    case CONFIG_YAML_TAB:
        return DIAGNOSTIC_YAML_TAB;
    case CONFIG_YAML_TOO_LARGE:
        return DIAGNOSTIC_YAML_TOO_LARGE;
    case CONFIG_YAML_TOO_DEEP:
        return DIAGNOSTIC_YAML_TOO_DEEP;
    case CONFIG_YAML_TOO_MANY:
        return DIAGNOSTIC_YAML_TOO_MANY;
    case CONFIG_YAML_NO_UTF8:
        return DIAGNOSTIC_YAML_NO_UTF8;
    case CONFIG_YAML_DIRECTIVE:
        return DIAGNOSTIC_YAML_DIRECTIVE;
    case CONFIG_YAML_ANCHOR:
        return DIAGNOSTIC_YAML_ANCHOR;
    case CONFIG_YAML_ALIAS:
        return DIAGNOSTIC_YAML_ALIAS;
    case CONFIG_YAML_TAG:
        return DIAGNOSTIC_YAML_TAG;
    case CONFIG_YAML_MERGE_KEY:
        return DIAGNOSTIC_YAML_MERGE_KEY;
    case CONFIG_YAML_DOUBLE_KEY:
        return DIAGNOSTIC_YAML_DOUBLE_KEY;
    case CONFIG_YAML_BAD_KEY:
        return DIAGNOSTIC_YAML_BAD_KEY;
    case CONFIG_YAML_NO_MAP:
        return DIAGNOSTIC_YAML_NO_MAP;
    }
    return DIAGNOSTIC_YAML_SYNTAX;
}

static void on_yaml_error(void *context, const struct config_yaml_error *error) {
    struct yaml_context *self = context;
    struct source_place place = {.source = self->source, .line = error->line, .column = error->column};
    diagnostics_add_text(self->diagnostics, code_of(error->problem), place, "", error->text);
    if (error->other_line > 0) {
        struct source_place other = {.source = self->source, .line = error->other_line, .column = error->other_column};
        diagnostics_other(self->diagnostics, other, "the other one");
    }
}

/* ---- one document ---- */

static bool is_text(const config_node_t *root, const char *name, const char *wanted) {
    const config_node_t *node = spec_child(root, span_of_text(name));
    return node != NULL && node->kind == CONFIG_NODE_SCALAR && strcmp(node->text, wanted) == 0;
}

/* Names the first of both that is not as it must be. */
static bool is_ours(const spec_document_t *document, struct diagnostics *diagnostics) {
    static const struct {
        const char *name;
        const char *wanted;
    } tops[] = {{"apiVersion", api_version}, {"kind", kind}};
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        if (is_text(document->root, tops[i].name, tops[i].wanted)) {
            continue;
        }
        const config_node_t *node = spec_child(document->root, span_of_text(tops[i].name));
        struct source_place place = spec_place_of_node(document, node == NULL ? document->root : node);
        bool has_text = node != NULL && node->kind == CONFIG_NODE_SCALAR;
        diagnostics_add(diagnostics, DIAGNOSTIC_NOT_OURS, place, tops[i].name, "%s%s",
                        has_text       ? spec_quote(document->arena, span_of(node->text, node->text_size))
                        : node != NULL ? "is no single value"
                                       : "is not there",
                        has_text ? " is not known here" : "");
        diagnostics_mend(diagnostics, "write %s: %s", tops[i].name, tops[i].wanted);
        return false;
    }
    return true;
}

static void add_document(struct spec_documents *self, const config_node_t *root, const struct source_text *source,
                         struct spec_settings *settings, struct diagnostics *diagnostics) {
    spec_document_t *document = arena_alloc(self->arena, sizeof *document);
    document->source = source;
    document->root = root;
    document->settings = settings;
    document->arena = self->arena;
    if (!is_ours(document, diagnostics)) {
        return;
    }
    spec_decode(document, diagnostics);
    spec_derive(document);
    self->items = memory_realloc(self->items, (self->n + 1) * sizeof *self->items);
    self->items[self->n++] = document;
}

void spec_documents_read(struct spec_documents *self, const char *name, struct span text,
                         struct spec_settings *settings, struct diagnostics *diagnostics) {
    const struct source_text *source = spec_documents_add_source(self, name, text);
    struct config_documents *trees = &self->trees[self->n_sources - 1];
    struct yaml_context context = {diagnostics, source};
    struct config_yaml_errors errors = {on_yaml_error, &context};
    size_t n_errors = diagnostics->n_errors;
    config_yaml_read_documents(text, &errors, trees);
    if (trees->n == 0 && diagnostics->n_errors == n_errors) {
        diagnostics_add(diagnostics, DIAGNOSTIC_FILE_EMPTY, (struct source_place){.source = source}, "",
                        "there is no document in it");
    }
    for (size_t i = 0; i < trees->n; i++) {
        add_document(self, trees->roots[i], source, settings, diagnostics);
    }
}

/* ---- all of them ---- */

static bool is_same_name(const spec_document_t *a, const spec_document_t *b) {
    return strcmp(a->spec.metadata.name, b->spec.metadata.name) == 0 &&
           strcmp(a->spec.metadata.namespace, b->spec.metadata.namespace) == 0;
}

static void tell_double_names(const struct spec_documents *self, struct diagnostics *diagnostics) {
    for (size_t i = 1; i < self->n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (self->items[i]->spec.metadata.name[0] == '\0' || !is_same_name(self->items[i], self->items[k])) {
                continue;
            }
            diagnostics_add(diagnostics, DIAGNOSTIC_DOUBLE_NAME, spec_place(self->items[i], "metadata.name"),
                            "metadata.name", "%s is there already", self->items[i]->spec.metadata.name);
            diagnostics_other(diagnostics, spec_place(self->items[k], "metadata.name"), "the other one");
            break;
        }
    }
}

static void tell_unused(struct spec_settings *settings, struct diagnostics *diagnostics) {
    struct spec_level level;
    level.tables = spec_sections(&level.n);
    for (size_t i = 0; i < settings->n; i++) {
        const struct spec_setting *setting = &settings->items[i];
        const struct spec_setting *counts = spec_setting_of(settings, setting->path);
        if (setting->is_used || counts->is_used) {
            continue;
        }
        struct source_place place = {.setting = setting->text};
        struct span path = span_of_text(setting->path);
        if (spec_find_field(path) != NULL) {
            diagnostics_add(diagnostics, DIAGNOSTIC_BAD_SETTING, place, setting->path, "there is no such item");
            diagnostics_mend(diagnostics, "add it to the file");
        } else {
            spec_tell_unknown(diagnostics, &level, place, path, setting->path);
        }
    }
}

void spec_documents_close(struct spec_documents *self, struct spec_settings *settings,
                          struct diagnostics *diagnostics) {
    tell_double_names(self, diagnostics);
    if (self->n > 0) { /* else nothing could take them */
        tell_unused(settings, diagnostics);
    }
}
