/* One channel for one gateway worker: where channel and gateway_peer meet. Owned by the peer (gateway_peer_subscribe,
 * gateway_peer_unsubscribe), linked into the channel.
 *
 *   ASKING ──answered──▶ LIVE ──out of credit──▶ LAGGING ──SUBSCRIBE own, answered──▶ LIVE
 *
 * Only LIVE stands in the channel's fan-out. One SUBSCRIBE at a time waits for its answer (`asked`), in any state.
 * Thread: the shard's. */
#ifndef CALLBOARD_BROKER_SUBSCRIPTION_H
#define CALLBOARD_BROKER_SUBSCRIPTION_H

#include "base/list.h"
#include "base/position.h"

#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

struct channel;
struct gateway_peer;

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
    struct channel *channel;     /* NULL: not linked to one */
    const uint64_t *top;         /* the channel's cursor, for beats */
    struct list_link of_channel; /* its live or its other subscriptions */
    struct list_link of_peer;    /* all of the peer, the next to be walked first */
    struct list_link changed;    /* pushed to since the peer's last beat */
    struct list_link to_tell;    /* LAGGING not yet told */
    struct list_link waiting;    /* in the channel's list while `asked` waits */
    struct subscription_question asked;
    uint32_t asked_at_load; /* the load that may say no to it, see channel.c */
    UT_hash_handle by_handle;
};

#endif
