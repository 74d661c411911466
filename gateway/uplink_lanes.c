/* What a link sends: frames are gathered in one open batch a lane, which goes at 8 KiB (32 with CURVE) or at the end of
 * the turn. A batch carries our ack and grant; where nothing is to be sent and a quarter of the grant was consumed, an
 * ack goes alone. Every heartbeat a BEAT goes on every lane, and the shard actor itself answers.
 *
 * Failure modes: no credit: the open batch waits; owners ask uplink_admits before they add more, and hear on_credit.
 * Three beats in a row unanswered: the actor hangs, or the network swallows. Lost. Beats are counted, not timed, so a
 * stop of our own process does not cut a healthy link. ZeroMQ says full: credit should have kept us below the mark;
 * whatever happened, the link is reset and heals. */
#include "base/check.h"
#include "base/clock.h"
#include "gateway/uplink_parts.h"

enum uplink_sending uplink_send(uplink_t *self, struct span bytes) {
    zmq_msg_t message;
    zmq_msg_init_size(&message, bytes.size);
    memcpy(zmq_msg_data(&message), bytes.data, bytes.size);
    enum zmq_send_result result = zmq_on_uv_send(self->on_uv, &message, 1);
    zmq_msg_close(&message);
    switch (result) {
    case ZMQ_SENT:
        uplink_count(self, UPLINK_METRIC_BATCHES_OUT);
        metric_add(self->settings.metrics, UPLINK_METRIC_BYTES_OUT, bytes.size);
        return UPLINK_SENT;
    case ZMQ_FULL:
        return UPLINK_SEND_FULL;
    case ZMQ_UNROUTABLE:
    case ZMQ_SEND_FAILED:
        return UPLINK_SEND_FAILED;
    }
    unreachable("send result %d", (int) result);
}

static void send_or_die(uplink_t *self, struct span bytes) {
    switch (uplink_send(self, bytes)) {
    case UPLINK_SENT:
        return;
    case UPLINK_SEND_FULL:
        uplink_die(self, "full", UPLINK_METRIC_LOST_FULL, 0);
        return;
    case UPLINK_SEND_FAILED:
        uplink_die(self, "send failed", UPLINK_METRIC_LOST_OTHER, 0);
        return;
    }
}

/* The header of lane 0xffff, around the one frame in `scrap`. HELLO must be understood by any version. */
void uplink_seal_for_switchboard(uplink_t *self) {
    wire_batch_seal(&self->scrap, &(struct wire_batch_header){.version = WIRE_VERSION_MIN,
                                                              .shard = WIRE_SHARD_SWITCHBOARD,
                                                              .link_epoch = self->link_epoch});
}

/* Best effort: the link dies either way. */
void uplink_tell_reset(uplink_t *self, enum wire_reset_reason reason, const char *message) {
    wire_batch_begin(&self->scrap);
    wire_encode_reset(&self->scrap,
                      &(struct wire_reset){.reason = (uint16_t) reason, .message = span_of_text(message)});
    uplink_seal_for_switchboard(self);
    uplink_send(self, buffer_span(&self->scrap));
}

void uplink_flush_lane(uplink_t *self, uint16_t shard) {
    struct uplink_lane *lane = &self->lanes[shard];
    if (lane->n_frames > 0 && wire_lane_has_credit(lane->lane, lane->n_frames, lane->batch.size)) {
        wire_lane_seal(lane->lane, &lane->batch, lane->n_frames);
        lane->n_frames = 0;
        send_or_die(self, buffer_span(&lane->batch));
        if (self->state == UPLINK_LIVE) {
            self->settings.callbacks->on_sent(self->settings.context, self, shard);
        }
        return;
    }
    if (lane->n_frames > 0 && !lane->was_refused) {
        lane->was_refused = true;
        uplink_count(self, UPLINK_METRIC_CREDIT_WAITS);
    }
    if (wire_lane_ack_is_due(lane->lane)) {
        wire_batch_begin(&self->scrap);
        wire_lane_seal_ack(lane->lane, &self->scrap);
        send_or_die(self, buffer_span(&self->scrap));
    }
}

void uplink_on_flush(void *context) {
    uplink_t *self = context;
    for (uint16_t i = 0; i < self->n_lanes && self->state == UPLINK_LIVE; i++) {
        uplink_flush_lane(self, i);
    }
}

bool uplink_admits(uplink_t *self, uint16_t shard, size_t frame_size) {
    if (self->state != UPLINK_LIVE) {
        return false;
    }
    check(shard < self->n_lanes, "shard %u of %u", shard, self->n_lanes);
    struct uplink_lane *lane = &self->lanes[shard];
    bool fits = lane->n_frames == 0
                    ? wire_lane_has_credit(lane->lane, 1, WIRE_BATCH_HEADER_SIZE + frame_size)
                    : wire_lane_fits_credit(lane->lane, lane->n_frames + 1, lane->batch.size + frame_size);
    if (fits) {
        return true;
    }
    if (!lane->was_refused) {
        lane->was_refused = true;
        uplink_count(self, UPLINK_METRIC_CREDIT_WAITS);
    }
    return false;
}

struct buffer *uplink_batch(uplink_t *self, uint16_t shard) {
    if (self->state != UPLINK_LIVE) {
        wire_batch_begin(&self->scrap);
        return &self->scrap;
    }
    check(shard < self->n_lanes, "shard %u of %u", shard, self->n_lanes);
    struct uplink_lane *lane = &self->lanes[shard];
    if (lane->n_frames == 0) {
        wire_batch_begin(&lane->batch);
    }
    return &lane->batch;
}

void uplink_frame_added(uplink_t *self, uint16_t shard, bool encoded) {
    if (self->state != UPLINK_LIVE) {
        return;
    }
    if (!encoded) {
        uplink_tell_reset(self, WIRE_RESET_OVERFLOW, "a batch is at its bound");
        uplink_die(self, "batch at its bound", UPLINK_METRIC_LOST_FULL, 0);
        return;
    }
    struct uplink_lane *lane = &self->lanes[shard];
    if (lane->n_frames++ == 0) {
        self->settings.callbacks->on_wake(self->settings.context);
    }
    if (lane->batch.size >= self->batch_close) {
        uplink_flush_lane(self, shard);
    }
}

/* ---- heartbeats ---- */

static void send_beat(uplink_t *self, uint16_t shard) {
    struct uplink_lane *lane = &self->lanes[shard];
    struct wire_beat beat = {.sent_us = clock_monotonic_us()};
    self->settings.callbacks->fill_beat(self->settings.context, self, shard, &beat);
    lane->beat_sent_us = beat.sent_us;
    lane->beats_unanswered++;
    bool encoded = wire_encode_beat(uplink_batch(self, shard), &beat);
    uplink_frame_added(self, shard, encoded);
}

void uplink_beat_all(uplink_t *self) {
    for (uint16_t i = 0; i < self->n_lanes; i++) {
        if (self->lanes[i].beats_unanswered >= self->beats_lost_at) {
            uplink_die(self, "heartbeat", UPLINK_METRIC_LOST_BEAT, 0);
            return;
        }
    }
    for (uint16_t i = 0; i < self->n_lanes && self->state == UPLINK_LIVE; i++) {
        send_beat(self, i);
    }
    uplink_set_timer(self, self->heartbeat_ms);
}

bool uplink_on_beat_answer(uplink_t *self, uint16_t shard, const struct wire_frame *frame) {
    struct wire_beat_answer answer;
    if (!wire_decode_beat_answer(frame->body, &answer)) {
        return false;
    }
    struct uplink_lane *lane = &self->lanes[shard];
    if (answer.sent_us == lane->beat_sent_us) {
        metric_observe_us(self->settings.metrics, UPLINK_METRIC_BEAT_SECONDS, clock_monotonic_us() - answer.sent_us);
    }
    lane->beats_unanswered = 0;
    return true;
}
