/* One channel for one gateway worker: where channel and gateway_peer meet. Owned by the peer (gateway_peer_subscribe,
 * gateway_peer_unsubscribe), linked into the channel. There is at least one in every channel, so it is kept small: what
 * is only needed while a SUBSCRIBE waits for its answer is apart.
 *
 *   ASKING ──answered──▶ LIVE ──out of credit──▶ LAGGING ──SUBSCRIBE own, answered──▶ LIVE
 *
 * Only LIVE takes part in the channel's fan-out. One SUBSCRIBE at a time waits for its answer (`wait`), in any state.
 * Thread: the shard's. */
#ifndef CALLBOARD_BROKER_SUBSCRIPTION_H
#define CALLBOARD_BROKER_SUBSCRIPTION_H

#include "base/list.h"
#include "base/position.h"
#include "broker/slot_table.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway_peer;
struct subscription_wait;

enum subscription_state { SUBSCRIPTION_ASKING, SUBSCRIPTION_LIVE, SUBSCRIPTION_LAGGING };

/* A SUBSCRIBE as it came. */
struct subscription_question {
    uint32_t request;
    bool has_since;
    bool own;
    struct position since;
    uint32_t limit; /* 0: the broker's bound */
    unsigned tries; /* loads that could not answer it */
};

struct subscription {
    uint32_t handle;
    enum subscription_state state;
    struct gateway_peer *peer;
    const uint64_t *top;         /* the cursor of the channel, inside it: for beats, and channel_of; NULL: not linked */
    struct list_link of_channel; /* all of the channel */
    struct list_link to_tell;    /* LIVE: pushed to since the peer's last beat; LAGGING: not told so yet */
    struct subscription_wait *wait; /* the channel's: the SUBSCRIBE that waits for its answer; NULL: none */
    struct slot_link by_handle;     /* the peer's */
};

#endif
