/* The hub over real links to scripted brokers (inproc). The publications are JSON that the real codec encodes; sessions
 * are counters here. */
#ifndef CALLBOARD_TESTS_HUB_HARNESS_H
#define CALLBOARD_TESTS_HUB_HARNESS_H

#include "gateway/hub.h"

#include "base/clock.h"
#include "gateway/broker_links.h"
#include "tests/support/gateway_bench.h"
#include "tests/support/wire_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, SEEN_MAX = 4000 };

static struct gateway_bench bench;
static wire_broker_t *brokers[2];
static hub_t *hub;
static unsigned n_framed;

/* A session's subscription. */
struct viewer {
    struct hub_member member;
    unsigned n_joined, n_failed, n_lost, n_delivered;
    enum error_code code;
    struct hub_joined joined;
    uint64_t first_recovered, last_recovered;
    struct position lost_at;
    char last[512];
    char seen[SEEN_MAX]; /* the data of all that was delivered, one after another */
    bool leaves_on_delivery, leaves_on_loss;
    struct viewer *takes_along; /* leaves at the same moment */
};

static inline void leave(struct viewer *viewer) {
    hub_leave(hub, &viewer->member);
    if (viewer->takes_along != NULL) {
        hub_leave(hub, &viewer->takes_along->member);
    }
}

static inline void on_joined(struct hub_member *member, const struct hub_joined *joined) {
    struct viewer *viewer = member->owner;
    viewer->n_joined++;
    viewer->joined = *joined;
    struct cursor cursor = cursor_of(joined->publications);
    struct wire_publication publication;
    viewer->first_recovered = 0;
    for (uint32_t i = 0; i < joined->n_publications; i++) {
        assert_true(wire_read_publication(&cursor, &publication));
        viewer->first_recovered = i == 0 ? publication.offset : viewer->first_recovered;
        viewer->last_recovered = publication.offset;
    }
    assert_true(cursor_is_done(&cursor));
}

static inline void on_join_failed(struct hub_member *member, enum error_code code) {
    struct viewer *viewer = member->owner;
    viewer->n_failed++;
    viewer->code = code;
    assert_null(member->channel);
}

static inline void deliver(struct hub_member *member, payload_t *framed) {
    struct viewer *viewer = member->owner;
    struct span bytes = payload_span(framed);
    viewer->n_delivered++;
    snprintf(viewer->last, sizeof viewer->last, "%.*s", (int) bytes.size, (const char *) bytes.data);
    const char *mark = strstr(viewer->last, "\"m\":");
    if (mark != NULL) {
        size_t length = strlen(viewer->seen);
        snprintf(viewer->seen + length, sizeof viewer->seen - length, "%d ", atoi(mark + 4));
    }
    payload_unref(&framed);
    if (viewer->leaves_on_delivery) {
        leave(viewer);
    }
}

static inline void on_lost(struct hub_member *member, const struct position *position) {
    struct viewer *viewer = member->owner;
    viewer->n_lost++;
    viewer->lost_at = *position;
    if (viewer->leaves_on_loss) {
        leave(viewer);
    }
}

static inline payload_t *frame(enum client_encoding encoding, struct span message) {
    assert_int_equal(encoding, CLIENT_ENCODING_JSON);
    n_framed++;
    return payload_new(message);
}

static inline void turn_all(void) {
    for (size_t i = 0; i < 2; i++) {
        if (brokers[i] != NULL) {
            wire_broker_poll(brokers[i]);
        }
    }
    gateway_bench_turn(&bench);
}

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t deadline_ms_ = clock_monotonic_ms() + DEADLINE_MS;                                                    \
        while (!(condition)) {                                                                                         \
            if (clock_monotonic_ms() > deadline_ms_) {                                                                 \
                fail_msg("in vain: " #condition);                                                                      \
            }                                                                                                          \
            turn_all();                                                                                                \
        }                                                                                                              \
    } while (0)

static inline wire_broker_t *new_broker(const char *endpoint, const char *id) {
    return wire_broker_new(&(struct wire_broker_settings){.zmq_context = bench.zmq_context,
                                                          .endpoint = endpoint,
                                                          .id = id,
                                                          .turn = gateway_bench_turn,
                                                          .context = &bench});
}

static inline void start(void) {
    static const struct hub_callbacks callbacks = {.on_joined = on_joined,
                                                   .on_join_failed = on_join_failed,
                                                   .deliver = deliver,
                                                   .on_lost = on_lost,
                                                   .frame = frame};
    gateway_bench_start(&bench);
    hub = hub_new(bench.requests, bench.metrics, bench.wheel, &callbacks);
}

static inline void start_with_one_broker(void) {
    brokers[0] = new_broker("inproc://a", "broker-a");
    gateway_bench_add_endpoint(&bench, "inproc://a");
    start();
    wire_broker_await_link(brokers[0]);
}

static inline int set_up(void **state) {
    (void) state;
    gateway_bench_init(&bench);
    n_framed = 0;
    return 0;
}

static inline int tear_down(void **state) {
    (void) state;
    hub_destroy(&hub);
    wire_broker_destroy(&brokers[0]);
    wire_broker_destroy(&brokers[1]);
    gateway_bench_finish(&bench);
    return 0;
}

/* ---- sessions ---- */

static inline void join_since(struct viewer *viewer, const char *channel, const char *epoch, uint64_t offset) {
    viewer->member.owner = viewer;
    viewer->member.encoding = CLIENT_ENCODING_JSON;
    struct position since = {epoch_from(span_of_text(epoch)), offset};
    hub_join(hub, span_of_text(channel), NULL, &viewer->member, true, &since, clock_monotonic_ms() + DEADLINE_MS);
}

static inline void join(struct viewer *viewer, const char *channel) {
    viewer->member.owner = viewer;
    viewer->member.encoding = CLIENT_ENCODING_JSON;
    hub_join(hub, span_of_text(channel), NULL, &viewer->member, false, NULL, clock_monotonic_ms() + DEADLINE_MS);
}

/* ---- the broker's side ---- */

static inline struct wire_subscribe expect_subscribe(wire_broker_t *broker) {
    struct wire_subscribe subscribe;
    assert_true(wire_decode_subscribe(wire_broker_expect(broker, WIRE_SUBSCRIBE, NULL).body, &subscribe));
    return subscribe;
}

static inline void append_publication(struct buffer *out, uint64_t offset) {
    char data[32];
    snprintf(data, sizeof data, "{\"m\":%d}", (int) offset);
    wire_append_publication(out, &(struct wire_publication){.offset = offset, .data = span_of_text(data)});
}

/* Answers with position (epoch, offset) and, where it was recovered, everything from since+1. */
static inline void answer(wire_broker_t *broker, const struct wire_subscribe *subscribe, const char *epoch,
                          uint64_t offset, unsigned flags) {
    struct buffer publications = BUFFER_EMPTY;
    uint32_t n = 0;
    if ((flags & WIRE_SUBSCRIBED_RECOVERED) != 0) {
        for (uint64_t i = subscribe->since_offset + 1; i <= offset; i++, n++) {
            append_publication(&publications, i);
        }
    }
    wire_encode_subscribed(wire_broker_batch(broker),
                           &(struct wire_subscribed){.request = subscribe->request,
                                                     .handle = subscribe->handle,
                                                     .flags = (uint8_t) flags,
                                                     .epoch = epoch_from(span_of_text(epoch)),
                                                     .offset = offset,
                                                     .n_publications = n,
                                                     .publications = buffer_span(&publications)});
    buffer_finish(&publications);
    wire_broker_send(broker, 0, 1);
}

static inline void push_marked(wire_broker_t *broker, uint32_t handle, uint64_t offset, int mark) {
    char data[32];
    struct buffer publication = BUFFER_EMPTY;
    snprintf(data, sizeof data, "{\"m\":%d}", mark);
    wire_append_publication(&publication, &(struct wire_publication){.offset = offset, .data = span_of_text(data)});
    wire_append_push(wire_broker_batch(broker), handle, buffer_span(&publication));
    buffer_finish(&publication);
    wire_broker_send(broker, 0, 1);
}

static inline void push(wire_broker_t *broker, uint32_t handle, uint64_t offset) {
    push_marked(broker, handle, offset, (int) offset);
}

enum { HISTORY = WIRE_SUBSCRIBED_HISTORY, RECOVERED = WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED };

/* One viewer live on "news" at (e, 9). */
static inline uint32_t make_live(struct viewer *viewer) {
    join(viewer, "news");
    struct wire_subscribe subscribe = expect_subscribe(brokers[0]);
    answer(brokers[0], &subscribe, "e", 9, HISTORY);
    AWAIT(viewer->n_joined == 1);
    return subscribe.handle;
}

static inline void expect_unsubscribe(wire_broker_t *broker, uint32_t handle) {
    struct wire_unsubscribe unsubscribe;
    assert_true(wire_decode_unsubscribe(wire_broker_expect(broker, WIRE_UNSUBSCRIBE, NULL).body, &unsubscribe));
    assert_int_equal(unsubscribe.handle, handle);
}

static inline void lose_link(wire_broker_t *broker) {
    wire_broker_set_greeting(broker, false);
    wire_encode_reset(wire_broker_batch(broker), &(struct wire_reset){.reason = WIRE_RESET_OVERFLOW});
    wire_broker_send(broker, WIRE_SHARD_SWITCHBOARD, 1);
}

#endif
