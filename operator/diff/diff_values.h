/* Values of objects as they are compared: whether two are the same to Kubernetes, where they stand, and as text for a
 * person. Pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_DIFF_DIFF_VALUES_H
#define CALLBOARD_OPERATOR_DIFF_DIFF_VALUES_H

#include "operator/manifest/manifest.h"

/* The same value at `path` of an object of this kind: what the API server fills in counts as set, and amounts may be
 * written otherwise. NULL: nothing stands there. Of two maps or lists, whether all of it is equal. */
bool diff_is_same_value(const char *kind, const char *path, const manifest_t *a, const manifest_t *b);
/* One line, cut when long; NULL for NULL. */
const char *diff_text_of(arena_t *arena, const manifest_t *node);
/* spec.ports, metadata.labels[app.kubernetes.io/name] */
const char *diff_path_join(arena_t *arena, const char *path, const char *key);

/* What names an item of a list: its name, mountPath, topologyKey, key or type. NULL: nothing does. */
const char *diff_item_name(const manifest_t *item);
manifest_t *diff_item_named(const manifest_t *list, const char *name); /* NULL: none */
bool diff_is_named(const manifest_t *list); /* each item has a name, and none has another's */

#endif
