/* See gateway_parts.h: frames down, and publications up with the patience of their publishers. */
#include "tests/simulation/gateway_parts.h"

#include "base/check.h"

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

void pending_finish(struct pending *pending, const struct publish_result *result) {
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
        feed_occur(
            feed, &(struct subscription_event){.kind = SUBSCRIPTION_PUSHED, .position = {.offset = publication.offset}},
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
    feed_occur(feed,
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
        feed_occur(feed, &(struct subscription_event){.kind = SUBSCRIPTION_REFUSED, .temporary = is_temporary},
                   SPAN_EMPTY, 0);
    } else if (pending != NULL) {
        bool is_unknown = (error.flags & WIRE_ERROR_UNKNOWN_OUTCOME) != 0;
        pending_finish(pending, &(struct publish_result){.outcome = is_unknown ? PUBLISH_UNKNOWN : PUBLISH_NO,
                                                         .is_temporary = is_temporary,
                                                         .code = error.code});
    }
}

static void on_publish_done(struct lane *lane, struct span body) {
    struct wire_published frame;
    check(wire_decode_published(body, &frame), "a malformed PUBLISHED");
    struct pending *pending = find_pending(lane, frame.request);
    if (pending != NULL) {
        pending_finish(pending,
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
        feed_occur(feed, &(struct subscription_event){.kind = SUBSCRIPTION_LOST, .position = {lost.epoch, lost.offset}},
                   SPAN_EMPTY, 0);
    }
}

static void on_lagging(struct lane *lane, struct span body) {
    struct wire_lagging lagging;
    check(wire_decode_lagging(body, &lagging), "a malformed LAGGING");
    struct feed *feed = find_handle(lane, lagging.handle);
    if (feed != NULL) {
        gateway_of(lane)->n_lagged++;
        sim_trace(gateway_of(lane)->id, "is told by broker-%c: LAGGING in %s, where it stands at %llu",
                  'a' + lane->broker, checker_channel_name(feed->channel),
                  (unsigned long long) feed->machine.at.offset);
        feed_occur_plainly(feed, SUBSCRIPTION_LAGGED);
    }
}

static void on_member(struct lane *lane, const struct wire_frame *frame) {
    struct wire_join join = {.handle = 0};
    struct wire_leave leave = {.handle = 0};
    bool has_joined = frame->kind == WIRE_JOIN;
    check(has_joined ? wire_decode_join(frame->body, &join) : wire_decode_leave(frame->body, &leave),
          "a malformed JOIN or LEAVE");
    struct feed *feed = find_handle(lane, has_joined ? join.handle : leave.handle);
    if (feed != NULL) {
        members_on_told(feed, has_joined, has_joined ? join.info : leave.info);
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
    case WIRE_JOIN:
    case WIRE_LEAVE:
        on_member(lane, frame);
        break;
    case WIRE_RESYNC:
        members_on_resync(lane, frame->body);
        break;
    case WIRE_RESULT:
        members_on_result(lane, frame->body);
        break;
    default: /* a number of the wire: totals, answers to beats are not followed here */
        break;
    }
}

static void on_carried_down(void *context, uint64_t ignored) {
    (void) ignored;
    const struct carried *carried = context;
    struct lane *lane = carried->lane;
    if (!lane->is_up || lane->link_epoch != carried->link_epoch) {
        return;
    }
    uint64_t open_us = lane->closed_us > lane->slow_us ? lane->closed_us : lane->slow_us;
    if (sim_now_us() < open_us || carried->order != lane->n_down_there) {
        uint64_t later_us = sim_now_us() + 50;
        sim_at(later_us < open_us ? open_us : later_us, on_carried_down, context, 0);
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
        lane_plan_flush(lane);
    }
}

void gateways_batch_down(int broker, uint32_t peer, uint64_t link_epoch, struct span batch) {
    for (int i = 0; i < gateway_world.n; i++) {
        struct lane *lane = &gateway_world.gateways[i].lanes[broker];
        if (lane->is_up && lane->number == peer && lane->link_epoch == link_epoch) {
            uint64_t at_us = sim_now_us() + sim_between(20, 500);
            lane->down_last_us = at_us < lane->down_last_us ? lane->down_last_us : at_us;
            sim_at(lane->down_last_us, on_carried_down, lane_carry(lane, batch, lane->n_down++), 0);
        }
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
        pending_finish(overdue->pending, &(struct publish_result){.outcome = PUBLISH_UNKNOWN});
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
    struct gateway *gateway = &gateway_world.gateways[number];
    const struct feed *feed = &gateway->feeds[checker_find_channel(span_of_text(channel))];
    struct lane *lane = broker < 0 ? feed_first_lane(feed) : &gateway->lanes[broker];
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
    lane_frame_added(lane, wire_encode_publish(lane_batch(lane), &frame));
}
