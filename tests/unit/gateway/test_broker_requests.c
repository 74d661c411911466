/* Links and requests against a scripted broker over inproc: greeting, routing, answers, deadlines, losses, credit. */
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

static void on_done(struct broker_request *request, const struct broker_answer *answer) {
    struct asked *asked = (struct asked *) (void *) request;
    asked->n_done++;
    asked->answer = *answer;
    assert_true(answer->bytes.size < sizeof asked->bytes);
    memcpy(asked->bytes, answer->bytes.data == NULL ? (const uint8_t *) "" : answer->bytes.data, answer->bytes.size);
}

static struct asked fresh(void) {
    return (struct asked){.request = {.on_done = on_done}};
}

static void turn_brokers(void) {
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

static wire_broker_t *new_broker(const char *endpoint, const char *id, enum wire_mode mode, uint32_t credit_frames) {
    return wire_broker_new(&(struct wire_broker_settings){.zmq_context = bench.zmq_context,
                                                          .endpoint = endpoint,
                                                          .id = id,
                                                          .shards = 2,
                                                          .mode = mode,
                                                          .credit_frames = credit_frames,
                                                          .turn = gateway_bench_turn,
                                                          .context = &bench});
}

static int set_up(void **state) {
    (void) state;
    gateway_bench_init(&bench);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    wire_broker_destroy(&brokers[0]);
    wire_broker_destroy(&brokers[1]);
    gateway_bench_finish(&bench);
    return 0;
}

static void start_with_one_broker(void) {
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_REDIS, 0);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_start(&bench);
    wire_broker_await_link(brokers[0]);
}

static size_t alive(void) {
    struct broker_summary summary;
    broker_requests_summary(bench.requests, &summary);
    return summary.brokers_alive;
}

static void publish(struct asked *asked, const char *channel, const char *data) {
    broker_publish(bench.requests, &asked->request,
                   &(struct broker_publication){
                       .channel = span_of_text(channel), .key = SPAN_LITERAL("key"), .data = span_of_text(data)});
}

static struct wire_publish expect_publish(wire_broker_t *broker, uint16_t *ret_shard) {
    struct wire_publish frame;
    assert_true(wire_decode_publish(wire_broker_expect(broker, WIRE_PUBLISH, ret_shard).body, &frame));
    return frame;
}

static void answer_published(wire_broker_t *broker, uint16_t shard, uint32_t request, uint64_t offset) {
    wire_encode_published(wire_broker_batch(broker),
                          &(struct wire_published){.request = request, .epoch = {"e"}, .offset = offset});
    wire_broker_send(broker, shard, 1);
}

static void a_link_becomes_live_and_the_mode_is_told(void **state) {
    (void) state;
    start_with_one_broker();
    assert_int_equal(alive(), 1);
    assert_int_equal(bench.mode, WIRE_MODE_REDIS);
    assert_int_equal(bench.n_mode_changes, 1);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_gateway_brokers_alive", NULL), 1);
}

static void a_publish_is_answered_with_its_position(void **state) {
    (void) state;
    start_with_one_broker();
    struct asked asked = fresh();
    publish(&asked, "news", "{}");
    assert_int_equal(asked.n_done, 0);
    uint16_t shard;
    struct wire_publish frame = expect_publish(brokers[0], &shard);
    assert_int_equal(shard, partition_shard(partition_of(SPAN_LITERAL("news"), 256), 256, 2));
    assert_true(span_equal_text(frame.channel, "news") && span_equal_text(frame.data, "{}"));
    assert_true(span_equal_text(frame.key, "key"));
    assert_int_equal(frame.deadline_ms, 2000);
    answer_published(brokers[0], shard, frame.request, 17);
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.answer.error, ERROR_NONE);
    assert_int_equal(asked.answer.position.offset, 17);
    assert_string_equal(asked.answer.position.epoch.text, "e");
    assert_false(asked.answer.duplicate);
}

static void a_history_is_answered_with_its_publications(void **state) {
    (void) state;
    start_with_one_broker();
    struct asked asked = fresh();
    struct position since = {{"e"}, 3};
    broker_history(bench.requests, &asked.request, SPAN_LITERAL("news"), true, &since, 10, true);
    uint16_t shard;
    struct wire_history frame;
    assert_true(wire_decode_history(wire_broker_expect(brokers[0], WIRE_HISTORY, &shard).body, &frame));
    assert_int_equal(frame.flags, WIRE_HISTORY_SINCE | WIRE_HISTORY_REVERSE);
    assert_int_equal(frame.since_offset, 3);
    assert_int_equal(frame.limit, 10);
    wire_encode_result(wire_broker_batch(brokers[0]), &(struct wire_result){.request = frame.request,
                                                                            .of = WIRE_HISTORY,
                                                                            .epoch = {"e"},
                                                                            .offset = 9,
                                                                            .n = 2,
                                                                            .bytes = SPAN_LITERAL("two")});
    wire_broker_send(brokers[0], shard, 1);
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.answer.n, 2);
    assert_string_equal(asked.bytes, "two");
}

static void an_error_is_handed_on_by_its_code(void **state) {
    (void) state;
    static const struct {
        uint16_t code;
        uint8_t flags;
        enum error_code expected;
    } rows[] = {{ERROR_KEY_REUSED, 0, ERROR_KEY_REUSED},
                {ERROR_TOO_MANY_REQUESTS, WIRE_ERROR_TEMPORARY, ERROR_TOO_MANY_REQUESTS},
                {ERROR_INTERNAL, WIRE_ERROR_UNKNOWN_OUTCOME, ERROR_OUTCOME_UNKNOWN},
                {9999, 0, ERROR_INTERNAL}};
    start_with_one_broker();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct asked asked = fresh();
        publish(&asked, "news", "{}");
        uint16_t shard;
        struct wire_publish frame = expect_publish(brokers[0], &shard);
        wire_encode_error(wire_broker_batch(brokers[0]),
                          &(struct wire_error){.request = frame.request, .code = rows[i].code, .flags = rows[i].flags});
        wire_broker_send(brokers[0], shard, 1);
        AWAIT(asked.n_done == 1);
        assert_int_equal(asked.answer.error, rows[i].expected);
    }
}

static void without_a_broker_a_request_waits_for_one(void **state) {
    (void) state;
    gateway_bench_add_endpoint(&bench, "inproc://a");
    bench.config.request_timeout_ms = DEADLINE_MS;
    gateway_bench_start(&bench);
    struct asked first = fresh(), second = fresh();
    publish(&first, "news", "1");
    publish(&second, "news", "2");
    gateway_bench_turn(&bench);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_gateway_requests_waiting", NULL), 2);
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_REDIS, 0);
    uint16_t shard;
    struct wire_publish frame = expect_publish(brokers[0], &shard);
    assert_true(span_equal_text(frame.data, "1")); /* in order */
    answer_published(brokers[0], shard, frame.request, 1);
    frame = expect_publish(brokers[0], &shard);
    assert_true(span_equal_text(frame.data, "2"));
    answer_published(brokers[0], shard, frame.request, 2);
    AWAIT(first.n_done == 1 && second.n_done == 1);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_gateway_requests_waiting", NULL), 0);
}

static void without_a_broker_a_request_ends_definite_at_its_deadline(void **state) {
    (void) state;
    gateway_bench_add_endpoint(&bench, "inproc://nobody");
    bench.config.request_timeout_ms = 50;
    gateway_bench_start(&bench);
    struct asked asked = fresh();
    publish(&asked, "news", "1");
    assert_int_equal(asked.n_done, 0);
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.answer.error, ERROR_INTERNAL);
}

static void more_than_the_bound_of_waiting_requests_are_refused_but_not_inside_the_call(void **state) {
    (void) state;
    enum { BOUND = 4096 };
    static struct asked asked[BOUND + 1];
    gateway_bench_add_endpoint(&bench, "inproc://nobody");
    bench.config.request_timeout_ms = DEADLINE_MS;
    gateway_bench_start(&bench);
    for (size_t i = 0; i <= BOUND; i++) {
        asked[i] = fresh();
        publish(&asked[i], "news", "1");
    }
    assert_int_equal(asked[BOUND].n_done, 0);
    AWAIT(asked[BOUND].n_done == 1);
    assert_int_equal(asked[BOUND].answer.error, ERROR_TOO_MANY_REQUESTS);
    assert_int_equal(asked[BOUND - 1].n_done, 0);
    for (size_t i = 0; i < BOUND; i++) {
        broker_request_cancel(bench.requests, &asked[i].request);
    }
}

static void too_large_a_publication_is_refused(void **state) {
    (void) state;
    start_with_one_broker();
    static char data[WIRE_FRAME_MAX];
    struct asked asked = fresh();
    broker_publish(bench.requests, &asked.request,
                   &(struct broker_publication){.channel = SPAN_LITERAL("news"), .data = span_of(data, sizeof data)});
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.answer.error, ERROR_TOO_LARGE);
}

static void an_unanswered_publish_ends_unknown_and_an_unanswered_read_with_100(void **state) {
    (void) state;
    bench.config.request_timeout_ms = 100;
    start_with_one_broker();
    struct asked write = fresh(), read = fresh();
    publish(&write, "news", "1");
    broker_presence(bench.requests, &read.request, SPAN_LITERAL("news"));
    struct wire_publish frame = expect_publish(brokers[0], NULL);
    uint32_t id = frame.request;
    uint16_t shard;
    wire_broker_expect(brokers[0], WIRE_PRESENCE, &shard);
    AWAIT(write.n_done == 1 && read.n_done == 1);
    assert_int_equal(write.answer.error, ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(read.answer.error, ERROR_INTERNAL);
    /* The answer comes after all: dropped and counted. */
    answer_published(brokers[0], shard, id, 3);
    AWAIT(gateway_bench_metric(&bench, "callboard_gateway_late_answers_total", NULL) == 1);
    assert_int_equal(write.n_done, 1);
}

/* A broker refuses at the deadline it was told: its answer cannot come before that. */
static void a_definite_no_at_the_deadline_is_not_turned_into_unknown(void **state) {
    (void) state;
    bench.config.request_timeout_ms = 100;
    start_with_one_broker();
    struct asked asked = fresh();
    publish(&asked, "news", "1");
    uint16_t shard;
    uint32_t id = expect_publish(brokers[0], &shard).request;
    uint64_t told_at_ms = clock_monotonic_ms() + 130;
    AWAIT(clock_monotonic_ms() >= told_at_ms);
    assert_int_equal(asked.n_done, 0);
    wire_encode_error(wire_broker_batch(brokers[0]),
                      &(struct wire_error){.request = id, .code = ERROR_INTERNAL, .flags = WIRE_ERROR_TEMPORARY});
    wire_broker_send(brokers[0], shard, 1);
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.answer.error, ERROR_INTERNAL);
}

static void a_lost_link_ends_what_was_sent_as_unknown(void **state) {
    (void) state;
    bench.config.request_timeout_ms = DEADLINE_MS;
    start_with_one_broker();
    struct asked write = fresh(), read = fresh();
    publish(&write, "news", "1");
    broker_presence_stats(bench.requests, &read.request, SPAN_LITERAL("news"));
    expect_publish(brokers[0], NULL);
    wire_broker_set_greeting(brokers[0], false);
    wire_encode_reset(wire_broker_batch(brokers[0]), &(struct wire_reset){.reason = WIRE_RESET_UNKNOWN_LINK});
    wire_broker_send(brokers[0], WIRE_SHARD_SWITCHBOARD, 1);
    AWAIT(write.n_done == 1 && read.n_done == 1);
    assert_int_equal(write.answer.error, ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(read.answer.error, ERROR_INTERNAL);
    assert_int_equal(alive(), 0);
    assert_int_equal(bench.mode, 0);
}

static void after_a_reset_the_worker_says_hello_anew(void **state) {
    (void) state;
    start_with_one_broker();
    wire_encode_reset(wire_broker_batch(brokers[0]), &(struct wire_reset){.reason = WIRE_RESET_UNKNOWN_LINK});
    wire_broker_send(brokers[0], WIRE_SHARD_SWITCHBOARD, 1);
    AWAIT(wire_broker_hellos(brokers[0]) == 2 && alive() == 1);
    struct asked asked = fresh();
    publish(&asked, "news", "{}");
    expect_publish(brokers[0], NULL);
    broker_request_cancel(bench.requests, &asked.request);
}

static void a_shard_that_answers_no_beats_loses_the_link(void **state) {
    (void) state;
    bench.config.heartbeat_ms = 20;
    bench.config.heartbeat_timeout_ms = 60;
    start_with_one_broker();
    wire_broker_set_beating(brokers[0], false);
    AWAIT(gateway_bench_metric(&bench, "callboard_gateway_links_lost_total", "reason=\"heartbeat\"") == 1);
    wire_broker_set_beating(brokers[0], true);
    AWAIT(wire_broker_hellos(brokers[0]) >= 2 && alive() == 1);
}

static void a_hole_in_the_batches_resets_the_link(void **state) {
    (void) state;
    start_with_one_broker();
    wire_encode_lagging(wire_broker_batch(brokers[0]), &(struct wire_lagging){1});
    wire_broker_send_with_hole(brokers[0], 0, 1);
    AWAIT(wire_broker_reset_reason(brokers[0]) == WIRE_RESET_HOLE);
    AWAIT(wire_broker_hellos(brokers[0]) == 2 && alive() == 1);
}

static void a_frame_that_does_not_belong_here_resets_the_link(void **state) {
    (void) state;
    start_with_one_broker();
    wire_encode_publish(wire_broker_batch(brokers[0]), &(struct wire_publish){.request = 1});
    wire_broker_send(brokers[0], 0, 1);
    AWAIT(wire_broker_reset_reason(brokers[0]) == WIRE_RESET_BAD_FRAME);
}

static void an_unknown_frame_is_skipped_where_it_says_so(void **state) {
    (void) state;
    start_with_one_broker();
    static const uint8_t skip[] = {200, WIRE_FRAME_SKIP, 0, 0, 1, 0, 0, 0, 5};
    static const uint8_t close[] = {200, 0, 0, 0, 1, 0, 0, 0, 5};
    buffer_append(wire_broker_batch(brokers[0]), skip, sizeof skip);
    wire_broker_send(brokers[0], 0, 1);
    AWAIT(gateway_bench_metric(&bench, "callboard_gateway_link_frames_skipped_total", NULL) == 1);
    assert_int_equal(wire_broker_reset_reason(brokers[0]), 0);
    buffer_append(wire_broker_batch(brokers[0]), close, sizeof close);
    wire_broker_send(brokers[0], 0, 1);
    AWAIT(wire_broker_reset_reason(brokers[0]) == WIRE_RESET_BAD_FRAME);
}

static void a_message_for_a_stream_elsewhere_is_asked_of_the_broker(void **state) {
    (void) state;
    start_with_one_broker();
    for (uint32_t found = 0; found < 2; found++) {
        struct asked asked = fresh();
        broker_emulate(bench.requests, &asked.request, SPAN_LITERAL("gateway-2"), 3, SPAN_LITERAL("03-x"),
                       SPAN_LITERAL("{}"));
        uint16_t shard;
        struct wire_frame frame = wire_broker_expect(brokers[0], WIRE_EMULATE, &shard);
        struct wire_emulate emulate;
        assert_int_equal(frame.flags, WIRE_FRAME_SKIP); /* a broker of before does not mind */
        assert_true(wire_decode_emulate(frame.body, &emulate));
        assert_int_equal(emulate.worker, 3);
        assert_true(span_equal_text(emulate.node, "gateway-2"));
        assert_true(span_equal_text(emulate.session, "03-x"));
        assert_true(span_equal_text(emulate.data, "{}"));
        wire_encode_result(wire_broker_batch(brokers[0]),
                           &(struct wire_result){.request = emulate.request, .of = WIRE_EMULATE, .n = found});
        wire_broker_send(brokers[0], shard, 1);
        AWAIT(asked.n_done == 1);
        assert_int_equal(asked.answer.error, ERROR_NONE);
        assert_int_equal(asked.answer.n, found);
    }
}

static void a_message_for_a_stream_elsewhere_without_an_answer_may_have_arrived(void **state) {
    (void) state;
    bench.config.request_timeout_ms = 200;
    start_with_one_broker();
    struct asked asked = fresh();
    broker_emulate(bench.requests, &asked.request, SPAN_LITERAL("gateway-2"), 3, SPAN_LITERAL("03-x"),
                   SPAN_LITERAL("{}"));
    wire_broker_expect(brokers[0], WIRE_EMULATE, NULL);
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.answer.error, ERROR_OUTCOME_UNKNOWN);
}

static void a_message_from_elsewhere_is_delivered_and_answered(void **state) {
    (void) state;
    start_with_one_broker();
    static const char *const sessions[] = {"00-gone", "00-here"};
    for (uint32_t i = 0; i < 2; i++) {
        wire_encode_deliver(wire_broker_batch(brokers[0]), &(struct wire_deliver){.origin = 70 + i,
                                                                                  .request = 5,
                                                                                  .session = span_of_text(sessions[i]),
                                                                                  .data = SPAN_LITERAL("12345")});
        wire_broker_send(brokers[0], 1, 1);
        uint16_t shard;
        struct wire_frame frame = wire_broker_expect(brokers[0], WIRE_DELIVERED, &shard);
        struct wire_delivered delivered;
        assert_true(wire_decode_delivered(frame.body, &delivered));
        assert_int_equal(shard, 1);
        assert_int_equal(frame.flags, WIRE_FRAME_SKIP);
        assert_int_equal(delivered.origin, 70 + i);
        assert_int_equal(delivered.request, 5);
        assert_int_equal(delivered.found, i);
    }
    assert_int_equal(bench.n_emulated_bytes, 10);
}

static void a_second_broker_beside_one_in_memory_is_refused(void **state) {
    (void) state;
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_MEMORY, 0);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_add_endpoint(&bench, "inproc://b");
    gateway_bench_start(&bench);
    wire_broker_await_link(brokers[0]);
    assert_int_equal(bench.mode, WIRE_MODE_MEMORY);
    brokers[1] = new_broker("inproc://b", "broker-b", WIRE_MODE_MEMORY, 0);
    AWAIT(wire_broker_reset_reason(brokers[1]) == WIRE_RESET_MODE);
    assert_int_equal(alive(), 1);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_gateway_brokers_refused_total", NULL), 1);
}

static void two_brokers_share_the_channels_and_the_survivor_takes_all(void **state) {
    (void) state;
    bench.config.request_timeout_ms = DEADLINE_MS;
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_REDIS, 0);
    brokers[1] = new_broker("inproc://b", "broker-b", WIRE_MODE_REDIS, 0);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_add_endpoint(&bench, "inproc://b");
    gateway_bench_start(&bench);
    AWAIT(alive() == 2);
    const char *ids[] = {"broker-a", "broker-b"};
    for (int i = 0; i < 20; i++) {
        char channel[32];
        snprintf(channel, sizeof channel, "channel-%d", i);
        uint32_t partition = partition_of(span_of_text(channel), 256);
        size_t expected =
            partition_rank(partition, span_of_text(ids[0])) < partition_rank(partition, span_of_text(ids[1]));
        struct asked asked = fresh();
        publish(&asked, channel, "{}");
        AWAIT(wire_broker_has_frame(brokers[expected]));
        struct wire_publish frame = expect_publish(brokers[expected], NULL);
        assert_true(span_equal_text(frame.channel, channel));
        broker_request_cancel(bench.requests, &asked.request);
    }
    wire_broker_set_greeting(brokers[0], false);
    wire_encode_reset(wire_broker_batch(brokers[0]), &(struct wire_reset){.reason = WIRE_RESET_OVERFLOW});
    wire_broker_send(brokers[0], WIRE_SHARD_SWITCHBOARD, 1);
    AWAIT(alive() == 1);
    for (int i = 0; i < 20; i++) {
        char channel[32];
        snprintf(channel, sizeof channel, "channel-%d", i);
        struct asked asked = fresh();
        publish(&asked, channel, "{}");
        assert_true(span_equal_text(expect_publish(brokers[1], NULL).channel, channel));
        broker_request_cancel(bench.requests, &asked.request);
    }
}

static void a_draining_broker_gets_no_new_requests(void **state) {
    (void) state;
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_REDIS, 0);
    brokers[1] = new_broker("inproc://b", "broker-b", WIRE_MODE_REDIS, 0);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_add_endpoint(&bench, "inproc://b");
    gateway_bench_start(&bench);
    AWAIT(alive() == 2);
    wire_encode_drain(wire_broker_batch(brokers[0]), &(struct wire_drain){.within_ms = 5000});
    wire_broker_send(brokers[0], WIRE_SHARD_SWITCHBOARD, 1);
    for (int i = 0; i < 10; i++) {
        turn_brokers();
    }
    for (int i = 0; i < 20; i++) {
        char channel[32];
        snprintf(channel, sizeof channel, "channel-%d", i);
        struct asked asked = fresh();
        publish(&asked, channel, "{}");
        assert_true(span_equal_text(expect_publish(brokers[1], NULL).channel, channel));
        broker_request_cancel(bench.requests, &asked.request);
    }
}

static void the_same_broker_under_two_addresses_keeps_one_link(void **state) {
    (void) state;
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_MEMORY, 0);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_add_endpoint(&bench, "inproc://b");
    gateway_bench_start(&bench);
    wire_broker_await_link(brokers[0]);
    brokers[1] = new_broker("inproc://b", "broker-a", WIRE_MODE_MEMORY, 0);
    AWAIT(wire_broker_reset_reason(brokers[0]) == WIRE_RESET_REPLACED);
    AWAIT(alive() == 1 && wire_broker_beats(brokers[1]) > 0);
    /* The newer one is lost: the older address is tried at once. */
    unsigned hellos = wire_broker_hellos(brokers[0]);
    wire_broker_set_greeting(brokers[1], false);
    wire_encode_reset(wire_broker_batch(brokers[1]), &(struct wire_reset){.reason = WIRE_RESET_OVERFLOW});
    wire_broker_send(brokers[1], WIRE_SHARD_SWITCHBOARD, 1);
    AWAIT(wire_broker_hellos(brokers[0]) > hellos && alive() == 1);
}

static void out_of_credit_publishes_wait_and_go_in_order_when_it_comes(void **state) {
    (void) state;
    enum { PUBLISHES = 40 };
    static struct asked asked[PUBLISHES];
    bench.config.request_timeout_ms = DEADLINE_MS;
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_REDIS, 16);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_start(&bench);
    wire_broker_await_link(brokers[0]);
    wire_broker_set_acking(brokers[0], true);
    for (size_t i = 0; i < PUBLISHES; i++) {
        char data[24];
        snprintf(data, sizeof data, "%zu", i);
        asked[i] = fresh();
        publish(&asked[i], "news", data);
    }
    assert_true(gateway_bench_metric(&bench, "callboard_gateway_requests_waiting", NULL) > 0);
    for (size_t i = 0; i < PUBLISHES; i++) {
        char data[24];
        snprintf(data, sizeof data, "%zu", i);
        uint16_t shard;
        struct wire_publish frame = expect_publish(brokers[0], &shard);
        assert_true(span_equal_text(frame.data, data));
        answer_published(brokers[0], shard, frame.request, i + 1);
    }
    AWAIT(asked[PUBLISHES - 1].n_done == 1);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_gateway_requests_waiting", NULL), 0);
}

static void out_of_credit_to_the_deadline_ends_with_111(void **state) {
    (void) state;
    enum { PUBLISHES = 40 };
    static struct asked asked[PUBLISHES];
    bench.config.request_timeout_ms = 200;
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_REDIS, 16);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_start(&bench);
    wire_broker_await_link(brokers[0]);
    wire_broker_set_acking(brokers[0], false);
    for (size_t i = 0; i < PUBLISHES; i++) {
        asked[i] = fresh();
        publish(&asked[i], "news", "{}");
    }
    AWAIT(asked[PUBLISHES - 1].n_done == 1);
    assert_int_equal(asked[PUBLISHES - 1].answer.error, ERROR_TOO_MANY_REQUESTS);
    AWAIT(asked[0].n_done == 1);
    assert_int_equal(asked[0].answer.error, ERROR_OUTCOME_UNKNOWN);
}

static void a_cancelled_request_is_not_answered(void **state) {
    (void) state;
    start_with_one_broker();
    struct asked asked = fresh(), after = fresh();
    publish(&asked, "news", "1");
    uint16_t shard;
    struct wire_publish frame = expect_publish(brokers[0], &shard);
    broker_request_cancel(bench.requests, &asked.request);
    broker_request_cancel(bench.requests, &asked.request);
    answer_published(brokers[0], shard, frame.request, 1);
    publish(&after, "news", "2");
    frame = expect_publish(brokers[0], &shard);
    answer_published(brokers[0], shard, frame.request, 2);
    AWAIT(after.n_done == 1);
    assert_int_equal(asked.n_done, 0);
    struct asked never = fresh();
    broker_request_cancel(bench.requests, &never.request);
}

static void commands_totals_and_degradation_are_taken_from_the_broker(void **state) {
    (void) state;
    start_with_one_broker();
    wire_encode_command(wire_broker_batch(brokers[0]), &(struct wire_command){.request = 9,
                                                                              .action = WIRE_COMMAND_DISCONNECT,
                                                                              .user = SPAN_LITERAL("42"),
                                                                              .channel = SPAN_LITERAL("news")});
    wire_broker_send(brokers[0], 0, 1);
    AWAIT(bench.n_commands == 1);
    assert_string_equal(bench.command_user, "42");
    struct wire_commanded answer;
    assert_true(wire_decode_commanded(wire_broker_expect(brokers[0], WIRE_COMMANDED, NULL).body, &answer));
    assert_int_equal(answer.request, 9);
    assert_int_equal(answer.n, 3);
    assert_true(span_equal_text(answer.bytes, "news"));
    wire_encode_totals(wire_broker_batch(brokers[0]), &(struct wire_totals){.gateways = 3, .connections = 100});
    wire_broker_send(brokers[0], 0, 1);
    wire_broker_set_degraded(brokers[0], 0, true);
    struct broker_summary summary;
    AWAIT((broker_requests_summary(bench.requests, &summary), summary.totals_known && summary.engine_degraded));
    assert_int_equal(summary.totals.gateways, 3);
    assert_int_equal(summary.brokers_known, 1);
}

static bool is_degraded(void) {
    struct broker_summary summary;
    broker_requests_summary(bench.requests, &summary);
    return summary.engine_degraded;
}

static void a_broker_is_degraded_while_one_of_its_shards_is(void **state) {
    (void) state;
    start_with_one_broker();
    wire_broker_set_degraded(brokers[0], 1, true);
    AWAIT(is_degraded());
    unsigned before = wire_broker_beats(brokers[0]);
    AWAIT((assert_true(is_degraded()), wire_broker_beats(brokers[0]) >= before + BEATS));
    wire_broker_set_degraded(brokers[0], 1, false);
    AWAIT(!is_degraded());
}

/* Its shards come back to Redis one after another, then the broker greets anew: until then nobody is told "ok, from
 * memory". */
static void memory_that_stands_in_is_degraded_until_the_next_welcome(void **state) {
    (void) state;
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_MEMORY, 0);
    wire_broker_set_degraded(brokers[0], 0, true);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_start(&bench);
    wire_broker_await_link(brokers[0]);
    AWAIT(is_degraded());
    wire_broker_set_degraded(brokers[0], 0, false);
    unsigned before = wire_broker_beats(brokers[0]);
    AWAIT(wire_broker_beats(brokers[0]) >= before + BEATS);
    assert_true(is_degraded());
}

static void beats_renew_the_lease_on_one_lane_and_tell_of_draining(void **state) {
    (void) state;
    start_with_one_broker();
    broker_requests_set_draining(bench.requests, true);
    AWAIT(wire_broker_last_beat_flags(brokers[0]) & WIRE_BEAT_DRAINING);
    /* Two lanes, one of which renews the lease. */
    bool seen[2] = {false, false};
    AWAIT((seen[(wire_broker_last_beat_flags(brokers[0]) & WIRE_BEAT_RENEW_LEASE) != 0] = true, true) && seen[1]);
}

static void closing_ends_every_request(void **state) {
    (void) state;
    start_with_one_broker();
    struct asked sent = fresh();
    publish(&sent, "news", "1");
    expect_publish(brokers[0], NULL);
    wire_broker_destroy(&brokers[0]);
    gateway_bench_finish(&bench);
    assert_int_equal(sent.n_done, 1);
    assert_int_equal(sent.answer.error, ERROR_OUTCOME_UNKNOWN);
    gateway_bench_init(&bench); /* for tear_down */
    gateway_bench_add_endpoint(&bench, "inproc://nobody");
    gateway_bench_start(&bench);
}

static void endpoints_off_this_machine_need_keys(void **state) {
    (void) state;
    struct broker_requests_settings settings = {.loop = &bench.loop,
                                                .zmq_context = bench.zmq_context,
                                                .wheel = bench.wheel,
                                                .metrics = bench.metrics,
                                                .config = &bench.config};
    char error[256] = "";
    gateway_bench_add_endpoint(&bench, "tcp://broker.example:7700");
    assert_null(broker_requests_new(&settings, error, sizeof error));
    assert_non_null(strstr(error, "curve_key_file"));
    bench.config.brokers.n = 0;
    gateway_bench_add_endpoint(&bench, "inproc://nobody");
    gateway_bench_start(&bench);
}

int main(void) {
#define REQUEST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        REQUEST_TEST(a_link_becomes_live_and_the_mode_is_told),
        REQUEST_TEST(a_publish_is_answered_with_its_position),
        REQUEST_TEST(a_history_is_answered_with_its_publications),
        REQUEST_TEST(an_error_is_handed_on_by_its_code),
        REQUEST_TEST(without_a_broker_a_request_waits_for_one),
        REQUEST_TEST(without_a_broker_a_request_ends_definite_at_its_deadline),
        REQUEST_TEST(more_than_the_bound_of_waiting_requests_are_refused_but_not_inside_the_call),
        REQUEST_TEST(too_large_a_publication_is_refused),
        REQUEST_TEST(an_unanswered_publish_ends_unknown_and_an_unanswered_read_with_100),
        REQUEST_TEST(a_definite_no_at_the_deadline_is_not_turned_into_unknown),
        REQUEST_TEST(a_lost_link_ends_what_was_sent_as_unknown),
        REQUEST_TEST(after_a_reset_the_worker_says_hello_anew),
        REQUEST_TEST(a_shard_that_answers_no_beats_loses_the_link),
        REQUEST_TEST(a_hole_in_the_batches_resets_the_link),
        REQUEST_TEST(a_frame_that_does_not_belong_here_resets_the_link),
        REQUEST_TEST(an_unknown_frame_is_skipped_where_it_says_so),
        REQUEST_TEST(a_message_for_a_stream_elsewhere_is_asked_of_the_broker),
        REQUEST_TEST(a_message_for_a_stream_elsewhere_without_an_answer_may_have_arrived),
        REQUEST_TEST(a_message_from_elsewhere_is_delivered_and_answered),
        REQUEST_TEST(a_second_broker_beside_one_in_memory_is_refused),
        REQUEST_TEST(two_brokers_share_the_channels_and_the_survivor_takes_all),
        REQUEST_TEST(a_draining_broker_gets_no_new_requests),
        REQUEST_TEST(the_same_broker_under_two_addresses_keeps_one_link),
        REQUEST_TEST(out_of_credit_publishes_wait_and_go_in_order_when_it_comes),
        REQUEST_TEST(out_of_credit_to_the_deadline_ends_with_111),
        REQUEST_TEST(a_cancelled_request_is_not_answered),
        REQUEST_TEST(commands_totals_and_degradation_are_taken_from_the_broker),
        REQUEST_TEST(a_broker_is_degraded_while_one_of_its_shards_is),
        REQUEST_TEST(memory_that_stands_in_is_degraded_until_the_next_welcome),
        REQUEST_TEST(beats_renew_the_lease_on_one_lane_and_tell_of_draining),
        REQUEST_TEST(closing_ends_every_request),
        REQUEST_TEST(endpoints_off_this_machine_need_keys),
    };
    return cmocka_run_group_tests_name("broker_requests", tests, NULL, NULL);
}
