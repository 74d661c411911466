/* One document of kind Callboard: its tree, and the struct that was read from it. Thread: the main thread; the spec is
 * immutable afterwards. */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_DOCUMENT_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_DOCUMENT_H

#include "operator/arena.h"
#include "operator/diagnostics/diagnostics.h"
#include "operator/spec/spec.h"
#include "operator/spec/spec_table.h"

/* One --set PATH=VALUE. */
struct spec_setting {
    const char *path; /* below spec, or metadata.… */
    const char *value;
    const char *text; /* as it was given */
    bool is_used;     /* a document took it */
};

struct spec_settings {
    struct spec_setting *items;
    size_t n;
    const char *namespace; /* --namespace: for documents that have none; may be NULL */
};

struct spec_document {
    const struct source_text *source;
    const config_node_t *root; /* the document as it stands in the file */
    const struct spec_settings *settings;
    arena_t *arena;
    struct spec spec;
};
typedef struct spec_document spec_document_t;

/* All documents of the files of one run. */
struct spec_documents {
    arena_t *arena;
    struct source_text **sources;
    struct config_documents *trees; /* of each source */
    size_t n_sources;
    spec_document_t **items;
    size_t n;
};

void spec_documents_init(struct spec_documents *self, arena_t *arena);
void spec_documents_finish(struct spec_documents *self);

/* Reads all documents of one file; `text` is borrowed. Where one is wrong that is told, and as much as can be is read
 * all the same, so that rules can be told in the same run; diagnostics->n_errors says whether the specs may be used. */
void spec_documents_read(struct spec_documents *self, const char *name, struct span text,
                         struct spec_settings *settings, struct diagnostics *diagnostics);
/* For a file that could not be read at all. */
struct source_text *spec_documents_add_source(struct spec_documents *self, const char *name, struct span text);
/* Behind the last file: settings that no document took, two documents of one name. */
void spec_documents_close(struct spec_documents *self, struct spec_settings *settings, struct diagnostics *diagnostics);

/* ---- where something stands; `path` is dotted, below spec ("gateway.replicas", "gateway.listeners[0].port") or begins
 * with "metadata." ---- */

/* Did the file or a setting give it a value? */
bool spec_is_set(const spec_document_t *self, const char *path);
/* Of its value, else of the section around it that is there, else of the document. */
struct source_place spec_place(const spec_document_t *self, const char *path);
/* The node in the file; NULL: none. */
const config_node_t *spec_node(const spec_document_t *self, const char *path);

#endif
