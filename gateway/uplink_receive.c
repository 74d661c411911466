/* What a link receives: WELCOME and RESET on lane 0xffff, batches on the others, whose frames go to the owner. Whatever
 * is malformed, or a lane's hole, ends the link; the next one heals what is missing. */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "gateway/uplink_parts.h"

enum { REFUSED_DELAY_MS = 5000 };

static void die_of_bad_frame(uplink_t *self, const char *what) {
    uplink_tell_reset(self, WIRE_RESET_BAD_FRAME, what);
    uplink_die(self, what, UPLINK_METRIC_LOST_BAD_FRAME, 0);
}

static void open_lanes(uplink_t *self, const struct wire_welcome *welcome) {
    self->n_lanes = welcome->shards;
    self->lanes = memory_alloc_array(self->n_lanes, sizeof *self->lanes);
    for (uint16_t i = 0; i < self->n_lanes; i++) {
        self->lanes[i].lane = wire_lane_new(self->link_epoch, i, WIRE_CREDIT_FRAMES, WIRE_CREDIT_BYTES,
                                            welcome->credit_frames, welcome->credit_bytes);
        wire_lane_speak(self->lanes[i].lane, self->version);
    }
}

static void start_beating(uplink_t *self, const struct wire_welcome *welcome) {
    self->heartbeat_ms = self->settings.heartbeat_ms;
    if (welcome->heartbeat_ms > 0 && welcome->heartbeat_ms < self->heartbeat_ms) {
        self->heartbeat_ms = welcome->heartbeat_ms;
    }
    self->beats_lost_at = (self->settings.heartbeat_timeout_ms + self->heartbeat_ms - 1) / self->heartbeat_ms;
    uplink_beat_all(self);
}

static void become_live(uplink_t *self, const struct wire_welcome *welcome) {
    self->state = UPLINK_LIVE;
    self->n_not_reached = 0;
    self->version = welcome->version;
    backoff_reset(&self->backoff);
    uplink_count(self, UPLINK_METRIC_LINKS);
    metric_change(self->settings.metrics, UPLINK_METRIC_LIVE, 1);
    open_lanes(self, welcome);
    log_info("broker_linked", log_text("endpoint", self->endpoint), log_span("broker", welcome->broker_id),
             log_u64("shards", welcome->shards),
             log_bool("same_config", welcome->config_hash == *self->settings.config_hash));
    self->settings.callbacks->on_live(self->settings.context, self);
    start_beating(self, welcome);
}

static bool welcome_is_sound(const struct wire_welcome *welcome) {
    return welcome->version >= WIRE_VERSION_MIN && welcome->version <= WIRE_VERSION && welcome->shards > 0 &&
           welcome->shards <= UPLINK_SHARDS_MAX && partition_count_is_valid(welcome->partitions) &&
           welcome->broker_id.size > 0 && memchr(welcome->broker_id.data, 0, welcome->broker_id.size) == NULL &&
           (welcome->mode == WIRE_MODE_MEMORY || welcome->mode == WIRE_MODE_REDIS);
}

static void on_welcome(uplink_t *self, const struct wire_frame *frame) {
    struct wire_welcome welcome;
    if (self->state != UPLINK_GREETING || !wire_decode_welcome(frame->body, &welcome) || !welcome_is_sound(&welcome)) {
        die_of_bad_frame(self, "unsound WELCOME");
        return;
    }
    switch (self->settings.callbacks->on_welcome(self->settings.context, self, &welcome)) {
    case UPLINK_WANTED:
        become_live(self, &welcome);
        return;
    case UPLINK_MODE_REFUSED:
        uplink_tell_reset(self, WIRE_RESET_MODE, "a second broker, and one is in mode memory");
        uplink_die(self, "mode", UPLINK_METRIC_LOST_OTHER, REFUSED_DELAY_MS);
        return;
    case UPLINK_MISFIT:
        uplink_tell_reset(self, WIRE_RESET_MODE, "another number of partitions");
        uplink_die(self, "partitions", UPLINK_METRIC_LOST_OTHER, REFUSED_DELAY_MS);
        return;
    }
}

static void on_reset(uplink_t *self, const struct wire_frame *frame) {
    struct wire_reset reset = {0};
    if (!wire_decode_reset(frame->body, &reset)) {
        die_of_bad_frame(self, "malformed RESET");
        return;
    }
    log_warning("broker_reset_link", log_text("endpoint", self->endpoint), log_u64("reason", reset.reason),
                log_span("message", reset.message));
    bool is_lasting = reset.reason == WIRE_RESET_VERSION || reset.reason == WIRE_RESET_NOT_ALLOWED;
    uplink_die(self, "reset by the broker", UPLINK_METRIC_LOST_RESET, is_lasting ? REFUSED_DELAY_MS : 0);
}

static bool is_known(uint8_t kind) {
    return wire_kind_name(kind)[0] != 'u';
}

static void on_frame(uplink_t *self, uint16_t shard, const struct wire_frame *frame) {
    if (frame->kind == WIRE_RESET) {
        on_reset(self, frame);
    } else if (frame->kind == WIRE_WELCOME) {
        on_welcome(self, frame);
    } else if (!is_known(frame->kind) && (frame->flags & WIRE_FRAME_SKIP) != 0) {
        uplink_count(self, UPLINK_METRIC_SKIPPED);
    } else if (self->state != UPLINK_LIVE ||
               (frame->kind == WIRE_BEAT_ANSWER &&
                (shard == WIRE_SHARD_SWITCHBOARD || !uplink_on_beat_answer(self, shard, frame))) ||
               !self->settings.callbacks->on_frame(self->settings.context, self, shard, frame)) {
        log_error("broker_frame_refused", log_text("endpoint", self->endpoint),
                  log_text("frame", wire_kind_name(frame->kind)), log_u64("size", frame->body.size));
        die_of_bad_frame(self, "malformed or unknown frame");
    }
}

/* Returns how many there were. */
static uint32_t on_frames(uplink_t *self, uint16_t shard, struct cursor *frames) {
    uint32_t n = 0;
    struct wire_frame frame;
    while (self->state == UPLINK_GREETING || self->state == UPLINK_LIVE) {
        enum wire_outcome outcome = wire_frame_next(frames, &frame);
        if (outcome == WIRE_END) {
            break;
        }
        if (outcome != WIRE_OK) {
            die_of_bad_frame(self, wire_outcome_text(outcome));
            break;
        }
        n++;
        on_frame(self, shard, &frame);
    }
    return n;
}

/* What waits in the open batch goes first. */
static void tell_credit(uplink_t *self, uint16_t shard) {
    if (self->state != UPLINK_LIVE || !self->lanes[shard].was_refused) {
        return;
    }
    uplink_flush_lane(self, shard);
    if (self->state == UPLINK_LIVE && self->lanes[shard].n_frames == 0 &&
        wire_lane_has_credit(self->lanes[shard].lane, 1, WIRE_BATCH_HEADER_SIZE)) {
        self->lanes[shard].was_refused = false;
        self->settings.callbacks->on_credit(self->settings.context, self);
    }
}

static void on_lane_batch(uplink_t *self, const struct wire_batch_header *header, struct cursor *frames, size_t size) {
    if (self->state != UPLINK_LIVE || header->shard >= self->n_lanes) {
        die_of_bad_frame(self, "a lane that there is not");
        return;
    }
    struct uplink_lane *lane = &self->lanes[header->shard];
    switch (wire_lane_receive(lane->lane, header)) {
    case WIRE_LANE_OLD_LINK:
        return;
    case WIRE_LANE_HOLE:
        uplink_tell_reset(self, WIRE_RESET_HOLE, "a batch is missing");
        uplink_die(self, "hole", UPLINK_METRIC_LOST_HOLE, 0);
        return;
    case WIRE_LANE_NEXT: {
        uint32_t n = on_frames(self, header->shard, frames);
        wire_lane_consumed(lane->lane, n, size);
        break;
    }
    case WIRE_LANE_ACK_ONLY:
        break;
    }
    tell_credit(self, header->shard);
}

void uplink_on_message(void *context, zmq_msg_t *messages, size_t n) {
    uplink_t *self = context;
    if (self->state != UPLINK_GREETING && self->state != UPLINK_LIVE) {
        return;
    }
    if (n != 1) {
        die_of_bad_frame(self, "a message of several parts");
        return;
    }
    struct span bytes = span_of(zmq_msg_data(&messages[0]), zmq_msg_size(&messages[0]));
    struct wire_batch_header header;
    struct cursor frames;
    enum wire_outcome outcome = wire_batch_open(bytes, &header, &frames);
    if (outcome != WIRE_OK) {
        die_of_bad_frame(self, wire_outcome_text(outcome));
        return;
    }
    uplink_count(self, UPLINK_METRIC_BATCHES_IN);
    metric_add(self->settings.metrics, UPLINK_METRIC_BYTES_IN, bytes.size);
    if (header.link_epoch != self->link_epoch) {
        return;
    }
    if (header.shard == WIRE_SHARD_SWITCHBOARD) {
        on_frames(self, header.shard, &frames);
        return;
    }
    on_lane_batch(self, &header, &frames, bytes.size);
}
