/* The objects of both sets side by side, found by kind, name and namespace; then what follows from their changes. */
#include "operator/diff/diff_parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- objects ---- */

const char *diff_kind_of(const manifest_t *object) {
    const char *kind = manifest_text_of(manifest_get(object, "kind"));
    return kind == NULL ? "" : kind;
}

bool diff_is_kind(const manifest_t *object, const char *kind) {
    return strcmp(diff_kind_of(object), kind) == 0;
}

const char *diff_namespace_of(const manifest_t *object) {
    const char *namespace = manifest_text_of(manifest_find(object, "metadata.namespace"));
    return namespace == NULL ? "" : namespace;
}

const manifest_t *diff_find_beside(const manifests_t *list, const manifest_t *beside, const char *kind,
                                   const char *name) {
    for (size_t i = 0; i < manifests_count(list); i++) {
        const manifest_t *object = manifests_at(list, i);
        const char *other = manifest_text_of(manifest_find(object, "metadata.name"));
        if (diff_is_kind(object, kind) && other != NULL && strcmp(other, name) == 0 &&
            strcmp(diff_namespace_of(object), diff_namespace_of(beside)) == 0) {
            return object;
        }
    }
    return NULL;
}

const char *diff_object_name(arena_t *arena, const manifest_t *object) {
    const char *name = manifest_text_of(manifest_find(object, "metadata.name"));
    const char *namespace = diff_namespace_of(object);
    return arena_format(arena, "%s%s%s/%s", namespace, namespace[0] == '\0' ? "" : "/", diff_kind_of(object),
                        name == NULL ? "" : name);
}

static const manifest_t *find(arena_t *arena, const manifests_t *list, const char *name) {
    for (size_t i = 0; i < manifests_count(list); i++) {
        if (strcmp(diff_object_name(arena, manifests_at(list, i)), name) == 0) {
            return manifests_at(list, i);
        }
    }
    return NULL;
}

/* ---- what is found ---- */

void diff_add_change(struct diff_run *self, struct diff_change change) {
    struct diff *diff = self->diff;
    diff->changes =
        arena_grow(diff->arena, diff->changes, diff->n_changes * sizeof change, (diff->n_changes + 1) * sizeof change);
    diff->changes[diff->n_changes++] = change;
}

void diff_add_risk(struct diff_run *self, enum diagnostic_code code, const char *object, const char *text) {
    struct diff *diff = self->diff;
    struct diff_risk risk = {.code = code, .object = object, .text = text};
    diff->risks = arena_grow(diff->arena, diff->risks, diff->n_risks * sizeof risk, (diff->n_risks + 1) * sizeof risk);
    diff->risks[diff->n_risks++] = risk;
}

static void tell_whole(struct diff_run *self, enum diff_kind kind, const char *name) {
    diff_add_change(self, (struct diff_change){.kind = kind, .effect = DIFF_IN_PLACE, .object = name});
}

static void compare(struct diff_run *self) {
    arena_t *arena = self->diff->arena;
    for (size_t i = 0; i < manifests_count(self->new_objects); i++) {
        const manifest_t *object = manifests_at(self->new_objects, i);
        const char *name = diff_object_name(arena, object);
        struct diff_pair pair = {
            .old_object = find(arena, self->old_objects, name), .new_object = object, .name = name};
        if (pair.old_object == NULL) {
            tell_whole(self, DIFF_ADDED, name);
            continue;
        }
        diff_walk_object(self, &pair);
        diff_find_rolls(self, &pair);
    }
    for (size_t i = 0; i < manifests_count(self->old_objects); i++) {
        const char *name = diff_object_name(arena, manifests_at(self->old_objects, i));
        if (find(arena, self->new_objects, name) == NULL) {
            tell_whole(self, DIFF_REMOVED, name);
        }
    }
}

/* ---- what was accepted ---- */

static bool is_in(const char *list, const char *code) {
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (size == strlen(code) && strncasecmp(at, code, size) == 0) {
            return true;
        }
        at += size + (at[size] == ',' ? 1 : 0);
    }
    return false;
}

static void accept(struct diff *diff, const char *const *accepted, size_t n_accepted) {
    for (size_t i = 0; i < diff->n_risks; i++) {
        char code[16];
        snprintf(code, sizeof code, "CB%u", diagnostic_meaning_of(diff->risks[i].code)->number);
        for (size_t j = 0; j < n_accepted; j++) {
            diff->risks[i].is_accepted = diff->risks[i].is_accepted || is_in(accepted[j], code);
        }
    }
}

struct diff diff_manifests(arena_t *arena, const manifests_t *old_objects, const manifests_t *new_objects,
                           const char *const *accepted, size_t n_accepted) {
    struct diff diff = {.arena = arena};
    struct diff_run run = {.diff = &diff, .old_objects = old_objects, .new_objects = new_objects};
    compare(&run);
    diff_find_risks(&run);
    accept(&diff, accepted, n_accepted);
    return diff;
}

bool diff_is_refused(const struct diff *self) {
    for (size_t i = 0; i < self->n_risks; i++) {
        if (!self->risks[i].is_accepted) {
            return true;
        }
    }
    return false;
}
