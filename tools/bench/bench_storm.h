/* The part of a worker process in a storm: most users go at once, miss something, and come back at once.
 *
 *   PRIME  each publisher publishes one, so that everybody has a position           all are up
 *   CUT    who publishes nothing ends its connection with a reset                    publishers are up
 *   MISS   each publisher publishes what the others miss
 *   BACK   at start_ns they connect again, from their positions                      till each has what it missed
 *
 * The conductor says what is next; a worker says what it has reached. Thread: the process's only one. */
#ifndef CALLBOARD_TOOLS_BENCH_STORM_H
#define CALLBOARD_TOOLS_BENCH_STORM_H

#include "tools/bench/bench_client.h"

struct bench_storm {
    int phase;          /* which was begun */
    unsigned next_user; /* who comes back next */
};

/* Does what may be done now; returns when there is more to do. */
uint64_t bench_storm_turn(struct bench_storm *self, struct bench_client *client, int phase);

#endif
