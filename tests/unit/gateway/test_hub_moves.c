/* The hub when continuity is in danger: gaps, lagging, lost pushes and epochs, brokers that drain, go and come. */
#include "tests/unit/gateway/hub_harness.h"

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

int main(void) {
#define HUB_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests_name("hub_moves", tests, NULL, NULL);
}
