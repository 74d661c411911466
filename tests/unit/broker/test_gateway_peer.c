/* A shard's end of a lane: one batch in order, credit before pushes, lagging instead of queueing, bounded replies. */
#include "broker/gateway_peer.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SENT_MAX = 10000, LINK = 77 };

static gateway_peer_t *peer;
static struct list_link dirty;
static struct buffer sent[SENT_MAX];
static size_t n_sent;
static wire_lane_t *gateway; /* the other end */

static void take(void *context, const gateway_peer_t *from, struct buffer *batch) {
    (void) context;
    assert_ptr_equal(from, peer);
    assert_true(n_sent < SENT_MAX);
    sent[n_sent++] = *batch;
    *batch = BUFFER_EMPTY;
}

static int set_up(void **state) {
    (void) state;
    list_init(&dirty);
    n_sent = 0;
    peer = gateway_peer_new(&(struct gateway_peer_options){.number = 3,
                                                           .link_epoch = LINK,
                                                           .version = WIRE_VERSION,
                                                           .shard = 1,
                                                           .gateway_id = SPAN_LITERAL("g1"),
                                                           .worker = 2,
                                                           .batch_close = WIRE_BATCH_CLOSE,
                                                           .send = take,
                                                           .dirty = &dirty});
    gateway = wire_lane_new(LINK, 1, WIRE_CREDIT_FRAMES, WIRE_CREDIT_BYTES, WIRE_CREDIT_FRAMES, WIRE_CREDIT_BYTES);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    gateway_peer_destroy(&peer);
    wire_lane_destroy(&gateway);
    for (size_t i = 0; i < n_sent; i++) {
        buffer_finish(&sent[i]);
    }
    return 0;
}

static struct subscription *subscribe(uint32_t handle) {
    static const uint64_t top = 41;
    struct subscription *subscription = gateway_peer_subscribe(peer, handle);
    subscription->state = SUBSCRIPTION_LIVE;
    subscription->top = &top;
    return subscription;
}

static void add_published(uint32_t request) {
    gateway_peer_added(peer,
                       wire_encode_published(gateway_peer_batch(peer), &(struct wire_published){.request = request}));
}

/* The gateway's side takes batch i and says which frame kinds it holds. */
static uint32_t receive(size_t i, uint8_t *ret_kinds, uint32_t most) {
    struct wire_batch_header header;
    struct cursor frames;
    struct wire_frame frame;
    uint32_t n = 0;
    assert_int_equal(wire_batch_open(buffer_span(&sent[i]), &header, &frames), WIRE_OK);
    enum wire_lane_outcome outcome = wire_lane_receive(gateway, &header);
    assert_true(outcome == WIRE_LANE_NEXT || outcome == WIRE_LANE_ACK_ONLY);
    while (wire_frame_next(&frames, &frame) == WIRE_OK) {
        if (n < most) {
            ret_kinds[n] = frame.kind;
        }
        n++;
    }
    if (outcome == WIRE_LANE_NEXT) {
        wire_lane_consumed(gateway, n, sent[i].size);
    }
    return n;
}

/* Acks of everything received reach the peer. */
static void acknowledge(void) {
    struct buffer batch = BUFFER_EMPTY;
    struct wire_batch_header header;
    struct cursor frames;
    wire_batch_begin(&batch);
    wire_lane_seal_ack(gateway, &batch);
    assert_int_equal(wire_batch_open(buffer_span(&batch), &header, &frames), WIRE_OK);
    assert_int_equal(gateway_peer_receive(peer, &header), WIRE_LANE_ACK_ONLY);
    buffer_finish(&batch);
}

/* Pushes until there is no credit; returns how many went. */
static uint32_t exhaust(struct subscription *subscription) {
    uint32_t n = 0;
    while (gateway_peer_push(peer, subscription, SPAN_LITERAL("publication"))) {
        n++;
        assert_true(n < 100000);
    }
    return n;
}

static void replies_and_pushes_of_a_turn_leave_in_one_batch_in_order(void **state) {
    (void) state;
    struct subscription *subscription = subscribe(5);
    add_published(1);
    assert_true(gateway_peer_push(peer, subscription, SPAN_LITERAL("publication")));
    add_published(2);
    assert_int_equal(n_sent, 0);
    assert_false(list_is_empty(&dirty));
    gateway_peer_flush(peer);
    assert_true(list_is_empty(&dirty));
    assert_int_equal(n_sent, 1);
    uint8_t kinds[3];
    assert_int_equal(receive(0, kinds, 3), 3);
    assert_int_equal(kinds[0], WIRE_PUBLISHED);
    assert_int_equal(kinds[1], WIRE_PUSH);
    assert_int_equal(kinds[2], WIRE_PUBLISHED);
}

static void a_batch_that_reached_its_size_leaves_at_once(void **state) {
    (void) state;
    struct subscription *subscription = subscribe(5);
    while (n_sent == 0) {
        assert_true(gateway_peer_push(peer, subscription, SPAN_LITERAL("publication")));
    }
    assert_in_range(sent[0].size, WIRE_BATCH_CLOSE, WIRE_BATCH_CLOSE + 64);
}

static void without_credit_pushes_are_refused_and_replies_wait(void **state) {
    (void) state;
    struct subscription *subscription = subscribe(5);
    uint32_t n = exhaust(subscription);
    assert_in_range(n, 3000, WIRE_CREDIT_FRAMES);
    size_t before = n_sent;
    for (uint32_t i = 0; i < 1000; i++) {
        add_published(i);
    }
    gateway_peer_flush(peer);
    assert_true(n_sent <= before + 2); /* only the reserve went */
    assert_false(gateway_peer_is_broken(peer));
    for (size_t i = 0; i < n_sent; i++) {
        receive(i, NULL, 0);
    }
    size_t received = n_sent;
    acknowledge();
    gateway_peer_flush(peer);
    uint32_t n_replies = 0;
    for (size_t i = received; i < n_sent; i++) {
        n_replies += receive(i, NULL, 0);
    }
    assert_true(n_replies >= 700);
}

static void a_lagging_subscription_is_told_when_there_is_credit_again(void **state) {
    (void) state;
    struct subscription *subscription = subscribe(5);
    exhaust(subscription);
    gateway_peer_lag(peer, subscription);
    assert_int_equal(subscription->state, SUBSCRIPTION_LAGGING);
    gateway_peer_flush(peer);
    for (size_t i = 0; i < n_sent; i++) {
        receive(i, NULL, 0);
    }
    size_t received = n_sent;
    gateway_peer_flush(peer);
    assert_int_equal(n_sent, received);
    acknowledge();
    assert_false(list_is_empty(&dirty));
    gateway_peer_flush(peer);
    uint8_t kind = 0;
    assert_int_equal(n_sent, received + 1);
    assert_int_equal(receive(received, &kind, 1), 1);
    assert_int_equal(kind, WIRE_LAGGING);
    acknowledge();
    gateway_peer_flush(peer);
    assert_int_equal(n_sent, received + 1);
}

static void replies_over_their_bound_break_the_link(void **state) {
    (void) state;
    struct subscription *subscription = subscribe(5);
    exhaust(subscription);
    for (uint32_t i = 0; i < 1000; i++) {
        add_published(i); /* the reserve goes too */
    }
    assert_false(gateway_peer_is_broken(peer));
    char *text = memory_alloc_zero(100000);
    memset(text, 'x', 99999);
    for (int i = 0; i < 100 && !gateway_peer_is_broken(peer); i++) {
        gateway_peer_added(peer, wire_encode_error(gateway_peer_batch(peer),
                                                   &(struct wire_error){.request = 1, .message = span_of_text(text)}));
    }
    memory_free(text);
    assert_true(gateway_peer_is_broken(peer));
}

static void there_is_room_for_a_large_reply_only_with_credit(void **state) {
    (void) state;
    struct subscription *subscription = subscribe(5);
    assert_true(gateway_peer_has_room(peer, 1 << 20));
    exhaust(subscription);
    assert_false(gateway_peer_has_room(peer, 1 << 20));
    assert_true(gateway_peer_has_room(peer, 100));
}

static void what_was_consumed_is_acknowledged_alone_when_nothing_else_goes(void **state) {
    (void) state;
    for (int i = 0; i < 3; i++) {
        struct buffer batch = BUFFER_EMPTY;
        struct wire_batch_header header;
        struct cursor frames;
        wire_batch_begin(&batch);
        wire_lane_seal(gateway, &batch, 500);
        assert_int_equal(wire_batch_open(buffer_span(&batch), &header, &frames), WIRE_OK);
        assert_int_equal(gateway_peer_receive(peer, &header), WIRE_LANE_NEXT);
        gateway_peer_consumed(peer, 500, batch.size);
        buffer_finish(&batch);
    }
    gateway_peer_flush(peer);
    assert_int_equal(n_sent, 1);
    assert_int_equal(receive(0, NULL, 0), 0);
    assert_int_equal(wire_lane_in_flight_frames(gateway), 0);
}

static void a_hole_is_seen(void **state) {
    (void) state;
    struct wire_batch_header header = {.version = WIRE_VERSION, .shard = 1, .link_epoch = LINK, .number = 2};
    assert_int_equal(gateway_peer_receive(peer, &header), WIRE_LANE_HOLE);
}

static void tops_of_changed_channels_come_first_then_a_walk_over_all(void **state) {
    (void) state;
    for (uint32_t handle = 1; handle <= 10; handle++) {
        subscribe(handle);
    }
    gateway_peer_push(peer, gateway_peer_find(peer, 7), SPAN_LITERAL("publication"));
    struct buffer tops = BUFFER_EMPTY;
    assert_int_equal(gateway_peer_append_tops(peer, 0, 100, &tops), 1);
    struct cursor cursor = cursor_of(buffer_span(&tops));
    assert_int_equal(cursor_u32(&cursor), 7);
    assert_int_equal(cursor_u64(&cursor), 41);
    assert_int_equal(gateway_peer_append_tops(peer, 0, 100, &tops), 0);
    buffer_clear(&tops);
    uint32_t seen = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(gateway_peer_append_tops(peer, 2, 100, &tops), 2);
    }
    cursor = cursor_of(buffer_span(&tops));
    while (cursor.left > 0) {
        seen |= 1U << cursor_u32(&cursor);
        cursor_u64(&cursor);
    }
    assert_int_equal(seen, 0x7fe);
    buffer_finish(&tops);
}

static void many_changes_wait_for_the_next_beat_and_do_not_stop_the_walk(void **state) {
    (void) state;
    struct buffer tops = BUFFER_EMPTY;
    for (uint32_t handle = 1; handle <= 10; handle++) {
        subscribe(handle);
        gateway_peer_push(peer, gateway_peer_find(peer, handle), SPAN_LITERAL("publication"));
    }
    assert_int_equal(gateway_peer_append_tops(peer, 2, 4, &tops), 4 + 2);
    assert_int_equal(gateway_peer_append_tops(peer, 100, 4, &tops), 4 + 4);
    buffer_clear(&tops);
    assert_int_equal(gateway_peer_append_tops(peer, 0, 4, &tops), 2);
    struct cursor cursor = cursor_of(buffer_span(&tops));
    assert_int_equal(cursor_u32(&cursor), 9); /* in the order of their change */
    buffer_finish(&tops);
}

static void the_walk_leaves_nobody_out_while_others_come_and_go(void **state) {
    (void) state;
    enum { STAYING = 100, HANDLES = 1000 };
    bool seen[STAYING] = {false};
    struct buffer tops = BUFFER_EMPTY;
    for (uint32_t handle = 0; handle < STAYING; handle++) {
        subscribe(handle);
    }
    /* One comes and one of those that came goes at each step: the table grows several times. */
    for (uint32_t handle = STAYING; handle < HANDLES; handle++) {
        subscribe(handle);
        if (handle % 3 == 0) {
            struct subscription *gone = gateway_peer_find(peer, handle - 1);
            gateway_peer_unsubscribe(&gone);
        }
        gateway_peer_append_tops(peer, 2, 1000, &tops);
    }
    struct cursor cursor = cursor_of(buffer_span(&tops));
    while (cursor.left > 0) {
        uint32_t handle = cursor_u32(&cursor);
        cursor_u64(&cursor);
        if (handle < STAYING) {
            seen[handle] = true;
        }
    }
    for (uint32_t handle = 0; handle < STAYING; handle++) {
        assert_true(seen[handle]);
    }
    buffer_finish(&tops);
}

static void subscriptions_are_found_by_handle_and_forgotten(void **state) {
    (void) state;
    struct subscription *subscription = subscribe(5);
    assert_ptr_equal(gateway_peer_find(peer, 5), subscription);
    assert_null(gateway_peer_find(peer, 6));
    assert_int_equal(gateway_peer_subscriptions(peer), 1);
    gateway_peer_unsubscribe(&subscription);
    assert_null(gateway_peer_find(peer, 5));
    assert_null(gateway_peer_first(peer));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replies_and_pushes_of_a_turn_leave_in_one_batch_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_that_reached_its_size_leaves_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_credit_pushes_are_refused_and_replies_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lagging_subscription_is_told_when_there_is_credit_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replies_over_their_bound_break_the_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_is_room_for_a_large_reply_only_with_credit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_consumed_is_acknowledged_alone_when_nothing_else_goes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_hole_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tops_of_changed_channels_come_first_then_a_walk_over_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_changes_wait_for_the_next_beat_and_do_not_stop_the_walk, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_walk_leaves_nobody_out_while_others_come_and_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(subscriptions_are_found_by_handle_and_forgotten, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
