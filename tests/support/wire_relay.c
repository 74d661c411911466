/* See the header. A batch that loses frames keeps its header, number included. */
#include "tests/support/wire_relay.h"

#include "base/memory.h"
#include "base/wire.h"
#include "base/zmq_handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <zmq.h>

#include <cmocka.h>

enum { ROUTING_ID_MAX = 64, ENDPOINT_MAX = 128 };

struct wire_relay {
    void *context;
    char back_endpoint[ENDPOINT_MAX];
    void *front;
    void *back; /* one for each routing id of the gateway's, NULL: it never spoke */
    uint8_t routing_id[ROUTING_ID_MAX];
    size_t routing_id_size;
    unsigned pushes_to_drop;
    unsigned tops_to_drop;
    bool drops_batch;
    unsigned n_dropped;
    unsigned n_beat_answers;
    struct buffer batch;
};

static void *open_socket(wire_relay_t *self, int type) {
    int zero = 0;
    void *socket = zmq_socket(self->context, type);
    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &zero, sizeof zero);
    return socket;
}

wire_relay_t *wire_relay_new(void *zmq_context, const char *front, const char *back) {
    wire_relay_t *self = memory_alloc_zero(sizeof *self);
    self->context = zmq_context;
    assert_true(strlen(back) < sizeof self->back_endpoint);
    memcpy(self->back_endpoint, back, strlen(back) + 1);
    self->front = open_socket(self, ZMQ_ROUTER);
    if (zmq_bind(self->front, front) != 0) {
        fail_msg("cannot bind %s: %s", front, zmq_strerror(zmq_errno()));
    }
    return self;
}

void wire_relay_destroy(wire_relay_t **self_p) {
    wire_relay_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    zmq_close(self->front);
    if (self->back != NULL) {
        zmq_close(self->back);
    }
    buffer_finish(&self->batch);
    memory_free(self);
}

/* ---- up ---- */

/* The worker linked anew: the broker shall see another link too. */
static void follow_routing_id(wire_relay_t *self, struct span id) {
    if (self->back != NULL && span_equal(id, span_of(self->routing_id, self->routing_id_size))) {
        return;
    }
    if (self->back != NULL) {
        zmq_close(self->back);
    }
    assert_true(id.size <= ROUTING_ID_MAX);
    memcpy(self->routing_id, id.data, id.size);
    self->routing_id_size = id.size;
    self->back = open_socket(self, ZMQ_DEALER);
    if (zmq_connect(self->back, self->back_endpoint) != 0) {
        fail_msg("cannot connect to %s: %s", self->back_endpoint, zmq_strerror(zmq_errno()));
    }
}

static bool pass_up(wire_relay_t *self) {
    zmq_msg_t id, batch;
    zmq_msg_init(&id);
    if (zmq_msg_recv(&id, self->front, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&id);
        return false;
    }
    zmq_msg_init(&batch);
    assert_true(zmq_msg_recv(&batch, self->front, 0) >= 0);
    follow_routing_id(self, span_of(zmq_msg_data(&id), zmq_msg_size(&id)));
    zmq_msg_close(&id);
    zmq_msg_send(&batch, self->back, ZMQ_DONTWAIT);
    return true;
}

/* ---- down ---- */

static bool has_push(struct cursor frames) {
    struct wire_frame frame;
    while (wire_frame_next(&frames, &frame) == WIRE_OK) {
        if (frame.kind == WIRE_PUSH) {
            return true;
        }
    }
    return false;
}

static void pass_beat_answer(wire_relay_t *self, struct span body, struct span whole) {
    struct wire_beat_answer answer;
    assert_true(wire_decode_beat_answer(body, &answer));
    self->n_beat_answers++;
    if (self->tops_to_drop == 0 || answer.n_tops == 0) {
        buffer_append_span(&self->batch, whole);
        return;
    }
    self->tops_to_drop--;
    answer.n_tops = 0;
    answer.tops = SPAN_EMPTY;
    wire_encode_beat_answer(&self->batch, &answer);
}

/* False: nothing is passed on. */
static bool filter(wire_relay_t *self, struct span bytes) {
    struct wire_batch_header header;
    struct cursor frames;
    struct wire_frame frame;
    assert_int_equal(wire_batch_open(bytes, &header, &frames), WIRE_OK);
    wire_batch_begin(&self->batch);
    wire_batch_seal(&self->batch, &header);
    if (header.shard == WIRE_SHARD_SWITCHBOARD) {
        buffer_append_span(&self->batch, cursor_bytes(&frames, frames.left));
        return true;
    }
    if (self->drops_batch && has_push(frames)) {
        self->drops_batch = false;
        self->n_dropped++;
        return false;
    }
    for (;;) {
        const uint8_t *start = frames.at;
        if (wire_frame_next(&frames, &frame) != WIRE_OK) {
            return true;
        }
        struct span whole = span_of(start, WIRE_FRAME_HEADER_SIZE + frame.body.size);
        if (frame.kind == WIRE_PUSH && self->pushes_to_drop > 0) {
            self->pushes_to_drop--;
            self->n_dropped++;
        } else if (frame.kind == WIRE_BEAT_ANSWER) {
            pass_beat_answer(self, frame.body, whole);
        } else {
            buffer_append_span(&self->batch, whole);
        }
    }
}

static bool pass_down(wire_relay_t *self) {
    zmq_msg_t batch;
    zmq_msg_init(&batch);
    if (self->back == NULL || zmq_msg_recv(&batch, self->back, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&batch);
        return false;
    }
    zmq_handover_acquire(zmq_msg_data(&batch));
    if (filter(self, span_of(zmq_msg_data(&batch), zmq_msg_size(&batch)))) {
        zmq_send(self->front, self->routing_id, self->routing_id_size, ZMQ_SNDMORE);
        zmq_send(self->front, self->batch.data, self->batch.size, ZMQ_DONTWAIT);
    }
    zmq_msg_close(&batch);
    return true;
}

void wire_relay_poll(wire_relay_t *self) {
    while (pass_up(self)) {
    }
    while (pass_down(self)) {
    }
}

void wire_relay_drop_pushes(wire_relay_t *self, unsigned n) {
    self->pushes_to_drop = n;
}

void wire_relay_drop_tops(wire_relay_t *self, unsigned n) {
    self->tops_to_drop = n;
}

void wire_relay_drop_batch(wire_relay_t *self) {
    self->drops_batch = true;
}

unsigned wire_relay_dropped(const wire_relay_t *self) {
    return self->n_dropped;
}

unsigned wire_relay_beat_answers(const wire_relay_t *self) {
    return self->n_beat_answers;
}
