/* Building a line of the log in a fixed block, so that it costs no allocation.
 *
 * Failure modes: a field that does not fit is left out and the line says "cut":true. Foreign text: at most 256 bytes of
 * it; controls, bidirectional marks and bytes that are not UTF-8 are escaped, so that it cannot end the line, move a
 * cursor or pose as another line. */
#include "base/log_line.h"

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

enum {
    TAIL_SIZE = sizeof ",\"cut\":true}\n" - 1, /* always kept free while fields are added */
    FOREIGN_MAX = 256,
};

static void append(struct log_line *line, const char *bytes, size_t size) {
    if (line->is_full || size > sizeof line->text - TAIL_SIZE - line->size) {
        line->is_full = true;
        return;
    }
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static void append_text(struct log_line *line, const char *text) {
    append(line, text, strlen(text));
}

static unsigned continuation_bytes(uint8_t first) {
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

/* Decodes one well-formed character (RFC 3629) at the start of `text`; false: the first byte starts none. */
static bool decode_character(struct span text, uint32_t *ret_code, size_t *ret_size) {
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = text.data[0];
    if (first < 0x80) {
        *ret_code = first;
        *ret_size = 1;
        return true;
    }
    unsigned more = continuation_bytes(first);
    if (more == 0 || text.size <= more) {
        return false;
    }
    uint32_t code = first & (0x3fU >> more);
    for (unsigned i = 1; i <= more; i++) {
        if ((text.data[i] & 0xc0) != 0x80) {
            return false;
        }
        code = code << 6 | (text.data[i] & 0x3f);
    }
    *ret_code = code;
    *ret_size = more + 1;
    return code >= smallest[more] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

/* Characters that a terminal or a viewer acts upon instead of showing them. */
static bool is_acted_upon(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static void append_character(struct log_line *line, struct span bytes, uint32_t code) {
    char escape[8];
    if (code == '"' || code == '\\') {
        append(line, (const char[]){'\\', (char) code}, 2);
    } else if (is_acted_upon(code)) {
        int size = snprintf(escape, sizeof escape, "\\u%04x", (unsigned) code);
        append(line, escape, (size_t) size);
    } else {
        append(line, (const char *) bytes.data, bytes.size);
    }
}

/* At most 256 bytes of `text`, ended between characters; a byte that is not UTF-8 becomes the text \xNN. */
static void append_string(struct log_line *line, struct span text) {
    struct span kept = span_of(text.data, text.size < FOREIGN_MAX ? text.size : FOREIGN_MAX);
    append_text(line, "\"");
    for (size_t i = 0; i < kept.size;) {
        uint32_t code = 0;
        size_t size = 1;
        if (decode_character(span_of(text.data + i, text.size - i), &code, &size)) {
            if (size > kept.size - i) {
                break;
            }
            append_character(line, span_of(text.data + i, size), code);
        } else {
            char escape[8];
            snprintf(escape, sizeof escape, "\\\\x%02x", (unsigned) text.data[i]);
            append_text(line, escape);
            size = 1;
        }
        i += size;
    }
    append_text(line, "\"");
}

static void append_u64(struct log_line *line, uint64_t value) {
    char text[24];
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long) value);
    append(line, text, (size_t) size);
}

static void append_i64(struct log_line *line, int64_t value) {
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long) value);
    append(line, text, (size_t) size);
}

static void append_value(struct log_line *line, const struct log_field *field) {
    switch (field->type) {
    case LOG_FIELD_NONE:
        append_text(line, "null");
        break;
    case LOG_FIELD_TEXT:
        if (field->value.text == NULL) {
            append_text(line, "null");
        } else {
            append_string(line, span_of_text(field->value.text));
        }
        break;
    case LOG_FIELD_SPAN:
        append_string(line, field->value.span);
        break;
    case LOG_FIELD_U64:
        append_u64(line, field->value.u64);
        break;
    case LOG_FIELD_I64:
        append_i64(line, field->value.i64);
        break;
    case LOG_FIELD_BOOL:
        append_text(line, field->value.boolean ? "true" : "false");
        break;
    }
}

/* RFC 3339 in UTC, with milliseconds. */
static void append_time(struct log_line *line) {
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t) (now_ms / 1000);
    struct tm parts;
    char text[64];
    int size = 0;
    if (gmtime_r(&seconds, &parts) != NULL) {
        size =
            snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int) (now_ms % 1000));
    }
    append(line, text, (size_t) size);
}

void log_line_begin(struct log_line *line, const char *level, const char *event) {
    line->size = 0;
    line->is_full = false;
    line->is_cut = false;
    append_text(line, "{\"time\":\"");
    append_time(line);
    append_text(line, "\",\"level\":\"");
    append_text(line, level);
    append_text(line, "\",\"event\":");
    append_string(line, span_of_text(event));
}

/* Whole or not at all: a later, smaller field may still fit. */
void log_line_add(struct log_line *line, const struct log_field *field) {
    if (field->type == LOG_FIELD_NONE && field->name == NULL) {
        return;
    }
    size_t before = line->size;
    append_text(line, ",");
    append_string(line, span_of_text(field->name));
    append_text(line, ":");
    append_value(line, field);
    if (line->is_full) {
        line->size = before;
        line->is_full = false;
        line->is_cut = true;
    }
}

void log_line_end(struct log_line *line) {
    const char *tail = line->is_cut ? ",\"cut\":true}\n" : "}\n";
    memcpy(line->text + line->size, tail, strlen(tail));
    line->size += strlen(tail);
}
