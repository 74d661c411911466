/* Gateways of the simulation: the links to brokers with the real lanes (base/wire_lane.h), one subscription a channel
 * with the real state machine (gateway/channel_subscription.h), sessions that join with a position or without and may
 * be present, and publishers' requests. What sessions see goes to the checker. */
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
/* Where the gateway would ask for the channel now; -1: no broker is there. */
int gateway_first_broker(int gateway, const char *channel);
/* Which one keeps its lease now; -1: none. */
int gateway_lease_broker(int gateway);
/* Nothing passes between the two for so long. */
void gateway_partition(int gateway, int broker, uint64_t until_us);
/* Its process dies: sessions are gone, answers to its publishers too. Started again it has the same id. */
void gateway_kill(int gateway);
void gateway_start(int gateway);
bool gateway_is_dead(int gateway);
/* It grants its brokers so many frames in flight, over links made from now on. A broker keeps 256 of them for what is
 * no push: with a few more a slow gateway is soon out of credit. */
void gateway_set_credit(int gateway, unsigned frames);
/* It takes nothing that brokers send until then, and grants no new credit. */
void gateway_slow(int gateway, uint64_t until_us);
/* Every link keeps the lease, as with brokers of mode memory; else that of the broker which ranks first. */
extern bool gateway_renews_everywhere;
/* How often it was told LAGGING. */
unsigned gateway_lagged(int gateway);

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

/* ---- presence ---- */
/* From now on the session is present in the channel while it has joined, wherever. */
void gateway_show(int gateway, int session, const char *channel);
/* Those who are present in the channel, a bit a session. */
uint64_t gateways_shown(const char *channel);
/* How often brokers told this gateway of a session, in any channel. */
struct member_news {
    unsigned joins;
    unsigned leaves;
};
struct member_news gateway_news(int gateway, int session);
/* Asks a broker who is in the channel; false: there is no link. */
bool gateway_ask_members(int gateway, int broker, const char *channel);
/* The answer to the last question, a bit a session; false: there is none, or a session is there twice. */
bool gateway_members(int gateway, uint64_t *ret_sessions);

#endif
