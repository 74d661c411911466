/* Exponential delay with full jitter and a cap: delay = random(0, min(cap, first * 2^attempt)), at least `floor`.
 * Thread: the owner's. */
#ifndef CALLBOARD_BASE_BACKOFF_H
#define CALLBOARD_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t first_ms; /* upper bound of the first delay */
    uint32_t cap_ms;   /* upper bound of every delay */
    uint32_t floor_ms; /* lower bound of every delay */
    uint32_t attempt;  /* failures since the last reset */
};

void backoff_init(struct backoff *self, uint32_t first_ms, uint32_t cap_ms, uint32_t floor_ms);
uint32_t backoff_next_ms(struct backoff *self); /* the delay before the next attempt; counts one failure */
void backoff_reset(struct backoff *self);

#endif
