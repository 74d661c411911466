/* Who left a channel with presence lately, for as long as the broker that was told may not have done it, or may forget:
 * one that dies or drains with the clear in its hands, a failover that loses the newest change. Then the clears are
 * told again, to the broker that owns the channel next or that asks (RESYNC): a clear of who is not there changes
 * nothing, and without it a ghost would stand there as long as this gateway lives.
 *
 *   hub_presence_drop ─▶ recent ──move_grace──▶ older ──move_grace──▶ forgotten
 *                           └───────────┬─────────┘
 *         link lost, moved, RESYNC ─────┴──▶ channel->clears ─▶ told over the next live handle
 *
 * A channel whose last session has left is unsubscribed all the same; only its name stays, as long as this does.
 * Failure modes: more than brokers.departures_memory of a worker: the newest are not kept, and counted. A client that
 * is back in the channel is cleared with the others, and set again right behind: its subscribers may see it leave and
 * join. */
#include "gateway/hub_internal.h"

#include "base/clock.h"

static bool has_any(const struct hub_departures *departures) {
    return departures->recent.size + departures->older.size > 0;
}

/* The channel is counted, too: it may stay for nothing else. */
static size_t cost_of(const struct hub_channel *channel) {
    const struct hub_departures *departures = &channel->departures;
    return has_any(departures) ? sizeof *channel + channel->name_size + departures->recent.size + departures->older.size
                               : 0;
}

static void account(struct hub_channel *channel, size_t cost_before) {
    channel->hub->departures_bytes += cost_of(channel);
    channel->hub->departures_bytes -= cost_before;
}

static void grow_old(struct hub_channel *channel) {
    struct hub_departures *departures = &channel->departures;
    size_t cost_before = cost_of(channel);
    buffer_finish(&departures->older);
    departures->older = departures->recent;
    buffer_init(&departures->recent, departures->older.limit);
    account(channel, cost_before);
}

static void on_age(struct timer_entry *timer) {
    struct hub_channel *channel = list_entry(timer, struct hub_channel, departures.age);
    struct hub_departures *departures = &channel->departures;
    grow_old(channel);
    if (has_any(departures)) {
        timer_wheel_set(channel->hub->wheel, timer, clock_monotonic_ms() + channel->hub->grace_ms);
        return;
    }
    list_remove(&departures->link);
    if (channel->is_name_only && channel->clears.size == 0) {
        hub_channel_free(channel);
    }
}

static void forget(struct hub_channel *channel) {
    size_t cost_before = cost_of(channel);
    buffer_finish(&channel->departures.recent);
    buffer_finish(&channel->departures.older);
    account(channel, cost_before);
}

void hub_departures_init(struct hub_channel *channel) {
    list_init(&channel->departures.link);
    timer_entry_init(&channel->departures.age, on_age);
}

void hub_departures_finish(struct hub_channel *channel) {
    struct hub_departures *departures = &channel->departures;
    timer_wheel_cancel(channel->hub->wheel, &departures->age);
    list_remove(&departures->link);
    forget(channel);
}

bool hub_departures_is_empty(const struct hub_channel *channel) {
    return !has_any(&channel->departures);
}

void hub_departures_note(struct hub_channel *channel, struct span client_info) {
    struct hub_departures *departures = &channel->departures;
    hub_t *hub = channel->hub;
    size_t cost_before = cost_of(channel);
    size_t more = sizeof(uint32_t) + client_info.size + (cost_before == 0 ? sizeof *channel + channel->name_size : 0);
    if (hub->departures_bytes + more > hub->departures_bytes_max) {
        hub_count(hub, HUB_METRIC_DEPARTURES_FORGOTTEN);
        return;
    }
    buffer_append_sized(&departures->recent, client_info);
    account(channel, cost_before);
    if (!list_is_linked(&departures->link)) {
        list_push_back(&hub->departed, &departures->link);
    }
    if (!timer_entry_is_set(&departures->age)) {
        timer_wheel_set(hub->wheel, &departures->age, clock_monotonic_ms() + hub->grace_ms);
    }
}

void hub_departures_owe(struct hub_channel *channel) {
    const struct hub_departures *departures = &channel->departures;
    buffer_append_span(&channel->clears, buffer_span(&departures->older));
    buffer_append_span(&channel->clears, buffer_span(&departures->recent));
    forget(channel);
}

void hub_departures_tell_again(struct hub_channel *channel) {
    hub_departures_owe(channel);
    hub_presence_renew(channel, false);
    if (channel->clears.size > 0) {
        hub_wake(channel); /* it has no handle: one is asked for */
    }
}
