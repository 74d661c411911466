/* What /metrics of one program said at one moment, as figures: sums, rates and quantiles between two readings.
 * Pure. Thread: main. */
#ifndef CALLBOARD_TOOLS_CTL_TOP_READING_H
#define CALLBOARD_TOOLS_CTL_TOP_READING_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOP_SERIES_MAX = 16384, TOP_BUCKETS_MAX = 64 };

struct top_series {
    struct span name;
    struct span labels; /* between the braces; empty: none */
    double value;
};

struct top_reading {
    struct buffer text;
    struct top_series *series;
    size_t n;
    uint64_t at_us; /* monotonic; 0: there is none */
};

/* Takes a copy of the text; series above TOP_SERIES_MAX are left out. What is no series is passed over. */
void top_reading_take(struct top_reading *self, struct span text, uint64_t at_us);
void top_reading_finish(struct top_reading *self);

/* Of all series of that name that have the label ('result="ok"'; NULL: all). False: the program has no such. */
bool top_reading_sum(const struct top_reading *self, const char *name, const char *label, double *ret_sum);
/* A second. False: one of the two does not have it, or the program began anew in between. */
bool top_reading_rate(const struct top_reading *now, const struct top_reading *before, const char *name,
                      const char *label, double *ret_rate);

/* What a histogram grew by, bound by bound; of several programs together where it is added to again. */
struct top_histogram {
    double bounds[TOP_BUCKETS_MAX]; /* rising; the last is infinite */
    double counts[TOP_BUCKETS_MAX]; /* up to the bound */
    size_t n;
};
void top_histogram_add(struct top_histogram *self, const struct top_reading *now, const struct top_reading *before,
                       const char *name);
/* Within a bucket observations are taken as evenly spread. False: there were none. */
bool top_histogram_quantile(const struct top_histogram *self, double q, double *ret_value);

#endif
