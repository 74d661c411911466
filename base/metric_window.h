/* Quantiles of what a histogram counted lately, as the summaries of other servers tell them: over the last five to ten
 * minutes. A window remembers what the buckets held at two moments; what came since the older one is looked at. It
 * moves only when it is asked, so who asks seldom gets what came since the last time. Thread: the owner's. */
#ifndef CALLBOARD_BASE_METRIC_WINDOW_H
#define CALLBOARD_BASE_METRIC_WINDOW_H

#include <stddef.h>
#include <stdint.h>

enum { METRIC_WINDOW_BUCKETS_MAX = 32, METRIC_WINDOW_MS = 5 * 60 * 1000 };

struct metric_window {
    uint64_t older[METRIC_WINDOW_BUCKETS_MAX];
    uint64_t newer[METRIC_WINDOW_BUCKETS_MAX];
    uint64_t moved_ms; /* when newer was taken */
};

/* What the n buckets have counted so far, each for itself, the last without an upper bound. Leaves in ret_recent what
 * of it is in the window. */
void metric_window_look(struct metric_window *self, const uint64_t *buckets, size_t n, uint64_t now_ms,
                        uint64_t *ret_recent);
/* Within its bucket a quantile is where it would be if all there were spread evenly, as Prometheus guesses. bounds: the
 * upper ones of all but the last bucket. Not a number (NAN) where nothing was counted; in the last bucket its lower
 * bound. */
double metric_window_quantile(double quantile, const uint64_t *recent, const uint64_t *bounds, size_t n);

#endif
