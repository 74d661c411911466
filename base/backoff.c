/* Full jitter: everybody who lost the same server comes back at a time of their own, spread over the whole window.
 *
 * Failure modes: none; the window stops growing at the cap, the count of attempts at its largest value. */
#include "base/backoff.h"

#include "base/random.h"

void backoff_init(struct backoff *self, uint32_t first_ms, uint32_t cap_ms, uint32_t floor_ms) {
    self->first_ms = first_ms;
    self->cap_ms = cap_ms;
    self->floor_ms = floor_ms;
    self->attempt = 0;
}

/* min(cap, first * 2^attempt), without overflow. */
static uint32_t window_ms(const struct backoff *self) {
    uint32_t shift = self->attempt < 32 ? self->attempt : 32;
    uint64_t window = (uint64_t) self->first_ms << shift;
    return window < self->cap_ms ? (uint32_t) window : self->cap_ms;
}

uint32_t backoff_next_ms(struct backoff *self) {
    uint32_t window = window_ms(self);
    uint32_t delay = window == UINT32_MAX ? random_below(window) : random_below(window + 1);
    if (self->attempt < UINT32_MAX) {
        self->attempt++;
    }
    return delay < self->floor_ms ? self->floor_ms : delay;
}

void backoff_reset(struct backoff *self) {
    self->attempt = 0;
}
