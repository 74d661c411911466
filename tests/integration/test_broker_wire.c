/* A broker over the wire: links, publishing and subscribing, history and presence. */
#include "tests/integration/broker_wire_harness.h"

/* ---- links ---- */

static void a_hello_is_welcomed(void **state) {
    struct fixture *self = *state;
    struct wire_welcome welcome = wire_client_link(self->client);
    assert_int_equal(welcome.version, WIRE_VERSION);
    assert_int_equal(welcome.shards, 2);
    assert_int_equal(welcome.partitions, 256);
    assert_int_equal(welcome.mode, WIRE_MODE_MEMORY);
    assert_int_equal(welcome.degraded, 0);
    assert_int_equal(welcome.credit_frames, WIRE_CREDIT_FRAMES);
}

static void without_a_common_version_the_link_is_reset(void **state) {
    struct fixture *self = *state;
    wire_client_hello(self->client, WIRE_VERSION + 1, WIRE_VERSION + 5);
    expect_reset(self->client, WIRE_RESET_VERSION);
}

static void a_gateway_that_calls_itself_as_a_brokers_lease_is_refused(void **state) {
    struct fixture *self = *state;
    wire_client_t *client = new_client(self, "broker:other", 0);
    wire_client_hello(client, WIRE_VERSION_MIN, WIRE_VERSION);
    expect_reset(client, WIRE_RESET_BAD_FRAME);
    wire_client_destroy(&client);
}

static void a_batch_of_an_unknown_link_is_reset(void **state) {
    struct fixture *self = *state;
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_encode_unsubscribe(&batch, &(struct wire_unsubscribe){1});
    wire_batch_seal(&batch, &(struct wire_batch_header){.version = 1, .shard = 0, .link_epoch = 5, .number = 1});
    wire_client_send_raw(self->client, buffer_span(&batch));
    expect_reset(self->client, WIRE_RESET_UNKNOWN_LINK);
    buffer_finish(&batch);
}

static void a_second_link_of_the_same_worker_replaces_the_first(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    wire_client_t *second = new_client(self, "gateway-1", 0);
    wire_client_link(second);
    expect_reset(self->client, WIRE_RESET_REPLACED);
    uint32_t request = wire_client_publish(second, "news:a", "1");
    expect_published(second, request);
    assert_true(wire_client_is_silent(self->client, 100));
    wire_client_destroy(&second);
}

static void a_worker_that_starts_anew_on_its_connection_is_welcomed_again(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    uint64_t first = wire_client_link_epoch(self->client);
    wire_client_link(self->client);
    assert_true(wire_client_link_epoch(self->client) != first);
    uint32_t request = wire_client_publish(self->client, "news:a", "1");
    expect_published(self->client, request); /* and no push: the subscriptions went with the link */
    assert_true(wire_client_is_silent(self->client, 50));
}

static void a_hole_in_the_numbers_resets_the_link(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    wire_client_batch(self->client, 0);
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_encode_unsubscribe(&batch, &(struct wire_unsubscribe){1});
    wire_batch_seal(&batch,
                    &(struct wire_batch_header){
                        .version = 1, .shard = 0, .link_epoch = wire_client_link_epoch(self->client), .number = 9});
    wire_client_send_raw(self->client, buffer_span(&batch));
    expect_reset(self->client, WIRE_RESET_HOLE);
    buffer_finish(&batch);
}

static void a_malformed_frame_resets_the_link_and_nothing_else(void **state) {
    struct fixture *self = *state;
    wire_client_t *other = new_client(self, "gateway-2", 0);
    wire_client_link(other);
    subscribe(other, "news:a", 1);
    wire_client_link(self->client);
    struct buffer *batch = wire_client_batch(self->client, 0);
    static const uint8_t bad[] = {WIRE_SUBSCRIBE, 0, 0, 0, 2, 0, 0, 0, 1, 2};
    buffer_append(batch, bad, sizeof bad);
    wire_client_send(self->client, 0, 1);
    expect_reset(self->client, WIRE_RESET_BAD_FRAME);
    uint32_t request = wire_client_publish(other, "news:a", "1");
    expect_push(other, 1, 1, "1");
    expect_published(other, request);
    wire_client_destroy(&other);
}

static void an_unknown_frame_is_skipped_or_resets_as_its_flag_says(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    uint8_t unknown[] = {250, WIRE_FRAME_SKIP, 0, 0, 1, 0, 0, 0, 9};
    buffer_append(wire_client_batch(self->client, 0), unknown, sizeof unknown);
    wire_client_send(self->client, 0, 1);
    wire_client_beat(self->client, 0);
    wire_client_expect(self->client, WIRE_BEAT_ANSWER);
    unknown[1] = 0;
    buffer_append(wire_client_batch(self->client, 0), unknown, sizeof unknown);
    wire_client_send(self->client, 0, 1);
    expect_reset(self->client, WIRE_RESET_BAD_FRAME);
}

static void frames_that_only_brokers_send_reset_the_link(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    wire_encode_lagging(wire_client_batch(self->client, 1), &(struct wire_lagging){1});
    wire_client_send(self->client, 1, 1);
    expect_reset(self->client, WIRE_RESET_BAD_FRAME);
}

static void garbage_harms_nobody(void **state) {
    struct fixture *self = *state;
    wire_client_send_raw(self->client, SPAN_LITERAL("GET / HTTP/1.1"));
    wire_client_send_raw(self->client, SPAN_EMPTY);
    wire_client_link(self->client);
    wire_client_send_raw(self->client, SPAN_LITERAL("x"));
    expect_reset(self->client, WIRE_RESET_BAD_FRAME);
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
}

static void a_silent_worker_is_dropped(void **state) {
    struct fixture *self = *state;
    wire_client_t *other = new_client(self, "gateway-2", 0);
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    struct broker_status status;
    uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    do {
        usleep(20000);
        broker_read_status(self->broker, &status);
    } while (status.links > 0 && clock_monotonic_ms() < deadline_ms);
    assert_int_equal(status.links, 0);
    wire_client_link(other);
    wire_client_beat(self->client, 0);
    expect_reset(self->client, WIRE_RESET_UNKNOWN_LINK);
    wire_client_destroy(&other);
}

/* ---- publishing and subscribing ---- */

static void a_publication_is_pushed_before_its_ack_and_both_name_one_position(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    struct position position = subscribe(self->client, "news:a", 1);
    assert_int_equal(position.offset, 0);
    assert_false(epoch_is_empty(&position.epoch));
    uint32_t request = wire_client_publish(self->client, "news:a", "{\"a\":1}");
    expect_push(self->client, 1, 1, "{\"a\":1}");
    struct wire_published published = expect_published(self->client, request);
    assert_int_equal(published.offset, 1);
    assert_true(epoch_equal(&published.epoch, &position.epoch));
}

static void every_subscribed_worker_gets_it_once(void **state) {
    struct fixture *self = *state;
    wire_client_t *other = new_client(self, "gateway-1", 1);
    wire_client_link(self->client);
    wire_client_link(other);
    subscribe(self->client, "news:a", 1);
    subscribe(other, "news:a", 70);
    uint32_t request = wire_client_publish(self->client, "news:a", "1");
    expect_push(self->client, 1, 1, "1");
    expect_published(self->client, request);
    expect_push(other, 70, 1, "1");
    assert_true(wire_client_is_silent(other, 50));
    wire_client_unsubscribe(other, "news:a", 70);
    request = wire_client_publish(other, "news:a", "2");
    expect_published(other, request);
    expect_push(self->client, 1, 2, "2");
    assert_true(wire_client_is_silent(other, 50));
    wire_client_destroy(&other);
}

static void a_channel_without_history_has_no_positions(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    uint32_t request = wire_client_subscribe(self->client, "plain:a", 1, NULL, false);
    struct wire_subscribed subscribed = expect_subscribed(self->client, request);
    assert_int_equal(subscribed.flags, 0);
    assert_true(epoch_is_empty(&subscribed.epoch));
    request = wire_client_publish(self->client, "plain:a", "1");
    expect_push(self->client, 1, 0, "1");
    struct wire_published published = expect_published(self->client, request);
    assert_true(epoch_is_empty(&published.epoch));
}

static void a_key_used_again_is_a_duplicate_and_pushed_once(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    uint32_t request = wire_client_publish_keyed(self->client, "news:a", "k", "1");
    expect_push(self->client, 1, 1, "1");
    assert_int_equal(expect_published(self->client, request).flags, 0);
    request = wire_client_publish_keyed(self->client, "news:a", "k", "1");
    struct wire_published again = expect_published(self->client, request);
    assert_int_equal(again.flags, WIRE_PUBLISHED_DUPLICATE);
    assert_int_equal(again.offset, 1);
    request = wire_client_publish_keyed(self->client, "news:a", "k", "2");
    expect_error(self->client, request, ERROR_KEY_REUSED, 0);
}

static void what_cannot_be_is_refused_with_its_code(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    uint32_t request = wire_client_publish(self->client, "nowhere:a", "1");
    expect_error(self->client, request, ERROR_UNKNOWN_CHANNEL, 0);
    request = wire_client_subscribe(self->client, "nowhere:a", 1, NULL, false);
    expect_error(self->client, request, ERROR_UNKNOWN_CHANNEL, 0);
    request = wire_client_subscribe(self->client, "news:a b", 2, NULL, false);
    expect_error(self->client, request, ERROR_BAD_REQUEST, 0);
    char *large = memory_alloc_zero(65 * 1024 + 1);
    memset(large, 'x', 65 * 1024);
    request = wire_client_publish(self->client, "news:a", large);
    expect_error(self->client, request, ERROR_TOO_LARGE, 0);
    memory_free(large);
    request = wire_client_subscribe(self->client, "news:a", 3, NULL, false);
    expect_subscribed(self->client, request);
    request = wire_client_subscribe(self->client, "news:b", 3, NULL, false);
    if (wire_client_shard_of(self->client, "news:a") == wire_client_shard_of(self->client, "news:b")) {
        expect_error(self->client, request, ERROR_BAD_REQUEST, 0);
    } else {
        expect_subscribed(self->client, request);
    }
}

/* ---- history and presence ---- */

static struct wire_result ask(wire_client_t *client, const char *channel, uint8_t kind) {
    static uint32_t request = 1000;
    uint16_t shard = wire_client_shard_of(client, channel);
    struct buffer *batch = wire_client_batch(client, shard);
    request++;
    if (kind == WIRE_PRESENCE) {
        wire_encode_presence(batch, &(struct wire_presence){request, span_of_text(channel)});
    } else if (kind == WIRE_PRESENCE_STATS) {
        wire_encode_presence_stats(batch, &(struct wire_presence_stats){request, span_of_text(channel)});
    } else {
        wire_encode_history(batch,
                            &(struct wire_history){.request = request, .limit = 5, .channel = span_of_text(channel)});
    }
    wire_client_send(client, shard, 1);
    struct wire_result result;
    assert_true(wire_decode_result(wire_client_expect(client, WIRE_RESULT), &result));
    assert_int_equal(result.request, request);
    assert_int_equal(result.of, kind);
    return result;
}

static void history_is_read(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    struct position top = publish_many(self->client, "news:a", 9);
    struct wire_result result = ask(self->client, "news:a", WIRE_HISTORY);
    assert_int_equal(result.offset, 9);
    assert_true(epoch_equal(&result.epoch, &top.epoch));
    assert_int_equal(result.n, 5);
    expect_run(result.bytes, 5, 1);
}

static void set_presence(wire_client_t *client, const char *channel, uint32_t handle, const char *who,
                         const char *user) {
    struct buffer info = BUFFER_EMPTY;
    uint16_t shard = wire_client_shard_of(client, channel);
    wire_append_client_info(&info, &(struct wire_client_info){.client = span_of_text(who), .user = span_of_text(user)});
    wire_encode_presence_set(wire_client_batch(client, shard),
                             &(struct wire_presence_set){handle, WIRE_PRESENCE_JOIN_LEAVE, buffer_span(&info)});
    wire_client_send(client, shard, 1);
    buffer_finish(&info);
}

static void expect_member(wire_client_t *client, uint8_t kind, const char *who) {
    struct wire_join frame; /* JOIN and LEAVE have the same fields */
    struct wire_client_info info;
    assert_true(wire_decode_join(wire_client_expect(client, kind), &frame));
    assert_true(wire_read_client_info(frame.info, &info));
    assert_true(span_equal_text(info.client, who));
}

static void members_join_are_counted_and_leave(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    set_presence(self->client, "news:a", 1, "c1", "ann");
    expect_member(self->client, WIRE_JOIN, "c1");
    set_presence(self->client, "news:a", 1, "c2", "ann");
    expect_member(self->client, WIRE_JOIN, "c2");
    set_presence(self->client, "news:a", 1, "c2", "ann");
    struct wire_result result = ask(self->client, "news:a", WIRE_PRESENCE_STATS);
    assert_int_equal(result.n, 2);
    assert_int_equal(result.m, 1);
    result = ask(self->client, "news:a", WIRE_PRESENCE);
    assert_int_equal(result.n, 2);
    uint16_t shard = wire_client_shard_of(self->client, "news:a");
    wire_encode_presence_clear(wire_client_batch(self->client, shard),
                               &(struct wire_presence_clear){1, span_of_text("c1"), span_of_text("ann")});
    wire_client_send(self->client, shard, 1);
    expect_member(self->client, WIRE_LEAVE, "c1");
    result = ask(self->client, "news:a", WIRE_PRESENCE_STATS);
    assert_int_equal(result.n, 1);
}

static void members_of_a_gateway_that_died_are_swept_with_leave(void **state) {
    struct fixture *self = *state;
    wire_client_t *other = new_client(self, "gateway-2", 0);
    wire_client_link(self->client);
    wire_client_link(other);
    subscribe(self->client, "news:a", 1);
    subscribe(other, "news:a", 9);
    set_presence(other, "news:a", 9, "dead", "bob");
    expect_member(self->client, WIRE_JOIN, "dead");
    set_presence(self->client, "news:a", 1, "alive", "ann");
    expect_member(self->client, WIRE_JOIN, "alive");
    wire_client_destroy(&other);
    bool left = false;
    uint64_t deadline_ms = clock_monotonic_ms() + 30000;
    while (!left && clock_monotonic_ms() < deadline_ms) {
        for (uint16_t i = 0; i < wire_client_shards(self->client); i++) {
            wire_client_beat(self->client, i);
        }
        struct wire_received frame;
        while (wire_client_receive(self->client, &frame, 200)) {
            if (frame.kind == WIRE_LEAVE) {
                struct wire_leave leave;
                struct wire_client_info info;
                assert_true(wire_decode_leave(frame.body, &leave));
                assert_true(wire_read_client_info(leave.info, &info));
                assert_true(span_equal_text(info.client, "dead"));
                left = true;
            }
        }
    }
    assert_true(left);
    assert_int_equal(ask(self->client, "news:a", WIRE_PRESENCE_STATS).n, 1);
}

static void calls_without_a_worker_are_refused(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    wire_encode_call(wire_client_batch(self->client, 0),
                     &(struct wire_call){.request = 5, .deadline_ms = 100, .method = SPAN_LITERAL("rpc:x")});
    wire_client_send(self->client, 0, 1);
    expect_error(self->client, 5, ERROR_NOT_AVAILABLE, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hello_is_welcomed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_common_version_the_link_is_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gateway_that_calls_itself_as_a_brokers_lease_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_of_an_unknown_link_is_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_link_of_the_same_worker_replaces_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_starts_anew_on_its_connection_is_welcomed_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_hole_in_the_numbers_resets_the_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_malformed_frame_resets_the_link_and_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_frame_is_skipped_or_resets_as_its_flag_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_that_only_brokers_send_reset_the_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_harms_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_silent_worker_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_publication_is_pushed_before_its_ack_and_both_name_one_position, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_subscribed_worker_gets_it_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_channel_without_history_has_no_positions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_used_again_is_a_duplicate_and_pushed_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_with_its_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(history_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_join_are_counted_and_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_of_a_gateway_that_died_are_swept_with_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_without_a_worker_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
