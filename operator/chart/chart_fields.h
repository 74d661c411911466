/* What the files of this folder share: fields by their dotted paths, in a nested tree. Thread: any (no state). */
#ifndef CALLBOARD_OPERATOR_CHART_CHART_FIELDS_H
#define CALLBOARD_OPERATOR_CHART_CHART_FIELDS_H

#include "operator/manifest/manifest.h"
#include "operator/spec/spec_table.h"

/* gateway.drain.window: into the map window's value is set in, made where it is not there yet. */
void chart_set_at(manifest_t *top, const char *path, manifest_t *value);
/* A default's text as what it is to YAML: a truth value, a number, a text. */
manifest_t *chart_scalar(arena_t *arena, const struct spec_field *field, const char *text);
/* Does the chart have it at all? */
bool chart_has_field(const char *path);
/* Have all profiles this field's default in common? So it is with none, too. */
bool chart_is_common(const struct spec_field *field);

#endif
