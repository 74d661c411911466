/* The channel's state machine, row by row of its table: absent, loading, live. */
#include "tests/unit/broker/channel_state_harness.h"

/* ---- absent ---- */

static void absent_the_first_subscribe_loads(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    expect(1, CHANNEL_LOAD);
    assert_false(actions.list[0].has_since);
    assert_int_equal(channel.phase, CHANNEL_LOADING);
}

static void absent_an_own_publication_makes_a_tail_of_one(void **state) {
    (void) state;
    be_absent();
    publication("e", 7);
    expect(1, CHANNEL_PUSH);
    expect_state(CHANNEL_IDLE, "e", 7);
}

static void absent_nothing_ever_came_and_it_goes(void **state) {
    (void) state;
    be_absent();
    time_passed(false);
    expect(2, CHANNEL_EMPTY_TAIL, CHANNEL_FREE);
}

/* ---- loading ---- */

static void loading_more_subscribes_queue(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    subscribe(true);
    expect(0);
}

static void loading_the_reply_sets_the_cursor_and_answers_in_that_turn(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    loaded("e", 9, 4, 9);
    expect(2, CHANNEL_PUSH_LOADED, CHANNEL_ANSWER);
    expect_run(0, 4, 9);
    expect_state(CHANNEL_LIVE, "e", 9);
}

static void loading_entries_that_do_not_reach_the_top_are_no_tail(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    loaded("e", 900, 4, 303);
    expect(1, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "e", 900);
}

static void loading_kept_publications_above_the_reply_follow_it(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    publication("e", 9);
    expect(1, CHANNEL_KEEP);
    publication("e", 10);
    publication("e", 11);
    loaded("e", 9, 0, 0);
    expect(3, CHANNEL_PUSH_KEPT, CHANNEL_DROP_KEPT, CHANNEL_ANSWER);
    expect_run(0, 10, 11);
    expect_state(CHANNEL_LIVE, "e", 11);
}

static void loading_a_hole_behind_the_reply_is_healed(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    publication("e", 12);
    loaded("e", 9, 0, 0);
    expect(3, CHANNEL_DROP_KEPT, CHANNEL_ANSWER, CHANNEL_LOAD);
    expect_position(2, "e", 9);
    expect_state(CHANNEL_HEALING, "e", 9);
}

static void loading_what_does_not_fit_the_kept_run_is_loaded_again(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    publication("e", 10);
    publication("e", 12);
    expect(0);
    loaded("e", 9, 0, 0);
    expect(4, CHANNEL_PUSH_KEPT, CHANNEL_DROP_KEPT, CHANNEL_ANSWER, CHANNEL_LOAD);
    expect_position(3, "e", 10);
}

static void loading_no_room_to_keep_loads_again(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    step((struct channel_event){.kind = CHANNEL_ON_PUBLICATION, .wanted = true, .position = at("e", 10)});
    expect(0);
    loaded("e", 9, 0, 0);
    expect(2, CHANNEL_ANSWER, CHANNEL_LOAD);
}

static void loading_an_error_is_a_temporary_error_to_all(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    load_failed(true);
    expect(3, CHANNEL_FAIL, CHANNEL_EMPTY_TAIL, CHANNEL_FREE);
    assert_int_equal(channel.phase, CHANNEL_ABSENT);
}

static void loading_a_channel_without_history_goes_on_without_the_engine(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    step((struct channel_event){.kind = CHANNEL_ON_LOAD_FAILED, .wanted = true, .do_without_positions = true});
    expect(1, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "", 0);
}

static void loading_everyone_left_and_the_reply_makes_it_idle(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    last_left();
    expect(0);
    step((struct channel_event){.kind = CHANNEL_ON_LOADED, .wanted = false, .position = at("e", 3)});
    expect(0);
    expect_state(CHANNEL_IDLE, "e", 3);
}

static void loading_a_doubt_loads_once_more(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    doubt();
    loaded("e", 3, 0, 0);
    expect(2, CHANNEL_ANSWER, CHANNEL_LOAD);
    expect_state(CHANNEL_HEALING, "e", 3);
}

/* ---- live ---- */

static void live_the_next_publication_is_pushed(void **state) {
    (void) state;
    be_live("e", 9);
    publication("e", 10);
    expect(1, CHANNEL_PUSH);
    expect_state(CHANNEL_LIVE, "e", 10);
}

static void live_an_old_publication_is_dropped(void **state) {
    (void) state;
    be_live("e", 9);
    publication("e", 9);
    expect(0);
    publication("e", 1);
    expect(0);
    expect_state(CHANNEL_LIVE, "e", 9);
}

static void live_a_publication_without_position_passes_and_moves_nothing(void **state) {
    (void) state;
    be_live("e", 9);
    publication("e", 0);
    expect(1, CHANNEL_PASS);
    expect_state(CHANNEL_LIVE, "e", 9);
}

static void live_a_hole_heals_from_the_cursor(void **state) {
    (void) state;
    be_live("e", 9);
    publication("e", 12);
    expect(2, CHANNEL_KEEP, CHANNEL_LOAD);
    assert_true(actions.list[1].has_since);
    expect_position(1, "e", 9);
    expect_state(CHANNEL_HEALING, "e", 9);
}

static void live_another_epoch_is_lost_and_then_pushed(void **state) {
    (void) state;
    be_live("e", 9);
    publication("f", 4);
    expect(3, CHANNEL_EMPTY_TAIL, CHANNEL_TELL_LOST, CHANNEL_PUSH);
    expect_position(1, "f", 3);
    expect_state(CHANNEL_LIVE, "f", 4);
}

static void live_what_still_comes_of_the_epoch_before_is_dropped(void **state) {
    (void) state;
    be_live("e", 9);
    publication("f", 4);
    publication("e", 10);
    expect(0);
    expect_state(CHANNEL_LIVE, "f", 4);
}

static void live_a_since_inside_the_tail_is_answered_at_once(void **state) {
    (void) state;
    be_live("e", 9);
    subscribe(false);
    expect(1, CHANNEL_ANSWER);
}

static void live_any_other_since_is_one_load_at_a_time(void **state) {
    (void) state;
    be_live("e", 9);
    subscribe(true);
    expect(1, CHANNEL_LOAD);
    subscribe(true);
    expect(0);
    publication("e", 10);
    expect(1, CHANNEL_PUSH);
    loaded("e", 9, 2, 9);
    expect(1, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "e", 10);
}

static void live_a_reply_ahead_of_the_topic_advances_first_and_answers_then(void **state) {
    (void) state;
    be_live("e", 11);
    subscribe(true);
    loaded("e", 13, 4, 13);
    expect(2, CHANNEL_PUSH_LOADED, CHANNEL_ANSWER);
    expect_run(0, 12, 13);
    expect_state(CHANNEL_LIVE, "e", 13);
    publication("e", 12);
    expect(0);
    publication("e", 13);
    expect(0);
}

static void live_a_top_ahead_without_its_entries_heals(void **state) {
    (void) state;
    be_live("e", 11);
    subscribe(true);
    loaded("e", 13, 0, 0);
    expect(2, CHANNEL_LOAD, CHANNEL_ANSWER);
    expect_position(0, "e", 11);
    expect_state(CHANNEL_HEALING, "e", 11);
}

static void live_a_reply_of_another_epoch_is_lost(void **state) {
    (void) state;
    be_live("e", 11);
    subscribe(true);
    loaded("f", 5, 0, 0);
    expect(3, CHANNEL_EMPTY_TAIL, CHANNEL_TELL_LOST, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "f", 5);
}

static void live_a_reply_overtaken_by_a_new_epoch_is_asked_again(void **state) {
    (void) state;
    be_live("e", 11);
    subscribe(true);
    publication("f", 1);
    loaded("e", 11, 0, 0);
    expect(1, CHANNEL_LOAD);
    expect_position(0, "f", 1);
    expect_state(CHANNEL_HEALING, "f", 1);
}

static void live_a_failed_load_is_a_temporary_error_to_those_who_wait(void **state) {
    (void) state;
    be_live("e", 11);
    subscribe(true);
    load_failed(true);
    expect(1, CHANNEL_FAIL);
    expect_state(CHANNEL_LIVE, "e", 11);
}

static void live_a_doubt_heals(void **state) {
    (void) state;
    be_live("e", 11);
    doubt();
    expect(1, CHANNEL_LOAD);
    expect_position(0, "e", 11);
    expect_state(CHANNEL_HEALING, "e", 11);
}

static void live_without_positions_a_doubt_changes_nothing(void **state) {
    (void) state;
    be_live("", 0);
    doubt();
    expect(0);
    expect_state(CHANNEL_LIVE, "", 0);
}

static void live_with_a_history_since_a_reload_it_is_loaded_and_told(void **state) {
    (void) state;
    be_live("", 0);
    reload();
    expect(1, CHANNEL_LOAD);
    publication("e", 1);
    expect(1, CHANNEL_KEEP);
    loaded("e", 0, 0, 0);
    expect(5, CHANNEL_EMPTY_TAIL, CHANNEL_TELL_LOST, CHANNEL_PUSH_KEPT, CHANNEL_DROP_KEPT, CHANNEL_ANSWER);
    expect_position(1, "e", 0);
    expect_run(2, 1, 1);
    expect_state(CHANNEL_LIVE, "e", 1);
}

static void live_without_a_history_since_a_reload_it_is_told_that_there_are_no_positions(void **state) {
    (void) state;
    be_live("e", 9);
    reload();
    expect(1, CHANNEL_LOAD);
    loaded("", 0, 0, 0);
    expect(3, CHANNEL_EMPTY_TAIL, CHANNEL_TELL_LOST, CHANNEL_ANSWER);
    expect_position(1, "", 0);
    publication("", 0);
    expect(1, CHANNEL_PASS);
    expect_state(CHANNEL_LIVE, "", 0);
}

static void loading_a_reload_loads_once_more(void **state) {
    (void) state;
    be_absent();
    subscribe(true);
    reload();
    loaded("", 0, 0, 0); /* as the namespace was */
    expect(2, CHANNEL_ANSWER, CHANNEL_LOAD);
    loaded("e", 3, 1, 3);
    assert_int_equal(actions.list[1].kind, CHANNEL_TELL_LOST);
    expect_state(CHANNEL_LIVE, "e", 3);
}

static void live_the_last_left_and_it_is_idle(void **state) {
    (void) state;
    be_live("e", 9);
    last_left();
    expect(0);
    expect_state(CHANNEL_IDLE, "e", 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_the_first_subscribe_loads),
        cmocka_unit_test(absent_an_own_publication_makes_a_tail_of_one),
        cmocka_unit_test(absent_nothing_ever_came_and_it_goes),
        cmocka_unit_test(loading_more_subscribes_queue),
        cmocka_unit_test(loading_the_reply_sets_the_cursor_and_answers_in_that_turn),
        cmocka_unit_test(loading_entries_that_do_not_reach_the_top_are_no_tail),
        cmocka_unit_test(loading_kept_publications_above_the_reply_follow_it),
        cmocka_unit_test(loading_a_hole_behind_the_reply_is_healed),
        cmocka_unit_test(loading_what_does_not_fit_the_kept_run_is_loaded_again),
        cmocka_unit_test(loading_no_room_to_keep_loads_again),
        cmocka_unit_test(loading_an_error_is_a_temporary_error_to_all),
        cmocka_unit_test(loading_a_channel_without_history_goes_on_without_the_engine),
        cmocka_unit_test(loading_everyone_left_and_the_reply_makes_it_idle),
        cmocka_unit_test(loading_a_doubt_loads_once_more),
        cmocka_unit_test(live_the_next_publication_is_pushed),
        cmocka_unit_test(live_an_old_publication_is_dropped),
        cmocka_unit_test(live_a_publication_without_position_passes_and_moves_nothing),
        cmocka_unit_test(live_a_hole_heals_from_the_cursor),
        cmocka_unit_test(live_another_epoch_is_lost_and_then_pushed),
        cmocka_unit_test(live_what_still_comes_of_the_epoch_before_is_dropped),
        cmocka_unit_test(live_a_since_inside_the_tail_is_answered_at_once),
        cmocka_unit_test(live_any_other_since_is_one_load_at_a_time),
        cmocka_unit_test(live_a_reply_ahead_of_the_topic_advances_first_and_answers_then),
        cmocka_unit_test(live_a_top_ahead_without_its_entries_heals),
        cmocka_unit_test(live_a_reply_of_another_epoch_is_lost),
        cmocka_unit_test(live_a_reply_overtaken_by_a_new_epoch_is_asked_again),
        cmocka_unit_test(live_a_failed_load_is_a_temporary_error_to_those_who_wait),
        cmocka_unit_test(live_a_doubt_heals),
        cmocka_unit_test(live_without_positions_a_doubt_changes_nothing),
        cmocka_unit_test(live_with_a_history_since_a_reload_it_is_loaded_and_told),
        cmocka_unit_test(live_without_a_history_since_a_reload_it_is_told_that_there_are_no_positions),
        cmocka_unit_test(loading_a_reload_loads_once_more),
        cmocka_unit_test(live_the_last_left_and_it_is_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
