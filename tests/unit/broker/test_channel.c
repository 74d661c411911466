/* Channels over an engine that answers when the test says so: what subscribers get while loads are out, when something
 * is missing, and when the engine is away. */
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

static void scripted_read(engine_t *base, struct engine_read *request) {
    struct scripted *self = (struct scripted *) base;
    assert_true(self->n_reads < READS_MAX);
    self->reads[self->n_reads++] = request;
}

static void scripted_hold(engine_t *base, struct span channel, const struct namespace_options *options) {
    (void) channel;
    (void) options;
    ((struct scripted *) base)->held++;
}

static unsigned n_swept_living;

static void note_swept_living(void *context, uint32_t partition) {
    (void) context;
    (void) partition;
    n_swept_living++;
}

static void scripted_release(engine_t *base, struct span channel) {
    (void) channel;
    ((struct scripted *) base)->held--;
}

static void scripted_presence_read(engine_t *base, struct engine_presence_read *request) {
    ((struct scripted *) base)->presence_read = request;
}

static void scripted_presence_clear(engine_t *base, struct span channel, struct span client,
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

static uint64_t fake_clock(void) {
    return now_us;
}

static void take(void *context, const gateway_peer_t *from, struct buffer *batch) {
    (void) context;
    (void) from;
    assert_true(n_sent < FRAMES_MAX);
    sent[n_sent++] = *batch;
    *batch = BUFFER_EMPTY;
}

static int set_up(void **state) {
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

static int tear_down(void **state) {
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

static void end_turn(void) {
    channel_set_flush(channels);
    gateway_peer_flush(peer);
}

/* The engine tells the leases each second, whatever they are. */
static void tell_leases(void) {
    gateway_leases_update(leases, &told_lease, told_lease.number == 0 ? 0 : 1);
    told_ms = now_us / 1000;
}

static void pass_ms(uint64_t ms) {
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

static bool next_frame(struct wire_frame *ret_frame) {
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

static void expect_nothing(void) {
    struct wire_frame frame;
    if (next_frame(&frame)) {
        fail_msg("%s was sent", wire_kind_name(frame.kind));
    }
}

static struct span expect(uint8_t kind) {
    struct wire_frame frame;
    if (!next_frame(&frame)) {
        fail_msg("no %s was sent", wire_kind_name(kind));
    }
    assert_string_equal(wire_kind_name(frame.kind), wire_kind_name(kind));
    return frame.body;
}

static void expect_push(uint64_t offset) {
    struct wire_push push;
    assert_true(wire_decode_push(expect(WIRE_PUSH), &push));
    struct cursor cursor = cursor_of(push.publication);
    assert_int_equal(cursor_u64(&cursor), offset);
}

static struct wire_subscribed expect_answer(uint32_t request, uint8_t flags, uint64_t offset) {
    struct wire_subscribed answer;
    assert_true(wire_decode_subscribed(expect(WIRE_SUBSCRIBED), &answer));
    assert_int_equal(answer.request, request);
    assert_int_equal(answer.flags, flags);
    assert_int_equal(answer.offset, offset);
    return answer;
}

static void expect_error(uint32_t request, uint16_t code) {
    struct wire_error error;
    assert_true(wire_decode_error(expect(WIRE_ERROR), &error));
    assert_int_equal(error.request, request);
    assert_int_equal(error.code, code);
    assert_int_equal(error.flags, WIRE_ERROR_TEMPORARY);
}

static void expect_lost(const char *epoch, uint64_t offset) {
    struct wire_lost lost;
    assert_true(wire_decode_lost(expect(WIRE_LOST), &lost));
    assert_string_equal(lost.epoch.text, epoch);
    assert_int_equal(lost.offset, offset);
}

/* ---- what is asked and what happens ---- */

static struct epoch named(const char *epoch) {
    return epoch_from(span_of_text(epoch));
}

static struct subscription *ask(uint32_t handle, uint32_t request, const char *epoch, uint64_t since, bool own) {
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

static payload_t *encoded(uint64_t offset) {
    struct buffer bytes = BUFFER_EMPTY;
    wire_append_publication(&bytes, &(struct wire_publication){.offset = offset, .data = SPAN_LITERAL("1")});
    payload_t *payload = payload_new(buffer_span(&bytes));
    buffer_finish(&bytes);
    return payload;
}

static channel_t *channel(void) {
    return channel_set_find(channels, SPAN_LITERAL("news:a"));
}

static void publication(const char *epoch, uint64_t offset) {
    struct epoch of = named(epoch);
    payload_t *payload = encoded(offset);
    channel_on_publication(channel(), &of, offset, payload);
    payload_unref(&payload);
    end_turn();
}

/* The oldest read that is out. */
static struct engine_read *take_read(void) {
    assert_true(engine.n_reads > 0);
    struct engine_read *read = engine.reads[0];
    engine.n_reads--;
    memmove(engine.reads, engine.reads + 1, engine.n_reads * sizeof engine.reads[0]);
    return read;
}

static void answer_read(const char *epoch, uint64_t top, uint64_t first, uint64_t last) {
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

static void fail_read(void) {
    struct engine_read *read = take_read();
    read->on_done(read, ENGINE_TEMPORARY);
    end_turn();
}

static void be_live(uint32_t handle, const char *epoch, uint64_t top) {
    ask(handle, 1, NULL, 0, false);
    answer_read(epoch, top, 0, 0);
    expect_answer(1, WIRE_SUBSCRIBED_HISTORY, top);
}

enum { YES = WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED, NO = WIRE_SUBSCRIBED_HISTORY };

/* ---- tests ---- */

static void those_who_come_while_it_loads_are_answered_together(void **state) {
    (void) state;
    ask(1, 1, NULL, 0, false);
    ask(2, 2, "e", 7, false);
    ask(3, 3, "e", 9, false);
    assert_int_equal(engine.n_reads, 1);
    expect_nothing();
    assert_int_equal(engine.held, 1);
    answer_read("e", 9, 0, 0);
    expect_answer(1, NO, 9);
    expect_answer(3, YES, 9);
    assert_int_equal(engine.n_reads, 1); /* for the second alone */
    struct engine_read *read = engine.reads[0];
    assert_true(read->has_since);
    assert_int_equal(read->since.offset, 7);
    answer_read("e", 9, 8, 9);
    struct wire_subscribed answer = expect_answer(2, YES, 9);
    assert_int_equal(answer.n_publications, 2);
}

static void a_publication_during_the_load_is_in_the_answer_or_behind_it(void **state) {
    (void) state;
    ask(1, 1, "e", 3, false);
    publication("e", 9);
    publication("e", 10);
    expect_nothing();
    answer_read("e", 9, 4, 9);
    struct wire_subscribed answer = expect_answer(1, YES, 10);
    assert_int_equal(answer.n_publications, 7);
    publication("e", 11);
    expect_push(11);
}

static void a_load_that_fails_is_a_temporary_error_and_leaves_nothing(void **state) {
    (void) state;
    ask(1, 1, NULL, 0, false);
    ask(2, 2, "e", 7, false);
    fail_read();
    expect_error(1, ERROR_INTERNAL);
    expect_error(2, ERROR_INTERNAL);
    assert_null(channel());
    assert_null(gateway_peer_find(peer, 1));
    assert_int_equal(engine.held, 0);
}

static void a_hole_is_read_and_pushed_in_order(void **state) {
    (void) state;
    be_live(1, "e", 9);
    publication("e", 12);
    publication("e", 13);
    expect_nothing();
    assert_int_equal(engine.reads[0]->since.offset, 9);
    assert_true(engine.reads[0]->since_is_own);
    answer_read("e", 12, 10, 12);
    for (uint64_t offset = 10; offset <= 13; offset++) {
        expect_push(offset);
    }
    expect_nothing();
}

static void a_hole_that_was_trimmed_away_is_lost(void **state) {
    (void) state;
    be_live(1, "e", 9);
    channel_on_doubt(channel());
    end_turn();
    answer_read("e", 500, 401, 500);
    expect_lost("e", 500);
    publication("e", 501);
    expect_push(501);
}

static void another_epoch_is_lost_and_goes_on(void **state) {
    (void) state;
    be_live(1, "e", 9);
    channel_set_on_partition_doubt(channels, 0, now_us / 1000);
    channel_on_doubt(channel());
    end_turn();
    answer_read("f", 9, 0, 0);
    expect_lost("f", 9);
    publication("f", 10);
    expect_push(10);
    publication("e", 10); /* late */
    expect_nothing();
}

static void while_the_engine_is_away_the_tail_says_yes_and_nothing_says_no(void **state) {
    (void) state;
    be_live(1, "e", 9);
    publication("e", 10);
    expect_push(10);
    channel_on_doubt(channel());
    end_turn();
    ask(2, 2, "e", 9, false);
    expect_answer(2, YES, 10);
    ask(3, 3, "e", 4, false);
    ask(4, 4, "x", 1, false);
    expect_nothing();
    fail_read();
    expect_error(3, ERROR_INTERNAL);
    expect_error(4, ERROR_INTERNAL);
    assert_int_equal(engine.n_reads, 0);
    pass_ms(500);
    assert_int_equal(engine.n_reads, 1); /* it tries again */
    answer_read("e", 11, 11, 11);
    expect_push(11);
    expect_push(11); /* both handles */
}

static void at_most_so_many_loads_are_out(void **state) {
    (void) state;
    const char *names[] = {"news:1", "news:2", "news:3", "news:4"};
    for (uint32_t i = 0; i < 4; i++) {
        struct subscription *subscription = gateway_peer_subscribe(peer, i);
        channel_link(channels, span_of_text(names[i]), &options, subscription);
        channel_ask(subscription, &(struct subscription_question){.request = i + 1});
    }
    end_turn();
    assert_int_equal(engine.n_reads, 2);
    answer_read("e", 1, 0, 0);
    assert_int_equal(engine.n_reads, 2);
    answer_read("e", 1, 0, 0);
    answer_read("e", 1, 0, 0);
    answer_read("e", 1, 0, 0);
    assert_int_equal(engine.n_reads, 0);
}

static void what_one_load_brought_serves_the_next_who_ask(void **state) {
    (void) state;
    be_live(1, "e", 20);
    ask(2, 2, "e", 15, false);
    answer_read("e", 20, 16, 20);
    expect_answer(2, YES, 20);
    ask(3, 3, "e", 16, false);
    assert_int_equal(engine.n_reads, 0);
    struct wire_subscribed answer = expect_answer(3, YES, 20);
    assert_int_equal(answer.n_publications, 4);
}

static void a_worker_that_knows_more_is_evidence_and_a_client_is_not(void **state) {
    (void) state;
    be_live(1, "e", 9);
    ask(2, 2, "e", 12, false);
    assert_false(engine.reads[0]->since_is_own);
    answer_read("e", 9, 0, 0);
    expect_answer(2, NO, 9);
    ask(3, 3, "e", 12, true);
    assert_true(engine.reads[0]->since_is_own);
    assert_int_equal(engine.reads[0]->since.offset, 12);
    answer_read("f", 9, 0, 0); /* the engine broke the channel */
    expect_lost("f", 9);
    expect_lost("f", 9);
    expect_answer(3, NO, 9);
}

static void the_newer_of_two_questions_on_a_handle_counts(void **state) {
    (void) state;
    ask(1, 1, NULL, 0, false);
    ask(1, 2, NULL, 0, false);
    expect_error(1, ERROR_INTERNAL);
    answer_read("e", 9, 0, 0);
    expect_answer(2, NO, 9);
    expect_nothing();
}

static void an_idle_channel_keeps_its_tail_and_goes_after_its_time(void **state) {
    (void) state;
    be_live(1, "e", 9);
    publication("e", 10);
    expect_push(10);
    struct subscription *subscription = gateway_peer_find(peer, 1);
    channel_unlink(subscription);
    gateway_peer_unsubscribe(&subscription);
    assert_int_equal(channel_phase_of(channel()), CHANNEL_IDLE);
    publication("e", 11);
    ask(2, 2, "e", 9, false);
    expect_answer(2, YES, 11);
    subscription = gateway_peer_find(peer, 2);
    channel_unlink(subscription);
    gateway_peer_unsubscribe(&subscription);
    pass_ms(59000);
    assert_non_null(channel());
    pass_ms(3000);
    assert_null(channel());
    assert_int_equal(engine.held, 0);
}

static void an_own_publication_starts_a_tail_before_anybody_subscribes(void **state) {
    (void) state;
    channel_set_expect(channels, SPAN_LITERAL("news:a"), &options);
    publication("e", 5);
    assert_int_equal(channel_phase_of(channel()), CHANNEL_IDLE);
    ask(1, 1, "e", 4, false);
    expect_answer(1, YES, 5);
    assert_int_equal(engine.n_reads, 0);
}

/* The tail of another channel takes all the room, and then has itself too little. */
static void fill_tails(void) {
    static const struct epoch epoch = {"f"};
    static uint8_t data[200000];
    channel_set_expect(channels, SPAN_LITERAL("news:b"), &options);
    channel_t *other = channel_set_find(channels, SPAN_LITERAL("news:b"));
    for (uint64_t offset = 1; offset <= 6; offset++) {
        struct buffer bytes = BUFFER_EMPTY;
        wire_append_publication(&bytes,
                                &(struct wire_publication){.offset = offset, .data = span_of(data, sizeof data)});
        payload_t *payload = payload_new(buffer_span(&bytes));
        buffer_finish(&bytes);
        channel_on_publication(other, &epoch, offset, payload);
        payload_unref(&payload);
    }
}

static void a_tail_not_used_for_longest_makes_room_and_then_the_history_is_read(void **state) {
    (void) state;
    be_live(1, "e", 5);
    publication("e", 6);
    expect_push(6);
    ask(2, 2, "e", 5, false);
    assert_int_equal(expect_answer(2, YES, 6).n_publications, 1);
    fill_tails();
    ask(3, 3, "e", 5, false);
    expect_nothing();
    answer_read("e", 6, 6, 6);
    assert_int_equal(expect_answer(3, YES, 6).n_publications, 1);
    struct buffer text = BUFFER_EMPTY;
    pass_ms(100);
    metrics_render(metrics, &text);
    buffer_append_u8(&text, 0);
    assert_non_null(strstr((const char *) text.data, "\ncallboard_broker_tails_given_up_total 2\n"));
    buffer_finish(&text);
    assert_true(channel_read_tail(channel(), &(struct position){named("e"), 5}, 10, 1000, &text, &(uint32_t){0}));
    buffer_finish(&text);
}

static void an_expected_publication_that_never_comes_is_forgotten(void **state) {
    (void) state;
    channel_set_expect(channels, SPAN_LITERAL("news:a"), &options);
    pass_ms(6000);
    assert_null(channel());
    assert_int_equal(engine.held, 0);
}

static void without_history_it_goes_on_while_the_engine_is_away(void **state) {
    (void) state;
    options.history_size = 0;
    ask(1, 1, NULL, 0, false);
    fail_read();
    expect_answer(1, 0, 0);
    publication("", 0);
    expect_push(0);
}

static void everybody_left_while_a_load_is_out(void **state) {
    (void) state;
    ask(1, 1, NULL, 0, false);
    struct subscription *subscription = gateway_peer_find(peer, 1);
    channel_unlink(subscription);
    gateway_peer_unsubscribe(&subscription);
    assert_non_null(channel());
    answer_read("e", 9, 0, 0);
    expect_nothing();
    assert_int_equal(channel_phase_of(channel()), CHANNEL_IDLE);
}

static void a_reply_larger_than_its_bytes_is_paged_for_a_worker_and_refused_for_a_client(void **state) {
    (void) state;
    struct buffer one = BUFFER_EMPTY;
    wire_append_publication(&one, &(struct wire_publication){.offset = 1, .data = SPAN_LITERAL("1")});
    config.recovery_bytes_max = (int64_t) (3 * one.size);
    buffer_finish(&one);
    be_live(1, "e", 0);
    for (uint64_t offset = 1; offset <= 8; offset++) {
        publication("e", offset);
        expect_push(offset);
    }
    ask(2, 2, "e", 0, false);
    expect_answer(2, NO, 8);
    ask(3, 3, "e", 0, true);
    expect_answer(3, YES | WIRE_SUBSCRIBED_MORE, 3);
    ask(3, 4, "e", 3, true);
    expect_answer(4, YES | WIRE_SUBSCRIBED_MORE, 6);
    ask(3, 5, "e", 6, true);
    expect_answer(5, YES, 8);
}

static void who_missed_more_publications_than_are_given_is_refused_and_a_worker_is_given_pages(void **state) {
    (void) state;
    config.recovery_publications_max = 3;
    be_live(1, "e", 0);
    for (uint64_t offset = 1; offset <= 5; offset++) {
        publication("e", offset);
        expect_push(offset);
    }
    ask(2, 2, "e", 2, false);
    assert_int_equal(expect_answer(2, YES, 5).n_publications, 3);
    ask(3, 3, "e", 1, false);
    expect_answer(3, NO, 5);
    ask(4, 4, "e", 1, true);
    expect_answer(4, YES | WIRE_SUBSCRIBED_MORE, 4);
    ask(4, 5, "e", 4, true);
    expect_answer(5, YES, 5);
    assert_int_equal(metrics_read(metrics, "callboard_broker_recoveries_total", "result=\"no\""), 1);
}

static void members_are_swept_only_when_a_fresh_load_still_says_dead(void **state) {
    (void) state;
    options.presence = true;
    options.join_leave = true;
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info,
                            &(struct wire_client_info){.client = SPAN_LITERAL("c1"), .user = SPAN_LITERAL("ann")});
    struct engine_presence_entry entry = {
        .info = buffer_span(&info), .gateway_id = SPAN_LITERAL("g9"), .lease_number = 4};
    ask(1, 1, NULL, 0, false);
    answer_read("e", 0, 0, 0);
    expect_answer(1, NO, 0);
    struct engine_presence_read *read = engine.presence_read;
    engine.presence_read = NULL;
    read->n_entries = 1;
    read->entries = &entry;
    read->on_done(read, ENGINE_OK);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 1);
    expect_nothing(); /* the first load is no news */

    tells_leases = true; /* its gateway is dead */
    tell_leases();
    channel_set_on_leases_changed(channels, now_us / 1000);
    pass_ms(7000);
    assert_non_null(engine.presence_read);
    assert_string_equal(engine.cleared, "");
    read = engine.presence_read;
    read->n_entries = 1;
    read->entries = &entry;
    read->on_done(read, ENGINE_OK);
    assert_string_equal(engine.cleared, "c1@g9.4");
    assert_int_equal(n_swept_living, 0);
    channel_on_presence(channel(), false, &entry, now_us / 1000);
    struct wire_leave leave;
    assert_true(wire_decode_leave(expect(WIRE_LEAVE), &leave));
    channel_on_presence(channel(), false, &entry, now_us / 1000);
    expect_nothing();
    buffer_finish(&info);
}

/* A set that waited under the gateway's former lease overtook the one under the new lease. */
static void a_living_gateway_is_asked_again_for_a_member_that_is_swept_under_its_former_lease(void **state) {
    (void) state;
    options.presence = true;
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.client = SPAN_LITERAL("c1")});
    struct engine_presence_entry entry = {
        .info = buffer_span(&info), .gateway_id = SPAN_LITERAL("g9"), .lease_number = 4};
    ask(1, 1, NULL, 0, false);
    answer_read("e", 0, 0, 0);
    expect_answer(1, NO, 0);
    for (int i = 0; i < 2; i++) { /* the first load, and the one before the sweep */
        struct engine_presence_read *read = engine.presence_read;
        assert_non_null(read);
        engine.presence_read = NULL;
        read->n_entries = 1;
        read->entries = &entry;
        read->on_done(read, ENGINE_OK);
        assert_int_equal(n_swept_living, i);
        told_lease = (struct engine_lease){.gateway_id = SPAN_LITERAL("g9"), .number = 5};
        tells_leases = true;
        tell_leases();
        channel_set_on_leases_changed(channels, now_us / 1000);
        pass_ms(7000);
    }
    assert_string_equal(engine.cleared, "c1@g9.4");
    buffer_finish(&info);
}

static void answer_presence(uint64_t cursor, const char *client, uint64_t next);

/* Of gateway g1, which lives. */
static void hold_with_presence(void) {
    options.presence = true;
    told_lease = (struct engine_lease){.gateway_id = SPAN_LITERAL("g1"), .number = 1};
    tells_leases = true;
    tell_leases();
    ask(1, 1, NULL, 0, false);
    answer_read("e", 0, 0, 0);
    expect_answer(1, NO, 0);
}

static void members_whose_changes_were_missed_are_read_again(void **state) {
    (void) state;
    hold_with_presence();
    answer_presence(0, "c1", 0);
    pass_ms(60000);
    assert_null(engine.presence_read); /* nobody asks while nothing is in doubt */
    channel_set_on_presence_doubt(channels, partition_of(channel_name(channel()), (uint32_t) config.partitions),
                                  now_us / 1000);
    assert_null(engine.presence_read); /* not at once: holes come when the network is slow */
    pass_ms(2000);
    answer_presence(0, "c2", 0);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 2); /* c1 has its grace */
    pass_ms(3 * PRESENCE_GRACE_MS);
    answer_presence(0, "c2", 0);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 1);
}

static void fail_presence(enum engine_outcome outcome) {
    struct engine_presence_read *read = engine.presence_read;
    assert_non_null(read);
    engine.presence_read = NULL;
    read->on_done(read, outcome);
}

static void members_that_could_not_be_read_now_are_read_a_second_later(void **state) {
    (void) state;
    hold_with_presence();
    answer_presence(0, "c1", 0);
    pass_ms(60000);
    channel_set_on_partition_doubt(channels, partition_of(channel_name(channel()), (uint32_t) config.partitions),
                                   now_us / 1000);
    fail_presence(ENGINE_TEMPORARY);
    assert_null(engine.presence_read);
    pass_ms(2000);
    answer_presence(0, "c1", 0);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 1);
}

/* The page that is asked for brings one member. */
static void answer_presence(uint64_t cursor, const char *client, uint64_t next) {
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.client = span_of_text(client)});
    struct engine_presence_entry entry = {
        .info = buffer_span(&info), .gateway_id = SPAN_LITERAL("g1"), .lease_number = 1};
    struct engine_presence_read *read = engine.presence_read;
    assert_non_null(read);
    assert_int_equal(read->cursor, cursor);
    engine.presence_read = NULL;
    read->n_entries = 1;
    read->entries = &entry;
    read->next = next;
    read->on_done(read, ENGINE_OK);
    buffer_finish(&info);
}

static void what_was_removed_is_not_given_from_the_tail(void **state) {
    (void) state;
    be_live(1, "e", 5);
    publication("e", 6);
    expect_push(6);
    publication("e", 7);
    expect_push(7);
    struct position top = {named("e"), 6};
    channel_on_removed(channel(), &top);
    ask(2, 2, "e", 6, false);
    assert_int_equal(expect_answer(2, YES, 7).n_publications, 1);
    struct position other = {named("f"), 7};
    channel_on_removed(channel(), &other);
    ask(3, 3, "e", 6, false);
    assert_int_equal(expect_answer(3, YES, 7).n_publications, 1);
    size_t n_reads = engine.n_reads;
    ask(3, 4, "e", 5, false); /* only the engine can say that it is gone */
    expect_nothing();
    assert_int_equal(engine.n_reads, n_reads + 1);
}

static void members_are_loaded_page_by_page_and_anew_after_a_doubt(void **state) {
    (void) state;
    options.presence = true;
    told_lease = (struct engine_lease){.gateway_id = SPAN_LITERAL("g1"), .number = 1};
    tells_leases = true;
    tell_leases();
    ask(1, 1, NULL, 0, false);
    answer_presence(0, "c1", 41);
    assert_null(channel_presence(channel()));
    channel_set_on_partition_doubt(channels, partition_of(SPAN_LITERAL("news:a"), 256), now_us / 1000);
    answer_presence(41, "c2", 42);
    answer_presence(42, "c3", 0);
    answer_presence(0, "c1", 0); /* what was read first may not be true any more */
    assert_non_null(channel_presence(channel()));
    assert_null(engine.presence_read);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 3); /* c2 and c3 have their grace */
    pass_ms(4500); /* with a load behind it, that is the 5 s in which who is gone is seen to be */
    answer_presence(0, "c1", 0);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(those_who_come_while_it_loads_are_answered_together),
        TEST(a_publication_during_the_load_is_in_the_answer_or_behind_it),
        TEST(a_load_that_fails_is_a_temporary_error_and_leaves_nothing),
        TEST(a_hole_is_read_and_pushed_in_order),
        TEST(a_hole_that_was_trimmed_away_is_lost),
        TEST(another_epoch_is_lost_and_goes_on),
        TEST(while_the_engine_is_away_the_tail_says_yes_and_nothing_says_no),
        TEST(at_most_so_many_loads_are_out),
        TEST(what_one_load_brought_serves_the_next_who_ask),
        TEST(a_worker_that_knows_more_is_evidence_and_a_client_is_not),
        TEST(the_newer_of_two_questions_on_a_handle_counts),
        TEST(an_idle_channel_keeps_its_tail_and_goes_after_its_time),
        TEST(an_own_publication_starts_a_tail_before_anybody_subscribes),
        TEST(a_tail_not_used_for_longest_makes_room_and_then_the_history_is_read),
        TEST(an_expected_publication_that_never_comes_is_forgotten),
        TEST(without_history_it_goes_on_while_the_engine_is_away),
        TEST(everybody_left_while_a_load_is_out),
        TEST(a_reply_larger_than_its_bytes_is_paged_for_a_worker_and_refused_for_a_client),
        TEST(who_missed_more_publications_than_are_given_is_refused_and_a_worker_is_given_pages),
        TEST(what_was_removed_is_not_given_from_the_tail),
        TEST(members_are_loaded_page_by_page_and_anew_after_a_doubt),
        TEST(members_are_swept_only_when_a_fresh_load_still_says_dead),
        TEST(a_living_gateway_is_asked_again_for_a_member_that_is_swept_under_its_former_lease),
        TEST(members_whose_changes_were_missed_are_read_again),
        TEST(members_that_could_not_be_read_now_are_read_a_second_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
