/* The tables as a JSON Schema (draft-07, which editors and Helm read). Thread: any (no state). */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_SCHEMA_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_SCHEMA_H

#include "base/bytes.h"
#include "operator/spec/spec_table.h"

/* Of a whole document: apiVersion, kind, metadata, spec. */
void spec_schema_append(struct buffer *out);
/* Of what stands in `spec` alone: an object with these properties, without braces around ("type": "object", …). */
void spec_schema_append_spec(struct buffer *out, unsigned depth);
/* Of the chart's values: metadata, what stands in `spec`, and the chart's own fields, side by side. */
void spec_schema_append_values(const struct spec_fields *own, struct buffer *out);

#endif
