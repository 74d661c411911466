/* Lanes: numbers, cumulative acks, credit, holes. Two ends are wired back to back; a batch is only its header here. */
#include "base/wire_lane.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { GRANT_FRAMES = 8, GRANT_BYTES = 1000 };

struct ends {
    wire_lane_t *left;
    wire_lane_t *right;
};

static int set_up(void **state) {
    static struct ends ends;
    ends.left = wire_lane_new(77, 2, GRANT_FRAMES, GRANT_BYTES, GRANT_FRAMES, GRANT_BYTES);
    ends.right = wire_lane_new(77, 2, GRANT_FRAMES, GRANT_BYTES, GRANT_FRAMES, GRANT_BYTES);
    *state = &ends;
    return 0;
}

static int tear_down(void **state) {
    struct ends *ends = *state;
    wire_lane_destroy(&ends->left);
    wire_lane_destroy(&ends->right);
    wire_lane_destroy(&ends->right);
    return 0;
}

/* Seals a batch of `bytes` bytes in all; returns its header. */
static struct wire_batch_header sealed(wire_lane_t *lane, uint32_t n_frames, size_t bytes, bool ack_only) {
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    while (batch.size < bytes) {
        buffer_append_u8(&batch, 0);
    }
    if (ack_only) {
        wire_lane_seal_ack(lane, &batch);
    } else {
        wire_lane_seal(lane, &batch, n_frames);
    }
    struct wire_batch_header header;
    struct cursor frames;
    assert_int_equal(wire_batch_open(buffer_span(&batch), &header, &frames), WIRE_OK);
    buffer_finish(&batch);
    return header;
}

static void send_and_consume(wire_lane_t *from, wire_lane_t *to, uint32_t n_frames, size_t bytes) {
    struct wire_batch_header header = sealed(from, n_frames, bytes, false);
    assert_int_equal(wire_lane_receive(to, &header), WIRE_LANE_NEXT);
    wire_lane_consumed(to, n_frames, bytes);
}

static void ack(wire_lane_t *from, wire_lane_t *to) {
    struct wire_batch_header header = sealed(from, 0, 0, true);
    assert_int_equal(header.number, 0);
    assert_int_equal(wire_lane_receive(to, &header), WIRE_LANE_ACK_ONLY);
}

static void numbers_start_at_one_and_the_header_carries_ack_and_grant(void **state) {
    struct ends *ends = *state;
    struct wire_batch_header first = sealed(ends->left, 1, 100, false);
    assert_int_equal(first.number, 1);
    assert_int_equal(first.ack, 0);
    assert_int_equal(first.shard, 2);
    assert_true(first.link_epoch == 77);
    assert_int_equal(first.credit_frames, GRANT_FRAMES);
    assert_int_equal(first.credit_bytes, GRANT_BYTES);
    assert_int_equal(sealed(ends->left, 1, 100, false).number, 2);
    assert_int_equal(wire_lane_receive(ends->right, &first), WIRE_LANE_NEXT);
    wire_lane_consumed(ends->right, 1, 100);
    assert_int_equal(sealed(ends->right, 1, 100, false).ack, 1);
}

static void frames_in_flight_stay_within_the_credit(void **state) {
    struct ends *ends = *state;
    assert_true(wire_lane_has_credit(ends->left, 5, 100));
    send_and_consume(ends->left, ends->right, 5, 100);
    assert_int_equal(wire_lane_in_flight_frames(ends->left), 5);
    assert_true(wire_lane_has_credit(ends->left, 3, 100));
    assert_false(wire_lane_has_credit(ends->left, 4, 100));
    ack(ends->right, ends->left);
    assert_int_equal(wire_lane_in_flight_frames(ends->left), 0);
    assert_true(wire_lane_has_credit(ends->left, 4, 100));
}

static void bytes_in_flight_stay_within_the_credit(void **state) {
    struct ends *ends = *state;
    send_and_consume(ends->left, ends->right, 1, 900);
    assert_true(wire_lane_has_credit(ends->left, 1, 100));
    assert_false(wire_lane_has_credit(ends->left, 1, 101));
    assert_true(wire_lane_in_flight_bytes(ends->left) == 900);
}

static void a_batch_larger_than_the_whole_credit_goes_when_nothing_is_in_flight(void **state) {
    struct ends *ends = *state;
    assert_true(wire_lane_has_credit(ends->left, 100, 100000));
    assert_false(wire_lane_fits_credit(ends->left, 100, 100));
    assert_true(wire_lane_fits_credit(ends->left, GRANT_FRAMES, GRANT_BYTES));
    send_and_consume(ends->left, ends->right, 100, 100000);
    assert_false(wire_lane_has_credit(ends->left, 1, 32));
}

static void a_batch_received_but_not_consumed_still_takes_credit(void **state) {
    struct ends *ends = *state;
    struct wire_batch_header header = sealed(ends->left, 8, 100, false);
    assert_int_equal(wire_lane_receive(ends->right, &header), WIRE_LANE_NEXT);
    ack(ends->right, ends->left);
    assert_false(wire_lane_has_credit(ends->left, 1, 32));
    wire_lane_consumed(ends->right, 8, 100);
    ack(ends->right, ends->left);
    assert_true(wire_lane_has_credit(ends->left, 1, 32));
}

static void a_peer_that_grants_nothing_gets_nothing(void **state) {
    (void) state;
    wire_lane_t *lane = wire_lane_new(1, 0, 1, 1, 0, 0);
    assert_false(wire_lane_has_credit(lane, 1, 32));
    struct wire_batch_header header = {.version = 1, .link_epoch = 1, .credit_frames = 1, .credit_bytes = 64};
    assert_int_equal(wire_lane_receive(lane, &header), WIRE_LANE_ACK_ONLY);
    assert_true(wire_lane_has_credit(lane, 1, 32));
    wire_lane_destroy(&lane);
}

static void a_missing_or_repeated_batch_is_a_hole(void **state) {
    struct ends *ends = *state;
    struct wire_batch_header first = sealed(ends->left, 1, 32, false);
    struct wire_batch_header second = sealed(ends->left, 1, 32, false);
    struct wire_batch_header third = sealed(ends->left, 1, 32, false);
    assert_int_equal(wire_lane_receive(ends->right, &first), WIRE_LANE_NEXT);
    assert_int_equal(wire_lane_receive(ends->right, &first), WIRE_LANE_HOLE);
    assert_int_equal(wire_lane_receive(ends->right, &third), WIRE_LANE_HOLE);
    assert_int_equal(wire_lane_receive(ends->right, &second), WIRE_LANE_NEXT);
}

static void an_ack_for_what_was_never_sent_is_a_hole(void **state) {
    struct ends *ends = *state;
    send_and_consume(ends->left, ends->right, 1, 32);
    struct wire_batch_header header = {
        .version = 1, .link_epoch = 77, .ack = 2, .credit_frames = 8, .credit_bytes = 1000};
    assert_int_equal(wire_lane_receive(ends->left, &header), WIRE_LANE_HOLE);
    header.ack = 1;
    assert_int_equal(wire_lane_receive(ends->left, &header), WIRE_LANE_ACK_ONLY);
    header.ack = 0; /* acks never go back */
    assert_int_equal(wire_lane_receive(ends->left, &header), WIRE_LANE_HOLE);
}

static void a_batch_of_another_link_is_told_apart(void **state) {
    struct ends *ends = *state;
    struct wire_batch_header header = {.version = 1, .link_epoch = 78, .number = 1};
    assert_int_equal(wire_lane_receive(ends->left, &header), WIRE_LANE_OLD_LINK);
}

static void an_ack_is_due_after_a_quarter_of_the_grant(void **state) {
    struct ends *ends = *state;
    assert_false(wire_lane_ack_is_due(ends->right));
    send_and_consume(ends->left, ends->right, 1, 100);
    assert_false(wire_lane_ack_is_due(ends->right));
    send_and_consume(ends->left, ends->right, 1, 100);
    assert_true(wire_lane_ack_is_due(ends->right)); /* 2 of 8 frames */
    ack(ends->right, ends->left);
    assert_false(wire_lane_ack_is_due(ends->right));
    send_and_consume(ends->left, ends->right, 1, 250);
    assert_true(wire_lane_ack_is_due(ends->right)); /* 250 of 1000 bytes */
    sealed(ends->right, 1, 32, false);              /* a numbered batch carries the ack too */
    assert_false(wire_lane_ack_is_due(ends->right));
}

static void many_batches_in_flight_are_acknowledged_at_once_and_bounded(void **state) {
    (void) state;
    wire_lane_t *left = wire_lane_new(1, 0, 1 << 20, 1 << 30, 1 << 20, 1 << 30);
    wire_lane_t *right = wire_lane_new(1, 0, 1 << 20, 1 << 30, 1 << 20, 1 << 30);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < WIRE_LANE_BATCHES_MAX; i++) {
            assert_true(wire_lane_has_credit(left, 1, 32));
            send_and_consume(left, right, 1, 32);
        }
        assert_false(wire_lane_has_credit(left, 1, 32));
        assert_true(wire_lane_ack_is_due(right));
        ack(right, left);
        assert_int_equal(wire_lane_in_flight_frames(left), 0);
        send_and_consume(left, right, 1, 32);
        ack(right, left);
    }
    wire_lane_destroy(&left);
    wire_lane_destroy(&right);
}

int main(void) {
#define LANE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LANE_TEST(numbers_start_at_one_and_the_header_carries_ack_and_grant),
        LANE_TEST(frames_in_flight_stay_within_the_credit),
        LANE_TEST(bytes_in_flight_stay_within_the_credit),
        LANE_TEST(a_batch_larger_than_the_whole_credit_goes_when_nothing_is_in_flight),
        LANE_TEST(a_batch_received_but_not_consumed_still_takes_credit),
        LANE_TEST(a_peer_that_grants_nothing_gets_nothing),
        LANE_TEST(a_missing_or_repeated_batch_is_a_hole),
        LANE_TEST(an_ack_for_what_was_never_sent_is_a_hole),
        LANE_TEST(a_batch_of_another_link_is_told_apart),
        LANE_TEST(an_ack_is_due_after_a_quarter_of_the_grant),
        LANE_TEST(many_batches_in_flight_are_acknowledged_at_once_and_bounded),
    };
    return cmocka_run_group_tests_name("wire_lane", tests, NULL, NULL);
}
