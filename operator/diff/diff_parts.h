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
const char *diff_object_name(arena_t *arena, const manifest_t *object);
const char *diff_kind_of(const manifest_t *object); /* never NULL */
bool diff_is_kind(const manifest_t *object, const char *kind);

/* ---- diff_walk.c: trees ---- */

/* Both are of one kind and name; each value that differs is told with its effect. */
void diff_walk_object(struct diff_run *self, const struct diff_pair *pair);
const char *diff_text_of(arena_t *arena, const manifest_t *node); /* for a person; NULL for NULL */

/* ---- diff_defaults.c ---- */

/* What the API server puts where nothing stands: the value at this path, as text; NULL: nothing. */
const char *diff_default_of(const char *path);
/* 1000m and 1, 1024Mi and 1Gi are the same; `path` says whether this is an amount at all. */
bool diff_is_same_amount(const char *path, const char *a, const char *b);

/* ---- diff_config.c: what stands in ConfigMaps ---- */

/* The texts of this key; NULL: not there. `rolls`: the pods that mount it are replaced. */
void diff_config_text(struct diff_run *self, const struct diff_pair *pair, const char *key, const char *old_text,
                      const char *new_text, bool rolls);
/* A program's configuration as a tree; NULL: this is none. */
manifest_t *diff_config_tree(arena_t *arena, const char *text);
/* The rest of the line that begins with this word in redis.conf; NULL: none. */
const char *diff_config_line(arena_t *arena, const char *text, const char *word);

/* ---- diff_roll.c, diff_risk.c ---- */

void diff_find_rolls(struct diff_run *self, const struct diff_pair *pair);
void diff_find_risks(struct diff_run *self);

#endif
