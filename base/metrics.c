/* A registry of tables, and for each table the values of the threads that count with it.
 *
 *      registry --- family (one per table) --- values of thread 1
 *                     |                    \-- values of thread 2
 *                     \-- retired: what threads that ended had counted
 *
 * Happy path: a thread adds to cells that only it writes: a relaxed load and store, no lock, no shared line. A scrape
 * holds the mutex (so that no thread comes or goes meanwhile), sums the cells, sorts the rows by name and prints them.
 *
 * Failure modes: a scrape sees a count of one row and not yet that of another one made in the same moment; sums never
 * go back. Output over the buffer's limit: false, the caller answers 503 or the like. Two tables that say different
 * things about one name, a row used as another type than its own: bugs of ours, abort. */
#include "base/metrics.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/metric_window.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Upper bounds of histogram buckets, in µs and as Prometheus has them, in seconds. */
static const struct {
    uint64_t us;
    const char *seconds;
} bounds[] = {
    {50, "0.00005"}, {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},    {2500, "0.0025"},
    {5000, "0.005"}, {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},    {250000, "0.25"},
    {500000, "0.5"}, {1000000, "1.0"}, {2500000, "2.5"}, {5000000, "5.0"}, {10000000, "10.0"},
};

enum {
    N_BOUNDS = sizeof bounds / sizeof bounds[0],
    HISTOGRAM_SUM = N_BOUNDS + 1, /* behind the buckets, of which the last is +Inf */
    HISTOGRAM_CELLS = N_BOUNDS + 2,
    CACHE_LINE = 64,
};

/* One table and everybody who counts with it. */
struct family {
    struct list_link link; /* in metrics.families */
    const struct metric_description *table;
    size_t n_rows;
    size_t n_cells;
    size_t *first_cells;     /* of each row */
    uint64_t *retired;       /* n_cells */
    struct list_link values; /* metric_values.link */
};

struct metrics {
    pthread_mutex_t mutex; /* guards everything but the cells of living values */
    struct list_link families;
    const struct metric_alias *aliases;
    size_t n_aliases;
    struct metric_window *windows; /* n_aliases; of summaries */
};

struct metric_values {
    metrics_t *registry;
    struct family *family;
    struct list_link link;
    _Atomic uint64_t *cells; /* family->n_cells, and a cache line of nobody behind them */
};

metrics_t *metrics_new(void) {
    metrics_t *self = memory_alloc_zero(sizeof *self);
    int result = pthread_mutex_init(&self->mutex, NULL);
    check(result == 0, "mutex: %d", result);
    list_init(&self->families);
    return self;
}

static void family_destroy(struct family *family) {
    check(list_is_empty(&family->values), "metrics destroyed while a thread still counts %s", family->table[0].name);
    memory_free(family->first_cells);
    memory_free(family->retired);
    memory_free(family);
}

void metrics_destroy(metrics_t **self_p) {
    metrics_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    struct list_link *link;
    while ((link = list_pop_front(&self->families)) != NULL) {
        family_destroy(list_entry(link, struct family, link));
    }
    pthread_mutex_destroy(&self->mutex);
    memory_free(self->windows);
    memory_free(self);
}

static size_t cells_of(enum metric_type type) {
    return type == METRIC_HISTOGRAM ? HISTOGRAM_CELLS : 1;
}

/* What one table says about a name must not contradict what another says. */
static void check_agreement(metrics_t *self, const struct metric_description *row) {
    list_for_each (link, &self->families) {
        const struct family *family = list_entry(link, struct family, link);
        for (size_t i = 0; i < family->n_rows; i++) {
            check(strcmp(family->table[i].name, row->name) != 0 || family->table[i].type == row->type,
                  "%s has two types", row->name);
        }
    }
}

static struct family *family_new(metrics_t *self, const struct metric_description *table, size_t n_rows) {
    struct family *family = memory_alloc_zero(sizeof *family);
    family->table = table;
    family->n_rows = n_rows;
    family->first_cells = memory_alloc_array(n_rows, sizeof *family->first_cells);
    for (size_t i = 0; i < n_rows; i++) {
        check(table[i].type != METRIC_SUMMARY, "%s: nobody counts a summary", table[i].name);
        family->first_cells[i] = family->n_cells;
        family->n_cells += cells_of(table[i].type);
    }
    family->retired = memory_alloc_array(family->n_cells, sizeof *family->retired);
    list_init(&family->values);
    list_init(&family->link);
    list_push_back(&self->families, &family->link);
    for (size_t i = 0; i < n_rows; i++) {
        check_agreement(self, &table[i]);
    }
    return family;
}

static struct family *find_or_add_family(metrics_t *self, const struct metric_description *table, size_t n_rows) {
    list_for_each (link, &self->families) {
        struct family *family = list_entry(link, struct family, link);
        if (family->table == table) {
            check(family->n_rows == n_rows, "table of %s registered with two sizes", table[0].name);
            return family;
        }
    }
    return family_new(self, table, n_rows);
}

metric_values_t *metric_values_new(metrics_t *registry, const struct metric_description *table, size_t n_rows) {
    check(n_rows > 0, "a table without rows");
    pthread_mutex_lock(&registry->mutex);
    struct family *family = find_or_add_family(registry, table, n_rows);
    metric_values_t *self = memory_alloc_zero(sizeof *self);
    size_t cells_size = family->n_cells * sizeof *self->cells;
    self->registry = registry;
    self->family = family;
    self->cells = memory_alloc_zero(cells_size + CACHE_LINE);
    list_init(&self->link);
    list_push_back(&family->values, &self->link);
    pthread_mutex_unlock(&registry->mutex);
    return self;
}

static uint64_t read_cell(const metric_values_t *self, size_t cell) {
    return atomic_load_explicit(&self->cells[cell], memory_order_relaxed);
}

/* Counters and histograms live on without their thread. */
static void retire(metric_values_t *self) {
    struct family *family = self->family;
    for (size_t row = 0; row < family->n_rows; row++) {
        enum metric_type type = family->table[row].type;
        if (type != METRIC_COUNTER && type != METRIC_HISTOGRAM) {
            continue;
        }
        size_t first = family->first_cells[row];
        for (size_t cell = first; cell < first + cells_of(type); cell++) {
            family->retired[cell] += read_cell(self, cell);
        }
    }
}

void metric_values_destroy(metric_values_t **self_p) {
    metric_values_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    metrics_t *registry = self->registry;
    pthread_mutex_lock(&registry->mutex);
    retire(self);
    list_remove(&self->link);
    pthread_mutex_unlock(&registry->mutex);
    memory_free((void *) self->cells);
    memory_free(self);
}

/* The row's first cell; aborts when the row is of another type than the function that was called. */
static size_t cell_of(const metric_values_t *self, size_t row, enum metric_type type) {
    const struct family *family = self->family;
    check(row < family->n_rows, "row %zu of %zu", row, family->n_rows);
    enum metric_type actual = family->table[row].type;
    check(actual == type || (type == METRIC_GAUGE && actual == METRIC_GAUGE_MAX), "%s is of another type",
          family->table[row].name);
    return family->first_cells[row];
}

/* One writer: a plain load and store are enough, a read-modify-write would lock the line for nobody. */
static void add_to_cell(metric_values_t *self, size_t cell, uint64_t amount) {
    atomic_store_explicit(&self->cells[cell], read_cell(self, cell) + amount, memory_order_relaxed);
}

void metric_add(metric_values_t *self, size_t row, uint64_t amount) {
    add_to_cell(self, cell_of(self, row, METRIC_COUNTER), amount);
}

void metric_set(metric_values_t *self, size_t row, int64_t value) {
    size_t cell = cell_of(self, row, METRIC_GAUGE);
    atomic_store_explicit(&self->cells[cell], (uint64_t) value, memory_order_relaxed);
}

void metric_change(metric_values_t *self, size_t row, int64_t amount) {
    add_to_cell(self, cell_of(self, row, METRIC_GAUGE), (uint64_t) amount); /* modulo 2^64, as two's complement */
}

void metric_observe_us(metric_values_t *self, size_t row, uint64_t us) {
    size_t first = cell_of(self, row, METRIC_HISTOGRAM);
    size_t bucket = 0;
    while (bucket < N_BOUNDS && us > bounds[bucket].us) {
        bucket++;
    }
    add_to_cell(self, first + bucket, 1);
    add_to_cell(self, first + HISTOGRAM_SUM, us);
}

/* A row of some family, for sorting. */
struct row {
    const struct metric_description *description;
    const struct family *family;
    size_t first_cell;
};

static const char *labels_of(const struct row *row) {
    return row->description->labels == NULL ? "" : row->description->labels;
}

static int compare_rows(const void *left, const void *right) {
    const struct row *a = left;
    const struct row *b = right;
    int by_name = strcmp(a->description->name, b->description->name);
    return by_name != 0 ? by_name : strcmp(labels_of(a), labels_of(b));
}

/* All rows of all families, sorted; the caller frees them and holds the mutex. */
static struct row *sorted_rows(metrics_t *self, size_t *ret_n) {
    size_t n = 0;
    list_for_each (link, &self->families) {
        n += list_entry(link, struct family, link)->n_rows;
    }
    struct row *rows = memory_alloc_array(n, sizeof *rows);
    size_t at = 0;
    list_for_each (link, &self->families) {
        const struct family *family = list_entry(link, struct family, link);
        for (size_t i = 0; i < family->n_rows; i++) {
            rows[at++] = (struct row){&family->table[i], family, family->first_cells[i]};
        }
    }
    qsort(rows, n, sizeof *rows, compare_rows);
    *ret_n = n;
    return rows;
}

/* One cell summed over threads and the retired; for METRIC_GAUGE_MAX the largest. */
static uint64_t gather_cell(const struct row *row, size_t cell) {
    uint64_t gathered = row->family->retired[cell];
    bool is_first = true;
    list_for_each (link, &row->family->values) {
        uint64_t value = read_cell(list_entry(link, struct metric_values, link), cell);
        if (row->description->type != METRIC_GAUGE_MAX) {
            gathered += value;
        } else if (is_first || (int64_t) value > (int64_t) gathered) {
            gathered = value;
        }
        is_first = false;
    }
    return gathered;
}

/* The same cell of `n` rows with one name and labels (from different tables). */
static uint64_t gather(const struct row *rows, size_t n, size_t cell_in_row) {
    uint64_t gathered = gather_cell(&rows[0], rows[0].first_cell + cell_in_row);
    for (size_t i = 1; i < n; i++) {
        uint64_t value = gather_cell(&rows[i], rows[i].first_cell + cell_in_row);
        if (rows[i].description->type != METRIC_GAUGE_MAX) {
            gathered += value;
        } else if ((int64_t) value > (int64_t) gathered) {
            gathered = value;
        }
    }
    return gathered;
}

static uint64_t gather_observations(const struct row *rows, size_t n) {
    uint64_t count = 0;
    for (size_t bucket = 0; bucket <= N_BOUNDS; bucket++) {
        count += gather(rows, n, bucket);
    }
    return count;
}

/* How many rows from here on are the same series. */
static size_t count_same(const struct row *rows, size_t n) {
    size_t same = 1;
    while (same < n && compare_rows(&rows[0], &rows[same]) == 0) {
        same++;
    }
    return same;
}

int64_t metrics_read(metrics_t *self, const char *name, const char *labels) {
    const struct metric_description wanted = {.name = name, .labels = labels};
    const struct row key = {.description = &wanted};
    uint64_t value = 0;
    size_t n = 0;
    pthread_mutex_lock(&self->mutex);
    struct row *rows = sorted_rows(self, &n);
    for (size_t i = 0; i < n; i++) {
        if (compare_rows(&rows[i], &key) == 0) {
            size_t same = count_same(rows + i, n - i);
            bool is_histogram = rows[i].description->type == METRIC_HISTOGRAM;
            value = is_histogram ? gather_observations(rows + i, same) : gather(rows + i, same, 0);
            break;
        }
    }
    memory_free(rows);
    pthread_mutex_unlock(&self->mutex);
    return (int64_t) value;
}

static const char *type_name(enum metric_type type) {
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
    case METRIC_GAUGE_MAX:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    case METRIC_SUMMARY:
        return "summary";
    }
    unreachable("metric type %d", (int) type);
}

/* HELP escapes backslash and line feed, nothing else. */
static void append_help_text(struct buffer *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buffer_append_text(out, "\\n");
        } else if (*text == '\\') {
            buffer_append_text(out, "\\\\");
        } else {
            buffer_append_char(out, *text);
        }
    }
}

static void append_head(struct buffer *out, const struct metric_description *description) {
    buffer_append_format(out, "# HELP %s ", description->name);
    append_help_text(out, description->help);
    buffer_append_format(out, "\n# TYPE %s %s\n", description->name, type_name(description->type));
}

/* name + suffix, the labels with one more among them where given (le, quantile), and a space. */
static void append_series_with(struct buffer *out, const struct metric_description *description, const char *suffix,
                               const char *more, const char *value) {
    const char *labels = description->labels == NULL ? "" : description->labels;
    buffer_append_text(out, description->name);
    buffer_append_text(out, suffix);
    if (labels[0] != '\0' || value != NULL) {
        buffer_append_char(out, '{');
        buffer_append_text(out, labels);
        if (value != NULL) {
            buffer_append_format(out, "%s%s=\"%s\"", labels[0] != '\0' ? "," : "", more, value);
        }
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ' ');
}

static void append_series(struct buffer *out, const struct metric_description *description, const char *suffix,
                          const char *le) {
    append_series_with(out, description, suffix, "le", le);
}

static void append_sum_and_count(struct buffer *out, const struct metric_description *description,
                                 const struct row *rows, size_t n) {
    uint64_t sum_us = gather(rows, n, HISTOGRAM_SUM);
    append_series(out, description, "_sum", NULL);
    buffer_append_format(out, "%llu.%06u\n", (unsigned long long) (sum_us / 1000000), (unsigned) (sum_us % 1000000));
    append_series(out, description, "_count", NULL);
    buffer_append_u64_decimal(out, gather_observations(rows, n));
}

static void append_buckets(struct buffer *out, const struct metric_description *description, const struct row *rows,
                           size_t n) {
    uint64_t count = 0;
    for (size_t bucket = 0; bucket <= N_BOUNDS; bucket++) {
        count += gather(rows, n, bucket);
        append_series(out, description, "_bucket", bucket < N_BOUNDS ? bounds[bucket].seconds : "+Inf");
        buffer_append_u64_decimal(out, count);
        buffer_append_char(out, '\n');
    }
}

/* `n` rows as the one series that is described. */
static void append_rows(struct buffer *out, const struct metric_description *description, const struct row *rows,
                        size_t n) {
    switch (description->type) {
    case METRIC_COUNTER:
        append_series(out, description, "", NULL);
        buffer_append_u64_decimal(out, gather(rows, n, 0));
        break;
    case METRIC_GAUGE:
    case METRIC_GAUGE_MAX:
        append_series(out, description, "", NULL);
        buffer_append_i64_decimal(out, (int64_t) gather(rows, n, 0));
        break;
    case METRIC_HISTOGRAM:
        append_buckets(out, description, rows, n);
        append_sum_and_count(out, description, rows, n);
        break;
    case METRIC_SUMMARY:
        append_sum_and_count(out, description, rows, n);
        break;
    }
    buffer_append_char(out, '\n');
}

/* ---- aliases ---- */

static bool is_source(const struct metric_alias *alias, const struct row *row) {
    return strcmp(alias->source, row->description->name) == 0 &&
           (alias->source_labels == NULL || strcmp(alias->source_labels, labels_of(row)) == 0);
}

/* The rows stand together, for they are sorted. Returns how many; 0: nobody counts them. */
static size_t find_sources(const struct metric_alias *alias, const struct row *rows, size_t n, size_t *ret_first) {
    size_t first = 0;
    while (first < n && !is_source(alias, &rows[first])) {
        first++;
    }
    size_t end = first;
    while (end < n && is_source(alias, &rows[end])) {
        end++;
    }
    *ret_first = first;
    return end - first;
}

/* A count stays a count; the type that is told may be less than what is there, never more. */
static void check_alias(const struct metric_alias *alias, enum metric_type counted) {
    bool has_buckets = counted == METRIC_HISTOGRAM;
    bool wants_them = alias->type == METRIC_HISTOGRAM || alias->type == METRIC_SUMMARY;
    check(has_buckets == wants_them && (counted == METRIC_COUNTER) == (alias->type == METRIC_COUNTER),
          "%s is of another type than %s", alias->name, alias->source);
}

/* NaN where nothing was counted lately: so do other servers' summaries. */
static void append_quantiles(struct buffer *out, const struct metric_description *description,
                             struct metric_window *window, const struct row *rows, size_t n) {
    static const char *const quantiles[] = {"0.5", "0.99", "0.999"};
    uint64_t buckets[N_BOUNDS + 1];
    uint64_t recent[N_BOUNDS + 1];
    uint64_t upper_us[N_BOUNDS];
    for (size_t i = 0; i <= N_BOUNDS; i++) {
        buckets[i] = gather(rows, n, i);
        upper_us[i < N_BOUNDS ? i : 0] = bounds[i < N_BOUNDS ? i : 0].us;
    }
    metric_window_look(window, buckets, N_BOUNDS + 1, clock_monotonic_ms(), recent);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double us = metric_window_quantile(strtod(quantiles[i], NULL), recent, upper_us, N_BOUNDS + 1);
        append_series_with(out, description, "", "quantile", quantiles[i]);
        if (isnan(us)) {
            buffer_append_text(out, "NaN\n");
        } else {
            buffer_append_format(out, "%.6f\n", us / 1e6);
        }
    }
}

static void append_aliases(struct buffer *out, const metrics_t *self, const struct row *rows, size_t n) {
    const char *head = "";
    for (size_t i = 0; i < self->n_aliases; i++) {
        const struct metric_alias *alias = &self->aliases[i];
        const struct metric_description description = {alias->name, alias->help, alias->type, alias->labels};
        size_t first;
        size_t n_sources = find_sources(alias, rows, n, &first);
        if (n_sources == 0) {
            continue;
        }
        check_alias(alias, rows[first].description->type);
        if (strcmp(head, alias->name) != 0) {
            append_head(out, &description);
            head = alias->name;
        }
        if (alias->type == METRIC_SUMMARY) {
            append_quantiles(out, &description, &self->windows[i], rows + first, n_sources);
        }
        append_rows(out, &description, rows + first, n_sources);
    }
}

void metrics_set_aliases(metrics_t *self, const struct metric_alias *table, size_t n_rows) {
    pthread_mutex_lock(&self->mutex);
    check(self->aliases == NULL || self->aliases == table, "a registry has one table of aliases");
    self->aliases = table;
    self->n_aliases = n_rows;
    if (self->windows == NULL) {
        self->windows = memory_alloc_array(n_rows, sizeof self->windows[0]);
    }
    pthread_mutex_unlock(&self->mutex);
}

bool metrics_render(metrics_t *self, struct buffer *out) {
    size_t n = 0;
    pthread_mutex_lock(&self->mutex);
    struct row *rows = sorted_rows(self, &n);
    for (size_t i = 0, same = 0; i < n; i += same) {
        if (i == 0 || strcmp(rows[i - 1].description->name, rows[i].description->name) != 0) {
            append_head(out, rows[i].description);
        }
        same = count_same(rows + i, n - i);
        append_rows(out, rows[i].description, rows + i, same);
    }
    append_aliases(out, self, rows, n);
    memory_free(rows);
    pthread_mutex_unlock(&self->mutex);
    return !out->overflow;
}
