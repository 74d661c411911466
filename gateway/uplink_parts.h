/* What a link's files share: uplink.c (dialling, its end, life), uplink_lanes.c (batches out, credit, heartbeats),
 * uplink_receive.c. Nobody else includes this. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_UPLINK_PARTS_H
#define CALLBOARD_GATEWAY_UPLINK_PARTS_H

#include "base/backoff.h"
#include "base/wire_lane.h"
#include "base/zmq_on_uv.h"
#include "gateway/uplink.h"

enum uplink_state { UPLINK_WAITING, UPLINK_GREETING, UPLINK_LIVE, UPLINK_DYING };

struct uplink_lane {
    wire_lane_t *lane;
    struct buffer batch; /* the open one; begun when n_frames > 0 */
    uint32_t n_frames;
    uint32_t beats_unanswered;
    uint64_t beat_sent_us; /* of the last beat */
    bool was_refused;      /* someone waits for on_credit */
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
    unsigned broker_key;    /* which of settings.broker_public_keys the next dial takes */
    uint64_t n_not_reached; /* dials in a row */
    uint32_t death_delay;   /* dying: ms to the next attempt, 0 = by backoff */
    struct timer_entry timer;
    struct backoff backoff;
    uint16_t version;
    uint16_t n_lanes;
    struct uplink_lane *lanes;
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
#define UPLINK_METRIC_MEMBER(name, text, help, type, labels) UPLINK_METRIC_##name,
    UPLINK_METRICS(UPLINK_METRIC_MEMBER)
#undef UPLINK_METRIC_MEMBER
};
/* clang-format on */

static inline void uplink_count(uplink_t *self, enum uplink_metric metric) {
    metric_count(self->settings.metrics, metric);
}

/* ---- uplink.c ---- */
void uplink_set_timer(uplink_t *self, uint64_t delay_ms);
/* The rest is done by uplink_settle. delay_ms 0: by backoff. */
void uplink_die(uplink_t *self, const char *reason, enum uplink_metric metric, uint32_t delay_ms);

/* ---- uplink_lanes.c ---- */
enum uplink_sending { UPLINK_SENT, UPLINK_SEND_FULL, UPLINK_SEND_FAILED };
enum uplink_sending uplink_send(uplink_t *self, struct span bytes);
/* The header of lane 0xffff, around the one frame in `scrap`. */
void uplink_seal_for_switchboard(uplink_t *self);
/* Best effort: the link dies either way. */
void uplink_tell_reset(uplink_t *self, enum wire_reset_reason reason, const char *message);
void uplink_flush_lane(uplink_t *self, uint16_t shard);
void uplink_on_flush(void *context);
/* A beat on every lane, or the end when too many are unanswered. */
void uplink_beat_all(uplink_t *self);
/* False: malformed. */
bool uplink_on_beat_answer(uplink_t *self, uint16_t shard, const struct wire_frame *frame);

/* ---- uplink_receive.c ---- */
void uplink_on_message(void *context, zmq_msg_t *messages, size_t n);

#endif
