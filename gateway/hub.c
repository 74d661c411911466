/* The subscription table of a worker.
 *
 *   hub_join ─▶ waiting ──(work: wanted)──▶ SUBSCRIBE ──SUBSCRIBED──▶ members ◀── PUSH: fan-out
 *   hub_leave ─▶ out; the channel without anyone is let go in the same turn's work
 *
 * Joining and leaving only mark a channel as woken: the work is done once, outside of the sessions' calls, before the
 * loop sleeps. So a session that leaves and comes back in one turn costs the broker nothing, nothing is called inside a
 * call, and no channel goes while it is walked.
 *
 * What a channel does with frames and timers is hub_subscription.c; frames are read in hub_frames.c; links that come
 * and go, and channels that wait for credit, are hub_links.c. */
#include "gateway/hub_internal.h"

#include "base/channel_name.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"

#include <xxhash.h>

enum { RETRY_FIRST_MS = 200, RETRY_CAP_MS = 2000, RETRY_FLOOR_MS = 20 };
/* Ids of channels begin anywhere below: a client that mixes up those of two connections hits nobody by chance. */
enum { CHANNEL_ID_FIRST_MAX = 1 << 24 };

/* clang-format off */
static const struct metric_description metric_table[] = {
    [HUB_METRIC_CHANNELS] = {"callboard_gateway_channels", "Channels with at least one session, summed over workers.", METRIC_GAUGE, NULL},
    [HUB_METRIC_MEMBERS] = {"callboard_gateway_subscriptions", "Sessions' subscriptions.", METRIC_GAUGE, NULL},
    [HUB_METRIC_WAITING] = {"callboard_gateway_subscriptions_waiting", "Sessions that wait for a broker's answer to join.", METRIC_GAUGE, NULL},
    [HUB_METRIC_PUSHES] = {"callboard_gateway_pushes_total", "Publications that came from brokers.", METRIC_COUNTER, NULL},
    [HUB_METRIC_DELIVERIES] = {"callboard_gateway_deliveries_total", "Pushes handed to sessions.", METRIC_COUNTER, NULL},
    [HUB_METRIC_RETIRED] = {"callboard_gateway_frames_dropped_total", "Frames from brokers that were dropped.", METRIC_COUNTER, "reason=\"retired_handle\""},
    [HUB_METRIC_ODD] = {"callboard_gateway_frames_dropped_total", "Frames from brokers that were dropped.", METRIC_COUNTER, "reason=\"out_of_step\""},
    [HUB_METRIC_SUBSCRIBES] = {"callboard_gateway_subscribes_total", "SUBSCRIBE frames sent.", METRIC_COUNTER, NULL},
    [HUB_METRIC_MOVES] = {"callboard_gateway_channels_moved_total", "Channels that went to another link.", METRIC_COUNTER, NULL},
    [HUB_METRIC_LAGGING] = {"callboard_gateway_channels_lagging_total", "Times that a broker had no credit for a channel.", METRIC_COUNTER, NULL},
    [HUB_METRIC_BEHIND] = {"callboard_gateway_channels_behind_total", "Lost pushes found by the brokers' tops.", METRIC_COUNTER, NULL},
    [HUB_METRIC_LOST] = {"callboard_gateway_channels_lost_total", "Times that a channel's continuity was lost.", METRIC_COUNTER, NULL},
    [HUB_METRIC_JOINS_FAILED] = {"callboard_gateway_joins_failed_total", "Sessions that could not join a channel.", METRIC_COUNTER, NULL},
    [HUB_METRIC_RECOVERED] = {"callboard_gateway_recoveries_total", "Sessions that joined with a position.", METRIC_COUNTER, "recovered=\"true\""},
    [HUB_METRIC_NOT_RECOVERED] = {"callboard_gateway_recoveries_total", "Sessions that joined with a position.", METRIC_COUNTER, "recovered=\"false\""},
    [HUB_METRIC_FILTERED] = {"callboard_gateway_pushes_withheld_total", "Publications that a session was not sent.", METRIC_COUNTER, "reason=\"tags_filter\""},
    [HUB_METRIC_EXCLUDED] = {"callboard_gateway_pushes_withheld_total", "Publications that a session was not sent.", METRIC_COUNTER, "reason=\"own\""},
    [HUB_METRIC_DELTA_BASES] = {"callboard_gateway_delta_bases", "Channels whose last publication is kept because a subscriber negotiated deltas.", METRIC_GAUGE, NULL},
    [HUB_METRIC_PATCHES] = {"callboard_gateway_patches_total", "Publications of which a patch was computed, once for all subscribers.", METRIC_COUNTER, "used=\"true\""},
    [HUB_METRIC_PATCHES_NOT_WORTH_IT] = {"callboard_gateway_patches_total", "Publications of which a patch was computed, once for all subscribers.", METRIC_COUNTER, "used=\"false\""},
    [HUB_METRIC_PATCH_BYTES_SAVED] = {"callboard_gateway_patch_saved_bytes_total", "Bytes by which patches are shorter than their publications, summed over deliveries.", METRIC_COUNTER, NULL},
    [HUB_METRIC_DEPARTURES_FORGOTTEN] = {"callboard_gateway_presence_departures_forgotten_total", "Sessions that left, of which a broker that forgets it is not told again: brokers.departures_memory was full.", METRIC_COUNTER, NULL},
};
/* clang-format on */

void hub_count(hub_t *self, enum hub_metric metric) {
    metric_count(self->metrics, metric);
}

void hub_work_later(hub_t *self) {
    broker_links_defer(self->links, &self->working);
}

/* ---- channels ---- */

static struct hub_channel *find_channel(const hub_t *self, struct span name, uint64_t hash) {
    struct hub_channel *channel = key_table_find(&self->channels, hash);
    while (channel != NULL && !span_equal(hub_channel_name(channel), name)) {
        channel = channel->same_hash;
    }
    return channel;
}

static struct hub_channel *channel_new(hub_t *self, struct span name, uint64_t hash) {
    struct hub_channel *channel = memory_alloc_zero(sizeof *channel + name.size + 1);
    channel->hub = self;
    channel->hash = hash;
    channel->id = ++self->last_channel_id;
    channel->name_size = name.size;
    memcpy(channel->name, name.data, name.size);
    list_init(&channel->waiting);
    list_init(&channel->woken);
    list_init(&channel->starved);
    list_init(&channel->mover);
    list_init(&channel->resync);
    list_init(&channel->suspect);
    backoff_init(&channel->backoff, RETRY_FIRST_MS, RETRY_CAP_MS, RETRY_FLOOR_MS);
    hub_init_timers(channel);
    hub_departures_init(channel);
    channel->same_hash = key_table_find(&self->channels, hash);
    if (channel->same_hash == NULL) {
        key_table_put(&self->channels, hash, channel);
    } else {
        key_table_replace(&self->channels, hash, channel);
    }
    self->n_channels++;
    metric_change(self->metrics, HUB_METRIC_CHANNELS, 1);
    return channel;
}

static void unlink_from_table(hub_t *self, struct hub_channel *channel) {
    struct hub_channel *first = key_table_find(&self->channels, channel->hash);
    if (first == channel && channel->same_hash == NULL) {
        key_table_take(&self->channels, channel->hash);
    } else if (first == channel) {
        key_table_replace(&self->channels, channel->hash, channel->same_hash);
    } else {
        while (first->same_hash != channel) {
            first = first->same_hash;
        }
        first->same_hash = channel->same_hash;
    }
}

void hub_retire_handle(struct hub_channel *channel) {
    if (channel->handle != 0) {
        key_table_take(&channel->hub->handles, channel->handle);
        channel->handle = 0;
        channel->request = 0;
        channel->uplink = NULL;
    }
    list_remove(&channel->suspect);
    list_remove(&channel->mover);
}

static void set_name_only(struct hub_channel *channel, bool is_name_only) {
    if (channel->is_name_only == is_name_only) {
        return;
    }
    channel->is_name_only = is_name_only;
    if (is_name_only) {
        channel->hub->n_channels--;
    } else {
        channel->hub->n_channels++;
    }
    metric_change(channel->hub->metrics, HUB_METRIC_CHANNELS, is_name_only ? -1 : 1);
}

void hub_channel_free(struct hub_channel *channel) {
    hub_t *self = channel->hub;
    bool is_name_only = channel->is_name_only;
    check(channel->n_members == 0 && channel->n_waiting == 0 && channel->fanning_out == 0, "a channel in use");
    hub_retire_handle(channel);
    unlink_from_table(self, channel);
    list_remove(&channel->woken);
    list_remove(&channel->starved);
    list_remove(&channel->resync);
    timer_wheel_cancel(self->wheel, &channel->retry);
    timer_wheel_cancel(self->wheel, &channel->grace);
    timer_wheel_cancel(self->wheel, &channel->patience);
    buffer_finish(&channel->clears);
    hub_departures_finish(channel);
    hub_forget_delta_base(channel);
    memory_free(channel->members);
    memory_free(channel);
    self->n_channels -= !is_name_only;
    metric_change(self->metrics, HUB_METRIC_CHANNELS, is_name_only ? 0 : -1);
}

void hub_channel_let_go(struct hub_channel *channel) {
    if (hub_departures_is_empty(channel) || channel->clears.size > 0) {
        hub_channel_free(channel);
    } else if (!channel->is_name_only) {
        set_name_only(channel, true);
    }
}

bool hub_is_unused(const struct hub_channel *channel) {
    return channel->n_members == 0 && channel->n_waiting == 0;
}

void hub_wake(struct hub_channel *channel) {
    if (!list_is_linked(&channel->woken)) {
        list_push_back(&channel->hub->woken, &channel->woken);
    }
    hub_work_later(channel->hub);
}

/* ---- members ---- */

void hub_add_member(struct hub_channel *channel, struct hub_member *member) {
    if (channel->n_slots == channel->capacity) {
        channel->capacity = channel->capacity == 0 ? 2 : channel->capacity * 2;
        channel->members = memory_realloc(channel->members, channel->capacity * sizeof(struct hub_member *));
    }
    member->state = HUB_MEMBER_JOINED;
    member->index = channel->n_slots;
    channel->members[channel->n_slots++] = member;
    channel->n_members++;
    channel->n_delta_members += member->wants_delta;
    channel->hub->n_members++;
    metric_change(channel->hub->metrics, HUB_METRIC_MEMBERS, 1);
}

/* O(1): the last one takes the place, or while the members are walked the place becomes a hole. */
static void remove_member(struct hub_channel *channel, struct hub_member *member) {
    uint32_t index = member->index;
    check(channel->members[index] == member, "a member that is not where it says");
    channel->n_members--;
    channel->n_delta_members -= member->wants_delta;
    if (channel->n_delta_members == 0) {
        hub_forget_delta_base(channel);
    }
    channel->hub->n_members--;
    metric_change(channel->hub->metrics, HUB_METRIC_MEMBERS, -1);
    if (channel->resync_at > index) {
        channel->resync_at = index; /* who moves here may not have been told again yet */
    }
    if (channel->fanning_out > 0) {
        channel->members[index] = NULL;
        return;
    }
    channel->n_slots--;
    channel->members[index] = channel->members[channel->n_slots];
    channel->members[index]->index = index;
}

void hub_join(hub_t *self, struct span channel_name, const struct namespace_options *options, struct hub_member *member,
              bool has_since, const struct position *since, uint64_t deadline_ms) {
    (void) options; /* whether there is history the broker says */
    check(member->channel == NULL, "a member joins twice");
    uint64_t hash = XXH64(channel_name.data, channel_name.size, 0);
    struct hub_channel *channel = find_channel(self, channel_name, hash);
    if (channel == NULL) {
        channel = channel_new(self, channel_name, hash);
    }
    set_name_only(channel, false);
    member->channel = channel;
    member->state = HUB_MEMBER_WAITING;
    member->presence = NULL;
    member->has_since = has_since;
    member->since = has_since ? *since : (struct position){.offset = 0};
    member->wants_latest = member->wants_latest && has_since;
    member->deadline_ms = deadline_ms;
    list_init(&member->waiting);
    list_push_back(&channel->waiting, &member->waiting);
    channel->n_waiting++;
    channel->n_waiting_for_latest += member->wants_latest;
    metric_change(self->metrics, HUB_METRIC_WAITING, 1);
    if (!timer_entry_is_set(&channel->patience) || deadline_ms < channel->patience.deadline_ms) {
        timer_wheel_set(self->wheel, &channel->patience, deadline_ms);
    }
    hub_wake(channel);
}

void hub_leave(hub_t *self, struct hub_member *member) {
    struct hub_channel *channel = member->channel;
    if (channel == NULL) {
        return;
    }
    if (member->state == HUB_MEMBER_WAITING) {
        hub_stop_waiting(self, member);
    } else {
        hub_presence_drop(channel, member);
        remove_member(channel, member);
    }
    member->state = HUB_MEMBER_OUT;
    member->channel = NULL;
    if (hub_is_unused(channel)) {
        hub_wake(channel);
    }
}

struct span hub_member_channel(const struct hub_member *member) {
    return member->channel == NULL ? SPAN_EMPTY : hub_channel_name(member->channel);
}

bool hub_list_channels(const hub_t *self, struct span pattern, uint32_t n_max, struct buffer *out, uint32_t *ret_n) {
    size_t place = 0;
    *ret_n = 0;
    for (const struct hub_channel *first = key_table_each(&self->channels, &place); first != NULL;
         first = key_table_each(&self->channels, &place)) {
        for (const struct hub_channel *channel = first; channel != NULL; channel = channel->same_hash) {
            if (channel->n_members == 0 || !channel_name_matches(pattern, hub_channel_name(channel))) {
                continue;
            }
            if (*ret_n == n_max || out->overflow) {
                return false;
            }
            buffer_append_sized(out, hub_channel_name(channel));
            buffer_append_u32(out, channel->n_members);
            (*ret_n)++;
        }
    }
    return !out->overflow;
}

size_t hub_channels(const hub_t *self) {
    return self->n_channels;
}

size_t hub_members(const hub_t *self) {
    return self->n_members;
}

/* ---- the work of a turn ---- */

static void look_at_woken(hub_t *self) {
    for (struct list_link *link = list_pop_front(&self->woken); link != NULL; link = list_pop_front(&self->woken)) {
        struct hub_channel *channel = list_entry(link, struct hub_channel, woken);
        if (!hub_is_unused(channel)) {
            if (channel->n_waiting > 0) {
                hub_occur_plainly(channel, SUBSCRIPTION_WANTED);
            }
        } else if (channel->clears.size == 0) {
            hub_occur_plainly(channel, SUBSCRIPTION_EMPTIED);
        } else if (channel->subscription.state == SUBSCRIPTION_NONE) {
            set_name_only(channel, false);
            hub_occur_plainly(channel, SUBSCRIPTION_WANTED); /* it stays until they are told */
        }
    }
}

static void on_working(struct broker_deferred *deferred) {
    hub_t *self = list_entry(deferred, hub_t, working);
    hub_feed_starved(self);
    look_at_woken(self);
    hub_move_movers(self);
    hub_presence_work(self);
}

/* ---- life ---- */

hub_t *hub_new(broker_requests_t *brokers, metrics_t *metrics, timer_wheel_t *wheel,
               const struct hub_callbacks *callbacks) {
    hub_t *self = memory_alloc_zero(sizeof *self);
    self->links = broker_requests_links(brokers);
    self->wheel = wheel;
    self->metrics = metric_values_new(metrics, metric_table, sizeof metric_table / sizeof metric_table[0]);
    self->callbacks = *callbacks;
    self->grace_ms = broker_links_move_grace_ms(self->links);
    self->departures_bytes_max = broker_links_departures_bytes(self->links);
    self->last_channel_id = random_below(CHANNEL_ID_FIRST_MAX);
    key_table_init(&self->channels);
    key_table_init(&self->handles);
    list_init(&self->woken);
    list_init(&self->starved);
    list_init(&self->movers);
    list_init(&self->resync);
    list_init(&self->suspects);
    list_init(&self->departed);
    list_init(&self->working.link);
    self->working.run = on_working;
    hub_listen(self);
    return self;
}

void hub_destroy(hub_t **self_p) {
    hub_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    broker_links_listen(self->links, BROKER_LISTENER_HUB, NULL);
    list_remove(&self->working.link);
    size_t place = 0;
    for (struct hub_channel *channel = key_table_each(&self->channels, &place); channel != NULL;
         place = 0, channel = key_table_each(&self->channels, &place)) {
        hub_send_unsubscribe(channel);
        hub_channel_free(channel);
    }
    key_table_finish(&self->channels);
    key_table_finish(&self->handles);
    buffer_finish(&self->encoded);
    buffer_finish(&self->slices);
    buffer_finish(&self->patch);
    buffer_finish(&self->patching);
    metric_values_destroy(&self->metrics);
    memory_free(self);
}
