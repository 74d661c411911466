/* How near the process is to the end of its memory, and what is given up for it: from 80 % on the connections with the
 * longest queues, from 90 % on newcomers, from 95 % on publications of clients. Thread: any (no state). */
#ifndef CALLBOARD_GATEWAY_MEMORY_GUARD_H
#define CALLBOARD_GATEWAY_MEMORY_GUARD_H

#include "base/metrics.h"

#include <stdint.h>

enum memory_level {
    MEMORY_FINE,
    MEMORY_SHEDS,                /* the slowest connections are closed with 3008 */
    MEMORY_REFUSES_CONNECTIONS,  /* upgrades are answered 503, too */
    MEMORY_REFUSES_PUBLICATIONS, /* clients' publications are answered with error 111, too */
};

/* What the process holds of the machine's memory; 0: nobody can say. */
uint64_t memory_guard_resident_bytes(void);
enum memory_level memory_guard_level(uint64_t used_bytes, uint64_t budget_bytes);
const char *memory_level_text(enum memory_level level);
/* Gives freed memory back to the kernel, which the C library keeps else. Takes milliseconds. */
void memory_guard_give_back(void);

enum memory_metric { MEMORY_METRIC_BYTES, MEMORY_METRIC_LEVEL, MEMORY_METRIC_SHED, MEMORY_METRICS };
extern const struct metric_description memory_metric_table[MEMORY_METRICS];

#endif
