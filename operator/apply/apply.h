/* A rendered deployment into a cluster.
 *
 *     rendered objects ─▶ apply_plan_make ─▶ what each of them is there, what the server would make of it (a dry run of
 *                                            every object, before the first is sent), what conflicts, what is at risk
 *                      ─▶ apply_plan_run  ─▶ server-side apply in the order of installation, then what is pruned
 *                      ─▶ apply_wait      ─▶ until its pods are the new ones and ready
 *
 * A deployment is a namespace and an instance: what is looked at, compared and pruned is of both. Nothing is kept
 * between runs: one that was interrupted is repeated. Everything lives in the arena. Thread: the client's. */
#ifndef CALLBOARD_OPERATOR_APPLY_APPLY_H
#define CALLBOARD_OPERATOR_APPLY_APPLY_H

#include "operator/diff/diff.h"
#include "operator/kube/kube_client.h"

enum apply_state {
    APPLY_CREATED,
    APPLY_CONFIGURED,
    APPLY_UNCHANGED,
    APPLY_RECREATED, /* deleted and made anew: a field that cannot be changed, and that was accepted */
    APPLY_PRUNED,
    APPLY_SKIPPED, /* the cluster has no such kind */
    APPLY_FAILED,
    APPLY_PENDING, /* was not come to */
};

struct apply_object {
    manifest_t *wanted;       /* as rendered, with its namespace; of what is pruned: as it is in the cluster */
    const manifest_t *live;   /* NULL: not there */
    const manifest_t *result; /* what the server made of it, or would; NULL: it refused */
    const char *name;         /* push/Deployment/shop-gateway */
    enum apply_state state;   /* before the run what will be, after it what is */
    const char *note;         /* NULL: none */
};

struct apply_options {
    bool is_dry_run; /* the plan is all */
    bool prunes;
    bool forces;                 /* takes fields that others own, and objects that others made */
    const char *const *accepted; /* codes, as diff_manifests has them */
    size_t n_accepted;
    void (*tell)(void *context, const char *text);
    void *context;
};

struct apply_problem {
    const char *text;
    enum kube_result result;
};

struct apply_plan {
    arena_t *arena;
    kube_client_t *client;
    struct apply_options options;
    const char *namespace;
    const char *instance;
    struct apply_object *objects; /* in the order of installation */
    size_t n;
    struct apply_object *pruned; /* in the reverse order; empty unless asked for */
    size_t n_pruned;
    struct diff diff;
    struct apply_problem *problems; /* any of them, and nothing is sent */
    size_t n_problems;
};

/* `rendered`: of this one deployment. */
void apply_plan_make(struct apply_plan *self, const manifests_t *rendered);
/* A risk that was not accepted. */
bool apply_plan_is_refused(const struct apply_plan *self);
/* Only where there is no problem and no refusal. KUBE_OK, or the first failure, which is told among the problems. */
enum kube_result apply_plan_run(struct apply_plan *self);
/* Until the workloads of the plan have rolled out, or `deadline_ms`. KUBE_TIMED_OUT: *ret_text says what is not ready
 * and why. */
enum kube_result apply_wait(struct apply_plan *self, uint64_t deadline_ms, const char **ret_text);

const char *apply_state_name(enum apply_state state, bool is_dry_run);
void apply_print_text(const struct apply_plan *self, bool has_color, bool is_verbose, struct buffer *out);
/* `waited`: NULL, "done", or what is not ready. */
manifest_t *apply_print_tree(const struct apply_plan *self, const char *waited);

#endif
