/* What texts of the spec must look like: one pattern a format, for the reader (POSIX) and for the JSON Schema (ECMA)
 * alike, so it is written in what both have. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_FORMAT_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_FORMAT_H

#include "operator/spec/spec_table.h"

/* NULL for SPEC_FORMAT_ANY. */
const char *spec_format_pattern(enum spec_format format);
/* "letters, digits and dashes, …"; NULL for SPEC_FORMAT_ANY. */
const char *spec_format_description(enum spec_format format);
size_t spec_format_bytes_max(enum spec_format format);
bool spec_format_accepts(enum spec_format format, const char *text);

#endif
