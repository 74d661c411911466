/* The pool of workers: who is asked, what bounds it, and what becomes of calls when a worker is lost. */
#include "broker/backend/worker_pool.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SENT_MAX = 64 };

static struct {
    char to; /* the worker's routing id, one letter */
    struct worker_call *call;
} sent[SENT_MAX];
static unsigned n_sent;
static unsigned n_pings;
static unsigned n_lost;
static char unreachable; /* the worker that cannot be reached */
static struct worker_call *failed[SENT_MAX];
static enum error_code failed_code[SENT_MAX];
static unsigned n_failed;

static bool on_send(void *context, const worker_t *worker, struct worker_call *call) {
    (void) context;
    char to = (char) worker_routing(worker).data[0];
    if (to == unreachable) {
        return false;
    }
    sent[n_sent].to = to;
    sent[n_sent++].call = call;
    return true;
}

static bool on_ping(void *context, const worker_t *worker) {
    (void) context;
    n_pings++;
    return (char) worker_routing(worker).data[0] != unreachable;
}

static void on_failed(void *context, struct worker_call *call, enum error_code code) {
    (void) context;
    failed[n_failed] = call;
    failed_code[n_failed++] = code;
}

static void on_lost(void *context, const worker_t *worker) {
    (void) context;
    (void) worker;
    n_lost++;
}

static worker_pool_t *make_pool(uint32_t workers_max, uint32_t calls_max, uint32_t worker_calls_max) {
    n_sent = n_pings = n_lost = n_failed = 0;
    unreachable = '\0';
    return worker_pool_new(&(struct worker_pool_options){.workers_max = workers_max,
                                                         .calls_max = calls_max,
                                                         .worker_calls_max = worker_calls_max,
                                                         .ping_ms = 1000,
                                                         .misses_max = 3,
                                                         .send = on_send,
                                                         .ping = on_ping,
                                                         .on_failed = on_failed,
                                                         .on_lost = on_lost});
}

static enum error_code enter(worker_pool_t *pool, const char *routing, const char *method) {
    struct span name = method == NULL ? SPAN_EMPTY : span_of_text(method);
    struct worker_registration registration = {
        .routing = span_of_text(routing), .methods = &name, .n_methods = method == NULL ? 0 : 1};
    return worker_pool_register(pool, &registration, 0);
}

static struct worker_call call_of(const char *method, uint64_t deadline_ms) {
    return (struct worker_call){.method = span_of_text(method), .deadline_ms = deadline_ms};
}

static void the_worker_with_the_fewest_calls_is_asked_in_turn_among_equals(void **state) {
    (void) state;
    worker_pool_t *pool = make_pool(9, 99, 9);
    struct worker_call calls[5];
    assert_int_equal(enter(pool, "a", "rpc:*"), ERROR_NONE);
    assert_int_equal(enter(pool, "b", "rpc:x"), ERROR_NONE);
    assert_int_equal(enter(pool, "c", "connect"), ERROR_NONE);
    for (unsigned i = 0; i < 4; i++) {
        calls[i] = call_of("rpc:x", 100);
        assert_int_equal(worker_pool_call(pool, &calls[i]), ERROR_NONE);
    }
    assert_true(sent[0].to == 'a' && sent[1].to == 'b' && sent[2].to == 'a' && sent[3].to == 'b');
    assert_false(worker_pool_done(pool, SPAN_LITERAL("b"), &calls[0])); /* it is a's */
    assert_true(worker_pool_done(pool, SPAN_LITERAL("b"), &calls[1]));
    assert_true(worker_pool_done(pool, SPAN_LITERAL("b"), &calls[3]));
    calls[4] = call_of("rpc:x", 100);
    assert_int_equal(worker_pool_call(pool, &calls[4]), ERROR_NONE);
    assert_true(sent[4].to == 'b');
    struct worker_call none = call_of("publish", 100);
    assert_int_equal(worker_pool_call(pool, &none), ERROR_NOT_AVAILABLE);
    worker_pool_fail_all(pool, ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(n_failed, 3);
    assert_int_equal(worker_pool_workers(pool), 0);
    worker_pool_destroy(&pool);
}

static void workers_and_calls_are_bounded(void **state) {
    (void) state;
    worker_pool_t *pool = make_pool(2, 3, 2);
    struct worker_call calls[4];
    assert_int_equal(enter(pool, "a", "x"), ERROR_NONE);
    assert_int_equal(enter(pool, "b", "y"), ERROR_NONE);
    assert_int_equal(enter(pool, "c", "z"), ERROR_LIMIT_EXCEEDED);
    assert_int_equal(enter(pool, "a", "x"), ERROR_NONE); /* known already */
    for (unsigned i = 0; i < 4; i++) {
        calls[i] = call_of("x", 100);
    }
    assert_int_equal(worker_pool_call(pool, &calls[0]), ERROR_NONE);
    assert_int_equal(worker_pool_call(pool, &calls[1]), ERROR_NONE);
    assert_int_equal(worker_pool_call(pool, &calls[2]), ERROR_TOO_MANY_REQUESTS);
    calls[2].method = calls[3].method = SPAN_LITERAL("y");
    assert_int_equal(worker_pool_call(pool, &calls[2]), ERROR_NONE);
    assert_int_equal(worker_pool_call(pool, &calls[3]), ERROR_TOO_MANY_REQUESTS);
    worker_pool_fail_all(pool, ERROR_INTERNAL);
    worker_pool_destroy(&pool);
}

static void a_deadline_ends_a_call_and_its_answer_comes_too_late(void **state) {
    (void) state;
    worker_pool_t *pool = make_pool(2, 9, 9);
    struct worker_call early = call_of("x", 10);
    struct worker_call late = call_of("x", 20);
    enter(pool, "a", "x");
    worker_pool_call(pool, &early);
    worker_pool_call(pool, &late);
    worker_pool_tick(pool, 10);
    assert_int_equal(n_failed, 1);
    assert_ptr_equal(failed[0], &early);
    assert_int_equal(failed_code[0], ERROR_OUTCOME_UNKNOWN);
    assert_false(worker_pool_done(pool, SPAN_LITERAL("a"), &early));
    assert_true(worker_pool_done(pool, SPAN_LITERAL("a"), &late));
    worker_pool_destroy(&pool);
}

static void three_missed_pings_mean_lost_and_only_a_question_goes_to_another(void **state) {
    (void) state;
    worker_pool_t *pool = make_pool(2, 9, 9);
    struct worker_call question = call_of("x", 100000);
    struct worker_call order = call_of("x", 100000);
    question.may_be_repeated = true;
    enter(pool, "a", "x");
    worker_pool_call(pool, &question);
    worker_pool_call(pool, &order);
    enter(pool, "b", "x");
    for (uint64_t now_ms = 1000; now_ms <= 3000; now_ms += 1000) {
        worker_pool_tick(pool, now_ms);
        assert_true(worker_pool_heard(pool, SPAN_LITERAL("b")));
    }
    assert_int_equal(n_pings, 6);
    assert_int_equal(n_lost, 0);
    worker_pool_tick(pool, 4000);
    assert_int_equal(n_lost, 1);
    assert_int_equal(n_failed, 1);
    assert_ptr_equal(failed[0], &order);
    assert_int_equal(failed_code[0], ERROR_WORKER_LOST);
    assert_true(sent[2].to == 'b' && sent[2].call == &question);
    enter(pool, "c", "x");
    unreachable = 'b';
    worker_pool_tick(pool, 5000); /* b cannot be pinged: lost, and the question was repeated once already */
    assert_int_equal(n_failed, 2);
    assert_int_equal(failed_code[1], ERROR_WORKER_LOST);
    assert_int_equal(worker_pool_workers(pool), 1);
    worker_pool_destroy(&pool);
}

static void what_a_worker_calls_repeatable_is(void **state) {
    (void) state;
    worker_pool_t *pool = make_pool(2, 9, 9);
    struct span name = SPAN_LITERAL("rpc:get_*");
    struct worker_registration registration = {
        .routing = SPAN_LITERAL("a"), .methods = &name, .n_methods = 1, .repeatable = &name, .n_repeatable = 1};
    struct worker_call call = call_of("rpc:get_seat", 100000);
    worker_pool_register(pool, &registration, 0);
    worker_pool_call(pool, &call);
    for (uint64_t now_ms = 1000; now_ms <= 3000; now_ms += 1000) {
        worker_pool_tick(pool, now_ms);
    }
    registration.routing = SPAN_LITERAL("b");
    worker_pool_register(pool, &registration, 3500);
    worker_pool_tick(pool, 4000);
    assert_int_equal(n_failed, 0);
    assert_true(sent[1].to == 'b');
    worker_pool_fail_all(pool, ERROR_INTERNAL);
    worker_pool_destroy(&pool);
}

static void one_that_drains_keeps_its_calls_and_gets_no_more(void **state) {
    (void) state;
    worker_pool_t *pool = make_pool(2, 9, 9);
    struct worker_call open = call_of("x", 100000);
    struct worker_call next = call_of("x", 100000);
    enter(pool, "a", "x");
    worker_pool_call(pool, &open);
    assert_int_equal(enter(pool, "a", NULL), ERROR_NONE);
    assert_false(worker_pool_serves(pool, SPAN_LITERAL("x")));
    assert_int_equal(worker_pool_call(pool, &next), ERROR_NOT_AVAILABLE);
    assert_true(worker_pool_done(pool, SPAN_LITERAL("a"), &open));
    assert_int_equal(worker_pool_workers(pool), 0);
    worker_pool_destroy(&pool);
}

static void one_that_cannot_be_reached_is_passed_over(void **state) {
    (void) state;
    worker_pool_t *pool = make_pool(2, 9, 9);
    struct worker_call call = call_of("x", 100000);
    enter(pool, "a", "x");
    enter(pool, "b", "x");
    unreachable = 'a';
    assert_int_equal(worker_pool_call(pool, &call), ERROR_NONE);
    assert_true(n_sent == 1 && sent[0].to == 'b');
    assert_int_equal(n_lost, 1);
    worker_pool_cancel(pool, &call);
    worker_pool_destroy(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worker_with_the_fewest_calls_is_asked_in_turn_among_equals),
        cmocka_unit_test(workers_and_calls_are_bounded),
        cmocka_unit_test(a_deadline_ends_a_call_and_its_answer_comes_too_late),
        cmocka_unit_test(three_missed_pings_mean_lost_and_only_a_question_goes_to_another),
        cmocka_unit_test(what_a_worker_calls_repeatable_is),
        cmocka_unit_test(one_that_drains_keeps_its_calls_and_gets_no_more),
        cmocka_unit_test(one_that_cannot_be_reached_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
