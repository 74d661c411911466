/* See yaml_comment.h. */
#include "operator/yaml_comment.h"

#include <string.h>

void yaml_append_indent(struct buffer *out, size_t depth) {
    for (size_t i = 0; i < depth; i++) {
        buffer_append_text(out, "  ");
    }
}

void yaml_append_comment(struct buffer *out, size_t depth, size_t width, const char *text) {
    size_t column = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        if (column > 0 && column + 1 + size > width) {
            column = 0;
            buffer_append_char(out, '\n');
        }
        if (column == 0) {
            yaml_append_indent(out, depth);
            buffer_append_text(out, "#");
            column = 2 * depth + 1;
        }
        buffer_append_char(out, ' ');
        buffer_append(out, text, size);
        column += size + 1;
        text += size + strspn(text + size, " ");
    }
    buffer_append_char(out, '\n');
}
