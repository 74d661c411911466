/* Presence through the hub: set, told again on RESYNC and moves, cleared once nobody can have lost the clear. */
#include "tests/unit/gateway/hub_harness.h"

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

int main(void) {
#define HUB_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        HUB_TEST(presence_is_set_told_again_on_resync_and_cleared_by_leaving),
        HUB_TEST(presence_moves_silently_and_a_clear_without_a_link_is_not_forgotten),
        HUB_TEST(who_left_just_before_its_broker_was_lost_is_cleared_again_at_the_next),
        HUB_TEST(who_left_lately_is_cleared_again_on_resync_and_who_came_back_set_again),
        HUB_TEST(above_the_memory_for_departures_they_are_counted_instead),
        HUB_TEST(who_left_long_ago_is_forgotten),
        HUB_TEST(joins_and_leaves_reach_only_those_who_want_them),
    };
    return cmocka_run_group_tests_name("hub_presence", tests, NULL, NULL);
}
