/* Requests and links of one worker against scripted brokers over inproc. */
#ifndef CALLBOARD_TESTS_BROKER_REQUESTS_HARNESS_H
#define CALLBOARD_TESTS_BROKER_REQUESTS_HARNESS_H

#include "gateway/broker_requests.h"

#include "base/clock.h"
#include "gateway/broker_links.h"
#include "tests/support/gateway_bench.h"
#include "tests/support/wire_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, BEATS = 4 /* two of each shard */ };

static struct gateway_bench bench;
static wire_broker_t *brokers[2];

struct asked {
    struct broker_request request;
    unsigned n_done;
    struct broker_answer answer;
    char bytes[64];
};

static inline void on_done(struct broker_request *request, const struct broker_answer *answer) {
    struct asked *asked = (struct asked *) (void *) request;
    asked->n_done++;
    asked->answer = *answer;
    assert_true(answer->bytes.size < sizeof asked->bytes);
    memcpy(asked->bytes, answer->bytes.data == NULL ? (const uint8_t *) "" : answer->bytes.data, answer->bytes.size);
}

static inline struct asked fresh(void) {
    return (struct asked){.request = {.on_done = on_done}};
}

static inline void turn_brokers(void) {
    for (size_t i = 0; i < 2; i++) {
        if (brokers[i] != NULL) {
            wire_broker_poll(brokers[i]);
        }
    }
    gateway_bench_turn(&bench);
}

/* Turns everything until the condition holds. */
#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t deadline_ms_ = clock_monotonic_ms() + DEADLINE_MS;                                                    \
        while (!(condition)) {                                                                                         \
            if (clock_monotonic_ms() > deadline_ms_) {                                                                 \
                fail_msg("in vain: " #condition);                                                                      \
            }                                                                                                          \
            turn_brokers();                                                                                            \
        }                                                                                                              \
    } while (0)

static inline wire_broker_t *new_broker(const char *endpoint, const char *id, enum wire_mode mode,
                                        uint32_t credit_frames) {
    return wire_broker_new(&(struct wire_broker_settings){.zmq_context = bench.zmq_context,
                                                          .endpoint = endpoint,
                                                          .id = id,
                                                          .shards = 2,
                                                          .mode = mode,
                                                          .credit_frames = credit_frames,
                                                          .turn = gateway_bench_turn,
                                                          .context = &bench});
}

static inline int set_up(void **state) {
    (void) state;
    gateway_bench_init(&bench);
    return 0;
}

static inline int tear_down(void **state) {
    (void) state;
    wire_broker_destroy(&brokers[0]);
    wire_broker_destroy(&brokers[1]);
    gateway_bench_finish(&bench);
    return 0;
}

static inline void start_with_one_broker(void) {
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_REDIS, 0);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_start(&bench);
    wire_broker_await_link(brokers[0]);
}

static inline size_t alive(void) {
    struct broker_summary summary;
    broker_requests_summary(bench.requests, &summary);
    return summary.brokers_alive;
}

static inline void publish(struct asked *asked, const char *channel, const char *data) {
    broker_publish(bench.requests, &asked->request,
                   &(struct broker_publication){
                       .channel = span_of_text(channel), .key = SPAN_LITERAL("key"), .data = span_of_text(data)});
}

static inline struct wire_publish expect_publish(wire_broker_t *broker, uint16_t *ret_shard) {
    struct wire_publish frame;
    assert_true(wire_decode_publish(wire_broker_expect(broker, WIRE_PUBLISH, ret_shard).body, &frame));
    return frame;
}

static inline void answer_published(wire_broker_t *broker, uint16_t shard, uint32_t request, uint64_t offset) {
    wire_encode_published(wire_broker_batch(broker),
                          &(struct wire_published){.request = request, .epoch = {"e"}, .offset = offset});
    wire_broker_send(broker, shard, 1);
}

#endif
