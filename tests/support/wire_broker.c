/* One peer, the gateway worker under test; a new HELLO replaces it. */
#include "tests/support/wire_broker.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/wire_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <zmq.h>

#include <cmocka.h>

enum { SHARDS_MAX = 8, ROUTING_ID_MAX = 64 };

struct kept_frame {
    struct list_link link;
    uint16_t shard;
    struct wire_frame frame;
    uint8_t bytes[];
};

struct wire_broker {
    struct wire_broker_settings settings;
    void *socket;
    uint8_t routing_id[ROUTING_ID_MAX];
    size_t routing_id_size;
    uint64_t link_epoch;
    wire_lane_t *lanes[SHARDS_MAX];
    bool greets, beats, acks;
    uint32_t degraded; /* a bit for each shard */
    uint32_t top_handle;
    uint64_t top_offset;
    unsigned n_hellos;
    unsigned n_beats;
    uint8_t beat_flags;
    uint16_t reset_reason;
    struct list_link frames;
    struct kept_frame *handed_out;
    struct buffer batch;
    struct buffer own; /* what we send by ourselves */
};

static void send_bytes(wire_broker_t *self, struct span bytes) {
    zmq_send(self->socket, self->routing_id, self->routing_id_size, ZMQ_SNDMORE);
    zmq_send(self->socket, bytes.data, bytes.size, ZMQ_DONTWAIT);
}

static void drop_link(wire_broker_t *self) {
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        wire_lane_destroy(&self->lanes[i]);
    }
    self->link_epoch = 0;
}

static void greet(wire_broker_t *self, uint64_t link_epoch) {
    drop_link(self);
    self->link_epoch = link_epoch;
    uint32_t credit = self->settings.credit_frames;
    for (uint16_t i = 0; i < self->settings.shards; i++) {
        self->lanes[i] = wire_lane_new(link_epoch, i, credit, WIRE_CREDIT_BYTES, WIRE_CREDIT_FRAMES, WIRE_CREDIT_BYTES);
    }
    wire_batch_begin(&self->own);
    wire_encode_welcome(&self->own, &(struct wire_welcome){.version = WIRE_VERSION,
                                                           .broker_id = span_of_text(self->settings.id),
                                                           .boot_nonce = self->settings.boot_nonce,
                                                           .shards = self->settings.shards,
                                                           .partitions = self->settings.partitions,
                                                           .mode = (uint8_t) self->settings.mode,
                                                           .degraded = self->degraded != 0,
                                                           .heartbeat_ms = 500,
                                                           .credit_frames = credit,
                                                           .credit_bytes = WIRE_CREDIT_BYTES});
    wire_batch_seal(&self->own, &(struct wire_batch_header){.version = WIRE_VERSION_MIN,
                                                            .shard = WIRE_SHARD_SWITCHBOARD,
                                                            .link_epoch = link_epoch});
    send_bytes(self, buffer_span(&self->own));
}

static void on_switchboard_frame(wire_broker_t *self, const struct wire_batch_header *header,
                                 const struct wire_frame *frame) {
    if (frame->kind == WIRE_HELLO) {
        struct wire_hello hello;
        assert_true(wire_decode_hello(frame->body, &hello));
        self->n_hellos++;
        if (self->greets) {
            greet(self, header->link_epoch);
        }
        return;
    }
    struct wire_reset reset;
    assert_int_equal(frame->kind, WIRE_RESET);
    assert_true(wire_decode_reset(frame->body, &reset));
    self->reset_reason = reset.reason;
    drop_link(self);
}

static void answer_beat(wire_broker_t *self, uint16_t shard, const struct wire_frame *frame) {
    struct wire_beat beat;
    assert_true(wire_decode_beat(frame->body, &beat));
    self->n_beats++;
    self->beat_flags = beat.flags;
    if (!self->beats) {
        return;
    }
    uint8_t bytes[12];
    struct buffer tops = BUFFER_EMPTY;
    if (self->top_handle != 0 && shard == 0) {
        buffer_append_u32(&tops, self->top_handle);
        buffer_append_u64(&tops, self->top_offset);
        memcpy(bytes, tops.data, sizeof bytes);
    }
    wire_batch_begin(&self->own);
    wire_encode_beat_answer(&self->own, &(struct wire_beat_answer){.sent_us = beat.sent_us,
                                                                   .degraded = (self->degraded >> shard & 1U) != 0,
                                                                   .n_tops = tops.size > 0,
                                                                   .tops = span_of(bytes, tops.size)});
    buffer_finish(&tops);
    wire_lane_seal(self->lanes[shard], &self->own, 1);
    send_bytes(self, buffer_span(&self->own));
}

static void keep(wire_broker_t *self, uint16_t shard, const struct wire_frame *frame) {
    struct kept_frame *kept = memory_alloc(sizeof *kept + frame->body.size);
    list_init(&kept->link);
    kept->shard = shard;
    kept->frame = *frame;
    memcpy(kept->bytes, frame->body.data, frame->body.size);
    kept->frame.body.data = kept->bytes;
    list_push_back(&self->frames, &kept->link);
}

static void on_lane_batch(wire_broker_t *self, const struct wire_batch_header *header, struct cursor *frames,
                          size_t size) {
    wire_lane_t *lane = header->shard < SHARDS_MAX ? self->lanes[header->shard] : NULL;
    if (lane == NULL || header->link_epoch != self->link_epoch) {
        return;
    }
    enum wire_lane_outcome outcome = wire_lane_receive(lane, header);
    assert_int_not_equal(outcome, WIRE_LANE_HOLE);
    if (outcome != WIRE_LANE_NEXT) {
        return;
    }
    struct wire_frame frame;
    uint32_t n = 0;
    enum wire_outcome next;
    while ((next = wire_frame_next(frames, &frame)) == WIRE_OK) {
        n++;
        if (frame.kind == WIRE_BEAT) {
            answer_beat(self, header->shard, &frame);
        } else {
            keep(self, header->shard, &frame);
        }
    }
    assert_int_equal(next, WIRE_END);
    if (self->acks) {
        wire_lane_consumed(lane, n, size);
        wire_batch_begin(&self->own);
        wire_lane_seal_ack(lane, &self->own);
        send_bytes(self, buffer_span(&self->own));
    }
}

static void on_batch(wire_broker_t *self, struct span bytes) {
    struct wire_batch_header header;
    struct cursor frames;
    assert_int_equal(wire_batch_open(bytes, &header, &frames), WIRE_OK);
    if (header.shard != WIRE_SHARD_SWITCHBOARD) {
        on_lane_batch(self, &header, &frames, bytes.size);
        return;
    }
    struct wire_frame frame;
    while (wire_frame_next(&frames, &frame) == WIRE_OK) {
        on_switchboard_frame(self, &header, &frame);
    }
}

static bool receive(wire_broker_t *self) {
    zmq_msg_t id, batch;
    zmq_msg_init(&id);
    if (zmq_msg_recv(&id, self->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&id);
        return false;
    }
    zmq_msg_init(&batch);
    assert_true(zmq_msg_recv(&batch, self->socket, 0) >= 0);
    self->routing_id_size = zmq_msg_size(&id);
    assert_true(self->routing_id_size <= ROUTING_ID_MAX);
    memcpy(self->routing_id, zmq_msg_data(&id), self->routing_id_size);
    on_batch(self, span_of(zmq_msg_data(&batch), zmq_msg_size(&batch)));
    zmq_msg_close(&id);
    zmq_msg_close(&batch);
    return true;
}

void wire_broker_poll(wire_broker_t *self) {
    while (receive(self)) {
    }
    self->settings.turn(self->settings.context);
}

static void poll_before(wire_broker_t *self, uint64_t deadline_ms, const char *what) {
    if (clock_monotonic_ms() > deadline_ms) {
        fail_msg("%s did not come to broker %s in time", what, self->settings.id);
    }
    wire_broker_poll(self);
}

bool wire_broker_is_linked(const wire_broker_t *self) {
    return self->link_epoch != 0;
}

void wire_broker_await_link(wire_broker_t *self) {
    uint64_t deadline_ms = clock_monotonic_ms() + WIRE_BROKER_DEADLINE_MS;
    unsigned n_beats = self->n_beats;
    while (self->link_epoch == 0 || self->n_beats == n_beats) {
        poll_before(self, deadline_ms, "a link");
    }
}

static struct kept_frame *next_frame(wire_broker_t *self, const char *what) {
    uint64_t deadline_ms = clock_monotonic_ms() + WIRE_BROKER_DEADLINE_MS;
    while (list_is_empty(&self->frames)) {
        poll_before(self, deadline_ms, what);
    }
    memory_free(self->handed_out);
    self->handed_out = list_entry(list_pop_front(&self->frames), struct kept_frame, link);
    return self->handed_out;
}

struct wire_frame wire_broker_expect_any(wire_broker_t *self) {
    return next_frame(self, "a frame")->frame;
}

struct wire_frame wire_broker_expect(wire_broker_t *self, enum wire_kind kind, uint16_t *ret_shard) {
    const struct kept_frame *kept = next_frame(self, wire_kind_name((uint8_t) kind));
    if (kept->frame.kind != kind) {
        fail_msg("%s came, %s was expected", wire_kind_name(kept->frame.kind), wire_kind_name((uint8_t) kind));
    }
    if (ret_shard != NULL) {
        *ret_shard = kept->shard;
    }
    return kept->frame;
}

bool wire_broker_has_frame_soon(wire_broker_t *self, unsigned turns) {
    for (unsigned i = 0; i < turns && list_is_empty(&self->frames); i++) {
        wire_broker_poll(self);
    }
    return !list_is_empty(&self->frames);
}

bool wire_broker_has_frame(wire_broker_t *self) {
    return wire_broker_has_frame_soon(self, 20);
}

struct buffer *wire_broker_batch(wire_broker_t *self) {
    wire_batch_begin(&self->batch);
    return &self->batch;
}

void wire_broker_send(wire_broker_t *self, uint16_t shard, uint32_t n_frames) {
    if (shard == WIRE_SHARD_SWITCHBOARD) {
        wire_batch_seal(&self->batch, &(struct wire_batch_header){
                                          .version = WIRE_VERSION_MIN, .shard = shard, .link_epoch = self->link_epoch});
    } else {
        wire_lane_seal(self->lanes[shard], &self->batch, n_frames);
    }
    send_bytes(self, buffer_span(&self->batch));
    wire_broker_poll(self);
}

void wire_broker_send_with_hole(wire_broker_t *self, uint16_t shard, uint32_t n_frames) {
    struct buffer lost = BUFFER_EMPTY;
    wire_batch_begin(&lost);
    wire_lane_seal(self->lanes[shard], &lost, 1);
    buffer_finish(&lost);
    wire_broker_send(self, shard, n_frames);
}

void wire_broker_set_greeting(wire_broker_t *self, bool on) {
    self->greets = on;
}

void wire_broker_set_beating(wire_broker_t *self, bool on) {
    self->beats = on;
}

void wire_broker_set_acking(wire_broker_t *self, bool on) {
    self->acks = on;
}

void wire_broker_set_degraded(wire_broker_t *self, uint16_t shard, bool degraded) {
    self->degraded = (self->degraded & ~(UINT32_C(1) << shard)) | (uint32_t) degraded << shard;
}

void wire_broker_set_tops(wire_broker_t *self, uint32_t handle, uint64_t offset) {
    self->top_handle = handle;
    self->top_offset = offset;
}

unsigned wire_broker_hellos(const wire_broker_t *self) {
    return self->n_hellos;
}

unsigned wire_broker_beats(const wire_broker_t *self) {
    return self->n_beats;
}

uint8_t wire_broker_last_beat_flags(const wire_broker_t *self) {
    return self->beat_flags;
}

uint16_t wire_broker_reset_reason(const wire_broker_t *self) {
    return self->reset_reason;
}

wire_broker_t *wire_broker_new(const struct wire_broker_settings *settings) {
    wire_broker_t *self = memory_alloc_zero(sizeof *self);
    self->settings = *settings;
    self->settings.shards = settings->shards == 0 ? 1 : settings->shards;
    self->settings.partitions = settings->partitions == 0 ? 256 : settings->partitions;
    self->settings.mode = settings->mode == 0 ? WIRE_MODE_REDIS : settings->mode;
    self->settings.credit_frames = settings->credit_frames == 0 ? WIRE_CREDIT_FRAMES : settings->credit_frames;
    self->greets = self->beats = self->acks = true;
    list_init(&self->frames);
    int zero = 0;
    self->socket = zmq_socket(settings->zmq_context, ZMQ_ROUTER);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &zero, sizeof zero);
    if (zmq_bind(self->socket, settings->endpoint) != 0) {
        fail_msg("cannot bind %s: %s", settings->endpoint, zmq_strerror(zmq_errno()));
    }
    return self;
}

void wire_broker_destroy(wire_broker_t **self_p) {
    wire_broker_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    zmq_close(self->socket);
    drop_link(self);
    for (struct list_link *link = list_pop_front(&self->frames); link != NULL; link = list_pop_front(&self->frames)) {
        memory_free(list_entry(link, struct kept_frame, link));
    }
    memory_free(self->handed_out);
    buffer_finish(&self->batch);
    buffer_finish(&self->own);
    memory_free(self);
}
