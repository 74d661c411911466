/* The kernel's clocks, and the place where tests put theirs.
 *
 * Failure modes: clock_gettime cannot fail for these two clocks on Linux; if it did, nothing that waits would be right
 * any more, so that aborts. The wall clock may jump either way; what waits uses the monotonic one. */
#include "base/clock.h"

#include "base/check.h"

#include <stddef.h>
#include <time.h>

/* Tests only; written before threads start, read-only afterwards. */
static struct {
    uint64_t (*monotonic_us)(void);
    int64_t (*wall_ms)(void);
} replacement;

static struct timespec read_clock(clockid_t id) {
    struct timespec now;
    int result = clock_gettime(id, &now);
    check(result == 0, "clock %d cannot be read", (int) id);
    return now;
}

uint64_t clock_monotonic_us(void) {
    if (replacement.monotonic_us != NULL) {
        return replacement.monotonic_us();
    }
    struct timespec now = read_clock(CLOCK_MONOTONIC);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

uint64_t clock_monotonic_ms(void) {
    return clock_monotonic_us() / 1000;
}

int64_t clock_wall_ms(void) {
    if (replacement.wall_ms != NULL) {
        return replacement.wall_ms();
    }
    struct timespec now = read_clock(CLOCK_REALTIME);
    return (int64_t) now.tv_sec * 1000 + (int64_t) now.tv_nsec / 1000000;
}

void clock_replace(uint64_t (*monotonic_us)(void), int64_t (*wall_ms)(void)) {
    replacement.monotonic_us = monotonic_us;
    replacement.wall_ms = wall_ms;
}
