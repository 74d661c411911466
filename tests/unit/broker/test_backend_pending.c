/* Requests that wait for shards: bounded, matched by ticket, late answers never find a newer request. */
#include "broker/backend/backend_pending.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct backend_waiting *add(backend_pending_t *pending, uint32_t n_parts, uint64_t deadline_ms) {
    zmq_msg_t routing;
    zmq_msg_init_size(&routing, 5);
    memcpy(zmq_msg_data(&routing), "peer1", 5);
    struct backend_waiting *waiting =
        backend_pending_add(pending, &routing, false, SPAN_LITERAL("id"), NULL, n_parts, deadline_ms);
    zmq_msg_close(&routing);
    return waiting;
}

static struct shard_reply *reply_to(uint64_t ticket) {
    struct shard_reply *reply = memory_alloc_zero(sizeof *reply);
    reply->ticket = ticket;
    return reply;
}

static void a_request_is_complete_with_its_last_part(void **state) {
    (void) state;
    backend_pending_t *pending = backend_pending_new(10);
    struct backend_waiting *waiting = add(pending, 3, 100);
    uint64_t first = backend_pending_ticket(waiting, 0);
    assert_null(backend_pending_take(pending, reply_to(first + 2)));
    assert_null(backend_pending_take(pending, reply_to(first)));
    assert_null(backend_pending_take(pending, reply_to(first))); /* the same part again */
    assert_ptr_equal(backend_pending_take(pending, reply_to(first + 1)), waiting);
    assert_memory_equal(zmq_msg_data(&waiting->routing), "peer1", 5);
    assert_memory_equal(waiting->id, "id", 2);
    backend_pending_remove(pending, waiting);
    assert_int_equal(backend_pending_count(pending), 0);
    backend_pending_destroy(&pending);
}

static void a_late_answer_does_not_find_the_places_next_request(void **state) {
    (void) state;
    backend_pending_t *pending = backend_pending_new(1);
    struct backend_waiting *old = add(pending, 1, 100);
    uint64_t old_ticket = backend_pending_ticket(old, 0);
    backend_pending_remove(pending, old);
    struct backend_waiting *next = add(pending, 1, 100);
    assert_ptr_equal(next, old);
    assert_null(backend_pending_take(pending, reply_to(old_ticket)));
    assert_null(backend_pending_take(pending, reply_to(UINT64_MAX)));
    assert_null(backend_pending_take(pending, reply_to(backend_pending_ticket(next, 1))));
    assert_int_equal(next->parts_left, 1);
    backend_pending_destroy(&pending);
}

static void at_the_bound_nothing_is_taken(void **state) {
    (void) state;
    backend_pending_t *pending = backend_pending_new(100);
    for (int i = 0; i < 100; i++) {
        assert_non_null(add(pending, 1, 100));
    }
    assert_null(add(pending, 1, 100));
    assert_int_equal(backend_pending_count(pending), 100);
    backend_pending_destroy(&pending);
}

static void what_is_overdue_is_found(void **state) {
    (void) state;
    backend_pending_t *pending = backend_pending_new(10);
    add(pending, 1, 300);
    struct backend_waiting *early = add(pending, 1, 200);
    assert_null(backend_pending_overdue(pending, 199));
    assert_ptr_equal(backend_pending_overdue(pending, 200), early);
    backend_pending_remove(pending, early);
    assert_null(backend_pending_overdue(pending, 299));
    assert_non_null(backend_pending_overdue(pending, UINT64_MAX));
    backend_pending_destroy(&pending);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_complete_with_its_last_part),
        cmocka_unit_test(a_late_answer_does_not_find_the_places_next_request),
        cmocka_unit_test(at_the_bound_nothing_is_taken),
        cmocka_unit_test(what_is_overdue_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
