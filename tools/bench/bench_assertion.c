/* --assert: one grammar of three tokens. Spaces are allowed around each of them.
 *
 *   assertion [ , assertion ]…        assertion: FIGURE  <|<=|>|>=|=  NUMBER[UNIT] */
#include "tools/bench/bench_figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct assertion_reader {
    const char *text;
    const char *at;
    char *error;
    size_t error_size;
};

static bool refuse(const struct assertion_reader *self, const char *at, const char *what, struct span found) {
    snprintf(self->error, self->error_size, "column %td: %s%s%.*s%s", at - self->text + 1, what,
             found.size > 0 ? ", not '" : "", (int) found.size, found.size > 0 ? (const char *) found.data : "",
             found.size > 0 ? "'" : "");
    return false;
}

static void skip_spaces(struct assertion_reader *self) {
    self->at += strspn(self->at, " \t");
}

static struct span take(struct assertion_reader *self, const char *characters) {
    struct span token = span_of(self->at, strspn(self->at, characters));
    self->at += token.size;
    return token;
}

static bool read_figure(struct assertion_reader *self, enum bench_figure *ret) {
    const char *start = self->at;
    struct span name = take(self, "abcdefghijklmnopqrstuvwxyz0123456789_.");
    for (unsigned i = 0; i < BENCH_N_FIGURES; i++) {
        if (span_equal_text(name, bench_figure_rows[i].name)) {
            *ret = (enum bench_figure) i;
            return true;
        }
    }
    return refuse(self, start, "expected a figure such as success, p95 or lost (bench --help lists them)",
                  name.size > 0 ? name : span_of(start, *start != '\0'));
}

static bool read_operator(struct assertion_reader *self, enum bench_operator *ret) {
    static const char *const texts[] = {
        [BENCH_BELOW] = "<", [BENCH_AT_MOST] = "<=", [BENCH_ABOVE] = ">", [BENCH_AT_LEAST] = ">=", [BENCH_EQUAL] = "="};
    const char *start = self->at;
    struct span text = take(self, "<>=!");
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (span_equal_text(text, texts[i])) {
            *ret = (enum bench_operator) i;
            return true;
        }
    }
    return refuse(self, start, "expected <, <=, >, >= or =", text.size > 0 ? text : span_of(start, *start != '\0'));
}

static bool scale_of(enum bench_unit unit, struct span text, double *ret_scale) {
    static const struct {
        enum bench_unit unit;
        const char *text;
        double scale;
    } units[] = {{BENCH_PERCENT, "%", 1},     {BENCH_MS, "us", 0.001},     {BENCH_MS, "ms", 1},
                 {BENCH_MS, "s", 1000},       {BENCH_SECONDS, "us", 1e-6}, {BENCH_SECONDS, "ms", 0.001},
                 {BENCH_SECONDS, "s", 1},     {BENCH_BYTES, "B", 1},       {BENCH_BYTES, "KB", 1024},
                 {BENCH_BYTES, "MB", 1 << 20}};
    *ret_scale = 1;
    if (text.size == 0) {
        return true;
    }
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].unit == unit && span_equal_text(text, units[i].text)) {
            *ret_scale = units[i].scale;
            return true;
        }
    }
    return false;
}

static bool read_value(struct assertion_reader *self, enum bench_unit unit, double *ret) {
    static const char *const wanted[] = {
        [BENCH_PERCENT] = "this figure's unit is %",
        [BENCH_MS] = "this figure's units are us, ms (the default) and s",
        [BENCH_COUNT] = "this figure has no unit",
        [BENCH_PER_SECOND] = "this figure has no unit",
        [BENCH_SECONDS] = "this figure's units are us, ms and s (the default)",
        [BENCH_BYTES] = "this figure's units are B (the default), KB and MB",
    };
    const char *start = self->at;
    struct span digits = take(self, "0123456789.");
    char copy[32];
    char *end = NULL;
    if (digits.size > 0 && digits.size < sizeof copy) {
        memcpy(copy, digits.data, digits.size);
        copy[digits.size] = '\0';
        *ret = strtod(copy, &end);
    }
    if (end == NULL || *end != '\0' || end == copy) {
        return refuse(self, start, "expected a number", digits.size > 0 ? digits : span_of(start, *start != '\0'));
    }
    skip_spaces(self);
    const char *unit_start = self->at;
    struct span text = take(self, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%");
    double scale;
    if (!scale_of(unit, text, &scale)) {
        return refuse(self, unit_start, wanted[unit], text);
    }
    *ret *= scale;
    return true;
}

static bool read_assertion(struct assertion_reader *self, struct bench_assertion *ret) {
    skip_spaces(self);
    const char *start = self->at;
    if (!read_figure(self, &ret->figure)) {
        return false;
    }
    skip_spaces(self);
    if (!read_operator(self, &ret->operator)) {
        return false;
    }
    skip_spaces(self);
    if (!read_value(self, bench_figure_rows[ret->figure].unit, &ret->value)) {
        return false;
    }
    ret->text = span_of(start, (size_t) (self->at - start));
    skip_spaces(self);
    return true;
}

bool bench_assertions_parse(const char *text, struct bench_assertion *ret, size_t *ret_count, char *ret_error,
                            size_t error_size) {
    struct assertion_reader reader = {text, text, ret_error, error_size};
    for (*ret_count = 0; *ret_count < BENCH_ASSERTIONS_MAX;) {
        if (!read_assertion(&reader, &ret[*ret_count])) {
            return false;
        }
        ++*ret_count;
        if (*reader.at == '\0') {
            return true;
        }
        if (*reader.at != ',') {
            return refuse(&reader, reader.at, "expected a comma, or the end", span_of(reader.at, 1));
        }
        reader.at++;
    }
    return refuse(&reader, reader.at, "more than 32 assertions", SPAN_EMPTY);
}

bool bench_assertion_holds(const struct bench_assertion *self, const double *figures) {
    double value = figures[self->figure];
    switch (self->operator) {
    case BENCH_BELOW:
        return isless(value, self->value);
    case BENCH_AT_MOST:
        return islessequal(value, self->value);
    case BENCH_ABOVE:
        return isgreater(value, self->value);
    case BENCH_AT_LEAST:
        return isgreaterequal(value, self->value);
    case BENCH_EQUAL:
        break;
    }
    return !isnan(value) && !isless(value, self->value) && !isgreater(value, self->value);
}
