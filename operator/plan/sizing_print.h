/* A sizing as text: tables for a terminal, JSON, or a part of the notes. Thread: any. */
#ifndef CALLBOARD_OPERATOR_PLAN_SIZING_PRINT_H
#define CALLBOARD_OPERATOR_PLAN_SIZING_PRINT_H

#include "operator/plan/sizing.h"

/* Figures with what the spec has and the numbers; unless `is_short` also formulas and margins. */
void sizing_print_text(arena_t *arena, const struct spec *spec, const struct sizing *sizing, bool is_short,
                       struct buffer *out);
void sizing_print_constants_text(arena_t *arena, struct buffer *out);

/* One member of a list. */
void sizing_print_json(const struct spec *spec, const struct sizing *sizing, struct buffer *out);
void sizing_print_constants_json(struct buffer *out);

/* Tables for the notes: the figures; without a workload the formulas alone. Then the constants. */
void sizing_print_markdown(arena_t *arena, const struct spec *spec, const struct sizing *sizing, struct buffer *out);

/* The same in parts. */
void sizing_print_markdown_figures(arena_t *arena, const struct spec *spec, const struct sizing *sizing,
                                   struct buffer *out);
void sizing_print_markdown_tables(arena_t *arena, struct buffer *out);

/* "100,000 connections, 5,000 publications a second…" */
const char *sizing_workload_text(arena_t *arena, const struct spec *spec);

#endif
