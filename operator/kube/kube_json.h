/* JSON as an API server sends it, as a manifest tree. Read by base/json_scan.h, which judges all of it before anything
 * is built: so depth, tokens and names are bounded, and integers stay exact (cJSON keeps doubles). Thread: any. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_JSON_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_JSON_H

#include "operator/manifest/manifest.h"

/* A name that stands twice counts as the last of them says. NULL: *ret_error says what is wrong with it. */
manifest_t *kube_json_read(arena_t *arena, struct span text, const char **ret_error);

/* ---- what is asked of answers ---- */

/* The text at this path (manifest_find), "" where there is none. */
const char *kube_text_at(const manifest_t *object, const char *path);
int64_t kube_int_at(const manifest_t *object, const char *path, int64_t fallback);
/* The value of a label or annotation (`group`: labels, annotations), "" without: their names have dots. */
const char *kube_metadata_text(const manifest_t *object, const char *group, const char *name);

#endif
