/* Latencies in log-linear buckets, as HDR histograms have them: each power of two is cut into 128 equal parts, so a
 * quantile is at most 1/128 above the exact one, whatever its size, and recording is two shifts and an increment.
 *
 *   ns   0 … 127 | 128 … 255 | 256 … 511 | 512 … 1023 | …      up to 2^40 ns (18 minutes), above: the last bucket
 *   width      1 |         1 |         2 |          4 | …
 *
 * A plain struct without pointers: it may lie in memory that processes share. Thread: the owner's. */
#ifndef CALLBOARD_TOOLS_LATENCY_HISTOGRAM_H
#define CALLBOARD_TOOLS_LATENCY_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_PART_BITS = 7,
    HISTOGRAM_PARTS = 1 << HISTOGRAM_PART_BITS,
    HISTOGRAM_TOP_BIT = 40,
    HISTOGRAM_BUCKETS = (HISTOGRAM_TOP_BIT - HISTOGRAM_PART_BITS + 1) * HISTOGRAM_PARTS
};

struct latency_histogram {
    uint64_t count;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline unsigned latency_histogram_bucket(uint64_t value) {
    if (value < HISTOGRAM_PARTS) {
        return (unsigned) value;
    }
    unsigned top = 63U - (unsigned) __builtin_clzll(value);
    if (top >= HISTOGRAM_TOP_BIT) {
        return HISTOGRAM_BUCKETS - 1;
    }
    unsigned shift = top - HISTOGRAM_PART_BITS;
    return (shift + 1) * HISTOGRAM_PARTS + (unsigned) ((value >> shift) & (HISTOGRAM_PARTS - 1));
}

static inline void latency_histogram_record(struct latency_histogram *self, uint64_t value) {
    self->count++;
    self->max = value > self->max ? value : self->max;
    self->buckets[latency_histogram_bucket(value)]++;
}

/* The largest value that falls into this bucket. */
uint64_t latency_histogram_upper(unsigned bucket);
/* The value that `quantile` (0 to 1) of all values do not exceed: not below the exact one, at most 1/128 above it,
 * never above the largest. 0 when nothing was recorded. */
uint64_t latency_histogram_quantile(const struct latency_histogram *self, double quantile);
void latency_histogram_add(struct latency_histogram *self, const struct latency_histogram *other);
/* What was recorded in `later` and not yet in `earlier`, a former copy of it; its max is that of the buckets. */
void latency_histogram_difference(struct latency_histogram *ret, const struct latency_histogram *later,
                                  const struct latency_histogram *earlier);

#endif
