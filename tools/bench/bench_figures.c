/* Names and texts of the figures: what a person reads and what JSON gets. */
#include "tools/bench/bench_figures.h"

#include <math.h>
#include <stdio.h>

const struct bench_figure_row bench_figure_rows[BENCH_N_FIGURES] = {
#define X(id, name, unit, meaning) {name, unit, meaning},
    BENCH_FIGURES(X)
#undef X
};

/* 1,234,567 */
static void print_grouped(double value, char *ret_text, size_t size) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%.0f", value);
    size_t at = 0;
    for (int i = 0; i < length && at + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-') {
            ret_text[at++] = ',';
        }
        ret_text[at++] = digits[i];
    }
    ret_text[at] = '\0';
}

void bench_figure_print(enum bench_figure figure, double value, char *ret_text, size_t size) {
    if (isnan(value)) {
        snprintf(ret_text, size, "not measured");
        return;
    }
    switch (bench_figure_rows[figure].unit) {
    case BENCH_PERCENT:
        snprintf(ret_text, size, "%.3f %%", value);
        break;
    case BENCH_MS:
        snprintf(ret_text, size, value < 10 ? "%.3f ms" : "%.1f ms", value);
        break;
    case BENCH_SECONDS:
        snprintf(ret_text, size, "%.3f s", value);
        break;
    case BENCH_BYTES:
        if (value >= 1024.0 * 1024.0) {
            snprintf(ret_text, size, "%.1f MB", value / (1024.0 * 1024.0));
        } else {
            snprintf(ret_text, size, "%.0f B", value);
        }
        break;
    case BENCH_COUNT:
    case BENCH_PER_SECOND:
        print_grouped(value, ret_text, size);
        break;
    }
}

void bench_figure_print_json(struct buffer *out, double value) {
    if (!isfinite(value)) {
        buffer_append_text(out, "null");
    } else if (value == floor(value) && fabs(value) < 9e15) {
        buffer_append_format(out, "%.0f", value);
    } else {
        buffer_append_format(out, "%.6g", value);
    }
}
