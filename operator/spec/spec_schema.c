/* Fields of one section stand side by side in the tables under dotted paths; a schema has them nested. So a path's
 * parts are walked: of each level the names that come next, in the order of their first field.
 *
 *   gateway.drain.window, gateway.drain.grace, gateway.replicas
 *     → gateway: {drain: {window, grace}, replicas}
 *
 * What JSON Schema cannot say (rules across fields) only `check` says. */
#include "operator/spec/spec_schema.h"

#include "operator/spec/spec_format.h"
#include "operator/spec/spec_table.h"
#include "operator/spec/spec_unknown.h"

#include <inttypes.h>

struct writer {
    struct buffer *out;
    struct spec_level level;
    bool is_chart; /* of Helm's values: a text may be empty, which is how values.yaml says that nothing is set */
};

static void append_line(struct buffer *out, unsigned depth) {
    buffer_append_char(out, '\n');
    for (unsigned i = 0; i < depth; i++) {
        buffer_append_text(out, "  ");
    }
}

/* "name": "text", with a comma before it */
static void append_text(struct buffer *out, unsigned depth, const char *name, const char *text) {
    buffer_append_char(out, ',');
    append_line(out, depth);
    buffer_append_format(out, "\"%s\": ", name);
    buffer_append_json_string(out, span_of_text(text));
}

static void append_number(struct buffer *out, unsigned depth, const char *name, int64_t value) {
    buffer_append_char(out, ',');
    append_line(out, depth);
    buffer_append_format(out, "\"%s\": %" PRId64, name, value);
}

/* ---- one field ---- */

static void append_object(const struct writer *self, struct span prefix, bool may_be_null, unsigned depth);

static void append_choices(const struct spec_field *field, unsigned depth, struct buffer *out) {
    buffer_append_char(out, ',');
    append_line(out, depth);
    buffer_append_text(out, "\"enum\": [");
    for (int i = 0; field->choices[i] != NULL; i++) {
        buffer_append_format(out, "%s\"%s\"", i == 0 ? "" : ", ", field->choices[i]);
    }
    buffer_append_char(out, ']');
}

/* The default where all profiles have the same. */
static const char *common_default(const struct spec_field *field) {
    for (int profile = 0; profile < SPEC_PROFILES; profile++) {
        if (field->by_profile[profile] != NULL) {
            return NULL;
        }
    }
    return field->by_default;
}

static void append_default(const struct spec_field *field, unsigned depth, struct buffer *out) {
    const char *text = common_default(field);
    bool is_bare = field->type == SPEC_COUNT || field->type == SPEC_BOOL;
    if (text == NULL || field->type > SPEC_CHOICE) {
        return;
    }
    if (!is_bare) {
        append_text(out, depth, "default", text);
        return;
    }
    buffer_append_char(out, ',');
    append_line(out, depth);
    buffer_append_format(out, "\"default\": %s", text);
}

static bool is_metadata(const struct writer *self) {
    return self->level.tables[0] == &spec_fields_metadata;
}

/* An empty text stands for "not set" where a field has no least length. */
static bool may_be_empty(const struct writer *self, const struct spec_field *field) {
    bool is_optional = !field->is_required || is_metadata(self);
    bool is_unset = field->type == SPEC_TEXT && field->by_default == NULL;
    return field->minimum <= 0 || (self->is_chart && is_optional && is_unset);
}

static void append_text_rules(const struct writer *self, const struct spec_field *field, unsigned depth) {
    struct buffer *out = self->out;
    bool is_bounded = field->minimum != 0 || field->maximum != 0;
    if (!may_be_empty(self, field)) {
        append_number(out, depth, "minLength", field->minimum);
    }
    append_number(out, depth, "maxLength",
                  is_bounded ? field->maximum : (int64_t) spec_format_bytes_max(field->format));
    const char *pattern = spec_format_pattern(field->format);
    if (pattern == NULL) {
        return;
    }
    struct buffer whole = BUFFER_EMPTY;
    buffer_append_format(&whole, may_be_empty(self, field) ? "^$|%s" : "%s", pattern);
    buffer_append_char(&whole, '\0');
    append_text(out, depth, "pattern", (const char *) whole.data);
    buffer_finish(&whole);
}

static void append_type(struct buffer *out, unsigned depth, const char *type) {
    append_line(out, depth);
    buffer_append_format(out, "\"type\": %s", type);
}

static void append_bounds(const struct spec_field *field, unsigned depth, struct buffer *out) {
    if (field->minimum != 0 || field->maximum != 0) {
        append_number(out, depth, "minimum", field->minimum);
        append_number(out, depth, "maximum", field->maximum);
    }
}

static void append_amount_type(const struct spec_field *field, unsigned depth, struct buffer *out) {
    static const char *const patterns[] = {
        [SPEC_MEMORY] = "^(0|[1-9][0-9]*)([.][0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?$",
        [SPEC_CPU] = "^(0|[1-9][0-9]*)([.][0-9]{1,3})?m?$",
        [SPEC_DURATION] = "^(0|(0|[1-9][0-9]*)(ms|s|m|h|d))$",
    };
    append_type(out, depth, field->type == SPEC_DURATION ? "[\"string\", \"integer\"]" : "[\"string\", \"number\"]");
    append_text(out, depth, "pattern", patterns[field->type]);
}

static void append_items_max(const struct spec_field *field, unsigned depth, struct buffer *out) {
    if (field->items_max > 0) {
        append_number(out, depth, field->type == SPEC_PAIRS ? "maxProperties" : "maxItems", field->items_max);
    }
}

static void append_inner(const struct writer *self, const struct spec_field *field, const char *name, unsigned depth) {
    struct buffer *out = self->out;
    buffer_append_char(out, ',');
    append_line(out, depth);
    buffer_append_format(out, "\"%s\": {", name);
    if (field->type == SPEC_ITEM_LIST) {
        struct writer inner = {out, {&field->items, 1}, self->is_chart};
        append_object(&inner, SPAN_EMPTY, false, depth + 1);
    } else {
        append_type(out, depth + 1, "\"string\"");
        append_text_rules(self, field, depth + 1);
    }
    append_line(out, depth);
    buffer_append_char(out, '}');
}

static void append_list_type(const struct writer *self, const struct spec_field *field, unsigned depth) {
    bool is_map = field->type == SPEC_PAIRS || field->type == SPEC_RAW_MAP;
    bool is_raw = field->type == SPEC_RAW_MAP || field->type == SPEC_RAW_LIST;
    append_type(self->out, depth, is_map ? "\"object\"" : "\"array\"");
    append_items_max(field, depth, self->out);
    if (!is_raw) {
        append_inner(self, field, is_map ? "additionalProperties" : "items", depth);
    }
}

static void append_field_type(const struct writer *self, const struct spec_field *field, unsigned depth) {
    struct buffer *out = self->out;
    switch (field->type) {
    case SPEC_BOOL:
        append_type(out, depth, "\"boolean\"");
        return;
    case SPEC_COUNT:
        append_type(out, depth, "\"integer\"");
        append_bounds(field, depth, out);
        return;
    case SPEC_MEMORY:
    case SPEC_CPU:
    case SPEC_DURATION:
        append_amount_type(field, depth, out);
        return;
    case SPEC_TEXT:
        append_type(out, depth, "\"string\"");
        append_text_rules(self, field, depth);
        return;
    case SPEC_CHOICE:
        append_type(out, depth, "\"string\"");
        append_choices(field, depth, out);
        return;
    case SPEC_TEXT_LIST:
    case SPEC_PAIRS:
    case SPEC_ITEM_LIST:
    case SPEC_RAW_MAP:
    case SPEC_RAW_LIST:
        append_list_type(self, field, depth);
        return;
    }
}

static void append_field(const struct writer *self, const struct spec_field *field, unsigned depth) {
    append_field_type(self, field, depth);
    append_default(field, depth, self->out);
    append_text(self->out, depth, "description", field->help);
}

/* ---- nesting ---- */

/* The part of a path behind the prefix, up to the next dot; empty: the path does not begin so. */
static struct span next_part(struct span path, struct span prefix) {
    if (!span_starts_with(path, prefix)) {
        return SPAN_EMPTY;
    }
    struct span rest = span_of(path.data + prefix.size, path.size - prefix.size);
    const uint8_t *dot = memchr(rest.data, '.', rest.size);
    return dot == NULL ? rest : span_of(rest.data, (size_t) (dot - rest.data));
}

static const struct spec_field *field_at(const struct spec_level *level, size_t index) {
    for (size_t i = 0; i < level->n; i++) {
        if (index < level->tables[i]->n) {
            return &level->tables[i]->fields[index];
        }
        index -= level->tables[i]->n;
    }
    return NULL;
}

/* Did an earlier field bring this name already? */
static bool is_repeated(const struct writer *self, size_t index, struct span prefix, struct span name) {
    for (size_t i = 0; i < index; i++) {
        if (span_equal(next_part(span_of_text(field_at(&self->level, i)->path), prefix), name)) {
            return true;
        }
    }
    return false;
}

static void append_required(const struct writer *self, struct span prefix, unsigned depth) {
    bool is_first = true;
    if (self->is_chart && is_metadata(self)) {
        return; /* the release's name stands in */
    }
    for (size_t i = 0; field_at(&self->level, i) != NULL; i++) {
        const struct spec_field *field = field_at(&self->level, i);
        struct span part = next_part(span_of_text(field->path), prefix);
        if (!field->is_required || part.size == 0 || is_repeated(self, i, prefix, part)) {
            continue;
        }
        if (is_first) {
            buffer_append_char(self->out, ',');
            append_line(self->out, depth);
        }
        buffer_append_format(self->out, "%s\"%.*s\"", is_first ? "\"required\": [" : ", ", (int) part.size,
                             (const char *) part.data);
        is_first = false;
    }
    if (!is_first) {
        buffer_append_char(self->out, ']');
    }
}

static void append_member(const struct writer *self, const struct spec_field *field, struct span prefix,
                          struct span part, unsigned depth) {
    buffer_append_format(self->out, "\"%.*s\": {", (int) part.size, (const char *) part.data);
    size_t size = prefix.size + part.size;
    if (field->path[size] == '\0') {
        append_field(self, field, depth + 1);
    } else {
        append_object(self, span_of(field->path, size + 1), true, depth + 1);
    }
    append_line(self->out, depth);
    buffer_append_char(self->out, '}');
}

/* A namespace is the release's; what a patch changes Helm could not show. */
static bool is_outside_chart(const struct writer *self, const struct spec_field *field) {
    return self->is_chart &&
           (strcmp(field->path, "overrides") == 0 || (is_metadata(self) && strcmp(field->path, "namespace") == 0));
}

static void append_properties(const struct writer *self, struct span prefix, unsigned depth) {
    bool is_first = true;
    for (size_t i = 0; field_at(&self->level, i) != NULL; i++) {
        const struct spec_field *field = field_at(&self->level, i);
        struct span part = next_part(span_of_text(field->path), prefix);
        if (part.size == 0 || is_repeated(self, i, prefix, part) || is_outside_chart(self, field)) {
            continue;
        }
        buffer_append_text(self->out, is_first ? "" : ",");
        append_line(self->out, depth);
        append_member(self, field, prefix, part, depth);
        is_first = false;
    }
}

/* Without the braces around it. All lines of a section may be comments; then it is null. */
static void append_object(const struct writer *self, struct span prefix, bool may_be_null, unsigned depth) {
    append_type(self->out, depth, may_be_null ? "[\"object\", \"null\"]" : "\"object\"");
    buffer_append_char(self->out, ',');
    append_line(self->out, depth);
    buffer_append_text(self->out, "\"additionalProperties\": false");
    append_required(self, prefix, depth);
    buffer_append_char(self->out, ',');
    append_line(self->out, depth);
    buffer_append_text(self->out, "\"properties\": {");
    append_properties(self, prefix, depth + 1);
    append_line(self->out, depth);
    buffer_append_char(self->out, '}');
}

/* ---- all of it ---- */

void spec_schema_append_spec(struct buffer *out, unsigned depth) {
    struct writer self = {.out = out};
    self.level.tables = spec_sections(&self.level.n);
    append_object(&self, SPAN_EMPTY, true, depth);
}

void spec_schema_append(struct buffer *out) {
    buffer_append_text(out, "{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
                            "  \"title\": \"Callboard\",\n  \"type\": \"object\",\n  \"additionalProperties\": false,\n"
                            "  \"required\": [\"apiVersion\", \"kind\", \"metadata\"],\n  \"properties\": {\n"
                            "    \"apiVersion\": {\"const\": \"callboard.dev/v1alpha1\"},\n"
                            "    \"kind\": {\"const\": \"Callboard\"},\n    \"metadata\": {");
    const struct spec_fields *metadata = &spec_fields_metadata;
    struct writer self = {out, {&metadata, 1}, false};
    append_object(&self, SPAN_EMPTY, false, 3);
    buffer_append_text(out, "\n    },\n    \"spec\": {");
    spec_schema_append_spec(out, 3);
    buffer_append_text(out, "\n    }\n  }\n}\n");
}

void spec_schema_append_values(const struct spec_fields *own, struct buffer *out) {
    const struct spec_fields *metadata = &spec_fields_metadata;
    const struct writer names = {out, {&metadata, 1}, true};
    const struct writer beside = {out, {&own, 1}, true};
    struct writer self = {.out = out, .is_chart = true};
    self.level.tables = spec_sections(&self.level.n);
    buffer_append_text(out, "{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
                            "  \"title\": \"Values of the chart callboard\",\n  \"type\": \"object\",\n"
                            "  \"additionalProperties\": false,\n  \"properties\": {\n"
                            "    \"global\": {\n      \"type\": \"object\",\n"
                            "      \"description\": \"What a chart around this one shares. Not read.\"\n    },\n"
                            "    \"metadata\": {");
    append_object(&names, SPAN_EMPTY, true, 3);
    buffer_append_text(out, "\n    },");
    append_properties(&self, SPAN_EMPTY, 2);
    buffer_append_char(out, ',');
    append_properties(&beside, SPAN_EMPTY, 2);
    buffer_append_text(out, "\n  }\n}\n");
}
