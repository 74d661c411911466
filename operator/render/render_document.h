/* The objects of one document: what its spec asks for, and last its overrides on them. This is what `render`, `check`,
 * `diff` and the others take; render.h alone knows no places to tell. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_RENDER_RENDER_DOCUMENT_H
#define CALLBOARD_OPERATOR_RENDER_RENDER_DOCUMENT_H

#include "operator/render/render.h"
#include "operator/spec/spec_document.h"

/* Adds them to `out`, behind what is there; manifests_sort() puts several documents' in order. False: an override could
 * not be applied, which is told with its place in the file. The document was checked and had no errors. */
bool render_document(const spec_document_t *document, const struct render_options *options,
                     struct diagnostics *diagnostics, manifests_t *out);

#endif
