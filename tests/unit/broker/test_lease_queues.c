/* Who waits for a lease, in the order they came. */
#include "broker/lease_queues.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { N = 8 };

struct waiter {
    struct lease_waiter base;
    unsigned n_asked;
    bool asked_waiting;
    unsigned n_done;
    struct lease_answer answer;
};

struct fixture {
    lease_queues_t *queues;
    struct waiter waiters[N];
    unsigned n_left;
    char left[32];
};

static struct waiter *of(struct lease_waiter *base) {
    return list_entry(base, struct waiter, base);
}

static void on_ask(void *context, struct lease_waiter *waiter, bool waits) {
    (void) context;
    of(waiter)->n_asked++;
    of(waiter)->asked_waiting = waits;
}

static void on_leave(void *context, struct span name) {
    struct fixture *t = context;
    t->n_left++;
    snprintf(t->left, sizeof t->left, "%.*s", (int) name.size, (const char *) name.data);
}

static void on_done(void *context, struct lease_waiter *waiter, const struct lease_answer *answer) {
    (void) context;
    of(waiter)->n_done++;
    of(waiter)->answer = *answer;
}

static int setup(void **state) {
    static struct fixture t;
    t = (struct fixture){.n_left = 0};
    t.queues = lease_queues_new(&(struct lease_queues_options){
        .waiters_max = 3, .ask = on_ask, .leave = on_leave, .on_done = on_done, .context = &t});
    *state = &t;
    return 0;
}

static int teardown(void **state) {
    struct fixture *t = *state;
    lease_queues_close(t->queues);
    lease_queues_destroy(&t->queues);
    return 0;
}

#define NAME SPAN_LITERAL("job")
static enum lease_taking add(struct fixture *t, unsigned i, uint64_t wait_until_ms) {
    t->waiters[i].base.wait_until_ms = wait_until_ms;
    return lease_queues_add(t->queues, NAME, &t->waiters[i].base, 0);
}

static void granted(struct fixture *t, unsigned i, uint64_t now_ms) {
    const struct lease_answer answer = {.outcome = ENGINE_OK, .is_granted = true, .token = 7};
    lease_queues_answered(t->queues, &t->waiters[i].base, &answer, now_ms);
}

static void held(struct fixture *t, unsigned i, uint64_t left_ms, uint64_t now_ms) {
    const struct lease_answer answer = {.outcome = ENGINE_OK, .left_ms = left_ms};
    lease_queues_answered(t->queues, &t->waiters[i].base, &answer, now_ms);
}

static void failed(struct fixture *t, unsigned i, enum engine_outcome outcome, uint64_t now_ms) {
    const struct lease_answer answer = {.outcome = outcome};
    lease_queues_answered(t->queues, &t->waiters[i].base, &answer, now_ms);
}

static void assert_done(const struct waiter *waiter, enum engine_outcome outcome, bool is_granted) {
    assert_int_equal(waiter->n_done, 1);
    assert_int_equal(waiter->answer.outcome, outcome);
    assert_int_equal(waiter->answer.is_granted, is_granted);
}

static void one_that_does_not_wait_is_asked_for_once(void **state) {
    struct fixture *t = *state;
    assert_int_equal(add(t, 0, 0), LEASE_TAKEN);
    assert_int_equal(t->waiters[0].n_asked, 1);
    assert_false(t->waiters[0].asked_waiting);
    held(t, 0, 500, 10);
    assert_done(&t->waiters[0], ENGINE_OK, false);
    assert_int_equal(t->n_left, 0);
    assert_int_equal(lease_queues_count(t->queues), 0);
}

static void who_came_first_is_first_and_the_next_is_asked_for_when_it_is_served(void **state) {
    struct fixture *t = *state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(add(t, i, 10000), LEASE_TAKEN);
    }
    assert_int_equal(t->waiters[0].n_asked, 1);
    assert_int_equal(t->waiters[1].n_asked, 0);
    held(t, 0, 60000, 10);
    lease_queues_freed(t->queues, NAME, 20);
    assert_int_equal(t->waiters[0].n_asked, 2);
    assert_int_equal(t->waiters[1].n_asked, 0);
    granted(t, 0, 30);
    assert_done(&t->waiters[0], ENGINE_OK, true);
    assert_int_equal(t->waiters[1].n_asked, 1);
    assert_int_equal(t->waiters[2].n_asked, 0);
    held(t, 1, 60000, 40);
}

static void who_does_not_wait_never_passes_who_does(void **state) {
    struct fixture *t = *state;
    add(t, 0, 10000);
    assert_int_equal(add(t, 1, 0), LEASE_HELD);
    assert_int_equal(t->waiters[1].n_asked, 0);
    held(t, 0, 60000, 10);
    assert_int_equal(add(t, 1, 0), LEASE_HELD);
}

static void it_is_asked_again_when_the_holders_time_is_over_or_a_second_passed(void **state) {
    struct fixture *t = *state;
    add(t, 0, 10000);
    held(t, 0, 300, 100);
    lease_queues_tick(t->queues, 399);
    assert_int_equal(t->waiters[0].n_asked, 1);
    lease_queues_tick(t->queues, 400);
    assert_int_equal(t->waiters[0].n_asked, 2);
    lease_queues_tick(t->queues, 2000); /* while it is asked for: once */
    assert_int_equal(t->waiters[0].n_asked, 2);
    held(t, 0, 60000, 2000);
    lease_queues_tick(t->queues, 2999);
    assert_int_equal(t->waiters[0].n_asked, 2);
    lease_queues_tick(t->queues, 3000);
    assert_int_equal(t->waiters[0].n_asked, 3);
    held(t, 0, 60000, 3000);
}

static void a_release_while_it_is_asked_for_is_not_missed(void **state) {
    struct fixture *t = *state;
    add(t, 0, 10000);
    lease_queues_freed(t->queues, NAME, 5);
    assert_int_equal(t->waiters[0].n_asked, 1);
    held(t, 0, 60000, 10);
    assert_int_equal(t->waiters[0].n_asked, 2);
    granted(t, 0, 20);
    assert_done(&t->waiters[0], ENGINE_OK, true);
}

static void a_wait_that_is_over_ends_and_gives_the_place_back_with_the_last(void **state) {
    struct fixture *t = *state;
    add(t, 0, 1000);
    add(t, 1, 500);
    held(t, 0, 60000, 10);
    lease_queues_tick(t->queues, 500);
    assert_done(&t->waiters[1], ENGINE_OK, false);
    assert_int_equal(t->waiters[0].n_done, 0);
    assert_int_equal(t->n_left, 0);
    lease_queues_tick(t->queues, 1000);
    assert_done(&t->waiters[0], ENGINE_OK, false);
    assert_int_equal(t->n_left, 1);
    assert_string_equal(t->left, "job");
}

static void a_grant_on_the_way_is_awaited_beyond_the_wait(void **state) {
    struct fixture *t = *state;
    add(t, 0, 1000);
    lease_queues_tick(t->queues, 1500);
    assert_int_equal(t->waiters[0].n_done, 0);
    granted(t, 0, 1600);
    assert_done(&t->waiters[0], ENGINE_OK, true);
    assert_int_equal(t->n_left, 0);
}

static void an_engine_that_is_away_is_asked_again_until_the_wait_is_over(void **state) {
    struct fixture *t = *state;
    add(t, 0, 1000);
    failed(t, 0, ENGINE_TEMPORARY, 10);
    assert_int_equal(t->waiters[0].n_done, 0);
    lease_queues_tick(t->queues, 260);
    assert_int_equal(t->waiters[0].n_asked, 2);
    failed(t, 0, ENGINE_TEMPORARY, 300);
    lease_queues_tick(t->queues, 1000);
    assert_done(&t->waiters[0], ENGINE_TEMPORARY, false);
    add(t, 1, 5000);
    failed(t, 1, ENGINE_DENIED, 1100);
    assert_done(&t->waiters[1], ENGINE_DENIED, false);
}

static void what_may_have_been_granted_unheard_ends_as_unknown_unless_an_answer_follows(void **state) {
    struct fixture *t = *state;
    add(t, 0, 1000);
    failed(t, 0, ENGINE_UNKNOWN, 10);
    lease_queues_tick(t->queues, 260);
    failed(t, 0, ENGINE_TEMPORARY, 300);
    lease_queues_tick(t->queues, 1000);
    assert_done(&t->waiters[0], ENGINE_UNKNOWN, false);
    add(t, 1, 5000);
    failed(t, 1, ENGINE_UNKNOWN, 1100);
    lease_queues_tick(t->queues, 1400);
    held(t, 1, 60000, 1500);
    lease_queues_tick(t->queues, 5000);
    assert_done(&t->waiters[1], ENGINE_OK, false);
}

static void at_the_bound_nobody_is_taken(void **state) {
    struct fixture *t = *state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(add(t, i, 10000), LEASE_TAKEN);
    }
    assert_int_equal(add(t, 3, 10000), LEASE_FULL);
    granted(t, 0, 10);
    assert_int_equal(add(t, 3, 10000), LEASE_TAKEN);
    held(t, 1, 60000, 20);
}

static void closed_it_lets_everybody_go_but_who_is_asked_for(void **state) {
    struct fixture *t = *state;
    add(t, 0, 10000);
    add(t, 1, 10000);
    lease_queues_close(t->queues);
    assert_done(&t->waiters[1], ENGINE_TEMPORARY, false);
    assert_int_equal(t->waiters[0].n_done, 0);
    assert_int_equal(add(t, 2, 10000), LEASE_CLOSED);
    failed(t, 0, ENGINE_CANCELLED, 10);
    assert_done(&t->waiters[0], ENGINE_CANCELLED, false);
}

static void who_is_asked_for_as_it_closes_is_not_told_that_another_holds_it_while_it_would_wait(void **state) {
    struct fixture *t = *state;
    add(t, 0, 10000);
    lease_queues_close(t->queues);
    held(t, 0, 60000, 10);
    assert_done(&t->waiters[0], ENGINE_TEMPORARY, false);
    assert_int_equal(t->n_left, 1);
}

#define spec(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        spec(one_that_does_not_wait_is_asked_for_once),
        spec(who_came_first_is_first_and_the_next_is_asked_for_when_it_is_served),
        spec(who_does_not_wait_never_passes_who_does),
        spec(it_is_asked_again_when_the_holders_time_is_over_or_a_second_passed),
        spec(a_release_while_it_is_asked_for_is_not_missed),
        spec(a_wait_that_is_over_ends_and_gives_the_place_back_with_the_last),
        spec(a_grant_on_the_way_is_awaited_beyond_the_wait),
        spec(an_engine_that_is_away_is_asked_again_until_the_wait_is_over),
        spec(what_may_have_been_granted_unheard_ends_as_unknown_unless_an_answer_follows),
        spec(at_the_bound_nobody_is_taken),
        spec(closed_it_lets_everybody_go_but_who_is_asked_for),
        spec(who_is_asked_for_as_it_closes_is_not_told_that_another_holds_it_while_it_would_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
