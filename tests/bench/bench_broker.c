/* See bench_broker.h. */
#include "tests/bench/bench_broker.h"

#include "base/check.h"
#include "base/log.h"

#include <stdio.h>
#include <zmq.h>

#define ENDPOINT "inproc://bench-broker"

void bench_broker_start(struct bench_broker *self, const char *yaml) {
    *self = (struct bench_broker){.zmq_context = zmq_ctx_new(), .metrics = metrics_new()};
    struct config_part part = {&broker_config_table, &self->config};
    struct buffer errors = BUFFER_EMPTY;
    struct config_source source = {.file_name = "bench", .file_text = span_of_text(yaml)};
    log_set_level(LOG_LEVEL_ERROR);
    check(config_read(&part, 1, &source, &errors), "%.*s", (int) errors.size, (const char *) errors.data);
    char error[512] = "";
    self->broker = broker_new(&(struct broker_options){.config = &self->config,
                                                       .zmq_context = self->zmq_context,
                                                       .metrics = self->metrics,
                                                       .inproc_endpoint = ENDPOINT,
                                                       .no_endpoint = true},
                              error, sizeof error);
    check(self->broker != NULL, "%s", error);
    self->client = wire_client_new(
        &(struct wire_client_options){.zmq_context = self->zmq_context, .endpoint = ENDPOINT, .gateway_id = "bench"});
    wire_client_link(self->client);
}

void bench_broker_stop(struct bench_broker *self) {
    struct config_part part = {&broker_config_table, &self->config};
    wire_client_destroy(&self->client);
    broker_destroy(&self->broker);
    metrics_destroy(&self->metrics);
    zmq_ctx_term(self->zmq_context);
    config_finish(&part, 1);
}

const char *bench_channel_name(char *text, unsigned number) {
    snprintf(text, BENCH_CHANNEL_NAME_MAX, "kept:%06u", number);
    return text;
}

void bench_subscribe(wire_client_t *client, unsigned first, unsigned n) {
    char name[BENCH_CHANNEL_NAME_MAX];
    for (unsigned i = 0; i < n; i += BENCH_BATCH) {
        struct buffer *batch = wire_client_batch(client, 0);
        for (unsigned k = 0; k < BENCH_BATCH; k++) {
            struct wire_subscribe frame = {.request = first + i + k + 1,
                                           .handle = first + i + k + 1,
                                           .channel = span_of_text(bench_channel_name(name, first + i + k))};
            check(wire_encode_subscribe(batch, &frame), "SUBSCRIBE");
        }
        wire_client_send(client, 0, BENCH_BATCH);
        for (unsigned k = 0; k < BENCH_BATCH; k++) {
            wire_client_expect(client, WIRE_SUBSCRIBED);
        }
    }
}
