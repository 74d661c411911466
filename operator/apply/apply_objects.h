/* Objects as a cluster has them beside objects as they are rendered. Pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_APPLY_APPLY_OBJECTS_H
#define CALLBOARD_OPERATOR_APPLY_APPLY_OBJECTS_H

#include "operator/manifest/manifest.h"

/* A copy without what the API server keeps for itself: uid, versions, times, managers, status. */
manifest_t *apply_object_stripped(arena_t *arena, const manifest_t *object);
/* The same, and our manager owns the same fields of it. */
bool apply_object_is_same(arena_t *arena, const manifest_t *live, const manifest_t *result);
/* Of `live` only what `wanted` says something of: so that both can be compared where the server would not answer. */
manifest_t *apply_object_narrowed(arena_t *arena, const manifest_t *live, const manifest_t *wanted);
/* Replicas that are rendered no more, since an autoscaler decides them from now on: as long as nobody but us owns the
 * number that is there, it stays in what is applied. Left out, the server would take the default, which is one pod. */
void apply_object_keep_replicas(manifest_t *wanted, const manifest_t *live);
/* Whose an object is that we did not make: "Helm's", "of the instance other"; NULL: nobody else's. */
const char *apply_object_owner(arena_t *arena, const manifest_t *live, const char *instance);

/* What is of this deployment and no longer rendered, in the reverse order of installation: added to `out`. Never a
 * Secret, a claim or a volume, nor what a controller owns or what is going away. */
void apply_choose_pruned(const manifests_t *live, const manifests_t *rendered, const char *namespace,
                         const char *instance, manifests_t *out);

#endif
