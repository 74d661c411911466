/* What the files of the reader share and nobody else includes. Thread: main. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_CONFIG_PARTS_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_CONFIG_PARTS_H

#include "base/config_yaml.h"
#include "operator/kube/kube_config.h"

/* One mistake ends the reading. */
struct kube_config_reading {
    arena_t *arena;
    const char *error; /* NULL: none yet */
};

/* A named cluster, user or context: what stands under its name, and the file. */
struct kube_config_entry {
    const char *file;
    const config_node_t *item; /* NULL: there is none */
    const config_node_t *body; /* never NULL where there is an item */
};

/* "file:line:column: …"; the first one counts. Returns false. `node` NULL: the file alone. */
bool kube_config_fail(struct kube_config_reading *self, const char *file, const config_node_t *node, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

/* A member of a map; NULL: not there, or nothing stands there. */
const config_node_t *kube_config_member(const config_node_t *map, const char *name);
/* A scalar's text, in the arena; NULL: not there or empty. What is no scalar fails. */
const char *kube_config_text(struct kube_config_reading *self, const char *file, const config_node_t *map,
                             const char *name);
/* A small file whole, NUL-terminated; NULL with errno. */
char *kube_config_load(arena_t *arena, const char *path, size_t bytes_max);

/* ---- kube_config_entries.c ---- */

bool kube_config_take_cluster(struct kube_config_reading *self, const struct kube_config_entry *entry,
                              struct kube_access *access);
bool kube_config_take_user(struct kube_config_reading *self, const struct kube_config_entry *entry,
                           struct kube_access *access);

#endif
