/* Rows as lines. */
#include "operator/spec/spec_explain.h"

#include "base/config_nearest.h"
#include "operator/spec/spec_format.h"
#include "operator/spec/spec_values.h"

#include <stdio.h>

static bool has_bounds(const struct spec_field *field) {
    return (field->minimum != 0 || field->maximum != 0) && field->type <= SPEC_DURATION && field->type != SPEC_BOOL;
}

/* "3 to 7", "redis or valkey", "small letters, …"; nothing where all is good. */
static void append_rule(const struct spec_field *field, struct buffer *out) {
    if (has_bounds(field)) {
        spec_append_amount(out, field->type, field->minimum);
        buffer_append_text(out, " to ");
        spec_append_amount(out, field->type, field->maximum);
    } else if (field->type == SPEC_CHOICE) {
        for (int i = 0; field->choices[i] != NULL; i++) {
            buffer_append_format(out, "%s%s", i == 0 ? "" : ", ", field->choices[i]);
        }
    } else if (spec_format_description(field->format) != NULL) {
        buffer_append_text(out, spec_format_description(field->format));
    }
}

static bool is_same_in_all(const struct spec_field *field) {
    for (int profile = 1; profile < SPEC_PROFILES; profile++) {
        const char *one = spec_default_of(field, 0);
        const char *other = spec_default_of(field, profile);
        bool is_same = one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
        if (!is_same) {
            return false;
        }
    }
    return true;
}

/* "2", or "dev 1, small 2, …"; what it follows from where there is none. */
static void append_default(const struct spec_field *field, struct buffer *out) {
    const char *common = spec_default_of(field, 0);
    if (is_same_in_all(field)) {
        buffer_append_text(out, common != NULL ? common : field->derived != NULL ? field->derived : "");
        return;
    }
    bool is_first = true;
    for (int profile = 0; profile < SPEC_PROFILES; profile++) {
        const char *text = spec_default_of(field, profile);
        if (text != NULL) {
            buffer_append_format(out, "%s%s %s", is_first ? "" : ", ", spec_profile_name(profile), text);
            is_first = false;
        }
    }
}

static void append_labelled(struct buffer *out, const char *label, struct span text) {
    if (text.size > 0) {
        buffer_append_format(out, "  %-9s ", label);
        buffer_append_span(out, text);
        buffer_append_char(out, '\n');
    }
}

static void append_labelled_by(struct buffer *out, const char *label, const struct spec_field *field,
                               void (*append)(const struct spec_field *field, struct buffer *out)) {
    struct buffer text = BUFFER_EMPTY;
    append(field, &text);
    append_labelled(out, label, buffer_span(&text));
    buffer_finish(&text);
}

void spec_explain_field(const struct spec_field *field, struct span path, struct buffer *out) {
    buffer_append_span(out, path);
    buffer_append_format(out, "\n  %s\n\n", field->help);
    append_labelled(out, "type", span_of_text(spec_type_name(field->type)));
    append_labelled_by(out, "may be", field, append_rule);
    append_labelled_by(out, "default", field, append_default);
    bool is_both = field->derived != NULL && spec_default_of(field, 0) != NULL;
    append_labelled(out, "follows", span_of_text(is_both ? field->derived : NULL));
    append_labelled(out, "effect", span_of_text(spec_effect_name(field->effect)));
    append_labelled(out, "changes", span_of_text(field->changes));
    for (size_t i = 0; field->items != NULL && i < field->items->n; i++) {
        buffer_append_format(out, "  []%s %s: %s\n", ".", field->items->fields[i].path, field->items->fields[i].help);
    }
}

/* ---- lists ---- */

static bool is_in_section(struct span own, struct span path) {
    return path.size == 0 || (own.size > path.size && own.data[path.size] == '.' && span_starts_with(own, path));
}

static bool append_lines(const struct spec_fields *fields, const char *prefix, struct span path, struct buffer *out) {
    bool is_any = false;
    for (size_t i = 0; i < fields->n; i++) {
        char own[192];
        snprintf(own, sizeof own, "%s%s", prefix, fields->fields[i].path);
        if (is_in_section(span_of_text(own), path)) {
            buffer_append_format(out, "%-44s %s\n", own, fields->fields[i].help);
            is_any = true;
        }
    }
    return is_any;
}

bool spec_explain_section(struct span path, struct buffer *out) {
    size_t n;
    const struct spec_fields *const *sections = spec_sections(&n);
    struct span spec = SPAN_LITERAL("spec");
    bool is_all = span_equal(path, spec) || path.size == 0;
    bool is_below_spec = span_starts_with(path, SPAN_LITERAL("spec."));
    struct span below = is_below_spec ? span_of(path.data + 5, path.size - 5) : is_all ? SPAN_EMPTY : path;
    bool is_any = span_equal(path, spec) ? false : append_lines(&spec_fields_metadata, "metadata.", path, out);
    for (size_t i = 0; i < n; i++) {
        is_any = append_lines(sections[i], "", below, out) || is_any;
    }
    return is_any;
}

/* Whole paths are compared, and last parts: who does not know where a field stands knows its name. */
struct span spec_explain_nearest(struct span path) {
    size_t n;
    const struct spec_fields *const *sections = spec_sections(&n);
    struct config_nearest nearest = config_nearest_to(path);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sections[i]->n; k++) {
            const char *own = sections[i]->fields[k].path;
            const char *dot = strrchr(own, '.');
            if (dot != NULL && span_equal_text(path, dot + 1)) {
                return span_of_text(own);
            }
            config_nearest_consider(&nearest, span_of_text(own));
        }
    }
    return nearest.best;
}

/* ---- docs/operator.md ---- */

static void append_cell(struct buffer *out, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        buffer_append_text(out, *c == '|' ? "\\" : *c == '<' ? "&lt;" : *c == '>' ? "&gt;" : "");
        if (*c != '<' && *c != '>') {
            buffer_append_char(out, *c);
        }
    }
}

static void append_cell_by(struct buffer *out, const struct spec_field *field,
                           void (*append)(const struct spec_field *field, struct buffer *out)) {
    struct buffer text = BUFFER_EMPTY;
    append(field, &text);
    buffer_append_char(&text, '\0');
    append_cell(out, (const char *) text.data);
    buffer_finish(&text);
}

static void append_type(const struct spec_field *field, struct buffer *out) {
    static const char *const names[] = {
        [SPEC_BOOL] = "truth value",   [SPEC_COUNT] = "number",
        [SPEC_MEMORY] = "memory",      [SPEC_CPU] = "CPU",
        [SPEC_DURATION] = "duration",  [SPEC_TEXT] = "text",
        [SPEC_CHOICE] = "word",        [SPEC_TEXT_LIST] = "texts",
        [SPEC_PAIRS] = "map of texts", [SPEC_ITEM_LIST] = "list of maps",
        [SPEC_RAW_MAP] = "map",        [SPEC_RAW_LIST] = "list",
    };
    buffer_append_text(out, names[field->type]);
    if (has_bounds(field) || field->type == SPEC_CHOICE) {
        buffer_append_text(out, ": ");
        append_rule(field, out);
    }
}

static void append_effect(const struct spec_field *field, struct buffer *out) {
    static const char *const names[] = {
        [SPEC_EFFECT_NOTHING] = "—",          [SPEC_EFFECT_HOT] = "hot",           [SPEC_EFFECT_ROLLS] = "rolls",
        [SPEC_EFFECT_RECREATE] = "re-create", [SPEC_EFFECT_DATA] = "data at risk",
    };
    buffer_append_text(out, names[field->effect]);
}

static void append_table(const struct spec_fields *fields, struct buffer *out) {
    buffer_append_format(out,
                         "\n### %s\n\n%s\n\n| field | is | default | a change | what it does |\n"
                         "| --- | --- | --- | --- | --- |\n",
                         fields->title, fields->intro);
    for (size_t i = 0; i < fields->n; i++) {
        const struct spec_field *field = &fields->fields[i];
        buffer_append_format(out, "| `%s` | ", field->path);
        append_cell_by(out, field, append_type);
        buffer_append_text(out, " | ");
        append_cell_by(out, field, append_default);
        buffer_append_text(out, " | ");
        append_cell_by(out, field, append_effect);
        buffer_append_text(out, " | ");
        append_cell(out, field->help);
        buffer_append_text(out, " |\n");
    }
    for (size_t i = 0; i < fields->n; i++) {
        if (fields->fields[i].items != NULL) {
            append_table(fields->fields[i].items, out);
        }
    }
}

void spec_explain_markdown(struct buffer *out) {
    size_t n;
    const struct spec_fields *const *sections = spec_sections(&n);
    append_table(&spec_fields_metadata, out);
    for (size_t i = 0; i < n; i++) {
        append_table(sections[i], out);
    }
}
