/* What a rehearsal's events come to: what counts as lost, gone, doubled, out of order, how long the gaps were, and when
 * that is a failure. */
#include "operator/rehearse/rehearse_account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SECOND = 1000000, EVENTS_MAX = 256 };

static struct rehearse_event events[EVENTS_MAX];
static size_t n;

static struct rehearse_event *add(uint64_t at_ms, enum rehearse_event_kind kind, uint32_t number) {
    assert_true(n < EVENTS_MAX);
    events[n] = (struct rehearse_event){.at_us = 5 * SECOND + at_ms * 1000, .kind = (uint8_t) kind, .number = number};
    return &events[n++];
}

static void deliver(uint64_t at_ms, uint8_t subscriber, uint32_t number) {
    add(at_ms, REHEARSE_DELIVERED, number)->subscriber = subscriber;
}

static void publish(uint64_t at_ms, uint32_t number) {
    add(at_ms, REHEARSE_SENT, number);
    add(at_ms + 1, REHEARSE_ACKED, number);
}

/* Three publications at 0, 100 and 200 ms, to both subscribers, all in the history. */
static void play_well(void) {
    n = 0;
    for (uint32_t i = 1; i <= 3; i++) {
        publish((i - 1) * 100, i);
        deliver((i - 1) * 100 + 2, 0, i);
        deliver((i - 1) * 100 + 3, 1, i);
    }
    add(300, REHEARSE_HISTORY, 0);
    for (uint32_t i = 1; i <= 3; i++) {
        add(300, REHEARSE_KEPT, i);
    }
}

static struct rehearse_account account(void) {
    return rehearse_account_of(events, n, 2);
}

static const struct rehearse_limits limits = {.max_gap_us = SECOND, .max_whole_us = 10 * SECOND};

static struct rehearse_verdict judged(void) {
    struct rehearse_account counted = account();
    return rehearse_judge(&counted, &limits);
}

static void expect_failure(const char *reason) {
    struct rehearse_verdict verdict = judged();
    assert_false(verdict.is_passed);
    for (size_t i = 0; i < verdict.n; i++) {
        if (strcmp(verdict.reasons[i], reason) == 0) {
            return;
        }
    }
    fail_msg("not among the reasons: %s; the first: %s", reason, verdict.n > 0 ? verdict.reasons[0] : "none");
}

static void all_is_well(void **state) {
    (void) state;
    play_well();
    struct rehearse_account counted = account();
    assert_int_equal(counted.sent, 3);
    assert_int_equal(counted.acked, 3);
    assert_int_equal(counted.delivered, 6);
    assert_int_equal(counted.lost + counted.gone + counted.phantoms + counted.duplicates + counted.out_of_order, 0);
    assert_int_equal(counted.ack_gap.us, 100000);
    assert_int_equal(counted.ack_gap.from_us, 1000);
    assert_int_equal(counted.delivery_gap.us, 100000);
    assert_true(judged().is_passed);
}

static void nothing_is_no_success(void **state) {
    (void) state;
    n = 0;
    expect_failure("nothing was acked");
    add(0, REHEARSE_SENT, 1);
    add(10, REHEARSE_REFUSED, 1);
    expect_failure("nothing was acked");
}

/* One of both never gets it: the pushes that follow tell nothing of it. */
static void acked_and_never_delivered(void **state) {
    (void) state;
    play_well();
    publish(400, 4);
    deliver(402, 0, 4);
    publish(500, 5);
    deliver(502, 0, 5);
    deliver(503, 1, 5);
    add(600, REHEARSE_KEPT, 4);
    add(600, REHEARSE_KEPT, 5);
    assert_int_equal(account().lost, 1);
    assert_int_equal(account().gone, 0);
    expect_failure("1 acked, and never delivered to some subscriber");
}

/* A subscriber that never got anything misses all; nobody else's deliveries stand for it. */
static void a_subscriber_that_got_nothing(void **state) {
    (void) state;
    play_well();
    assert_int_equal(rehearse_account_of(events, n, 3).lost, 3);
}

static void delivered_late_is_not_lost(void **state) {
    (void) state;
    play_well();
    publish(400, 4);
    deliver(402, 0, 4);
    add(410, REHEARSE_DISCONNECTED, 0)->subscriber = 1;
    add(900, REHEARSE_CONNECTED, 0)->subscriber = 1;
    deliver(901, 1, 4);
    *add(902, REHEARSE_SUBSCRIBED, 0) = (struct rehearse_event){
        .at_us = 5 * SECOND + 902000, .kind = REHEARSE_SUBSCRIBED, .subscriber = 1, .flag = true};
    add(1000, REHEARSE_KEPT, 4);
    struct rehearse_account counted = account();
    assert_int_equal(counted.lost, 0);
    assert_int_equal(counted.reconnects, 1);
    assert_int_equal(counted.recovered, 1);
    assert_int_equal(counted.delivery_gap.us, 698000); /* from 203 to 901 */
    assert_int_equal(counted.delivery_gap.subscriber, 1);
    assert_true(judged().is_passed);
}

/* A fast channel: everybody saw it, and a failover took it back. */
static void acked_delivered_and_gone(void **state) {
    (void) state;
    play_well();
    publish(400, 4);
    deliver(402, 0, 4);
    deliver(402, 1, 4);
    assert_int_equal(account().lost, 0);
    assert_int_equal(account().gone, 1);
    expect_failure("1 acked, and gone from the history");
}

static void what_was_trimmed_is_not_gone(void **state) {
    (void) state;
    play_well();
    events[n - 3].kind = REHEARSE_HISTORY; /* 1 is not kept, 2 and 3 are */
    assert_int_equal(account().gone, 0);
    events[n - 2].kind = REHEARSE_HISTORY; /* only 3 is */
    assert_int_equal(account().gone, 0);
    events[n - 1].kind = REHEARSE_HISTORY; /* nothing is */
    assert_int_equal(account().gone, 3);
}

static void a_hole_in_the_history(void **state) {
    (void) state;
    play_well();
    events[n - 2].kind = REHEARSE_HISTORY;
    assert_int_equal(account().gone, 1);
}

static void a_history_that_nobody_read_proves_nothing(void **state) {
    (void) state;
    play_well();
    n -= 4;
    assert_int_equal(account().gone, 0);
    expect_failure("1 channels whose history could not be read at the end");
}

static void doubled_and_out_of_order(void **state) {
    (void) state;
    play_well();
    deliver(310, 0, 2);
    assert_int_equal(account().duplicates, 1);
    assert_int_equal(account().out_of_order, 0);
    expect_failure("1 delivered twice");
    play_well();
    publish(400, 4);
    publish(410, 5);
    deliver(420, 0, 5);
    deliver(430, 0, 4);
    assert_int_equal(account().out_of_order, 1);
    expect_failure("1 out of order");
}

static void tries_and_what_is_given_up(void **state) {
    (void) state;
    play_well();
    add(400, REHEARSE_SENT, 4);
    add(410, REHEARSE_REFUSED, 4);
    add(420, REHEARSE_UNANSWERED, 4);
    add(700, REHEARSE_GIVEN_UP, 4);
    struct rehearse_account counted = account();
    assert_int_equal(counted.refused_tries, 1);
    assert_int_equal(counted.unanswered_tries, 1);
    assert_int_equal(counted.unknown, 1);
    assert_int_equal(counted.nacked, 0);
    assert_int_equal(counted.ack_gap.us, 499000); /* from 201 to 700 */
    expect_failure("1 given up: not acked within --patience");
    deliver(800, 0, 4); /* nobody said that it was not kept */
    assert_int_equal(account().phantoms, 0);
}

static void refused_for_good_and_there_all_the_same(void **state) {
    (void) state;
    play_well();
    add(400, REHEARSE_SENT, 4);
    add(410, REHEARSE_REFUSED, 4);
    add(420, REHEARSE_GIVEN_UP, 4)->flag = true;
    assert_int_equal(account().nacked, 1);
    assert_int_equal(account().phantoms, 0);
    add(430, REHEARSE_KEPT, 4);
    assert_int_equal(account().phantoms, 1);
    expect_failure("1 refused for good, and there all the same");
}

static void gaps_are_of_one_channel(void **state) {
    (void) state;
    play_well();
    publish(1500, 4);
    for (size_t i = n - 2; i < n; i++) {
        events[i].channel = 7; /* channel 0 has no ack for long, and nothing to ack either */
    }
    assert_int_equal(account().ack_gap.us, 100000);
    publish(2000, 4);
    assert_int_equal(account().ack_gap.us, 1800000);
    assert_int_equal(account().ack_gap.channel, 0);
    expect_failure("no ack for 1.8 s; at most 1.0 s");
}

/* What never came is a gap to the end. */
static void the_last_delivery_that_is_missing(void **state) {
    (void) state;
    play_well();
    publish(400, 4);
    add(2500, REHEARSE_ENDED, 0);
    assert_int_equal(account().delivery_gap.us, 2298000);
    expect_failure("no delivery for 2.2 s; at most 1.0 s");
}

static void what_was_taken_away_has_to_be_missed(void **state) {
    const struct rehearse_limits strict = {.max_gap_us = SECOND, .max_whole_us = SECOND, .must_turn_away = true};
    (void) state;
    play_well();
    add(400, REHEARSE_BEGUN, 0);
    add(410, REHEARSE_REFUSED, 4); /* before */
    add(420, REHEARSE_AWAY, 0);
    add(500, REHEARSE_BACK, 0);
    add(600, REHEARSE_WHOLE, 0);
    struct rehearse_account counted = account();
    struct rehearse_verdict verdict = rehearse_judge(&counted, &strict);
    assert_int_equal(counted.whole_us, 200000);
    assert_int_equal(verdict.n, 1);
    assert_string_equal(verdict.reasons[0], "no publication was refused meanwhile: what was taken away was not missed");
    events[n - 3] = events[n - 4]; /* AWAY, then REFUSED */
    events[n - 4].kind = REHEARSE_AWAY;
    counted = account();
    assert_int_equal(counted.turned_away, 1);
    assert_true(rehearse_judge(&counted, &strict).is_passed);
}

static void not_whole_is_no_success(void **state) {
    (void) state;
    play_well();
    add(400, REHEARSE_BEGUN, 0);
    expect_failure("not all was as before in the end");
    add(11000, REHEARSE_WHOLE, 0);
    expect_failure("all was as before after 10.6 s; at most 10.0 s");
}

static void subscriptions_that_begin_anew(void **state) {
    struct rehearse_limits lenient = limits;
    (void) state;
    play_well();
    add(310, REHEARSE_SUBSCRIBED, 0);
    expect_failure("1 subscriptions could not be recovered");
    lenient.max_unrecovered = 1;
    struct rehearse_account counted = account();
    assert_true(rehearse_judge(&counted, &lenient).is_passed);
}

/* A publication of a number that nobody could have sent. */
static void foreign_numbers_take_no_memory(void **state) {
    (void) state;
    play_well();
    deliver(310, 0, UINT32_MAX);
    assert_int_equal(account().phantoms, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(nothing_is_no_success),
        cmocka_unit_test(acked_and_never_delivered),
        cmocka_unit_test(a_subscriber_that_got_nothing),
        cmocka_unit_test(delivered_late_is_not_lost),
        cmocka_unit_test(acked_delivered_and_gone),
        cmocka_unit_test(what_was_trimmed_is_not_gone),
        cmocka_unit_test(a_hole_in_the_history),
        cmocka_unit_test(a_history_that_nobody_read_proves_nothing),
        cmocka_unit_test(doubled_and_out_of_order),
        cmocka_unit_test(tries_and_what_is_given_up),
        cmocka_unit_test(refused_for_good_and_there_all_the_same),
        cmocka_unit_test(gaps_are_of_one_channel),
        cmocka_unit_test(the_last_delivery_that_is_missing),
        cmocka_unit_test(what_was_taken_away_has_to_be_missed),
        cmocka_unit_test(not_whole_is_no_success),
        cmocka_unit_test(subscriptions_that_begin_anew),
        cmocka_unit_test(foreign_numbers_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
