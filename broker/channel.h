/* The channels of a shard: where each stream stands, who is told, and what to do about gaps. The decisions are
 * channel_state's; here is what carries them out: the tail, the fan-out to gateway peers, the one load that may be out,
 * the SUBSCRIBEs that wait for it, presence.
 * A channel exists while somebody is subscribed, and then idle for broker.tail_idle; an own publication makes it too.
 * Thread: the shard's. Time is monotonic ms. */
#ifndef CALLBOARD_BROKER_CHANNEL_H
#define CALLBOARD_BROKER_CHANNEL_H

#include "base/error_code.h"
#include "base/payload.h"
#include "broker/broker_config.h"
#include "broker/channel_state.h"
#include "broker/engine.h"
#include "broker/gateway_leases.h"
#include "broker/gateway_peer.h"
#include "broker/presence.h"

typedef struct channel channel_t;
typedef struct channel_set channel_set_t;

struct channel_set_options {
    engine_t *engine;
    const struct broker_config *config;
    const gateway_leases_t *leases;
    metric_values_t *metrics; /* shard_metrics.h */
    /* Members of gateways that live were swept: whoever has members there is to be asked for them again. */
    void (*on_swept_living)(void *context, uint32_t partition);
    /* It has its first subscriber, or lost its last one; where the namespace has occupancy_events. NULL: nobody asks.
     */
    void (*on_occupied)(void *context, struct span channel, bool is_occupied);
    void *context;
};

channel_set_t *channel_set_new(const struct channel_set_options *options);
/* The engine calls nobody back any more; subscriptions are let go of, they stay their peers'. */
void channel_set_destroy(channel_set_t **self_p);
/* The engine is about to close: what it cancels has no consequences any more. */
void channel_set_close(channel_set_t *self);
/* Timers: idle channels, loads to be tried again, presence to be swept. Call about every 100 ms. */
void channel_set_tick(channel_set_t *self, uint64_t now_ms);
/* Memory is short: a part of the tails goes. */
void channel_set_shed_tails(channel_set_t *self);
/* End of turn, before the engine is flushed: sends the loads whose turn it is. */
void channel_set_flush(channel_set_t *self);
/* Gateways came, went or have new leases: whose members are dead is swept. */
void channel_set_on_leases_changed(channel_set_t *self, uint64_t now_ms);
void channel_set_on_partition_doubt(channel_set_t *self, uint32_t partition, uint64_t now_ms);
/* Who is in its channels may have changed unheard: each is looked at again within seconds, few at a time. */
void channel_set_on_presence_doubt(channel_set_t *self, uint32_t partition, uint64_t now_ms);
/* Other namespaces: every channel has its options from there from now on. A channel whose namespace is gone keeps and
 * allows nothing any more; its gateways unsubscribe. */
void channel_set_reload(channel_set_t *self, const namespace_set_t *namespaces);
/* Does no read under way refer to options of before the last reload? */
bool channel_set_is_reloaded(const channel_set_t *self);
channel_t *channel_set_find(const channel_set_t *self, struct span name); /* NULL: not here */
size_t channel_set_count(const channel_set_t *self);
/* Own publication of a channel with history: the tail shall have it. Does nothing where memory is short. */
void channel_set_expect(channel_set_t *self, struct span name, const struct namespace_options *options);

/* ---- subscribing ---- */
/* Links the peer's new subscription to its channel (made when it is not there). */
void channel_link(channel_set_t *self, struct span name, const struct namespace_options *options,
                  struct subscription *subscription);
/* A SUBSCRIBE; the answer (SUBSCRIBED or ERROR) goes into the peer's batch now or later. On ERROR for a subscription
 * that was never answered, it is gone. */
void channel_ask(struct subscription *subscription, const struct subscription_question *question);
/* NULL: it is linked to none. */
channel_t *channel_of(const struct subscription *subscription);
/* The channel lets go of it; the subscription stays its peer's. */
void channel_unlink(struct subscription *subscription);

/* ---- events of the engine ---- */
void channel_on_publication(channel_t *self, const struct epoch *epoch, uint64_t offset, payload_t *publication);
/* The history up to there was removed: the tail has no business to keep it. */
void channel_on_removed(channel_t *self, const struct position *top);
void channel_on_doubt(channel_t *self);
void channel_on_presence(channel_t *self, bool joined, const struct engine_presence_entry *entry, uint64_t now_ms);
/* A gateway sets or clears a member, as the engine is told in the same turn. It tells only of new ones, and later: what
 * another says of itself is taken over here, and a new one finds itself in an answer that comes before the event. */
void channel_set_member(channel_t *self, const struct engine_presence_entry *entry, uint64_t now_ms);
void channel_clear_member(channel_t *self, struct span client);

/* ---- reading ---- */
struct span channel_name(const channel_t *self);
const struct namespace_options *channel_options(const channel_t *self);
struct position channel_cursor(const channel_t *self);
enum channel_phase channel_phase_of(const channel_t *self);
/* NULL: not loaded, ask the engine. */
const presence_t *channel_presence(const channel_t *self);
/* Appends the encoded publications behind `since` (at most `limit`, at most `bytes_max`) when the tail has all of them.
 * False: it has not. */
bool channel_read_tail(channel_t *self, const struct position *since, uint32_t limit, size_t bytes_max,
                       struct buffer *out, uint32_t *ret_n);

#endif
