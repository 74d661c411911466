/* The channel's state machine, row by row of its table, and by the worked scenarios as far as a channel sees them. */
#include "broker/channel_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct channel_state channel;
static struct channel_actions actions;

static struct position at(const char *epoch, uint64_t offset) {
    return (struct position){epoch_from(span_of_text(epoch)), offset};
}

static void step(struct channel_event event) {
    channel_state_step(&channel, &event, &actions);
}

static void publication(const char *epoch, uint64_t offset) {
    step((struct channel_event){
        .kind = CHANNEL_ON_PUBLICATION, .wanted = true, .position = at(epoch, offset), .keep_room = true});
}

static void subscribe(bool needs_load) {
    step((struct channel_event){.kind = CHANNEL_ON_SUBSCRIBE, .wanted = true, .needs_load = needs_load});
}

static void loaded(const char *epoch, uint64_t top, uint64_t first, uint64_t last) {
    step((struct channel_event){
        .kind = CHANNEL_ON_LOADED, .wanted = true, .position = at(epoch, top), .first = first, .last = last});
}

static void loaded_with_gap(const char *epoch, uint64_t top, uint64_t first, uint64_t last) {
    step((struct channel_event){.kind = CHANNEL_ON_LOADED,
                                .wanted = true,
                                .position = at(epoch, top),
                                .first = first,
                                .last = last,
                                .gap = true});
}

static void load_failed(bool wanted) {
    step((struct channel_event){.kind = CHANNEL_ON_LOAD_FAILED, .wanted = wanted});
}

static void doubt(void) {
    step((struct channel_event){.kind = CHANNEL_ON_DOUBT, .wanted = true});
}

static void reload(void) {
    step((struct channel_event){.kind = CHANNEL_ON_RELOAD, .wanted = true});
}

static void last_left(void) {
    step((struct channel_event){.kind = CHANNEL_ON_LAST_LEFT});
}

static void time_passed(bool wanted) {
    step((struct channel_event){.kind = CHANNEL_ON_TIME, .wanted = wanted});
}

/* expect(n, kinds…): exactly these actions, in this order. */
static void expect(unsigned n, ...) {
    va_list kinds;
    va_start(kinds, n);
    assert_int_equal(actions.n, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(actions.list[i].kind, va_arg(kinds, int));
    }
    va_end(kinds);
}

static void expect_run(unsigned i, uint64_t first, uint64_t last) {
    assert_int_equal(actions.list[i].first, first);
    assert_int_equal(actions.list[i].last, last);
}

static void expect_position(unsigned i, const char *epoch, uint64_t offset) {
    struct position expected = at(epoch, offset);
    assert_true(position_equal(&actions.list[i].position, &expected));
}

static void expect_state(enum channel_phase phase, const char *epoch, uint64_t offset) {
    struct position expected = at(epoch, offset);
    assert_string_equal(channel_phase_name(channel.phase), channel_phase_name(phase));
    assert_string_equal(channel.cursor.epoch.text, expected.epoch.text);
    assert_int_equal(channel.cursor.offset, offset);
}

static void be_absent(void) {
    channel = (struct channel_state){.phase = CHANNEL_ABSENT};
}

static void be_live(const char *epoch, uint64_t offset) {
    be_absent();
    subscribe(true);
    loaded(epoch, offset, 0, 0);
}

static void be_healing(const char *epoch, uint64_t offset) {
    be_live(epoch, offset);
    doubt();
}

static void be_idle(const char *epoch, uint64_t offset) {
    be_live(epoch, offset);
    last_left();
}

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
        cmocka_unit_test(idle_a_reload_ends_it),
        cmocka_unit_test(live_the_last_left_and_it_is_idle),
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
