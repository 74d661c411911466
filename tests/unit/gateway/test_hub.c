/* The hub: joining and fan-out, recovery of late sessions, and at random: every session sees steps of one, or is told.
 */
#include "tests/unit/gateway/hub_harness.h"

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
        HUB_TEST(a_session_ahead_of_the_hub_asks_and_waits),
        HUB_TEST(who_comes_from_a_newer_epoch_is_not_sent_back_to_the_one_that_is_over),
        HUB_TEST(an_answer_with_holes_is_not_believed),
        HUB_TEST(at_random_every_session_sees_steps_of_one_or_is_told),
    };
    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
