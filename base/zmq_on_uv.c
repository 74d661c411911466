/* One turn of the loop, as this module sees it:
 *
 *   idle? ─▶ prepare: on_flush, then reread ZMQ_EVENTS ─▶ poll (the descriptor only wakes) ─▶ check: receive, writable?
 *     ▲                 │ something is left to do                                                     │
 *     └── uv_idle keeps the poll from sleeping ◀──────────────────────────────────────────────────────┘
 *
 * Each look at a socket costs libzmq a poll and a getpid, so nobody looks without a reason (`unsure`): the descriptor
 * woke, a send may have consumed its edge, or receiving stopped at its bound. Receiving until EAGAIN is a look, too:
 * libzmq has then taken every command that was there, and the next one makes the descriptor readable.
 *
 * The descriptor of a ZeroMQ socket signals an edge, and any send may consume it: so after the last send of a turn
 * ZMQ_EVENTS is read before the loop sleeps. A send that comes later than our prepare callback (from another one's)
 * starts the idle handle itself, which costs one turn without sleep and never a message.
 *
 * Failures: a message of too many frames is received to its end, dropped and reported; a receive error other than
 * EAGAIN (the context was terminated) ends receiving, the owner closes. */
#include "base/zmq_on_uv.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/zmq_handover.h"

#include <errno.h>

enum { RECEIVE_BOUND_DEFAULT = 1000, HANDLES = 4 };

struct zmq_on_uv {
    void *socket;
    struct zmq_on_uv_callbacks callbacks;
    void *context;
    unsigned receive_bound;
    bool wants_writable; /* a send said full */
    bool unsure;         /* there may be something that the descriptor will not tell of */
    bool prepared;       /* our prepare of this turn has run: nobody rereads ZMQ_EVENTS before the loop sleeps */
    bool paused;         /* nothing is received */
    bool closing;
    unsigned open_handles;
    uv_poll_t poll;
    uv_check_t check;
    uv_prepare_t prepare;
    uv_idle_t idle;
    void (*on_closed)(void *context);
    void *closed_context;
    zmq_msg_t frames[ZMQ_ON_UV_FRAMES_MAX];
};

/* The idle handle's callback: being active is all it does. */
static void on_idle(uv_idle_t *idle) {
    (void) idle;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    zmq_on_uv_t *self = poll->data;
    (void) status;
    (void) events;
    self->unsure = true;
}

static int read_events(zmq_on_uv_t *self) {
    int events = 0;
    size_t size = sizeof(events);
    if (zmq_getsockopt(self->socket, ZMQ_EVENTS, &events, &size) != 0) {
        return 0;
    }
    return events;
}

/* --- receiving --- */

static bool receive_frame(zmq_on_uv_t *self, zmq_msg_t *frame) {
    zmq_msg_init(frame);
    int status;
    do {
        status = zmq_msg_recv(frame, self->socket, ZMQ_DONTWAIT);
    } while (status < 0 && errno == EINTR);
    if (status < 0) {
        return false;
    }
    zmq_handover_acquire(zmq_msg_data(frame));
    return true;
}

/* The rest of a message that is too long. */
static void drop_rest(zmq_on_uv_t *self) {
    bool more = true;
    while (more) {
        zmq_msg_t frame;
        more = receive_frame(self, &frame) && zmq_msg_more(&frame) != 0;
        zmq_msg_close(&frame);
    }
}

static void close_frames(zmq_on_uv_t *self, size_t n) {
    for (size_t i = 0; i < n; i++) {
        zmq_msg_close(&self->frames[i]);
    }
}

/* False: none is there. */
static bool receive_message(zmq_on_uv_t *self) {
    size_t n = 0;
    bool more = true;
    while (more && n < ZMQ_ON_UV_FRAMES_MAX) {
        if (!receive_frame(self, &self->frames[n])) {
            close_frames(self, n);
            return false;
        }
        more = zmq_msg_more(&self->frames[n]) != 0;
        n++;
    }
    if (more) {
        drop_rest(self);
        self->callbacks.on_message(self->context, self->frames, 0);
    } else {
        self->callbacks.on_message(self->context, self->frames, n);
    }
    close_frames(self, n);
    return true;
}

static void receive(zmq_on_uv_t *self) {
    for (unsigned i = 0; i < self->receive_bound && !self->closing && !self->paused; i++) {
        if (!receive_message(self)) {
            self->unsure = false; /* whatever was sent meanwhile */
            return;
        }
    }
}

static void on_check(uv_check_t *handle) {
    zmq_on_uv_t *self = handle->data;
    self->prepared = false;
    if (self->unsure) {
        receive(self);
    }
    if (!self->wants_writable || self->closing) {
        return;
    }
    self->unsure = true; /* reading the events may consume the edge of a message */
    if ((read_events(self) & ZMQ_POLLOUT) != 0) {
        self->wants_writable = false;
        if (self->callbacks.on_writable != NULL) {
            self->callbacks.on_writable(self->context);
        }
    }
}

/* --- sending --- */

static void on_prepare(uv_prepare_t *handle) {
    zmq_on_uv_t *self = handle->data;
    if (self->callbacks.on_flush != NULL) {
        self->callbacks.on_flush(self->context);
        if (self->closing) {
            return;
        }
    }
    self->prepared = true;
    int wanted = (self->paused ? 0 : ZMQ_POLLIN) | (self->wants_writable ? ZMQ_POLLOUT : 0);
    if ((self->unsure || self->wants_writable) && (read_events(self) & wanted) != 0) {
        self->unsure = true;
        uv_idle_start(&self->idle, on_idle);
    } else {
        self->unsure = false;
        uv_idle_stop(&self->idle);
    }
}

void zmq_on_uv_pause(zmq_on_uv_t *self, bool paused) {
    self->paused = paused;
    if (!paused) { /* what came meanwhile has spent its edge */
        self->unsure = true;
        uv_idle_start(&self->idle, on_idle);
    }
}

static enum zmq_send_result send_first(zmq_on_uv_t *self, zmq_msg_t *frame, int flags) {
    int status;
    do {
        status = zmq_msg_send(frame, self->socket, flags);
    } while (status < 0 && errno == EINTR);
    if (status >= 0) {
        return ZMQ_SENT;
    }
    switch (errno) {
    case EAGAIN:
        self->wants_writable = true;
        return ZMQ_FULL;
    case EHOSTUNREACH:
        return ZMQ_UNROUTABLE;
    default:
        return ZMQ_SEND_FAILED;
    }
}

/* Once the first frame is taken the peer has room for the message. A later frame is refused only when the peer went
 * away in between: libzmq has dropped the first ones, so this is a message lost with its link, as if it had been sent a
 * moment earlier. */
static void send_rest(zmq_on_uv_t *self, zmq_msg_t *frames, size_t n_frames) {
    for (size_t i = 1; i < n_frames; i++) {
        int flags = ZMQ_DONTWAIT | (i + 1 < n_frames ? ZMQ_SNDMORE : 0);
        int status;
        do {
            status = zmq_msg_send(&frames[i], self->socket, flags);
        } while (status < 0 && errno == EINTR);
        if (status < 0) {
            zmq_msg_close(&frames[i]);
            zmq_msg_init(&frames[i]);
        }
    }
}

static void free_bytes(void *bytes, void *hint) {
    (void) hint;
    zmq_handover_acquire(bytes);
    memory_free(bytes);
}

void zmq_on_uv_frame_take(zmq_msg_t *ret_frame, void *bytes, size_t size) {
    zmq_handover_release(bytes);
    check(zmq_msg_init_data(ret_frame, bytes, size, free_bytes, NULL) == 0, "message of %zu bytes", size);
}

enum zmq_send_result zmq_on_uv_send(zmq_on_uv_t *self, zmq_msg_t *frames, size_t n_frames) {
    check(n_frames > 0 && !self->closing, "%zu frames on a%s socket", n_frames, self->closing ? " closing" : "n open");
    for (size_t i = 0; i < n_frames; i++) {
        zmq_handover_release(zmq_msg_data(&frames[i]));
    }
    enum zmq_send_result result = send_first(self, &frames[0], ZMQ_DONTWAIT | (n_frames > 1 ? ZMQ_SNDMORE : 0));
    if (result == ZMQ_SENT) {
        send_rest(self, frames, n_frames);
    }
    self->unsure = true;
    if (self->prepared) {
        uv_idle_start(&self->idle, on_idle);
    }
    return result;
}

/* --- life cycle --- */

static bool start(zmq_on_uv_t *self, uv_loop_t *loop) {
    int descriptor = -1;
    size_t size = sizeof(descriptor);
    if (zmq_getsockopt(self->socket, ZMQ_FD, &descriptor, &size) != 0 ||
        uv_poll_init(loop, &self->poll, descriptor) != 0) {
        return false;
    }
    uv_check_init(loop, &self->check);
    uv_prepare_init(loop, &self->prepare);
    uv_idle_init(loop, &self->idle);
    self->poll.data = self->check.data = self->prepare.data = self->idle.data = self;
    uv_poll_start(&self->poll, UV_READABLE, on_poll);
    uv_check_start(&self->check, on_check);
    uv_prepare_start(&self->prepare, on_prepare);
    /* Made inside a turn whose prepare phase may be over: look once without sleeping. */
    self->unsure = true;
    uv_idle_start(&self->idle, on_idle);
    self->open_handles = HANDLES;
    return true;
}

zmq_on_uv_t *zmq_on_uv_new(uv_loop_t *loop, void *socket, const struct zmq_on_uv_callbacks *callbacks, void *context,
                           unsigned receive_bound) {
    check(callbacks->on_message != NULL, "a socket needs on_message");
    zmq_on_uv_t *self = memory_alloc_zero(sizeof(*self));
    self->socket = socket;
    self->callbacks = *callbacks;
    self->context = context;
    self->receive_bound = receive_bound == 0 ? RECEIVE_BOUND_DEFAULT : receive_bound;
    if (!start(self, loop)) {
        memory_free(self);
        return NULL;
    }
    return self;
}

static void on_handle_closed(uv_handle_t *handle) {
    zmq_on_uv_t *self = handle->data;
    self->open_handles--;
    if (self->open_handles != 0) {
        return;
    }
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->closed_context;
    memory_free(self);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

void zmq_on_uv_close(zmq_on_uv_t **self_p, void (*on_closed)(void *context), void *context) {
    zmq_on_uv_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    self->closing = true;
    self->on_closed = on_closed;
    self->closed_context = context;
    uv_close((uv_handle_t *) &self->poll, on_handle_closed);
    uv_close((uv_handle_t *) &self->check, on_handle_closed);
    uv_close((uv_handle_t *) &self->prepare, on_handle_closed);
    uv_close((uv_handle_t *) &self->idle, on_handle_closed);
}
