/* One value of a field: from what was written into the struct. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_VALUES_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_VALUES_H

#include "operator/arena.h"
#include "operator/diagnostics/diagnostics.h"
#include "operator/spec/spec_table.h"

/* A single value, as it stands in the file, in a setting, or in the table as a default. */
struct spec_scalar {
    struct span text; /* NUL-terminated behind its end */
    bool is_plain;    /* without quotes: other YAML readers may see something else in it */
    struct source_place place;
    const char *path; /* for messages */
};

/* Where the values go, and where mistakes are told. */
struct spec_reading {
    arena_t *arena;
    struct diagnostics *diagnostics;
};

/* For BOOL, COUNT, MEMORY, CPU, DURATION, TEXT and CHOICE: true when the field has it. Else that is told. */
bool spec_value_read(const struct spec_reading *reading, const struct spec_field *field, void *target,
                     const struct spec_scalar *scalar);
/* A text that goes into a list or a map of texts. NULL: it is none, and that is told. */
const char *spec_value_text(const struct spec_reading *reading, const struct spec_field *field,
                            const struct spec_scalar *scalar);

/* Amounts as they are written: 4Gi, 500m, 30m. */
void spec_append_memory(struct buffer *out, int64_t bytes);
void spec_append_cpu(struct buffer *out, int64_t thousandths);
void spec_append_duration(struct buffer *out, int64_t ms);
/* Any of COUNT, MEMORY, CPU and DURATION. */
void spec_append_amount(struct buffer *out, enum spec_type type, int64_t value);

/* A foreign text for a message: in quotes, cut after 64 bytes. */
const char *spec_quote(arena_t *arena, struct span text);

#endif
