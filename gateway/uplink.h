/* The link of one gateway worker to one broker: a DEALER socket, HELLO and WELCOME, then a lane to every shard actor
 * with batches, acks, credit and heartbeats. What runs over it (requests, subscriptions) is its owner's.
 *
 *   waiting ──backoff over──▶ greeting ──WELCOME, owner says yes──▶ live
 *      ▲                         │ no answer in 3 s, RESET,            │ a beat unanswered, a hole, a bad frame,
 *      │                         │ owner says no                       │ RESET, ZeroMQ full
 *      └─────────────────────────┴──────────────── dying ◀─────────────┘
 *
 * Dying lasts until uplink_settle: a link never goes inside a call of its owner's, so nobody has to expect it there.
 * What is appended to a dying link is dropped. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_UPLINK_H
#define CALLBOARD_GATEWAY_UPLINK_H

#include "base/curve_keys.h"
#include "base/metrics.h"
#include "base/timer_wheel.h"
#include "base/wire.h"

#include <uv.h>

typedef struct uplink uplink_t;

enum { UPLINK_SHARDS_MAX = 1024 }; /* a WELCOME with more is malformed */

enum uplink_judgement {
    UPLINK_WANTED,
    UPLINK_MODE_REFUSED, /* two brokers, and one of them keeps its data in memory */
    UPLINK_MISFIT,       /* it has another number of partitions */
};

struct uplink_callbacks {
    enum uplink_judgement (*on_welcome)(void *context, uplink_t *uplink, const struct wire_welcome *welcome);
    /* It was wanted and is live. */
    void (*on_live)(void *context, uplink_t *uplink);
    /* Every frame but WELCOME and RESET, in order. False: it is malformed, the link is reset. */
    bool (*on_frame)(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame);
    /* The open batch of a lane was handed to ZeroMQ. */
    void (*on_sent)(void *context, uplink_t *uplink, uint16_t shard);
    /* A lane that refused something (uplink_admits) takes it again. */
    void (*on_credit)(void *context, uplink_t *uplink);
    void (*fill_beat)(void *context, uplink_t *uplink, uint16_t shard, struct wire_beat *beat);
    /* It was live and is not any more: handles and requests of it are over. Only from uplink_settle. The uplink may be
     * closed inside. */
    void (*on_lost)(void *context, uplink_t *uplink);
    /* There is something to flush or to settle: the loop must not sleep before its next turn. */
    void (*on_wake)(void *context);
};

struct uplink_settings {
    uv_loop_t *loop;
    void *zmq_context;
    timer_wheel_t *wheel;
    metric_values_t *metrics;      /* of uplink_metric_table */
    const char *endpoint;          /* copied */
    const struct curve_keys *keys; /* NULL: no CURVE; borrowed as long as the uplink */
    /* With keys; borrowed. The second "": there is one. Of two the broker has one: they are tried in turn. */
    const char *broker_public_keys[CURVE_PUBLIC_KEYS];
    const char *gateway_id; /* borrowed as long as the uplink */
    uint32_t worker;
    uint64_t boot_nonce;
    const uint64_t *config_hash; /* read at each HELLO: a reload makes another one; borrowed as long as the uplink */
    uint32_t heartbeat_ms;
    uint32_t heartbeat_timeout_ms;
    const struct uplink_callbacks *callbacks; /* borrowed as long as the uplink */
    void *context;
};

/* Dials at once. */
uplink_t *uplink_new(const struct uplink_settings *settings);
/* Nothing is called any more but on_closed, when libuv and ZeroMQ let go. Nulls the caller's pointer. */
void uplink_close(uplink_t **self_p, void (*on_closed)(void *context), void *context);

/* Carries out a pending loss. To be called in each turn in which on_wake was, and not from inside its callbacks. */
void uplink_settle(uplink_t *self);
/* The owner's own reason to drop the link, e.g. a handle's wrap-around; `reason` is told to the broker. */
void uplink_reset(uplink_t *self, enum wire_reset_reason reason);
/* Drops a live link and does not dial again before uplink_hurry (or an hour): its broker is linked under another
 * address. */
void uplink_park(uplink_t *self);
/* A waiting link dials now. */
void uplink_hurry(uplink_t *self);

bool uplink_is_live(const uplink_t *self);
uint16_t uplink_shards(const uplink_t *self);
const char *uplink_endpoint(const uplink_t *self);
void uplink_set_owner_data(uplink_t *self, void *data);
void *uplink_owner_data(const uplink_t *self);

/* Would the lane's credit take one more frame of this size (with its header)? If not, on_credit follows one day. */
bool uplink_admits(uplink_t *self, uint16_t shard, size_t frame_size);
/* The lane's open batch: encode one frame into it, then call uplink_frame_added. Frames that are few and bounded
 * (UNSUBSCRIBE, PRESENCE_CLEAR, BEAT) go without asking uplink_admits and wait in the batch for credit. */
struct buffer *uplink_batch(uplink_t *self, uint16_t shard);
/* `encoded`: what the wire_encode function said; false resets the link (the batch is at its bound). */
void uplink_frame_added(uplink_t *self, uint16_t shard, bool encoded);

extern const struct metric_description uplink_metric_table[];
extern const size_t uplink_metric_count;

#endif
