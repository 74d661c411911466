/* The kernel's own count is taken (/proc/self/statm), for that is what it kills by. Where it cannot be read nothing is
 * given up. */
#include "gateway/memory_guard.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

enum { SHED_PERCENT = 80, CONNECTIONS_PERCENT = 90, PUBLICATIONS_PERCENT = 95, WHOLE_PERCENT = 100 };

const struct metric_description memory_metric_table[MEMORY_METRICS] = {
    [MEMORY_METRIC_BYTES] = {"callboard_gateway_memory_bytes", "Memory that the gateway's process holds.",
                             METRIC_GAUGE_MAX, NULL},
    [MEMORY_METRIC_LEVEL] = {"callboard_gateway_memory_level",
                             "0: fine; 1: slow connections are closed; 2: newcomers are refused, too; 3: publications "
                             "are refused, too.",
                             METRIC_GAUGE_MAX, NULL},
    [MEMORY_METRIC_SHED] = {"callboard_gateway_memory_shed_total",
                            "Slow connections closed because memory was short (gateway.memory_max).", METRIC_COUNTER,
                            NULL},
};

uint64_t memory_guard_resident_bytes(void) {
    unsigned long long whole;
    unsigned long long resident;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    int n = fscanf(file, "%llu %llu", &whole, &resident);
    fclose(file);
    long page = sysconf(_SC_PAGESIZE);
    return n == 2 && page > 0 ? (uint64_t) resident * (uint64_t) page : 0;
}

enum memory_level memory_guard_level(uint64_t used_bytes, uint64_t budget_bytes) {
    uint64_t percent = budget_bytes / WHOLE_PERCENT == 0 ? 0 : used_bytes / (budget_bytes / WHOLE_PERCENT);
    if (percent >= PUBLICATIONS_PERCENT) {
        return MEMORY_REFUSES_PUBLICATIONS;
    }
    if (percent >= CONNECTIONS_PERCENT) {
        return MEMORY_REFUSES_CONNECTIONS;
    }
    return percent >= SHED_PERCENT ? MEMORY_SHEDS : MEMORY_FINE;
}

const char *memory_level_text(enum memory_level level) {
    switch (level) {
    case MEMORY_FINE:
        return "fine";
    case MEMORY_SHEDS:
        return "sheds slow connections";
    case MEMORY_REFUSES_CONNECTIONS:
        return "refuses connections";
    case MEMORY_REFUSES_PUBLICATIONS:
        return "refuses publications";
    }
    return "unknown";
}

void memory_guard_give_back(void) {
    malloc_trim(0);
}
