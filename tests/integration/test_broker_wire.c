/* A whole broker on the memory engine, driven over inproc by a gateway worker that speaks only the wire. */
#include "base/check.h"
#include "base/clock.h"
#include "base/error_code.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/wire_lane.h"
#include "broker/broker.h"
#include "tests/support/wire_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

#define ENDPOINT "inproc://broker-wire"

static const char config_text[] = "broker:\n"
                                  "  id: broker-1\n"
                                  "  shards: 2\n"
                                  "  peer_timeout: 1s\n"
                                  "  lease: 1s\n"
                                  "  tail_messages: 16\n"
                                  "  publication_bytes: 64KiB\n"
                                  "  inbox_bytes: 1MiB\n"
                                  "backend:\n"
                                  "  endpoint: \"\"\n"
                                  "  pull_endpoint: \"\"\n"
                                  "namespaces:\n"
                                  "  - name: news\n"
                                  "    history_size: 1000\n"
                                  "    history_ttl: 1h\n"
                                  "    presence: true\n"
                                  "    join_leave: true\n"
                                  "  - name: short\n"
                                  "    history_size: 20\n"
                                  "    history_ttl: 1h\n"
                                  "  - name: plain\n";

struct fixture {
    struct broker_config config;
    struct config_part part;
    void *zmq_context;
    metrics_t *metrics;
    broker_t *broker;
    wire_client_t *client;
};

static void read_config(const char *text, const struct config_part *part) {
    struct buffer errors = BUFFER_EMPTY;
    struct config_source source = {.file_name = "test", .file_text = span_of_text(text)};
    if (!config_read(part, 1, &source, &errors)) {
        fail_msg("%.*s", (int) errors.size, (const char *) errors.data);
    }
    buffer_finish(&errors);
}

static wire_client_t *new_client(struct fixture *self, const char *gateway_id, uint32_t worker) {
    return wire_client_new(&(struct wire_client_options){
        .zmq_context = self->zmq_context, .endpoint = ENDPOINT, .gateway_id = gateway_id, .worker = worker});
}

static int set_up_with(void **state, const char *text) {
    struct fixture *self = memory_alloc_zero(sizeof *self);
    char error[512] = "";
    log_set_level(LOG_LEVEL_ERROR);
    self->part = (struct config_part){&broker_config_table, &self->config};
    read_config(text, &self->part);
    self->zmq_context = zmq_ctx_new();
    self->metrics = metrics_new();
    self->broker = broker_new(&(struct broker_options){.config = &self->config,
                                                       .zmq_context = self->zmq_context,
                                                       .metrics = self->metrics,
                                                       .inproc_endpoint = ENDPOINT,
                                                       .no_endpoint = true},
                              error, sizeof error);
    if (self->broker == NULL) {
        fail_msg("%s", error);
    }
    self->client = new_client(self, "gateway-1", 0);
    *state = self;
    return 0;
}

static int set_up(void **state) {
    return set_up_with(state, config_text);
}

/* Any process holds more than that. */
static int set_up_short_of_memory(void **state) {
    char text[sizeof config_text + 32];
    static const char first[] = "broker:\n";
    snprintf(text, sizeof text, "%s  memory_max: 1MiB\n%s", first, config_text + sizeof first - 1);
    return set_up_with(state, text);
}

static int tear_down(void **state) {
    struct fixture *self = *state;
    wire_client_destroy(&self->client);
    broker_destroy(&self->broker);
    metrics_destroy(&self->metrics);
    zmq_ctx_term(self->zmq_context);
    config_finish(&self->part, 1);
    memory_free(self);
    return 0;
}

/* ---- what comes ---- */

static struct wire_subscribed expect_subscribed(wire_client_t *client, uint32_t request) {
    struct wire_subscribed frame;
    assert_true(wire_decode_subscribed(wire_client_expect(client, WIRE_SUBSCRIBED), &frame));
    assert_int_equal(frame.request, request);
    return frame;
}

static struct wire_published expect_published(wire_client_t *client, uint32_t request) {
    struct wire_published frame;
    assert_true(wire_decode_published(wire_client_expect(client, WIRE_PUBLISHED), &frame));
    assert_int_equal(frame.request, request);
    return frame;
}

static void expect_push(wire_client_t *client, uint32_t handle, uint64_t offset, const char *data) {
    struct wire_push frame;
    assert_true(wire_decode_push(wire_client_expect(client, WIRE_PUSH), &frame));
    assert_int_equal(frame.handle, handle);
    struct cursor cursor = cursor_of(frame.publication);
    struct wire_publication publication;
    assert_true(wire_read_publication(&cursor, &publication));
    assert_int_equal(publication.offset, offset);
    assert_true(span_equal_text(publication.data, data));
}

static void expect_error(wire_client_t *client, uint32_t request, uint16_t code, uint8_t flags) {
    struct wire_error frame;
    assert_true(wire_decode_error(wire_client_expect(client, WIRE_ERROR), &frame));
    assert_int_equal(frame.request, request);
    assert_int_equal(frame.code, code);
    assert_int_equal(frame.flags, flags);
}

static void expect_reset(wire_client_t *client, uint16_t reason) {
    struct wire_reset frame;
    assert_true(wire_decode_reset(wire_client_expect(client, WIRE_RESET), &frame));
    assert_int_equal(frame.reason, reason);
}

/* The publications of a reply are numbered first, first + 1… and as many as it says. */
static void expect_run(struct span publications, uint32_t n, uint64_t first) {
    struct cursor cursor = cursor_of(publications);
    for (uint32_t i = 0; i < n; i++) {
        struct wire_publication publication;
        assert_true(wire_read_publication(&cursor, &publication));
        assert_int_equal(publication.offset, first + i);
    }
    assert_true(cursor_is_done(&cursor));
}

/* Publishes n times, without a subscription of this client; returns the last position. */
static struct position publish_many(wire_client_t *client, const char *channel, int n) {
    struct wire_published last = {.request = 0};
    for (int i = 0; i < n; i++) {
        uint32_t request = wire_client_publish(client, channel, "{\"n\":1}");
        last = expect_published(client, request);
    }
    return (struct position){last.epoch, last.offset};
}

static struct position subscribe(wire_client_t *client, const char *channel, uint32_t handle) {
    uint32_t request = wire_client_subscribe(client, channel, handle, NULL, false);
    struct wire_subscribed frame = expect_subscribed(client, request);
    return (struct position){frame.epoch, frame.offset};
}

static struct position before(const struct position *position, uint64_t n) {
    return (struct position){position->epoch, position->offset - n};
}

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
    const struct position since = {.epoch = {"AbCdEf0123456789"}, .offset = 3};
    request = wire_client_subscribe(self->client, "news:a", 2, &since, true);
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
        cmocka_unit_test_setup_teardown(beats_are_answered_by_every_shard_with_changed_tops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(history_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_join_are_counted_and_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_of_a_gateway_that_died_are_swept_with_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_without_a_worker_are_refused, set_up, tear_down),
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
