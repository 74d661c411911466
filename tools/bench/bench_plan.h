/* What a run of bench is to do, and the arithmetic of who does what, which every process can do by itself:
 *
 *   subscription i = user × subscriptions_per_user + j,  of channel i mod channels
 *   publisher    k = channel × publishers + p,           is who has subscription channel + p × channels
 *   user         u                                       belongs to process u mod processes
 *
 * So each channel has subscribers / channels of them (one more for the first few), the first ones publish, and
 * neighbours are in different processes. Thread: any (values). */
#ifndef CALLBOARD_TOOLS_BENCH_PLAN_H
#define CALLBOARD_TOOLS_BENCH_PLAN_H

#include "base/bytes.h"

#include <netinet/in.h>

enum bench_protocol_kind { BENCH_CENTRIFUGE, BENCH_RAW, BENCH_NCHAN, BENCH_MQTT, BENCH_NATS };
enum bench_churn { BENCH_NO_CHURN, BENCH_CHURN_CLOSE, BENCH_CHURN_RESET };

enum { BENCH_TARGETS_MAX = 16, BENCH_PATH_MAX = 256, BENCH_SIZE_MIN = 66, BENCH_SIZE_MAX = 60000 };

struct bench_target {
    struct sockaddr_in address;
    char host[128];
    char path[BENCH_PATH_MAX];
};

struct bench_plan {
    enum bench_protocol_kind protocol;
    struct bench_target targets[BENCH_TARGETS_MAX];
    unsigned n_targets;
    struct bench_target storm_target; /* where those of a storm come back */
    bool has_storm_target;
    unsigned users;
    unsigned processes;
    unsigned sources;    /* addresses 127.0.0.2 …; 0: the kernel's choice */
    unsigned connecting; /* at most so many at a time in all processes */
    unsigned channels;   /* 0: nobody subscribes */
    unsigned subscriptions_per_user;
    unsigned publishers; /* of each channel */
    double rate;         /* publications a second of each publisher; 0: as fast as in_flight allows */
    unsigned in_flight;  /* rate 0: publications ahead of the slowest subscriber of the channel */
    uint64_t pause_us;   /* rate 0: wait so long when all in flight came back */
    unsigned size;       /* of a payload */
    unsigned missed;     /* publications of each publisher that the users of a storm miss; 0: no storm */
    uint64_t duration_ms;
    uint64_t drain_ms;
    uint64_t settle_ms;
    uint64_t connect_ms; /* all users must be connected within */
    enum bench_churn churn;
    const char *channel_prefix;
    const char *token; /* the same for all, else signed with the secret, else none */
    struct span secret;
    int algorithm;
    const char *audience;
    const char *issuer;
    uint32_t run; /* marks this run's publications */
};

static inline uint64_t bench_subscriptions(const struct bench_plan *plan) {
    return plan->channels == 0 ? 0 : (uint64_t) plan->users * plan->subscriptions_per_user;
}

static inline unsigned bench_channel_of(const struct bench_plan *plan, unsigned user, unsigned j) {
    return (unsigned) (((uint64_t) user * plan->subscriptions_per_user + j) % plan->channels);
}

/* How many subscriptions a channel has in all. */
static inline uint64_t bench_subscribers_of(const struct bench_plan *plan, unsigned channel) {
    uint64_t all = bench_subscriptions(plan);
    return all / plan->channels + (channel < all % plan->channels);
}

/* The place of a user's subscription j among those of its channel; the first `publishers` of them publish. */
static inline uint64_t bench_place_of(const struct bench_plan *plan, unsigned user, unsigned j) {
    return ((uint64_t) user * plan->subscriptions_per_user + j) / plan->channels;
}

#endif
