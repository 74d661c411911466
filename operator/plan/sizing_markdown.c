/* Capacity as Markdown: a part of the notes, or a document of its own (docs/capacity.md). */
#include "operator/plan/sizing_constants.h"
#include "operator/plan/sizing_print.h"

static bool is_known(const struct sizing *sizing) {
    for (int i = 0; i < SIZING_FIGURES_N; i++) {
        if (sizing->values[i].is_known) {
            return true;
        }
    }
    return false;
}

static void append_figures(arena_t *arena, const struct sizing *sizing, struct buffer *out) {
    buffer_append_text(out, "| figure | needed | the spec has | numbers |\n| --- | --- | --- | --- |\n");
    for (int i = 0; i < SIZING_FIGURES_N; i++) {
        const struct sizing_figure_row *row = sizing_figure_row((enum sizing_figure) i);
        const struct sizing_value *value = &sizing->values[i];
        if (!value->is_known) {
            continue;
        }
        bool is_short = sizing_is_short(sizing, (enum sizing_figure) i);
        buffer_append_format(out, "| %s: %s | %s | %s%s | %s |\n", row->group, row->name,
                             sizing_amount(arena, row->unit, value->need),
                             value->has < 0 ? "" : sizing_amount(arena, row->unit, value->has),
                             is_short ? " **too little**" : "", value->worked);
    }
}

static void append_formulas(struct buffer *out) {
    buffer_append_text(out, "\n| figure | formula | margin |\n| --- | --- | --- |\n");
    for (int i = 0; i < SIZING_FIGURES_N; i++) {
        const struct sizing_figure_row *row = sizing_figure_row((enum sizing_figure) i);
        buffer_append_format(out, "| %s: %s | %s | %s |\n", row->group, row->name, row->formula, row->margin);
    }
}

static void append_constants(arena_t *arena, struct buffer *out) {
    buffer_append_text(out, "\n| constant | value | source |\n| --- | --- | --- |\n");
    for (int i = 0; i < SIZING_CONSTANTS_N; i++) {
        const struct sizing_constant_row *row = sizing_constant_row((enum sizing_constant) i);
        buffer_append_format(out, "| %s | %s%s%s | %s |\n", row->name, sizing_number(arena, row->value),
                             row->unit[0] == '\0' ? "" : " ", row->unit, row->source);
    }
}

void sizing_print_markdown_figures(arena_t *arena, const struct spec *spec, const struct sizing *sizing,
                                   struct buffer *out) {
    buffer_append_format(out, "For %s.\n\n", sizing_workload_text(arena, spec));
    append_figures(arena, sizing, out);
}

void sizing_print_markdown_tables(arena_t *arena, struct buffer *out) {
    append_formulas(out);
    append_constants(arena, out);
}

void sizing_print_markdown(arena_t *arena, const struct spec *spec, const struct sizing *sizing, struct buffer *out) {
    if (is_known(sizing)) {
        sizing_print_markdown_figures(arena, spec, sizing, out);
    } else {
        buffer_append_text(out, "The spec has no `workload`, so only the formulas stand here. With one, this table has "
                                "its figures, and `check` tells what\ncannot carry it.\n");
    }
    sizing_print_markdown_tables(arena, out);
}
