/* A document's tree into its struct, field by field of the tables. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_DECODE_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_DECODE_H

#include "operator/spec/spec_document.h"

/* Fills self->spec: defaults of its profile, then what the file and the settings say. What is wrong is told. */
void spec_decode(spec_document_t *self, struct diagnostics *diagnostics);

#endif
