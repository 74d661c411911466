/* A broker over the wire: what was missed is recovered, read by pages, and after lagging. */
#include "tests/integration/broker_wire_harness.h"

/* ---- recovery ---- */

static void a_client_gets_what_it_missed_from_the_tail(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    struct position top = publish_many(self->client, "news:a", 10);
    struct position since = before(&top, 4);
    uint32_t request = wire_client_subscribe(self->client, "news:a", 1, &since, false);
    struct wire_subscribed frame = expect_subscribed(self->client, request);
    assert_int_equal(frame.flags, WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED);
    assert_int_equal(frame.offset, 10);
    assert_int_equal(frame.n_publications, 4);
    expect_run(frame.publications, 4, 7);
    request = wire_client_publish(self->client, "news:a", "\"next\"");
    expect_push(self->client, 1, 11, "\"next\"");
    expect_published(self->client, request);
}

static void what_the_tail_lacks_is_read_from_the_engine(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    struct position top = publish_many(self->client, "news:a", 100); /* the tail has 16 */
    subscribe(self->client, "news:a", 1);
    struct position since = before(&top, 90);
    uint32_t request = wire_client_subscribe(self->client, "news:a", 1, &since, false);
    struct wire_subscribed frame = expect_subscribed(self->client, request);
    assert_int_equal(frame.flags, WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED);
    expect_run(frame.publications, 90, 11);
    assert_true(metrics_read(self->metrics, "callboard_broker_recoveries_total", "result=\"yes\"") >= 1);
}

static void a_first_subscribe_with_a_position_recovers_in_one_load(void **state) {
    struct fixture *self = *state;
    wire_client_t *other = new_client(self, "gateway-2", 0);
    wire_client_link(other);
    struct position top = publish_many(other, "short:a", 20);
    wire_client_link(self->client);
    struct position since = before(&top, 20);
    uint32_t request = wire_client_subscribe(self->client, "short:a", 1, &since, false);
    struct wire_subscribed frame = expect_subscribed(self->client, request);
    assert_int_equal(frame.flags, WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED);
    expect_run(frame.publications, 20, 1);
    wire_client_destroy(&other);
}

static void trimmed_history_is_not_recovered(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    struct position top = publish_many(self->client, "short:a", 60);
    struct position since = before(&top, 50);
    uint32_t request = wire_client_subscribe(self->client, "short:a", 1, &since, false);
    struct wire_subscribed frame = expect_subscribed(self->client, request);
    assert_int_equal(frame.flags, WIRE_SUBSCRIBED_HISTORY);
    assert_int_equal(frame.offset, 60);
    assert_int_equal(frame.n_publications, 0);
}

static void another_epoch_is_not_recovered(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    publish_many(self->client, "news:a", 3);
    struct position since = {epoch_new(), 2};
    uint32_t request = wire_client_subscribe(self->client, "news:a", 1, &since, false);
    struct wire_subscribed frame = expect_subscribed(self->client, request);
    assert_int_equal(frame.flags, WIRE_SUBSCRIBED_HISTORY);
    assert_int_equal(frame.offset, 3);
}

static void more_than_the_bound_is_not_recovered_for_a_client_and_paged_for_a_worker(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    struct position top = publish_many(self->client, "news:a", 700);
    struct position since = before(&top, 650);
    uint32_t request = wire_client_subscribe(self->client, "news:a", 1, &since, false);
    assert_int_equal(expect_subscribed(self->client, request).flags, WIRE_SUBSCRIBED_HISTORY);
    uint32_t n = 0;
    struct wire_subscribed frame;
    do {
        request = wire_client_subscribe(self->client, "news:a", 2, &since, true);
        frame = expect_subscribed(self->client, request);
        assert_true((frame.flags & WIRE_SUBSCRIBED_RECOVERED) != 0);
        expect_run(frame.publications, frame.n_publications, since.offset + 1);
        since.offset = frame.offset;
        n += frame.n_publications;
    } while ((frame.flags & WIRE_SUBSCRIBED_MORE) != 0);
    assert_int_equal(n, 650);
    assert_int_equal(since.offset, 700);
    wire_client_unsubscribe(self->client, "news:a", 1);
    request = wire_client_publish(self->client, "news:a", "1");
    expect_push(self->client, 2, 701, "1");
    expect_published(self->client, request);
}

static void a_subscription_between_two_pages_gets_no_pushes(void **state) {
    struct fixture *self = *state;
    wire_client_link(self->client);
    struct position top = publish_many(self->client, "news:a", 400);
    struct position since = before(&top, 400);
    uint32_t request = wire_client_subscribe(self->client, "news:a", 1, &since, true);
    struct wire_subscribed frame = expect_subscribed(self->client, request);
    assert_true((frame.flags & WIRE_SUBSCRIBED_MORE) != 0);
    assert_int_equal(frame.offset, 300);
    request = wire_client_publish(self->client, "news:a", "1");
    expect_published(self->client, request);
    since.offset = frame.offset;
    request = wire_client_subscribe(self->client, "news:a", 1, &since, true);
    frame = expect_subscribed(self->client, request);
    expect_run(frame.publications, frame.n_publications, 301);
    assert_int_equal(frame.offset, 401);
    assert_true((frame.flags & WIRE_SUBSCRIBED_MORE) == 0);
}

static void a_subscriber_joins_a_flow_without_gap_or_double(void **state) {
    struct fixture *self = *state;
    wire_client_t *publisher = new_client(self, "gateway-2", 0);
    wire_client_link(self->client);
    wire_client_link(publisher);
    struct position top = publish_many(publisher, "news:a", 50);
    for (uint32_t handle = 1; handle <= 20; handle++) {
        uint32_t requests[5];
        for (int i = 0; i < 5; i++) {
            requests[i] = wire_client_publish(publisher, "news:a", "1");
        }
        uint32_t request = wire_client_subscribe(self->client, "news:a", handle, &top, true);
        struct wire_subscribed frame = expect_subscribed(self->client, request);
        expect_run(frame.publications, frame.n_publications, top.offset + 1);
        for (int i = 0; i < 5; i++) {
            expect_published(publisher, requests[i]);
        }
        for (uint64_t offset = frame.offset + 1; offset <= 50 + 5 * (uint64_t) handle; offset++) {
            expect_push(self->client, handle, offset, "1");
        }
        wire_client_unsubscribe(self->client, "news:a", handle);
    }
    wire_client_destroy(&publisher);
}

/* ---- credit ---- */

static void a_worker_out_of_credit_lags_and_comes_back_by_position(void **state) {
    struct fixture *self = *state;
    wire_client_t *publisher = new_client(self, "gateway-2", 0);
    wire_client_link(publisher);
    wire_client_link(self->client);
    struct position start = subscribe(self->client, "news:a", 1);
    wire_client_set_acking(self->client, false);
    uint64_t pushed = 0;
    int published = 0;
    while (metrics_read(self->metrics, "callboard_broker_lagging_total", NULL) == 0) {
        uint32_t request = wire_client_publish(publisher, "news:a", "1");
        expect_published(publisher, request);
        assert_true(++published < 10000);
        if (published % 50 == 0) {
            wire_client_beat(self->client, wire_client_shard_of(self->client, "news:a")); /* not silent, only slow */
        }
        struct wire_received frame;
        while (wire_client_receive(self->client, &frame, 0)) {
            if (frame.kind == WIRE_PUSH) {
                pushed++;
            }
        }
    }
    uint32_t request = wire_client_publish(publisher, "news:a", "1");
    expect_published(publisher, request);
    published++;
    assert_true(pushed >= 3000);
    wire_client_set_acking(self->client, true);
    struct wire_received frame;
    do {
        assert_true(wire_client_receive(self->client, &frame, 10000));
        pushed += frame.kind == WIRE_PUSH;
    } while (frame.kind != WIRE_LAGGING);
    struct wire_lagging lagging;
    assert_true(wire_decode_lagging(frame.body, &lagging));
    assert_int_equal(lagging.handle, 1);
    struct position since = {start.epoch, pushed};
    request = wire_client_subscribe(self->client, "news:a", 1, &since, false);
    expect_error(self->client, request, ERROR_INTERNAL, WIRE_ERROR_TEMPORARY);
    request = wire_client_subscribe(self->client, "news:a", 1, &since, true);
    struct wire_subscribed subscribed = expect_subscribed(self->client, request);
    assert_true((subscribed.flags & WIRE_SUBSCRIBED_RECOVERED) != 0);
    expect_run(subscribed.publications, subscribed.n_publications, pushed + 1);
    assert_int_equal(subscribed.offset, published);
    wire_client_destroy(&publisher);
}

/* How many pushes come until such a frame, or none for so long. */
static unsigned drain_pushes(wire_client_t *client, int timeout_ms, uint8_t until) {
    unsigned n = 0;
    struct wire_received frame;
    while (wire_client_receive(client, &frame, timeout_ms) && frame.kind != until) {
        n += frame.kind == WIRE_PUSH;
    }
    return n;
}

static void what_a_lagging_worker_misses_without_history_is_counted_to_the_last(void **state) {
    struct fixture *self = *state;
    wire_client_t *publisher = new_client(self, "gateway-2", 0);
    wire_client_link(publisher);
    wire_client_link(self->client);
    subscribe(self->client, "plain:a", 1);
    wire_client_set_acking(self->client, false);
    unsigned pushed = 0;
    unsigned published = 0;
    while (metrics_read(self->metrics, "callboard_broker_publications_missed_total", NULL) < 20) {
        expect_published(publisher, wire_client_publish(publisher, "plain:a", "1"));
        assert_true(++published < 10000);
        if (published % 50 == 0) {
            wire_client_beat(self->client, wire_client_shard_of(self->client, "plain:a")); /* not silent, only slow */
        }
        pushed += drain_pushes(self->client, 0, WIRE_LAGGING);
    }
    assert_int_equal(metrics_read(self->metrics, "callboard_broker_lagging_total", NULL), 1);
    wire_client_set_acking(self->client, true);
    pushed += drain_pushes(self->client, 10000, WIRE_LAGGING);
    expect_published(publisher, wire_client_publish(publisher, "plain:a", "1"));
    published++; /* it is missed, too: the worker has not asked yet */
    uint32_t request = wire_client_subscribe(self->client, "plain:a", 1, NULL, true);
    expect_subscribed(self->client, request);
    expect_published(publisher, wire_client_publish(publisher, "plain:a", "1"));
    published++;
    wire_client_expect(self->client, WIRE_PUSH);
    pushed++;
    assert_int_equal(metrics_read(self->metrics, "callboard_broker_publications_missed_total", NULL), 21);
    assert_int_equal(pushed + 21, published);
    wire_client_destroy(&publisher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_gets_what_it_missed_from_the_tail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_tail_lacks_is_read_from_the_engine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_first_subscribe_with_a_position_recovers_in_one_load, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trimmed_history_is_not_recovered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_epoch_is_not_recovered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_the_bound_is_not_recovered_for_a_client_and_paged_for_a_worker,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_subscription_between_two_pages_gets_no_pushes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_subscriber_joins_a_flow_without_gap_or_double, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_out_of_credit_lags_and_comes_back_by_position, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_lagging_worker_misses_without_history_is_counted_to_the_last, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
