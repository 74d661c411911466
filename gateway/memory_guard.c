/* See memory_guard.h. */
#include "gateway/memory_guard.h"

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

const char *memory_level_text(enum memory_level level) {
    switch (level) {
    case MEMORY_FINE:
        return "fine";
    case MEMORY_SHEDS:
        return "sheds slow connections";
    case MEMORY_REFUSES_NEWCOMERS:
        return "refuses connections";
    case MEMORY_REFUSES_PUBLICATIONS:
        return "refuses publications";
    }
    return "unknown";
}
