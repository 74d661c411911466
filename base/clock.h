/* Time: monotonic for everything that waits, wall for tokens, logs and publication times.
 * Thread: any; the replacement is for tests only and is set before threads start. */
#ifndef CALLBOARD_BASE_CLOCK_H
#define CALLBOARD_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_us(void);
uint64_t clock_monotonic_ms(void);
int64_t clock_wall_ms(void); /* since 1970-01-01 UTC */

/* Tests: both clocks answer from these functions; NULL puts the real one back. */
void clock_replace(uint64_t (*monotonic_us)(void), int64_t (*wall_ms)(void));

#endif
