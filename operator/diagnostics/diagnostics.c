/* The list. Above the bound diagnostics are counted and not kept; their mend and other place go nowhere too. */
#include "operator/diagnostics/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 1024 };

void diagnostics_init(struct diagnostics *self, arena_t *arena) {
    *self = (struct diagnostics){.arena = arena};
}

/* Cut at a character, without controls and what is not to be seen: it may quote anything. */
static char *clean_text(struct diagnostics *self, struct span text) {
    size_t n = text.size;
    if (n > TEXT_BYTES_MAX) {
        n = TEXT_BYTES_MAX;
        while (n > 0 && (text.data[n] & 0xC0) == 0x80) {
            n--;
        }
    }
    char *clean = arena_text_of(self->arena, span_of(text.data, n));
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t) clean[i];
        size_t size;
        bool is_upper_control = c == 0xC2 && i + 1 < n && (uint8_t) clean[i + 1] < 0xA0;
        if (c < 0x20 || c == 0x7F) {
            clean[i] = '?';
        } else if (is_upper_control) {
            clean[i] = clean[i + 1] = '?';
        } else if (source_text_hidden(span_of(clean + i, n - i), &size) != 0) {
            memset(clean + i, '?', size);
        }
    }
    return clean;
}

static char *format_text(struct diagnostics *self, const char *format, va_list values) {
    char text[TEXT_BYTES_MAX + 8];
    int size = vsnprintf(text, sizeof text, format, values);
    size_t n = size < 0 ? 0 : (size_t) size < sizeof text ? (size_t) size : sizeof text - 1;
    return clean_text(self, span_of(text, n));
}

static struct diagnostic *last(struct diagnostics *self) {
    return self->n_dropped > 0 || self->n == 0 ? NULL : &self->items[self->n - 1];
}

void diagnostics_add(struct diagnostics *self, enum diagnostic_code code, struct source_place place, const char *path,
                     const char *format, ...) {
    if (diagnostic_is_warning(diagnostic_meaning_of(code))) {
        self->n_warnings++;
    } else {
        self->n_errors++;
    }
    if (self->n == DIAGNOSTICS_MAX) {
        self->n_dropped++;
        return;
    }
    va_list values;
    va_start(values, format);
    self->items[self->n] = (struct diagnostic){
        .code = code,
        .place = place,
        .path = clean_text(self, span_of_text(path)),
        .what = format_text(self, format, values),
        .mend = "",
        .order = self->n,
    };
    va_end(values);
    self->n++;
}

void diagnostics_add_text(struct diagnostics *self, enum diagnostic_code code, struct source_place place,
                          const char *path, const char *text) {
    const char *mend = strstr(text, "; ");
    size_t size = mend == NULL ? strlen(text) : (size_t) (mend - text);
    diagnostics_add(self, code, place, path, "%.*s", (int) size, text);
    if (mend != NULL) {
        diagnostics_mend(self, "%s", mend + 2);
    }
}

void diagnostics_mend(struct diagnostics *self, const char *format, ...) {
    struct diagnostic *item = last(self);
    if (item != NULL) {
        va_list values;
        va_start(values, format);
        item->mend = format_text(self, format, values);
        va_end(values);
    }
}

void diagnostics_other(struct diagnostics *self, struct source_place place, const char *format, ...) {
    struct diagnostic *item = last(self);
    if (item != NULL) {
        va_list values;
        va_start(values, format);
        item->other_place = place;
        item->other = format_text(self, format, values);
        va_end(values);
    }
}

void diagnostics_drop_last(struct diagnostics *self) {
    const struct diagnostic *item = last(self);
    if (item == NULL) {
        return;
    }
    if (diagnostic_is_warning(diagnostic_meaning_of(item->code))) {
        self->n_warnings--;
    } else {
        self->n_errors--;
    }
    self->n--;
}

bool diagnostics_has_error_at(const struct diagnostics *self, size_t n, const char *path) {
    size_t size = strlen(path);
    for (size_t i = 0; i < n && i < self->n; i++) {
        const char *own = self->items[i].path;
        bool is_error = !diagnostic_is_warning(diagnostic_meaning_of(self->items[i].code));
        if (is_error && strncmp(own, path, size) == 0 && strchr(".[", own[size]) != NULL) { /* NUL is found too */
            return true;
        }
    }
    return false;
}

static int compare_numbers(size_t a, size_t b) {
    return (a > b) - (a < b);
}

/* Sources are compared by name, so that the order does not depend on where they are in memory. */
static int compare(const void *a, const void *b) {
    const struct diagnostic *one = a;
    const struct diagnostic *two = b;
    const char *name_one = one->place.source == NULL ? "" : one->place.source->name;
    const char *name_two = two->place.source == NULL ? "" : two->place.source->name;
    int order = strcmp(name_one, name_two);
    order = order != 0 ? order : compare_numbers(one->place.line, two->place.line);
    order = order != 0 ? order : compare_numbers(one->place.column, two->place.column);
    return order != 0 ? order : compare_numbers(one->order, two->order);
}

void diagnostics_sort(struct diagnostics *self) {
    if (self->n > 1) {
        qsort(self->items, self->n, sizeof self->items[0], compare);
    }
}
