/* Channels over a scripted engine: what subscribers get while loads are out, when something is missing, and when the
 * engine is away. */
#include "tests/unit/broker/channel_harness.h"

static void those_who_come_while_it_loads_are_answered_together(void **state) {
    (void) state;
    ask(1, 1, NULL, 0, false);
    ask(2, 2, "e", 7, false);
    ask(3, 3, "e", 9, false);
    assert_int_equal(engine.n_reads, 1);
    expect_nothing();
    assert_int_equal(engine.held, 1);
    answer_read("e", 9, 0, 0);
    expect_answer(1, NO, 9);
    expect_answer(3, YES, 9);
    assert_int_equal(engine.n_reads, 1); /* for the second alone */
    struct engine_read *read = engine.reads[0];
    assert_true(read->has_since);
    assert_int_equal(read->since.offset, 7);
    answer_read("e", 9, 8, 9);
    struct wire_subscribed answer = expect_answer(2, YES, 9);
    assert_int_equal(answer.n_publications, 2);
}

static void a_publication_during_the_load_is_in_the_answer_or_behind_it(void **state) {
    (void) state;
    ask(1, 1, "e", 3, false);
    publication("e", 9);
    publication("e", 10);
    expect_nothing();
    answer_read("e", 9, 4, 9);
    struct wire_subscribed answer = expect_answer(1, YES, 10);
    assert_int_equal(answer.n_publications, 7);
    publication("e", 11);
    expect_push(11);
}

static void a_load_that_fails_is_a_temporary_error_and_leaves_nothing(void **state) {
    (void) state;
    ask(1, 1, NULL, 0, false);
    ask(2, 2, "e", 7, false);
    fail_read();
    expect_error(1, ERROR_INTERNAL);
    expect_error(2, ERROR_INTERNAL);
    assert_null(channel());
    assert_null(gateway_peer_find(peer, 1));
    assert_int_equal(engine.held, 0);
}

static void a_hole_is_read_and_pushed_in_order(void **state) {
    (void) state;
    be_live(1, "e", 9);
    publication("e", 12);
    publication("e", 13);
    expect_nothing();
    assert_int_equal(engine.reads[0]->since.offset, 9);
    assert_true(engine.reads[0]->since_is_own);
    answer_read("e", 12, 10, 12);
    for (uint64_t offset = 10; offset <= 13; offset++) {
        expect_push(offset);
    }
    expect_nothing();
}

static void a_hole_that_was_trimmed_away_is_lost(void **state) {
    (void) state;
    be_live(1, "e", 9);
    channel_on_doubt(channel());
    end_turn();
    answer_read("e", 500, 401, 500);
    expect_lost("e", 500);
    publication("e", 501);
    expect_push(501);
}

static void another_epoch_is_lost_and_goes_on(void **state) {
    (void) state;
    be_live(1, "e", 9);
    channel_set_on_partition_doubt(channels, 0, now_us / 1000);
    channel_on_doubt(channel());
    end_turn();
    answer_read("f", 9, 0, 0);
    expect_lost("f", 9);
    publication("f", 10);
    expect_push(10);
    publication("e", 10); /* late */
    expect_nothing();
}

static void while_the_engine_is_away_the_tail_says_yes_and_nothing_says_no(void **state) {
    (void) state;
    be_live(1, "e", 9);
    publication("e", 10);
    expect_push(10);
    channel_on_doubt(channel());
    end_turn();
    ask(2, 2, "e", 9, false);
    expect_answer(2, YES, 10);
    ask(3, 3, "e", 4, false);
    ask(4, 4, "x", 1, false);
    expect_nothing();
    fail_read();
    expect_error(3, ERROR_INTERNAL);
    expect_error(4, ERROR_INTERNAL);
    assert_int_equal(engine.n_reads, 0);
    pass_ms(500);
    assert_int_equal(engine.n_reads, 1); /* it tries again */
    answer_read("e", 11, 11, 11);
    expect_push(11);
    expect_push(11); /* both handles */
}

static void at_most_so_many_loads_are_out(void **state) {
    (void) state;
    const char *names[] = {"news:1", "news:2", "news:3", "news:4"};
    for (uint32_t i = 0; i < 4; i++) {
        struct subscription *subscription = gateway_peer_subscribe(peer, i);
        channel_link(channels, span_of_text(names[i]), &options, subscription);
        channel_ask(subscription, &(struct subscription_question){.request = i + 1});
    }
    end_turn();
    assert_int_equal(engine.n_reads, 2);
    answer_read("e", 1, 0, 0);
    assert_int_equal(engine.n_reads, 2);
    answer_read("e", 1, 0, 0);
    answer_read("e", 1, 0, 0);
    answer_read("e", 1, 0, 0);
    assert_int_equal(engine.n_reads, 0);
}

static void what_one_load_brought_serves_the_next_who_ask(void **state) {
    (void) state;
    be_live(1, "e", 20);
    ask(2, 2, "e", 15, false);
    answer_read("e", 20, 16, 20);
    expect_answer(2, YES, 20);
    ask(3, 3, "e", 16, false);
    assert_int_equal(engine.n_reads, 0);
    struct wire_subscribed answer = expect_answer(3, YES, 20);
    assert_int_equal(answer.n_publications, 4);
}

static void a_worker_that_knows_more_is_evidence_and_a_client_is_not(void **state) {
    (void) state;
    be_live(1, "e", 9);
    ask(2, 2, "e", 12, false);
    assert_false(engine.reads[0]->since_is_own);
    answer_read("e", 9, 0, 0);
    expect_answer(2, NO, 9);
    ask(3, 3, "e", 12, true);
    assert_true(engine.reads[0]->since_is_own);
    assert_int_equal(engine.reads[0]->since.offset, 12);
    answer_read("f", 9, 0, 0); /* the engine broke the channel */
    expect_lost("f", 9);
    expect_lost("f", 9);
    expect_answer(3, NO, 9);
}

static void the_newer_of_two_questions_on_a_handle_counts(void **state) {
    (void) state;
    ask(1, 1, NULL, 0, false);
    ask(1, 2, NULL, 0, false);
    expect_error(1, ERROR_INTERNAL);
    answer_read("e", 9, 0, 0);
    expect_answer(2, NO, 9);
    expect_nothing();
}

static void an_idle_channel_keeps_its_tail_and_goes_after_its_time(void **state) {
    (void) state;
    be_live(1, "e", 9);
    publication("e", 10);
    expect_push(10);
    struct subscription *subscription = gateway_peer_find(peer, 1);
    channel_unlink(subscription);
    gateway_peer_unsubscribe(&subscription);
    assert_int_equal(channel_phase_of(channel()), CHANNEL_IDLE);
    publication("e", 11);
    ask(2, 2, "e", 9, false);
    expect_answer(2, YES, 11);
    subscription = gateway_peer_find(peer, 2);
    channel_unlink(subscription);
    gateway_peer_unsubscribe(&subscription);
    pass_ms(59000);
    assert_non_null(channel());
    pass_ms(3000);
    assert_null(channel());
    assert_int_equal(engine.held, 0);
}

static void an_own_publication_starts_a_tail_before_anybody_subscribes(void **state) {
    (void) state;
    channel_set_expect(channels, SPAN_LITERAL("news:a"), &options);
    publication("e", 5);
    assert_int_equal(channel_phase_of(channel()), CHANNEL_IDLE);
    ask(1, 1, "e", 4, false);
    expect_answer(1, YES, 5);
    assert_int_equal(engine.n_reads, 0);
}

/* The tail of another channel takes all the room, and then has itself too little. */
static void fill_tails(void) {
    static const struct epoch epoch = {"f"};
    static uint8_t data[200000];
    channel_set_expect(channels, SPAN_LITERAL("news:b"), &options);
    channel_t *other = channel_set_find(channels, SPAN_LITERAL("news:b"));
    for (uint64_t offset = 1; offset <= 6; offset++) {
        struct buffer bytes = BUFFER_EMPTY;
        wire_append_publication(&bytes,
                                &(struct wire_publication){.offset = offset, .data = span_of(data, sizeof data)});
        payload_t *payload = payload_new(buffer_span(&bytes));
        buffer_finish(&bytes);
        channel_on_publication(other, &epoch, offset, payload);
        payload_unref(&payload);
    }
}

static void a_tail_not_used_for_longest_makes_room_and_then_the_history_is_read(void **state) {
    (void) state;
    be_live(1, "e", 5);
    publication("e", 6);
    expect_push(6);
    ask(2, 2, "e", 5, false);
    assert_int_equal(expect_answer(2, YES, 6).n_publications, 1);
    fill_tails();
    ask(3, 3, "e", 5, false);
    expect_nothing();
    answer_read("e", 6, 6, 6);
    assert_int_equal(expect_answer(3, YES, 6).n_publications, 1);
    struct buffer text = BUFFER_EMPTY;
    pass_ms(100);
    metrics_render(metrics, &text);
    buffer_append_u8(&text, 0);
    assert_non_null(strstr((const char *) text.data, "\ncallboard_broker_tails_given_up_total 2\n"));
    buffer_finish(&text);
    assert_true(channel_read_tail(channel(), &(struct position){named("e"), 5}, 10, 1000, &text, &(uint32_t){0}));
    buffer_finish(&text);
}

static void an_expected_publication_that_never_comes_is_forgotten(void **state) {
    (void) state;
    channel_set_expect(channels, SPAN_LITERAL("news:a"), &options);
    pass_ms(6000);
    assert_null(channel());
    assert_int_equal(engine.held, 0);
}

static void without_history_it_goes_on_while_the_engine_is_away(void **state) {
    (void) state;
    options.history_size = 0;
    ask(1, 1, NULL, 0, false);
    fail_read();
    expect_answer(1, 0, 0);
    publication("", 0);
    expect_push(0);
}

static void everybody_left_while_a_load_is_out(void **state) {
    (void) state;
    ask(1, 1, NULL, 0, false);
    struct subscription *subscription = gateway_peer_find(peer, 1);
    channel_unlink(subscription);
    gateway_peer_unsubscribe(&subscription);
    assert_non_null(channel());
    answer_read("e", 9, 0, 0);
    expect_nothing();
    assert_int_equal(channel_phase_of(channel()), CHANNEL_IDLE);
}

static void a_reply_larger_than_its_bytes_is_paged_for_a_worker_and_refused_for_a_client(void **state) {
    (void) state;
    struct buffer one = BUFFER_EMPTY;
    wire_append_publication(&one, &(struct wire_publication){.offset = 1, .data = SPAN_LITERAL("1")});
    config.recovery_bytes_max = (int64_t) (3 * one.size);
    buffer_finish(&one);
    be_live(1, "e", 0);
    for (uint64_t offset = 1; offset <= 8; offset++) {
        publication("e", offset);
        expect_push(offset);
    }
    ask(2, 2, "e", 0, false);
    expect_answer(2, NO, 8);
    ask(3, 3, "e", 0, true);
    expect_answer(3, YES | WIRE_SUBSCRIBED_MORE, 3);
    ask(3, 4, "e", 3, true);
    expect_answer(4, YES | WIRE_SUBSCRIBED_MORE, 6);
    ask(3, 5, "e", 6, true);
    expect_answer(5, YES, 8);
}

static void who_missed_more_publications_than_are_given_is_refused_and_a_worker_is_given_pages(void **state) {
    (void) state;
    config.recovery_publications_max = 3;
    be_live(1, "e", 0);
    for (uint64_t offset = 1; offset <= 5; offset++) {
        publication("e", offset);
        expect_push(offset);
    }
    ask(2, 2, "e", 2, false);
    assert_int_equal(expect_answer(2, YES, 5).n_publications, 3);
    ask(3, 3, "e", 1, false);
    expect_answer(3, NO, 5);
    ask(4, 4, "e", 1, true);
    expect_answer(4, YES | WIRE_SUBSCRIBED_MORE, 4);
    ask(4, 5, "e", 4, true);
    expect_answer(5, YES, 5);
    assert_int_equal(metrics_read(metrics, "callboard_broker_recoveries_total", "result=\"no\""), 1);
}

static void what_was_removed_is_not_given_from_the_tail(void **state) {
    (void) state;
    be_live(1, "e", 5);
    publication("e", 6);
    expect_push(6);
    publication("e", 7);
    expect_push(7);
    struct position top = {named("e"), 6};
    channel_on_removed(channel(), &top);
    ask(2, 2, "e", 6, false);
    assert_int_equal(expect_answer(2, YES, 7).n_publications, 1);
    struct position other = {named("f"), 7};
    channel_on_removed(channel(), &other);
    ask(3, 3, "e", 6, false);
    assert_int_equal(expect_answer(3, YES, 7).n_publications, 1);
    size_t n_reads = engine.n_reads;
    ask(3, 4, "e", 5, false); /* only the engine can say that it is gone */
    expect_nothing();
    assert_int_equal(engine.n_reads, n_reads + 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(those_who_come_while_it_loads_are_answered_together),
        TEST(a_publication_during_the_load_is_in_the_answer_or_behind_it),
        TEST(a_load_that_fails_is_a_temporary_error_and_leaves_nothing),
        TEST(a_hole_is_read_and_pushed_in_order),
        TEST(a_hole_that_was_trimmed_away_is_lost),
        TEST(another_epoch_is_lost_and_goes_on),
        TEST(while_the_engine_is_away_the_tail_says_yes_and_nothing_says_no),
        TEST(at_most_so_many_loads_are_out),
        TEST(what_one_load_brought_serves_the_next_who_ask),
        TEST(a_worker_that_knows_more_is_evidence_and_a_client_is_not),
        TEST(the_newer_of_two_questions_on_a_handle_counts),
        TEST(an_idle_channel_keeps_its_tail_and_goes_after_its_time),
        TEST(an_own_publication_starts_a_tail_before_anybody_subscribes),
        TEST(a_tail_not_used_for_longest_makes_room_and_then_the_history_is_read),
        TEST(an_expected_publication_that_never_comes_is_forgotten),
        TEST(without_history_it_goes_on_while_the_engine_is_away),
        TEST(everybody_left_while_a_load_is_out),
        TEST(a_reply_larger_than_its_bytes_is_paged_for_a_worker_and_refused_for_a_client),
        TEST(who_missed_more_publications_than_are_given_is_refused_and_a_worker_is_given_pages),
        TEST(what_was_removed_is_not_given_from_the_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
