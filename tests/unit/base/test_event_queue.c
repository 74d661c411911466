/* Events that wait: what is published together, again and under which key, and what has no room. */
#include "base/event_queue.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct event_queue queue;

static int64_t wall_ms(void) {
    return 1800000000000;
}

static uint64_t monotonic_us(void) {
    return 1;
}

static int set_up(void **state) {
    (void) state;
    clock_replace(monotonic_us, wall_ms);
    event_queue_init(&queue, "broker", "b\"1", 255, 3);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    event_queue_finish(&queue);
    clock_replace(NULL, NULL);
    return 0;
}

static bool put(unsigned n, uint64_t bytes_max) {
    char event[32];
    int size = snprintf(event, sizeof event, "{\"n\":%u}", n);
    return event_queue_put(&queue, span_of(event, (size_t) size), bytes_max);
}

static void assert_next(const char *text, const char *key) {
    struct span got_text;
    struct span got_key;
    assert_true(event_queue_next(&queue, &got_text, &got_key));
    assert_true(span_equal_text(got_text, text));
    assert_true(span_equal_text(got_key, key));
}

static void the_same_goes_again_until_it_is_acknowledged(void **state) {
    (void) state;
    assert_true(put(1, 1000) && put(2, 1000));
    assert_next("{\"events\":[{\"n\":1},{\"n\":2}]}", "events:broker:b\"1:00000000000000ff:3:1");
    assert_true(put(3, 1000));
    assert_next("{\"events\":[{\"n\":1},{\"n\":2}]}", "events:broker:b\"1:00000000000000ff:3:1");
    assert_int_equal(event_queue_acknowledge(&queue, 100000), 2);
    assert_next("{\"events\":[{\"n\":3}]}", "events:broker:b\"1:00000000000000ff:3:2");
    assert_false(event_queue_is_empty(&queue));
    assert_int_equal(event_queue_acknowledge(&queue, 100000), 1);
    assert_true(event_queue_is_empty(&queue));
    struct span ignored;
    assert_false(event_queue_next(&queue, &ignored, &ignored));
    assert_int_equal(queue.bytes, 0);
}

static void what_has_no_room_is_told_where_the_hole_is(void **state) {
    (void) state;
    assert_true(put(1, 14) && put(2, 14));
    assert_false(put(3, 14));
    assert_false(put(4, 14));
    assert_next("{\"events\":[{\"n\":1},{\"n\":2}]}", "events:broker:b\"1:00000000000000ff:3:1");
    event_queue_acknowledge(&queue, 14); /* no room to say so */
    assert_true(event_queue_is_empty(&queue));
    event_queue_note_lost(&queue, 5, 1000); /* now there is */
    assert_true(put(6, 1000));
    assert_next("{\"events\":[{\"type\":\"lost\",\"time\":1800000000000,\"broker\":\"b\\\"1\",\"n\":7},{\"n\":6}]}",
                "events:broker:b\"1:00000000000000ff:3:2");
    assert_true(put(7, 1000));
    assert_false(put(8, 20));
    event_queue_acknowledge(&queue, 1000); /* and nobody else has to come */
    assert_next("{\"events\":[{\"n\":7},{\"type\":\"lost\",\"time\":1800000000000,\"broker\":\"b\\\"1\",\"n\":1}]}",
                "events:broker:b\"1:00000000000000ff:3:3");
}

static void a_publication_has_an_end(void **state) {
    (void) state;
    for (unsigned i = 0; i < 600; i++) {
        assert_true(put(i, 100000));
    }
    struct span text;
    struct span key;
    size_t sizes[3];
    for (unsigned i = 0; i < 3; i++) {
        assert_true(event_queue_next(&queue, &text, &key));
        sizes[i] = event_queue_acknowledge(&queue, 100000);
    }
    assert_int_equal(sizes[0], 256);
    assert_int_equal(sizes[1], 256);
    assert_int_equal(sizes[2], 88);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_goes_again_until_it_is_acknowledged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_room_is_told_where_the_hole_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_publication_has_an_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
