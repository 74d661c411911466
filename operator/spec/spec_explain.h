/* The tables for a person: one field, one section, all of them; and as the reference of docs/operator.md. Thread: any
 * (no state). */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_EXPLAIN_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_EXPLAIN_H

#include "operator/spec/spec_table.h"

/* All that the table knows. `path` is the whole one, as it was asked for. */
void spec_explain_field(const struct spec_field *field, struct span path, struct buffer *out);
/* The fields whose paths begin with this section, a line each; "" for all. False: there are none. */
bool spec_explain_section(struct span path, struct buffer *out);
/* The field or section that may have been meant; empty: none is near. */
struct span spec_explain_nearest(struct span path);
void spec_explain_markdown(struct buffer *out);

#endif
