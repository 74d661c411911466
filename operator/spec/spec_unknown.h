/* Keys that no field has. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_UNKNOWN_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_UNKNOWN_H

#include "operator/diagnostics/diagnostics.h"
#include "operator/spec/spec_table.h"

/* Some tables that stand at one place: the sections of spec, or the fields of an item. */
struct spec_level {
    const struct spec_fields *const *tables;
    size_t n;
};

/* The field of exactly this path (dotted, below the level); NULL: none. */
const struct spec_field *spec_level_field(const struct spec_level *level, struct span path);
bool spec_level_is_section(const struct spec_level *level, struct span path);
/* Tells that there is no such field and which one may have been meant: a near name beside it, else the same name
 * elsewhere. `path` is below the level, `shown` the whole one. */
void spec_tell_unknown(struct diagnostics *diagnostics, const struct spec_level *level, struct source_place place,
                       struct span path, const char *shown);

#endif
