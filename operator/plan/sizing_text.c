/* Two tables: what is needed beside what the spec has, with the numbers; then how each figure comes about. */
#include "operator/plan/sizing_print.h"

#include "operator/plan/sizing_constants.h"
#include "operator/spec/spec_values.h"

#include <inttypes.h>

enum { NAME_WIDTH = 38, AMOUNT_WIDTH = 13 };

/* ---- the workload ---- */

static void append_history(arena_t *arena, const struct spec_workload *workload, struct buffer *out) {
    if (workload->channels > 0) {
        buffer_append_format(out, ", %s channels", sizing_number(arena, (double) workload->channels));
    }
    if (workload->history_size > 0) {
        buffer_append_format(out, "%s keep %s publications", workload->channels > 0 ? " that" : ", channels",
                             sizing_number(arena, (double) workload->history_size));
    }
    if (workload->history_size > 0 && workload->history_ttl_ms > 0) {
        buffer_append_text(out, " for ");
        spec_append_duration(out, workload->history_ttl_ms);
    }
}

const char *sizing_workload_text(arena_t *arena, const struct spec *spec) {
    const struct spec_workload *workload = &spec->workload;
    struct buffer out = BUFFER_EMPTY;
    buffer_append_format(&out, "%s connections", sizing_number(arena, (double) workload->connections));
    if (workload->connect_rate > 0) {
        buffer_append_format(&out, " (%s new a second)", sizing_number(arena, (double) workload->connect_rate));
    }
    buffer_append_format(&out, ", %s publications a second", sizing_number(arena, (double) workload->publish_rate));
    if (workload->publish_rate > 0) {
        buffer_append_format(&out, " of %s to %s subscriber%s",
                             sizing_amount(arena, SIZING_BYTES, (double) workload->message_bytes),
                             sizing_number(arena, (double) workload->fanout), workload->fanout == 1 ? "" : "s");
    }
    append_history(arena, workload, &out);
    const char *text = arena_text_of(arena, buffer_span(&out));
    buffer_finish(&out);
    return text;
}

/* ---- tables ---- */

static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char) *text & 0xC0) != 0x80; /* the first byte of a character */
    }
    return width;
}

static void append_spaces(struct buffer *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        buffer_append_char(out, ' ');
    }
}

static void append_left(struct buffer *out, const char *text, size_t width) {
    buffer_append_text(out, text);
    append_spaces(out, width_of(text) < width ? width - width_of(text) : 1);
}

static void append_right(struct buffer *out, const char *text, size_t width) {
    append_spaces(out, width_of(text) < width ? width - width_of(text) : 1);
    buffer_append_text(out, text);
}

static const char *has_text(arena_t *arena, const struct sizing_figure_row *row, const struct sizing_value *value) {
    return value->has < 0 ? "" : sizing_amount(arena, row->unit, value->has);
}

static void append_figure(arena_t *arena, const struct sizing *sizing, enum sizing_figure figure, struct buffer *out) {
    const struct sizing_figure_row *row = sizing_figure_row(figure);
    const struct sizing_value *value = &sizing->values[figure];
    buffer_append_text(out, "  ");
    append_left(out, row->name, NAME_WIDTH);
    append_right(out, sizing_amount(arena, row->unit, value->need), AMOUNT_WIDTH);
    append_right(out, has_text(arena, row, value), AMOUNT_WIDTH);
    buffer_append_format(out, " %s %s\n", sizing_is_short(sizing, figure) ? "!" : " ", value->worked);
}

static void append_formula(enum sizing_figure figure, struct buffer *out) {
    const struct sizing_figure_row *row = sizing_figure_row(figure);
    buffer_append_format(out, "  %s: %s\n", row->name, row->formula);
    if (row->margin[0] != '\0') {
        buffer_append_format(out, "      margin: %s\n", row->margin);
    }
    if (row->constants[0] != '\0') {
        buffer_append_format(out, "      constants: %s\n", row->constants);
    }
}

static void append_group(const char **group, enum sizing_figure figure, struct buffer *out) {
    const char *name = sizing_figure_row(figure)->group;
    if (*group == NULL || strcmp(*group, name) != 0) {
        *group = name;
        buffer_append_format(out, "%s\n", name);
    }
}

static void append_formulas(const struct sizing *sizing, struct buffer *out) {
    const char *group = NULL;
    buffer_append_text(out, "\nHow\n");
    for (int i = 0; i < SIZING_FIGURES_N; i++) {
        if (sizing->values[i].is_known) {
            append_group(&group, (enum sizing_figure) i, out);
            append_formula((enum sizing_figure) i, out);
        }
    }
}

void sizing_print_text(arena_t *arena, const struct spec *spec, const struct sizing *sizing, bool is_short,
                       struct buffer *out) {
    const char *group = NULL;
    size_t n_short = 0;
    buffer_append_format(out, "%s: %s\n\n", spec->metadata.name, sizing_workload_text(arena, spec));
    append_left(out, "", NAME_WIDTH + 2);
    append_right(out, "needed", AMOUNT_WIDTH);
    append_right(out, "the spec has", AMOUNT_WIDTH);
    buffer_append_text(out, "   numbers\n");
    for (int i = 0; i < SIZING_FIGURES_N; i++) {
        if (sizing->values[i].is_known) {
            append_group(&group, (enum sizing_figure) i, out);
            append_figure(arena, sizing, (enum sizing_figure) i, out);
            n_short += sizing_is_short(sizing, (enum sizing_figure) i);
        }
    }
    if (!is_short) {
        append_formulas(sizing, out);
        buffer_append_format(out, "\n%zu of the figures %s above what the spec has (!)\n", n_short,
                             n_short == 1 ? "is" : "are");
    }
}

void sizing_print_constants_text(arena_t *arena, struct buffer *out) {
    buffer_append_text(out, "\nConstants\n");
    for (int i = 0; i < SIZING_CONSTANTS_N; i++) {
        const struct sizing_constant_row *row = sizing_constant_row((enum sizing_constant) i);
        buffer_append_text(out, "  ");
        append_left(out, row->name, NAME_WIDTH - 12);
        append_right(out, arena_format(arena, "%s %s", sizing_number(arena, row->value), row->unit), AMOUNT_WIDTH);
        buffer_append_format(out, "   %s\n", row->source);
    }
}
