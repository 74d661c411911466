/* Specs: any bytes are read, checked and told without harm, and as JSON and SARIF too; what is accepted is explained.
 * The same bytes are told alike twice. The chart's values of a spec are a spec again, with the same values. */
#include "base/check.h"
#include "operator/chart/chart_values.h"
#include "operator/checks/checks.h"
#include "operator/diagnostics/diagnostics_print.h"
#include "operator/manifest/manifest_emit.h"
#include "operator/spec/spec_document.h"
#include "operator/spec/spec_effective.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The values with what a document has around them. */
static void append_as_spec(arena_t *arena, const manifest_t *values, struct buffer *out) {
    manifest_t *document = manifest_map(arena);
    manifest_set_text(document, "apiVersion", "callboard.dev/v1alpha1");
    manifest_set_text(document, "kind", "Callboard");
    manifest_set(document, "metadata", manifest_copy(arena, manifest_get(values, "metadata")));
    manifest_t *spec = manifest_copy(arena, values);
    manifest_remove(spec, "metadata");
    manifest_set(document, "spec", spec);
    manifest_append_yaml(document, out);
}

static void read_values_again(const manifest_t *values) {
    arena_t *arena = arena_new();
    struct buffer text = BUFFER_EMPTY;
    append_as_spec(arena, values, &text);
    struct spec_settings settings = {.items = NULL};
    struct spec_documents documents;
    struct diagnostics *diagnostics = arena_alloc(arena, sizeof *diagnostics);
    spec_documents_init(&documents, arena);
    diagnostics_init(diagnostics, arena);
    spec_documents_read(&documents, "values.yaml", buffer_span(&text), &settings, diagnostics);
    check(diagnostics->n_errors == 0 && documents.n == 1, "values are no spec:\n%.*s", (int) text.size,
          (const char *) text.data);
    check(manifest_equal(chart_values_of(documents.items[0]), values), "other values:\n%.*s", (int) text.size,
          (const char *) text.data);
    spec_documents_finish(&documents);
    buffer_finish(&text);
    arena_destroy(&arena);
}

static void tell(struct span text, struct buffer *out) {
    arena_t *arena = arena_new();
    struct spec_settings settings = {.items = NULL};
    struct spec_documents documents;
    struct diagnostics *diagnostics = arena_alloc(arena, sizeof *diagnostics);
    spec_documents_init(&documents, arena);
    diagnostics_init(diagnostics, arena);
    spec_documents_read(&documents, "fuzz.yaml", text, &settings, diagnostics);
    spec_documents_close(&documents, &settings, diagnostics);
    for (size_t i = 0; i < documents.n; i++) {
        checks_run(documents.items[i], diagnostics);
    }
    diagnostics_sort(diagnostics);
    diagnostics_print_text(diagnostics, true, false, out);
    diagnostics_print_json(diagnostics, out);
    diagnostics_print_sarif(diagnostics, out);
    for (size_t i = 0; i < documents.n && diagnostics->n_errors == 0; i++) {
        spec_effective_append_json(documents.items[i], out);
        read_values_again(chart_values_of(documents.items[i]));
    }
    spec_documents_finish(&documents);
    arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buffer once = BUFFER_EMPTY;
    struct buffer twice = BUFFER_EMPTY;
    tell(span_of(data, size), &once);
    tell(span_of(data, size), &twice);
    check(span_equal(buffer_span(&once), buffer_span(&twice)), "told differently");
    buffer_finish(&once);
    buffer_finish(&twice);
    return 0;
}
