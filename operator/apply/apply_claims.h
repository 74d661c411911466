/* Claims of a StatefulSet whose template asks for more than it did. Kubernetes grows a claim that is there, and never
 * changes the template: the claims are patched, and the set is made anew around its pods. Pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_APPLY_APPLY_CLAIMS_H
#define CALLBOARD_OPERATOR_APPLY_APPLY_CLAIMS_H

#include "operator/manifest/manifest.h"

struct apply_claim {
    const char *name;    /* data-shop-redis-0 */
    const char *storage; /* what it shall have */
};

/* Of all ordinals that `live` has; *ret_claims is in the arena. What shrinks, or is asked for by another class, is none
 * of them. */
size_t apply_claims_grown(arena_t *arena, const manifest_t *live, const manifest_t *wanted,
                          struct apply_claim **ret_claims);
/* {spec: {resources: {requests: {storage: …}}}} */
manifest_t *apply_claim_patch(arena_t *arena, const struct apply_claim *claim);

#endif
