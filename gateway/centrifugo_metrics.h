/* Our figures under the names that Centrifugo 6 has for them, where they mean the same, so that dashboards and alarms
 * made for it work unchanged. docs/metrics.md lists all of its names, and why some are missing. Nothing is counted
 * twice. */
#ifndef CALLBOARD_GATEWAY_CENTRIFUGO_METRICS_H
#define CALLBOARD_GATEWAY_CENTRIFUGO_METRICS_H

#include "base/metrics.h"

extern const struct metric_alias centrifugo_metric_table[];
extern const size_t centrifugo_metric_count;

#endif
