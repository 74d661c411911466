/* Goes over the tables and asks the struct for each value, and the document for its place. */
#include "operator/spec/spec_effective.h"

#include "operator/spec/spec_lookup.h"
#include "operator/spec/spec_values.h"

#include <inttypes.h>

static const void *member_of(const struct spec_field *field, const void *target) {
    return (const uint8_t *) target + field->offset;
}

/* ---- values ---- */

static void append_texts(const struct spec_texts *texts, struct buffer *out) {
    buffer_append_char(out, '[');
    for (size_t i = 0; i < texts->n; i++) {
        buffer_append_format(out, "%s%s", i == 0 ? "" : ", ", texts->items[i]);
    }
    buffer_append_char(out, ']');
}

static void append_pairs(const struct spec_pairs *pairs, struct buffer *out) {
    buffer_append_char(out, '{');
    for (size_t i = 0; i < pairs->n; i++) {
        buffer_append_format(out, "%s%s: %s", i == 0 ? "" : ", ", pairs->items[i].name, pairs->items[i].value);
    }
    buffer_append_char(out, '}');
}

static void append_items(const struct spec_field *field, const struct spec_items *items, struct buffer *out) {
    buffer_append_char(out, '[');
    for (size_t i = 0; i < items->n; i++) {
        const uint8_t *item = (const uint8_t *) items->items + i * field->items->item_size;
        buffer_append_text(out, i == 0 ? "{" : ", {");
        for (size_t k = 0; k < field->items->n; k++) {
            buffer_append_format(out, "%s%s: ", k == 0 ? "" : ", ", field->items->fields[k].path);
            spec_append_value(&field->items->fields[k], item, out);
        }
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

static void append_raw(spec_raw_t raw, bool is_map, struct buffer *out) {
    if (raw == NULL || raw->n_children == 0) {
        buffer_append_text(out, is_map ? "{}" : "[]");
    } else {
        buffer_append_text(out, is_map ? "{…}" : "[…]");
    }
}

void spec_append_value(const struct spec_field *field, const void *target, struct buffer *out) {
    const void *member = member_of(field, target);
    switch (field->type) {
    case SPEC_BOOL:
        buffer_append_text(out, *(const bool *) member ? "true" : "false");
        return;
    case SPEC_COUNT:
    case SPEC_MEMORY:
    case SPEC_CPU:
    case SPEC_DURATION:
        spec_append_amount(out, field->type, *(const int64_t *) member);
        return;
    case SPEC_TEXT:
        buffer_append_text(out, *(const char *const *) member);
        return;
    case SPEC_CHOICE:
        buffer_append_text(out, field->choices[*(const int *) member]);
        return;
    case SPEC_TEXT_LIST:
        append_texts(member, out);
        return;
    case SPEC_PAIRS:
        append_pairs(member, out);
        return;
    case SPEC_ITEM_LIST:
        append_items(field, member, out);
        return;
    case SPEC_RAW_MAP:
    case SPEC_RAW_LIST:
        append_raw(*(const spec_raw_t *) member, field->type == SPEC_RAW_MAP, out);
        return;
    }
}

/* ---- who gave them ---- */

static void append_origin(const spec_document_t *document, const struct spec_field *field, const char *path,
                          struct buffer *out) {
    int profile = document->spec.profile;
    struct source_place place = spec_place(document, path);
    if (place.setting != NULL) {
        buffer_append_format(out, "--set %s", place.setting);
    } else if (spec_is_set(document, path)) {
        buffer_append_format(out, "%s:%u", place.source->name, place.line);
    } else if (field->by_profile[profile] != NULL) {
        buffer_append_format(out, "profile %s", spec_profile_name(profile));
    } else if (field->derived != NULL) {
        buffer_append_text(out, field->derived);
    } else {
        buffer_append_text(out, "default");
    }
}

struct line {
    struct buffer value;
    struct buffer origin;
};

typedef void (*append_line_t)(const char *path, const struct line *line, bool is_first, struct buffer *out);

static void append_fields(const spec_document_t *document, const struct spec_fields *fields, const char *prefix,
                          append_line_t append, bool *is_first, struct buffer *out) {
    for (size_t i = 0; i < fields->n; i++) {
        const struct spec_field *field = &fields->fields[i];
        const char *path = arena_format(document->arena, "%s%s", prefix, field->path);
        struct line line = {BUFFER_EMPTY, BUFFER_EMPTY};
        spec_append_value(field, &document->spec, &line.value);
        append_origin(document, field, path, &line.origin);
        append(path, &line, *is_first, out);
        *is_first = false;
        buffer_finish(&line.value);
        buffer_finish(&line.origin);
    }
}

static void append_all(const spec_document_t *document, append_line_t append, struct buffer *out) {
    bool is_first = true;
    size_t n;
    const struct spec_fields *const *sections = spec_sections(&n);
    append_fields(document, &spec_fields_metadata, "metadata.", append, &is_first, out);
    for (size_t i = 0; i < n; i++) {
        append_fields(document, sections[i], "", append, &is_first, out);
    }
}

static void append_text_line(const char *path, const struct line *line, bool is_first, struct buffer *out) {
    (void) is_first;
    size_t begin = out->size;
    buffer_append_format(out, "%s: ", path);
    buffer_append_span(out, buffer_span(&line->value));
    while (out->size - begin < 56) {
        buffer_append_char(out, ' ');
    }
    buffer_append_text(out, " # ");
    buffer_append_span(out, buffer_span(&line->origin));
    buffer_append_char(out, '\n');
}

static void append_json_line(const char *path, const struct line *line, bool is_first, struct buffer *out) {
    buffer_append_text(out, is_first ? "\n  " : ",\n  ");
    buffer_append_json_string(out, span_of_text(path));
    buffer_append_text(out, ": {\"value\": ");
    buffer_append_json_string(out, buffer_span(&line->value));
    buffer_append_text(out, ", \"from\": ");
    buffer_append_json_string(out, buffer_span(&line->origin));
    buffer_append_char(out, '}');
}

void spec_effective_append_text(const spec_document_t *document, struct buffer *out) {
    append_all(document, append_text_line, out);
}

void spec_effective_append_json(const spec_document_t *document, struct buffer *out) {
    buffer_append_char(out, '{');
    append_all(document, append_json_line, out);
    buffer_append_text(out, "\n}\n");
}
