/* Channels over an engine that answers when the test says so. */
#ifndef CALLBOARD_TESTS_CHANNEL_HARNESS_H
#define CALLBOARD_TESTS_CHANNEL_HARNESS_H

#include "broker/channel.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/shard_metrics.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { READS_MAX = 16, FRAMES_MAX = 4096 };

/* ---- an engine that only notes what it is asked ---- */

struct scripted {
    engine_t base;
    struct engine_read *reads[READS_MAX];
    size_t n_reads;
    struct engine_presence_read *presence_read;
    char cleared[64]; /* client@gateway.lease */
    int held;
};

static inline void scripted_read(engine_t *base, struct engine_read *request) {
    struct scripted *self = (struct scripted *) base;
    assert_true(self->n_reads < READS_MAX);
    self->reads[self->n_reads++] = request;
}

static inline void scripted_hold(engine_t *base, struct span channel, const struct namespace_options *options) {
    (void) channel;
    (void) options;
    ((struct scripted *) base)->held++;
}

static unsigned n_swept_living;

static inline void note_swept_living(void *context, uint32_t partition) {
    (void) context;
    (void) partition;
    n_swept_living++;
}

static inline void scripted_release(engine_t *base, struct span channel) {
    (void) channel;
    ((struct scripted *) base)->held--;
}

static inline void scripted_presence_read(engine_t *base, struct engine_presence_read *request) {
    ((struct scripted *) base)->presence_read = request;
}

static inline void scripted_presence_clear(engine_t *base, struct span channel, struct span client,
                                           const struct engine_presence_owner *only_of) {
    (void) channel;
    char *cleared = ((struct scripted *) base)->cleared;
    size_t used = strlen(cleared);
    snprintf(cleared + used, sizeof((struct scripted *) base)->cleared - used, "%.*s@%.*s.%" PRIu64, (int) client.size,
             (const char *) client.data, only_of == NULL ? 0 : (int) only_of->gateway_id.size,
             only_of == NULL ? "" : (const char *) only_of->gateway_id.data,
             only_of == NULL ? 0 : only_of->lease_number);
}

static const struct engine_methods scripted_methods = {.read = scripted_read,
                                                       .hold = scripted_hold,
                                                       .release = scripted_release,
                                                       .presence_read = scripted_presence_read,
                                                       .presence_clear = scripted_presence_clear};

/* ---- one shard's worth ---- */

static struct scripted engine;
static struct broker_config config;
static metrics_t *metrics;
static metric_values_t *values;
static gateway_leases_t *leases;
static struct engine_lease told_lease; /* number 0: there is none */
static bool tells_leases;
static uint64_t told_ms;
static channel_set_t *channels;
static gateway_peer_t *peer;
static struct list_link dirty;
static struct namespace_options options;
static struct buffer sent[FRAMES_MAX];
static size_t n_sent;
static size_t n_taken;
static struct cursor frames;
static uint64_t now_us;

static inline uint64_t fake_clock(void) {
    return now_us;
}

static inline void take(void *context, const gateway_peer_t *from, struct buffer *batch) {
    (void) context;
    (void) from;
    assert_true(n_sent < FRAMES_MAX);
    sent[n_sent++] = *batch;
    *batch = BUFFER_EMPTY;
}

static inline int set_up(void **state) {
    (void) state;
    now_us = 1000000;
    clock_replace(fake_clock, NULL);
    engine = (struct scripted){.base = {&scripted_methods}};
    config = (struct broker_config){.partitions = 256,
                                    .tail_messages_max = 8,
                                    .presence_infos_max = 100,
                                    .tail_bytes_max = 2 << 20, /* above tails_bytes_max */
                                    .tails_bytes_max = 1 << 20,
                                    .tail_idle_ms = 60000,
                                    .recovery_publications_max = 300,
                                    .recovery_bytes_max = 1 << 20,
                                    .publish_timeout_ms = 2000,
                                    .redis_loads = 2};
    options = (struct namespace_options){.history_size = 100, .history_ttl_ms = 60000};
    metrics = metrics_new();
    values = metric_values_new(metrics, shard_metric_rows, SHARD_METRICS_COUNT);
    leases = gateway_leases_new();
    told_lease = (struct engine_lease){.number = 0};
    tells_leases = false;
    n_swept_living = 0;
    channels = channel_set_new(&(struct channel_set_options){.engine = &engine.base,
                                                             .config = &config,
                                                             .leases = leases,
                                                             .metrics = values,
                                                             .on_swept_living = note_swept_living});
    list_init(&dirty);
    n_sent = 0;
    n_taken = 0;
    frames = cursor_of(SPAN_EMPTY);
    peer = gateway_peer_new(&(struct gateway_peer_options){.number = 1,
                                                           .link_epoch = 5,
                                                           .version = WIRE_VERSION,
                                                           .gateway_id = SPAN_LITERAL("g1"),
                                                           .batch_close = WIRE_BATCH_CLOSE,
                                                           .send = take,
                                                           .dirty = &dirty});
    return 0;
}

static inline int tear_down(void **state) {
    (void) state;
    channel_set_destroy(&channels);
    gateway_peer_destroy(&peer);
    gateway_leases_destroy(&leases);
    metric_values_destroy(&values);
    metrics_destroy(&metrics);
    for (size_t i = 0; i < n_sent; i++) {
        buffer_finish(&sent[i]);
    }
    clock_replace(NULL, NULL);
    return 0;
}

static inline void end_turn(void) {
    channel_set_flush(channels);
    gateway_peer_flush(peer);
}

/* The engine tells the leases each second, whatever they are. */
static inline void tell_leases(void) {
    gateway_leases_update(leases, &told_lease, told_lease.number == 0 ? 0 : 1);
    told_ms = now_us / 1000;
}

static inline void pass_ms(uint64_t ms) {
    for (uint64_t i = 0; i < ms; i += 50) {
        now_us += 50000;
        if (tells_leases && now_us / 1000 - told_ms >= 1000) {
            tell_leases();
        }
        channel_set_tick(channels, now_us / 1000);
    }
    end_turn();
}

/* ---- what is sent ---- */

static inline bool next_frame(struct wire_frame *ret_frame) {
    end_turn();
    while (wire_frame_next(&frames, ret_frame) != WIRE_OK) {
        if (n_taken == n_sent) {
            return false;
        }
        struct wire_batch_header header;
        assert_int_equal(wire_batch_open(buffer_span(&sent[n_taken++]), &header, &frames), WIRE_OK);
    }
    return true;
}

static inline void expect_nothing(void) {
    struct wire_frame frame;
    if (next_frame(&frame)) {
        fail_msg("%s was sent", wire_kind_name(frame.kind));
    }
}

static inline struct span expect(uint8_t kind) {
    struct wire_frame frame;
    if (!next_frame(&frame)) {
        fail_msg("no %s was sent", wire_kind_name(kind));
    }
    assert_string_equal(wire_kind_name(frame.kind), wire_kind_name(kind));
    return frame.body;
}

static inline void expect_push(uint64_t offset) {
    struct wire_push push;
    assert_true(wire_decode_push(expect(WIRE_PUSH), &push));
    struct cursor cursor = cursor_of(push.publication);
    assert_int_equal(cursor_u64(&cursor), offset);
}

static inline struct wire_subscribed expect_answer(uint32_t request, uint8_t flags, uint64_t offset) {
    struct wire_subscribed answer;
    assert_true(wire_decode_subscribed(expect(WIRE_SUBSCRIBED), &answer));
    assert_int_equal(answer.request, request);
    assert_int_equal(answer.flags, flags);
    assert_int_equal(answer.offset, offset);
    return answer;
}

static inline void expect_error(uint32_t request, uint16_t code) {
    struct wire_error error;
    assert_true(wire_decode_error(expect(WIRE_ERROR), &error));
    assert_int_equal(error.request, request);
    assert_int_equal(error.code, code);
    assert_int_equal(error.flags, WIRE_ERROR_TEMPORARY);
}

static inline void expect_lost(const char *epoch, uint64_t offset) {
    struct wire_lost lost;
    assert_true(wire_decode_lost(expect(WIRE_LOST), &lost));
    assert_string_equal(lost.epoch.text, epoch);
    assert_int_equal(lost.offset, offset);
}

/* ---- what is asked and what happens ---- */

static inline struct epoch named(const char *epoch) {
    return epoch_from(span_of_text(epoch));
}

static inline struct subscription *ask(uint32_t handle, uint32_t request, const char *epoch, uint64_t since, bool own) {
    struct subscription *subscription = gateway_peer_find(peer, handle);
    if (subscription == NULL) {
        subscription = gateway_peer_subscribe(peer, handle);
        channel_link(channels, SPAN_LITERAL("news:a"), &options, subscription);
    }
    channel_ask(subscription, &(struct subscription_question){.request = request,
                                                              .has_since = epoch != NULL,
                                                              .own = own,
                                                              .since = {named(epoch == NULL ? "" : epoch), since}});
    end_turn();
    return subscription;
}

static inline payload_t *encoded(uint64_t offset) {
    struct buffer bytes = BUFFER_EMPTY;
    wire_append_publication(&bytes, &(struct wire_publication){.offset = offset, .data = SPAN_LITERAL("1")});
    payload_t *payload = payload_new(buffer_span(&bytes));
    buffer_finish(&bytes);
    return payload;
}

static inline channel_t *channel(void) {
    return channel_set_find(channels, SPAN_LITERAL("news:a"));
}

static inline void publication(const char *epoch, uint64_t offset) {
    struct epoch of = named(epoch);
    payload_t *payload = encoded(offset);
    channel_on_publication(channel(), &of, offset, payload);
    payload_unref(&payload);
    end_turn();
}

/* The oldest read that is out. */
static inline struct engine_read *take_read(void) {
    assert_true(engine.n_reads > 0);
    struct engine_read *read = engine.reads[0];
    engine.n_reads--;
    memmove(engine.reads, engine.reads + 1, engine.n_reads * sizeof engine.reads[0]);
    return read;
}

static inline void answer_read(const char *epoch, uint64_t top, uint64_t first, uint64_t last) {
    struct engine_read *read = take_read();
    payload_t *publications[512];
    uint32_t n = 0;
    for (uint64_t offset = first; first != 0 && offset <= last; offset++) {
        publications[n++] = encoded(offset);
    }
    read->top = (struct position){named(epoch), top};
    read->epoch_matches = epoch_is_empty(&read->since.epoch) || epoch_equal(&read->since.epoch, &read->top.epoch);
    read->publications = publications;
    read->n_publications = n;
    read->on_done(read, ENGINE_OK);
    for (uint32_t i = 0; i < n; i++) {
        payload_unref(&publications[i]);
    }
    end_turn();
}

static inline void fail_read(void) {
    struct engine_read *read = take_read();
    read->on_done(read, ENGINE_TEMPORARY);
    end_turn();
}

static inline void be_live(uint32_t handle, const char *epoch, uint64_t top) {
    ask(handle, 1, NULL, 0, false);
    answer_read(epoch, top, 0, 0);
    expect_answer(1, WIRE_SUBSCRIBED_HISTORY, top);
}

enum { YES = WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED, NO = WIRE_SUBSCRIBED_HISTORY };

#endif
