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
 * Failure modes: more than DEPARTURES_BYTES_MAX at a time: the older ones are forgotten early, and counted. */
#include "gateway/hub_internal.h"

#include "base/clock.h"

enum { DEPARTURES_BYTES_MAX = 32 << 10 /* a generation of one channel, about 400 clients */ };

static bool has_any(const struct hub_departures *departures) {
    return departures->recent.size + departures->older.size > 0;
}

static void count_entries(hub_t *hub, struct span bytes) {
    struct cursor cursor = cursor_of(bytes);
    for (; cursor.left > 0 && !cursor.failed; cursor_sized(&cursor)) {
        hub_count(hub, HUB_METRIC_DEPARTURES_FORGOTTEN);
    }
}

static void grow_old(struct hub_departures *departures) {
    buffer_finish(&departures->older);
    departures->older = departures->recent;
    buffer_init(&departures->recent, departures->older.limit);
}

static void on_age(struct timer_entry *timer) {
    struct hub_channel *channel = list_entry(timer, struct hub_channel, departures.age);
    struct hub_departures *departures = &channel->departures;
    grow_old(departures);
    if (has_any(departures)) {
        timer_wheel_set(channel->hub->wheel, timer, clock_monotonic_ms() + channel->hub->grace_ms);
        return;
    }
    list_remove(&departures->link);
    if (channel->is_name_only) {
        hub_channel_free(channel);
    }
}

void hub_departures_init(struct hub_channel *channel) {
    list_init(&channel->departures.link);
    timer_entry_init(&channel->departures.age, on_age);
}

void hub_departures_finish(struct hub_channel *channel) {
    struct hub_departures *departures = &channel->departures;
    timer_wheel_cancel(channel->hub->wheel, &departures->age);
    list_remove(&departures->link);
    buffer_finish(&departures->recent);
    buffer_finish(&departures->older);
}

bool hub_departures_is_empty(const struct hub_channel *channel) {
    return !has_any(&channel->departures);
}

void hub_departures_note(struct hub_channel *channel, struct span client_info) {
    struct hub_departures *departures = &channel->departures;
    if (departures->recent.size + client_info.size > DEPARTURES_BYTES_MAX) {
        count_entries(channel->hub, buffer_span(&departures->older));
        grow_old(departures);
    }
    buffer_append_sized(&departures->recent, client_info);
    if (!list_is_linked(&departures->link)) {
        list_push_back(&channel->hub->departed, &departures->link);
    }
    if (!timer_entry_is_set(&departures->age)) {
        timer_wheel_set(channel->hub->wheel, &departures->age, clock_monotonic_ms() + channel->hub->grace_ms);
    }
}

static void without(struct buffer *departures, struct span client) {
    struct buffer rest = BUFFER_EMPTY;
    struct cursor cursor = cursor_of(buffer_span(departures));
    while (cursor.left > 0 && !cursor.failed) {
        struct span bytes = cursor_sized(&cursor);
        struct wire_client_info info;
        if (wire_read_client_info(bytes, &info) && !span_equal(info.client, client)) {
            buffer_append_sized(&rest, bytes);
        }
    }
    buffer_finish(departures);
    *departures = rest;
}

void hub_departures_is_back(struct hub_channel *channel, struct span client_info) {
    struct wire_client_info info;
    if (has_any(&channel->departures) && wire_read_client_info(client_info, &info)) {
        without(&channel->departures.recent, info.client);
        without(&channel->departures.older, info.client);
    }
}

void hub_departures_owe(struct hub_channel *channel) {
    struct hub_departures *departures = &channel->departures;
    buffer_append_span(&channel->clears, buffer_span(&departures->older));
    buffer_append_span(&channel->clears, buffer_span(&departures->recent));
    buffer_finish(&departures->older);
    buffer_finish(&departures->recent);
}

void hub_departures_tell_again(struct hub_channel *channel) {
    hub_departures_owe(channel);
    hub_presence_renew(channel, false);
    if (channel->clears.size > 0) {
        hub_wake(channel); /* it has no handle: one is asked for */
    }
}
