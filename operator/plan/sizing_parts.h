/* What the files of this folder share and nobody else includes. Thread: any. */
#ifndef CALLBOARD_OPERATOR_PLAN_SIZING_PARTS_H
#define CALLBOARD_OPERATOR_PLAN_SIZING_PARTS_H

#include "operator/plan/sizing.h"
#include "operator/plan/sizing_constants.h"

/* One sizing being made. Rates and sizes as doubles: their products leave 64 bits. */
struct sizing_work {
    arena_t *arena;
    const struct spec *spec;
    struct sizing *out;
    double connections; /* 0: unknown; so with all of these */
    double connect_rate;
    double publish_rate;
    double message_bytes;
    double fanout;
    double channels;
    double kept;     /* publications that a channel keeps */
    double gateways; /* pods at the busiest time, as the spec has them */
    double brokers;
    double primaries; /* of Redis, ours or another's */
};

/* `has` below 0: the spec says nothing of it. */
void sizing_set(const struct sizing_work *work, enum sizing_figure figure, double need, double has, const char *format,
                ...) __attribute__((format(printf, 5, 6)));
double sizing_need(const struct sizing_work *work, enum sizing_figure figure); /* 0: unknown */
const char *sizing_n(const struct sizing_work *work, double value);            /* sizing_number */
double sizing_ceiling(double value);
static inline double sizing_most(double a, double b) {
    return a > b ? a : b;
}
static inline double sizing_least(double a, double b) {
    return a < b ? a : b;
}

/* Pods that the figures below are for: what is needed, or what the spec has where that is more. */
double sizing_gateways(const struct sizing_work *work);
/* Bytes of one delivery, all packets with it. */
double sizing_delivery_bytes(const struct sizing_work *work);

void sizing_add_gateways(const struct sizing_work *work); /* after the network */
void sizing_add_brokers(const struct sizing_work *work);
void sizing_add_redis(const struct sizing_work *work);
void sizing_add_egress(const struct sizing_work *work); /* first of all */
void sizing_add_network(const struct sizing_work *work);
void sizing_add_times(const struct sizing_work *work);

#endif
