/* A whole broker on the memory engine, driven over inproc by a gateway worker that speaks only the wire. */
#ifndef CALLBOARD_TESTS_BROKER_WIRE_HARNESS_H
#define CALLBOARD_TESTS_BROKER_WIRE_HARNESS_H

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

static inline void read_config(const char *text, const struct config_part *part) {
    struct buffer errors = BUFFER_EMPTY;
    struct config_source source = {.file_name = "test", .file_text = span_of_text(text)};
    if (!config_read(part, 1, &source, &errors)) {
        fail_msg("%.*s", (int) errors.size, (const char *) errors.data);
    }
    buffer_finish(&errors);
}

static inline wire_client_t *new_client(struct fixture *self, const char *gateway_id, uint32_t worker) {
    return wire_client_new(&(struct wire_client_options){
        .zmq_context = self->zmq_context, .endpoint = ENDPOINT, .gateway_id = gateway_id, .worker = worker});
}

static inline int set_up_with(void **state, const char *text) {
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

static inline int set_up(void **state) {
    return set_up_with(state, config_text);
}

/* Any process holds more than that. */
static inline int set_up_short_of_memory(void **state) {
    char text[sizeof config_text + 32];
    static const char first[] = "broker:\n";
    snprintf(text, sizeof text, "%s  memory_max: 1MiB\n%s", first, config_text + sizeof first - 1);
    return set_up_with(state, text);
}

static inline int tear_down(void **state) {
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

static inline struct wire_subscribed expect_subscribed(wire_client_t *client, uint32_t request) {
    struct wire_subscribed frame;
    assert_true(wire_decode_subscribed(wire_client_expect(client, WIRE_SUBSCRIBED), &frame));
    assert_int_equal(frame.request, request);
    return frame;
}

static inline struct wire_published expect_published(wire_client_t *client, uint32_t request) {
    struct wire_published frame;
    assert_true(wire_decode_published(wire_client_expect(client, WIRE_PUBLISHED), &frame));
    assert_int_equal(frame.request, request);
    return frame;
}

static inline void expect_push(wire_client_t *client, uint32_t handle, uint64_t offset, const char *data) {
    struct wire_push frame;
    assert_true(wire_decode_push(wire_client_expect(client, WIRE_PUSH), &frame));
    assert_int_equal(frame.handle, handle);
    struct cursor cursor = cursor_of(frame.publication);
    struct wire_publication publication;
    assert_true(wire_read_publication(&cursor, &publication));
    assert_int_equal(publication.offset, offset);
    assert_true(span_equal_text(publication.data, data));
}

static inline void expect_error(wire_client_t *client, uint32_t request, uint16_t code, uint8_t flags) {
    struct wire_error frame;
    assert_true(wire_decode_error(wire_client_expect(client, WIRE_ERROR), &frame));
    assert_int_equal(frame.request, request);
    assert_int_equal(frame.code, code);
    assert_int_equal(frame.flags, flags);
}

static inline void expect_reset(wire_client_t *client, uint16_t reason) {
    struct wire_reset frame;
    assert_true(wire_decode_reset(wire_client_expect(client, WIRE_RESET), &frame));
    assert_int_equal(frame.reason, reason);
}

/* The publications of a reply are numbered first, first + 1… and as many as it says. */
static inline void expect_run(struct span publications, uint32_t n, uint64_t first) {
    struct cursor cursor = cursor_of(publications);
    for (uint32_t i = 0; i < n; i++) {
        struct wire_publication publication;
        assert_true(wire_read_publication(&cursor, &publication));
        assert_int_equal(publication.offset, first + i);
    }
    assert_true(cursor_is_done(&cursor));
}

/* Publishes n times, without a subscription of this client; returns the last position. */
static inline struct position publish_many(wire_client_t *client, const char *channel, int n) {
    struct wire_published last = {.request = 0};
    for (int i = 0; i < n; i++) {
        uint32_t request = wire_client_publish(client, channel, "{\"n\":1}");
        last = expect_published(client, request);
    }
    return (struct position){last.epoch, last.offset};
}

static inline struct position subscribe(wire_client_t *client, const char *channel, uint32_t handle) {
    uint32_t request = wire_client_subscribe(client, channel, handle, NULL, false);
    struct wire_subscribed frame = expect_subscribed(client, request);
    return (struct position){frame.epoch, frame.offset};
}

static inline struct position before(const struct position *position, uint64_t n) {
    return (struct position){position->epoch, position->offset - n};
}

#endif
