/* What the files of a simulated gateway share; nobody else includes this.
 *
 *   gateway_feeds.c   subscriptions and their sessions      gateway_frames.c  what brokers say, and publications
 *   gateway_lanes.c   links to brokers, batches on the way  gateway_members.c presence
 *   gateway_node.c    life, death */
#ifndef CALLBOARD_TESTS_SIMULATION_GATEWAY_PARTS_H
#define CALLBOARD_TESTS_SIMULATION_GATEWAY_PARTS_H

#include "base/wire_lane.h"
#include "gateway/channel_subscription.h"
#include "tests/simulation/broker_node.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/gateway_node.h"

enum { DEPARTURES_MAX = 64 };
enum { GRACE_US = 10 * SECOND, BEAT_US = 500 * MS, PENDING_MAX = 512, PUBLISH_MS = 2000 };

struct lane {
    int gateway;
    int broker;
    bool is_up;
    bool is_draining;
    uint64_t link_epoch;
    uint32_t number;
    wire_lane_t *wire;
    struct buffer batch;
    uint32_t n_frames;
    bool is_begun;
    bool is_flush_planned;
    uint64_t up_last_us;
    uint64_t down_last_us;
    uint64_t closed_us; /* nothing passes before */
    uint64_t slow_us;   /* what comes down is not taken before */
    uint64_t n_up;      /* sent on this link, and arrived */
    uint64_t n_up_there;
    uint64_t n_down;
    uint64_t n_down_there;
};

struct member {
    bool is_here; /* joined or waiting */
    bool waits;
    bool shows;      /* is to be present while it has joined */
    bool is_shown;   /* it is; its broker was told, or will be with the next handle */
    uint32_t client; /* as whom it is or was shown */
};

/* Who has left lately: owed while there is no handle to say so over, told again to a broker that may have forgotten. */
struct departure {
    int session;
    uint32_t client;
    bool is_owed;
    uint64_t at_us;
};

/* Who is in a channel, asked of one broker; one question at a time. */
struct question {
    uint32_t request; /* 0: none is out */
    bool is_answered;
    bool has_ghost;    /* a session is there as two clients */
    uint64_t sessions; /* a bit each */
};

struct feed {
    int gateway;
    int channel;
    uint64_t rank; /* decides which broker is first */
    struct subscription machine;
    struct lane *lane; /* of the handle */
    uint32_t handle;   /* 0: none */
    uint32_t request;
    bool asked_since;
    struct position asked;
    bool is_starved;
    unsigned tries;
    uint64_t retry_number;
    uint64_t grace_number;
    bool grace_is_set;
    struct member members[SESSIONS_MAX];
    struct departure departures[DEPARTURES_MAX];
    unsigned n_departures;
};

struct pending {
    uint32_t request; /* 0: free */
    struct lane *lane;
    on_published on_done;
    void *context;
};

struct gateway {
    char id[24];
    uint64_t boot_nonce;
    struct lane lanes[BROKERS_MAX];
    struct feed feeds[CHANNELS_MAX];
    struct pending pending[PENDING_MAX];
    bool is_dead;
    uint32_t credit_frames; /* that it grants over links made from now on */
    unsigned n_lagged;      /* times that it was told LAGGING */
    uint64_t rank;          /* decides which broker keeps its lease */
    struct member_news news[SESSIONS_MAX];
    struct question question;
    uint32_t last_handle;
    uint32_t last_request;
};

struct gateway_world {
    struct gateway gateways[GATEWAYS_MAX];
    int n;
    uint32_t last_number;
    uint32_t last_client;
};
extern struct gateway_world gateway_world;

static inline struct gateway *gateway_of(const struct lane *lane) {
    return &gateway_world.gateways[lane->gateway];
}

/* ---- gateway_lanes.c ---- */
struct carried {
    int broker;
    uint32_t number;
    uint64_t link_epoch;
    struct lane *lane;
    struct span bytes;
    uint64_t order; /* in its direction */
};
struct carried *lane_carry(struct lane *lane, struct span bytes, uint64_t order);
void lane_plan_flush(struct lane *lane);
/* Into this a frame is encoded; lane_frame_added follows. */
struct buffer *lane_batch(struct lane *lane);
void lane_frame_added(struct lane *lane, bool encoded);
void lane_cut(struct lane *lane);
/* All of a gateway that dies, and that starts. */
void lanes_end(struct gateway *gateway);
void lanes_begin(struct gateway *gateway);

/* ---- gateway_feeds.c ---- */
void feed_occur(struct feed *feed, const struct subscription_event *event, struct span publications, uint32_t n);
void feed_occur_plainly(struct feed *feed, enum subscription_event_kind kind);
struct lane *feed_first_lane(const struct feed *feed);
/* The broker that is there and ranks first. */
struct lane *gateway_first_lane(struct gateway *gateway, uint64_t rank);
void feed_ask(struct feed *feed);

/* ---- gateway_frames.c ---- */
void pending_finish(struct pending *pending, const struct publish_result *result);

/* ---- gateway_members.c ---- */
/* Says that it is there, where it shows and has joined. */
void member_show(struct feed *feed, int session);
void member_hide(struct feed *feed, int session);
/* Somebody's leaving could not be told yet: the subscription stays until it can. */
bool members_owe_clears(const struct feed *feed);
/* The subscription is live again; is_anew: over a new handle, so everyone is told again. */
void members_renew(struct feed *feed, bool is_anew);
/* The broker that was told of departures is lost. */
void members_on_cut(struct lane *lane);
void members_on_resync(struct lane *lane, struct span body);
void members_on_told(struct feed *feed, bool has_joined, struct span info);
void members_on_result(struct lane *lane, struct span body);

#endif
