/* One socket is one life of a link: after a loss the old socket is closed and a new one dials, with a new link epoch,
 * so that nothing of the old link can be taken for the new one's.
 *
 * Happy path: dial, HELLO as soon as ZeroMQ takes it, WELCOME, lanes. Then each turn of the loop: frames are gathered
 * in one open batch a lane, which goes at 8 KiB (32 with CURVE) or at the end of the turn (on_flush). A batch carries
 * our ack and grant; where nothing is to be sent and a quarter of the grant was consumed, an ack goes alone. Every
 * heartbeat a BEAT goes on every lane, and the shard actor itself answers.
 *
 * Failure modes:
 * - no credit: the open batch waits; owners ask uplink_admits before they add more, and hear on_credit.
 * - three beats in a row unanswered: the actor hangs, or the network swallows. Lost. Beats are counted, not timed, so a
 *   stop of our own process does not cut a healthy link.
 * - ZeroMQ says full: credit should have kept us below the mark; whatever happened, the link is reset and heals.
 * - TCP breaks and ZeroMQ reconnects behind our back: the broker knows the new connection by no HELLO and says
 *   RESET(UNKNOWN_LINK). Lost.
 * - a broker that we do not want (mode, partitions): told by RESET, asked again after the longest delay.
 * Lane 0xffff is the switchboard's: no numbers, no credit (wire.h). */
#include "gateway/uplink.h"

#include "base/backoff.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"
#include "base/wire_lane.h"
#include "base/zmq_on_uv.h"

enum {
    BACKOFF_FIRST_MS = 200,
    BACKOFF_CAP_MS = 5000,
    BACKOFF_FLOOR_MS = 20,
    GREETING_TIMEOUT_MS = 3000,
    REFUSED_DELAY_MS = 5000,
    PARKED_DELAY_MS = 3600 * 1000,
    SHARDS_MAX = 1024,
    NOT_REACHED_LOG_EACH = 10,
};

enum uplink_state { UPLINK_WAITING, UPLINK_GREETING, UPLINK_LIVE, UPLINK_DYING };

struct lane {
    wire_lane_t *lane;
    struct buffer batch; /* the open one; begun when n_frames > 0 */
    uint32_t n_frames;
    uint32_t beats_unanswered;
    uint64_t beat_sent_us; /* of the last beat */
    bool was_refused;      /* someone waits for on_credit */
};

/* A socket that zmq_on_uv still holds. */
struct closing_socket {
    uplink_t *uplink;
    void *socket;
};

struct uplink {
    struct uplink_settings settings;
    char *endpoint;
    void *owner_data;
    enum uplink_state state;
    void *socket;
    zmq_on_uv_t *on_uv;
    uint64_t link_epoch;
    bool hello_sent;
    bool was_live;          /* dying: on_lost is due */
    uint64_t n_not_reached; /* dials in a row */
    uint32_t death_delay;   /* dying: ms to the next attempt, 0 = by backoff */
    struct timer_entry timer;
    struct backoff backoff;
    uint16_t version;
    uint16_t n_lanes;
    struct lane *lanes;
    uint32_t heartbeat_ms;
    uint32_t beats_lost_at;
    size_t batch_close;
    struct buffer scrap; /* frames for a link that is not live, and single frames of lane 0xffff */
    unsigned n_closing;  /* sockets not yet let go */
    bool closing;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* clang-format off */
#define UPLINK_METRICS(X)                                                                                              \
    X(LINKS, "callboard_gateway_links_total", "Links to brokers that became live.", METRIC_COUNTER, NULL)              \
    X(LIVE, "callboard_gateway_links_live", "Links to brokers that are live, over all workers.", METRIC_GAUGE, NULL)   \
    X(LOST_BEAT, "callboard_gateway_links_lost_total", "Links to brokers that were lost.", METRIC_COUNTER, "reason=\"heartbeat\"") \
    X(LOST_RESET, "callboard_gateway_links_lost_total", "Links to brokers that were lost.", METRIC_COUNTER, "reason=\"reset\"") \
    X(LOST_HOLE, "callboard_gateway_links_lost_total", "Links to brokers that were lost.", METRIC_COUNTER, "reason=\"hole\"") \
    X(LOST_BAD_FRAME, "callboard_gateway_links_lost_total", "Links to brokers that were lost.", METRIC_COUNTER, "reason=\"bad_frame\"") \
    X(LOST_FULL, "callboard_gateway_links_lost_total", "Links to brokers that were lost.", METRIC_COUNTER, "reason=\"full\"") \
    X(LOST_OTHER, "callboard_gateway_links_lost_total", "Links to brokers that were lost.", METRIC_COUNTER, "reason=\"other\"") \
    X(GREETINGS_FAILED, "callboard_gateway_link_greetings_failed_total", "Dials that did not lead to a link.", METRIC_COUNTER, NULL) \
    X(BATCHES_OUT, "callboard_gateway_link_batches_total", "Batches on links to brokers.", METRIC_COUNTER, "direction=\"out\"") \
    X(BATCHES_IN, "callboard_gateway_link_batches_total", "Batches on links to brokers.", METRIC_COUNTER, "direction=\"in\"") \
    X(BYTES_OUT, "callboard_gateway_link_bytes_total", "Bytes on links to brokers.", METRIC_COUNTER, "direction=\"out\"") \
    X(BYTES_IN, "callboard_gateway_link_bytes_total", "Bytes on links to brokers.", METRIC_COUNTER, "direction=\"in\"") \
    X(CREDIT_WAITS, "callboard_gateway_link_credit_waits_total", "Times that a lane had no credit for what was to be sent.", METRIC_COUNTER, NULL) \
    X(SKIPPED, "callboard_gateway_link_frames_skipped_total", "Frames of unknown kinds that were skipped.", METRIC_COUNTER, NULL) \
    X(BEAT_SECONDS, "callboard_gateway_link_beat_seconds", "Time from a heartbeat to the shard actor's answer.", METRIC_HISTOGRAM, NULL)

enum uplink_metric {
#define UPLINK_METRIC_MEMBER(name, text, help, type, labels) METRIC_##name,
    UPLINK_METRICS(UPLINK_METRIC_MEMBER)
#undef UPLINK_METRIC_MEMBER
};
const struct metric_description uplink_metric_table[] = {
#define UPLINK_METRIC_ROW(id, text, describes, kind, constant) {.name = text, .help = describes, .type = kind, .labels = constant},
    UPLINK_METRICS(UPLINK_METRIC_ROW)
#undef UPLINK_METRIC_ROW
};
/* clang-format on */
const size_t uplink_metric_count = sizeof uplink_metric_table / sizeof uplink_metric_table[0];

static void count(uplink_t *self, enum uplink_metric metric) {
    metric_count(self->settings.metrics, metric);
}

/* ---- the end of a link ---- */

static void set_timer(uplink_t *self, uint64_t delay_ms) {
    timer_wheel_set(self->settings.wheel, &self->timer, clock_monotonic_ms() + delay_ms);
}

/* The first time, then now and then: a broker may be away for long. */
static void tell_not_reached(uplink_t *self, const char *reason) {
    if (self->n_not_reached++ % NOT_REACHED_LOG_EACH == 0) {
        log_warning("broker_not_reached", log_text("endpoint", self->endpoint), log_text("reason", reason),
                    log_u64("attempts", self->n_not_reached));
    }
}

/* The rest is done by uplink_settle. delay_ms 0: by backoff. */
static void die(uplink_t *self, const char *reason, enum uplink_metric metric, uint32_t delay_ms) {
    if (self->state != UPLINK_GREETING && self->state != UPLINK_LIVE) {
        return;
    }
    self->was_live = self->state == UPLINK_LIVE;
    self->state = UPLINK_DYING;
    self->death_delay = delay_ms;
    count(self, self->was_live ? metric : METRIC_GREETINGS_FAILED);
    if (self->was_live) {
        metric_change(self->settings.metrics, METRIC_LIVE, -1);
        log_warning("broker_link_lost", log_text("endpoint", self->endpoint), log_text("reason", reason));
    } else {
        tell_not_reached(self, reason);
    }
    self->settings.callbacks->on_wake(self->settings.context);
}

static void uplink_free(uplink_t *self) {
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->closed_context;
    buffer_finish(&self->scrap);
    memory_free(self->endpoint);
    memory_free(self);
    on_closed(context);
}

static void on_socket_released(void *context) {
    struct closing_socket *closing = context;
    uplink_t *self = closing->uplink;
    zmq_close(closing->socket);
    memory_free(closing);
    self->n_closing--;
    if (self->closing && self->n_closing == 0) {
        uplink_free(self);
    }
}

static void close_socket(uplink_t *self) {
    if (self->socket == NULL) {
        return;
    }
    struct closing_socket *closing = memory_alloc(sizeof *closing);
    *closing = (struct closing_socket){.uplink = self, .socket = self->socket};
    self->socket = NULL;
    self->n_closing++;
    if (self->on_uv == NULL) {
        on_socket_released(closing);
        return;
    }
    zmq_on_uv_close(&self->on_uv, on_socket_released, closing);
}

static void drop_lanes(uplink_t *self) {
    for (uint16_t i = 0; i < self->n_lanes; i++) {
        wire_lane_destroy(&self->lanes[i].lane);
        buffer_finish(&self->lanes[i].batch);
    }
    memory_free(self->lanes);
    self->lanes = NULL;
    self->n_lanes = 0;
}

void uplink_settle(uplink_t *self) {
    if (self->state != UPLINK_DYING) {
        return;
    }
    close_socket(self);
    drop_lanes(self);
    self->state = UPLINK_WAITING;
    set_timer(self, self->death_delay != 0 ? self->death_delay : backoff_next_ms(&self->backoff));
    if (self->was_live) {
        self->was_live = false;
        self->settings.callbacks->on_lost(self->settings.context, self);
    }
}

/* ---- sending ---- */

enum sending { SENDING_DONE, SENDING_FULL, SENDING_FAILED };

static enum sending send_bytes(uplink_t *self, struct span bytes) {
    zmq_msg_t message;
    zmq_msg_init_size(&message, bytes.size);
    memcpy(zmq_msg_data(&message), bytes.data, bytes.size);
    enum zmq_send_result result = zmq_on_uv_send(self->on_uv, &message, 1);
    zmq_msg_close(&message);
    switch (result) {
    case ZMQ_SENT:
        count(self, METRIC_BATCHES_OUT);
        metric_add(self->settings.metrics, METRIC_BYTES_OUT, bytes.size);
        return SENDING_DONE;
    case ZMQ_FULL:
        return SENDING_FULL;
    case ZMQ_UNROUTABLE:
    case ZMQ_SEND_FAILED:
        return SENDING_FAILED;
    }
    unreachable("send result %d", (int) result);
}

static void send_or_die(uplink_t *self, struct span bytes) {
    switch (send_bytes(self, bytes)) {
    case SENDING_DONE:
        return;
    case SENDING_FULL:
        die(self, "full", METRIC_LOST_FULL, 0);
        return;
    case SENDING_FAILED:
        die(self, "send failed", METRIC_LOST_OTHER, 0);
        return;
    }
}

/* The header of lane 0xffff, around the one frame in `scrap`. HELLO must be understood by any version. */
static void seal_for_switchboard(uplink_t *self) {
    wire_batch_seal(&self->scrap, &(struct wire_batch_header){.version = WIRE_VERSION_MIN,
                                                              .shard = WIRE_SHARD_SWITCHBOARD,
                                                              .link_epoch = self->link_epoch});
}

/* Best effort: the link dies either way. */
static void tell_reset(uplink_t *self, enum wire_reset_reason reason, const char *message) {
    wire_batch_begin(&self->scrap);
    wire_encode_reset(&self->scrap,
                      &(struct wire_reset){.reason = (uint16_t) reason, .message = span_of_text(message)});
    seal_for_switchboard(self);
    send_bytes(self, buffer_span(&self->scrap));
}

static void flush_lane(uplink_t *self, uint16_t shard) {
    struct lane *lane = &self->lanes[shard];
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
        count(self, METRIC_CREDIT_WAITS);
    }
    if (wire_lane_ack_is_due(lane->lane)) {
        wire_batch_begin(&self->scrap);
        wire_lane_seal_ack(lane->lane, &self->scrap);
        send_or_die(self, buffer_span(&self->scrap));
    }
}

static void on_flush(void *context) {
    uplink_t *self = context;
    for (uint16_t i = 0; i < self->n_lanes && self->state == UPLINK_LIVE; i++) {
        flush_lane(self, i);
    }
}

bool uplink_admits(uplink_t *self, uint16_t shard, size_t frame_size) {
    if (self->state != UPLINK_LIVE) {
        return false;
    }
    check(shard < self->n_lanes, "shard %u of %u", shard, self->n_lanes);
    struct lane *lane = &self->lanes[shard];
    bool fits = lane->n_frames == 0
                    ? wire_lane_has_credit(lane->lane, 1, WIRE_BATCH_HEADER_SIZE + frame_size)
                    : wire_lane_fits_credit(lane->lane, lane->n_frames + 1, lane->batch.size + frame_size);
    if (fits) {
        return true;
    }
    if (!lane->was_refused) {
        lane->was_refused = true;
        count(self, METRIC_CREDIT_WAITS);
    }
    return false;
}

struct buffer *uplink_batch(uplink_t *self, uint16_t shard) {
    if (self->state != UPLINK_LIVE) {
        wire_batch_begin(&self->scrap);
        return &self->scrap;
    }
    check(shard < self->n_lanes, "shard %u of %u", shard, self->n_lanes);
    struct lane *lane = &self->lanes[shard];
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
        tell_reset(self, WIRE_RESET_OVERFLOW, "a batch is at its bound");
        die(self, "batch at its bound", METRIC_LOST_FULL, 0);
        return;
    }
    struct lane *lane = &self->lanes[shard];
    if (lane->n_frames++ == 0) {
        self->settings.callbacks->on_wake(self->settings.context);
    }
    if (lane->batch.size >= self->batch_close) {
        flush_lane(self, shard);
    }
}

/* ---- heartbeats ---- */

static void send_beat(uplink_t *self, uint16_t shard) {
    struct lane *lane = &self->lanes[shard];
    struct wire_beat beat = {.sent_us = clock_monotonic_us()};
    self->settings.callbacks->fill_beat(self->settings.context, self, shard, &beat);
    lane->beat_sent_us = beat.sent_us;
    lane->beats_unanswered++;
    bool encoded = wire_encode_beat(uplink_batch(self, shard), &beat);
    uplink_frame_added(self, shard, encoded);
}

static void beat(uplink_t *self) {
    for (uint16_t i = 0; i < self->n_lanes; i++) {
        if (self->lanes[i].beats_unanswered >= self->beats_lost_at) {
            die(self, "heartbeat", METRIC_LOST_BEAT, 0);
            return;
        }
    }
    for (uint16_t i = 0; i < self->n_lanes && self->state == UPLINK_LIVE; i++) {
        send_beat(self, i);
    }
    set_timer(self, self->heartbeat_ms);
}

static bool on_beat_answer(uplink_t *self, uint16_t shard, const struct wire_frame *frame) {
    struct wire_beat_answer answer;
    if (!wire_decode_beat_answer(frame->body, &answer)) {
        return false;
    }
    struct lane *lane = &self->lanes[shard];
    if (answer.sent_us == lane->beat_sent_us) {
        metric_observe_us(self->settings.metrics, METRIC_BEAT_SECONDS, clock_monotonic_us() - answer.sent_us);
    }
    lane->beats_unanswered = 0;
    return true;
}

/* ---- receiving ---- */

static void die_of_bad_frame(uplink_t *self, const char *what) {
    tell_reset(self, WIRE_RESET_BAD_FRAME, what);
    die(self, what, METRIC_LOST_BAD_FRAME, 0);
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
    beat(self);
}

static void become_live(uplink_t *self, const struct wire_welcome *welcome) {
    self->state = UPLINK_LIVE;
    self->n_not_reached = 0;
    self->version = welcome->version;
    backoff_reset(&self->backoff);
    count(self, METRIC_LINKS);
    metric_change(self->settings.metrics, METRIC_LIVE, 1);
    open_lanes(self, welcome);
    log_info("broker_linked", log_text("endpoint", self->endpoint), log_span("broker", welcome->broker_id),
             log_u64("shards", welcome->shards),
             log_bool("same_config", welcome->config_hash == self->settings.config_hash));
    self->settings.callbacks->on_live(self->settings.context, self);
    start_beating(self, welcome);
}

static bool welcome_is_sound(const struct wire_welcome *welcome) {
    return welcome->version >= WIRE_VERSION_MIN && welcome->version <= WIRE_VERSION && welcome->shards > 0 &&
           welcome->shards <= SHARDS_MAX && partition_count_is_valid(welcome->partitions) &&
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
        tell_reset(self, WIRE_RESET_MODE, "a second broker, and one is in mode memory");
        die(self, "mode", METRIC_LOST_OTHER, REFUSED_DELAY_MS);
        return;
    case UPLINK_MISFIT:
        tell_reset(self, WIRE_RESET_MODE, "another number of partitions");
        die(self, "partitions", METRIC_LOST_OTHER, REFUSED_DELAY_MS);
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
    die(self, "reset by the broker", METRIC_LOST_RESET, is_lasting ? REFUSED_DELAY_MS : 0);
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
        count(self, METRIC_SKIPPED);
    } else if (self->state != UPLINK_LIVE ||
               (frame->kind == WIRE_BEAT_ANSWER &&
                (shard == WIRE_SHARD_SWITCHBOARD || !on_beat_answer(self, shard, frame))) ||
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
    flush_lane(self, shard);
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
    struct lane *lane = &self->lanes[header->shard];
    switch (wire_lane_receive(lane->lane, header)) {
    case WIRE_LANE_OLD_LINK:
        return;
    case WIRE_LANE_HOLE:
        tell_reset(self, WIRE_RESET_HOLE, "a batch is missing");
        die(self, "hole", METRIC_LOST_HOLE, 0);
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

static void on_message(void *context, zmq_msg_t *messages, size_t n) {
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
    count(self, METRIC_BATCHES_IN);
    metric_add(self->settings.metrics, METRIC_BYTES_IN, bytes.size);
    if (header.link_epoch != self->link_epoch) {
        return;
    }
    if (header.shard == WIRE_SHARD_SWITCHBOARD) {
        on_frames(self, header.shard, &frames);
        return;
    }
    on_lane_batch(self, &header, &frames, bytes.size);
}

/* ---- dialling ---- */

static void greet(uplink_t *self) {
    wire_batch_begin(&self->scrap);
    wire_encode_hello(&self->scrap, &(struct wire_hello){.version_min = WIRE_VERSION_MIN,
                                                         .version_max = WIRE_VERSION,
                                                         .gateway_id = span_of_text(self->settings.gateway_id),
                                                         .worker = self->settings.worker,
                                                         .boot_nonce = self->settings.boot_nonce,
                                                         .config_hash = self->settings.config_hash});
    seal_for_switchboard(self);
    switch (send_bytes(self, buffer_span(&self->scrap))) {
    case SENDING_DONE:
        self->hello_sent = true;
        return;
    case SENDING_FULL: /* not connected yet: on_writable */
        return;
    case SENDING_FAILED:
        die(self, "send failed", METRIC_LOST_OTHER, 0);
        return;
    }
}

static void on_writable(void *context) {
    uplink_t *self = context;
    if (self->state == UPLINK_GREETING && !self->hello_sent) {
        greet(self);
    }
}

static bool set_option(void *socket, int option, int value) {
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

/* pitfalls.md 4.2 */
static bool set_options(void *socket) {
    int64_t message_max = (int64_t) WIRE_BATCH_MAX;
    return set_option(socket, ZMQ_LINGER, 0) && set_option(socket, ZMQ_SNDHWM, 2 * WIRE_CREDIT_FRAMES) &&
           set_option(socket, ZMQ_RCVHWM, 2 * WIRE_CREDIT_FRAMES) && set_option(socket, ZMQ_IMMEDIATE, 1) &&
           set_option(socket, ZMQ_HANDSHAKE_IVL, 3000) && set_option(socket, ZMQ_HEARTBEAT_IVL, 500) &&
           set_option(socket, ZMQ_HEARTBEAT_TIMEOUT, 1500) && set_option(socket, ZMQ_HEARTBEAT_TTL, 2000) &&
           set_option(socket, ZMQ_TCP_KEEPALIVE, 1) && set_option(socket, ZMQ_TCP_KEEPALIVE_IDLE, 10) &&
           set_option(socket, ZMQ_TCP_KEEPALIVE_INTVL, 5) && set_option(socket, ZMQ_TCP_KEEPALIVE_CNT, 3) &&
           set_option(socket, ZMQ_RECONNECT_IVL, 200) && set_option(socket, ZMQ_RECONNECT_IVL_MAX, 5000) &&
           set_option(socket, ZMQ_IPV6, 1) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) == 0;
}

static bool open_socket(uplink_t *self) {
    static const struct zmq_on_uv_callbacks callbacks = {on_message, on_flush, on_writable};
    const struct uplink_settings *settings = &self->settings;
    self->socket = zmq_socket(settings->zmq_context, ZMQ_DEALER);
    if (self->socket == NULL) {
        return false;
    }
    bool is_curved = settings->keys != NULL && !span_starts_with(span_of_text(self->endpoint), SPAN_LITERAL("inproc"));
    self->batch_close = is_curved ? WIRE_BATCH_CLOSE_CURVE : WIRE_BATCH_CLOSE;
    if (!set_options(self->socket) ||
        (is_curved && !curve_keys_apply_client(self->socket, settings->keys, settings->broker_public_key)) ||
        zmq_connect(self->socket, self->endpoint) != 0) {
        return false;
    }
    self->on_uv = zmq_on_uv_new(settings->loop, self->socket, &callbacks, self, 0);
    return self->on_uv != NULL;
}

static void dial(uplink_t *self) {
    self->state = UPLINK_GREETING;
    self->hello_sent = false;
    do {
        self->link_epoch = random_u64();
    } while (self->link_epoch == 0);
    set_timer(self, GREETING_TIMEOUT_MS);
    if (!open_socket(self)) {
        log_warning("broker_dial_failed", log_text("endpoint", self->endpoint),
                    log_text("reason", zmq_strerror(zmq_errno())));
        die(self, "dial failed", METRIC_LOST_OTHER, 0);
        return;
    }
    greet(self);
}

static void on_timer(struct timer_entry *timer) {
    uplink_t *self = list_entry(timer, uplink_t, timer);
    switch (self->state) {
    case UPLINK_WAITING:
        dial(self);
        return;
    case UPLINK_GREETING:
        die(self,
            self->hello_sent ? "no WELCOME"
                             : "no connection; is the broker there, and do the CURVE keys of both ends fit?",
            METRIC_LOST_OTHER, 0);
        return;
    case UPLINK_LIVE:
        beat(self);
        return;
    case UPLINK_DYING:
        return;
    }
}

void uplink_park(uplink_t *self) {
    if (self->state == UPLINK_LIVE) {
        tell_reset(self, WIRE_RESET_REPLACED, "another link goes to this broker");
        die(self, "replaced", METRIC_LOST_OTHER, PARKED_DELAY_MS);
    }
}

void uplink_hurry(uplink_t *self) {
    if (self->state == UPLINK_WAITING) {
        set_timer(self, 0);
    }
}

/* ---- life ---- */

uplink_t *uplink_new(const struct uplink_settings *settings) {
    check(settings->heartbeat_ms > 0, "heartbeat of 0 ms");
    uplink_t *self = memory_alloc_zero(sizeof *self);
    self->settings = *settings;
    self->endpoint = memory_strdup(settings->endpoint);
    self->settings.endpoint = self->endpoint;
    backoff_init(&self->backoff, BACKOFF_FIRST_MS, BACKOFF_CAP_MS, BACKOFF_FLOOR_MS);
    timer_entry_init(&self->timer, on_timer);
    dial(self);
    return self;
}

void uplink_close(uplink_t **self_p, void (*on_closed)(void *context), void *context) {
    uplink_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        on_closed(context);
        return;
    }
    if (self->state == UPLINK_LIVE) {
        metric_change(self->settings.metrics, METRIC_LIVE, -1);
    }
    self->state = UPLINK_WAITING;
    timer_wheel_cancel(self->settings.wheel, &self->timer);
    drop_lanes(self);
    self->closing = true;
    self->on_closed = on_closed;
    self->closed_context = context;
    self->n_closing++; /* holds it while close_socket may release at once */
    close_socket(self);
    self->n_closing--;
    if (self->n_closing == 0) {
        uplink_free(self);
    }
}

void uplink_reset(uplink_t *self, enum wire_reset_reason reason) {
    if (self->state == UPLINK_LIVE) {
        tell_reset(self, reason, "the gateway starts anew");
        die(self, "own reset", METRIC_LOST_OTHER, 0);
    }
}

bool uplink_is_live(const uplink_t *self) {
    return self->state == UPLINK_LIVE;
}

uint16_t uplink_shards(const uplink_t *self) {
    return self->n_lanes;
}

const char *uplink_endpoint(const uplink_t *self) {
    return self->endpoint;
}

void uplink_set_owner_data(uplink_t *self, void *data) {
    self->owner_data = data;
}

void *uplink_owner_data(const uplink_t *self) {
    return self->owner_data;
}
