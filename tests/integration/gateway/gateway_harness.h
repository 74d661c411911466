/* A gateway and a broker with the memory engine in one process, and raw clients that send what no SDK would. */
#ifndef CALLBOARD_TESTS_GATEWAY_HARNESS_H
#define CALLBOARD_TESTS_GATEWAY_HARNESS_H

#include "base/config_reader.h"
#include "base/error_code.h"
#include "broker/broker.h"
#include "gateway/gateway.h"
#include "gateway/transport/websocket_frame.h"
#include "tests/support/free_port.h"
#include "tests/support/http_get.h"
#include "tests/support/raw_client.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

enum { ERROR_SIZE = 512, READY_TIMEOUT_MS = 20000 };

#define PATH          "/connection/websocket"
#define CONNECT       "{\"id\":1,\"connect\":{}}"
#define BROKER_INPROC "inproc://broker"

struct fixture {
    void *zmq;
    metrics_t *metrics;
    struct gateway_config gateway_config;
    struct broker_config broker_config;
    struct gateway_config reloaded;
    broker_t *broker;
    gateway_t *gateway;
    int port;
};

static inline void read_gateway_config(const char *text, struct gateway_config *config) {
    struct buffer errors = BUFFER_EMPTY;
    const struct config_part part = {&gateway_config_table, config};
    const struct config_source source = {.file_name = "test.yaml", .file_text = span_of_text(text)};
    if (!config_read(&part, 1, &source, &errors)) {
        fail_msg("%.*s", (int) errors.size, (const char *) errors.data);
    }
}

static inline void finish_gateway_config(struct gateway_config *config) {
    const struct config_part part = {&gateway_config_table, config};
    config_finish(&part, 1);
}

static inline void start_broker(struct fixture *self) {
    struct buffer errors = BUFFER_EMPTY;
    const struct config_part part = {&broker_config_table, &self->broker_config};
    const struct config_source source = {
        .file_name = "broker.yaml",
        .file_text = SPAN_LITERAL("broker: {id: b, shards: 1}\nbackend: {endpoint: '', pull_endpoint: ''}\n"
                                  "namespaces: [{name: open, allow_subscribe_for_anonymous: true, "
                                  "allow_subscribe_for_client: true, allow_publish_for_client: true, "
                                  "allow_publish_for_anonymous: true}]\n")};
    if (!config_read(&part, 1, &source, &errors)) {
        fail_msg("%.*s", (int) errors.size, (const char *) errors.data);
    }
    char error[ERROR_SIZE] = "";
    const struct broker_options options = {.config = &self->broker_config,
                                           .zmq_context = self->zmq,
                                           .metrics = self->metrics,
                                           .inproc_endpoint = BROKER_INPROC,
                                           .no_endpoint = true};
    self->broker = broker_new(&options, error, sizeof error);
    if (self->broker == NULL) {
        fail_msg("%s", error);
    }
}

static inline void gateway_text(char *ret_text, size_t size, int port, const char *more) {
    snprintf(ret_text, size,
             "gateway: {workers: 2}\nbrokers: {endpoints: ['" BROKER_INPROC "']}\n"
             "namespaces: [{name: open, allow_subscribe_for_anonymous: true, allow_subscribe_for_client: true, "
             "allow_publish_for_client: true, allow_publish_for_anonymous: true}]\nlog: {level: error}\n"
             "http:\n  address: 127.0.0.1\n  port: %d\n%s",
             port, more);
}

/* `more`: further lines of settings; those of http first, indented by two. */
static inline void start(struct fixture *self, const char *more) {
    char text[2048];
    char error[ERROR_SIZE] = "";
    *self = (struct fixture){.port = free_port()};
    self->zmq = zmq_ctx_new();
    self->metrics = metrics_new();
    start_broker(self);
    gateway_text(text, sizeof text, self->port, more);
    read_gateway_config(text, &self->gateway_config);
    const struct gateway_options options = {
        .config = &self->gateway_config, .zmq_context = self->zmq, .metrics = self->metrics};
    self->gateway = gateway_new(&options, error, sizeof error);
    if (self->gateway == NULL) {
        fail_msg("%s", error);
    }
    assert_int_equal(gateway_port(self->gateway), self->port);
    assert_true(http_wait_status(self->port, "/ready", 200, READY_TIMEOUT_MS));
}

static inline void finish(struct fixture *self) {
    gateway_destroy(&self->gateway);
    broker_destroy(&self->broker);
    metrics_destroy(&self->metrics);
    zmq_ctx_term(self->zmq);
    finish_gateway_config(&self->gateway_config);
    if (self->reloaded.id != NULL) {
        finish_gateway_config(&self->reloaded);
    }
    const struct config_part part = {&broker_config_table, &self->broker_config};
    config_finish(&part, 1);
}

#define ANONYMOUS "client: {allow_anonymous_connect_without_token: true}\n"

static inline void send_text(struct raw_client *client, const char *text) {
    raw_client_send_frame(client, 1, true, span_of_text(text));
}

/* The next frame is a text with this in it. */
static inline void expect_text(struct raw_client *client, const char *wanted) {
    static char text[300000];
    int opcode = raw_client_read_frame(client, text, sizeof text);
    if (opcode != 1 || strstr(text, wanted) == NULL) {
        fail_msg("wanted a text with %s, got opcode %d: %.200s", wanted, opcode, text);
    }
}

static inline void connect_client(struct fixture *self, struct raw_client *client) {
    assert_true(raw_client_upgrade(client, self->port, PATH, ""));
    send_text(client, CONNECT);
    expect_text(client, "{\"id\":1,\"connect\":{");
}

static inline void expect_close(struct raw_client *client, unsigned code, const char *reason) {
    char text[256];
    unsigned got = raw_client_read_close(client, text, sizeof text);
    if (got != code || strcmp(text, reason) != 0) {
        fail_msg("wanted close %u \"%s\", got %u \"%s\"", code, reason, got, text);
    }
}

static inline void wait_for_websockets(struct fixture *self, uint32_t n) {
    for (unsigned i = 0; i < 2000; i++) {
        struct gateway_status status;
        gateway_read_status(self->gateway, &status);
        if (status.websockets == n) {
            return;
        }
        poll(NULL, 0, 10);
    }
    fail_msg("the number of open WebSockets did not become %u", n);
}

static inline void expect_refused(struct fixture *self, const char *path, const char *extra, const char *status) {
    struct raw_client client;
    if (raw_client_upgrade(&client, self->port, path, extra)) {
        fail_msg("%s with %s was upgraded", path, extra);
    }
    assert_true(raw_client_read_all(&client));
    if (!raw_client_starts_with(&client, status)) {
        fail_msg("%s with %s: wanted %s, got %.*s", path, extra, status, (int) client.input.size,
                 (const char *) client.input.data);
    }
    raw_client_close(&client);
}

#endif
