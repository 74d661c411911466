/* The outbox: order, bounds, what one write carries, and that nothing stays charged. */
#include "gateway/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { BYTES_MAX = 1000, FRAMES_MAX = 100 };

static enum outbox_result push_text(struct outbox *outbox, const char *text, struct quota *all) {
    payload_t *payload = payload_new(span_of_text(text));
    enum outbox_result result = outbox_push(outbox, payload, BYTES_MAX, FRAMES_MAX, all);
    payload_unref(&payload);
    return result;
}

static enum outbox_result push_size(struct outbox *outbox, size_t size, struct quota *all) {
    uint8_t *data;
    payload_t *payload = payload_new_uninitialised(size, &data);
    memset(data, 'x', size);
    enum outbox_result result = outbox_push(outbox, payload, BYTES_MAX, FRAMES_MAX, all);
    payload_unref(&payload);
    return result;
}

static void assert_gathers(struct outbox *outbox, size_t scratch_limit, const char *text, uint32_t count) {
    struct buffer scratch;
    buffer_init(&scratch, scratch_limit);
    uint32_t n = 0;
    struct span bytes = outbox_gather(outbox, &scratch, &n);
    assert_int_equal(n, count);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
    buffer_finish(&scratch);
}

static void one_payload_is_handed_out_without_a_copy(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    struct buffer scratch;
    quota_init(&all, 0, NULL);
    outbox_init(&outbox);
    buffer_init(&scratch, 100);
    payload_t *payload = payload_new(SPAN_LITERAL("alone"));
    assert_int_equal(outbox_push(&outbox, payload, BYTES_MAX, FRAMES_MAX, &all), OUTBOX_QUEUED);
    uint32_t n = 0;
    assert_ptr_equal(outbox_gather(&outbox, &scratch, &n).data, payload_span(payload).data);
    assert_int_equal(n, 1);
    assert_int_equal(outbox.capacity, 0);
    outbox_consume(&outbox, 1, &all);
    assert_true(outbox_is_empty(&outbox));
    assert_int_equal(all.used, 0);
    payload_unref(&payload);
    buffer_finish(&scratch);
}

static void push_first_text(struct outbox *outbox, const char *text, struct quota *all) {
    payload_t *payload = payload_new(span_of_text(text));
    outbox_push_first(outbox, payload, all);
    payload_unref(&payload);
}

static void what_must_come_first_does(void **state) {
    (void) state;
    for (unsigned n = 0; n < 20; n++) {
        struct outbox outbox;
        struct quota all;
        char expected[64] = "first";
        quota_init(&all, 0, NULL);
        outbox_init(&outbox);
        for (unsigned i = 0; i < n; i++) {
            push_text(&outbox, i % 2 ? "b" : "a", &all);
            strcat(expected, i % 2 ? "b" : "a");
        }
        push_first_text(&outbox, "first", &all);
        assert_gathers(&outbox, 100, expected, n + 1);
        assert_int_equal(all.used, 5 + n);
        outbox_consume(&outbox, n + 1, &all);
        assert_int_equal(all.used, 0);
    }
}

static void several_small_payloads_go_in_one_write_in_order(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    quota_init(&all, 0, NULL);
    outbox_init(&outbox);
    push_text(&outbox, "one ", &all);
    push_text(&outbox, "two ", &all);
    push_text(&outbox, "three ", &all);
    push_text(&outbox, "four", &all);
    assert_int_equal(all.used, 18);
    assert_gathers(&outbox, 100, "one two three four", 4);
    assert_gathers(&outbox, 14, "one two three ", 3);
    assert_gathers(&outbox, 13, "one two ", 2);
    assert_gathers(&outbox, 7, "one ", 1);
    assert_gathers(&outbox, 3, "one ", 1);
    outbox_consume(&outbox, 2, &all);
    assert_gathers(&outbox, 100, "three four", 2);
    outbox_finish(&outbox, &all);
    assert_int_equal(all.used, 0);
}

static void the_ring_turns_and_grows_without_losing_order(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    quota_init(&all, 0, NULL);
    outbox_init(&outbox);
    unsigned in = 0;
    unsigned out = 0;
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 1 + round % 13 && outbox.count < 60; i++) {
            char text[16];
            snprintf(text, sizeof(text), "%05u", in++);
            assert_int_equal(push_text(&outbox, text, &all), OUTBOX_QUEUED);
        }
        for (unsigned i = 0; i < round % 11 && out < in; i++) {
            char text[16];
            snprintf(text, sizeof(text), "%05u", out++);
            assert_gathers(&outbox, 5, text, 1);
            outbox_consume(&outbox, 1, &all);
        }
        assert_int_equal(outbox.count, in - out);
        assert_int_equal(outbox.bytes, 5 * (in - out));
        assert_int_equal(all.used, outbox.bytes);
    }
    assert_true(out > 100);
    outbox_finish(&outbox, &all);
    assert_int_equal(all.used, 0);
}

static void an_emptied_outbox_gives_its_ring_back(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    quota_init(&all, 0, NULL);
    outbox_init(&outbox);
    push_text(&outbox, "a", &all);
    push_text(&outbox, "b", &all);
    assert_int_not_equal(outbox.capacity, 0);
    outbox_consume(&outbox, 2, &all);
    assert_int_equal(outbox.capacity, 0);
    assert_int_equal(push_text(&outbox, "c", &all), OUTBOX_QUEUED);
    assert_gathers(&outbox, 5, "c", 1);
    outbox_finish(&outbox, &all);
}

static void the_byte_bound_refuses_the_payload_that_would_cross_it(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    quota_init(&all, 0, NULL);
    outbox_init(&outbox);
    assert_int_equal(push_size(&outbox, BYTES_MAX + 1, &all), OUTBOX_OVER_LIMIT);
    assert_int_equal(push_size(&outbox, 600, &all), OUTBOX_QUEUED);
    assert_int_equal(push_size(&outbox, 401, &all), OUTBOX_OVER_LIMIT);
    assert_int_equal(push_size(&outbox, 400, &all), OUTBOX_QUEUED);
    assert_int_equal(push_size(&outbox, 1, &all), OUTBOX_OVER_LIMIT);
    assert_int_equal(all.used, 1000);
    outbox_finish(&outbox, &all);
    assert_int_equal(all.used, 0);
}

static void the_frame_bound_refuses_the_next(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    quota_init(&all, 0, NULL);
    outbox_init(&outbox);
    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        assert_int_equal(push_size(&outbox, 1, &all), OUTBOX_QUEUED);
    }
    assert_int_equal(push_size(&outbox, 1, &all), OUTBOX_OVER_LIMIT);
    outbox_finish(&outbox, &all);
}

static void the_workers_budget_refuses_too_and_nothing_stays_charged(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    quota_init(&all, 10, NULL);
    outbox_init(&outbox);
    assert_int_equal(push_size(&outbox, 8, &all), OUTBOX_QUEUED);
    assert_int_equal(push_size(&outbox, 3, &all), OUTBOX_OVER_LIMIT);
    assert_int_equal(outbox.count, 1);
    assert_int_equal(all.used, 8);
    outbox_finish(&outbox, &all);
    assert_int_equal(all.used, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_payload_is_handed_out_without_a_copy),
        cmocka_unit_test(several_small_payloads_go_in_one_write_in_order),
        cmocka_unit_test(the_ring_turns_and_grows_without_losing_order),
        cmocka_unit_test(an_emptied_outbox_gives_its_ring_back),
        cmocka_unit_test(the_byte_bound_refuses_the_payload_that_would_cross_it),
        cmocka_unit_test(what_must_come_first_does),
        cmocka_unit_test(the_frame_bound_refuses_the_next),
        cmocka_unit_test(the_workers_budget_refuses_too_and_nothing_stays_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
