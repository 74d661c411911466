/* See rehearse_event.h. A log that is full drops, and counts that: its account is refused then, not made up. */
#include "operator/rehearse/rehearse_event.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 1024 };

static void append(struct rehearse_log *self, const struct rehearse_event *event) {
    if (self->n == REHEARSE_EVENTS_MAX) {
        self->n_dropped++;
        return;
    }
    if (self->n == self->capacity) {
        size_t capacity = self->capacity == 0 ? FIRST_CAPACITY : self->capacity * 2;
        self->events = memory_realloc(self->events, capacity * sizeof *self->events);
        self->capacity = capacity;
    }
    self->events[self->n++] = *event;
}

void rehearse_log_add(struct rehearse_log *self, struct rehearse_event event) {
    event.at_us = clock_monotonic_us();
    append(self, &event);
}

void rehearse_log_take(struct rehearse_log *self, struct rehearse_log *other) {
    for (size_t i = 0; i < other->n; i++) {
        append(self, &other->events[i]);
    }
    self->n_dropped += other->n_dropped;
    rehearse_log_finish(other);
}

static int by_time(const void *a, const void *b) {
    const struct rehearse_event *one = a;
    const struct rehearse_event *other = b;
    return one->at_us < other->at_us ? -1 : one->at_us > other->at_us;
}

/* glibc's qsort is a stable merge sort while memory lasts; a DELIVERED and its DISCONNECTED of one thread are never of
 * the same microsecond, so nothing hangs on it. */
void rehearse_log_sort(struct rehearse_log *self) {
    if (self->n > 1) {
        qsort(self->events, self->n, sizeof *self->events, by_time);
    }
}

void rehearse_log_finish(struct rehearse_log *self) {
    memory_free(self->events);
    *self = REHEARSE_LOG_EMPTY;
}
