/* What the files of this folder share and nobody else includes. Thread: any. */
#ifndef CALLBOARD_OPERATOR_DIFF_DIFF_PARTS_H
#define CALLBOARD_OPERATOR_DIFF_DIFF_PARTS_H

#include "operator/diff/diff.h"

/* One object in both sets; NULL where it is not in one. */
struct diff_pair {
    const manifest_t *old_object;
    const manifest_t *new_object;
    const char *name; /* as struct diff_change has it */
};

/* One comparison. */
struct diff_run {
    struct diff *diff;
    const manifests_t *old_objects;
    const manifests_t *new_objects;
};

void diff_add_change(struct diff_run *self, struct diff_change change);
void diff_add_risk(struct diff_run *self, enum diagnostic_code code, const char *object, const char *text);
const char *diff_kind_of(const manifest_t *object); /* never NULL */
bool diff_is_kind(const manifest_t *object, const char *kind);
const char *diff_namespace_of(const manifest_t *object); /* "" where it has none */
/* The object of this kind and name in the namespace of `beside`: deployments of one name in two namespaces are two. */
const manifest_t *diff_find_beside(const manifests_t *list, const manifest_t *beside, const char *kind,
                                   const char *name);

/* ---- diff_walk.c: trees ---- */

/* Both are of one kind and name; each value that differs is told with its effect. */
void diff_walk_object(struct diff_run *self, const struct diff_pair *pair);

/* ---- diff_defaults.c ---- */

/* What the API server puts where nothing stands: the value at this path of an object of this kind, as text; NULL:
 * nothing. */
const char *diff_default_of(const char *kind, const char *path);
/* 1000m and 1, 1024Mi and 1Gi are the same; `path` says whether this is an amount at all. */
bool diff_is_same_amount(const char *path, const char *a, const char *b);

/* ---- diff_config.c: what stands in ConfigMaps ---- */

/* The texts of this key; NULL: not there. `rolls`: the pods that mount it are replaced. */
void diff_config_text(struct diff_run *self, const struct diff_pair *pair, const char *key, const char *old_text,
                      const char *new_text, bool rolls);
/* A program's configuration as a tree; NULL: this is none. */
manifest_t *diff_config_tree(arena_t *arena, const char *text);
/* The rest of the line that begins with this word in redis.conf, of several the last, which counts; NULL: none. */
const char *diff_config_line(arena_t *arena, const char *text, const char *word);

/* ---- diff_roll.c, diff_risk.c ---- */

void diff_find_rolls(struct diff_run *self, const struct diff_pair *pair);
void diff_find_risks(struct diff_run *self);

#endif
