/* What an answer of the API server means. Pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_STATUS_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_STATUS_H

#include "operator/kube/kube_client.h"

/* `object`: the body as a tree, which may be NULL. */
enum kube_result kube_status_result(int status, const manifest_t *object);
/* What was asked ("GET statefulsets/shop-redis in shop"), what came, and how to mend it. `object`: the body as a tree,
 * mostly a Status; NULL: it was none. Long lists of causes are cut. */
const char *kube_status_message(arena_t *arena, const char *asked, int status, const manifest_t *object);
/* Status.reason; "" for what is no Status. */
const char *kube_status_reason(const manifest_t *object);
/* May the same request be sent once more after this status, when it may be sent twice at all (`is_idempotent`)?
 * 429 of an eviction is an answer, and so is 409. */
bool kube_status_may_retry(int status, bool is_idempotent, bool has_retry_after);
/* An apply with a field that the kind does not have is answered with 500, and will always be. */
bool kube_status_is_bad_field(const manifest_t *object);

/* A field that another manager owns, of a 409 to an apply. */
struct kube_field_conflict {
    const char *manager; /* as the server names it: "kubectl-edit", "helm" (and by which version of the API) */
    const char *field;   /* .spec.replicas */
};
/* How many there are; each is in the arena. 0: this is another conflict. */
size_t kube_status_conflicts(arena_t *arena, const manifest_t *object, struct kube_field_conflict **ret_conflicts);

#endif
