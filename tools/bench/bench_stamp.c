/* Writing and reading stamps. Reading is done for every delivery, so it looks at eight digits at once. */
#include "tools/bench/bench_stamp.h"

#include <stdio.h>

enum { TEXT_SIZE = 51, RUN_AT = 4, PUBLISHER_AT = 13, NUMBER_AT = 22, TIME_AT = 35, WRAPPING = 15 };

void bench_stamp_append(struct buffer *out, const struct bench_stamp *stamp, size_t size) {
    static const char zeros[64] = "0000000000000000000000000000000000000000000000000000000000000000"; /* no NUL */
    buffer_append_format(out, "{\"b\":\"cb1.%08x.%08x.%012llx.%016llx\",\"x\":\"", stamp->run, stamp->publisher,
                         (unsigned long long) stamp->number, (unsigned long long) stamp->sent_ns);
    for (size_t left = size > TEXT_SIZE + WRAPPING ? size - TEXT_SIZE - WRAPPING : 0; left > 0;) {
        size_t part = left < sizeof zeros ? left : sizeof zeros;
        buffer_append(out, zeros, part);
        left -= part;
    }
    buffer_append(out, "\"}", 2);
}

/* Eight digits, 0-9a-f; anything else gives some number. */
static uint32_t read_hex8(const uint8_t *text) {
    uint64_t x;
    memcpy(&x, text, 8);
    x = (x & 0x0f0f0f0f0f0f0f0fU) + 9 * (x >> 6 & 0x0101010101010101U);
    x = __builtin_bswap64(x);
    x = (x | x >> 4) & 0x00ff00ff00ff00ffU;
    x = (x | x >> 8) & 0x0000ffff0000ffffU;
    return (uint32_t) (x | x >> 16);
}

static uint64_t read_hex(const uint8_t *text, unsigned digits) {
    uint64_t low = read_hex8(text + digits - 8);
    if (digits == 8) {
        return low;
    }
    if (digits == 16) {
        return (uint64_t) read_hex8(text) << 32 | low;
    }
    return (uint64_t) (read_hex8(text) >> 16) << 32 | low; /* 12: its first four digits, with four others behind them */
}

const uint8_t *bench_stamp_find(const uint8_t *at, const uint8_t *end, struct bench_stamp *ret) {
    const uint8_t *found = at >= end ? NULL : memmem(at, (size_t) (end - at), "cb1.", 4);
    if (found == NULL || end - found < TEXT_SIZE) {
        return NULL;
    }
    ret->run = read_hex8(found + RUN_AT);
    ret->publisher = read_hex8(found + PUBLISHER_AT);
    ret->number = read_hex(found + NUMBER_AT, 12);
    ret->sent_ns = read_hex(found + TIME_AT, 16);
    return found + TEXT_SIZE;
}
