/* Amounts of memory, CPU and time, as Kubernetes and our configurations write them. Thread: any (no state). */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_AMOUNT_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_AMOUNT_H

#include "base/bytes.h"

/* Digits, maybe with up to three behind a point, and a unit: Ki Mi Gi Ti, k M G T, or none. False: not one, or not a
 * whole number of bytes. */
bool spec_memory_parse(struct span text, int64_t *ret_bytes);
/* 500m, 2, 1.5; in thousandths. */
bool spec_cpu_parse(struct span text, int64_t *ret_thousandths);
/* 500ms, 10s, 5m, 24h, 30d, or 0; in ms. */
bool spec_duration_parse(struct span text, int64_t *ret_ms);

#endif
