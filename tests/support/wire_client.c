/* See the header. Every receive fails the test through cmocka when a deadline passes; deadlines are generous. */
#include "tests/support/wire_client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"
#include "base/wire_lane.h"
#include "base/zmq_handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <zmq.h>

#include <cmocka.h>

enum { SHARDS_MAX = 64, DEADLINE_MS = 10000 };

struct lane {
    wire_lane_t *lane;
    struct buffer batch;
};

struct consumed {
    uint16_t shard;
    uint32_t n_frames;
    size_t bytes;
};

struct wire_client {
    struct wire_client_options options;
    void *socket;
    uint64_t link_epoch;
    uint16_t n_shards;
    uint32_t n_partitions;
    uint32_t last_request;
    bool acking;
    struct lane lanes[SHARDS_MAX];
    struct consumed *withheld;
    size_t n_withheld;
    /* the message being read */
    zmq_msg_t message;
    bool has_message;
    uint16_t shard;
    struct cursor frames;
    uint32_t n_frames;
};

wire_client_t *wire_client_new(const struct wire_client_options *options) {
    wire_client_t *self = memory_alloc_zero(sizeof *self);
    int linger = 0;
    int mark = 100000;
    self->options = *options;
    self->acking = true;
    self->socket = zmq_socket(options->zmq_context, ZMQ_DEALER);
    assert_non_null(self->socket);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(self->socket, ZMQ_SNDHWM, &mark, sizeof mark);
    zmq_setsockopt(self->socket, ZMQ_RCVHWM, &mark, sizeof mark);
    assert_int_equal(zmq_connect(self->socket, options->endpoint), 0);
    return self;
}

static void drop_message(wire_client_t *self) {
    if (self->has_message) {
        zmq_msg_close(&self->message);
        self->has_message = false;
    }
}

static void drop_lanes(wire_client_t *self) {
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        wire_lane_destroy(&self->lanes[i].lane);
        buffer_finish(&self->lanes[i].batch);
    }
    memory_free(self->withheld);
    self->withheld = NULL;
    self->n_withheld = 0;
}

void wire_client_destroy(wire_client_t **self_p) {
    wire_client_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    drop_message(self);
    drop_lanes(self);
    zmq_close(self->socket);
    memory_free(self);
    *self_p = NULL;
}

uint64_t wire_client_link_epoch(const wire_client_t *self) {
    return self->link_epoch;
}

uint16_t wire_client_shards(const wire_client_t *self) {
    return self->n_shards;
}

uint16_t wire_client_shard_of(const wire_client_t *self, const char *channel) {
    uint32_t partition = partition_of(span_of_text(channel), self->n_partitions);
    return (uint16_t) partition_shard(partition, self->n_partitions, self->n_shards);
}

/* ---- sending ---- */

void wire_client_send_raw(wire_client_t *self, struct span bytes) {
    assert_int_equal(zmq_send(self->socket, bytes.data, bytes.size, 0), (int) bytes.size);
}

void wire_client_hello(wire_client_t *self, uint16_t version_min, uint16_t version_max) {
    struct buffer batch = BUFFER_EMPTY;
    self->link_epoch = random_u64();
    wire_batch_begin(&batch);
    assert_true(wire_encode_hello(&batch, &(struct wire_hello){.version_min = version_min,
                                                               .version_max = version_max,
                                                               .gateway_id = span_of_text(self->options.gateway_id),
                                                               .worker = self->options.worker,
                                                               .boot_nonce = 7}));
    wire_batch_seal(&batch, &(struct wire_batch_header){.version = WIRE_VERSION_MIN,
                                                        .shard = WIRE_SHARD_SWITCHBOARD,
                                                        .link_epoch = self->link_epoch});
    wire_client_send_raw(self, buffer_span(&batch));
    buffer_finish(&batch);
}

static void make_lanes(wire_client_t *self, const struct wire_welcome *welcome) {
    uint32_t frames = self->options.grant_frames == 0 ? WIRE_CREDIT_FRAMES : self->options.grant_frames;
    uint32_t bytes = self->options.grant_bytes == 0 ? WIRE_CREDIT_BYTES : self->options.grant_bytes;
    drop_lanes(self);
    assert_in_range(welcome->shards, 1, SHARDS_MAX);
    self->n_shards = welcome->shards;
    self->n_partitions = welcome->partitions;
    for (uint16_t i = 0; i < welcome->shards; i++) {
        self->lanes[i].lane =
            wire_lane_new(self->link_epoch, i, frames, bytes, welcome->credit_frames, welcome->credit_bytes);
    }
}

struct wire_welcome wire_client_link(wire_client_t *self) {
    wire_client_hello(self, WIRE_VERSION_MIN, WIRE_VERSION);
    struct wire_welcome welcome;
    assert_true(wire_decode_welcome(wire_client_expect(self, WIRE_WELCOME), &welcome));
    make_lanes(self, &welcome);
    /* The shards learn the grant from the first header. */
    for (uint16_t i = 0; i < self->n_shards; i++) {
        wire_client_beat(self, i);
    }
    return welcome;
}

struct buffer *wire_client_batch(wire_client_t *self, uint16_t shard) {
    wire_batch_begin(&self->lanes[shard].batch);
    return &self->lanes[shard].batch;
}

void wire_client_send(wire_client_t *self, uint16_t shard, uint32_t n_frames) {
    struct lane *lane = &self->lanes[shard];
    assert_true(wire_lane_has_credit(lane->lane, n_frames, lane->batch.size));
    wire_lane_seal(lane->lane, &lane->batch, n_frames);
    wire_client_send_raw(self, buffer_span(&lane->batch));
}

static void send_ack(wire_client_t *self, uint16_t shard) {
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_lane_seal_ack(self->lanes[shard].lane, &batch);
    wire_client_send_raw(self, buffer_span(&batch));
    buffer_finish(&batch);
}

/* ---- receiving ---- */

static void consume(wire_client_t *self, const struct consumed *consumed) {
    wire_lane_consumed(self->lanes[consumed->shard].lane, consumed->n_frames, consumed->bytes);
}

static void withhold(wire_client_t *self, const struct consumed *consumed) {
    self->withheld = memory_realloc(self->withheld, (self->n_withheld + 1) * sizeof *self->withheld);
    self->withheld[self->n_withheld++] = *consumed;
}

void wire_client_set_acking(wire_client_t *self, bool acking) {
    self->acking = acking;
    for (size_t i = 0; acking && i < self->n_withheld; i++) {
        consume(self, &self->withheld[i]);
    }
    if (acking) {
        self->n_withheld = 0;
    }
    for (uint16_t i = 0; acking && i < self->n_shards; i++) {
        send_ack(self, i);
    }
}

/* The message was read to its end. */
static void end_message(wire_client_t *self) {
    if (self->shard != WIRE_SHARD_SWITCHBOARD && self->n_frames > 0) {
        struct consumed consumed = {self->shard, self->n_frames, zmq_msg_size(&self->message)};
        if (self->acking) {
            consume(self, &consumed);
            if (wire_lane_ack_is_due(self->lanes[self->shard].lane)) {
                send_ack(self, self->shard);
            }
        } else {
            withhold(self, &consumed);
        }
    }
    drop_message(self);
}

static bool next_message(wire_client_t *self, int timeout_ms) {
    zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, timeout_ms) <= 0) {
        return false;
    }
    zmq_msg_init(&self->message);
    assert_true(zmq_msg_recv(&self->message, self->socket, 0) >= 0);
    zmq_handover_acquire(zmq_msg_data(&self->message));
    self->has_message = true;
    struct wire_batch_header header;
    struct span bytes = span_of(zmq_msg_data(&self->message), zmq_msg_size(&self->message));
    assert_int_equal(wire_batch_open(bytes, &header, &self->frames), WIRE_OK);
    self->shard = header.shard;
    self->n_frames = 0;
    if (header.shard == WIRE_SHARD_SWITCHBOARD) {
        return true;
    }
    assert_true(header.shard < self->n_shards);
    enum wire_lane_outcome outcome = wire_lane_receive(self->lanes[header.shard].lane, &header);
    if (outcome != WIRE_LANE_NEXT) {
        assert_int_not_equal(outcome, WIRE_LANE_HOLE);
        drop_message(self);
    }
    return true;
}

bool wire_client_receive(wire_client_t *self, struct wire_received *ret_frame, int timeout_ms) {
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) timeout_ms;
    for (;;) {
        struct wire_frame frame;
        if (self->has_message) {
            if (wire_frame_next(&self->frames, &frame) != WIRE_OK) {
                end_message(self);
                continue;
            }
            self->n_frames++;
            if (frame.kind == WIRE_TOTALS) {
                continue;
            }
            *ret_frame = (struct wire_received){self->shard, frame.kind, frame.body};
            return true;
        }
        uint64_t now_ms = clock_monotonic_ms();
        if (now_ms > deadline_ms || !next_message(self, (int) (deadline_ms - now_ms))) {
            return false;
        }
    }
}

struct span wire_client_expect(wire_client_t *self, uint8_t kind) {
    struct wire_received frame;
    for (;;) {
        if (!wire_client_receive(self, &frame, DEADLINE_MS)) {
            fail_msg("no %s came", wire_kind_name(kind));
        }
        if (frame.kind == kind) {
            return frame.body;
        }
        if (frame.kind != WIRE_BEAT_ANSWER && frame.kind != WIRE_RESYNC) {
            fail_msg("%s came instead of %s", wire_kind_name(frame.kind), wire_kind_name(kind));
        }
    }
}

bool wire_client_is_silent(wire_client_t *self, int for_ms) {
    struct wire_received frame;
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) for_ms;
    for (uint64_t now_ms = clock_monotonic_ms(); now_ms < deadline_ms; now_ms = clock_monotonic_ms()) {
        if (wire_client_receive(self, &frame, (int) (deadline_ms - now_ms)) && frame.kind != WIRE_BEAT_ANSWER &&
            frame.kind != WIRE_RESYNC) {
            print_error("%s came\n", wire_kind_name(frame.kind));
            return false;
        }
    }
    return true;
}

/* ---- shortcuts ---- */

uint32_t wire_client_subscribe(wire_client_t *self, const char *channel, uint32_t handle, const struct position *since,
                               bool own) {
    uint16_t shard = wire_client_shard_of(self, channel);
    struct wire_subscribe frame = {
        .request = ++self->last_request,
        .handle = handle,
        .flags = (uint8_t) ((since != NULL ? WIRE_SUBSCRIBE_SINCE : 0) | (own ? WIRE_SUBSCRIBE_OWN : 0)),
        .channel = span_of_text(channel)};
    if (since != NULL) {
        frame.since_epoch = since->epoch;
        frame.since_offset = since->offset;
    }
    assert_true(wire_encode_subscribe(wire_client_batch(self, shard), &frame));
    wire_client_send(self, shard, 1);
    return frame.request;
}

uint32_t wire_client_publish_keyed(wire_client_t *self, const char *channel, const char *key, const char *data) {
    uint16_t shard = wire_client_shard_of(self, channel);
    struct wire_publish frame = {.request = ++self->last_request,
                                 .channel = span_of_text(channel),
                                 .key = span_of_text(key),
                                 .data = span_of_text(data)};
    assert_true(wire_encode_publish(wire_client_batch(self, shard), &frame));
    wire_client_send(self, shard, 1);
    return frame.request;
}

uint32_t wire_client_publish(wire_client_t *self, const char *channel, const char *data) {
    return wire_client_publish_keyed(self, channel, "", data);
}

void wire_client_beat(wire_client_t *self, uint16_t shard) {
    struct wire_beat frame = {
        .sent_us = clock_monotonic_us(), .flags = WIRE_BEAT_RENEW_LEASE, .connections = 3, .users = 2, .alive = 3};
    assert_true(wire_encode_beat(wire_client_batch(self, shard), &frame));
    wire_client_send(self, shard, 1);
}

void wire_client_unsubscribe(wire_client_t *self, const char *channel, uint32_t handle) {
    uint16_t shard = wire_client_shard_of(self, channel);
    assert_true(wire_encode_unsubscribe(wire_client_batch(self, shard), &(struct wire_unsubscribe){handle}));
    wire_client_send(self, shard, 1);
}
