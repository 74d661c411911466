/* The memory that the processes of a run share: the conductor (bench_conductor) writes the phase, each worker process
 * its own part, everybody reads everything. Counters have one writer each; they are read while they grow, so they are
 * atomic, relaxed: no figure depends on another one's order. The histograms are read for the progress line while they
 * are written (a bucket may be one behind) and for the report after the workers ended.
 *
 *   board ─┬─ phase, start, end
 *          ├─ worker 0: counters, histograms          ┐ each page-aligned, one writer
 *          ├─ worker 1: …                              ┘
 *          ├─ sent[publisher]                          the worker that has the publisher
 *          └─ came[worker][channel]                    deliveries of that worker's users, for rate 0 */
#ifndef CALLBOARD_TOOLS_BENCH_BOARD_H
#define CALLBOARD_TOOLS_BENCH_BOARD_H

#include "tools/bench/bench_plan.h"
#include "tools/bench/latency_histogram.h"

#include <stdatomic.h>

enum bench_phase {
    BENCH_CONNECT,
    BENCH_STORM_PRIME, /* bench_storm.h, instead of RUN and DRAIN */
    BENCH_STORM_CUT,
    BENCH_STORM_MISS,
    BENCH_STORM_BACK,
    BENCH_RUN,
    BENCH_DRAIN,
    BENCH_END
};
enum { BENCH_REASON_SIZE = 256 };

typedef _Atomic uint64_t bench_counter;

/* X(name) */
#define BENCH_COUNTERS(X)                                                                                              \
    X(connected) /* users that are up now */                                                                           \
    X(connects)                                                                                                        \
    X(connect_failures)                                                                                                \
    X(disconnects)                                                                                                     \
    X(reconnects)                                                                                                      \
    X(acked)                                                                                                           \
    X(publish_errors)                                                                                                  \
    X(delivered)                                                                                                       \
    X(doubled)                                                                                                         \
    X(out_of_order)                                                                                                    \
    X(foreign) /* stamped by another run */                                                                            \
    X(behind_ns)                                                                                                       \
    X(cut)         /* storm: users whose connection was ended */                                                       \
    X(caught_up)   /* … that came back and have all they missed */                                                   \
    X(staying_due) /* … deliveries of what the others miss to those who stay */

struct bench_counts {
#define X(name) bench_counter name;
    BENCH_COUNTERS(X)
#undef X
};

struct bench_worker_part {
    _Alignas(4096) struct bench_counts counts;
    struct latency_histogram delivery;
    struct latency_histogram connect;
    struct latency_histogram caught_up; /* storm: from start_ns to the last that a user missed */
    _Atomic int reached;                /* storm: the last phase that this worker is through with */
    atomic_bool finished;               /* published all it had to */
    atomic_bool has_reason;
    char reason[BENCH_REASON_SIZE]; /* the first thing that went wrong, for the report */
};

struct bench_board {
    _Atomic int phase;
    bench_counter start_ns; /* of CLOCK_MONOTONIC; 0: not yet */
    bench_counter end_ns;
    struct bench_worker_part *workers;
    bench_counter *sent; /* by publisher */
    bench_counter *came; /* by worker and channel */
    size_t size;         /* of the mapping, which this struct is the head of */
};

/* Maps it, zeroed; whoever is forked has it at the same address. NULL: errno says why. */
struct bench_board *bench_board_open(const struct bench_plan *plan);
void bench_board_close(struct bench_board **self_p);
uint64_t bench_now_ns(void);

static inline void bench_count(bench_counter *counter, uint64_t more) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

static inline uint64_t bench_read(const bench_counter *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* All workers' together. */
void bench_board_sum(const struct bench_board *self, unsigned n_workers, struct bench_counts *ret);
void bench_board_delivery(const struct bench_board *self, unsigned n_workers, struct latency_histogram *ret);
void bench_board_connect(const struct bench_board *self, unsigned n_workers, struct latency_histogram *ret);
void bench_board_caught_up(const struct bench_board *self, unsigned n_workers, struct latency_histogram *ret);

#endif
