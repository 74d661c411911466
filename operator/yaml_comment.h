/* Comments of YAML that is written for people: indented by two blanks a level, broken between words. Pure functions. */
#ifndef CALLBOARD_OPERATOR_YAML_COMMENT_H
#define CALLBOARD_OPERATOR_YAML_COMMENT_H

#include "base/bytes.h"

#include <stddef.h>

void yaml_append_indent(struct buffer *out, size_t depth);
/* "# words", as many a line as fit into `width` columns, and a line feed. A word that is longer stands alone. */
void yaml_append_comment(struct buffer *out, size_t depth, size_t width, const char *text);

#endif
