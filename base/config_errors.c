/* Lines of errors, and the places of values.
 *
 * Failure modes: keys and values in a line are foreign text, so controls become question marks; the fiftieth line says
 * that the rest is not told. */
#include "base/config_errors.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

enum { ERRORS_MAX = 50 };

void config_errors_init(config_errors_t *self, const char *file_name, struct buffer *ret_lines) {
    *self = (config_errors_t){.lines = ret_lines, .begin = ret_lines->size, .file_name = file_name};
}

void config_errors_finish(config_errors_t *self) {
    for (size_t i = 0; i < self->n_records; i++) {
        memory_free(self->records[i].path);
    }
    memory_free(self->records);
    self->records = NULL;
    self->n_records = 0;
}

bool config_errors_are_full(const config_errors_t *self) {
    return self->n >= ERRORS_MAX;
}

/* ---- places ---- */

/* The last one of this path. Only for errors and secrets: a file has many values and few of both. */
static const struct config_record *find(const config_errors_t *self, struct span path) {
    for (size_t i = self->n_records; i > 0; i--) {
        if (span_equal_text(path, self->records[i - 1].path)) {
            return &self->records[i - 1];
        }
    }
    return NULL;
}

const struct config_record *config_errors_find(const config_errors_t *self, const char *path) {
    return find(self, span_of_text(path));
}

void config_errors_record(config_errors_t *self, const char *path, struct config_place place, bool is_by_file) {
    /* Grown at powers of two, so that a long file stays linear. */
    if ((self->n_records & (self->n_records - 1)) == 0) {
        size_t capacity = self->n_records == 0 ? 1 : 2 * self->n_records;
        self->records = memory_realloc(self->records, capacity * sizeof *self->records);
    }
    self->records[self->n_records++] = (struct config_record){memory_strdup(path), place, is_by_file};
}

/* Of the path itself, else of the nearest section around it, else the file. */
static struct config_place place_of(const config_errors_t *self, const char *path) {
    struct span rest = span_of_text(path);
    while (rest.size > 0) {
        const struct config_record *record = find(self, rest);
        if (record != NULL) {
            return record->place;
        }
        const uint8_t *dot = memrchr(rest.data, '.', rest.size);
        rest.size = dot == NULL ? 0 : (size_t) (dot - rest.data);
    }
    return (struct config_place){.origin = self->file_name == NULL ? CONFIG_FROM_NOWHERE : CONFIG_FROM_FILE};
}

/* ---- lines ---- */

static void append_place(const config_errors_t *self, struct buffer *line, struct config_place place,
                         const char *path) {
    switch (place.origin) {
    case CONFIG_FROM_NOWHERE:
        buffer_append_text(line, "configuration: ");
        break;
    case CONFIG_FROM_FILE:
        buffer_append_text(line, self->file_name);
        if (place.line > 0) {
            buffer_append_format(line, ":%u:%u", place.line, place.column);
        }
        buffer_append_text(line, ": ");
        break;
    case CONFIG_FROM_ENVIRONMENT:
        buffer_append_text(line, "environment: ");
        buffer_append_span(line, place.variable);
        buffer_append_text(line, ": ");
        return;
    case CONFIG_FROM_SETTINGS:
        buffer_append_text(line, path[0] == '\0' ? "--set: " : "--set ");
        break;
    }
    if (path[0] != '\0') {
        buffer_append_text(line, path);
        buffer_append_text(line, ": ");
    }
}

static void append_values(struct buffer *line, const char *format, va_list values) {
    va_list again;
    va_copy(again, values);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size > 0 && buffer_reserve(line, (size_t) size + 1)) {
        vsnprintf((char *) line->data + line->size, (size_t) size + 1, format, values);
        line->size += (size_t) size;
    }
}

static void replace_controls(struct buffer *line) {
    for (size_t i = 0; i < line->size; i++) {
        if (line->data[i] < 0x20 || line->data[i] == 0x7F) {
            line->data[i] = '?';
        }
    }
}

static bool is_told(const config_errors_t *self, const struct buffer *line) {
    return self->lines->size > self->begin &&
           memmem(self->lines->data + self->begin, self->lines->size - self->begin, line->data, line->size) != NULL;
}

static void hand_over(config_errors_t *self, struct config_place place, const char *path, const char *format,
                      va_list values) {
    struct buffer text = BUFFER_EMPTY;
    append_values(&text, format, values);
    replace_controls(&text);
    buffer_append_char(&text, '\0');
    self->sink->on_error(self->sink->context, place, path, (const char *) text.data);
    self->n++;
    buffer_finish(&text);
}

static void add_line(config_errors_t *self, struct config_place place, const char *path, const char *format,
                     va_list values) {
    if (config_errors_are_full(self)) {
        return;
    }
    if (self->sink != NULL) {
        hand_over(self, place, path, format, values);
        return;
    }
    struct buffer line = BUFFER_EMPTY;
    append_place(self, &line, place, path);
    append_values(&line, format, values);
    replace_controls(&line);
    buffer_append_char(&line, '\n');
    if (!is_told(self, &line)) {
        buffer_append_span(self->lines, buffer_span(&line));
        self->n++;
        if (config_errors_are_full(self)) {
            buffer_append_text(self->lines, "There are more errors; mend these first.\n");
        }
    }
    buffer_finish(&line);
}

void config_errors_add(config_errors_t *self, struct config_place place, const char *path, const char *format, ...) {
    va_list values;
    va_start(values, format);
    add_line(self, place, path, format, values);
    va_end(values);
}

void config_error(config_errors_t *self, const char *prefix, const char *path, const char *format, ...) {
    struct buffer joined = BUFFER_EMPTY;
    buffer_append_text(&joined, prefix);
    buffer_append_text(&joined, path);
    buffer_append_char(&joined, '\0');
    const char *full_path = (const char *) joined.data;
    va_list values;
    va_start(values, format);
    add_line(self, place_of(self, full_path), full_path, format, values);
    va_end(values);
    buffer_finish(&joined);
}
