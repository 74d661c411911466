/* A worker's subscription table: channel → members (sessions), one subscription at the brokers for each channel.
 * It encodes a publication once per encoding and hands the framed payload to every member; joining and leaving are
 * O(1). State machine of a channel's subscription (none, asking, live, lagging, moving, lost): redis.md "State
 * machines"; it is a pure function in channel_subscription.[ch], the hub carries out its actions. Thread: the worker's.
 * Callbacks to members never come inside a call of theirs. */
#ifndef CALLBOARD_GATEWAY_HUB_H
#define CALLBOARD_GATEWAY_HUB_H

#include "base/metrics.h"
#include "base/namespace_options.h"
#include "base/payload.h"
#include "base/position.h"
#include "gateway/broker_requests.h"
#include "gateway/protocol/client_protocol.h"
#include "gateway/protocol/tag_filter.h"

typedef struct hub hub_t;
struct hub_channel;

/* A session's place in a channel; embedded in the session's subscription record, which fills what comes first and
 * wants_latest; the rest is the hub's and zero at first. */
struct hub_member {
    void *owner; /* the subscription record */
    enum client_encoding encoding;
    bool wants_presence_events;  /* join and leave pushes */
    bool is_compacted;           /* pushes carry the channel's id instead of its name */
    bool is_compressed;          /* publications may come compressed */
    bool wants_delta;            /* patches where they are shorter; false after joining without history */
    tag_filter_t *filter;        /* NULL: it gets every publication; not with wants_delta */
    uint64_t excluded_client;    /* client_id_hash of whose publications it does not get: its own; 0: nobody's */
    struct hub_channel *channel; /* NULL: in none */
    uint32_t index;              /* in the channel's members, when joined */
    uint8_t state;
    bool has_since;
    bool presence_join_leave;
    bool wants_latest; /* cache mode, with since: the newest publication alone, unless since is where the channel is */
    payload_t *presence; /* NULL: it set none */
    struct list_link waiting;
    struct position since;
    uint64_t deadline_ms;
    uint64_t base_offset; /* wants_delta: of the publication it got last, 0: none */
};

struct hub_joined {
    bool has_history;         /* the channel has positions */
    uint64_t id;              /* of the channel, never used again in this worker's life */
    struct position position; /* of the stream at the moment of joining: every publication delivered later lies above */
    bool recovered;           /* since was given and publications are exactly since+1…position; or the newest one */
    uint32_t n_publications;
    struct span publications; /* wire_publication after wire_publication, borrowed for the call */
};

/* Given at construction; `member->owner` tells whom. */
struct hub_callbacks {
    /* The session is in the fan-out from now on. */
    void (*on_joined)(struct hub_member *member, const struct hub_joined *joined);
    /* It is not: the member is in no channel any more. */
    void (*on_join_failed)(struct hub_member *member, enum error_code code);
    /* A framed publication or join/leave push, the same payload for every member of its encoding: put it into the
     * outbox. One reference is the callee's from now on. */
    void (*deliver)(struct hub_member *member, payload_t *framed);
    /* Continuity of the channel is lost; its stream goes on at `position`. The member stays joined; a positioned one
     * leaves by hub_leave and tells its client (2500). */
    void (*on_lost)(struct hub_member *member, const struct position *position);
    /* Frames one encoded message for the transport (transport_methods.frame). */
    payload_t *(*frame)(enum client_encoding encoding, struct span message);
    /* The same for members that are is_compressed, compressed where that is worth it. NULL: no member is. */
    payload_t *(*frame_compressed)(void *context, enum client_encoding encoding, struct span message);
    void *frame_context;
};

hub_t *hub_new(broker_requests_t *brokers, metrics_t *metrics, timer_wheel_t *wheel,
               const struct hub_callbacks *callbacks);
void hub_destroy(hub_t **self_p); /* every member has left */

/* Joins. Exactly one of on_joined, on_join_failed follows, unless hub_leave comes first. deadline_ms: monotonic. */
void hub_join(hub_t *self, struct span channel, const struct namespace_options *options, struct hub_member *member,
              bool has_since, const struct position *since, uint64_t deadline_ms);
/* Leaves, in whatever state; harmless when in no channel. */
void hub_leave(hub_t *self, struct hub_member *member);
struct span hub_member_channel(const struct hub_member *member); /* its name */

/* Presence of the member, after it has joined; removed by hub_presence_clear or with the link. The hub remembers the
 * info for RESYNC and moves (a reference). */
void hub_presence_set(hub_t *self, struct hub_member *member, payload_t *client_info, bool join_leave);
void hub_presence_clear(hub_t *self, struct hub_member *member);

/* Appends the channels with members whose name the pattern (channel_name_matches) fits: name sized, u32 members.
 * False: there are more than n_max, or `out` is at its limit. */
bool hub_list_channels(const hub_t *self, struct span pattern, uint32_t n_max, struct buffer *out, uint32_t *ret_n);
size_t hub_channels(const hub_t *self);
size_t hub_members(const hub_t *self);

#endif
