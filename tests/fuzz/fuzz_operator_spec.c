/* Specs: any bytes are read, checked and told without harm, and as JSON and SARIF too; what is accepted is explained.
 * The same bytes are told alike twice. */
#include "base/check.h"
#include "operator/checks/checks.h"
#include "operator/diagnostics/diagnostics_print.h"
#include "operator/spec/spec_document.h"
#include "operator/spec/spec_effective.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
