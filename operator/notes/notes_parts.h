/* One part of the notes each. Thread: any. */
#ifndef CALLBOARD_OPERATOR_NOTES_NOTES_PARTS_H
#define CALLBOARD_OPERATOR_NOTES_NOTES_PARTS_H

#include "operator/notes/notes.h"

void notes_append_own_redis(const struct spec *spec, struct buffer *out);
void notes_append_elasticache(const struct spec *spec, struct buffer *out);
void notes_append_provider(const struct spec *spec, struct buffer *out); /* the other providers */
void notes_append_edge(const struct spec *spec, struct buffer *out);
void notes_append_nodes(const struct spec *spec, struct buffer *out);

/* " -n push", or nothing where the spec names no namespace. */
void notes_append_namespace(const struct spec *spec, struct buffer *out);

#endif
