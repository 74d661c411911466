/* Topics over one link of their own: what is wanted is subscribed, again after each reconnect, and told when Redis has
 * confirmed it. The link proves itself: every 5 s a probe published elsewhere must be heard here (PING proves nothing);
 * after two misses it is cut. Topics are named by small numbers of the caller. In a Redis Cluster a topic may leave the
 * server with its slot: then it is lost alone, and the others stay. Thread: the loop's; nothing is called back inside a
 * call. */
#ifndef CALLBOARD_BROKER_REDIS_PUBSUB_H
#define CALLBOARD_BROKER_REDIS_PUBSUB_H

#include "broker/redis/link/redis_link.h"

typedef struct redis_pubsub redis_pubsub_t;

struct redis_pubsub_events {
    /* Up: greeted, and the probe's topic confirmed. Wanted topics are confirmed after that, one by one. */
    void (*on_up)(void *context);
    void (*on_down)(void *context, const char *reason); /* every topic is lost */
    void (*on_confirmed)(void *context, uint32_t topic);
    void (*on_message)(void *context, uint32_t topic, struct span message);
    /* The server ended this subscription, or refused it because the topic's slot is elsewhere: it is not subscribed
     * again before the caller asks for it, or the link comes up anew. */
    void (*on_lost)(void *context, uint32_t topic);
    /* A subscription was refused with MOVED: which of our topics lives in that slot? UINT32_MAX: none. */
    uint32_t (*find_moved)(void *context, struct span error);
    /* The name of the probe's topic, asked when the link is up: one whose slot this server serves. Copied. */
    struct span (*probe_topic)(void *context);
    /* Publish one byte to this topic; false: not possible now (that is no miss). */
    bool (*send_probe)(void *context, struct span topic);
    /* The number of a topic by its name; UINT32_MAX: none of ours. */
    uint32_t (*find_topic)(void *context, struct span name);
};

struct redis_pubsub_options {
    struct redis_link_options link; /* loop, url, limits; the rest is set here */
    bool sharded;                   /* SSUBSCRIBE */
    uint32_t n_topics;
    uint32_t probe_ms; /* 5000 */
    const struct redis_pubsub_events *events;
    void *context;
};

redis_pubsub_t *redis_pubsub_new(const struct redis_pubsub_options *options);
void redis_pubsub_close(redis_pubsub_t *self, void (*on_closed)(void *context), void *context);

/* `name` is kept as a reference until unsubscribe. */
void redis_pubsub_subscribe(redis_pubsub_t *self, uint32_t topic, struct span name);
void redis_pubsub_unsubscribe(redis_pubsub_t *self, uint32_t topic);
/* Not where the server has taken it back (on_lost) since. */
bool redis_pubsub_is_wanted(const redis_pubsub_t *self, uint32_t topic);
bool redis_pubsub_is_up(const redis_pubsub_t *self);
void redis_pubsub_flush(redis_pubsub_t *self);
/* Another way of subscribing from now on (the server changed): cut and subscribe anew. */
void redis_pubsub_set_sharded(redis_pubsub_t *self, bool sharded);

#endif
