/* Reading the buckets: recording is inline in the header. */
#include "tools/bench/latency_histogram.h"

#include <math.h>

uint64_t latency_histogram_upper(unsigned bucket) {
    if (bucket < HISTOGRAM_PARTS) {
        return bucket;
    }
    unsigned shift = bucket / HISTOGRAM_PARTS - 1;
    uint64_t part = HISTOGRAM_PARTS + bucket % HISTOGRAM_PARTS;
    return ((part + 1) << shift) - 1;
}

uint64_t latency_histogram_quantile(const struct latency_histogram *self, double quantile) {
    if (self->count == 0) {
        return 0;
    }
    double rank = ceil(quantile * (double) self->count);
    uint64_t wanted = rank < 1 ? 1 : (uint64_t) rank;
    uint64_t below = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        below += self->buckets[i];
        if (below >= wanted) {
            uint64_t upper = latency_histogram_upper(i);
            return upper < self->max ? upper : self->max;
        }
    }
    return self->max; /* the last bucket has no upper end */
}

void latency_histogram_add(struct latency_histogram *self, const struct latency_histogram *other) {
    self->count += other->count;
    self->max = other->max > self->max ? other->max : self->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        self->buckets[i] += other->buckets[i];
    }
}

void latency_histogram_difference(struct latency_histogram *ret, const struct latency_histogram *later,
                                  const struct latency_histogram *earlier) {
    ret->count = 0;
    ret->max = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        ret->buckets[i] = later->buckets[i] - earlier->buckets[i];
        ret->count += ret->buckets[i];
        if (ret->buckets[i] > 0) {
            ret->max = latency_histogram_upper(i) < later->max ? latency_histogram_upper(i) : later->max;
        }
    }
}
