/* The hub over real links to a scripted broker (inproc): joining, fan-out, late sessions, moves, losses, presence. The
 * publications are JSON that the real codec encodes; sessions are counters here. */
#include "gateway/hub.h"

#include "base/clock.h"
#include "gateway/broker_links.h"
#include "tests/support/gateway_bench.h"
#include "tests/support/wire_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, SEEN_MAX = 4000 };

static struct gateway_bench bench;
static wire_broker_t *brokers[2];
static hub_t *hub;
static unsigned n_framed;

/* A session's subscription. */
struct viewer {
    struct hub_member member;
    unsigned n_joined, n_failed, n_lost, n_delivered;
    enum error_code code;
    struct hub_joined joined;
    uint64_t first_recovered, last_recovered;
    struct position lost_at;
    char last[512];
    char seen[SEEN_MAX]; /* the data of all that was delivered, one after another */
    bool leaves_on_delivery, leaves_on_loss;
    struct viewer *takes_along; /* leaves at the same moment */
};

static void leave(struct viewer *viewer) {
    hub_leave(hub, &viewer->member);
    if (viewer->takes_along != NULL) {
        hub_leave(hub, &viewer->takes_along->member);
    }
}

static void on_joined(struct hub_member *member, const struct hub_joined *joined) {
    struct viewer *viewer = member->owner;
    viewer->n_joined++;
    viewer->joined = *joined;
    struct cursor cursor = cursor_of(joined->publications);
    struct wire_publication publication;
    viewer->first_recovered = 0;
    for (uint32_t i = 0; i < joined->n_publications; i++) {
        assert_true(wire_read_publication(&cursor, &publication));
        viewer->first_recovered = i == 0 ? publication.offset : viewer->first_recovered;
        viewer->last_recovered = publication.offset;
    }
    assert_true(cursor_is_done(&cursor));
}

static void on_join_failed(struct hub_member *member, enum error_code code) {
    struct viewer *viewer = member->owner;
    viewer->n_failed++;
    viewer->code = code;
    assert_null(member->channel);
}

static void deliver(struct hub_member *member, payload_t *framed) {
    struct viewer *viewer = member->owner;
    struct span bytes = payload_span(framed);
    viewer->n_delivered++;
    snprintf(viewer->last, sizeof viewer->last, "%.*s", (int) bytes.size, (const char *) bytes.data);
    const char *mark = strstr(viewer->last, "\"m\":");
    if (mark != NULL) {
        size_t length = strlen(viewer->seen);
        snprintf(viewer->seen + length, sizeof viewer->seen - length, "%d ", atoi(mark + 4));
    }
    payload_unref(&framed);
    if (viewer->leaves_on_delivery) {
        leave(viewer);
    }
}

static void on_lost(struct hub_member *member, const struct position *position) {
    struct viewer *viewer = member->owner;
    viewer->n_lost++;
    viewer->lost_at = *position;
    if (viewer->leaves_on_loss) {
        leave(viewer);
    }
}

static payload_t *frame(enum client_encoding encoding, struct span message) {
    assert_int_equal(encoding, CLIENT_ENCODING_JSON);
    n_framed++;
    return payload_new(message);
}

static void turn_all(void) {
    for (size_t i = 0; i < 2; i++) {
        if (brokers[i] != NULL) {
            wire_broker_poll(brokers[i]);
        }
    }
    gateway_bench_turn(&bench);
}

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t deadline_ms_ = clock_monotonic_ms() + DEADLINE_MS;                                                    \
        while (!(condition)) {                                                                                         \
            if (clock_monotonic_ms() > deadline_ms_) {                                                                 \
                fail_msg("in vain: " #condition);                                                                      \
            }                                                                                                          \
            turn_all();                                                                                                \
        }                                                                                                              \
    } while (0)

static wire_broker_t *new_broker(const char *endpoint, const char *id) {
    return wire_broker_new(&(struct wire_broker_settings){.zmq_context = bench.zmq_context,
                                                          .endpoint = endpoint,
                                                          .id = id,
                                                          .turn = gateway_bench_turn,
                                                          .context = &bench});
}

static void start(void) {
    static const struct hub_callbacks callbacks = {.on_joined = on_joined,
                                                   .on_join_failed = on_join_failed,
                                                   .deliver = deliver,
                                                   .on_lost = on_lost,
                                                   .frame = frame};
    gateway_bench_start(&bench);
    hub = hub_new(bench.requests, bench.metrics, bench.wheel, &callbacks);
}

static void start_with_one_broker(void) {
    brokers[0] = new_broker("inproc://a", "broker-a");
    gateway_bench_add_endpoint(&bench, "inproc://a");
    start();
    wire_broker_await_link(brokers[0]);
}

static int set_up(void **state) {
    (void) state;
    gateway_bench_init(&bench);
    n_framed = 0;
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    hub_destroy(&hub);
    wire_broker_destroy(&brokers[0]);
    wire_broker_destroy(&brokers[1]);
    gateway_bench_finish(&bench);
    return 0;
}

/* ---- sessions ---- */

static void join_since(struct viewer *viewer, const char *channel, const char *epoch, uint64_t offset) {
    viewer->member.owner = viewer;
    viewer->member.encoding = CLIENT_ENCODING_JSON;
    struct position since = {epoch_from(span_of_text(epoch)), offset};
    hub_join(hub, span_of_text(channel), NULL, &viewer->member, true, &since, clock_monotonic_ms() + DEADLINE_MS);
}

static void join(struct viewer *viewer, const char *channel) {
    viewer->member.owner = viewer;
    viewer->member.encoding = CLIENT_ENCODING_JSON;
    hub_join(hub, span_of_text(channel), NULL, &viewer->member, false, NULL, clock_monotonic_ms() + DEADLINE_MS);
}

/* ---- the broker's side ---- */

static struct wire_subscribe expect_subscribe(wire_broker_t *broker) {
    struct wire_subscribe subscribe;
    assert_true(wire_decode_subscribe(wire_broker_expect(broker, WIRE_SUBSCRIBE, NULL).body, &subscribe));
    return subscribe;
}

static void append_publication(struct buffer *out, uint64_t offset) {
    char data[32];
    snprintf(data, sizeof data, "{\"m\":%d}", (int) offset);
    wire_append_publication(out, &(struct wire_publication){.offset = offset, .data = span_of_text(data)});
}

/* Answers with position (epoch, offset) and, where it was recovered, everything from since+1. */
static void answer(wire_broker_t *broker, const struct wire_subscribe *subscribe, const char *epoch, uint64_t offset,
                   unsigned flags) {
    struct buffer publications = BUFFER_EMPTY;
    uint32_t n = 0;
    if ((flags & WIRE_SUBSCRIBED_RECOVERED) != 0) {
        for (uint64_t i = subscribe->since_offset + 1; i <= offset; i++, n++) {
            append_publication(&publications, i);
        }
    }
    wire_encode_subscribed(wire_broker_batch(broker),
                           &(struct wire_subscribed){.request = subscribe->request,
                                                     .handle = subscribe->handle,
                                                     .flags = (uint8_t) flags,
                                                     .epoch = epoch_from(span_of_text(epoch)),
                                                     .offset = offset,
                                                     .n_publications = n,
                                                     .publications = buffer_span(&publications)});
    buffer_finish(&publications);
    wire_broker_send(broker, 0, 1);
}

static void push_marked(wire_broker_t *broker, uint32_t handle, uint64_t offset, int mark) {
    char data[32];
    struct buffer publication = BUFFER_EMPTY;
    snprintf(data, sizeof data, "{\"m\":%d}", mark);
    wire_append_publication(&publication, &(struct wire_publication){.offset = offset, .data = span_of_text(data)});
    wire_append_push(wire_broker_batch(broker), handle, buffer_span(&publication));
    buffer_finish(&publication);
    wire_broker_send(broker, 0, 1);
}

static void push(wire_broker_t *broker, uint32_t handle, uint64_t offset) {
    push_marked(broker, handle, offset, (int) offset);
}

enum { HISTORY = WIRE_SUBSCRIBED_HISTORY, RECOVERED = WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED };

/* One viewer live on "news" at (e, 9). */
static uint32_t make_live(struct viewer *viewer) {
    join(viewer, "news");
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    AWAIT(viewer->n_joined == 1);
    return subscribe.handle;
}

static void expect_unsubscribe(wire_broker_t *broker, uint32_t handle) {
    struct wire_unsubscribe unsubscribe;
    assert_true(wire_decode_unsubscribe(wire_broker_expect(broker, WIRE_UNSUBSCRIBE, NULL).body, &unsubscribe));
    assert_int_equal(unsubscribe.handle, handle);
}

/* ---- joining and fan-out ---- */

static void the_first_session_subscribes_and_joins_at_the_answer(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    join(&viewer, "news");
    assert_int_equal(viewer.n_joined, 0); /* never inside the call */
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_true(span_equal_text(subscribe.channel, "news"));
    assert_int_equal(subscribe.flags, 0);
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    AWAIT(viewer.n_joined == 1);
    assert_true(viewer.joined.has_history);
    assert_int_equal(viewer.joined.position.offset, 9);
    assert_string_equal(viewer.joined.position.epoch.text, "e");
    assert_false(viewer.joined.recovered);
    assert_true(span_equal_text(hub_member_channel(&viewer.member), "news"));
    hub_leave(hub, &viewer.member);
}

static void one_push_is_encoded_once_and_delivered_to_all(void **state) {
    (void) state;
    static struct viewer viewers[50];
    memset(viewers, 0, sizeof viewers);
    start_with_one_broker();
    uint32_t handle = make_live(&viewers[0]);
    for (size_t i = 1; i < 50; i++) {
        join(&viewers[i], "news");
    }
    AWAIT(viewers[49].n_joined == 1);
    assert_false(wire_broker_has_frame(brokers[0])); /* they joined at W without asking */
    assert_int_equal(viewers[49].joined.position.offset, 9);
    push(brokers[0], handle, 10);
    AWAIT(viewers[49].n_delivered == 1);
    assert_int_equal(n_framed, 1);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(viewers[i].n_delivered, 1);
        assert_non_null(strstr(viewers[i].last, "\"offset\":10"));
        assert_non_null(strstr(viewers[i].last, "\"channel\":\"news\""));
        hub_leave(hub, &viewers[i].member);
    }
    expect_unsubscribe(brokers[0], handle);
    AWAIT(hub_channels(hub) == 0);
    assert_int_equal(hub_members(hub), 0);
}

static void a_channel_without_history_just_passes(void **state) {
    (void) state;
    static struct viewer first, second;
    first = second = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    join(&first, "chat");
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "", 0, 0);
    join_since(&second, "chat", "e", 5); /* a client that believes in a history */
    AWAIT(first.n_joined == 1 && second.n_joined == 1);
    assert_false(first.joined.has_history || second.joined.has_history || second.joined.recovered);
    push_marked(brokers[0], subscribe.handle, 0, 1);
    push_marked(brokers[0], subscribe.handle, 0, 2);
    AWAIT(first.n_delivered == 2 && second.n_delivered == 2);
    assert_string_equal(first.seen, "1 2 ");
    hub_leave(hub, &first.member);
    hub_leave(hub, &second.member);
}

static void members_may_leave_inside_a_delivery_and_nobody_hears_twice_or_not_at_all(void **state) {
    (void) state;
    static struct viewer viewers[6];
    memset(viewers, 0, sizeof viewers);
    start_with_one_broker();
    uint32_t handle = make_live(&viewers[0]);
    for (size_t i = 1; i < 6; i++) {
        join(&viewers[i], "news");
    }
    AWAIT(viewers[5].n_joined == 1);
    viewers[2].leaves_on_delivery = true;
    viewers[2].takes_along = &viewers[0]; /* one that was served already */
    viewers[3].leaves_on_delivery = true;
    viewers[3].takes_along = &viewers[5]; /* one that was not yet */
    push(brokers[0], handle, 10);
    AWAIT(viewers[4].n_delivered == 1);
    unsigned expected[6] = {1, 1, 1, 1, 1, 0};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(viewers[i].n_delivered, expected[i]);
    }
    assert_int_equal(hub_members(hub), 2);
    push(brokers[0], handle, 11);
    AWAIT(viewers[4].n_delivered == 2 && viewers[1].n_delivered == 2);
    hub_leave(hub, &viewers[1].member);
    hub_leave(hub, &viewers[4].member);
}

static void who_leaves_and_comes_back_in_one_turn_costs_the_broker_nothing(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    make_live(&viewer);
    hub_leave(hub, &viewer.member);
    join(&viewer, "news");
    AWAIT(viewer.n_joined == 2);
    assert_false(wire_broker_has_frame(brokers[0]));
    hub_leave(hub, &viewer.member);
}

static void leaving_before_the_answer_takes_the_subscription_back(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    join(&viewer, "news");
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    hub_leave(hub, &viewer.member);
    expect_unsubscribe(brokers[0], subscribe.handle);
    answer(brokers[0], &subscribe, "e", 9, HISTORY); /* it crossed: nobody is there */
    AWAIT(gateway_bench_metric(&bench, "callboard_gateway_frames_dropped_total", "reason=\"retired_handle\"") == 1);
    assert_int_equal(viewer.n_joined, 0);
    assert_int_equal(hub_channels(hub), 0);
    hub_leave(hub, &viewer.member); /* harmless */
}

static void a_refusal_for_good_fails_the_sessions_and_one_for_now_is_retried(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    join(&viewer, "news");
    struct wire_subscribe first = expect_subscribe(brokers[0]);
    wire_encode_error(wire_broker_batch(brokers[0]), &(struct wire_error){.request = first.request,
                                                                          .handle = first.handle,
                                                                          .code = ERROR_INTERNAL,
                                                                          .flags = WIRE_ERROR_TEMPORARY});
    wire_broker_send(brokers[0], 0, 1);
    struct wire_subscribe second = expect_subscribe(brokers[0]);
    assert_int_not_equal(second.handle, first.handle); /* used once */
    wire_encode_error(
        wire_broker_batch(brokers[0]),
        &(struct wire_error){.request = second.request, .handle = second.handle, .code = ERROR_UNKNOWN_CHANNEL});
    wire_broker_send(brokers[0], 0, 1);
    AWAIT(viewer.n_failed == 1);
    assert_int_equal(viewer.code, ERROR_UNKNOWN_CHANNEL);
    AWAIT(hub_channels(hub) == 0);
}

static void without_a_broker_joining_fails_at_its_deadline(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.member = {.owner = &viewer}};
    gateway_bench_add_endpoint(&bench, "inproc://nobody");
    start();
    hub_join(hub, SPAN_LITERAL("news"), NULL, &viewer.member, false, NULL, clock_monotonic_ms() + 50);
    AWAIT(viewer.n_failed == 1);
    assert_int_equal(viewer.code, ERROR_INTERNAL);
    AWAIT(hub_channels(hub) == 0);
}

/* ---- recovery ---- */

static void the_first_session_recovers_from_its_since(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    join_since(&viewer, "news", "e", 5);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.flags, WIRE_SUBSCRIBE_SINCE); /* not our own position */
    assert_int_equal(subscribe.since_offset, 5);
    answer(brokers[0], &subscribe, "e", 9, RECOVERED);
    AWAIT(viewer.n_joined == 1);
    assert_true(viewer.joined.recovered);
    assert_int_equal(viewer.joined.n_publications, 4);
    assert_int_equal(viewer.first_recovered, 6);
    assert_int_equal(viewer.last_recovered, 9);
    hub_leave(hub, &viewer.member);
}

static void a_thousand_late_sessions_cost_one_read_and_each_gets_its_slice(void **state) {
    (void) state;
    enum { LATE = 1000 };
    static struct viewer viewers[LATE + 1];
    memset(viewers, 0, sizeof viewers);
    start_with_one_broker();
    uint32_t handle = make_live(&viewers[LATE]);
    for (uint64_t offset = 10; offset <= 60; offset++) {
        push(brokers[0], handle, offset);
    }
    AWAIT(viewers[LATE].n_delivered == 51);
    for (size_t i = 0; i < LATE; i++) {
        join_since(&viewers[i], "news", "e", 20 + i % 40);
    }
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.handle, handle);
    assert_int_equal(subscribe.since_offset, 20); /* the smallest of those waiting */
    assert_false(wire_broker_has_frame(brokers[0]));
    answer(brokers[0], &subscribe, "e", 60, RECOVERED);
    AWAIT(viewers[LATE - 1].n_joined == 1);
    for (size_t i = 0; i < LATE; i++) {
        assert_true(viewers[i].joined.recovered);
        assert_int_equal(viewers[i].joined.n_publications, 40 - i % 40);
        assert_int_equal(viewers[i].first_recovered, 21 + i % 40);
        assert_int_equal(viewers[i].last_recovered, 60);
    }
    assert_false(wire_broker_has_frame(brokers[0]));
    push(brokers[0], handle, 61);
    AWAIT(viewers[0].n_delivered == 1);
    for (size_t i = 0; i <= LATE; i++) {
        assert_int_equal(viewers[i].n_delivered, i == LATE ? 52 : 1);
        hub_leave(hub, &viewers[i].member);
    }
}

static void one_that_cannot_be_recovered_does_not_spoil_it_for_the_others(void **state) {
    (void) state;
    static struct viewer live, old, recent, current, foreign;
    live = old = recent = current = foreign = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&live);
    join_since(&old, "news", "e", 1);
    join_since(&recent, "news", "e", 8);
    join_since(&current, "news", "e", 9);
    join_since(&foreign, "news", "other", 3);
    struct wire_subscribe first = expect_subscribe(brokers[0]);
    AWAIT(current.n_joined == 1); /* no broker is needed for that */
    assert_int_equal(foreign.n_joined, 0);
    assert_true(current.joined.recovered);
    assert_int_equal(current.joined.n_publications, 0);
    assert_int_equal(first.since_offset, 1);
    answer(brokers[0], &first, "e", 9, HISTORY);
    AWAIT(old.n_joined == 1 && foreign.n_joined == 1); /* any answer says which epoch it is */
    assert_false(foreign.joined.recovered);
    assert_false(old.joined.recovered);
    assert_int_equal(old.joined.position.offset, 9);
    assert_int_equal(recent.n_joined, 0);
    struct wire_subscribe second = expect_subscribe(brokers[0]);
    assert_int_equal(second.handle, handle);
    assert_int_equal(second.since_offset, 8);
    answer(brokers[0], &second, "e", 9, RECOVERED);
    AWAIT(recent.n_joined == 1);
    assert_true(recent.joined.recovered);
    assert_int_equal(recent.joined.n_publications, 1);
    hub_leave(hub, &live.member);
    hub_leave(hub, &old.member);
    hub_leave(hub, &recent.member);
    hub_leave(hub, &current.member);
    hub_leave(hub, &foreign.member);
}

static void a_session_ahead_of_the_hub_asks_and_waits(void **state) {
    (void) state;
    static struct viewer live, ahead;
    live = ahead = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&live);
    join_since(&ahead, "news", "e", 11); /* told at another gateway; our pushes are on their way */
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.since_offset, 11);
    push(brokers[0], handle, 10);
    push(brokers[0], handle, 11);
    answer(brokers[0], &subscribe, "e", 11, RECOVERED);
    AWAIT(ahead.n_joined == 1);
    assert_true(ahead.joined.recovered);
    assert_int_equal(ahead.joined.n_publications, 0);
    assert_int_equal(live.n_delivered, 2);
    hub_leave(hub, &live.member);
    hub_leave(hub, &ahead.member);
}

/* The link was half open while the channel began anew: the hub does not know yet, but who comes from another gateway
 * does. */
static void who_comes_from_a_newer_epoch_is_not_sent_back_to_the_one_that_is_over(void **state) {
    (void) state;
    static struct viewer live, newer;
    live = newer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&live);
    join_since(&newer, "news", "f", 3);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_string_equal(subscribe.since_epoch.text, "f");
    assert_int_equal(subscribe.since_offset, 3);
    assert_int_equal(newer.n_joined, 0);
    wire_encode_lost(wire_broker_batch(brokers[0]), &(struct wire_lost){handle, {"f"}, 5});
    wire_broker_send(brokers[0], 0, 1);
    answer(brokers[0], &subscribe, "f", 5, RECOVERED);
    AWAIT(newer.n_joined == 1);
    assert_true(newer.joined.recovered);
    assert_int_equal(newer.joined.n_publications, 2);
    assert_int_equal(live.n_lost, 1);
    hub_leave(hub, &live.member);
    hub_leave(hub, &newer.member);
}

static void an_answer_with_holes_is_not_believed(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    join_since(&viewer, "news", "e", 5);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    struct buffer publications = BUFFER_EMPTY;
    append_publication(&publications, 6);
    append_publication(&publications, 8);
    wire_encode_subscribed(wire_broker_batch(brokers[0]),
                           &(struct wire_subscribed){.request = subscribe.request,
                                                     .handle = subscribe.handle,
                                                     .flags = RECOVERED,
                                                     .epoch = {"e"},
                                                     .offset = 8,
                                                     .n_publications = 2,
                                                     .publications = buffer_span(&publications)});
    buffer_finish(&publications);
    wire_broker_send(brokers[0], 0, 1);
    AWAIT(wire_broker_reset_reason(brokers[0]) == WIRE_RESET_BAD_FRAME);
    assert_int_equal(viewer.n_joined, 0);
    /* On the new link it goes well. */
    subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 8, RECOVERED);
    AWAIT(viewer.n_joined == 1);
    hub_leave(hub, &viewer.member);
}

/* ---- gaps, lagging, lost ---- */

static void a_gap_is_filled_before_anything_else_is_delivered(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&viewer);
    push(brokers[0], handle, 10);
    push(brokers[0], handle, 12);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.flags, WIRE_SUBSCRIBE_SINCE | WIRE_SUBSCRIBE_OWN);
    assert_int_equal(subscribe.handle, handle);
    assert_int_equal(subscribe.since_offset, 10);
    answer(brokers[0], &subscribe, "e", 12, RECOVERED);
    push(brokers[0], handle, 13);
    AWAIT(viewer.n_delivered == 4);
    assert_string_equal(viewer.seen, "10 11 12 13 ");
    assert_int_equal(viewer.n_lost, 0);
    hub_leave(hub, &viewer.member);
}

static void lagging_is_caught_up_page_by_page(void **state) {
    (void) state;
    static struct viewer viewer, late;
    viewer = late = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&viewer);
    wire_encode_lagging(wire_broker_batch(brokers[0]), &(struct wire_lagging){handle});
    wire_broker_send(brokers[0], 0, 1);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.since_offset, 9);
    join(&late, "news"); /* waits until the hub has caught up */
    answer(brokers[0], &subscribe, "e", 11, RECOVERED | WIRE_SUBSCRIBED_MORE);
    subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.since_offset, 11);
    assert_int_equal(subscribe.handle, handle);
    assert_int_equal(late.n_joined, 0);
    answer(brokers[0], &subscribe, "e", 13, RECOVERED);
    AWAIT(viewer.n_delivered == 4 && late.n_joined == 1);
    assert_string_equal(viewer.seen, "10 11 12 13 ");
    assert_int_equal(late.joined.position.offset, 13);
    hub_leave(hub, &viewer.member);
    hub_leave(hub, &late.member);
}

static void lost_continuity_is_told_and_the_stream_goes_on(void **state) {
    (void) state;
    static struct viewer stays, goes;
    stays = goes = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&stays);
    join(&goes, "news");
    AWAIT(goes.n_joined == 1);
    goes.leaves_on_loss = true;
    wire_encode_lost(wire_broker_batch(brokers[0]), &(struct wire_lost){handle, {"f"}, 7});
    wire_broker_send(brokers[0], 0, 1);
    push(brokers[0], handle, 8);
    AWAIT(stays.n_delivered == 1);
    assert_int_equal(stays.n_lost, 1);
    assert_int_equal(goes.n_lost, 1);
    assert_string_equal(stays.lost_at.epoch.text, "f");
    assert_int_equal(stays.lost_at.offset, 7);
    assert_int_equal(goes.n_delivered, 0);
    hub_leave(hub, &stays.member);
}

static void a_push_that_never_came_is_found_by_the_tops_of_two_beats(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&viewer);
    wire_broker_set_tops(brokers[0], handle, 11);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.since_offset, 9);
    assert_int_equal(subscribe.flags, WIRE_SUBSCRIBE_SINCE | WIRE_SUBSCRIBE_OWN);
    answer(brokers[0], &subscribe, "e", 11, RECOVERED);
    AWAIT(viewer.n_delivered == 2);
    assert_string_equal(viewer.seen, "10 11 ");
    assert_int_equal(gateway_bench_metric(&bench, "callboard_gateway_channels_behind_total", NULL), 1);
    hub_leave(hub, &viewer.member);
}

static void a_top_that_w_reaches_in_time_is_no_loss(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    bench.config.heartbeat_ms = 400;
    start_with_one_broker();
    uint32_t handle = make_live(&viewer);
    wire_broker_set_tops(brokers[0], handle, 10);
    unsigned beats = wire_broker_beats(brokers[0]);
    AWAIT(wire_broker_beats(brokers[0]) > beats);
    push(brokers[0], handle, 10);
    AWAIT(wire_broker_beats(brokers[0]) > beats + 2);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_gateway_channels_behind_total", NULL), 0);
    hub_leave(hub, &viewer.member);
}

/* ---- moves ---- */

/* Two brokers; "news" is live at the one ranked first, returned in *ret_first. */
static uint32_t make_live_beside_another(struct viewer *viewer, size_t *ret_first) {
    brokers[0] = new_broker("inproc://a", "broker-a");
    brokers[1] = new_broker("inproc://b", "broker-b");
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_add_endpoint(&bench, "inproc://b");
    start();
    AWAIT(wire_broker_beats(brokers[0]) > 0 && wire_broker_beats(brokers[1]) > 0);
    uint32_t partition = partition_of(SPAN_LITERAL("news"), 256);
    size_t first =
        partition_rank(partition, SPAN_LITERAL("broker-a")) < partition_rank(partition, SPAN_LITERAL("broker-b"));
    *ret_first = first;
    join(viewer, "news");
    struct wire_subscribe subscribe = expect_subscribe(brokers[first]);
    answer(brokers[first], &subscribe, "e", 9, HISTORY);
    AWAIT(viewer->n_joined == 1);
    return subscribe.handle;
}

static void lose_link(wire_broker_t *broker) {
    wire_broker_set_greeting(broker, false);
    wire_encode_reset(wire_broker_batch(broker), &(struct wire_reset){.reason = WIRE_RESET_OVERFLOW});
    wire_broker_send(broker, WIRE_SHARD_SWITCHBOARD, 1);
}

/* redis.md, scenario 10. */
static void a_drained_broker_hands_over_without_a_gap_or_a_double(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    size_t first;
    uint32_t handle = make_live_beside_another(&viewer, &first);
    push(brokers[first], handle, 10);
    wire_encode_drain(wire_broker_batch(brokers[first]), &(struct wire_drain){.within_ms = 5000});
    wire_broker_send(brokers[first], WIRE_SHARD_SWITCHBOARD, 1);
    expect_unsubscribe(brokers[first], handle);
    struct wire_subscribe subscribe = expect_subscribe(brokers[1 - first]);
    assert_int_not_equal(subscribe.handle, handle);
    assert_int_equal(subscribe.flags, WIRE_SUBSCRIBE_SINCE | WIRE_SUBSCRIBE_OWN);
    assert_int_equal(subscribe.since_offset, 10);
    push(brokers[first], handle, 11); /* late, on the retired handle */
    answer(brokers[1 - first], &subscribe, "e", 12, RECOVERED);
    push(brokers[1 - first], subscribe.handle, 13);
    AWAIT(viewer.n_delivered == 4);
    assert_string_equal(viewer.seen, "10 11 12 13 ");
    assert_int_equal(viewer.n_lost, 0);
    /* The last session leaves and comes back: yet another handle. */
    hub_leave(hub, &viewer.member);
    expect_unsubscribe(brokers[1 - first], subscribe.handle);
    join(&viewer, "news");
    struct wire_subscribe again = expect_subscribe(brokers[1 - first]);
    assert_true(again.handle != subscribe.handle && again.handle != handle);
    hub_leave(hub, &viewer.member);
}

static void a_lost_link_moves_the_channel_to_the_next_broker(void **state) {
    (void) state;
    static struct viewer viewer, late;
    viewer = late = (struct viewer){.n_joined = 0};
    size_t first;
    make_live_beside_another(&viewer, &first);
    lose_link(brokers[first]);
    struct wire_subscribe subscribe = expect_subscribe(brokers[1 - first]);
    assert_int_equal(subscribe.since_offset, 9);
    join_since(&late, "news", "e", 10); /* it may be ahead of us by now */
    answer(brokers[1 - first], &subscribe, "e", 11, RECOVERED);
    AWAIT(viewer.n_delivered == 2 && late.n_joined == 1);
    assert_string_equal(viewer.seen, "10 11 ");
    assert_true(late.joined.recovered);
    assert_int_equal(late.joined.n_publications, 1); /* sliced from the hub's own page */
    hub_leave(hub, &viewer.member);
    hub_leave(hub, &late.member);
}

static void a_range_that_is_gone_after_a_move_is_told(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    size_t first;
    make_live_beside_another(&viewer, &first);
    lose_link(brokers[first]);
    struct wire_subscribe subscribe = expect_subscribe(brokers[1 - first]);
    answer(brokers[1 - first], &subscribe, "f", 3, HISTORY);
    AWAIT(viewer.n_lost == 1);
    assert_string_equal(viewer.lost_at.epoch.text, "f");
    assert_int_equal(viewer.lost_at.offset, 3);
    assert_int_equal(viewer.n_delivered, 0);
    hub_leave(hub, &viewer.member);
}

static void a_broker_that_is_away_for_longer_than_the_grace_is_told_once(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    bench.config.move_grace_ms = 100;
    start_with_one_broker();
    make_live(&viewer);
    lose_link(brokers[0]);
    AWAIT(viewer.n_lost == 1);
    assert_true(epoch_is_empty(&viewer.lost_at.epoch));
    /* It stays, without a position; when the broker is back, the stream goes on from there. */
    wire_broker_set_greeting(brokers[0], true);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.flags, 0);
    answer(brokers[0], &subscribe, "e", 20, HISTORY);
    push(brokers[0], subscribe.handle, 21);
    AWAIT(viewer.n_delivered == 1);
    assert_int_equal(viewer.n_lost, 1);
    hub_leave(hub, &viewer.member);
}

static void channels_come_home_when_their_broker_is_back(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    size_t first;
    make_live_beside_another(&viewer, &first);
    lose_link(brokers[first]);
    struct wire_subscribe away = expect_subscribe(brokers[1 - first]);
    answer(brokers[1 - first], &away, "e", 9, RECOVERED);
    wire_broker_set_greeting(brokers[first], true);
    struct wire_subscribe home = expect_subscribe(brokers[first]);
    expect_unsubscribe(brokers[1 - first], away.handle);
    assert_int_equal(home.since_offset, 9);
    answer(brokers[first], &home, "e", 10, RECOVERED);
    AWAIT(viewer.n_delivered == 1);
    assert_int_equal(viewer.n_lost, 0);
    hub_leave(hub, &viewer.member);
}

static void many_channels_move_within_the_credit_and_none_is_forgotten(void **state) {
    (void) state;
    enum { CHANNELS = 300 };
    static struct viewer viewers[CHANNELS];
    memset(viewers, 0, sizeof viewers);
    brokers[0] = wire_broker_new(&(struct wire_broker_settings){.zmq_context = bench.zmq_context,
                                                                .endpoint = "inproc://a",
                                                                .id = "broker-a",
                                                                .credit_frames = 10,
                                                                .turn = gateway_bench_turn,
                                                                .context = &bench});
    gateway_bench_add_endpoint(&bench, "inproc://a");
    start();
    wire_broker_await_link(brokers[0]);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; round == 0 && i < CHANNELS; i++) {
            char channel[32];
            snprintf(channel, sizeof channel, "channel-%zu", i);
            join(&viewers[i], channel);
        }
        for (size_t i = 0; i < CHANNELS; i++) {
            struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
            assert_int_equal(subscribe.since_offset, round == 0 ? 0 : 9);
            answer(brokers[0], &subscribe, "e", 9, round == 0 ? HISTORY : RECOVERED);
        }
        AWAIT(hub_members(hub) == CHANNELS);
        if (round == 0) {
            wire_encode_reset(wire_broker_batch(brokers[0]), &(struct wire_reset){.reason = WIRE_RESET_UNKNOWN_LINK});
            wire_broker_send(brokers[0], WIRE_SHARD_SWITCHBOARD, 1);
        }
    }
    for (size_t i = 0; i < CHANNELS; i++) {
        assert_int_equal(viewers[i].n_joined, 1);
        assert_int_equal(viewers[i].n_lost, 0);
        hub_leave(hub, &viewers[i].member);
    }
    AWAIT(hub_channels(hub) == 0);
}

/* ---- presence ---- */

static payload_t *client_info(const char *client, const char *user) {
    struct buffer bytes = BUFFER_EMPTY;
    wire_append_client_info(&bytes,
                            &(struct wire_client_info){.user = span_of_text(user), .client = span_of_text(client)});
    payload_t *info = payload_new(buffer_span(&bytes));
    buffer_finish(&bytes);
    return info;
}

static void expect_presence_set(wire_broker_t *broker, uint32_t handle, unsigned flags) {
    struct wire_presence_set set;
    struct wire_client_info info;
    assert_true(wire_decode_presence_set(wire_broker_expect(broker, WIRE_PRESENCE_SET, NULL).body, &set));
    assert_int_equal(set.handle, handle);
    assert_int_equal(set.flags, flags);
    assert_true(wire_read_client_info(set.info, &info));
    assert_true(span_equal_text(info.client, "c1"));
}

static void expect_presence_clear(wire_broker_t *broker, uint32_t handle) {
    struct wire_presence_clear clear;
    assert_true(wire_decode_presence_clear(wire_broker_expect(broker, WIRE_PRESENCE_CLEAR, NULL).body, &clear));
    assert_int_equal(clear.handle, handle);
    assert_true(span_equal_text(clear.client, "c1") && span_equal_text(clear.user, "u1"));
}

static void presence_is_set_told_again_on_resync_and_cleared_by_leaving(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&viewer);
    payload_t *info = client_info("c1", "u1");
    hub_presence_set(hub, &viewer.member, info, true);
    payload_unref(&info);
    expect_presence_set(brokers[0], handle, WIRE_PRESENCE_JOIN_LEAVE);
    wire_encode_resync(wire_broker_batch(brokers[0]), &(struct wire_resync){.n = 0});
    wire_broker_send(brokers[0], 0, 1);
    expect_presence_set(brokers[0], handle, WIRE_PRESENCE_JOIN_LEAVE | WIRE_PRESENCE_RESYNC);
    /* Another partition's is none of ours. */
    struct buffer partitions = BUFFER_EMPTY;
    buffer_append_u32(&partitions, (partition_of(SPAN_LITERAL("news"), 256) + 1) % 256);
    wire_encode_resync(wire_broker_batch(brokers[0]),
                       &(struct wire_resync){.n = 1, .partitions = buffer_span(&partitions)});
    buffer_finish(&partitions);
    wire_broker_send(brokers[0], 0, 1);
    assert_false(wire_broker_has_frame(brokers[0]));
    hub_leave(hub, &viewer.member);
    expect_presence_clear(brokers[0], handle);
    expect_unsubscribe(brokers[0], handle);
}

static void presence_moves_silently_and_a_clear_without_a_link_is_not_forgotten(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&viewer);
    payload_t *info = client_info("c1", "u1");
    hub_presence_set(hub, &viewer.member, info, false);
    payload_unref(&info);
    expect_presence_set(brokers[0], handle, 0);
    wire_encode_reset(wire_broker_batch(brokers[0]), &(struct wire_reset){.reason = WIRE_RESET_UNKNOWN_LINK});
    wire_broker_send(brokers[0], WIRE_SHARD_SWITCHBOARD, 1);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 9, RECOVERED);
    expect_presence_set(brokers[0], subscribe.handle, WIRE_PRESENCE_RESYNC);
    /* Now the session goes while the link is away. */
    lose_link(brokers[0]);
    for (int i = 0; i < 20; i++) {
        turn_all();
    }
    hub_leave(hub, &viewer.member);
    wire_broker_set_greeting(brokers[0], true);
    subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 9, RECOVERED);
    expect_presence_clear(brokers[0], subscribe.handle);
    expect_unsubscribe(brokers[0], subscribe.handle);
    AWAIT(hub_channels(hub) == 0);
}

static void set_presence(struct viewer *viewer, const char *client) {
    payload_t *info = client_info(client, "u1");
    hub_presence_set(hub, &viewer->member, info, false);
    payload_unref(&info);
}

static void resync_all(void) {
    wire_encode_resync(wire_broker_batch(brokers[0]), &(struct wire_resync){.n = 0});
    wire_broker_send(brokers[0], 0, 1);
}

static int64_t forgotten(void) {
    return gateway_bench_metric(&bench, "callboard_gateway_presence_departures_forgotten_total", NULL);
}

/* The broker may have died with the clear in its hands; it would be a ghost for as long as this gateway lives. */
static void who_left_just_before_its_broker_was_lost_is_cleared_again_at_the_next(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&viewer);
    set_presence(&viewer, "c1");
    expect_presence_set(brokers[0], handle, 0);
    hub_leave(hub, &viewer.member);
    expect_presence_clear(brokers[0], handle);
    expect_unsubscribe(brokers[0], handle);
    AWAIT(hub_channels(hub) == 0);
    lose_link(brokers[0]);
    wire_broker_set_greeting(brokers[0], true);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    expect_presence_clear(brokers[0], subscribe.handle);
    expect_unsubscribe(brokers[0], subscribe.handle);
    AWAIT(hub_channels(hub) == 0);
}

/* A failover may lose the newest changes of presence: then the broker asks. Who is back is set behind the clear. */
static void who_left_lately_is_cleared_again_on_resync_and_who_came_back_set_again(void **state) {
    (void) state;
    static struct viewer stays, goes;
    stays = goes = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    uint32_t handle = make_live(&stays);
    join(&goes, "news");
    AWAIT(goes.n_joined == 1);
    set_presence(&goes, "c1");
    expect_presence_set(brokers[0], handle, 0);
    hub_leave(hub, &goes.member);
    expect_presence_clear(brokers[0], handle);
    resync_all();
    expect_presence_clear(brokers[0], handle);
    goes = (struct viewer){.n_joined = 0};
    join(&goes, "news");
    AWAIT(goes.n_joined == 1);
    set_presence(&goes, "c1");
    expect_presence_set(brokers[0], handle, 0);
    resync_all();
    expect_presence_clear(brokers[0], handle);
    expect_presence_set(brokers[0], handle, WIRE_PRESENCE_RESYNC);
    hub_leave(hub, &goes.member);
    hub_leave(hub, &stays.member);
}

/* brokers.departures_memory: one channel with one client fits, a second channel does not. */
static void above_the_memory_for_departures_they_are_counted_instead(void **state) {
    (void) state;
    static struct viewer one, two;
    one = two = (struct viewer){.n_joined = 0};
    enum { ONE_CHANNEL = 900 };
    bench.config.departures_bytes_max = ONE_CHANNEL;
    start_with_one_broker();
    uint32_t handle = make_live(&one);
    set_presence(&one, "c1");
    expect_presence_set(brokers[0], handle, 0);
    join(&two, "sports");
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    AWAIT(two.n_joined == 1);
    set_presence(&two, "c1");
    expect_presence_set(brokers[0], subscribe.handle, 0);
    hub_leave(hub, &one.member);
    expect_presence_clear(brokers[0], handle);
    expect_unsubscribe(brokers[0], handle);
    assert_int_equal(forgotten(), 0);
    hub_leave(hub, &two.member);
    expect_presence_clear(brokers[0], subscribe.handle);
    expect_unsubscribe(brokers[0], subscribe.handle);
    assert_int_equal(forgotten(), 1);
    lose_link(brokers[0]);
    wire_broker_set_greeting(brokers[0], true);
    subscribe = expect_subscribe(brokers[0]);
    assert_true(span_equal_text(subscribe.channel, "news"));
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    expect_presence_clear(brokers[0], subscribe.handle);
    expect_unsubscribe(brokers[0], subscribe.handle);
    assert_false(wire_broker_has_frame(brokers[0]));
}

/* Longer than move_grace nobody needs it: the name goes, too. */
static void who_left_long_ago_is_forgotten(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    bench.config.move_grace_ms = 50;
    start_with_one_broker();
    uint32_t handle = make_live(&viewer);
    set_presence(&viewer, "c1");
    expect_presence_set(brokers[0], handle, 0);
    hub_leave(hub, &viewer.member);
    expect_presence_clear(brokers[0], handle);
    expect_unsubscribe(brokers[0], handle);
    uint64_t forgotten_ms = clock_monotonic_ms() + 150;
    AWAIT(clock_monotonic_ms() > forgotten_ms);
    lose_link(brokers[0]);
    wire_broker_set_greeting(brokers[0], true);
    AWAIT(wire_broker_is_linked(brokers[0]));
    assert_false(wire_broker_has_frame(brokers[0]));
}

static void joins_and_leaves_reach_only_those_who_want_them(void **state) {
    (void) state;
    static struct viewer wants, other;
    wants = other = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    wants.member.wants_presence_events = true;
    uint32_t handle = make_live(&wants);
    join(&other, "news");
    AWAIT(other.n_joined == 1);
    payload_t *info = client_info("c9", "u9");
    wire_encode_join(wire_broker_batch(brokers[0]), &(struct wire_join){handle, payload_span(info)});
    wire_broker_send(brokers[0], 0, 1);
    AWAIT(wants.n_delivered == 1);
    assert_non_null(strstr(wants.last, "\"join\""));
    assert_non_null(strstr(wants.last, "c9"));
    wire_encode_leave(wire_broker_batch(brokers[0]), &(struct wire_leave){handle, payload_span(info)});
    wire_broker_send(brokers[0], 0, 1);
    AWAIT(wants.n_delivered == 2);
    assert_non_null(strstr(wants.last, "\"leave\""));
    assert_int_equal(other.n_delivered, 0);
    payload_unref(&info);
    hub_leave(hub, &wants.member);
    hub_leave(hub, &other.member);
}

/* ---- at random ---- */

/* Sessions come and go, the broker pushes, forgets pushes, lags, loses and resets: each positioned session sees steps
 * of one from where it joined, or is told. */
static struct model {
    uint64_t top;
    char epoch[8];
    uint32_t handle;
} model;

/* What comes later is served in a later step: so the steps fall in every phase of a subscription. */
static void serve(wire_broker_t *broker) {
    while (wire_broker_has_frame_soon(broker, 4)) {
        /* Only SUBSCRIBE and UNSUBSCRIBE can come. */
        struct wire_frame frame_read = wire_broker_expect_any(broker);
        struct wire_subscribe subscribe;
        if (frame_read.kind != WIRE_SUBSCRIBE) {
            continue;
        }
        assert_true(wire_decode_subscribe(frame_read.body, &subscribe));
        bool has_since = (subscribe.flags & WIRE_SUBSCRIBE_SINCE) != 0;
        bool recovers = has_since && span_equal_text(epoch_span(&subscribe.since_epoch), model.epoch) &&
                        subscribe.since_offset <= model.top && subscribe.since_offset + 12 > model.top;
        model.handle = subscribe.handle;
        answer(broker, &subscribe, model.epoch, model.top, recovers ? RECOVERED : HISTORY);
    }
}

static void random_event(wire_broker_t *broker) {
    switch (rand() % 12) {
    case 0: /* the push is lost on the way: the next one shows the gap */
        model.top++;
        break;
    case 1:
        if (model.handle != 0) {
            snprintf(model.epoch, sizeof model.epoch, "e%d", rand() % 1000);
            wire_encode_lost(wire_broker_batch(broker),
                             &(struct wire_lost){model.handle, epoch_from(span_of_text(model.epoch)), model.top});
            wire_broker_send(broker, 0, 1);
        }
        break;
    case 2:
        wire_encode_lagging(wire_broker_batch(broker), &(struct wire_lagging){model.handle});
        wire_broker_send(broker, 0, 1);
        break;
    case 3:
        wire_encode_reset(wire_broker_batch(broker), &(struct wire_reset){.reason = WIRE_RESET_UNKNOWN_LINK});
        wire_broker_send(broker, WIRE_SHARD_SWITCHBOARD, 1);
        model.handle = 0;
        wire_broker_await_link(broker);
        break;
    default:
        model.top++;
        if (model.handle != 0) {
            push(broker, model.handle, model.top);
        }
        break;
    }
}

static void check_steps(const struct viewer *viewer, uint64_t start_offset) {
    uint64_t expected = start_offset;
    const char *at = viewer->seen;
    while (*at != '\0') {
        char *end;
        uint64_t offset = strtoull(at, &end, 10);
        assert_int_equal(offset, expected + 1);
        expected = offset;
        at = end + 1;
    }
}

static void at_random_every_session_sees_steps_of_one_or_is_told(void **state) {
    (void) state;
    enum { WALKERS = 8, STEPS = 600 };
    static struct viewer walkers[WALKERS];
    memset(walkers, 0, sizeof walkers);
    model.top = 100;
    snprintf(model.epoch, sizeof model.epoch, "e");
    start_with_one_broker();
    srand(11);
    for (int step = 0; step < STEPS; step++) {
        struct viewer *viewer = &walkers[rand() % WALKERS];
        if (viewer->member.channel == NULL) {
            bool comes_back = viewer->n_joined > 0 && rand() % 2 == 0 && viewer->n_lost == 0;
            uint64_t last = viewer->joined.position.offset + strlen(viewer->seen) / 4;
            struct epoch epoch = viewer->joined.position.epoch;
            *viewer = (struct viewer){.leaves_on_loss = true};
            if (comes_back) {
                join_since(viewer, "news", epoch.text, last);
            } else {
                join(viewer, "news");
            }
        } else if (rand() % 8 == 0) {
            hub_leave(hub, &viewer->member);
        }
        serve(brokers[0]);
        if (wire_broker_is_linked(brokers[0])) {
            random_event(brokers[0]);
        }
        for (size_t i = 0; i < WALKERS; i++) {
            if (walkers[i].n_joined > 0) {
                check_steps(&walkers[i], walkers[i].joined.position.offset);
            }
        }
    }
    for (size_t i = 0; i < WALKERS; i++) {
        hub_leave(hub, &walkers[i].member);
    }
    AWAIT((serve(brokers[0]), hub_channels(hub) == 0));
}

int main(void) {
#define HUB_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        HUB_TEST(the_first_session_subscribes_and_joins_at_the_answer),
        HUB_TEST(one_push_is_encoded_once_and_delivered_to_all),
        HUB_TEST(a_channel_without_history_just_passes),
        HUB_TEST(members_may_leave_inside_a_delivery_and_nobody_hears_twice_or_not_at_all),
        HUB_TEST(who_leaves_and_comes_back_in_one_turn_costs_the_broker_nothing),
        HUB_TEST(leaving_before_the_answer_takes_the_subscription_back),
        HUB_TEST(a_refusal_for_good_fails_the_sessions_and_one_for_now_is_retried),
        HUB_TEST(without_a_broker_joining_fails_at_its_deadline),
        HUB_TEST(the_first_session_recovers_from_its_since),
        HUB_TEST(a_thousand_late_sessions_cost_one_read_and_each_gets_its_slice),
        HUB_TEST(one_that_cannot_be_recovered_does_not_spoil_it_for_the_others),
        HUB_TEST(who_comes_from_a_newer_epoch_is_not_sent_back_to_the_one_that_is_over),
        HUB_TEST(a_session_ahead_of_the_hub_asks_and_waits),
        HUB_TEST(an_answer_with_holes_is_not_believed),
        HUB_TEST(a_gap_is_filled_before_anything_else_is_delivered),
        HUB_TEST(lagging_is_caught_up_page_by_page),
        HUB_TEST(lost_continuity_is_told_and_the_stream_goes_on),
        HUB_TEST(a_push_that_never_came_is_found_by_the_tops_of_two_beats),
        HUB_TEST(a_top_that_w_reaches_in_time_is_no_loss),
        HUB_TEST(a_drained_broker_hands_over_without_a_gap_or_a_double),
        HUB_TEST(a_lost_link_moves_the_channel_to_the_next_broker),
        HUB_TEST(a_range_that_is_gone_after_a_move_is_told),
        HUB_TEST(a_broker_that_is_away_for_longer_than_the_grace_is_told_once),
        HUB_TEST(channels_come_home_when_their_broker_is_back),
        HUB_TEST(many_channels_move_within_the_credit_and_none_is_forgotten),
        HUB_TEST(presence_is_set_told_again_on_resync_and_cleared_by_leaving),
        HUB_TEST(presence_moves_silently_and_a_clear_without_a_link_is_not_forgotten),
        HUB_TEST(who_left_just_before_its_broker_was_lost_is_cleared_again_at_the_next),
        HUB_TEST(who_left_lately_is_cleared_again_on_resync_and_who_came_back_set_again),
        HUB_TEST(above_the_memory_for_departures_they_are_counted_instead),
        HUB_TEST(who_left_long_ago_is_forgotten),
        HUB_TEST(joins_and_leaves_reach_only_those_who_want_them),
        HUB_TEST(at_random_every_session_sees_steps_of_one_or_is_told),
    };
    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
