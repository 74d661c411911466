/* A channel's subscription at its broker: asking, what comes of it, and time.
 *
 * Frames and timers become events of channel_subscription.c, a pure function; `execute` carries out what it says. A
 * channel stands under its name and under its handle; a handle is used once, so what is on its way to an old one finds
 * nobody. At the wrap-around of handles every link is reset.
 *
 * Failure modes: no broker, or no credit: the channel is `starved` and asks again when a link or credit comes; sessions
 * wait to their deadlines (error 100, temporary). */
#include "gateway/hub_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- asking ---- */

static void take_handle(struct hub_channel *channel, const struct broker_route *route) {
    hub_t *self = channel->hub;
    do {
        self->last_handle++;
        if (self->last_handle == 0) {
            log_warning("handles_wrapped", log_nothing);
            broker_links_reset_all(self->links);
        }
    } while (self->last_handle == 0 || key_table_find(&self->handles, self->last_handle) != NULL);
    channel->handle = self->last_handle;
    channel->uplink = route->uplink;
    channel->shard = route->shard;
    key_table_put(&self->handles, channel->handle, channel);
}

/* False: nothing is to be asked any more. */
static bool choose_since(struct hub_channel *channel) {
    const struct subscription *subscription = &channel->subscription;
    channel->asked_since = false;
    switch (subscription->ask) {
    case SUBSCRIPTION_ASK_NOTHING:
        return false;
    case SUBSCRIPTION_ASK_OWN:
        channel->asked_since = subscription->knows;
        channel->asked = subscription->at;
        return true;
    case SUBSCRIPTION_ASK_FIRST:
        channel->asked_since = hub_pick_since(channel, &channel->asked);
        return true;
    case SUBSCRIPTION_ASK_LATE:
        channel->asked_since = hub_pick_since(channel, &channel->asked);
        return channel->asked_since;
    }
    unreachable("ask %d", (int) subscription->ask);
}

static void send_subscribe(struct hub_channel *channel) {
    hub_t *self = channel->hub;
    do {
        self->last_request++;
    } while (self->last_request == 0);
    channel->request = self->last_request;
    bool is_own = channel->subscription.ask == SUBSCRIPTION_ASK_OWN && channel->asked_since;
    struct wire_subscribe frame = {
        .request = channel->request, .handle = channel->handle, .channel = hub_channel_name(channel)};
    frame.flags = (uint8_t) ((channel->asked_since ? WIRE_SUBSCRIBE_SINCE : 0) | (is_own ? WIRE_SUBSCRIBE_OWN : 0));
    if (channel->asked_since) {
        frame.since_epoch = channel->asked.epoch;
        frame.since_offset = channel->asked.offset;
    }
    bool encoded = wire_encode_subscribe(uplink_batch(channel->uplink, channel->shard), &frame);
    uplink_frame_added(channel->uplink, channel->shard, encoded);
    hub_count(self, HUB_METRIC_SUBSCRIBES);
}

/* False: it is starved. */
bool hub_try_ask(struct hub_channel *channel) {
    struct broker_route route = {channel->uplink, channel->shard};
    bool has_route = channel->handle != 0 ||
                     broker_links_route(channel->hub->links, (uint32_t) (channel->hash % PARTITIONS_MAX), &route);
    if (!has_route || !uplink_admits(route.uplink, route.shard, HUB_SUBSCRIBE_OVERHEAD + channel->name_size)) {
        if (!list_is_linked(&channel->starved)) {
            list_push_back(&channel->hub->starved, &channel->starved);
        }
        return false;
    }
    list_remove(&channel->starved);
    if (!choose_since(channel)) {
        subscription_withdraw(&channel->subscription);
        return true;
    }
    if (channel->handle == 0) {
        take_handle(channel, &route);
    }
    send_subscribe(channel);
    return true;
}

void hub_send_unsubscribe(struct hub_channel *channel) {
    if (channel->handle == 0 || !uplink_is_live(channel->uplink)) {
        return;
    }
    bool encoded = wire_encode_unsubscribe(uplink_batch(channel->uplink, channel->shard),
                                           &(struct wire_unsubscribe){.handle = channel->handle});
    uplink_frame_added(channel->uplink, channel->shard, encoded);
}

/* ---- events and actions ---- */

void hub_occur_plainly(struct hub_channel *channel, enum subscription_event_kind kind) {
    hub_occur(channel, &(struct hub_occasion){.event = {.kind = kind}});
}

static void deliver_page(struct hub_channel *channel, const struct hub_answer *answer, uint64_t above) {
    struct cursor cursor = cursor_of(answer->publications);
    struct wire_publication publication;
    for (uint32_t i = 0; i < answer->n_publications && wire_read_publication(&cursor, &publication); i++) {
        if (publication.offset > above) {
            hub_count(channel->hub, HUB_METRIC_PUSHES);
            hub_fan_out_publication(channel, &publication);
        }
    }
}

static void tell_lost(struct hub_channel *channel) {
    hub_count(channel->hub, HUB_METRIC_LOST);
    list_remove(&channel->suspect); /* its top was of the epoch before */
    log_info("channel_lost", log_span("channel", hub_channel_name(channel)),
             log_u64("subscriptions", channel->n_members));
    struct position position = channel->subscription.at;
    hub_fan_out_lost(channel, &position);
}

static void set_timers(struct hub_channel *channel, unsigned actions) {
    hub_t *self = channel->hub;
    uint64_t now_ms = clock_monotonic_ms();
    if ((actions & SUBSCRIPTION_DO_START_GRACE) != 0 && !timer_entry_is_set(&channel->grace)) {
        timer_wheel_set(self->wheel, &channel->grace, now_ms + self->grace_ms);
    }
    if ((actions & SUBSCRIPTION_DO_STOP_TIMERS) != 0) {
        timer_wheel_cancel(self->wheel, &channel->grace);
        timer_wheel_cancel(self->wheel, &channel->retry);
        backoff_reset(&channel->backoff);
    }
    if ((actions & SUBSCRIPTION_DO_RETRY_LATER) != 0) {
        timer_wheel_set(self->wheel, &channel->retry, now_ms + backoff_next_ms(&channel->backoff));
    }
}

/* Whom only the broker can answer waits still: it is asked. Nobody is left: the channel goes. */
static void follow_up(struct hub_channel *channel) {
    if (hub_is_unused(channel)) {
        hub_wake(channel);
        return;
    }
    if (channel->n_waiting > 0) {
        hub_occur_plainly(channel, SUBSCRIPTION_LATE);
        return;
    }
    channel->failed_since = 0;
    timer_wheel_cancel(channel->hub->wheel, &channel->patience);
}

static void release(struct hub_channel *channel) {
    if (hub_is_unused(channel)) {
        hub_channel_let_go(channel);
    } else {
        hub_wake(channel); /* someone came back inside on_join_failed */
    }
}

static void execute(struct hub_channel *channel, unsigned actions, const struct hub_occasion *occasion,
                    uint64_t w_before) {
    if ((actions & SUBSCRIPTION_DO_UNSUBSCRIBE) != 0) {
        hub_send_unsubscribe(channel);
    }
    if ((actions & SUBSCRIPTION_DO_RETIRE) != 0) {
        hub_retire_handle(channel);
    }
    if ((actions & SUBSCRIPTION_DO_DELIVER) != 0) {
        hub_fan_out_publication(channel, occasion->publication);
        hub_admit_to_latest(channel, occasion->publication);
    }
    if ((actions & SUBSCRIPTION_DO_DELIVER_PAGE) != 0) {
        deliver_page(channel, occasion->answer, w_before);
    }
    if ((actions & SUBSCRIPTION_DO_TELL_LOST) != 0) {
        tell_lost(channel);
    }
    set_timers(channel, actions);
    if ((actions & SUBSCRIPTION_DO_ASK) != 0) {
        channel->request = 0;
        hub_try_ask(channel);
    }
    if ((actions & (SUBSCRIPTION_DO_ADMIT | SUBSCRIPTION_DO_ADMIT_NOW)) != 0) {
        hub_admit(channel, (actions & SUBSCRIPTION_DO_ADMIT) != 0 ? occasion->answer : NULL);
        follow_up(channel);
    }
    if ((actions & SUBSCRIPTION_DO_FAIL_WAITING) != 0) {
        hub_fail_waiting(channel, occasion->code);
    }
    if ((actions & SUBSCRIPTION_DO_COUNT_ODD) != 0) {
        hub_count(channel->hub, HUB_METRIC_ODD);
    }
    if ((actions & SUBSCRIPTION_DO_FREE) != 0) {
        release(channel);
    }
}

void hub_occur(struct hub_channel *channel, const struct hub_occasion *occasion) {
    enum subscription_state before = channel->subscription.state;
    uint64_t w_before = channel->subscription.at.offset;
    unsigned actions = subscription_step(&channel->subscription, &occasion->event);
    enum subscription_state after = channel->subscription.state;
    if (before == SUBSCRIPTION_LIVE && after == SUBSCRIPTION_MOVING) {
        hub_count(channel->hub, HUB_METRIC_MOVES);
    }
    if (after == SUBSCRIPTION_LIVE && before != SUBSCRIPTION_LIVE) {
        hub_presence_renew(channel, before == SUBSCRIPTION_MOVING);
    }
    execute(channel, actions, occasion, w_before); /* the channel may be gone now */
}

/* ---- timers ---- */

static void on_retry(struct timer_entry *timer) {
    hub_occur_plainly(list_entry(timer, struct hub_channel, retry), SUBSCRIPTION_RETRY);
}

static void on_grace(struct timer_entry *timer) {
    struct hub_channel *channel = list_entry(timer, struct hub_channel, grace);
    hub_occur_plainly(channel, SUBSCRIPTION_GRACE_OVER);
}

static void on_patience(struct timer_entry *timer) {
    struct hub_channel *channel = list_entry(timer, struct hub_channel, patience);
    uint64_t now_ms = clock_monotonic_ms();
    hub_fail_impatient(channel, now_ms);
    uint64_t next = UINT64_MAX;
    list_for_each (link, &channel->waiting) {
        const struct hub_member *member = list_entry(link, struct hub_member, waiting);
        next = member->deadline_ms < next ? member->deadline_ms : next;
    }
    if (next != UINT64_MAX) {
        timer_wheel_set(channel->hub->wheel, &channel->patience, next);
    }
    if (hub_is_unused(channel)) {
        hub_wake(channel);
    }
}

void hub_init_timers(struct hub_channel *channel) {
    timer_entry_init(&channel->retry, on_retry);
    timer_entry_init(&channel->grace, on_grace);
    timer_entry_init(&channel->patience, on_patience);
}
