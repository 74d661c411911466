/* See findings.h. Bounded: over FINDINGS_MAX findings are counted, not kept; a reader is told how many. */
#include "base/findings.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 1024 };

const char *finding_severity_text(enum finding_severity severity) {
    static const char *const texts[FINDING_SEVERITIES] = {
        [FINDING_FINE] = "fine",       [FINDING_NOTE] = "note",   [FINDING_UNKNOWN] = "unknown",
        [FINDING_WARNING] = "warning", [FINDING_ERROR] = "error",
    };
    return severity < FINDING_SEVERITIES ? texts[severity] : "unknown";
}

enum finding_severity finding_severity_parse(const char *text) {
    for (unsigned i = 0; i < FINDING_SEVERITIES; i++) {
        if (strcmp(text, finding_severity_text((enum finding_severity) i)) == 0) {
            return (enum finding_severity) i;
        }
    }
    return FINDING_UNKNOWN;
}

/* Controls and broken UTF-8 become question marks: values come from servers and files. */
static void make_printable(uint8_t *text, size_t size) {
    const uint8_t *end = text + size;
    for (uint8_t *at = text; at < end;) {
        size_t length = *at >= 0x80 ? utf8_sequence_size(at, end) : *at >= 0x20 && *at != 0x7F;
        if (length == 0) {
            *at = '?';
            length = 1;
        }
        at += length;
    }
}

static char *format_text(const char *format, va_list values) {
    char text[TEXT_MAX];
    vsnprintf(text, sizeof text, format, values);
    make_printable((uint8_t *) text, strlen(text));
    return memory_strdup(text);
}

/* NULL: the list is full. */
static struct finding *new_item(struct findings *self) {
    if (self->n == FINDINGS_MAX) {
        self->n_dropped++;
        return NULL;
    }
    if (self->n == self->capacity) {
        self->capacity = self->capacity == 0 ? 32 : self->capacity * 2;
        self->items = memory_realloc(self->items, self->capacity * sizeof *self->items);
    }
    return &self->items[self->n++];
}

void findings_add(struct findings *self, const char *id, enum finding_severity severity, const char *where,
                  const char *format, ...) {
    struct finding *item = new_item(self);
    if (item == NULL) {
        return;
    }
    va_list values;
    va_start(values, format);
    *item = (struct finding){.id = id,
                             .severity = severity,
                             .where = memory_strdup(where),
                             .what = format_text(format, values),
                             .mend = memory_strdup("")};
    va_end(values);
}

void findings_mend(struct findings *self, const char *format, ...) {
    if (self->n_dropped > 0 || self->n == 0) {
        return; /* the one meant was not kept */
    }
    struct finding *last = &self->items[self->n - 1];
    va_list values;
    va_start(values, format);
    memory_free(last->mend);
    last->mend = format_text(format, values);
    va_end(values);
}

void findings_finish(struct findings *self) {
    for (size_t i = 0; i < self->n; i++) {
        memory_free(self->items[i].where);
        memory_free(self->items[i].what);
        memory_free(self->items[i].mend);
    }
    memory_free(self->items);
    *self = FINDINGS_EMPTY;
}

size_t findings_count(const struct findings *self, enum finding_severity severity) {
    size_t n = 0;
    for (size_t i = 0; i < self->n; i++) {
        n += self->items[i].severity == severity;
    }
    return n;
}

enum finding_severity findings_worst(const struct findings *self) {
    enum finding_severity worst = FINDING_FINE;
    for (size_t i = 0; i < self->n; i++) {
        worst = self->items[i].severity > worst ? self->items[i].severity : worst;
    }
    return worst;
}

const struct finding *findings_find(const struct findings *self, const char *id, const char *where) {
    for (size_t i = 0; i < self->n; i++) {
        const struct finding *item = &self->items[i];
        if (strcmp(item->id, id) == 0 && (where == NULL || strcmp(item->where, where) == 0)) {
            return item;
        }
    }
    return NULL;
}

static void append_finding(struct buffer *out, const struct finding *finding) {
    const char *const members[][2] = {{"id", finding->id},
                                      {"severity", finding_severity_text(finding->severity)},
                                      {"where", finding->where},
                                      {"what", finding->what},
                                      {"mend", finding->mend}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        buffer_append_format(out, "%s\"%s\":", i == 0 ? "{" : ",", members[i][0]);
        buffer_append_json_string(out, span_of_text(members[i][1]));
    }
    buffer_append_char(out, '}');
}

void findings_append_items(const struct findings *self, enum finding_severity at_least, bool *is_first,
                           struct buffer *out) {
    for (size_t i = 0; i < self->n; i++) {
        const struct finding *item = &self->items[i];
        if (item->severity < at_least) {
            continue;
        }
        if (!*is_first) {
            buffer_append_char(out, ',');
        }
        *is_first = false;
        append_finding(out, item);
    }
}

void findings_append_json(const struct findings *self, enum finding_severity at_least, struct buffer *out) {
    bool is_first = true;
    buffer_append_char(out, '[');
    findings_append_items(self, at_least, &is_first, out);
    buffer_append_char(out, ']');
}
