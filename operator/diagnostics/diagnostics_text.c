/* For a person. The caret stands under the column: tabs before it are kept as tabs, other characters become spaces. A
 * long line is shown from shortly before the column. */
#include "operator/diagnostics/diagnostics_print.h"

#include <stdio.h>

enum { SHOWN_CHARACTERS = 120, SHOWN_BEFORE = 80 };

struct color {
    const char *error;
    const char *warning;
    const char *dim;
    const char *bold;
    const char *end;
};
static const struct color colors = {"\x1b[1;31m", "\x1b[1;33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"};
static const struct color no_colors = {"", "", "", "", ""};

const char *diagnostic_severity(const struct diagnostic *item) {
    return diagnostic_is_warning(diagnostic_meaning_of(item->code)) ? "warning" : "error";
}

const char *diagnostic_mend_of(const struct diagnostic *item) {
    return item->mend[0] != '\0' ? item->mend : diagnostic_meaning_of(item->code)->mend;
}

/* ---- the line ---- */

static size_t character_size(struct span text) {
    size_t size = 1;
    while (size < text.size && (text.data[size] & 0xC0) == 0x80) {
        size++;
    }
    return size;
}

/* Controls would be obeyed by the terminal: escape sequences, and the upper ones of Latin-1. */
static bool is_control(struct span character) {
    uint8_t c = character.data[0];
    return (c < 0x20 && c != '\t') || c == 0x7F || (c == 0xC2 && character.size > 1 && character.data[1] < 0xA0) ||
           (c >= 0x80 && character.size == 1);
}

static struct span skip_characters(struct span text, size_t n) {
    while (n > 0 && text.size > 0) {
        size_t size = character_size(text);
        text = span_of(text.data + size, text.size - size);
        n--;
    }
    return text;
}

/* The line's text, and the white space that leads to the caret. */
static void append_line_text(struct span line, size_t column, struct buffer *out, struct buffer *ret_margin) {
    size_t skipped = column > SHOWN_BEFORE ? column - SHOWN_BEFORE : 0;
    struct span rest = skip_characters(line, skipped);
    if (skipped > 0) {
        buffer_append_text(out, "…");
        buffer_append_char(ret_margin, ' ');
    }
    for (size_t i = skipped + 1; rest.size > 0; i++) {
        if (i > skipped + SHOWN_CHARACTERS) {
            buffer_append_text(out, "…");
            break;
        }
        size_t size = character_size(rest);
        struct span character = span_of(rest.data, size);
        size_t hidden_size;
        if (is_control(character) || source_text_hidden(character, &hidden_size) != 0) {
            buffer_append_char(out, '?');
        } else {
            buffer_append_span(out, character);
        }
        if (i < column) {
            buffer_append_char(ret_margin, rest.data[0] == '\t' ? '\t' : ' ');
        }
        rest = span_of(rest.data + size, rest.size - size);
    }
}

/* Copied from a web page or a chat: the eye sees nothing wrong. */
static void append_hidden(struct span line, struct buffer *out) {
    for (unsigned column = 1; line.size > 0; column++) {
        size_t size = character_size(line);
        size_t hidden_size;
        uint32_t hidden = source_text_hidden(span_of(line.data, size), &hidden_size);
        if (hidden != 0) {
            buffer_append_format(out, "      = column %u has U+%04X, which looks like a space or like nothing\n",
                                 column, hidden);
            return;
        }
        line = span_of(line.data + size, line.size - size);
    }
}

static void append_excerpt(const struct source_place *place, const char *remark, const struct color *color,
                           struct buffer *out) {
    struct buffer margin = BUFFER_EMPTY;
    buffer_append_format(out, "%s%5u |%s ", color->dim, place->line, color->end);
    append_line_text(source_text_line(place->source, place->line), place->column, out, &margin);
    buffer_append_format(out, "\n%s      |%s ", color->dim, color->end);
    buffer_append_span(out, buffer_span(&margin));
    buffer_append_format(out, "%s^%s%s%s\n", color->bold, color->end, remark[0] == '\0' ? "" : " ", remark);
    append_hidden(source_text_line(place->source, place->line), out);
    buffer_finish(&margin);
}

/* ---- one diagnostic ---- */

static void append_place(const struct source_place *place, struct buffer *out) {
    if (place->setting != NULL) {
        buffer_append_format(out, "--set %s: ", place->setting);
    } else if (place->source != NULL) {
        buffer_append_text(out, place->source->name);
        if (place->line > 0) {
            buffer_append_format(out, ":%u:%u", place->line, place->column);
        }
        buffer_append_text(out, ": ");
    }
}

static bool has_line(const struct source_place *place) {
    return place->setting == NULL && place->source != NULL && place->line > 0;
}

static void append_other(const struct diagnostic *item, const struct color *color, struct buffer *out) {
    append_place(&item->other_place, out);
    buffer_append_format(out, "%snote:%s %s\n", color->bold, color->end, item->other);
    if (has_line(&item->other_place)) {
        append_excerpt(&item->other_place, "", color, out);
    }
}

static void append_item(const struct diagnostic *item, const struct color *color, struct buffer *out) {
    const struct diagnostic_meaning *meaning = diagnostic_meaning_of(item->code);
    append_place(&item->place, out);
    buffer_append_format(out, "%s%s[CB%u]:%s ", diagnostic_is_warning(meaning) ? color->warning : color->error,
                         diagnostic_severity(item), meaning->number, color->end);
    buffer_append_format(out, "%s%s%s\n", item->path, item->path[0] == '\0' ? "" : ": ", item->what);
    if (has_line(&item->place)) {
        append_excerpt(&item->place, diagnostic_mend_of(item), color, out);
    } else {
        buffer_append_format(out, "      = %s\n", diagnostic_mend_of(item));
    }
    if (item->other != NULL) {
        append_other(item, color, out);
    }
}

static void append_sum(const struct diagnostics *self, struct buffer *out) {
    if (self->n_dropped > 0) {
        buffer_append_format(out, "%zu more are not shown; mend these first\n", self->n_dropped);
    }
    buffer_append_format(out, "%zu error%s, %zu warning%s\n", self->n_errors, self->n_errors == 1 ? "" : "s",
                         self->n_warnings, self->n_warnings == 1 ? "" : "s");
}

void diagnostics_print_text(const struct diagnostics *self, bool has_color, bool is_quiet, struct buffer *out) {
    const struct color *color = has_color ? &colors : &no_colors;
    for (size_t i = 0; i < self->n; i++) {
        append_item(&self->items[i], color, out);
    }
    if (!is_quiet && self->n > 0) {
        append_sum(self, out);
    }
}
