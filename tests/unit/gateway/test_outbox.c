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
    if (result == OUTBOX_OVER_LIMIT) {
        payload_unref(&payload); /* not taken */
    }
    return result;
}

static enum outbox_result push_size(struct outbox *outbox, size_t size, struct quota *all) {
    uint8_t *data;
    payload_t *payload = payload_new_uninitialised(size, &data);
    memset(data, 'x', size);
    enum outbox_result result = outbox_push(outbox, payload, BYTES_MAX, FRAMES_MAX, all);
    if (result == OUTBOX_OVER_LIMIT) {
        payload_unref(&payload); /* not taken */
    }
    return result;
}

static struct outbox_writes writes;

static void begin(size_t bytes_max) {
    outbox_writes_init(&writes, bytes_max);
}

static void end(void) {
    outbox_writes_finish(&writes);
}

static void assert_holds(const struct outbox_gathered *gathered, const char *text, uint32_t count) {
    assert_int_equal(gathered->count, count);
    assert_int_equal(gathered->bytes.size, strlen(text));
    assert_memory_equal(gathered->bytes.data, text, gathered->bytes.size);
}

static void assert_gathers(struct outbox *outbox, size_t bytes_max, const char *text, uint32_t count) {
    begin(bytes_max);
    struct outbox_gathered gathered = outbox_gather(outbox, &writes);
    assert_holds(&gathered, text, count);
    end();
}

/* As if written with the first `count` payloads in it. */
static void consume(struct outbox *outbox, uint32_t count, struct quota *all) {
    for (uint32_t i = 0; i < count; i++) {
        begin(1); /* so each stands alone */
        struct outbox_gathered gathered = outbox_gather(outbox, &writes);
        assert_int_equal(gathered.count, 1);
        outbox_consume(outbox, &gathered, all);
        end();
    }
}

static void one_payload_is_handed_out_without_a_copy(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    quota_init(&all, 0, NULL);
    outbox_init(&outbox);
    begin(100);
    payload_t *payload = payload_new(SPAN_LITERAL("alone"));
    assert_int_equal(outbox_push(&outbox, payload_ref(payload), BYTES_MAX, FRAMES_MAX, &all), OUTBOX_QUEUED);
    struct outbox_gathered gathered = outbox_gather(&outbox, &writes);
    assert_ptr_equal(gathered.bytes.data, payload_span(payload).data);
    assert_int_equal(gathered.count, 1);
    assert_int_equal(outbox.capacity, 0);
    outbox_consume(&outbox, &gathered, &all);
    assert_true(outbox_is_empty(&outbox));
    assert_int_equal(all.used, 0);
    payload_unref(&payload);
    end();
}

/* ---- writes that outboxes share ---- */

enum { SHARERS = 5, SHARED = 40 };

static payload_t *shared_payloads[SHARED];

static void make_shared(void) {
    for (unsigned i = 0; i < SHARED; i++) {
        char text[16];
        snprintf(text, sizeof text, "%02u ", i);
        shared_payloads[i] = payload_new(span_of_text(text));
    }
}

static void drop_shared(void) {
    for (unsigned i = 0; i < SHARED; i++) {
        payload_unref(&shared_payloads[i]);
    }
}

/* The shared payloads from `from` on, `n` of them; the ring begins at `turned`. */
static void fill(struct outbox *outbox, unsigned turned, unsigned from, unsigned n, struct quota *all) {
    outbox_init(outbox);
    for (unsigned i = 0; i < turned; i++) {
        push_text(outbox, "x", all);
    }
    for (unsigned i = from; i < from + n; i++) {
        assert_int_equal(outbox_push(outbox, payload_ref(shared_payloads[i]), BYTES_MAX, FRAMES_MAX, all),
                         OUTBOX_QUEUED);
    }
    begin(1);
    for (unsigned i = 0; i < turned; i++) {
        struct outbox_gathered gathered = outbox_gather(outbox, &writes);
        outbox_consume(outbox, &gathered, all);
    }
    end();
}

static void who_holds_the_same_gets_the_same_bytes_gathered_once(void **state) {
    (void) state;
    struct outbox outboxes[SHARERS];
    struct quota all;
    quota_init(&all, 0, NULL);
    make_shared();
    for (unsigned i = 0; i < SHARERS; i++) {
        fill(&outboxes[i], i * 3, 0, 20, &all); /* the rings turn at different places */
    }
    begin(1000);
    const uint8_t *bytes = NULL;
    for (unsigned i = 0; i < SHARERS; i++) {
        struct outbox_gathered gathered = outbox_gather(&outboxes[i], &writes);
        assert_int_equal(gathered.count, 20);
        assert_int_equal(gathered.bytes.size, 60);
        assert_memory_equal(gathered.bytes.data, "00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 ", 60);
        bytes = bytes == NULL ? gathered.bytes.data : bytes;
        assert_ptr_equal(gathered.bytes.data, bytes);
        outbox_consume(&outboxes[i], &gathered, &all);
        assert_true(outbox_is_empty(&outboxes[i]));
    }
    assert_int_equal(all.used, 0);
    end();
    drop_shared(); /* the last references: under a sanitizer one too many or too few is seen */
}

static void who_holds_something_else_gets_its_own(void **state) {
    (void) state;
    static const struct {
        unsigned from, n;
        const char *text;
    } cases[] = {{0, 3, "00 01 02 "}, {0, 2, "00 01 "},   {0, 4, "00 01 02 03 "}, {1, 3, "01 02 03 "},
                 {0, 3, "00 01 02 "}, {5, 2, "05 06 "},   {7, 2, "07 08 "},       {0, 1, "00 "},
                 {0, 3, "00 01 02 "}, {1, 3, "01 02 03 "}};
    struct quota all;
    quota_init(&all, 0, NULL);
    make_shared();
    struct outbox_writes kept;
    outbox_writes_init(&kept, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outbox outbox;
        fill(&outbox, 0, cases[i].from, cases[i].n, &all);
        struct outbox_gathered gathered = outbox_gather(&outbox, &kept);
        assert_holds(&gathered, cases[i].text, cases[i].n);
        outbox_consume(&outbox, &gathered, &all);
        assert_true(outbox_is_empty(&outbox));
    }
    outbox_writes_release(&kept);
    outbox_writes_finish(&kept);
    assert_int_equal(all.used, 0);
    drop_shared();
}

static void a_write_at_its_limit_is_shared_and_the_rest_follows(void **state) {
    (void) state;
    struct outbox outboxes[SHARERS];
    struct quota all;
    struct outbox_writes kept;
    quota_init(&all, 0, NULL);
    make_shared();
    outbox_writes_init(&kept, 10); /* three of three bytes */
    for (unsigned i = 0; i < SHARERS; i++) {
        fill(&outboxes[i], 0, 0, 5, &all);
        struct outbox_gathered gathered = outbox_gather(&outboxes[i], &kept);
        assert_holds(&gathered, "00 01 02 ", 3);
        outbox_consume(&outboxes[i], &gathered, &all);
        gathered = outbox_gather(&outboxes[i], &kept);
        assert_holds(&gathered, "03 04 ", 2);
        outbox_consume(&outboxes[i], &gathered, &all);
        assert_true(outbox_is_empty(&outboxes[i]));
    }
    outbox_writes_finish(&kept);
    assert_int_equal(all.used, 0);
    drop_shared();
}

static void a_write_that_was_dropped_is_not_found_by_what_lies_in_its_place(void **state) {
    (void) state;
    struct quota all;
    struct outbox_writes kept;
    quota_init(&all, 0, NULL);
    outbox_writes_init(&kept, 1000);
    for (unsigned i = 0; i < 100; i++) { /* freed and allocated again, often at the same addresses */
        struct outbox outbox;
        char first[16], second[16], both[32];
        snprintf(first, sizeof first, "a%04u", i);
        snprintf(second, sizeof second, "b%04u", i);
        snprintf(both, sizeof both, "%s%s", first, second);
        outbox_init(&outbox);
        push_text(&outbox, first, &all);
        push_text(&outbox, second, &all);
        struct outbox_gathered gathered = outbox_gather(&outbox, &kept);
        assert_holds(&gathered, both, 2);
        outbox_consume(&outbox, &gathered, &all);
        if (i % 3 == 0) {
            outbox_writes_release(&kept);
        }
    }
    outbox_writes_finish(&kept);
    assert_int_equal(all.used, 0);
}

static void one_write_carries_a_bounded_number_of_payloads(void **state) {
    (void) state;
    struct outbox outbox;
    struct quota all;
    quota_init(&all, 0, NULL);
    outbox_init(&outbox);
    for (unsigned i = 0; i < OUTBOX_WRITE_PAYLOADS + 2; i++) {
        assert_int_equal(outbox_push(&outbox, payload_new(SPAN_LITERAL("x")), UINT32_MAX, UINT32_MAX, &all),
                         OUTBOX_QUEUED);
    }
    begin(64 * 1024);
    struct outbox_gathered gathered = outbox_gather(&outbox, &writes);
    assert_int_equal(gathered.count, OUTBOX_WRITE_PAYLOADS);
    outbox_consume(&outbox, &gathered, &all);
    gathered = outbox_gather(&outbox, &writes);
    assert_holds(&gathered, "xx", 2);
    outbox_consume(&outbox, &gathered, &all);
    assert_int_equal(all.used, 0);
    end();
}

/* ---- the queue ---- */

static void push_first_text(struct outbox *outbox, const char *text, struct quota *all) {
    payload_t *payload = payload_new(span_of_text(text));
    outbox_push_first(outbox, payload, all);
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
        consume(&outbox, n + 1, &all);
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
    consume(&outbox, 2, &all);
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
            consume(&outbox, 1, &all);
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
    consume(&outbox, 2, &all);
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
        cmocka_unit_test(who_holds_the_same_gets_the_same_bytes_gathered_once),
        cmocka_unit_test(who_holds_something_else_gets_its_own),
        cmocka_unit_test(a_write_at_its_limit_is_shared_and_the_rest_follows),
        cmocka_unit_test(a_write_that_was_dropped_is_not_found_by_what_lies_in_its_place),
        cmocka_unit_test(one_write_carries_a_bounded_number_of_payloads),
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
