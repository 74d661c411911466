/* What a person must do for a spec that no manifest does: Markdown, the same bytes for the same spec. Pure; it prints
 * no secret, as a spec holds none. What a provider does is told as of its documentation; what is from memory only is
 * told to be looked up. Thread: any. */
#ifndef CALLBOARD_OPERATOR_NOTES_NOTES_H
#define CALLBOARD_OPERATOR_NOTES_NOTES_H

#include "operator/arena.h"
#include "operator/spec/spec.h"

void notes_append(arena_t *arena, const struct spec *spec, struct buffer *out);

#endif
