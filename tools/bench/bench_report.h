/* The result of a run: for a person, as JSON, and as an SVG with two plots. Thread: any. */
#ifndef CALLBOARD_TOOLS_BENCH_REPORT_H
#define CALLBOARD_TOOLS_BENCH_REPORT_H

#include "tools/bench/bench_conductor.h"

void bench_report_text(struct buffer *out, const struct bench_plan *plan, const struct bench_result *result);
/* One object. `assertions` are judged in it. */
void bench_report_json(struct buffer *out, const struct bench_plan *plan, const struct bench_result *result,
                       const struct bench_assertion *assertions, size_t n_assertions);
/* Latency and deliveries of each second; latency by percentile. */
void bench_report_svg(struct buffer *out, const struct bench_plan *plan, const struct bench_result *result);

#endif
