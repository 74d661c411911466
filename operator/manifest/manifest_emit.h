/* Manifests as text: LF, a final newline, two spaces, keys as they were set, no line folded. A text that some YAML
 * reader would take for a number, a truth value, nothing or a date stands in quotes; one of several lines stands as a
 * block. The same tree gives the same bytes anywhere. Thread: any (no state). */
#ifndef CALLBOARD_OPERATOR_MANIFEST_MANIFEST_EMIT_H
#define CALLBOARD_OPERATOR_MANIFEST_MANIFEST_EMIT_H

#include "base/bytes.h"
#include "operator/manifest/manifest.h"

void manifest_append_yaml(const manifest_t *node, struct buffer *out); /* one document, without --- */
void manifest_append_json(const manifest_t *node, struct buffer *out); /* indented, a final newline */

void manifests_append_yaml(const manifests_t *self, struct buffer *out); /* --- before each */
void manifests_append_json(const manifests_t *self, struct buffer *out); /* one List */

#endif
