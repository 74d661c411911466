/* See gateway_node.h. It does what gateway/hub_subscription.c and gateway/hub_waiting.c do, for one worker a gateway
 * and without sockets: a feed is a channel there, with its subscription and its sessions. A broker's end cuts its lane;
 * what was on its way down and had arrived by then is handled, the rest is lost. */
#include "tests/simulation/gateway_node.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/wire_lane.h"
#include "gateway/channel_subscription.h"
#include "tests/simulation/broker_node.h"
#include "tests/simulation/checker.h"

#include <stdio.h>

enum { GRACE_US = 10 * SECOND, BEAT_US = 500 * MS, PENDING_MAX = 512, PUBLISH_MS = 2000 };

struct lane {
    int gateway;
    int broker;
    bool is_up;
    bool is_draining;
    uint64_t link_epoch;
    uint32_t number;
    wire_lane_t *wire;
    struct buffer batch;
    uint32_t n_frames;
    bool is_begun;
    bool is_flush_planned;
    uint64_t up_last_us;
    uint64_t down_last_us;
    uint64_t closed_us; /* nothing passes before */
    uint64_t n_up;      /* sent on this link, and arrived */
    uint64_t n_up_there;
    uint64_t n_down;
    uint64_t n_down_there;
};

struct member {
    bool is_here; /* joined or waiting */
    bool waits;
};

struct feed {
    int gateway;
    int channel;
    uint64_t rank; /* decides which broker is first */
    struct subscription machine;
    struct lane *lane; /* of the handle */
    uint32_t handle;   /* 0: none */
    uint32_t request;
    bool asked_since;
    struct position asked;
    bool is_starved;
    unsigned tries;
    uint64_t retry_number;
    uint64_t grace_number;
    bool grace_is_set;
    struct member members[SESSIONS_MAX];
};

struct pending {
    uint32_t request; /* 0: free */
    struct lane *lane;
    on_published on_done;
    void *context;
};

struct gateway {
    char id[24];
    uint64_t boot_nonce;
    struct lane lanes[BROKERS_MAX];
    struct feed feeds[CHANNELS_MAX];
    struct pending pending[PENDING_MAX];
    uint32_t last_handle;
    uint32_t last_request;
};

static struct {
    struct gateway gateways[GATEWAYS_MAX];
    int n;
    uint32_t last_number;
} world;

static struct gateway *gateway_of(const struct lane *lane) {
    return &world.gateways[lane->gateway];
}

/* ---- lanes up ---- */

struct carried {
    int broker;
    uint32_t number;
    uint64_t link_epoch;
    struct lane *lane;
    struct span bytes;
    uint64_t order; /* in its direction */
};

static void on_carried_up(void *context, uint64_t ignored) {
    (void) ignored;
    const struct carried *carried = context;
    struct lane *lane = carried->lane;
    if (lane->link_epoch == carried->link_epoch) {
        if (sim_now_us() < lane->closed_us || carried->order != lane->n_up_there) {
            uint64_t later_us = sim_now_us() + 50;
            sim_at(later_us < lane->closed_us ? lane->closed_us : later_us, on_carried_up, context, 0);
            return;
        }
        lane->n_up_there++;
    }
    broker_batch(carried->broker, carried->number, carried->bytes);
}

static struct carried *carry(struct lane *lane, struct span bytes, uint64_t order) {
    struct carried *carried = sim_alloc(sizeof *carried);
    *carried = (struct carried){
        lane->broker, lane->number, lane->link_epoch, lane, span_of(sim_copy(bytes.data, bytes.size), bytes.size),
        order};
    return carried;
}

static void send_sealed(struct lane *lane, struct buffer *batch) {
    uint64_t at_us = sim_now_us() + sim_between(20, 500);
    lane->up_last_us = at_us < lane->up_last_us ? lane->up_last_us : at_us;
    sim_at(lane->up_last_us, on_carried_up, carry(lane, buffer_span(batch), lane->n_up++), 0);
    buffer_clear(batch);
}

static void on_flush(void *context, uint64_t ignored) {
    (void) ignored;
    struct lane *lane = context;
    lane->is_flush_planned = false;
    if (!lane->is_up) {
        return;
    }
    if (lane->n_frames > 0 && wire_lane_has_credit(lane->wire, lane->n_frames, lane->batch.size)) {
        wire_lane_seal(lane->wire, &lane->batch, lane->n_frames);
        send_sealed(lane, &lane->batch);
        lane->is_begun = false;
        lane->n_frames = 0;
    }
    if (wire_lane_ack_is_due(lane->wire)) {
        struct buffer ack = BUFFER_EMPTY;
        wire_batch_begin(&ack);
        wire_lane_seal_ack(lane->wire, &ack);
        send_sealed(lane, &ack);
        buffer_finish(&ack);
    }
}

static void plan_flush(struct lane *lane) {
    if (!lane->is_flush_planned) {
        lane->is_flush_planned = true;
        sim_after(0, on_flush, lane, 0);
    }
}

static struct buffer *lane_batch(struct lane *lane) {
    if (!lane->is_begun) {
        wire_batch_begin(&lane->batch);
        lane->is_begun = true;
    }
    return &lane->batch;
}

static void frame_added(struct lane *lane, bool encoded) {
    check(encoded, "a frame was not encoded");
    lane->n_frames++;
    plan_flush(lane);
}

/* ---- feeds ---- */

static void occur(struct feed *feed, const struct subscription_event *event, struct span publications, uint32_t n);

static void occur_plainly(struct feed *feed, enum subscription_event_kind kind) {
    occur(feed, &(struct subscription_event){.kind = kind}, SPAN_EMPTY, 0);
}

/* Whether the broker stands before the other for this channel. */
static uint64_t weight(const struct feed *feed, int broker) {
    return (feed->rank >> (8 * broker)) & 0xff;
}

static struct lane *first_lane(const struct feed *feed) {
    struct gateway *gateway = &world.gateways[feed->gateway];
    struct lane *first = NULL;
    for (int i = 0; i < brokers_count(); i++) {
        struct lane *lane = &gateway->lanes[i];
        if (lane->is_up && !lane->is_draining && (first == NULL || weight(feed, i) > weight(feed, first->broker))) {
            first = lane;
        }
    }
    return first;
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

static void ask(struct feed *feed) {
    struct gateway *gateway = &world.gateways[feed->gateway];
    struct lane *lane = feed->handle != 0 ? feed->lane : first_lane(feed);
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
    frame_added(lane, wire_encode_subscribe(lane_batch(lane), &frame));
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
            occur_plainly(feed, SUBSCRIPTION_LATE);
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
    return true;
}

/* ---- actions ---- */

static void on_retry(void *context, uint64_t number) {
    struct feed *feed = context;
    if (feed->retry_number == number) {
        occur_plainly(feed, SUBSCRIPTION_RETRY);
    }
}

static void on_grace(void *context, uint64_t number) {
    struct feed *feed = context;
    if (feed->grace_number == number && feed->grace_is_set) {
        feed->grace_is_set = false;
        occur_plainly(feed, SUBSCRIPTION_GRACE_OVER);
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

static void occur(struct feed *feed, const struct subscription_event *event, struct span publications, uint32_t n) {
    uint64_t before = feed->machine.at.offset;
    bool was_live = feed->machine.state == SUBSCRIPTION_LIVE;
    unsigned actions = subscription_step(&feed->machine, event);
    if ((actions & SUBSCRIPTION_DO_UNSUBSCRIBE) != 0 && feed->handle != 0 && feed->lane->is_up) {
        struct wire_unsubscribe frame = {.handle = feed->handle};
        frame_added(feed->lane, wire_encode_unsubscribe(lane_batch(feed->lane), &frame));
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
        ask(feed);
    }
    if ((actions & (SUBSCRIPTION_DO_ADMIT | SUBSCRIPTION_DO_ADMIT_NOW)) != 0) {
        admit(feed, event, publications, n);
    }
    if ((actions & SUBSCRIPTION_DO_COUNT_ODD) != 0 && was_live && event->kind == SUBSCRIPTION_PUSHED) {
        sim_fail("C2: %s: broker-%c pushes %llu to %s, which stands at %llu", checker_channel_name(feed->channel),
                 'a' + feed->lane->broker, (unsigned long long) event->position.offset,
                 world.gateways[feed->gateway].id, (unsigned long long) before);
    } else if ((actions & SUBSCRIPTION_DO_COUNT_ODD) != 0) {
        sim_trace(world.gateways[feed->gateway].id, "an odd event %d of %s in state %s", (int) event->kind,
                  checker_channel_name(feed->channel), subscription_state_name(feed->machine.state));
    }
    if ((actions & SUBSCRIPTION_DO_FAIL_WAITING) != 0) {
        sim_fail("a subscription of %s was refused for good", checker_channel_name(feed->channel));
    }
    if (feed->machine.state != SUBSCRIPTION_NONE && is_unused(feed) && event->kind != SUBSCRIPTION_EMPTIED) {
        occur_plainly(feed, SUBSCRIPTION_EMPTIED);
    }
}

void gateway_join(int gateway, int session, const char *channel) {
    struct feed *feed = &world.gateways[gateway].feeds[checker_find_channel(span_of_text(channel))];
    if (is_member(feed, session) || checker_is_joined(session)) {
        return;
    }
    for (int i = 0; i < world.n; i++) {
        world.gateways[i].feeds[feed->channel].members[session] = (struct member){false, false};
    }
    feed->members[session] = (struct member){true, true};
    occur_plainly(feed, SUBSCRIPTION_WANTED);
    if (needs_broker(feed, session)) {
        occur_plainly(feed, SUBSCRIPTION_LATE);
    }
}

void gateway_leave(int gateway, int session, const char *channel) {
    struct feed *feed = &world.gateways[gateway].feeds[checker_find_channel(span_of_text(channel))];
    if (!is_member(feed, session)) {
        return;
    }
    feed->members[session] = (struct member){false, false};
    checker_left(session);
    if (is_unused(feed)) {
        occur_plainly(feed, SUBSCRIPTION_EMPTIED);
    }
}

/* ---- frames down ---- */

static struct feed *find_handle(struct lane *lane, uint32_t handle) {
    struct gateway *gateway = gateway_of(lane);
    for (int i = 0; i < CHANNELS_MAX; i++) {
        struct feed *feed = &gateway->feeds[i];
        if (feed->handle == handle && handle != 0 && feed->lane == lane) {
            return feed;
        }
    }
    return NULL;
}

static void finish_publish(struct pending *pending, const struct publish_result *result) {
    struct pending done = *pending;
    *pending = (struct pending){0};
    done.on_done(done.context, result);
}

static struct pending *find_pending(struct lane *lane, uint32_t request) {
    struct gateway *gateway = gateway_of(lane);
    for (int i = 0; i < PENDING_MAX && request != 0; i++) {
        if (gateway->pending[i].request == request) {
            return &gateway->pending[i];
        }
    }
    return NULL;
}

static void on_push(struct lane *lane, struct span body) {
    struct wire_push push;
    check(wire_decode_push(body, &push), "a malformed PUSH");
    struct cursor cursor = cursor_of(push.publication);
    struct wire_publication publication;
    check(wire_read_publication(&cursor, &publication), "a malformed publication");
    struct feed *feed = find_handle(lane, push.handle);
    if (feed != NULL) {
        occur(feed,
              &(struct subscription_event){.kind = SUBSCRIPTION_PUSHED, .position = {.offset = publication.offset}},
              push.publication, 1);
    }
}

static bool is_dense(const struct feed *feed, const struct wire_subscribed *frame) {
    struct cursor cursor = cursor_of(frame->publications);
    struct wire_publication publication;
    uint64_t expected = feed->asked.offset;
    for (uint32_t i = 0; i < frame->n_publications; i++) {
        if (!wire_read_publication(&cursor, &publication) || publication.offset != ++expected) {
            return false;
        }
    }
    return cursor_is_done(&cursor) && expected == frame->offset;
}

static void on_subscribed(struct lane *lane, struct span body) {
    struct wire_subscribed frame;
    check(wire_decode_subscribed(body, &frame), "a malformed SUBSCRIBED");
    struct feed *feed = find_handle(lane, frame.handle);
    if (feed == NULL || frame.request != feed->request) {
        return;
    }
    feed->request = 0;
    bool has_history = (frame.flags & WIRE_SUBSCRIBED_HISTORY) != 0;
    bool recovered = feed->asked_since && has_history && (frame.flags & WIRE_SUBSCRIBED_RECOVERED) != 0;
    if (recovered && !is_dense(feed, &frame)) {
        sim_fail("C7: %s: an answer since %llu to %llu has holes", checker_channel_name(feed->channel),
                 (unsigned long long) feed->asked.offset, (unsigned long long) frame.offset);
        return;
    }
    occur(feed,
          &(struct subscription_event){.kind = SUBSCRIPTION_ANSWERED,
                                       .position = {frame.epoch, frame.offset},
                                       .has_history = has_history,
                                       .recovered = recovered,
                                       .more = feed->machine.ask == SUBSCRIPTION_ASK_OWN &&
                                               (frame.flags & WIRE_SUBSCRIBED_MORE) != 0},
          frame.publications, frame.n_publications);
}

static void on_error(struct lane *lane, struct span body) {
    struct wire_error error;
    check(wire_decode_error(body, &error), "a malformed ERROR");
    struct feed *feed = find_handle(lane, error.handle);
    struct pending *pending = error.handle == 0 ? find_pending(lane, error.request) : NULL;
    bool is_temporary = (error.flags & WIRE_ERROR_TEMPORARY) != 0;
    if (feed != NULL && error.request == feed->request) {
        feed->request = 0;
        occur(feed, &(struct subscription_event){.kind = SUBSCRIPTION_REFUSED, .temporary = is_temporary}, SPAN_EMPTY,
              0);
    } else if (pending != NULL) {
        bool is_unknown = (error.flags & WIRE_ERROR_UNKNOWN_OUTCOME) != 0;
        finish_publish(pending, &(struct publish_result){.outcome = is_unknown ? PUBLISH_UNKNOWN : PUBLISH_NO,
                                                         .is_temporary = is_temporary,
                                                         .code = error.code});
    }
}

static void on_publish_done(struct lane *lane, struct span body) {
    struct wire_published frame;
    check(wire_decode_published(body, &frame), "a malformed PUBLISHED");
    struct pending *pending = find_pending(lane, frame.request);
    if (pending != NULL) {
        finish_publish(pending,
                       &(struct publish_result){.outcome = PUBLISH_OK,
                                                .is_duplicate = (frame.flags & WIRE_PUBLISHED_DUPLICATE) != 0,
                                                .is_not_durable = (frame.flags & WIRE_PUBLISHED_NOT_DURABLE) != 0,
                                                .position = {frame.epoch, frame.offset}});
    }
}

static void on_lost(struct lane *lane, struct span body) {
    struct wire_lost lost;
    check(wire_decode_lost(body, &lost), "a malformed LOST");
    struct feed *feed = find_handle(lane, lost.handle);
    if (feed != NULL) {
        occur(feed, &(struct subscription_event){.kind = SUBSCRIPTION_LOST, .position = {lost.epoch, lost.offset}},
              SPAN_EMPTY, 0);
    }
}

static void on_lagging(struct lane *lane, struct span body) {
    struct wire_lagging lagging;
    check(wire_decode_lagging(body, &lagging), "a malformed LAGGING");
    struct feed *feed = find_handle(lane, lagging.handle);
    if (feed != NULL) {
        occur_plainly(feed, SUBSCRIPTION_LAGGED);
    }
}

static void on_frame(struct lane *lane, const struct wire_frame *frame) {
    switch (frame->kind) {
    case WIRE_PUSH:
        on_push(lane, frame->body);
        break;
    case WIRE_SUBSCRIBED:
        on_subscribed(lane, frame->body);
        break;
    case WIRE_ERROR:
        on_error(lane, frame->body);
        break;
    case WIRE_PUBLISHED:
        on_publish_done(lane, frame->body);
        break;
    case WIRE_LOST:
        on_lost(lane, frame->body);
        break;
    case WIRE_LAGGING:
        on_lagging(lane, frame->body);
        break;
    default: /* a number of the wire: presence, totals, answers to beats are not followed here */
        break;
    }
}

static void cut(struct lane *lane);

static void on_carried_down(void *context, uint64_t ignored) {
    (void) ignored;
    const struct carried *carried = context;
    struct lane *lane = carried->lane;
    if (!lane->is_up || lane->link_epoch != carried->link_epoch) {
        return;
    }
    if (sim_now_us() < lane->closed_us || carried->order != lane->n_down_there) {
        uint64_t later_us = sim_now_us() + 50;
        sim_at(later_us < lane->closed_us ? lane->closed_us : later_us, on_carried_down, context, 0);
        return;
    }
    lane->n_down_there++;
    struct wire_batch_header header;
    struct cursor frames;
    check(wire_batch_open(carried->bytes, &header, &frames) == WIRE_OK, "a malformed batch");
    enum wire_lane_outcome outcome = wire_lane_receive(lane->wire, &header);
    check(outcome != WIRE_LANE_HOLE, "a hole in a lane");
    if (outcome != WIRE_LANE_NEXT) {
        return;
    }
    struct wire_frame frame;
    uint32_t n = 0;
    uint64_t link_epoch = lane->link_epoch;
    while (wire_frame_next(&frames, &frame) == WIRE_OK && lane->is_up && lane->link_epoch == link_epoch) {
        on_frame(lane, &frame);
        n++;
    }
    if (lane->is_up && lane->link_epoch == link_epoch) {
        wire_lane_consumed(lane->wire, n, carried->bytes.size);
        plan_flush(lane);
    }
}

void gateways_batch_down(int broker, uint32_t peer, uint64_t link_epoch, struct span batch) {
    for (int i = 0; i < world.n; i++) {
        struct lane *lane = &world.gateways[i].lanes[broker];
        if (lane->is_up && lane->number == peer && lane->link_epoch == link_epoch) {
            uint64_t at_us = sim_now_us() + sim_between(20, 500);
            lane->down_last_us = at_us < lane->down_last_us ? lane->down_last_us : at_us;
            sim_at(lane->down_last_us, on_carried_down, carry(lane, batch, lane->n_down++), 0);
        }
    }
}

/* ---- links ---- */

static void on_beat(void *context, uint64_t link_epoch) {
    struct lane *lane = context;
    if (!lane->is_up || lane->link_epoch != link_epoch) {
        return;
    }
    struct wire_beat beat = {.sent_us = sim_now_us(), .flags = WIRE_BEAT_RENEW_LEASE};
    frame_added(lane, wire_encode_beat(lane_batch(lane), &beat));
    sim_after(BEAT_US, on_beat, lane, link_epoch);
}

/* A broker that ranks first is there again: half of the feeds move at once, the others stay until they must. */
static void use(struct lane *lane) {
    struct gateway *gateway = gateway_of(lane);
    for (int i = 0; i < checker_channels(); i++) {
        struct feed *feed = &gateway->feeds[i];
        if (feed->is_starved) {
            ask(feed);
        } else if (feed->handle != 0 && feed->lane != lane && first_lane(feed) == lane && sim_chance(50)) {
            occur_plainly(feed, SUBSCRIPTION_MOVED);
        }
    }
}

static void on_link(void *context, uint64_t ignored) {
    (void) ignored;
    struct lane *lane = context;
    if (lane->is_up) {
        return;
    }
    if (!broker_is_up(lane->broker) || sim_now_us() < lane->closed_us) {
        sim_after(sim_between(50 * MS, 300 * MS), on_link, lane, 0);
        return;
    }
    const struct gateway *gateway = gateway_of(lane);
    lane->is_up = true;
    lane->is_draining = false;
    lane->link_epoch = random_u64();
    lane->number = ++world.last_number;
    lane->n_up = lane->n_up_there = 0;
    lane->n_down = lane->n_down_there = 0;
    lane->wire = wire_lane_new(lane->link_epoch, 0, WIRE_CREDIT_FRAMES, WIRE_CREDIT_BYTES, WIRE_CREDIT_FRAMES,
                               WIRE_CREDIT_BYTES);
    wire_lane_speak(lane->wire, WIRE_VERSION);
    broker_peer_joined(lane->broker, lane->number, lane->link_epoch, span_of_text(gateway->id), gateway->boot_nonce);
    sim_after(sim_between(0, BEAT_US), on_beat, lane, lane->link_epoch);
    use(lane);
}

static void cut(struct lane *lane) {
    if (!lane->is_up) {
        return;
    }
    struct gateway *gateway = gateway_of(lane);
    sim_trace(gateway->id, "has lost broker-%c", 'a' + lane->broker);
    lane->is_up = false;
    wire_lane_destroy(&lane->wire);
    buffer_finish(&lane->batch);
    lane->is_begun = false;
    lane->n_frames = 0;
    for (int i = 0; i < PENDING_MAX; i++) {
        if (gateway->pending[i].request != 0 && gateway->pending[i].lane == lane) {
            finish_publish(&gateway->pending[i], &(struct publish_result){.outcome = PUBLISH_UNKNOWN});
        }
    }
    for (int i = 0; i < checker_channels(); i++) {
        struct feed *feed = &gateway->feeds[i];
        if (feed->handle != 0 && feed->lane == lane) {
            occur_plainly(feed, SUBSCRIPTION_CUT);
        }
    }
    sim_after(sim_between(10 * MS, 200 * MS), on_link, lane, 0);
}

static void on_cut(void *context, uint64_t link_epoch) {
    struct lane *lane = context;
    if (lane->is_up && lane->link_epoch == link_epoch) {
        broker_peer_left(lane->broker, lane->number);
        cut(lane);
    }
}

/* By the connection's end at once, or by the beats that stay away. */
void gateways_broker_ended(int broker) {
    for (int i = 0; i < world.n; i++) {
        struct lane *lane = &world.gateways[i].lanes[broker];
        uint64_t delay_us = sim_chance(50) ? sim_between(1 * MS, 5 * MS) : sim_between(800 * MS, 1500 * MS);
        sim_after(delay_us, on_cut, lane, lane->link_epoch);
    }
}

void gateways_broker_started(int broker) {
    for (int i = 0; i < world.n; i++) {
        struct lane *lane = &world.gateways[i].lanes[broker];
        if (lane->is_up) {
            cut(lane); /* another process answers there */
        } else {
            sim_after(sim_between(1 * MS, 20 * MS), on_link, lane, 0);
        }
    }
}

void gateways_broker_drains(int broker) {
    for (int i = 0; i < world.n; i++) {
        struct lane *lane = &world.gateways[i].lanes[broker];
        lane->is_draining = true;
        for (int j = 0; j < checker_channels(); j++) {
            struct feed *feed = &world.gateways[i].feeds[j];
            if (lane->is_up && feed->handle != 0 && feed->lane == lane) {
                occur_plainly(feed, SUBSCRIPTION_MOVED);
            }
        }
    }
}

void gateways_reset(int broker, uint32_t peer) {
    for (int i = 0; i < world.n; i++) {
        struct lane *lane = &world.gateways[i].lanes[broker];
        if (lane->is_up && lane->number == peer) {
            sim_after(sim_between(20, 500), on_cut, lane, lane->link_epoch);
        }
    }
}

void gateway_partition(int gateway, int broker, uint64_t until_us) {
    struct lane *lane = &world.gateways[gateway].lanes[broker];
    sim_trace(world.gateways[gateway].id, "cannot reach broker-%c for %llu ms", 'a' + broker,
              (unsigned long long) ((until_us - sim_now_us()) / MS));
    lane->closed_us = until_us > lane->closed_us ? until_us : lane->closed_us;
    if (lane->is_up && until_us > sim_now_us() + 1500 * MS) {
        sim_after(1500 * MS, on_cut, lane, lane->link_epoch);
    }
}

/* ---- publishing ---- */

struct refused {
    on_published on_done;
    void *context;
};

static void on_refused(void *context, uint64_t ignored) {
    (void) ignored;
    const struct refused *refused = context;
    refused->on_done(refused->context, &(struct publish_result){.outcome = PUBLISH_NO, .is_temporary = true});
}

struct overdue {
    struct gateway *gateway;
    struct pending *pending;
};

static void on_overdue(void *context, uint64_t request) {
    const struct overdue *overdue = context;
    if (overdue->pending->request == request) {
        finish_publish(overdue->pending, &(struct publish_result){.outcome = PUBLISH_UNKNOWN});
    }
}

static struct pending *free_pending(struct gateway *gateway) {
    for (int i = 0; i < PENDING_MAX; i++) {
        if (gateway->pending[i].request == 0) {
            return &gateway->pending[i];
        }
    }
    return NULL;
}

void gateway_publish(int number, int broker, const char *channel, const char *key, struct span data,
                     on_published on_done, void *context) {
    struct gateway *gateway = &world.gateways[number];
    const struct feed *feed = &gateway->feeds[checker_find_channel(span_of_text(channel))];
    struct lane *lane = broker < 0 ? first_lane(feed) : &gateway->lanes[broker];
    struct pending *pending = free_pending(gateway);
    if (lane == NULL || !lane->is_up || pending == NULL) {
        struct refused *refused = sim_alloc(sizeof *refused);
        *refused = (struct refused){on_done, context};
        sim_after(1, on_refused, refused, 0);
        return;
    }
    *pending = (struct pending){++gateway->last_request, lane, on_done, context};
    struct overdue *overdue = sim_alloc(sizeof *overdue);
    *overdue = (struct overdue){gateway, pending};
    sim_after((PUBLISH_MS + 500) * MS, on_overdue, overdue, pending->request);
    struct wire_publish frame = {.request = pending->request,
                                 .deadline_ms = PUBLISH_MS,
                                 .channel = span_of_text(channel),
                                 .key = key == NULL ? SPAN_EMPTY : span_of_text(key),
                                 .data = data};
    frame_added(lane, wire_encode_publish(lane_batch(lane), &frame));
}

/* ---- life ---- */

void gateways_begin(int n) {
    memset(&world, 0, sizeof world);
    world.n = n;
    for (int i = 0; i < n; i++) {
        struct gateway *gateway = &world.gateways[i];
        snprintf(gateway->id, sizeof gateway->id, "gateway-%d", i);
        gateway->boot_nonce = random_u64();
        for (int j = 0; j < BROKERS_MAX; j++) {
            gateway->lanes[j] = (struct lane){.gateway = i, .broker = j};
        }
    }
    /* The rank is the channel's; now and then two gateways disagree. */
    for (int j = 0; j < CHANNELS_MAX; j++) {
        uint64_t rank = sim_random();
        for (int i = 0; i < n; i++) {
            world.gateways[i].feeds[j] =
                (struct feed){.gateway = i, .channel = j, .rank = sim_chance(20) ? sim_random() : rank};
        }
    }
}

void gateways_end(void) {
    for (int i = 0; i < world.n; i++) {
        for (int j = 0; j < BROKERS_MAX; j++) {
            wire_lane_destroy(&world.gateways[i].lanes[j].wire);
            buffer_finish(&world.gateways[i].lanes[j].batch);
        }
    }
}

int gateways_count(void) {
    return world.n;
}
