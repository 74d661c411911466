/* See metric_window.h. */
#include "base/metric_window.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

void metric_window_look(struct metric_window *self, const uint64_t *buckets, size_t n, uint64_t now_ms,
                        uint64_t *ret_recent) {
    check(n <= METRIC_WINDOW_BUCKETS_MAX, "%zu buckets", n);
    if (self->moved_ms == 0) {
        self->moved_ms = now_ms; /* the first look sees all that came before it */
    } else if (now_ms - self->moved_ms >= METRIC_WINDOW_MS) {
        memcpy(self->older, self->newer, sizeof self->older);
        memcpy(self->newer, buckets, n * sizeof buckets[0]);
        self->moved_ms = now_ms;
    }
    for (size_t i = 0; i < n; i++) {
        ret_recent[i] = buckets[i] - self->older[i];
    }
}

double metric_window_quantile(double quantile, const uint64_t *recent, const uint64_t *bounds, size_t n) {
    uint64_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += recent[i];
    }
    if (count == 0) {
        return NAN;
    }
    double wanted = quantile * (double) count;
    double before = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        double from = i == 0 ? 0 : (double) bounds[i - 1];
        double here = (double) recent[i];
        if (here > 0 && before + here >= wanted) {
            return from + ((double) bounds[i] - from) * (wanted - before) / here;
        }
        before += here;
    }
    return (double) bounds[n - 2];
}
