/* Links that come and go, and channels that wait for one or for its credit.
 *
 * - a link is lost: all its channels move, those with most sessions first;
 * - a broker drains or another one ranks first: channels move while the new lane has credit, the rest stays live;
 * - no broker, or no credit: `starved` channels ask in turn when there is. */
#include "gateway/hub_internal.h"

#include "base/memory.h"

#include <stdlib.h>

enum { REFUSALS_MAX = 64 /* starved channels tried in vain in one go */ };

static int compare_members(const void *a, const void *b) {
    uint32_t n_a = (*(struct hub_channel *const *) a)->n_members;
    uint32_t n_b = (*(struct hub_channel *const *) b)->n_members;
    return (n_a < n_b) - (n_a > n_b);
}

static void on_link_lost(void *context, uplink_t *uplink) {
    hub_t *self = context;
    struct hub_channel **cut = memory_alloc_array(self->handles.count + 1, sizeof *cut);
    size_t n = 0, place = 0;
    for (struct hub_channel *channel = key_table_each(&self->handles, &place); channel != NULL;
         channel = key_table_each(&self->handles, &place)) {
        if (channel->uplink == uplink) {
            cut[n++] = channel;
        }
    }
    /* Also where another broker serves the channel by now: this one may have been told before, and done nothing. */
    list_for_each_safe (link, &self->departed) {
        hub_departures_tell_again(list_entry(link, struct hub_channel, departures.link));
    }
    qsort(cut, n, sizeof(struct hub_channel *), compare_members);
    for (size_t i = 0; i < n; i++) {
        hub_occur_plainly(cut[i], SUBSCRIPTION_CUT);
    }
    memory_free(cut);
}

static void on_link_live(void *context, uplink_t *uplink) {
    (void) uplink;
    hub_work_later(context);
}

static bool ranks_elsewhere(const struct hub_channel *channel) {
    struct broker_route route;
    return channel->handle != 0 &&
           broker_links_route(channel->hub->links, (uint32_t) (channel->hash % PARTITIONS_MAX), &route) &&
           route.uplink != channel->uplink;
}

static void on_ranks(void *context) {
    hub_t *self = context;
    size_t place = 0;
    for (struct hub_channel *channel = key_table_each(&self->handles, &place); channel != NULL;
         channel = key_table_each(&self->handles, &place)) {
        if (ranks_elsewhere(channel) && !list_is_linked(&channel->mover)) {
            list_push_back(&self->movers, &channel->mover);
        }
    }
    hub_work_later(self);
}

static void on_credit(void *context) {
    hub_work_later(context);
}

/* ---- channels that wait ---- */

/* Each that is refused goes to the end, so that one lane without credit does not hold up the others for long. */
void hub_feed_starved(hub_t *self) {
    struct list_link now;
    list_init(&now);
    list_splice_back(&now, &self->starved);
    for (unsigned n_refused = 0; n_refused < REFUSALS_MAX && !list_is_empty(&now);) {
        struct hub_channel *channel = list_entry(now.next, struct hub_channel, starved);
        list_remove(&channel->starved);
        n_refused += !hub_try_ask(channel);
    }
    list_splice_back(&now, &self->starved); /* those not tried stand first */
    list_splice_back(&self->starved, &now);
}

void hub_move_movers(hub_t *self) {
    while (!list_is_empty(&self->movers)) {
        struct hub_channel *channel = list_entry(self->movers.next, struct hub_channel, mover);
        struct broker_route route;
        if (ranks_elsewhere(channel) &&
            broker_links_route(self->links, (uint32_t) (channel->hash % PARTITIONS_MAX), &route)) {
            if (!uplink_admits(route.uplink, route.shard, HUB_SUBSCRIBE_OVERHEAD + channel->name_size)) {
                return;
            }
            list_remove(&channel->mover);
            hub_occur_plainly(channel, SUBSCRIPTION_MOVED);
            continue;
        }
        list_remove(&channel->mover);
    }
}

/* ---- listening ---- */

void hub_listen(hub_t *self) {
    broker_links_listen(self->links, BROKER_LISTENER_HUB,
                        &(struct broker_listener){.context = self,
                                                  .on_frame = hub_on_frame,
                                                  .on_live = on_link_live,
                                                  .on_lost = on_link_lost,
                                                  .on_ranks = on_ranks,
                                                  .on_credit = on_credit});
}
