/* JSON Patch (RFC 6902) on a manifest: add, remove, replace, move, copy and test, at places that JSON Pointers (RFC
 * 6901) name: /spec/template/spec/containers/0/env/-, ~1 for a / and ~0 for a ~ in a key. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_MANIFEST_JSON_PATCH_H
#define CALLBOARD_OPERATOR_MANIFEST_JSON_PATCH_H

#include "operator/manifest/manifest.h"

struct json_patch_operation {
    const char *op;
    const char *path;
    const char *from;        /* of move and copy; else NULL */
    const manifest_t *value; /* of add, replace and test; else NULL. It is copied */
};

/* One operation, whole or not at all. NULL: done. Else why not, in the arena: "/spec/replica is not there". */
const char *json_patch_apply(arena_t *arena, manifest_t *object, const struct json_patch_operation *operation);

#endif
