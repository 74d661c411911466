/* A worker process of a run: connects its users, publishes for those who are to, until the conductor says that it is
 * over. Thread: the process's only one. */
#ifndef CALLBOARD_TOOLS_BENCH_WORKER_H
#define CALLBOARD_TOOLS_BENCH_WORKER_H

#include "tools/bench/bench_board.h"

/* Returns the process's exit code. */
int bench_worker_run(const struct bench_plan *plan, struct bench_board *board, unsigned worker);

#endif
