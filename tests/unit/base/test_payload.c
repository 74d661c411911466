/* Payloads: one block, counted references, freed by the last holder on whatever thread. */
#include "base/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 20000 };

static void a_payload_holds_a_copy_of_its_bytes(void **state) {
    (void) state;
    char text[] = "hello";
    payload_t *payload = payload_new(span_of_text(text));
    text[0] = 'J';
    assert_true(span_equal_text(payload_span(payload), "hello"));
    assert_true(payload_footprint(payload) > 5);
    payload_unref(&payload);
    assert_null(payload);
    payload_unref(&payload);
}

static void an_empty_payload_is_a_payload(void **state) {
    (void) state;
    payload_t *payload = payload_new(SPAN_EMPTY);
    assert_int_equal(payload_span(payload).size, 0);
    payload_unref(&payload);
}

static void the_bytes_stay_as_long_as_anybody_holds_them(void **state) {
    (void) state;
    uint8_t *data = NULL;
    payload_t *payload = payload_new_uninitialised(3, &data);
    memcpy(data, "abc", 3);
    payload_t *other = payload_ref(payload);
    assert_ptr_equal(other, payload);
    payload_unref(&payload);
    assert_true(span_equal_text(payload_span(other), "abc"));
    payload_unref(&other);
}

static void many_references_are_taken_and_dropped_at_once(void **state) {
    (void) state;
    payload_t *payload = payload_new(SPAN_LITERAL("abc"));
    payload_t *all = payload;
    payload_ref_many(payload, 10);
    payload_unref_many(&all, 9);
    assert_null(all);
    all = payload;
    payload_unref(&all);
    assert_true(span_equal_text(payload_span(payload), "abc"));
    payload_unref_many(&payload, 1);
    assert_null(payload);
    payload_unref_many(&payload, 3);
}

static void *take_and_drop(void *argument) {
    payload_t *mine = argument;
    for (int i = 0; i < ROUNDS; i++) {
        payload_t *more = payload_ref(mine);
        if (!span_equal_text(payload_span(more), "shared")) {
            return mine;
        }
        payload_unref(&more);
    }
    payload_unref(&mine);
    return NULL;
}

static void threads_share_one_payload(void **state) {
    (void) state;
    pthread_t threads[THREADS];
    payload_t *payload = payload_new(SPAN_LITERAL("shared"));
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_drop, payload_ref(payload)), 0);
    }
    payload_unref(&payload); /* whichever thread ends last frees it: the sanitizers see a leak or a second free */
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_holds_a_copy_of_its_bytes),
        cmocka_unit_test(an_empty_payload_is_a_payload),
        cmocka_unit_test(the_bytes_stay_as_long_as_anybody_holds_them),
        cmocka_unit_test(many_references_are_taken_and_dropped_at_once),
        cmocka_unit_test(threads_share_one_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
