/* Requests against a scripted broker over inproc: routing, answers, deadlines, losses, credit. */
#include "broker_requests_harness.h"

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

int main(void) {
#define REQUEST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        REQUEST_TEST(a_publish_is_answered_with_its_position),
        REQUEST_TEST(a_history_is_answered_with_its_publications),
        REQUEST_TEST(an_error_is_handed_on_by_its_code),
        REQUEST_TEST(without_a_broker_a_request_waits_for_one),
        REQUEST_TEST(without_a_broker_a_request_ends_definite_at_its_deadline),
        REQUEST_TEST(more_than_the_bound_of_waiting_requests_are_refused_but_not_inside_the_call),
        REQUEST_TEST(too_large_a_publication_is_refused),
        REQUEST_TEST(an_unanswered_publish_ends_unknown_and_an_unanswered_read_with_100),
        REQUEST_TEST(a_definite_no_at_the_deadline_is_not_turned_into_unknown),
        REQUEST_TEST(a_message_for_a_stream_elsewhere_is_asked_of_the_broker),
        REQUEST_TEST(a_message_for_a_stream_elsewhere_without_an_answer_may_have_arrived),
        REQUEST_TEST(a_message_from_elsewhere_is_delivered_and_answered),
        REQUEST_TEST(out_of_credit_publishes_wait_and_go_in_order_when_it_comes),
        REQUEST_TEST(out_of_credit_to_the_deadline_ends_with_111),
        REQUEST_TEST(a_cancelled_request_is_not_answered),
        REQUEST_TEST(commands_totals_and_degradation_are_taken_from_the_broker),
        REQUEST_TEST(closing_ends_every_request),
    };
    return cmocka_run_group_tests_name("broker_requests", tests, NULL, NULL);
}
