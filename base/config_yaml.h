/* A YAML file as a tree of maps, lists and scalars, within the limits of security.md S43. Only the part of YAML that
 * every reader understands alike: no anchors, aliases, tags, merge keys or directives, no key twice. Programs read one
 * document, the operator several. Thread: the main thread. */
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
    unsigned column; /* of the key where there is one; both from 1, in characters */
    unsigned value_line;
    unsigned value_column; /* where the value itself begins */
    config_node_t **children;
    size_t n_children;
};

enum config_yaml_problem {
    CONFIG_YAML_SYNTAX,
    CONFIG_YAML_TAB, /* in the indentation */
    CONFIG_YAML_TOO_LARGE,
    CONFIG_YAML_TOO_DEEP,
    CONFIG_YAML_TOO_MANY, /* events */
    CONFIG_YAML_NO_UTF8,
    CONFIG_YAML_DIRECTIVE,
    CONFIG_YAML_ANCHOR,
    CONFIG_YAML_ALIAS,
    CONFIG_YAML_TAG,
    CONFIG_YAML_MERGE_KEY,
    CONFIG_YAML_DOUBLE_KEY,
    CONFIG_YAML_BAD_KEY, /* a map, a list, a NUL byte */
    CONFIG_YAML_SECOND_DOCUMENT,
    CONFIG_YAML_NO_MAP, /* at the top */
};

/* One mistake. */
struct config_yaml_error {
    enum config_yaml_problem problem;
    unsigned line;
    unsigned column;
    const char *text;    /* without a line feed; valid during the call */
    unsigned other_line; /* of a double key: where the other one is; else 0 */
    unsigned other_column;
};

/* Where mistakes are told. */
struct config_yaml_errors {
    void (*on_error)(void *context, const struct config_yaml_error *error);
    void *context;
};

/* The top, a map (empty for an empty file). NULL when the file could not be read to its end; then on_error was called,
 * and it may have been called for what was refused inside a tree that is returned. */
config_node_t *config_yaml_read(struct span text, const struct config_yaml_errors *errors);

/* The tops of all documents of a file, without the empty ones. */
struct config_documents {
    config_node_t **roots;
    size_t n;
};
/* False when the file could not be read to its end; then on_error was called and there are no documents. */
bool config_yaml_read_documents(struct span text, const struct config_yaml_errors *errors,
                                struct config_documents *ret_documents);
void config_documents_finish(struct config_documents *self);

void config_node_destroy(config_node_t **self_p); /* wipes the texts, some are secrets */

#endif
