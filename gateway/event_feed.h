/* What services are told of clients (docs/backend-api.md, "Events"): connected, disconnected, subscribed, unsubscribed.
 * Each worker publishes its own into events.channel, whose namespace has a history, so that who listens has a position
 * and misses nothing while it is away.
 *
 *   session ─tell─▶ waiting, in order ─▶ one publication of many ─▶ brokers ─acked─▶ forgotten
 *                      │ events.queue bytes: dropped,        └─ not acked: again, under the same key, later each time
 *                      └ counted, and told by a "lost" event
 *
 * At least once: a publication whose answer was lost is sent again with its idempotency key, so that it stands there
 * twice only after broker.idempotency_window. Order: that of one worker's. Failure modes: brokers or Redis are away:
 * what comes meanwhile waits, up to the bound; the process dies: what waited is gone, and nobody tells of its clients'
 * end. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_EVENT_FEED_H
#define CALLBOARD_GATEWAY_EVENT_FEED_H

#include "base/metrics.h"
#include "base/timer_wheel.h"
#include "gateway/broker_requests.h"
#include "gateway/gateway_config.h"

typedef struct event_feed event_feed_t;

struct event_feed_options {
    const struct gateway_config *config;
    broker_requests_t *brokers;
    timer_wheel_t *wheel;
    metrics_t *metrics;  /* NULL: nothing is counted */
    uint64_t boot_nonce; /* with id and worker: no key is used twice */
    uint32_t worker;
};
event_feed_t *event_feed_new(const struct event_feed_options *options);
void event_feed_destroy(event_feed_t **self_p); /* accepts NULL */
void event_feed_configure(event_feed_t *self, const struct gateway_config *config);

struct event {
    const char *type;
    struct wire_client_info client; /* info: conn_info, and chan_info where there is a channel */
    struct span channel;            /* empty: none */
    uint32_t code;                  /* of a disconnect or an unsubscribe; 0: none */
};
/* Is there a channel to tell it in? NULL: no. */
bool event_feed_is_on(const event_feed_t *self);
void event_feed_tell(event_feed_t *self, const struct event *event);
/* Everything was told: a worker that ends waits for that. NULL: so it is. */
bool event_feed_is_done(const event_feed_t *self);

#endif
