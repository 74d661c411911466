/* See ctl_top_reading.h. */
#include "tools/ctl_top_reading.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text -> series ---- */

/* name{labels} value, name value. False: it is none. A line ends with a line feed or the text's final 0. */
static bool parse_line(const char *line, size_t size, struct top_series *ret_series) {
    const char *space = memrchr(line, ' ', size);
    if (size == 0 || line[0] == '#' || space == NULL || space == line) {
        return false;
    }
    size_t head = (size_t) (space - line);
    const char *brace = memchr(line, '{', head);
    char *end;
    ret_series->value = strtod(space + 1, &end);
    if (end == space + 1 || end != line + size) {
        return false;
    }
    if (brace == NULL) {
        ret_series->name = span_of(line, head);
        ret_series->labels = SPAN_EMPTY;
        return true;
    }
    if (space[-1] != '}') {
        return false;
    }
    ret_series->name = span_of(line, (size_t) (brace - line));
    ret_series->labels = span_of(brace + 1, (size_t) (space - 1 - (brace + 1)));
    return true;
}

void top_reading_take(struct top_reading *self, struct span text, uint64_t at_us) {
    buffer_clear(&self->text);
    buffer_append_span(&self->text, text);
    buffer_append_char(&self->text, '\0');
    if (self->series == NULL) {
        self->series = memory_alloc_zero(TOP_SERIES_MAX * sizeof *self->series);
    }
    self->n = 0;
    self->at_us = at_us;
    const char *line = (const char *) self->text.data;
    while (*line != '\0' && self->n < TOP_SERIES_MAX) {
        size_t size = strcspn(line, "\n");
        self->n += parse_line(line, size, &self->series[self->n]) ? 1 : 0;
        line += size + (line[size] == '\n');
    }
}

void top_reading_finish(struct top_reading *self) {
    buffer_finish(&self->text);
    memory_free(self->series);
    self->series = NULL;
    self->n = 0;
}

/* ---- sums and rates ---- */

/* A whole label: at the beginning or behind a comma. */
static bool has_label(struct span labels, const char *label) {
    size_t size = label == NULL ? 0 : strlen(label);
    const char *at = (const char *) labels.data;
    const char *end = at + labels.size;
    if (size == 0) {
        return true;
    }
    for (const char *found; (found = memmem(at, (size_t) (end - at), label, size)) != NULL; at = found + 1) {
        if ((found == (const char *) labels.data || found[-1] == ',') && (found + size == end || found[size] == ',')) {
            return true;
        }
    }
    return false;
}

bool top_reading_sum(const struct top_reading *self, const char *name, const char *label, double *ret_sum) {
    struct span wanted = span_of_text(name);
    bool is_there = false;
    double sum = 0;
    for (size_t i = 0; i < self->n; i++) {
        const struct top_series *series = &self->series[i];
        if (span_equal(series->name, wanted)) {
            is_there = true;
            sum += has_label(series->labels, label) ? series->value : 0;
        }
    }
    *ret_sum = sum;
    return is_there;
}

bool top_reading_rate(const struct top_reading *now, const struct top_reading *before, const char *name,
                      const char *label, double *ret_rate) {
    double sum;
    double earlier;
    if (before->at_us == 0 || now->at_us <= before->at_us || !top_reading_sum(now, name, label, &sum) ||
        !top_reading_sum(before, name, label, &earlier) || sum < earlier) {
        return false;
    }
    *ret_rate = (sum - earlier) * 1e6 / (double) (now->at_us - before->at_us);
    return true;
}

/* ---- histograms ---- */

/* The bound's place, made where it belongs if it is not there; NULL: there are too many. */
static double *count_of(struct top_histogram *self, double bound) {
    size_t at = 0;
    while (at < self->n && self->bounds[at] < bound) {
        at++;
    }
    if (at < self->n && !(self->bounds[at] > bound)) {
        return &self->counts[at];
    }
    if (self->n == TOP_BUCKETS_MAX) {
        return NULL;
    }
    memmove(&self->bounds[at + 1], &self->bounds[at], (self->n - at) * sizeof *self->bounds);
    memmove(&self->counts[at + 1], &self->counts[at], (self->n - at) * sizeof *self->counts);
    self->bounds[at] = bound;
    self->counts[at] = 0;
    self->n++;
    return &self->counts[at];
}

static void add_buckets(struct top_histogram *self, const struct top_reading *reading, const char *name, double sign) {
    char bucket[128];
    snprintf(bucket, sizeof bucket, "%s_bucket", name);
    struct span wanted = span_of_text(bucket);
    for (size_t i = 0; i < reading->n; i++) {
        const struct top_series *series = &reading->series[i];
        const char *bound = series->labels.size == 0 || !span_equal(series->name, wanted)
                                ? NULL
                                : memmem(series->labels.data, series->labels.size, "le=\"", 4);
        double *count = bound == NULL ? NULL : count_of(self, strtod(bound + 4, NULL)); /* "+Inf" is infinity */
        if (count != NULL) {
            *count += sign * series->value;
        }
    }
}

void top_histogram_add(struct top_histogram *self, const struct top_reading *now, const struct top_reading *before,
                       const char *name) {
    char count[128];
    double rate;
    snprintf(count, sizeof count, "%s_count", name);
    if (top_reading_rate(now, before, count, NULL, &rate)) { /* else the program began anew */
        add_buckets(self, now, name, 1);
        add_buckets(self, before, name, -1);
    }
}

bool top_histogram_quantile(const struct top_histogram *self, double q, double *ret_value) {
    double total = self->n == 0 ? 0 : self->counts[self->n - 1];
    double rank = q * total;
    size_t at = 0;
    if (!(total > 0)) {
        return false;
    }
    while (self->counts[at] < rank) {
        at++;
    }
    double low = at == 0 ? 0 : self->bounds[at - 1];
    double below = at == 0 ? 0 : self->counts[at - 1];
    *ret_value =
        isinf(self->bounds[at]) ? low : low + (self->bounds[at] - low) * (rank - below) / (self->counts[at] - below);
    return true;
}
