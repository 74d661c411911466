/* A YAML file as a tree of maps, lists and scalars, within the limits of security.md S43. Only the part of YAML that
 * every reader understands alike: no anchors, aliases, tags, merge keys, directives or second documents, no key twice.
 * Thread: the main thread. */
#ifndef CALLBOARD_BASE_CONFIG_YAML_H
#define CALLBOARD_BASE_CONFIG_YAML_H

#include "base/bytes.h"

enum { CONFIG_YAML_BYTES_MAX = 256 * 1024, CONFIG_YAML_DEPTH_MAX = 32, CONFIG_YAML_EVENTS_MAX = 20000 };

enum config_node_kind {
    CONFIG_NODE_SCALAR,
    CONFIG_NODE_MAP,
    CONFIG_NODE_LIST,
    CONFIG_NODE_REFUSED, /* what stood there was reported already */
};

typedef struct config_node config_node_t;
struct config_node {
    enum config_node_kind kind;
    bool is_plain; /* a scalar without quotes */
    char *text;    /* of a scalar, NUL-terminated; NUL bytes may stand inside */
    size_t text_size;
    char *name; /* its key in the map around it; NULL otherwise */
    unsigned line;
    unsigned column; /* of the key where there is one; both from 1 */
    config_node_t **children;
    size_t n_children;
};

/* Where mistakes are told; the text has no line feed. */
struct config_yaml_errors {
    void (*on_error)(void *context, unsigned line, unsigned column, const char *text);
    void *context;
};

/* The top, a map (empty for an empty file). NULL when the file could not be read to its end; then on_error was called,
 * and it may have been called for what was refused inside a tree that is returned. */
config_node_t *config_yaml_read(struct span text, const struct config_yaml_errors *errors);
void config_node_destroy(config_node_t **self_p); /* wipes the texts, some are secrets */

#endif
