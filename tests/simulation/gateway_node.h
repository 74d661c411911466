/* Gateways of the simulation: the links to brokers with the real lanes (base/wire_lane.h), one subscription a channel
 * with the real state machine (gateway/channel_subscription.h), sessions that join with a position or without, and
 * publishers' requests. What sessions see goes to the checker. */
#ifndef CALLBOARD_TESTS_SIMULATION_GATEWAY_NODE_H
#define CALLBOARD_TESTS_SIMULATION_GATEWAY_NODE_H

#include "base/bytes.h"
#include "base/position.h"

enum { GATEWAYS_MAX = 3 };

void gateways_begin(int n);
void gateways_end(void);
int gateways_count(void);

/* ---- links, for brokers ---- */
void gateways_broker_started(int broker);
void gateways_broker_drains(int broker);
void gateways_broker_ended(int broker);
void gateways_batch_down(int broker, uint32_t peer, uint64_t link_epoch, struct span batch);
void gateways_reset(int broker, uint32_t peer);
/* Nothing passes between the two for so long. */
void gateway_partition(int gateway, int broker, uint64_t until_us);

/* ---- publishing ---- */
enum publish_outcome { PUBLISH_OK, PUBLISH_NO, PUBLISH_UNKNOWN };
struct publish_result {
    enum publish_outcome outcome;
    bool is_temporary;
    bool is_duplicate;
    bool is_not_durable;
    unsigned code;
    struct position position;
};
typedef void (*on_published)(void *context, const struct publish_result *result);
/* Through this gateway to the broker, or to the one that ranks first (-1). on_published is called once, later. */
void gateway_publish(int gateway, int broker, const char *channel, const char *key, struct span data,
                     on_published on_done, void *context);

/* ---- sessions ---- */
/* A session for the channel joins there now, from its position where it has one (checker.h). */
void gateway_join(int gateway, int session, const char *channel);
void gateway_leave(int gateway, int session, const char *channel);

#endif
