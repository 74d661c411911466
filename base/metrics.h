/* Metrics that describe themselves: a module keeps a const table of descriptions beside the code that counts, each
 * thread has values of its own for it (one writer, relaxed atomics), a scrape sums them. Rendered as Prometheus text
 * 0.0.4. Thread: the registry's functions are for any thread (a mutex, never on the hot path); a metric_values is
 * written by one thread only and read by the scraping one. */
#ifndef CALLBOARD_BASE_METRICS_H
#define CALLBOARD_BASE_METRICS_H

#include "base/bytes.h"

#include <stdint.h>

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,     /* summed over threads */
    METRIC_GAUGE_MAX, /* the largest over threads */
    METRIC_HISTOGRAM, /* of µs, rendered in seconds; bounds 50 µs … 10 s in a 1-2.5-5 row */
    METRIC_SUMMARY,   /* of an alias only: sum and count of a histogram, and its quantiles lately (metric_window.h) */
};

struct metric_description {
    const char *name; /* with unit suffix: callboard_…_total, _bytes, _seconds */
    const char *help;
    enum metric_type type;
    const char *labels; /* constant, e.g. reason="slow",kind="json"; NULL for none. Rows of one name stand together. */
};

/* A series under another name: what others' dashboards ask for. Costs nothing but at a scrape. */
struct metric_alias {
    const char *name;
    const char *help;
    enum metric_type type;
    const char *labels;        /* NULL for none */
    const char *source;        /* the name of rows that are counted; none of them registered: the alias is left out */
    const char *source_labels; /* NULL: all of that name, summed */
};

typedef struct metrics metrics_t;             /* a process's registry */
typedef struct metric_values metric_values_t; /* one thread's values for one table */

metrics_t *metrics_new(void);
void metrics_destroy(metrics_t **self_p); /* every metric_values must be gone */

/* `table` lives as long as the registry. Index i of the functions below is row i. Tables may have rows of the same name
 * (of one type then): equal labels are one series, summed. */
metric_values_t *metric_values_new(metrics_t *registry, const struct metric_description *table, size_t n_rows);
/* Counters and histograms of a thread that ends stay in the sums; gauges go. */
void metric_values_destroy(metric_values_t **self_p);

/* Rendered behind everything else, in this order; rows of one name stand together. One table a registry. */
void metrics_set_aliases(metrics_t *self, const struct metric_alias *table, size_t n_rows);

void metric_add(metric_values_t *self, size_t row, uint64_t amount); /* counters */
static inline void metric_count(metric_values_t *self, size_t row) {
    metric_add(self, row, 1);
}
void metric_set(metric_values_t *self, size_t row, int64_t value);      /* gauges */
void metric_change(metric_values_t *self, size_t row, int64_t amount);  /* gauges */
void metric_observe_us(metric_values_t *self, size_t row, uint64_t us); /* histograms */

/* Sum (or max) over threads of the row named so, with these labels (NULL: without); of a histogram the number of
 * observations; 0 when there is none. */
int64_t metrics_read(metrics_t *self, const char *name, const char *labels);
/* Appends the whole text, names in order, then the aliases, HELP and TYPE once each. False: over the buffer's limit. */
bool metrics_render(metrics_t *self, struct buffer *out);

#endif
