/* A Secret as kubectl prints it, alone or in a List, in YAML or JSON; and what it becomes. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_CLI_SECRET_OBJECT_H
#define CALLBOARD_OPERATOR_CLI_SECRET_OBJECT_H

#include "operator/manifest/manifest.h"

/* NULL: it is not there, or `text` cannot be read; ret_why says so, in the arena. */
manifest_t *secret_object_read(arena_t *arena, const char *name, struct span text, const char **ret_why);
/* Adds one of that name to `out`, with the labels and annotations of the current one and without what the API server
 * keeps for itself: its `data`, still empty. */
manifest_t *secret_object_add(const manifest_t *current, const char *name, manifests_t *out);
/* data[key] = base64 of the bytes. */
void secret_object_set(manifest_t *data, const char *key, struct span bytes);

#endif
