/* What a gateway gives up when its process is near the end of its memory (base/process_memory.h): from 80 % on the
 * connections with the longest queues (closed with 3008), from 90 % on newcomers (upgrades are answered 503), from 95 %
 * on publications of clients (error 111). Thread: any (no state). */
#ifndef CALLBOARD_GATEWAY_MEMORY_GUARD_H
#define CALLBOARD_GATEWAY_MEMORY_GUARD_H

#include "base/metrics.h"
#include "base/process_memory.h"

const char *memory_level_text(enum memory_level level);

enum memory_metric { MEMORY_METRIC_BYTES, MEMORY_METRIC_LEVEL, MEMORY_METRIC_SHED, MEMORY_METRICS };
extern const struct metric_description memory_metric_table[MEMORY_METRICS];

#endif
