/* See backend_client.h.
 *
 *   request: version, method, id, params [, payload]        reply: version, kind, id, body [, payload]
 *
 * A reply is matched by its id, so an answer that comes after its time-out is recognised and dropped. */
#include "tools/backend_client.h"

#include "base/clock.h"
#include "base/curve_keys.h"
#include "base/list.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

enum { REPLY_FRAMES_MAX = 8, EVENTS_KEPT_MAX = 10000 };
static const char VERSION[] = "CB1";

/* One received message, its delimiter skipped. */
struct reply_frames {
    zmq_msg_t frames[REPLY_FRAMES_MAX];
    size_t n;
    size_t first; /* the version's place */
};

struct kept_event {
    struct list_link link;
    struct reply_frames message;
};

struct backend_client {
    void *context;
    void *socket;
    uint64_t last_id;
    struct reply_frames current; /* what the last answer's spans point into */
    struct list_link events;     /* kept_event */
    size_t n_events;
    uint64_t n_dropped;
};

static struct span frame_span(const struct reply_frames *message, size_t at) {
    if (message->first + at >= message->n) {
        return SPAN_EMPTY;
    }
    zmq_msg_t *frame = (zmq_msg_t *) &message->frames[message->first + at];
    return span_of(zmq_msg_data(frame), zmq_msg_size(frame));
}

static void close_frames(struct reply_frames *message) {
    for (size_t i = 0; i < message->n; i++) {
        zmq_msg_close(&message->frames[i]);
    }
    message->n = 0;
    message->first = 0;
}

/* `from` is empty afterwards. */
static void move_frames(struct reply_frames *to, struct reply_frames *from) {
    for (size_t i = 0; i < from->n; i++) {
        zmq_msg_init(&to->frames[i]);
        zmq_msg_move(&to->frames[i], &from->frames[i]);
    }
    to->n = from->n;
    to->first = from->first;
    close_frames(from);
}

/* False: nothing came in time. Frames over the bound are received and dropped. */
static bool receive(backend_client_t *self, int timeout_ms, struct reply_frames *ret_message) {
    zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, timeout_ms) <= 0) {
        return false;
    }
    ret_message->n = 0;
    ret_message->first = 0;
    int more = 1;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, self->socket, 0) < 0) {
            zmq_msg_close(&frame);
            break;
        }
        more = zmq_msg_more(&frame);
        if (ret_message->n == REPLY_FRAMES_MAX) {
            zmq_msg_close(&frame);
            continue;
        }
        zmq_msg_init(&ret_message->frames[ret_message->n]);
        zmq_msg_move(&ret_message->frames[ret_message->n], &frame);
        zmq_msg_close(&frame);
        ret_message->n++;
    }
    if (ret_message->n > 0 && zmq_msg_size(&ret_message->frames[0]) == 0) {
        ret_message->first = 1;
    }
    return true;
}

static bool apply_curve(backend_client_t *self, const struct backend_client_options *options, char *ret_error,
                        size_t error_size) {
    if (options->curve_key_file == NULL || options->curve_key_file[0] == '\0') {
        return true;
    }
    struct curve_keys own;
    struct curve_keys broker = {.public_text = ""};
    if (!curve_keys_read(options->curve_key_file, true, &own, ret_error, error_size)) {
        return false;
    }
    const char *server = options->curve_broker_key == NULL ? "" : options->curve_broker_key;
    if (strlen(server) == sizeof broker.public_text - 1) {
        memcpy(broker.public_text, server, sizeof broker.public_text);
    } else if (!curve_keys_read(server, false, &broker, ret_error, error_size)) {
        curve_keys_wipe(&own);
        return false;
    }
    bool applied = curve_keys_apply_client(self->socket, &own, broker.public_text);
    curve_keys_wipe(&own);
    if (!applied) {
        snprintf(ret_error, error_size, "CURVE keys were refused: is this libzmq built with CURVE?");
    }
    return applied;
}

backend_client_t *backend_client_new(const struct backend_client_options *options, char *ret_error, size_t error_size) {
    backend_client_t *self = memory_alloc_zero(sizeof *self);
    list_init(&self->events);
    self->context = zmq_ctx_new();
    self->socket = zmq_socket(self->context, ZMQ_DEALER);
    int zero = 0;
    zmq_setsockopt(self->socket, ZMQ_LINGER, &zero, sizeof zero);
    if (!apply_curve(self, options, ret_error, error_size)) {
        goto fail;
    }
    if (zmq_connect(self->socket, options->endpoint) != 0) {
        snprintf(ret_error, error_size, "cannot connect to %s: %s; endpoints look like tcp://127.0.0.1:7710",
                 options->endpoint, zmq_strerror(errno));
        goto fail;
    }
    return self;
fail:
    backend_client_destroy(&self);
    return NULL;
}

void backend_client_destroy(backend_client_t **self_p) {
    backend_client_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    close_frames(&self->current);
    for (struct list_link *link = list_pop_front(&self->events); link != NULL; link = list_pop_front(&self->events)) {
        struct kept_event *event = list_entry(link, struct kept_event, link);
        close_frames(&event->message);
        memory_free(event);
    }
    zmq_close(self->socket);
    zmq_ctx_term(self->context);
    memory_free(self);
    *self_p = NULL;
}

static bool send_frame(backend_client_t *self, struct span bytes, int flags) {
    return zmq_send(self->socket, bytes.size == 0 ? "" : (const void *) bytes.data, bytes.size, flags) >= 0;
}

/* The id is ours: eight bytes that count up. */
static bool send_request(backend_client_t *self, const char *method, struct span params, const struct span *payload) {
    self->last_id++;
    struct span id = span_of(&self->last_id, sizeof self->last_id);
    return send_frame(self, span_of_text(VERSION), ZMQ_SNDMORE) &&
           send_frame(self, span_of_text(method), ZMQ_SNDMORE) && send_frame(self, id, ZMQ_SNDMORE) &&
           send_frame(self, params, payload == NULL ? 0 : ZMQ_SNDMORE) &&
           (payload == NULL || send_frame(self, *payload, 0));
}

static void keep_event(backend_client_t *self, struct reply_frames *message) {
    if (self->n_events == EVENTS_KEPT_MAX) {
        struct kept_event *oldest = list_entry(list_pop_front(&self->events), struct kept_event, link);
        close_frames(&oldest->message);
        memory_free(oldest);
        self->n_events--;
        self->n_dropped++;
    }
    struct kept_event *event = memory_alloc_zero(sizeof *event);
    move_frames(&event->message, message);
    list_init(&event->link);
    list_push_back(&self->events, &event->link);
    self->n_events++;
}

/* Makes a message the current one and points the reply at it. */
static void take_current(backend_client_t *self, struct reply_frames *message, struct backend_reply *ret_reply) {
    close_frames(&self->current);
    move_frames(&self->current, message);
    ret_reply->body = frame_span(&self->current, 3);
    ret_reply->payload = frame_span(&self->current, 4);
}

static int left_ms(uint64_t deadline_ms) {
    uint64_t now = clock_monotonic_ms();
    return now >= deadline_ms ? 0 : (int) (deadline_ms - now);
}

enum backend_outcome backend_client_request(backend_client_t *self, const char *method, struct span params,
                                            const struct span *payload, int timeout_ms,
                                            struct backend_reply *ret_reply) {
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) timeout_ms;
    if (!send_request(self, method, params, payload)) {
        return BACKEND_TIMEOUT;
    }
    for (;;) {
        struct reply_frames message;
        if (!receive(self, left_ms(deadline_ms), &message)) {
            return BACKEND_TIMEOUT;
        }
        struct span kind = frame_span(&message, 1);
        if (!span_equal_text(frame_span(&message, 0), VERSION)) {
            close_frames(&message);
            return BACKEND_PROTOCOL;
        }
        if (span_equal_text(kind, "event")) {
            keep_event(self, &message);
            continue;
        }
        if (!span_equal(frame_span(&message, 2), span_of(&self->last_id, sizeof self->last_id))) {
            close_frames(&message); /* the answer to a request that timed out before */
            continue;
        }
        bool is_ok = span_equal_text(kind, "ok");
        bool is_error = span_equal_text(kind, "error");
        take_current(self, &message, ret_reply);
        return is_ok ? BACKEND_OK : is_error ? BACKEND_ERROR : BACKEND_PROTOCOL;
    }
}

enum backend_outcome backend_client_next_event(backend_client_t *self, int timeout_ms,
                                               struct backend_reply *ret_event) {
    struct list_link *link = list_pop_front(&self->events);
    if (link != NULL) {
        struct kept_event *event = list_entry(link, struct kept_event, link);
        self->n_events--;
        take_current(self, &event->message, ret_event);
        memory_free(event);
        return BACKEND_EVENT;
    }
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) timeout_ms;
    for (;;) {
        struct reply_frames message;
        if (!receive(self, left_ms(deadline_ms), &message)) {
            return BACKEND_TIMEOUT;
        }
        if (span_equal_text(frame_span(&message, 1), "event")) {
            take_current(self, &message, ret_event);
            return BACKEND_EVENT;
        }
        close_frames(&message);
    }
}

uint64_t backend_client_events_dropped(const backend_client_t *self) {
    return self->n_dropped;
}
