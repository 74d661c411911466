/* The subscription table of a worker.
 *
 *   hub_join ─▶ waiting ──(work: wanted)──▶ SUBSCRIBE ──SUBSCRIBED──▶ members ◀── PUSH: fan-out
 *   hub_leave ─▶ out; the channel without anyone is let go in the same turn's work
 *
 * Joining and leaving only mark a channel as woken: the work is done once, outside of the sessions' calls, before the
 * loop sleeps. So a session that leaves and comes back in one turn costs the broker nothing, nothing is called inside a
 * call, and no channel goes while it is walked.
 *
 * Frames and timers become events of channel_subscription.c, a pure function; `execute` carries out what it says. A
 * channel stands under its name and under its handle; a handle is used once, so what is on its way to an old one finds
 * nobody. At the wrap-around of handles every link is reset.
 *
 * Failure modes:
 * - no broker, or no credit: the channel is `starved` and asks again when a link or credit comes; sessions wait to
 * their deadlines (error 100, temporary).
 * - a link is lost: all its channels move, those with most sessions first.
 * - a broker drains or another one ranks first: channels move while the new lane has credit, the rest stays live.
 * - a push was lost although the link holds: the broker's beat tells tops; one that stays above W from one beat to the
 *   next makes the channel ask from W.
 * - malformed frames: false to the link, which is reset; everything moves to a new link. */
#include "gateway/hub_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>
#include <xxhash.h>

enum {
    RETRY_FIRST_MS = 200,
    RETRY_CAP_MS = 2000,
    RETRY_FLOOR_MS = 20,
    SUBSCRIBE_OVERHEAD = 128, /* of the frame, beside the name */
    REFUSALS_MAX = 64,        /* starved channels tried in vain in one go */
};

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

static void on_retry(struct timer_entry *timer);
static void on_grace(struct timer_entry *timer);
static void on_patience(struct timer_entry *timer);

static struct hub_channel *channel_new(hub_t *self, struct span name, uint64_t hash) {
    struct hub_channel *channel = memory_alloc_zero(sizeof *channel + name.size + 1);
    channel->hub = self;
    channel->hash = hash;
    channel->name_size = name.size;
    memcpy(channel->name, name.data, name.size);
    list_init(&channel->waiting);
    list_init(&channel->woken);
    list_init(&channel->starved);
    list_init(&channel->mover);
    list_init(&channel->resync);
    list_init(&channel->suspect);
    backoff_init(&channel->backoff, RETRY_FIRST_MS, RETRY_CAP_MS, RETRY_FLOOR_MS);
    timer_entry_init(&channel->retry, on_retry);
    timer_entry_init(&channel->grace, on_grace);
    timer_entry_init(&channel->patience, on_patience);
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

static void retire_handle(struct hub_channel *channel) {
    if (channel->handle != 0) {
        key_table_take(&channel->hub->handles, channel->handle);
        channel->handle = 0;
        channel->request = 0;
        channel->uplink = NULL;
    }
    list_remove(&channel->suspect);
    list_remove(&channel->mover);
}

static void channel_free(struct hub_channel *channel) {
    hub_t *self = channel->hub;
    check(channel->n_members == 0 && channel->n_waiting == 0 && channel->fanning_out == 0, "a channel in use");
    retire_handle(channel);
    unlink_from_table(self, channel);
    list_remove(&channel->woken);
    list_remove(&channel->starved);
    list_remove(&channel->resync);
    timer_wheel_cancel(self->wheel, &channel->retry);
    timer_wheel_cancel(self->wheel, &channel->grace);
    timer_wheel_cancel(self->wheel, &channel->patience);
    buffer_finish(&channel->clears);
    memory_free(channel->members);
    memory_free(channel);
    self->n_channels--;
    metric_change(self->metrics, HUB_METRIC_CHANNELS, -1);
}

static bool is_unused(const struct hub_channel *channel) {
    return channel->n_members == 0 && channel->n_waiting == 0;
}

static void wake(struct hub_channel *channel) {
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
    channel->hub->n_members++;
    metric_change(channel->hub->metrics, HUB_METRIC_MEMBERS, 1);
}

/* O(1): the last one takes the place, or while the members are walked the place becomes a hole. */
static void remove_member(struct hub_channel *channel, struct hub_member *member) {
    uint32_t index = member->index;
    check(channel->members[index] == member, "a member that is not where it says");
    channel->n_members--;
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
    member->channel = channel;
    member->state = HUB_MEMBER_WAITING;
    member->presence = NULL;
    member->has_since = has_since;
    member->since = has_since ? *since : (struct position){.offset = 0};
    member->deadline_ms = deadline_ms;
    list_init(&member->waiting);
    list_push_back(&channel->waiting, &member->waiting);
    channel->n_waiting++;
    metric_change(self->metrics, HUB_METRIC_WAITING, 1);
    if (!timer_entry_is_set(&channel->patience) || deadline_ms < channel->patience.deadline_ms) {
        timer_wheel_set(self->wheel, &channel->patience, deadline_ms);
    }
    wake(channel);
}

void hub_leave(hub_t *self, struct hub_member *member) {
    struct hub_channel *channel = member->channel;
    if (channel == NULL) {
        return;
    }
    if (member->state == HUB_MEMBER_WAITING) {
        list_remove(&member->waiting);
        channel->n_waiting--;
        metric_change(self->metrics, HUB_METRIC_WAITING, -1);
    } else {
        hub_presence_drop(channel, member);
        remove_member(channel, member);
    }
    member->state = HUB_MEMBER_OUT;
    member->channel = NULL;
    if (is_unused(channel)) {
        wake(channel);
    }
}

struct span hub_member_channel(const struct hub_member *member) {
    return member->channel == NULL ? SPAN_EMPTY : hub_channel_name(member->channel);
}

size_t hub_channels(const hub_t *self) {
    return self->n_channels;
}

size_t hub_members(const hub_t *self) {
    return self->n_members;
}

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
static bool try_ask(struct hub_channel *channel) {
    struct broker_route route = {channel->uplink, channel->shard};
    bool has_route = channel->handle != 0 ||
                     broker_links_route(channel->hub->links, (uint32_t) (channel->hash % PARTITIONS_MAX), &route);
    if (!has_route || !uplink_admits(route.uplink, route.shard, SUBSCRIBE_OVERHEAD + channel->name_size)) {
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

static void send_unsubscribe(struct hub_channel *channel) {
    if (channel->handle == 0 || !uplink_is_live(channel->uplink)) {
        return;
    }
    bool encoded = wire_encode_unsubscribe(uplink_batch(channel->uplink, channel->shard),
                                           &(struct wire_unsubscribe){.handle = channel->handle});
    uplink_frame_added(channel->uplink, channel->shard, encoded);
}

/* ---- events and actions ---- */

/* An event and what comes with it. */
struct occasion {
    struct subscription_event event;
    const struct wire_publication *publication; /* pushed */
    const struct hub_answer *answer;            /* answered */
    enum error_code code;                       /* refused */
};

static void occur(struct hub_channel *channel, const struct occasion *occasion);

static void occur_plainly(struct hub_channel *channel, enum subscription_event_kind kind) {
    occur(channel, &(struct occasion){.event = {.kind = kind}});
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
    if (is_unused(channel)) {
        wake(channel);
        return;
    }
    if (channel->n_waiting > 0) {
        occur_plainly(channel, SUBSCRIPTION_LATE);
        return;
    }
    channel->failed_since = 0;
    timer_wheel_cancel(channel->hub->wheel, &channel->patience);
}

static void release(struct hub_channel *channel) {
    if (is_unused(channel)) {
        channel_free(channel);
    } else {
        wake(channel); /* someone came back inside on_join_failed */
    }
}

static void execute(struct hub_channel *channel, unsigned actions, const struct occasion *occasion, uint64_t w_before) {
    if ((actions & SUBSCRIPTION_DO_UNSUBSCRIBE) != 0) {
        send_unsubscribe(channel);
    }
    if ((actions & SUBSCRIPTION_DO_RETIRE) != 0) {
        retire_handle(channel);
    }
    if ((actions & SUBSCRIPTION_DO_DELIVER) != 0) {
        hub_fan_out_publication(channel, occasion->publication);
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
        try_ask(channel);
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

static void occur(struct hub_channel *channel, const struct occasion *occasion) {
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
    occur_plainly(list_entry(timer, struct hub_channel, retry), SUBSCRIPTION_RETRY);
}

static void on_grace(struct timer_entry *timer) {
    struct hub_channel *channel = list_entry(timer, struct hub_channel, grace);
    occur_plainly(channel, SUBSCRIPTION_GRACE_OVER);
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
    if (is_unused(channel)) {
        wake(channel);
    }
}

/* ---- frames ---- */

/* NULL: retired, or another link's. */
static struct hub_channel *find_handle(hub_t *self, const uplink_t *uplink, uint32_t handle) {
    struct hub_channel *channel = key_table_find(&self->handles, handle);
    if (channel == NULL || channel->uplink != uplink) {
        hub_count(self, HUB_METRIC_RETIRED);
        return NULL;
    }
    return channel;
}

static bool on_push(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_push push;
    struct wire_publication publication;
    if (!wire_decode_push(body, &push)) {
        return false;
    }
    struct cursor cursor = cursor_of(push.publication);
    if (!wire_read_publication(&cursor, &publication) || !cursor_is_done(&cursor) || publication.offset > OFFSET_MAX) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, push.handle);
    if (channel != NULL) {
        hub_count(self, HUB_METRIC_PUSHES);
        occur(channel,
              &(struct occasion){.event = {.kind = SUBSCRIPTION_PUSHED, .position = {.offset = publication.offset}},
                                 .publication = &publication});
    }
    return true;
}

static bool on_subscribed(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_subscribed frame;
    if (!wire_decode_subscribed(body, &frame)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, frame.handle);
    if (channel == NULL || frame.request != channel->request) {
        return true;
    }
    channel->request = 0;
    bool has_history = (frame.flags & WIRE_SUBSCRIBED_HISTORY) != 0;
    struct hub_answer answer = {
        .has_since = channel->asked_since,
        .since = channel->asked,
        .recovered = channel->asked_since && has_history && (frame.flags & WIRE_SUBSCRIBED_RECOVERED) != 0,
        .position = {frame.epoch, frame.offset},
        .n_publications = frame.n_publications,
        .publications = frame.publications,
    };
    if (answer.recovered && epoch_is_empty(&answer.since.epoch)) {
        answer.since.epoch = frame.epoch; /* a client that knows only an offset takes any epoch */
    }
    if (answer.recovered && !hub_answer_is_dense(&answer)) {
        log_error("broker_answer_has_holes", log_span("channel", hub_channel_name(channel)),
                  log_u64("since", answer.since.offset), log_u64("offset", answer.position.offset),
                  log_u64("publications", answer.n_publications));
        return false;
    }
    answer.since = channel->asked;
    bool is_own = channel->subscription.ask == SUBSCRIPTION_ASK_OWN;
    occur(channel, &(struct occasion){.event = {.kind = SUBSCRIPTION_ANSWERED,
                                                .position = answer.position,
                                                .has_history = has_history,
                                                .recovered = answer.recovered,
                                                .more = is_own && (frame.flags & WIRE_SUBSCRIBED_MORE) != 0},
                                      .answer = &answer});
    return true;
}

static bool on_error(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_error error;
    if (!wire_decode_error(body, &error)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, error.handle);
    if (channel != NULL && error.request == channel->request) {
        const struct error_description *description = error_describe(error.code);
        channel->request = 0;
        occur(channel, &(struct occasion){.event = {.kind = SUBSCRIPTION_REFUSED,
                                                    .temporary = (error.flags & WIRE_ERROR_TEMPORARY) != 0},
                                          .code = description->code});
    }
    return true;
}

static bool on_presence(hub_t *self, uplink_t *uplink, const struct wire_frame *frame) {
    struct wire_join join; /* JOIN and LEAVE have the same fields */
    struct wire_client_info info;
    if (!wire_decode_join(frame->body, &join) || !wire_read_client_info(join.info, &info)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, join.handle);
    if (channel != NULL) {
        hub_fan_out_presence(channel, frame->kind == WIRE_JOIN, &info);
    }
    return true;
}

static bool on_lagging(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_lagging lagging;
    if (!wire_decode_lagging(body, &lagging)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, lagging.handle);
    if (channel != NULL) {
        hub_count(self, HUB_METRIC_LAGGING);
        occur_plainly(channel, SUBSCRIPTION_LAGGED);
    }
    return true;
}

static bool on_lost_frame(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_lost lost;
    if (!wire_decode_lost(body, &lost)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, lost.handle);
    if (channel != NULL) {
        occur(channel, &(struct occasion){.event = {.kind = SUBSCRIPTION_LOST, .position = {lost.epoch, lost.offset}}});
    }
    return true;
}

/* ---- position sync ---- */

/* Tops told by an earlier beat that W has still not reached: the pushes would have come before this beat's answer. */
static void judge_suspects(hub_t *self, const uplink_t *uplink, uint16_t shard) {
    list_for_each_safe (link, &self->suspects) {
        struct hub_channel *channel = list_entry(link, struct hub_channel, suspect);
        if (channel->uplink != uplink || channel->shard != shard) {
            continue;
        }
        list_remove(&channel->suspect);
        if (channel->subscription.state == SUBSCRIPTION_LIVE &&
            channel->subscription.at.offset < channel->suspected_top) {
            hub_count(self, HUB_METRIC_BEHIND);
            log_warning("push_lost", log_span("channel", hub_channel_name(channel)),
                        log_u64("offset", channel->subscription.at.offset), log_u64("top", channel->suspected_top));
            occur_plainly(channel, SUBSCRIPTION_BEHIND);
        }
    }
}

static void suspect(hub_t *self, const uplink_t *uplink, uint32_t handle, uint64_t top) {
    struct hub_channel *channel = key_table_find(&self->handles, handle);
    if (channel == NULL || channel->uplink != uplink || channel->subscription.state != SUBSCRIPTION_LIVE ||
        !channel->subscription.knows || top <= channel->subscription.at.offset) {
        return;
    }
    channel->suspected_top = top;
    if (!list_is_linked(&channel->suspect)) {
        list_push_back(&self->suspects, &channel->suspect);
    }
}

static bool on_tops(hub_t *self, uplink_t *uplink, uint16_t shard, struct span body) {
    struct wire_beat_answer answer;
    if (!wire_decode_beat_answer(body, &answer) || answer.tops.size != (size_t) answer.n_tops * 12) {
        return false;
    }
    judge_suspects(self, uplink, shard);
    struct cursor tops = cursor_of(answer.tops);
    while (tops.left > 0) {
        uint32_t handle = cursor_u32(&tops);
        suspect(self, uplink, handle, cursor_u64(&tops));
    }
    return true;
}

static bool on_frame(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame) {
    hub_t *self = context;
    switch (frame->kind) {
    case WIRE_PUSH:
        return on_push(self, uplink, frame->body);
    case WIRE_SUBSCRIBED:
        return on_subscribed(self, uplink, frame->body);
    case WIRE_ERROR:
        return on_error(self, uplink, frame->body);
    case WIRE_JOIN:
    case WIRE_LEAVE:
        return on_presence(self, uplink, frame);
    case WIRE_LAGGING:
        return on_lagging(self, uplink, frame->body);
    case WIRE_LOST:
        return on_lost_frame(self, uplink, frame->body);
    case WIRE_RESYNC:
        return hub_presence_on_resync(self, uplink, frame->body);
    case WIRE_BEAT_ANSWER:
        return on_tops(self, uplink, shard, frame->body);
    default: /* a number; broker_links passes only these */
        return false;
    }
}

/* ---- links come and go ---- */

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
    qsort(cut, n, sizeof(struct hub_channel *), compare_members);
    for (size_t i = 0; i < n; i++) {
        occur_plainly(cut[i], SUBSCRIPTION_CUT);
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

/* ---- the work of a turn ---- */

static void look_at_woken(hub_t *self) {
    for (struct list_link *link = list_pop_front(&self->woken); link != NULL; link = list_pop_front(&self->woken)) {
        struct hub_channel *channel = list_entry(link, struct hub_channel, woken);
        if (!is_unused(channel)) {
            if (channel->n_waiting > 0) {
                occur_plainly(channel, SUBSCRIPTION_WANTED);
            }
        } else if (channel->clears.size == 0) { /* else it stays until they are told */
            occur_plainly(channel, SUBSCRIPTION_EMPTIED);
        }
    }
}

/* Each that is refused goes to the end, so that one lane without credit does not hold up the others for long. */
static void feed_starved(hub_t *self) {
    struct list_link now;
    list_init(&now);
    list_splice_back(&now, &self->starved);
    for (unsigned n_refused = 0; n_refused < REFUSALS_MAX && !list_is_empty(&now);) {
        struct hub_channel *channel = list_entry(now.next, struct hub_channel, starved);
        list_remove(&channel->starved);
        n_refused += !try_ask(channel);
    }
    list_splice_back(&now, &self->starved); /* those not tried stand first */
    list_splice_back(&self->starved, &now);
}

static void move_movers(hub_t *self) {
    while (!list_is_empty(&self->movers)) {
        struct hub_channel *channel = list_entry(self->movers.next, struct hub_channel, mover);
        struct broker_route route;
        if (ranks_elsewhere(channel) &&
            broker_links_route(self->links, (uint32_t) (channel->hash % PARTITIONS_MAX), &route)) {
            if (!uplink_admits(route.uplink, route.shard, SUBSCRIBE_OVERHEAD + channel->name_size)) {
                return;
            }
            list_remove(&channel->mover);
            occur_plainly(channel, SUBSCRIPTION_MOVED);
            continue;
        }
        list_remove(&channel->mover);
    }
}

static void on_working(struct broker_deferred *deferred) {
    hub_t *self = list_entry(deferred, hub_t, working);
    feed_starved(self);
    look_at_woken(self);
    move_movers(self);
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
    key_table_init(&self->channels);
    key_table_init(&self->handles);
    list_init(&self->woken);
    list_init(&self->starved);
    list_init(&self->movers);
    list_init(&self->resync);
    list_init(&self->suspects);
    list_init(&self->working.link);
    self->working.run = on_working;
    broker_links_listen(self->links, BROKER_LISTENER_HUB,
                        &(struct broker_listener){.context = self,
                                                  .on_frame = on_frame,
                                                  .on_live = on_link_live,
                                                  .on_lost = on_link_lost,
                                                  .on_ranks = on_ranks,
                                                  .on_credit = on_credit});
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
        send_unsubscribe(channel);
        channel_free(channel);
    }
    key_table_finish(&self->channels);
    key_table_finish(&self->handles);
    buffer_finish(&self->encoded);
    buffer_finish(&self->slices);
    metric_values_destroy(&self->metrics);
    memory_free(self);
}
