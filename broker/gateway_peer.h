/* One gateway worker as one shard sees it: the shard's end of the lane, the batch that is open for it, its credit, its
 * subscriptions.
 *
 * Everything goes into the one open batch, so replies and pushes stay in order (invariant 4). A push is only taken
 * while the peer has credit for it and for a reserve of control frames; else its subscription is lagging: told so when
 * there is credit again, and recovered by position. Replies are always taken; they wait in the open batch until there
 * is credit, and over WIRE_BATCH_MAX the link is broken (it is reset, nothing is lost silently). Thread: the shard's.
 */
#ifndef CALLBOARD_BROKER_GATEWAY_PEER_H
#define CALLBOARD_BROKER_GATEWAY_PEER_H

#include "base/list.h"
#include "base/user_count.h"
#include "base/wire.h"
#include "base/wire_lane.h"
#include "broker/subscription.h"

typedef struct gateway_peer gateway_peer_t;

struct gateway_peer_options {
    uint32_t number; /* the switchboard's, never used twice */
    uint64_t link_epoch;
    uint16_t version;
    uint16_t shard;
    struct span gateway_id; /* copied */
    uint32_t worker;
    uint64_t boot_nonce;
    size_t batch_close; /* an open batch that reached it is sent */
    /* Takes the bytes of a sealed batch: leaves *batch empty. */
    void (*send)(void *context, const gateway_peer_t *peer, struct buffer *batch);
    void *context;
    struct list_link *dirty; /* peers that want gateway_peer_flush at the end of the turn link themselves here */
};

gateway_peer_t *gateway_peer_new(const struct gateway_peer_options *options);
/* Every subscription must be gone from its channel; what is open is dropped. */
void gateway_peer_destroy(gateway_peer_t **self_p);

uint32_t gateway_peer_number(const gateway_peer_t *self);
uint64_t gateway_peer_link_epoch(const gateway_peer_t *self);
struct span gateway_peer_gateway_id(const gateway_peer_t *self);
uint32_t gateway_peer_worker(const gateway_peer_t *self);
uint64_t gateway_peer_boot_nonce(const gateway_peer_t *self);
gateway_peer_t *gateway_peer_from_dirty(struct list_link *link);

/* ---- in ---- */
enum wire_lane_outcome gateway_peer_receive(gateway_peer_t *self, const struct wire_batch_header *header);
void gateway_peer_consumed(gateway_peer_t *self, uint32_t n_frames, size_t bytes);

/* ---- out ---- */
/* A control frame: gateway_peer_added(peer, wire_encode_published(gateway_peer_batch(peer), &frame)). */
struct buffer *gateway_peer_batch(gateway_peer_t *self);
void gateway_peer_added(gateway_peer_t *self, bool encoded);
/* Is there credit for a reply with so many bytes of publications? */
bool gateway_peer_has_room(const gateway_peer_t *self, size_t bytes);
/* Is there credit for a frame of this size that nobody on that side asked for, small or not? */
bool gateway_peer_admits(const gateway_peer_t *self, size_t bytes);
/* The hot path: one copy into the open batch. False: no credit, nothing was taken; the caller lags the subscription. */
bool gateway_peer_push(gateway_peer_t *self, struct subscription *subscription, struct span publication);
/* JOIN or LEAVE; false as above (it is lost: presence can be read). */
bool gateway_peer_tell_member(gateway_peer_t *self, const struct subscription *subscription, bool joined,
                              struct span info);
/* The subscription is LAGGING now; the frame follows with credit. */
void gateway_peer_lag(gateway_peer_t *self, struct subscription *subscription);
/* Neither its lagging nor its new top needs to be told: it asks, was told otherwise, or goes. */
void gateway_peer_forget_told(struct subscription *subscription);
/* End of turn: what is open goes, with credit; else an ack that is due goes alone. */
void gateway_peer_flush(gateway_peer_t *self);
/* Replies outgrew WIRE_BATCH_MAX: reset the link. */
bool gateway_peer_is_broken(const gateway_peer_t *self);
/* Appends u32 handle, u64 offset of channels that changed since the last call, and of `n_walk` more in turn; of each
 * kind at most `n_max`, so that many changes do not stop the walk. Returns how many. */
uint32_t gateway_peer_append_tops(gateway_peer_t *self, uint32_t n_walk, uint32_t n_max, struct buffer *out);

/* ---- subscriptions ---- */
struct subscription *gateway_peer_find(gateway_peer_t *self, uint32_t handle);      /* NULL: none */
struct subscription *gateway_peer_subscribe(gateway_peer_t *self, uint32_t handle); /* the handle must be free */
/* Unlinks it from the peer and frees it; the channel must have let go of it. */
void gateway_peer_unsubscribe(struct subscription **subscription_p);
struct subscription *gateway_peer_first(gateway_peer_t *self); /* any, NULL: none */
uint32_t gateway_peer_subscriptions(const gateway_peer_t *self);

/* What the shard notes with a peer. */
struct gateway_peer_notes {
    uint64_t lease_number; /* with which its presence was set last; 0: unknown */
    bool has_set_presence; /* over this link */
    bool is_failed;        /* a reset was asked for: its batches are dropped */
    user_count_t *users;   /* how many connections of each user it has; NULL: it told of none */
};
struct gateway_peer_notes *gateway_peer_notes(gateway_peer_t *self);

#endif
