/* Specs: any bytes are read, checked and told without harm, and as JSON and SARIF too; what is accepted is explained,
 * and rendered. The same bytes are told and rendered alike twice; and the chart's values of a spec are a spec again,
 * with the same values, and render to the same objects. */
#include "base/check.h"
#include "operator/chart/chart_values.h"
#include "operator/checks/checks.h"
#include "operator/diagnostics/diagnostics_print.h"
#include "operator/manifest/manifest_emit.h"
#include "operator/render/render_document.h"
#include "operator/spec/spec_document.h"
#include "operator/spec/spec_effective.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One reading. */
struct reading {
    arena_t *arena;
    struct spec_documents documents;
    struct diagnostics *diagnostics;
};

static void begin(struct reading *self, struct span text) {
    self->arena = arena_new();
    self->diagnostics = arena_alloc(self->arena, sizeof *self->diagnostics);
    struct spec_settings *settings = arena_alloc(self->arena, sizeof *settings); /* documents look into them later */
    *settings = (struct spec_settings){.items = NULL};
    spec_documents_init(&self->documents, self->arena);
    diagnostics_init(self->diagnostics, self->arena);
    spec_documents_read(&self->documents, "fuzz.yaml", text, settings, self->diagnostics);
    spec_documents_close(&self->documents, settings, self->diagnostics);
    for (size_t i = 0; i < self->documents.n; i++) {
        checks_run(self->documents.items[i], self->diagnostics);
    }
}

static void finish(struct reading *self) {
    spec_documents_finish(&self->documents);
    arena_destroy(&self->arena);
}

/* False: an override does not apply. */
static bool render(struct reading *self, size_t index, struct buffer *out) {
    static const struct render_options options = {NULL, NULL};
    manifests_t *objects = manifests_new(self->arena);
    if (!render_document(self->documents.items[index], &options, self->diagnostics, objects)) {
        return false;
    }
    manifests_append_yaml(objects, out);
    return true;
}

static void tell(struct span text, struct buffer *out) {
    struct reading self;
    begin(&self, text);
    for (size_t i = 0; i < self.documents.n && self.diagnostics->n_errors == 0; i++) {
        spec_effective_append_json(self.documents.items[i], out);
        (void) render(&self, i, out);
    }
    diagnostics_sort(self.diagnostics);
    diagnostics_print_text(self.diagnostics, true, false, out);
    diagnostics_print_json(self.diagnostics, out);
    diagnostics_print_sarif(self.diagnostics, out);
    finish(&self);
}

/* ---- by the chart's values ---- */

/* The release gives the chart name and namespace. */
static manifest_t *spec_of_values(const struct spec *spec, const manifest_t *values, arena_t *arena) {
    manifest_t *top = manifest_map(arena);
    manifest_set_text(top, "apiVersion", "callboard.dev/v1alpha1");
    manifest_set_text(top, "kind", "Callboard");
    const manifest_t *metadata = manifest_get(values, "metadata");
    manifest_set(top, "metadata", metadata == NULL ? manifest_map(arena) : manifest_copy(arena, metadata));
    manifest_set_text(manifest_get(top, "metadata"), "name", spec->metadata.name);
    manifest_set_text_if(manifest_get(top, "metadata"), "namespace", spec->metadata.namespace);
    manifest_t *own = manifest_add_map(top, "spec");
    for (size_t i = 0; i < manifest_count(values); i++) {
        const char *key = manifest_key_at(values, i);
        if (strcmp(key, "metadata") != 0) {
            manifest_set(own, key, manifest_copy(arena, manifest_at(values, i)));
        }
    }
    return top;
}

static void compare_objects(struct reading *self, size_t index, struct reading *again) {
    struct buffer direct = BUFFER_EMPTY;
    struct buffer around = BUFFER_EMPTY;
    check(render(self, index, &direct), "no override, and it does not apply");
    check(render(again, 0, &around), "no override, and it does not apply");
    check(span_equal(buffer_span(&direct), buffer_span(&around)), "rendered differently by its values:\n%.*s",
          (int) direct.size, (const char *) direct.data);
    buffer_finish(&direct);
    buffer_finish(&around);
}

static void compare_by_values(struct reading *self, size_t index) {
    const spec_document_t *document = self->documents.items[index];
    const manifest_t *values = chart_values_of(document);
    struct buffer text = BUFFER_EMPTY;
    manifest_append_yaml(spec_of_values(&document->spec, values, self->arena), &text);
    if (text.size <= CONFIG_YAML_BYTES_MAX) {
        struct reading again;
        begin(&again, buffer_span(&text));
        check(again.diagnostics->n_errors == 0 && again.documents.n == 1, "values are no spec:\n%.*s", (int) text.size,
              (const char *) text.data);
        check(manifest_equal(chart_values_of(again.documents.items[0]), values), "other values:\n%.*s", (int) text.size,
              (const char *) text.data);
        if (document->spec.overrides.n == 0) { /* values have none */
            compare_objects(self, index, &again);
        }
        finish(&again);
    }
    buffer_finish(&text);
}

static void compare(struct span text) {
    struct reading self;
    begin(&self, text);
    for (size_t i = 0; i < self.documents.n && self.diagnostics->n_errors == 0; i++) {
        compare_by_values(&self, i);
    }
    finish(&self);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buffer once = BUFFER_EMPTY;
    struct buffer twice = BUFFER_EMPTY;
    tell(span_of(data, size), &once);
    tell(span_of(data, size), &twice);
    check(span_equal(buffer_span(&once), buffer_span(&twice)), "told differently");
    compare(span_of(data, size));
    buffer_finish(&once);
    buffer_finish(&twice);
    return 0;
}
