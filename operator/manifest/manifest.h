/* A Kubernetes object before it is text: an ordered tree of maps, lists and scalars. Renderers are pure functions that
 * build such trees from a struct spec; manifest_emit.h makes YAML or JSON of them, the same bytes for the same tree.
 *
 *     manifest_t *object = manifests_add(list, "v1", "Service", "shop-gateway");
 *     manifest_t *spec = manifest_add_map(object, "spec");
 *     manifest_t *port = manifest_append_map(manifest_add_list(spec, "ports"));
 *     manifest_set_text(port, "name", "websocket");
 *     manifest_set_int(port, "port", 80);
 *
 * Keys stand in the order in which they were set: set them in the order of the Kubernetes schema. Setting a key again
 * replaces its value where it stands. Texts are copied. All nodes live in the arena that was given first and go with
 * it. Asking a map for what only a list can do (or the reverse) is a bug of ours and aborts. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_MANIFEST_MANIFEST_H
#define CALLBOARD_OPERATOR_MANIFEST_MANIFEST_H

#include "base/config_yaml.h"
#include "operator/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct manifest manifest_t; /* one node */

enum manifest_kind {
    MANIFEST_MAP,
    MANIFEST_LIST,
    MANIFEST_TEXT,
    MANIFEST_INT,
    MANIFEST_BOOL,
    MANIFEST_NULL,
    MANIFEST_NUMBER, /* one with a fraction, kept as it was written; only from a spec's overrides, and in answers */
};

/* ---- a tree of its own ---- */

manifest_t *manifest_map(arena_t *arena);
manifest_t *manifest_list(arena_t *arena);
manifest_t *manifest_text(arena_t *arena, const char *text);
manifest_t *manifest_int(arena_t *arena, int64_t value);
manifest_t *manifest_bool(arena_t *arena, bool value);
manifest_t *manifest_null(arena_t *arena);
/* What JSON writes for a number, also one with a fraction: kept as it is written unless an int64_t holds it. */
manifest_t *manifest_number(arena_t *arena, const char *text);
/* What a user wrote for a raw field (tolerations, the value of an override): scalars without quotes become what they
 * are in YAML 1.2. */
manifest_t *manifest_of_yaml(arena_t *arena, const config_node_t *node);
manifest_t *manifest_copy(arena_t *arena, const manifest_t *node);

/* ---- maps ---- */

void manifest_set(manifest_t *map, const char *key, manifest_t *value); /* value: of the same arena, in no tree yet */
void manifest_set_text(manifest_t *map, const char *key, const char *text);
void manifest_set_format(manifest_t *map, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void manifest_set_int(manifest_t *map, const char *key, int64_t value);
void manifest_set_bool(manifest_t *map, const char *key, bool value);
/* Only when there is something to say: a text that is not empty. */
void manifest_set_text_if(manifest_t *map, const char *key, const char *text);
/* The map or list under this key; made when it is not there yet. */
manifest_t *manifest_add_map(manifest_t *map, const char *key);
manifest_t *manifest_add_list(manifest_t *map, const char *key);
bool manifest_remove(manifest_t *map, const char *key); /* false: was not there */

/* ---- lists ---- */

void manifest_append(manifest_t *list, manifest_t *value);
void manifest_append_text(manifest_t *list, const char *text);
void manifest_append_format(manifest_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
void manifest_append_int(manifest_t *list, int64_t value);
manifest_t *manifest_append_map(manifest_t *list);
/* Before the item that stands at `index` now; index ≤ count. */
void manifest_insert(manifest_t *list, size_t index, manifest_t *value);
bool manifest_remove_at(manifest_t *list, size_t index); /* false: not so many */

/* ---- looking ---- */

enum manifest_kind manifest_kind(const manifest_t *node);
size_t manifest_count(const manifest_t *node);                    /* members; 0 for a scalar */
manifest_t *manifest_at(const manifest_t *node, size_t index);    /* of a map or list */
const char *manifest_key_at(const manifest_t *map, size_t index); /* of a map */
manifest_t *manifest_get(const manifest_t *map, const char *key); /* NULL: not there, or no map */
/* By dots and indices: "spec.template.spec.containers.0.image"; NULL: not there. Not for keys with a dot inside. */
manifest_t *manifest_find(const manifest_t *node, const char *path);
const char *manifest_text_of(const manifest_t *node); /* TEXT and NUMBER; NULL for others and for NULL */
int64_t manifest_int_of(const manifest_t *node);      /* INT, else 0 */
bool manifest_bool_of(const manifest_t *node);        /* BOOL, else false */
/* The same value: the order of a map's keys does not matter, a list's does. */
bool manifest_equal(const manifest_t *a, const manifest_t *b);

/* ---- the objects of one rendering ---- */

typedef struct manifests manifests_t;

manifests_t *manifests_new(arena_t *arena); /* goes with the arena */
arena_t *manifests_arena(const manifests_t *self);
/* A new object: apiVersion, kind, metadata.name are set. */
manifest_t *manifests_add(manifests_t *self, const char *api_version, const char *kind, const char *name);
void manifests_append(manifests_t *self, manifest_t *object); /* of the same arena */
size_t manifests_count(const manifests_t *self);
manifest_t *manifests_at(const manifests_t *self, size_t index);
manifest_t *manifests_find(const manifests_t *self, const char *kind, const char *name); /* NULL: none */
/* Into Helm's install order (namespaces, policies, accounts, secrets, … workloads, routes), then by name; kinds that
 * Helm does not know come last, by kind. */
void manifests_sort(manifests_t *self);
/* That order: lower comes first. */
unsigned manifest_install_rank(const char *kind);

#endif
