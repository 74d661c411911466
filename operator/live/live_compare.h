/* Objects as a cluster has them, beside what a spec renders to.
 *
 *     found  ─┐               ┌▶ objects: what apply finds of ours (old of operator/diff)
 *             ├▶ live_compare ┤
 *     wanted ─┘               └▶ drifts: what somebody else changed, who, and when
 *
 * Left out of `objects`: the server's book-keeping, what it assigns (addresses, node ports), replicas that an
 * autoscaler decides, and whatever other field managers put there beside ours: apply leaves all that as it is. Without
 * managedFields (kubectl get hides them) whatever is set counts as ours. Pure; everything lives in the arena, and
 * borrows from what is compared. Thread: any. */
#ifndef CALLBOARD_OPERATOR_LIVE_LIVE_COMPARE_H
#define CALLBOARD_OPERATOR_LIVE_LIVE_COMPARE_H

#include "operator/manifest/manifest.h"

enum live_drift_kind {
    LIVE_CHANGED,
    LIVE_ADDED,   /* beside what we render, by a person or a person's tool */
    LIVE_REMOVED, /* the server keeps no trace of who takes a field away */
};

struct live_drift {
    enum live_drift_kind kind;
    const char *object;  /* shop/StatefulSet/shop-redis */
    const char *path;    /* NULL: the whole object is away */
    const char *wanted;  /* as the spec has it; NULL: not there */
    const char *found;   /* as the cluster has it; NULL: not there */
    const char *manager; /* NULL: not known */
    const char *time;    /* NULL: not known */
};

struct live {
    arena_t *arena;
    manifests_t *objects;
    struct live_drift *drifts;
    size_t n_drifts;
};

struct live live_begin(arena_t *arena);
/* One object, in `found` and `wanted` (not both NULL). Only `found`: one of ours that is rendered no more. */
void live_compare(struct live *self, const manifest_t *found, const manifest_t *wanted);
/* As the server gives it: with a uid, a resourceVersion, managedFields. */
bool live_is_from_server(const manifest_t *object);

void live_drift_print_text(const struct live *self, bool has_color, bool is_quiet, struct buffer *out);
void live_drift_print_json(const struct live *self, struct buffer *out);

#endif
