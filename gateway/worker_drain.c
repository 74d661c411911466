/* A worker drains: it serves on for a while, takes no newcomers, and closes everybody evenly.
 *
 *   WAITING ──drain──▶ DELAY (serving, not ready) ──drain.delay──▶ CLOSING (no new ones; sessions close with 3001,
 *       in random order, evenly over drain.window) ──nobody left, or the window is over──▶ LEAVING (the last bytes, and
 *       the peers' answers to close frames) ──nobody left, or 5 s──▶ DONE */
#include "gateway/worker_parts.h"

#include "base/clock.h"

enum { DRAIN_STEP_MS = 100, LEAVE_MS = 5000 };

void worker_begin_drain(worker_t *self) {
    if (self->drain != DRAIN_WAITING) {
        return;
    }
    self->drain = DRAIN_DELAY;
    self->drain_due_ms = clock_monotonic_ms() + (uint64_t) self->options.settings.config->drain_delay_ms;
    broker_requests_set_draining(self->brokers, true);
}

static void begin_closing(worker_t *self, uint64_t now_ms) {
    self->drain = DRAIN_CLOSING;
    self->drain_due_ms = now_ms;
    self->drain_ends_ms = now_ms + (uint64_t) self->options.settings.config->drain_window_ms;
    self->websockets.is_draining = true;
    http_streams_set_draining(self->streams);
    session_shuffle(&self->sessions);
    listener_close(&self->listener, NULL, NULL);
}

static uint32_t open_connections(const worker_t *self) {
    return self->websockets.connections + http_streams_count(self->streams);
}

/* Whatever came meanwhile goes, too: a request that was under way when the listener closed. */
static void leave(worker_t *self, uint64_t now_ms) {
    session_drain_some(&self->sessions, SIZE_MAX);
    bool is_done = open_connections(self) == 0 && event_feed_is_done(self->events);
    if (is_done || now_ms >= self->drain_ends_ms) {
        self->drain = DRAIN_DONE;
        worker_publish_figures(self);
    }
}

/* As many as make the rest go evenly over what is left of the window. */
static void close_some(worker_t *self, uint64_t now_ms) {
    if (open_connections(self) == 0 || now_ms >= self->drain_ends_ms) {
        self->drain = DRAIN_LEAVING;
        self->drain_ends_ms = now_ms + LEAVE_MS;
        leave(self, now_ms);
        return;
    }
    uint64_t steps = (self->drain_ends_ms - now_ms + DRAIN_STEP_MS - 1) / DRAIN_STEP_MS;
    session_drain_some(&self->sessions, (size_t) ((open_connections(self) + steps - 1) / steps));
    self->drain_due_ms = now_ms + DRAIN_STEP_MS;
}

void worker_advance_drain(worker_t *self, uint64_t now_ms) {
    if (now_ms < self->drain_due_ms) {
        return;
    }
    switch (self->drain) {
    case DRAIN_DELAY:
        begin_closing(self, now_ms);
        break;
    case DRAIN_CLOSING:
        close_some(self, now_ms);
        break;
    case DRAIN_LEAVING:
        leave(self, now_ms);
        break;
    case DRAIN_WAITING:
    case DRAIN_DONE:
        break;
    }
}
