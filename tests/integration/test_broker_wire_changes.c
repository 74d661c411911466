/* A broker over the wire while it changes: beats, reloads, draining, and short of memory. */
#include "tests/integration/broker_wire_harness.h"

/* ---- beats ---- */

static void beats_are_answered_by_every_shard_with_changed_tops(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    uint32_t request = wire_client_publish(self->client, "news:a", "1");
    expect_push(self->client, 1, 1, "1");
    expect_published(self->client, request);
    for (uint16_t i = 0; i < wire_client_shards(self->client); i++) {
        wire_client_beat(self->client, i);
    }
    bool seen_top = false;
    bool seen_shard[2] = {false, false};
    while (!seen_shard[0] || !seen_shard[1] || !seen_top) {
        struct wire_received frame;
        struct wire_beat_answer answer;
        assert_true(wire_client_receive(self->client, &frame, 10000));
        assert_int_equal(frame.kind, WIRE_BEAT_ANSWER);
        assert_true(wire_decode_beat_answer(frame.body, &answer));
        assert_int_equal(answer.degraded, 0);
        seen_shard[frame.shard] = true;
        struct cursor tops = cursor_of(answer.tops);
        for (uint32_t i = 0; i < answer.n_tops; i++) {
            assert_int_equal(cursor_u32(&tops), 1);
            assert_int_equal(cursor_u64(&tops), 1);
            seen_top = true;
        }
        assert_true(cursor_is_done(&tops));
    }
}

/* ---- reloading ---- */

static void finish_reload(struct fixture *self) {
    uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    while (!broker_finish_reload(self->broker)) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        usleep(5000);
    }
}

static void reloaded_namespaces_count_for_new_work_and_subscriptions_stay(void **state) {
    struct fixture *self = *state;
    static const char text[] = "namespaces:\n"
                               "  - name: news\n"
                               "    history_size: 5\n"
                               "    history_ttl: 1h\n"
                               "  - name: later\n";
    struct broker_config configs[2];
    struct config_part parts[2] = {{&broker_config_table, &configs[0]}, {&broker_config_table, &configs[1]}};
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    subscribe(self->client, "plain:a", 2);
    uint32_t request = wire_client_publish(self->client, "later:a", "1");
    expect_error(self->client, request, ERROR_UNKNOWN_CHANNEL, 0);
    for (int i = 0; i < 2; i++) {
        read_config(text, &parts[i]);
        request = wire_client_publish(self->client, "news:a", "1");
        broker_reload(self->broker, &configs[i]);
        expect_push(self->client, 1, (uint64_t) i + 1, "1");
        expect_published(self->client, request);
        finish_reload(self);
    }
    config_finish(&parts[0], 1); /* nothing refers to it any more */
    request = wire_client_publish(self->client, "later:a", "1");
    expect_published(self->client, request);
    request = wire_client_publish(self->client, "plain:a", "1");
    expect_error(self->client, request, ERROR_UNKNOWN_CHANNEL, 0);
    request = wire_client_publish(self->client, "news:a", "2");
    expect_push(self->client, 1, 3, "2");
    expect_published(self->client, request);
    broker_destroy(&self->broker);
    config_finish(&parts[1], 1);
}

static void subscribers_are_told_when_a_reload_gives_or_takes_a_history(void **state) {
    struct fixture *self = *state;
    static const char text[] = "namespaces:\n"
                               "  - name: news\n"
                               "  - name: plain\n"
                               "    history_size: 5\n"
                               "    history_ttl: 1h\n";
    struct broker_config config;
    struct config_part part = {&broker_config_table, &config};
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    subscribe(self->client, "plain:a", 2);
    expect_published(self->client, wire_client_publish(self->client, "plain:b", "an idle channel")); /* is made anew */
    read_config(text, &part);
    broker_reload(self->broker, &config);
    finish_reload(self);
    struct wire_lost lost[2];
    for (int i = 0; i < 2; i++) {
        assert_true(wire_decode_lost(wire_client_expect(self->client, WIRE_LOST), &lost[i]));
    }
    const struct wire_lost *news = lost[0].handle == 1 ? &lost[0] : &lost[1];
    const struct wire_lost *plain = lost[0].handle == 1 ? &lost[1] : &lost[0];
    assert_int_equal(plain->handle, 2);
    assert_true(epoch_is_empty(&news->epoch));
    assert_false(epoch_is_empty(&plain->epoch));
    uint32_t request = wire_client_publish(self->client, "plain:a", "1");
    expect_push(self->client, 2, 1, "1");
    expect_published(self->client, request);
    request = wire_client_publish(self->client, "news:a", "1");
    expect_push(self->client, 1, 0, "1");
    expect_published(self->client, request);
    struct position begin = {plain->epoch, 0};
    request = wire_client_subscribe(self->client, "plain:a", 2, &begin, false);
    struct wire_subscribed answer = expect_subscribed(self->client, request);
    assert_int_equal(answer.flags, WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED);
    expect_run(answer.publications, answer.n_publications, 1);
    request = wire_client_subscribe(self->client, "news:b", 3, NULL, false);
    assert_int_equal(expect_subscribed(self->client, request).flags, 0);
    broker_destroy(&self->broker);
    config_finish(&part, 1);
}

/* ---- draining ---- */

static void draining_tells_the_gateways_and_refuses_what_is_new(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    broker_drain(self->broker);
    wire_client_expect(self->client, WIRE_DRAIN);
    assert_false(broker_is_drained(self->broker));
    uint32_t request = wire_client_publish(self->client, "news:a", "1");
    expect_error(self->client, request, ERROR_INTERNAL, WIRE_ERROR_TEMPORARY);
    request = wire_client_subscribe(self->client, "news:b", 2, NULL, false);
    expect_error(self->client, request, ERROR_INTERNAL, WIRE_ERROR_TEMPORARY);
    wire_client_unsubscribe(self->client, "news:a", 1);
    uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    while (!broker_is_drained(self->broker) && clock_monotonic_ms() < deadline_ms) {
        usleep(10000);
    }
    assert_true(broker_is_drained(self->broker));
}

static void over_the_bound_of_the_inbox_publishes_are_refused_and_all_else_is_done(void **state) {
    struct fixture *self = *state;
    enum { PUBLISHES = 20, FIRST_REQUEST = 1000 };
    static char data[60000];
    data[0] = '"';
    memset(data + 1, 'x', sizeof data - 2);
    data[sizeof data - 1] = '"';
    wire_client_link(self->client);
    uint16_t shard = wire_client_shard_of(self->client, "news:a");
    struct buffer *batch = wire_client_batch(self->client, shard); /* larger than broker.inbox_bytes by itself */
    for (uint32_t i = 0; i < PUBLISHES; i++) {
        assert_true(wire_encode_publish(batch, &(struct wire_publish){.request = FIRST_REQUEST + i,
                                                                      .channel = SPAN_LITERAL("news:a"),
                                                                      .data = span_of(data, sizeof data)}));
    }
    assert_true(wire_encode_subscribe(
        batch, &(struct wire_subscribe){.request = 7, .handle = 1, .channel = SPAN_LITERAL("news:a")}));
    wire_client_send(self->client, shard, PUBLISHES + 1);
    for (uint32_t i = 0; i < PUBLISHES; i++) {
        expect_error(self->client, FIRST_REQUEST + i, ERROR_TOO_MANY_REQUESTS, WIRE_ERROR_TEMPORARY);
    }
    assert_int_equal(expect_subscribed(self->client, 7).offset, 0);
    assert_int_equal(metrics_read(self->metrics, "callboard_broker_publishes_total", "result=\"overload\""), PUBLISHES);
    expect_published(self->client, wire_client_publish(self->client, "news:b", "1"));
}

static void short_of_memory_newcomers_and_publications_are_refused_and_who_goes_on_is_served(void **state) {
    struct fixture *self = *state;
    static char data[16384]; /* more than a 256th of the budget: it looks at once */
    memset(data, '1', sizeof data - 1);
    wire_client_link(self->client);
    uint32_t request = wire_client_publish(self->client, "news:a", data);
    expect_error(self->client, request, ERROR_TOO_MANY_REQUESTS, WIRE_ERROR_TEMPORARY);
    request = wire_client_subscribe(self->client, "news:a", 1, NULL, false);
    expect_error(self->client, request, ERROR_TOO_MANY_REQUESTS, WIRE_ERROR_TEMPORARY);
    request =
        wire_client_subscribe(self->client, "plain:a", 2, NULL, true); /* the engine, held back, keeps nothing of it */
    expect_subscribed(self->client, request);
    assert_int_equal(metrics_read(self->metrics, "callboard_broker_memory_refused_total", "what=\"publish\""), 1);
    assert_int_equal(metrics_read(self->metrics, "callboard_broker_memory_refused_total", "what=\"subscribe\""), 1);
}

static void many_requests_at_once_are_all_answered(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    subscribe(self->client, "news:a", 1);
    uint16_t shard = wire_client_shard_of(self->client, "news:a");
    struct buffer *batch = wire_client_batch(self->client, shard);
    enum { MANY = 1500 }; /* a push and an ack each, still inside the credit */
    for (uint32_t i = 1; i <= MANY; i++) {
        wire_encode_publish(batch, &(struct wire_publish){.request = 100000 + i,
                                                          .channel = SPAN_LITERAL("news:a"),
                                                          .data = SPAN_LITERAL("1")});
    }
    wire_client_send(self->client, shard, MANY);
    uint64_t pushed = 0;
    uint64_t acked = 0;
    while (pushed < MANY || acked < MANY) {
        struct wire_received frame;
        assert_true(wire_client_receive(self->client, &frame, 10000));
        if (frame.kind == WIRE_PUSH) {
            struct cursor cursor = cursor_of(frame.body);
            cursor_u32(&cursor);
            assert_int_equal(cursor_u64(&cursor), ++pushed);
        } else if (frame.kind == WIRE_PUBLISHED) {
            struct wire_published published;
            assert_true(wire_decode_published(frame.body, &published));
            assert_int_equal(published.offset, ++acked);
            assert_true(acked <= pushed); /* the ack comes after the push */
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(beats_are_answered_by_every_shard_with_changed_tops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reloaded_namespaces_count_for_new_work_and_subscriptions_stay, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(subscribers_are_told_when_a_reload_gives_or_takes_a_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(draining_tells_the_gateways_and_refuses_what_is_new, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_the_bound_of_the_inbox_publishes_are_refused_and_all_else_is_done, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            short_of_memory_newcomers_and_publications_are_refused_and_who_goes_on_is_served, set_up_short_of_memory,
            tear_down),
        cmocka_unit_test_setup_teardown(many_requests_at_once_are_all_answered, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
