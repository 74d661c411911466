/* Sessions that want the latest publication alone (cache mode): who serves them, and when there is none. */
#include "tests/unit/gateway/hub_harness.h"

static void want_latest(struct viewer *viewer, const char *epoch, uint64_t offset) {
    *viewer = (struct viewer){.member = {.wants_latest = true}};
    join_since(viewer, "news", epoch, offset);
}

static void expect_latest(const struct viewer *viewer, uint64_t offset) {
    assert_int_equal(viewer->n_joined, 1);
    assert_true(viewer->joined.has_history && viewer->joined.recovered);
    assert_int_equal(viewer->joined.position.offset, offset);
    assert_int_equal(viewer->joined.n_publications, 1);
    assert_true(viewer->first_recovered == offset && viewer->last_recovered == offset);
}

/* The question right before the top. */
static struct wire_subscribe expect_question(uint64_t since) {
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.flags, WIRE_SUBSCRIBE_SINCE);
    assert_int_equal(subscribe.since_offset, since);
    return subscribe;
}

static struct viewer stays;

static uint32_t start_live(void) {
    stays = (struct viewer){.n_joined = 0};
    start_with_one_broker();
    return make_live(&stays);
}

static void the_first_one_learns_the_position_and_then_asks_for_the_top(void **state) {
    (void) state;
    static struct viewer viewer;
    start_with_one_broker();
    want_latest(&viewer, "", 0);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    assert_int_equal(subscribe.flags, 0);
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    subscribe = expect_question(8);
    assert_int_equal(viewer.n_joined, 0);
    answer(brokers[0], &subscribe, "e", 9, RECOVERED);
    AWAIT(viewer.n_joined == 1);
    expect_latest(&viewer, 9);
    hub_leave(hub, &viewer.member);
}

static void one_question_serves_all_who_wait_whatever_they_had(void **state) {
    (void) state;
    static struct viewer viewers[4];
    start_live();
    want_latest(&viewers[0], "", 0);
    want_latest(&viewers[1], "e", 3);
    want_latest(&viewers[2], "another", 9);
    want_latest(&viewers[3], "e", 9);
    AWAIT(viewers[3].n_joined == 1); /* it has it already */
    assert_true(viewers[3].joined.recovered && viewers[3].joined.n_publications == 0);
    struct wire_subscribe subscribe = expect_question(8);
    answer(brokers[0], &subscribe, "e", 9, RECOVERED);
    AWAIT(viewers[2].n_joined == 1);
    for (size_t i = 0; i < 3; i++) {
        expect_latest(&viewers[i], 9);
    }
    assert_false(wire_broker_has_frame(brokers[0]));
    for (size_t i = 0; i < 4; i++) {
        hub_leave(hub, &viewers[i].member);
    }
    hub_leave(hub, &stays.member);
}

static void the_next_push_is_the_latest_and_comes_once(void **state) {
    (void) state;
    static struct viewer viewer;
    uint32_t handle = start_live();
    want_latest(&viewer, "", 0);
    struct wire_subscribe subscribe = expect_question(8);
    push(brokers[0], handle, 10);
    AWAIT(viewer.n_joined == 1);
    expect_latest(&viewer, 10);
    assert_int_equal(viewer.n_delivered, 0);
    answer(brokers[0], &subscribe, "e", 10, RECOVERED); /* nobody needs it any more */
    push(brokers[0], handle, 11);
    AWAIT(viewer.n_delivered == 1 && stays.n_delivered == 2);
    assert_string_equal(viewer.seen, "11 ");
    assert_string_equal(stays.seen, "10 11 ");
    hub_leave(hub, &viewer.member);
    hub_leave(hub, &stays.member);
}

static void a_push_without_a_position_is_no_state(void **state) {
    (void) state;
    static struct viewer viewer;
    uint32_t handle = start_live();
    want_latest(&viewer, "", 0);
    struct wire_subscribe subscribe = expect_question(8);
    push_marked(brokers[0], handle, 0, 7);
    AWAIT(stays.n_delivered == 1);
    assert_int_equal(viewer.n_joined, 0);
    answer(brokers[0], &subscribe, "e", 9, RECOVERED);
    AWAIT(viewer.n_joined == 1);
    expect_latest(&viewer, 9);
    hub_leave(hub, &viewer.member);
    hub_leave(hub, &stays.member);
}

static void what_is_not_stored_is_not_recovered(void **state) {
    (void) state;
    static struct viewer viewer;
    start_live();
    want_latest(&viewer, "e", 4);
    struct wire_subscribe subscribe = expect_question(8);
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    AWAIT(viewer.n_joined == 1);
    assert_true(viewer.joined.has_history && !viewer.joined.recovered && viewer.joined.n_publications == 0);
    hub_leave(hub, &viewer.member);
    hub_leave(hub, &stays.member);
}

static void where_nothing_was_ever_published_there_is_no_state(void **state) {
    (void) state;
    static struct viewer viewer, late;
    start_with_one_broker();
    want_latest(&viewer, "", 0);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 0, HISTORY);
    AWAIT(viewer.n_joined == 1);
    assert_false(viewer.joined.recovered);
    want_latest(&late, "e", 0); /* the link may be half open: the broker is asked */
    subscribe = expect_question(0);
    answer(brokers[0], &subscribe, "e", 0, RECOVERED);
    AWAIT(late.n_joined == 1);
    assert_false(late.joined.recovered);
    hub_leave(hub, &viewer.member);
    hub_leave(hub, &late.member);
}

/* history_size 1: when the broker reads behind 8 there is only 11 left, and the pushes of 10 and 11 were lost. */
static void a_refusal_that_the_channel_has_left_behind_is_asked_again(void **state) {
    (void) state;
    static struct viewer viewer;
    start_with_one_broker();
    want_latest(&viewer, "", 0);
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    subscribe = expect_question(8);
    answer(brokers[0], &subscribe, "e", 11, HISTORY);
    /* A late answer ahead of W: the hub asks from W first, is told that this is gone, and goes on at 11. */
    struct wire_subscribe own = expect_subscribe(brokers[0]);
    assert_int_equal(own.flags, WIRE_SUBSCRIBE_SINCE | WIRE_SUBSCRIBE_OWN);
    assert_int_equal(viewer.n_joined, 0);
    answer(brokers[0], &own, "e", 11, HISTORY);
    subscribe = expect_question(10);
    answer(brokers[0], &subscribe, "e", 11, RECOVERED);
    AWAIT(viewer.n_joined == 1);
    expect_latest(&viewer, 11);
    hub_leave(hub, &viewer.member);
}

static void who_wants_everything_is_asked_for_first_and_the_answer_serves_both(void **state) {
    (void) state;
    static struct viewer all, latest;
    start_live();
    want_latest(&latest, "", 0);
    all = (struct viewer){.n_joined = 0};
    join_since(&all, "news", "e", 5);
    struct wire_subscribe subscribe = expect_question(5);
    answer(brokers[0], &subscribe, "e", 9, RECOVERED);
    AWAIT(all.n_joined == 1 && latest.n_joined == 1);
    assert_true(all.joined.recovered && all.first_recovered == 6 && all.last_recovered == 9);
    expect_latest(&latest, 9);
    assert_false(wire_broker_has_frame(brokers[0]));
    hub_leave(hub, &all.member);
    hub_leave(hub, &latest.member);
    hub_leave(hub, &stays.member);
}

static void who_leaves_while_waiting_is_waited_for_no_more(void **state) {
    (void) state;
    static struct viewer viewer;
    uint32_t handle = start_live();
    want_latest(&viewer, "", 0);
    struct wire_subscribe subscribe = expect_question(8);
    hub_leave(hub, &viewer.member);
    push(brokers[0], handle, 10);
    answer(brokers[0], &subscribe, "e", 10, RECOVERED);
    AWAIT(stays.n_delivered == 1);
    assert_int_equal(viewer.n_joined, 0);
    hub_leave(hub, &stays.member);
    expect_unsubscribe(brokers[0], handle);
    AWAIT(hub_channels(hub) == 0);
}

int main(void) {
#define HUB_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        HUB_TEST(the_first_one_learns_the_position_and_then_asks_for_the_top),
        HUB_TEST(one_question_serves_all_who_wait_whatever_they_had),
        HUB_TEST(the_next_push_is_the_latest_and_comes_once),
        HUB_TEST(a_push_without_a_position_is_no_state),
        HUB_TEST(what_is_not_stored_is_not_recovered),
        HUB_TEST(where_nothing_was_ever_published_there_is_no_state),
        HUB_TEST(a_refusal_that_the_channel_has_left_behind_is_asked_again),
        HUB_TEST(who_wants_everything_is_asked_for_first_and_the_answer_serves_both),
        HUB_TEST(who_leaves_while_waiting_is_waited_for_no_more),
    };
    return cmocka_run_group_tests_name("hub_latest", tests, NULL, NULL);
}
