/* Subscriptions of backend services: (peer, id) → channel. Events go out in offset order, each once, from `since` on;
 * what the history no longer holds comes as an event of type `gap`.
 *
 *   ASKING ──SUBSCRIBED──▶ LIVE ──the peer's pipe is full──▶ BEHIND ──SUBSCRIBE own, answered──▶ LIVE
 *      ▲                     │ LAGGING, the link was lost
 *      └─────────────────────┘
 *
 * A peer that does not read is not queued for: its subscription is BEHIND and goes on from its position when there is
 * room. A peer that is gone is noticed at the next event. Bounded by `subscriptions_max`. Thread: the backend API's
 * actor. */
#ifndef CALLBOARD_BROKER_BACKEND_SUBSCRIPTIONS_H
#define CALLBOARD_BROKER_BACKEND_SUBSCRIPTIONS_H

#include "base/error_code.h"
#include "broker/backend/backend_link.h"

#include <zmq.h>

typedef struct backend_subscriptions backend_subscriptions_t;

enum backend_event_result { BACKEND_EVENT_SENT, BACKEND_EVENT_FULL, BACKEND_EVENT_GONE };

/* Where answers and events of a subscription go. */
struct backend_subscriber {
    struct span routing; /* the peer's */
    struct span id;      /* of its subscribe request, echoed in every event */
    struct span key;     /* the name of its CURVE key; empty without CURVE */
    bool has_delimiter;
};

struct backend_subscriptions_options {
    backend_link_t *link;
    size_t subscriptions_max;
    /* The body of the answer to subscribe: {"offset","epoch"}, or an error. */
    void (*on_subscribed)(void *context, const struct backend_subscriber *subscriber, enum error_code code,
                          const struct position *position);
    /* One event; `publication` NULL: none (gap, end); of join and leave it has only the info. */
    enum backend_event_result (*on_event)(void *context, const struct backend_subscriber *subscriber, const char *type,
                                          struct span channel, const struct position *position,
                                          const struct wire_publication *publication);
    void *context;
};

backend_subscriptions_t *backend_subscriptions_new(const struct backend_subscriptions_options *options);
void backend_subscriptions_destroy(backend_subscriptions_t **self_p);

/* ERROR_NONE: on_subscribed follows. ALREADY_SUBSCRIBED: this peer has this channel. LIMIT_EXCEEDED: at the bound. */
enum error_code backend_subscribe(backend_subscriptions_t *self, const struct backend_subscriber *subscriber,
                                  struct span channel, const struct position *since);
/* False: this peer has no such subscription. */
bool backend_unsubscribe(backend_subscriptions_t *self, struct span routing, struct span channel);

/* From the link. */
void backend_subscriptions_on_up(backend_subscriptions_t *self);
void backend_subscriptions_on_down(backend_subscriptions_t *self);
void backend_subscriptions_on_frame(backend_subscriptions_t *self, const struct wire_frame *frame);
/* Every 100 ms or so: asks again for those that are behind or were refused for the moment. */
void backend_subscriptions_tick(backend_subscriptions_t *self);
/* Drops those whose subscriber may no longer have them; returns how many. */
size_t backend_subscriptions_drop_unless(backend_subscriptions_t *self,
                                         bool (*may)(void *context, const struct backend_subscriber *subscriber,
                                                     struct span channel),
                                         void *context);
/* An `end` event to everyone: the broker stops. */
void backend_subscriptions_end(backend_subscriptions_t *self);
size_t backend_subscriptions_count(const backend_subscriptions_t *self);

#endif
