/* What changes from one set of rendered objects to another, and what that does to what runs.
 *
 *     old ─┐                ┌▶ changes: each value, with its effect
 *          ├▶ diff_manifests ├▶ rolls: which pods are replaced, in what order, how long
 *     new ─┘                └▶ risks: what must be accepted by its code
 *
 * Values that the API server fills in count as set; the same amount written otherwise is no difference. Which keys of
 * a configuration are hot is asked of the programs' own tables. Pure; everything lives in the arena. Thread: any. */
#ifndef CALLBOARD_OPERATOR_DIFF_DIFF_H
#define CALLBOARD_OPERATOR_DIFF_DIFF_H

#include "operator/diagnostics/diagnostic_codes.h"
#include "operator/manifest/manifest.h"

enum diff_effect {
    DIFF_IN_PLACE,   /* the API server takes it, no pod notices */
    DIFF_HOT,        /* running pods reload it */
    DIFF_ROLLS,      /* pods are replaced */
    DIFF_RECREATES,  /* cannot be changed: the object has to be deleted and made again */
    DIFF_NEXT_START, /* of a configuration: nothing replaces the pods that need to be, to take it up */
};

enum diff_kind { DIFF_CHANGED, DIFF_ADDED, DIFF_REMOVED };

/* One value, or a whole object (path NULL). */
struct diff_change {
    enum diff_kind kind;
    enum diff_effect effect;
    const char *object; /* StatefulSet/shop-redis, with its namespace before it where it has one: shop/StatefulSet/… */
    const char *path;
    const char *old_text; /* NULL: it was not there */
    const char *new_text;
};

/* The pods of one workload are replaced. */
struct diff_roll {
    const char *object;
    bool is_ordered; /* a StatefulSet: from the highest ordinal down, one at a time */
    int64_t pods;    /* the most there may be, where an autoscaler decides */
    int64_t at_a_time;
    int64_t start_s; /* what its startup probe gives a new pod */
    int64_t pause_s; /* minReadySeconds */
    int64_t drain_s; /* an old pod's, as it is configured; else its grace period */
    int64_t grace_s;
    int64_t at_least_s;
    int64_t at_most_s;
    int64_t connections; /* that reconnect at a time; 0: none do */
};

struct diff_risk {
    enum diagnostic_code code;
    const char *object;
    const char *text;
    bool is_accepted;
};

/* What a spec's overrides do to an object behind the fields' back. */
struct diff_override {
    const char *object; /* as struct diff_change has it */
    const char *op;     /* add, remove, replace, … */
    const char *path;   /* a JSON pointer */
};

struct diff {
    arena_t *arena;
    struct diff_change *changes; /* by object in the order of installation; an object's stand together */
    size_t n_changes;
    struct diff_roll *rolls;
    size_t n_rolls;
    struct diff_risk *risks;
    size_t n_risks;
    const struct diff_override *overrides; /* of the new side, by its file; the caller sets them. Borrowed */
    size_t n_overrides;
};

/* `accepted`: codes as CB3001, any number of them in a text, separated by commas; n_accepted texts. */
struct diff diff_manifests(arena_t *arena, const manifests_t *old_objects, const manifests_t *new_objects,
                           const char *const *accepted, size_t n_accepted);
bool diff_is_refused(const struct diff *self); /* a risk that was not accepted */

void diff_print_text(const struct diff *self, bool has_color, bool is_quiet, struct buffer *out);
/* What stands below the changes: overrides, rolls, risks. */
void diff_print_effects(const struct diff *self, bool has_color, bool is_quiet, struct buffer *out);
void diff_print_json(const struct diff *self, struct buffer *out);
const char *diff_object_name(arena_t *arena, const manifest_t *object); /* shop/StatefulSet/shop-redis */
const char *diff_effect_name(enum diff_effect effect); /* in place, hot, rolls, re-create, next start */

#endif
