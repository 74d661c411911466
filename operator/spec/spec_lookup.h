/* Looking into a document's tree, for the files of this folder. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_LOOKUP_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_LOOKUP_H

#include "operator/spec/spec_document.h"

/* NULL: no map, or no such key that was not refused. */
const config_node_t *spec_child(const config_node_t *map, struct span name);
/* Down a dotted path with indices; NULL: it ends before. `ret_deepest` (may be NULL): how far it led, if anywhere. */
const config_node_t *spec_descend(const config_node_t *from, struct span path, const config_node_t **ret_deepest);
struct source_place spec_place_of_node(const spec_document_t *self, const config_node_t *node);
struct source_place spec_place_of_key(const spec_document_t *self, const config_node_t *node);
/* NULL: none of this path. */
struct spec_setting *spec_setting_of(const struct spec_settings *settings, const char *path);

#endif
