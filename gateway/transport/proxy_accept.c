/* Each connection is polled by a handle of its own until its header is there; the handle leaves the loop's set before
 * the descriptor goes on or is closed, and its memory goes when libuv lets go of it.
 *
 * Failure modes: a peer that says nothing, or goes → LATE; one that says something else → MALFORMED at the first byte
 * that differs. How many may be under way is the listener's matter (they count as its sockets). */
#include "gateway/transport/proxy_accept.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "gateway/transport/proxy_header.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct proxy_accept {
    struct proxy_accept_options options;
    struct list_link pending;
    size_t n;
};

struct pending {
    struct list_link link;
    proxy_accept_t *owner;
    uv_poll_t poll;
    struct timer_entry timer;
    int descriptor;
    struct ip_address peer;
    struct proxy_header header;
};

static void on_poll_closed(uv_handle_t *handle) {
    memory_free(handle->data);
}

/* Its memory stays until the handle is closed. */
static void let_go(struct pending *pending) {
    proxy_accept_t *self = pending->owner;
    uv_poll_stop(&pending->poll);
    timer_wheel_cancel(self->options.wheel, &pending->timer);
    list_remove(&pending->link);
    self->n--;
    uv_close((uv_handle_t *) &pending->poll, on_poll_closed);
}

static void finish(struct pending *pending, enum proxy_accept_outcome outcome) {
    const struct proxy_accept_options *options = &pending->owner->options;
    struct ip_address source;
    let_go(pending);
    if (outcome != PROXY_ACCEPT_DONE) {
        close(pending->descriptor);
        options->on_outcome(options->context, outcome, -1, &pending->peer);
        return;
    }
    bool named = proxy_header_source(&pending->header, &source);
    options->on_outcome(options->context, outcome, pending->descriptor, named ? &source : &pending->peer);
}

/* False: it is done, or has to wait. */
static bool read_some(struct pending *pending) {
    uint8_t *to;
    size_t wanted = proxy_header_wanted(&pending->header, &to);
    ssize_t n = recv(pending->descriptor, to, wanted, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return false;
    }
    if (n < 0 && errno == EINTR) {
        return true;
    }
    if (n <= 0) {
        finish(pending, PROXY_ACCEPT_LATE);
        return false;
    }
    pending->header.size += (size_t) n;
    enum proxy_header_state state = proxy_header_state(&pending->header);
    if (state != PROXY_HEADER_MORE) {
        finish(pending, state == PROXY_HEADER_DONE ? PROXY_ACCEPT_DONE : PROXY_ACCEPT_MALFORMED);
    }
    return state == PROXY_HEADER_MORE;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void) events;
    struct pending *pending = poll->data;
    if (status < 0) {
        finish(pending, PROXY_ACCEPT_LATE);
        return;
    }
    while (read_some(pending)) {
    }
}

static void on_late(struct timer_entry *entry) {
    finish(list_entry(entry, struct pending, timer), PROXY_ACCEPT_LATE);
}

void proxy_accept_begin(proxy_accept_t *self, int descriptor, const struct ip_address *peer) {
    struct pending *pending = memory_alloc_zero(sizeof *pending);
    pending->owner = self;
    pending->descriptor = descriptor;
    pending->peer = *peer;
    list_init(&pending->link);
    list_push_back(&self->pending, &pending->link);
    self->n++;
    int status = uv_poll_init(self->options.loop, &pending->poll, descriptor);
    check(status == 0, "polling an accepted socket: %s", uv_strerror(status));
    pending->poll.data = pending;
    timer_entry_init(&pending->timer, on_late);
    timer_wheel_set(self->options.wheel, &pending->timer, clock_monotonic_ms() + (uint64_t) self->options.timeout_ms);
    uv_poll_start(&pending->poll, UV_READABLE, on_poll);
}

size_t proxy_accept_count(const proxy_accept_t *self) {
    return self->n;
}

proxy_accept_t *proxy_accept_new(const struct proxy_accept_options *options) {
    proxy_accept_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    list_init(&self->pending);
    return self;
}

void proxy_accept_close(proxy_accept_t **self_p) {
    proxy_accept_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    while (!list_is_empty(&self->pending)) {
        struct pending *pending = list_entry(self->pending.next, struct pending, link);
        let_go(pending);
        close(pending->descriptor);
    }
    memory_free(self);
}
