/* Looks for a line from the beginning each time: messages are few. */
#include "operator/diagnostics/source_text.h"

/* The bytes of the line end that stands here; 0: none. */
static size_t line_end_size(const uint8_t *at, size_t left) {
    if (at[0] == '\n') {
        return 1;
    }
    if (at[0] == '\r') {
        return left > 1 && at[1] == '\n' ? 2 : 1;
    }
    if (left >= 2 && at[0] == 0xC2 && at[1] == 0x85) {
        return 2;
    }
    bool is_separator = left >= 3 && at[0] == 0xE2 && at[1] == 0x80 && (at[2] == 0xA8 || at[2] == 0xA9);
    return is_separator ? 3 : 0;
}

static size_t skip_byte_order_mark(struct span bytes) {
    struct span mark = SPAN_LITERAL("\xEF\xBB\xBF");
    return span_starts_with(bytes, mark) ? mark.size : 0;
}

struct span source_text_line(const struct source_text *self, unsigned line) {
    struct span bytes = self->bytes;
    size_t begin = skip_byte_order_mark(bytes);
    unsigned at_line = 1;
    for (size_t at = begin; at < bytes.size;) {
        size_t end = line_end_size(bytes.data + at, bytes.size - at);
        if (end == 0) {
            at++;
            continue;
        }
        if (at_line == line) {
            return span_of(bytes.data + begin, at - begin);
        }
        at += end;
        begin = at;
        at_line++;
    }
    return at_line == line && begin < bytes.size ? span_of(bytes.data + begin, bytes.size - begin) : SPAN_EMPTY;
}

static bool is_hidden(uint32_t c) {
    return c == 0xA0 || c == 0xAD || (c >= 0x2000 && c <= 0x200F) || (c >= 0x2028 && c <= 0x202F) ||
           (c >= 0x205F && c <= 0x206F) || c == 0x3000 || c == 0xFEFF;
}

uint32_t source_text_hidden(struct span text, size_t *ret_size) {
    const uint8_t *at = text.data;
    uint32_t c = 0;
    if (text.size >= 2 && (at[0] & 0xE0) == 0xC0 && (at[1] & 0xC0) == 0x80) {
        c = (uint32_t) (at[0] & 0x1F) << 6 | (at[1] & 0x3F);
        *ret_size = 2;
    } else if (text.size >= 3 && (at[0] & 0xF0) == 0xE0 && (at[1] & 0xC0) == 0x80 && (at[2] & 0xC0) == 0x80) {
        c = (uint32_t) (at[0] & 0x0F) << 12 | (uint32_t) (at[1] & 0x3F) << 6 | (at[2] & 0x3F);
        *ret_size = 3;
    }
    return is_hidden(c) ? c : 0;
}
