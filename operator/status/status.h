/* One page on an installation for whoever is called at night: what runs, who serves whom, what is wrong first and how
 * that is mended. A pure function from what was asked of the cluster and of its pods.
 *
 *     objects, pages of pods, what was denied ─▶ status_make ─▶ a tree ─▶ text | JSON
 *
 * What could not be read is told as not known; it is never taken for well, and never for wrong. Thread: any. */
#ifndef CALLBOARD_OPERATOR_STATUS_STATUS_H
#define CALLBOARD_OPERATOR_STATUS_STATUS_H

#include "operator/manifest/manifest.h"

/* What a pod answered to a GET. */
struct status_answer {
    const char *pod;
    const char *page;    /* /health, /metrics, /status */
    struct span text;    /* also of a 503, which /health gives when it is not well */
    const char *trouble; /* why there is none; NULL: there is one */
};

/* What could not be asked, and why. */
struct status_unknown {
    const char *what; /* pods, the Secret shop-auth */
    const char *why;
};

struct status_input {
    const char *name; /* of the deployment */
    const char *namespace;
    const char *server;
    const manifests_t
        *objects; /* Deployments, StatefulSets, Pods, claims, Secrets with certificates; others are let be */
    const struct status_answer *answers;
    size_t n_answers;
    const struct status_unknown *unknowns;
    size_t n_unknowns;
    int64_t drifts;              /* -1: not compared, no spec was given */
    const char *first_drift;     /* with drifts > 0 */
    const char *const *warnings; /* of `check`, a line each */
    size_t n_warnings;
    int64_t now_ms;           /* wall clock: for what expires */
    const manifest_t *before; /* the page before this one and its time, for rates; NULL: none */
};

/* Lives in the arena; borrows from the input. */
manifest_t *status_make(arena_t *arena, const struct status_input *input);
bool status_is_healthy(const manifest_t *page);
void status_print_text(const manifest_t *page, bool has_color, struct buffer *out);

#endif
