/* A worker's links to all brokers: the directory, an uplink for each address, and the way of a channel to the lane that
 * serves it. broker_requests listens (what asks and is answered), the hub (subscriptions), and who tells how many
 * connections users have. What concerns none of them
 * (commands, totals, drain, the mode) is handled here. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_BROKER_LINKS_H
#define CALLBOARD_GATEWAY_BROKER_LINKS_H

#include "gateway/broker_directory.h"
#include "gateway/broker_requests.h"
#include "gateway/uplink.h"

typedef struct broker_links broker_links_t;

struct broker_listener {
    void *context; /* NULL: nobody listens */
    /* False: malformed. */
    bool (*on_frame)(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame);
    void (*on_sent)(void *context, uplink_t *uplink, uint16_t shard);
    void (*on_live)(void *context, uplink_t *uplink);
    /* Its handles and requests are over; broker_links_route may still lead to it until on_ranks. */
    void (*on_lost)(void *context, uplink_t *uplink);
    /* broker_links_route leads elsewhere for some channels: a broker came, drains or went. */
    void (*on_ranks)(void *context);
    /* A lane that had refused takes frames again. */
    void (*on_credit)(void *context);
};
enum broker_listener_place {
    BROKER_LISTENER_REQUESTS,
    BROKER_LISTENER_HUB,
    BROKER_LISTENER_USERS, /* hears of ranks and credit only */
    BROKER_LISTENERS
};

broker_links_t *broker_links_new(const struct broker_requests_settings *settings, char *ret_error, size_t error_size);
void broker_links_close(broker_links_t **self_p, void (*on_closed)(void *context), void *context);
/* NULL: nobody any more. Copied. */
void broker_links_listen(broker_links_t *self, enum broker_listener_place place,
                         const struct broker_listener *listener);

struct broker_route {
    uplink_t *uplink;
    uint16_t shard;
};
/* The lane for a channel; channel_hash: broker_links_hash of its name. False: no broker is alive. */
bool broker_links_route(const broker_links_t *self, uint32_t channel_hash, struct broker_route *ret_route);
/* Calls `each` for every lane of every live link. */
void broker_links_each_lane(const broker_links_t *self, void (*each)(void *context, const struct broker_route *lane),
                            void *context);
/* Where any broker will do: the lane for this hash at the n-th of the live ones, in whatever order. False: there are
 * not so many. */
bool broker_links_route_nth(const broker_links_t *self, uint32_t channel_hash, uint32_t n,
                            struct broker_route *ret_route);
/* What routing needs to know of a name, whatever the number of partitions will be. */
uint32_t broker_links_hash(struct span channel);

uint32_t broker_links_partitions(const broker_links_t *self); /* 0: not known yet */

/* Runs `run` once in this turn or the next, outside of everybody's calls. Harmless when it waits already. */
struct broker_deferred {
    struct list_link link; /* list_init it */
    void (*run)(struct broker_deferred *deferred);
};
void broker_links_defer(broker_links_t *self, struct broker_deferred *deferred);

/* Drops every live link: a handle number wrapped around. */
void broker_links_reset_all(broker_links_t *self);
void broker_links_set_draining(broker_links_t *self, bool draining);
void broker_links_set_config_hash(broker_links_t *self, uint64_t hash); /* for the next HELLO */
void broker_links_summary(const broker_links_t *self, struct broker_summary *ret_summary);
uint64_t broker_links_move_grace_ms(const broker_links_t *self);
size_t broker_links_departures_bytes(const broker_links_t *self); /* brokers.departures_memory */

#endif
