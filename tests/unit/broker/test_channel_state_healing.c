/* The channel's state machine, row by row of its table: healing and idle, the worked scenarios as far as a channel sees
 * them, and what a SUBSCRIBE gets. */
#include "tests/unit/broker/channel_state_harness.h"

/* ---- healing ---- */

static void healing_what_was_missed_is_pushed_then_what_was_kept(void **state) {
    (void) state;
    be_live("e", 9);
    publication("e", 12);
    publication("e", 13);
    expect(1, CHANNEL_KEEP);
    loaded("e", 12, 10, 12);
    expect(4, CHANNEL_PUSH_LOADED, CHANNEL_PUSH_KEPT, CHANNEL_DROP_KEPT, CHANNEL_ANSWER);
    expect_run(0, 10, 12);
    expect_run(1, 13, 13);
    expect_state(CHANNEL_LIVE, "e", 13);
}

static void healing_nothing_was_missed(void **state) {
    (void) state;
    be_healing("e", 9);
    loaded("e", 9, 0, 0);
    expect(1, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "e", 9);
}

static void healing_a_reply_cut_by_its_limit_is_loaded_on(void **state) {
    (void) state;
    be_healing("e", 9);
    loaded("e", 5000, 10, 1033);
    expect(3, CHANNEL_PUSH_LOADED, CHANNEL_ANSWER, CHANNEL_LOAD);
    expect_position(2, "e", 1033);
    expect_state(CHANNEL_HEALING, "e", 1033);
}

static void healing_trimmed_away_is_lost(void **state) {
    (void) state;
    be_healing("e", 9);
    loaded_with_gap("e", 5000, 4000, 5000);
    expect(3, CHANNEL_EMPTY_TAIL, CHANNEL_TELL_LOST, CHANNEL_ANSWER);
    expect_position(1, "e", 5000);
    expect_state(CHANNEL_LIVE, "e", 5000);
}

static void healing_another_epoch_is_lost_and_kept_ones_of_it_follow(void **state) {
    (void) state;
    be_healing("e", 9);
    publication("f", 10);
    expect(1, CHANNEL_KEEP);
    loaded("f", 9, 0, 0);
    expect(5, CHANNEL_EMPTY_TAIL, CHANNEL_TELL_LOST, CHANNEL_PUSH_KEPT, CHANNEL_DROP_KEPT, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "f", 10);
}

static void healing_kept_ones_of_the_epoch_before_are_dropped(void **state) {
    (void) state;
    be_healing("e", 9);
    publication("e", 10);
    loaded("f", 9, 0, 0);
    expect(4, CHANNEL_EMPTY_TAIL, CHANNEL_TELL_LOST, CHANNEL_DROP_KEPT, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "f", 9);
}

static void healing_pushes_wait(void **state) {
    (void) state;
    be_healing("e", 9);
    publication("e", 10);
    expect(1, CHANNEL_KEEP);
    publication("e", 9);
    expect(0);
    expect_state(CHANNEL_HEALING, "e", 9);
}

static void healing_a_tail_may_still_say_yes(void **state) {
    (void) state;
    be_healing("e", 9);
    subscribe(false);
    expect(1, CHANNEL_ANSWER);
    subscribe(true);
    expect(0);
}

static void healing_while_the_engine_is_away_it_tries_again(void **state) {
    (void) state;
    be_healing("e", 9);
    load_failed(true);
    expect(2, CHANNEL_FAIL, CHANNEL_RETRY);
    expect_state(CHANNEL_HEALING, "e", 9);
    time_passed(true);
    expect(1, CHANNEL_LOAD);
    expect_position(0, "e", 9);
}

static void healing_a_load_of_somebody_who_waited_is_no_proof_of_a_loss(void **state) {
    (void) state;
    be_live("e", 9);
    subscribe(true);
    publication("e", 12);
    expect(1, CHANNEL_KEEP);
    expect_state(CHANNEL_HEALING, "e", 9);
    loaded_with_gap("e", 12, 0, 0); /* asked from far below, trimmed there */
    expect(3, CHANNEL_DROP_KEPT, CHANNEL_ANSWER, CHANNEL_LOAD);
    expect_position(2, "e", 9);
    loaded("e", 12, 10, 12);
    expect(2, CHANNEL_PUSH_LOADED, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "e", 12);
}

static void healing_everyone_left_while_it_waits_to_try_again(void **state) {
    (void) state;
    be_healing("e", 9);
    load_failed(true);
    last_left();
    expect(2, CHANNEL_EMPTY_TAIL, CHANNEL_FREE);
    assert_int_equal(channel.phase, CHANNEL_ABSENT);
}

/* ---- idle ---- */

static void idle_a_subscribe_makes_it_live(void **state) {
    (void) state;
    be_idle("e", 9);
    subscribe(false);
    expect(1, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "e", 9);
}

static void idle_the_tail_goes_on(void **state) {
    (void) state;
    be_idle("e", 9);
    publication("e", 10);
    expect(1, CHANNEL_PUSH);
    publication("e", 10);
    expect(0);
    expect_state(CHANNEL_IDLE, "e", 10);
}

static void idle_a_hole_or_another_epoch_starts_the_tail_anew(void **state) {
    (void) state;
    be_idle("e", 9);
    publication("e", 15);
    expect(2, CHANNEL_EMPTY_TAIL, CHANNEL_PUSH);
    expect_state(CHANNEL_IDLE, "e", 15);
    publication("f", 2);
    expect(2, CHANNEL_EMPTY_TAIL, CHANNEL_PUSH);
    expect_state(CHANNEL_IDLE, "f", 2);
}

static void idle_a_doubt_or_time_ends_it(void **state) {
    (void) state;
    be_idle("e", 9);
    doubt();
    expect(2, CHANNEL_EMPTY_TAIL, CHANNEL_FREE);
    be_idle("e", 9);
    time_passed(false);
    expect(2, CHANNEL_EMPTY_TAIL, CHANNEL_FREE);
    assert_int_equal(channel.phase, CHANNEL_ABSENT);
}

static void idle_a_reload_ends_it(void **state) {
    (void) state;
    be_idle("", 0);
    reload();
    expect(2, CHANNEL_EMPTY_TAIL, CHANNEL_FREE);
}

static void idle_doubted_with_a_load_out_a_subscribe_heals(void **state) {
    (void) state;
    be_live("e", 9);
    subscribe(true);
    last_left();
    doubt();
    expect(0);
    subscribe(true);
    expect(0);
    expect_state(CHANNEL_HEALING, "e", 9);
    loaded("e", 9, 2, 9);
    expect(2, CHANNEL_ANSWER, CHANNEL_LOAD);
}

/* ---- worked scenarios of redis.md ---- */

static void scenario_2_a_fast_channel_after_a_failover(void **state) {
    (void) state;
    be_live("e", 10);
    doubt(); /* "opened" */
    loaded("e2", 9, 0, 0);
    expect(3, CHANNEL_EMPTY_TAIL, CHANNEL_TELL_LOST, CHANNEL_ANSWER);
    expect_position(1, "e2", 9);
    publication("e2", 10);
    expect(1, CHANNEL_PUSH);
}

static void scenario_8_a_lost_topic_message(void **state) {
    (void) state;
    be_live("e", 9);
    doubt(); /* the engine held a batch for 20 ms */
    expect_position(0, "e", 9);
    loaded("e", 11, 10, 11);
    expect_run(0, 10, 11);
    expect_state(CHANNEL_LIVE, "e", 11);
}

static void scenario_9_subscribe_during_flow(void **state) {
    (void) state;
    be_live("e", 9);
    subscribe(true);
    publication("e", 10);
    publication("e", 11);
    loaded("e", 9, 4, 9);
    expect(1, CHANNEL_ANSWER);
    expect_state(CHANNEL_LIVE, "e", 11); /* P = 11 */
    publication("e", 12);
    expect(1, CHANNEL_PUSH);
}

/* ---- what a SUBSCRIBE gets ---- */

static struct channel_recover_question asked_at(uint64_t cursor, uint64_t tail_first, uint64_t since) {
    return (struct channel_recover_question){.cursor = at("e", cursor),
                                             .tail_first = tail_first,
                                             .has_since = true,
                                             .since = at("e", since),
                                             .publications_max = 300};
}

static void expect_answer(const struct channel_recover_question *question, enum channel_recover_verdict verdict,
                          uint64_t first, uint64_t last) {
    struct channel_recover_answer answer = channel_recover(question);
    assert_int_equal(answer.verdict, verdict);
    assert_int_equal(answer.first, first);
    assert_int_equal(answer.last, last);
}

static void a_question_without_since_gets_the_cursor(void **state) {
    (void) state;
    struct channel_recover_question question = asked_at(9, 5, 0);
    question.has_since = false;
    expect_answer(&question, CHANNEL_RECOVER_PLAIN, 0, 0);
}

static void a_since_inside_the_tail_gets_the_rest(void **state) {
    (void) state;
    struct channel_recover_question question = asked_at(9, 5, 4);
    expect_answer(&question, CHANNEL_RECOVER_YES, 5, 9);
    question = asked_at(9, 10, 9);
    expect_answer(&question, CHANNEL_RECOVER_YES, 10, 9);
}

static void a_since_below_the_tail_needs_a_load(void **state) {
    (void) state;
    struct channel_recover_question question = asked_at(9, 5, 3);
    expect_answer(&question, CHANNEL_RECOVER_LOAD, 0, 0);
}

static void a_client_over_the_bound_gets_a_no_and_a_worker_a_page(void **state) {
    (void) state;
    struct channel_recover_question question = asked_at(1000, 1, 699);
    expect_answer(&question, CHANNEL_RECOVER_NO, 0, 0);
    question.own = true;
    expect_answer(&question, CHANNEL_RECOVER_PAGE, 700, 999);
    question.since.offset = 700;
    expect_answer(&question, CHANNEL_RECOVER_YES, 701, 1000);
}

static void another_epoch_is_a_no_only_behind_a_load(void **state) {
    (void) state;
    struct channel_recover_question question = asked_at(9, 1, 3);
    question.since = at("x", 3);
    expect_answer(&question, CHANNEL_RECOVER_LOAD, 0, 0);
    question.loaded = true;
    question.loaded_top = at("e", 9);
    expect_answer(&question, CHANNEL_RECOVER_NO, 0, 0);
}

static void a_since_above_the_cursor_is_a_no_only_behind_a_load(void **state) {
    (void) state;
    struct channel_recover_question question = asked_at(9, 1, 12);
    expect_answer(&question, CHANNEL_RECOVER_LOAD, 0, 0);
    question.loaded = true;
    question.loaded_top = at("e", 9);
    expect_answer(&question, CHANNEL_RECOVER_NO, 0, 0);
}

static void without_positions_nothing_is_recovered(void **state) {
    (void) state;
    struct channel_recover_question question = asked_at(9, 1, 3);
    question.cursor = (struct position){.offset = 0};
    expect_answer(&question, CHANNEL_RECOVER_NO, 0, 0);
}

static struct channel_recover_question behind_load(uint64_t tail_first, uint64_t since, uint64_t first, uint64_t last) {
    struct channel_recover_question question = asked_at(20, tail_first, since);
    question.loaded = true;
    question.loaded_top = at("e", 18);
    question.loaded_since = at("e", since);
    question.loaded_first = first;
    question.loaded_last = last;
    question.loaded_gap = first != since + 1;
    return question;
}

static void load_and_tail_together_reach_the_cursor(void **state) {
    (void) state;
    struct channel_recover_question question = behind_load(19, 3, 4, 18);
    expect_answer(&question, CHANNEL_RECOVER_YES, 4, 20);
}

static void trimmed_away_is_a_no(void **state) {
    (void) state;
    struct channel_recover_question question = behind_load(19, 3, 8, 18);
    expect_answer(&question, CHANNEL_RECOVER_NO, 0, 0);
    question = behind_load(19, 3, 0, 0);
    expect_answer(&question, CHANNEL_RECOVER_NO, 0, 0);
}

static void a_load_cut_by_bytes_is_a_page_for_a_worker_and_a_no_for_a_client(void **state) {
    (void) state;
    struct channel_recover_question question = behind_load(19, 3, 4, 6);
    expect_answer(&question, CHANNEL_RECOVER_NO, 0, 0);
    question.own = true;
    expect_answer(&question, CHANNEL_RECOVER_PAGE, 4, 6);
}

static void a_tail_that_moved_on_since_the_load_is_loaded_again(void **state) {
    (void) state;
    struct channel_recover_question question = behind_load(20, 3, 4, 18);
    expect_answer(&question, CHANNEL_RECOVER_LOAD, 0, 0);
}

static void a_load_from_elsewhere_says_no_to_nobody_else(void **state) {
    (void) state;
    struct channel_recover_question question = behind_load(19, 3, 0, 0);
    question.loaded_since = at("e", 10);
    question.loaded_first = 11;
    question.loaded_last = 18;
    question.loaded_gap = false;
    expect_answer(&question, CHANNEL_RECOVER_LOAD, 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healing_what_was_missed_is_pushed_then_what_was_kept),
        cmocka_unit_test(healing_nothing_was_missed),
        cmocka_unit_test(healing_a_reply_cut_by_its_limit_is_loaded_on),
        cmocka_unit_test(healing_trimmed_away_is_lost),
        cmocka_unit_test(healing_another_epoch_is_lost_and_kept_ones_of_it_follow),
        cmocka_unit_test(healing_kept_ones_of_the_epoch_before_are_dropped),
        cmocka_unit_test(healing_pushes_wait),
        cmocka_unit_test(healing_a_tail_may_still_say_yes),
        cmocka_unit_test(healing_while_the_engine_is_away_it_tries_again),
        cmocka_unit_test(healing_a_load_of_somebody_who_waited_is_no_proof_of_a_loss),
        cmocka_unit_test(healing_everyone_left_while_it_waits_to_try_again),
        cmocka_unit_test(idle_a_subscribe_makes_it_live),
        cmocka_unit_test(idle_the_tail_goes_on),
        cmocka_unit_test(idle_a_hole_or_another_epoch_starts_the_tail_anew),
        cmocka_unit_test(idle_a_doubt_or_time_ends_it),
        cmocka_unit_test(idle_a_reload_ends_it),
        cmocka_unit_test(idle_doubted_with_a_load_out_a_subscribe_heals),
        cmocka_unit_test(scenario_2_a_fast_channel_after_a_failover),
        cmocka_unit_test(scenario_8_a_lost_topic_message),
        cmocka_unit_test(scenario_9_subscribe_during_flow),
        cmocka_unit_test(a_question_without_since_gets_the_cursor),
        cmocka_unit_test(a_since_inside_the_tail_gets_the_rest),
        cmocka_unit_test(a_since_below_the_tail_needs_a_load),
        cmocka_unit_test(a_client_over_the_bound_gets_a_no_and_a_worker_a_page),
        cmocka_unit_test(another_epoch_is_a_no_only_behind_a_load),
        cmocka_unit_test(a_since_above_the_cursor_is_a_no_only_behind_a_load),
        cmocka_unit_test(without_positions_nothing_is_recovered),
        cmocka_unit_test(load_and_tail_together_reach_the_cursor),
        cmocka_unit_test(trimmed_away_is_a_no),
        cmocka_unit_test(a_load_cut_by_bytes_is_a_page_for_a_worker_and_a_no_for_a_client),
        cmocka_unit_test(a_tail_that_moved_on_since_the_load_is_loaded_again),
        cmocka_unit_test(a_load_from_elsewhere_says_no_to_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
