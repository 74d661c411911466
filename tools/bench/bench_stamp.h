/* What each payload carries, so that whoever gets it knows where and when it was sent:
 *
 *   {"b":"cb1.RRRRRRRR.PPPPPPPP.SSSSSSSSSSSS.TTTTTTTTTTTTTTTT","x":"000…"}
 *             run      publisher number       nanoseconds, CLOCK_MONOTONIC (one machine: one clock for all)
 *
 * Hexadecimal of fixed width: read eight digits at a time, wherever it stands in a message. Thread: any. */
#ifndef CALLBOARD_TOOLS_BENCH_STAMP_H
#define CALLBOARD_TOOLS_BENCH_STAMP_H

#include "base/bytes.h"

struct bench_stamp {
    uint32_t run;
    uint32_t publisher;
    uint64_t number;
    uint64_t sent_ns;
};

/* Appends the whole payload of `size` bytes (at least BENCH_SIZE_MIN). */
void bench_stamp_append(struct buffer *out, const struct bench_stamp *stamp, size_t size);
/* The next stamp at or behind `at`; NULL: none. Else where to go on. */
const uint8_t *bench_stamp_find(const uint8_t *at, const uint8_t *end, struct bench_stamp *ret);

#endif
