/* Every field of a document with the value that counts, and who gave it: the file, a setting, the profile, other
 * fields. Thread: any (no state). */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_EFFECTIVE_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_EFFECTIVE_H

#include "operator/spec/spec_document.h"

/* As it would be written; lists and maps as [a, b] and {a: b}, raw ones as "…". Appends nothing for an empty text. */
void spec_append_value(const struct spec_field *field, const void *target, struct buffer *out);
/* One line a field: path: value   # from where. */
void spec_effective_append_text(const spec_document_t *document, struct buffer *out);
/* {"path": {"value": …, "from": …}, …} */
void spec_effective_append_json(const spec_document_t *document, struct buffer *out);

#endif
