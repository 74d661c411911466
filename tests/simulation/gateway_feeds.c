/* See gateway_parts.h. It does what gateway/hub_subscription.c and gateway/hub_waiting.c do, for one worker a gateway
 * and without sockets: a feed is a channel there, with its subscription and its sessions. */
#include "tests/simulation/gateway_parts.h"

#include "base/check.h"

/* ---- feeds ---- */

void feed_occur_plainly(struct feed *feed, enum subscription_event_kind kind) {
    feed_occur(feed, &(struct subscription_event){.kind = kind}, SPAN_EMPTY, 0);
}

static uint64_t weight(uint64_t rank, int broker) {
    return (rank >> (8 * broker)) & 0xff;
}

struct lane *gateway_first_lane(struct gateway *gateway, uint64_t rank) {
    struct lane *first = NULL;
    for (int i = 0; i < brokers_count(); i++) {
        struct lane *lane = &gateway->lanes[i];
        if (lane->is_up && !lane->is_draining && (first == NULL || weight(rank, i) > weight(rank, first->broker))) {
            first = lane;
        }
    }
    return first;
}

struct lane *feed_first_lane(const struct feed *feed) {
    return gateway_first_lane(&gateway_world.gateways[feed->gateway], feed->rank);
}

int gateway_first_broker(int gateway, const char *channel) {
    int number = checker_find_channel(span_of_text(channel));
    const struct lane *lane = feed_first_lane(&gateway_world.gateways[gateway].feeds[number]);
    return lane == NULL ? -1 : lane->broker;
}

static bool is_member(const struct feed *feed, int session) {
    return feed->members[session].is_here;
}

static bool needs_broker(const struct feed *feed, int session) {
    struct position since;
    return feed->members[session].waits && checker_session_position(session, &since);
}

/* The smallest since of those who wait, of the first one's epoch. */
static bool pick_since(const struct feed *feed, struct position *ret_since) {
    bool found = false;
    for (int i = 0; i < checker_sessions(); i++) {
        struct position since;
        if (feed->members[i].waits && checker_session_position(i, &since) &&
            (!found || (epoch_equal(&since.epoch, &ret_since->epoch) && since.offset < ret_since->offset))) {
            *ret_since = since;
            found = true;
        }
    }
    return found;
}

static bool choose_since(struct feed *feed) {
    feed->asked_since = false;
    switch (feed->machine.ask) {
    case SUBSCRIPTION_ASK_NOTHING:
        return false;
    case SUBSCRIPTION_ASK_OWN:
        feed->asked_since = feed->machine.knows;
        feed->asked = feed->machine.at;
        return true;
    case SUBSCRIPTION_ASK_FIRST:
        feed->asked_since = pick_since(feed, &feed->asked);
        return true;
    case SUBSCRIPTION_ASK_LATE:
        feed->asked_since = pick_since(feed, &feed->asked);
        return feed->asked_since;
    }
    unreachable("ask %d", (int) feed->machine.ask);
}

void feed_ask(struct feed *feed) {
    struct gateway *gateway = &gateway_world.gateways[feed->gateway];
    struct lane *lane = feed->handle != 0 ? feed->lane : feed_first_lane(feed);
    feed->request = 0;
    feed->is_starved = lane == NULL;
    if (lane == NULL) {
        return;
    }
    if (!choose_since(feed)) {
        subscription_withdraw(&feed->machine);
        return;
    }
    if (feed->handle == 0) {
        feed->handle = ++gateway->last_handle;
        feed->lane = lane;
    }
    feed->request = ++gateway->last_request;
    bool is_own = feed->machine.ask == SUBSCRIPTION_ASK_OWN && feed->asked_since;
    struct wire_subscribe frame = {
        .request = feed->request, .handle = feed->handle, .channel = span_of_text(checker_channel_name(feed->channel))};
    frame.flags = (uint8_t) ((feed->asked_since ? WIRE_SUBSCRIBE_SINCE : 0) | (is_own ? WIRE_SUBSCRIBE_OWN : 0));
    if (feed->asked_since) {
        frame.since_epoch = feed->asked.epoch;
        frame.since_offset = feed->asked.offset;
    }
    lane_frame_added(lane, wire_encode_subscribe(lane_batch(lane), &frame));
}

/* ---- members ---- */

static void join(struct feed *feed, int session, bool recovered, const struct position *since, struct span publications,
                 uint32_t n) {
    feed->members[session].waits = false;
    checker_joined(session, feed->machine.has_history, since != NULL, since, recovered, &feed->machine.at);
    struct cursor cursor = cursor_of(publications);
    struct wire_publication publication;
    for (uint32_t i = 0; recovered && i < n && wire_read_publication(&cursor, &publication); i++) {
        if (publication.offset > since->offset) {
            checker_received(session, publication.offset, publication.data);
        }
    }
    checker_join_ended(session);
    member_show(feed, session);
}

static bool admit_now(struct feed *feed, int session) {
    struct position since;
    bool has_since = checker_session_position(session, &since);
    const struct subscription *machine = &feed->machine;
    if (!machine->has_history || !has_since) {
        join(feed, session, false, NULL, SPAN_EMPTY, 0);
        return true;
    }
    if (position_equal(&since, &machine->at)) {
        join(feed, session, true, &since, SPAN_EMPTY, 0);
        return true;
    }
    if (!epoch_equal(&since.epoch, &machine->at.epoch)) {
        join(feed, session, false, &since, SPAN_EMPTY, 0);
        return true;
    }
    return false;
}

static void admit_by(struct feed *feed, int session, const struct subscription_event *event, struct span publications,
                     uint32_t n) {
    struct position since;
    if (!feed->asked_since || !checker_session_position(session, &since) ||
        !epoch_equal(&since.epoch, &feed->asked.epoch)) {
        return;
    }
    if (event->recovered) {
        if (since.offset >= feed->asked.offset && since.offset <= event->position.offset) {
            join(feed, session, true, &since, publications, n);
        }
        return;
    }
    bool is_ahead = feed->asked.offset > event->position.offset;
    bool shares_fate = is_ahead ? since.offset > feed->asked.offset : since.offset < feed->asked.offset;
    if (since.offset == feed->asked.offset || shares_fate) {
        join(feed, session, false, &since, SPAN_EMPTY, 0);
    }
}

static void admit(struct feed *feed, const struct subscription_event *event, struct span publications, uint32_t n) {
    bool is_answer = event->kind == SUBSCRIPTION_ANSWERED;
    for (int i = 0; i < checker_sessions(); i++) {
        if (feed->members[i].waits && !admit_now(feed, i) && is_answer) {
            admit_by(feed, i, event, publications, n);
        }
    }
    for (int i = 0; i < checker_sessions(); i++) {
        if (needs_broker(feed, i)) {
            feed_occur_plainly(feed, SUBSCRIPTION_LATE);
            return;
        }
    }
}

static void deliver(struct feed *feed, const struct wire_publication *publication) {
    for (int i = 0; i < checker_sessions(); i++) {
        if (is_member(feed, i) && !feed->members[i].waits) {
            checker_received(i, publication->offset, publication->data);
        }
    }
}

static void deliver_page(struct feed *feed, struct span publications, uint32_t n, uint64_t above) {
    struct cursor cursor = cursor_of(publications);
    struct wire_publication publication;
    for (uint32_t i = 0; i < n && wire_read_publication(&cursor, &publication); i++) {
        if (publication.offset > above) {
            deliver(feed, &publication);
        }
    }
}

struct comeback {
    int gateway;
    int session;
    int channel;
};

static void on_comeback(void *context, uint64_t ignored) {
    (void) ignored;
    const struct comeback *comeback = context;
    gateway_join(comeback->gateway, comeback->session, checker_channel_name(comeback->channel));
}

/* Unsubscribed with 2500, they come back with the position they had. */
static void tell_lost(struct feed *feed, bool by_broker) {
    for (int i = 0; i < checker_sessions(); i++) {
        if (!is_member(feed, i) || feed->members[i].waits) {
            continue;
        }
        checker_lost(i, by_broker, &feed->machine.at);
        member_hide(feed, i);
        feed->members[i].is_here = false;
        struct comeback *comeback = sim_alloc(sizeof *comeback);
        *comeback = (struct comeback){feed->gateway, i, feed->channel};
        sim_after(sim_between(10 * MS, 300 * MS), on_comeback, comeback, 0);
    }
}

static bool is_unused(const struct feed *feed) {
    for (int i = 0; i < checker_sessions(); i++) {
        if (is_member(feed, i)) {
            return false;
        }
    }
    return !members_owe_clears(feed);
}

/* ---- actions ---- */

static void on_retry(void *context, uint64_t number) {
    struct feed *feed = context;
    if (feed->retry_number == number) {
        feed_occur_plainly(feed, SUBSCRIPTION_RETRY);
    }
}

static void on_grace(void *context, uint64_t number) {
    struct feed *feed = context;
    if (feed->grace_number == number && feed->grace_is_set) {
        feed->grace_is_set = false;
        feed_occur_plainly(feed, SUBSCRIPTION_GRACE_OVER);
    }
}

static void set_timers(struct feed *feed, unsigned actions) {
    if ((actions & SUBSCRIPTION_DO_START_GRACE) != 0 && !feed->grace_is_set) {
        feed->grace_is_set = true;
        sim_after(GRACE_US, on_grace, feed, ++feed->grace_number);
    }
    if ((actions & SUBSCRIPTION_DO_STOP_TIMERS) != 0) {
        feed->grace_is_set = false;
        feed->retry_number++;
        feed->tries = 0;
    }
    if ((actions & SUBSCRIPTION_DO_RETRY_LATER) != 0) {
        uint64_t window_us = (uint64_t) 100 * MS << (feed->tries < 4 ? feed->tries++ : 4);
        sim_after(sim_between(1 * MS, window_us), on_retry, feed, ++feed->retry_number);
    }
}

void feed_occur(struct feed *feed, const struct subscription_event *event, struct span publications, uint32_t n) {
    uint64_t before = feed->machine.at.offset;
    enum subscription_state state_before = feed->machine.state;
    bool was_live = state_before == SUBSCRIPTION_LIVE;
    unsigned actions = subscription_step(&feed->machine, event);
    if (feed->machine.state == SUBSCRIPTION_LIVE && !was_live) {
        members_renew(feed, state_before == SUBSCRIPTION_MOVING);
    }
    if ((actions & SUBSCRIPTION_DO_UNSUBSCRIBE) != 0 && feed->handle != 0 && feed->lane->is_up) {
        struct wire_unsubscribe frame = {.handle = feed->handle};
        lane_frame_added(feed->lane, wire_encode_unsubscribe(lane_batch(feed->lane), &frame));
    }
    if ((actions & SUBSCRIPTION_DO_RETIRE) != 0) {
        feed->handle = 0;
        feed->request = 0;
    }
    if ((actions & SUBSCRIPTION_DO_DELIVER) != 0) {
        struct cursor cursor = cursor_of(publications);
        struct wire_publication publication;
        if (wire_read_publication(&cursor, &publication)) {
            deliver(feed, &publication);
        }
    }
    if ((actions & SUBSCRIPTION_DO_DELIVER_PAGE) != 0) {
        deliver_page(feed, publications, n, before);
    }
    if ((actions & SUBSCRIPTION_DO_TELL_LOST) != 0) {
        tell_lost(feed, event->kind != SUBSCRIPTION_GRACE_OVER);
    }
    set_timers(feed, actions);
    if ((actions & SUBSCRIPTION_DO_ASK) != 0) {
        feed_ask(feed);
    }
    if ((actions & (SUBSCRIPTION_DO_ADMIT | SUBSCRIPTION_DO_ADMIT_NOW)) != 0) {
        admit(feed, event, publications, n);
    }
    if ((actions & SUBSCRIPTION_DO_COUNT_ODD) != 0 && was_live && event->kind == SUBSCRIPTION_PUSHED) {
        sim_fail("C2: %s: broker-%c pushes %llu to %s, which stands at %llu", checker_channel_name(feed->channel),
                 'a' + feed->lane->broker, (unsigned long long) event->position.offset,
                 gateway_world.gateways[feed->gateway].id, (unsigned long long) before);
    } else if ((actions & SUBSCRIPTION_DO_COUNT_ODD) != 0) {
        sim_trace(gateway_world.gateways[feed->gateway].id, "an odd event %d of %s in state %s", (int) event->kind,
                  checker_channel_name(feed->channel), subscription_state_name(feed->machine.state));
    }
    if ((actions & SUBSCRIPTION_DO_FAIL_WAITING) != 0) {
        sim_fail("a subscription of %s was refused for good", checker_channel_name(feed->channel));
    }
    if (feed->machine.state != SUBSCRIPTION_NONE && is_unused(feed) && event->kind != SUBSCRIPTION_EMPTIED) {
        feed_occur_plainly(feed, SUBSCRIPTION_EMPTIED);
    }
}

static void set_member(struct feed *feed, int session, bool waits) {
    feed->members[session].is_here = waits;
    feed->members[session].waits = waits;
}

void gateway_join(int gateway, int session, const char *channel) {
    struct feed *feed = &gateway_world.gateways[gateway].feeds[checker_find_channel(span_of_text(channel))];
    if (is_member(feed, session) || checker_is_joined(session) || gateway_world.gateways[gateway].is_dead) {
        return;
    }
    for (int i = 0; i < gateway_world.n; i++) {
        set_member(&gateway_world.gateways[i].feeds[feed->channel], session, false);
    }
    set_member(feed, session, true);
    feed_occur_plainly(feed, SUBSCRIPTION_WANTED);
    if (needs_broker(feed, session)) {
        feed_occur_plainly(feed, SUBSCRIPTION_LATE);
    }
}

void gateway_leave(int gateway, int session, const char *channel) {
    struct feed *feed = &gateway_world.gateways[gateway].feeds[checker_find_channel(span_of_text(channel))];
    if (!is_member(feed, session)) {
        return;
    }
    member_hide(feed, session);
    set_member(feed, session, false);
    checker_left(session);
    if (is_unused(feed)) {
        feed_occur_plainly(feed, SUBSCRIPTION_EMPTIED);
    }
}
