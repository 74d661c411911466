/* A whole broker on the memory engine that passes commands of services: what each gateway worker gets, and when the one
 * that asked is told that it is done. The workers here speak only the wire, so they can stay silent, too. */
#include "base/clock.h"
#include "base/error_code.h"
#include "base/log.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "tests/support/wire_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zmq.h>

#define ENDPOINT "inproc://broker-commands"

enum { WORKERS = 2, REQUEST = 41, DEADLINE_MS = 400 };

static const char config_text[] = "broker:\n"
                                  "  id: broker-1\n"
                                  "  shards: 1\n"
                                  "  peer_timeout: 10s\n"
                                  "  lease: 1s\n"
                                  "  commands_max: 2\n"
                                  "backend:\n"
                                  "  endpoint: \"\"\n"
                                  "  pull_endpoint: \"\"\n"
                                  "namespaces:\n"
                                  "  - name: plain\n";

static struct broker_config config;
static struct config_part part = {&broker_config_table, &config};
static void *zmq_context;
static metrics_t *metrics;
static broker_t *broker;
static wire_client_t *workers[WORKERS];

static wire_client_t *link_worker(const char *gateway_id, uint32_t worker) {
    wire_client_t *client = wire_client_new(&(struct wire_client_options){
        .zmq_context = zmq_context, .endpoint = ENDPOINT, .gateway_id = gateway_id, .worker = worker});
    wire_client_link(client);
    wire_client_beat(client, 0);
    wire_client_expect(client, WIRE_BEAT_ANSWER); /* the shard knows it */
    return client;
}

static int set_up(void **state) {
    char error[512] = "";
    struct buffer errors = BUFFER_EMPTY;
    struct config_source source = {.file_name = "test", .file_text = span_of_text(config_text)};
    (void) state;
    log_set_level(LOG_LEVEL_ERROR);
    assert_true(config_read(&part, 1, &source, &errors));
    buffer_finish(&errors);
    zmq_context = zmq_ctx_new();
    metrics = metrics_new();
    broker = broker_new(&(struct broker_options){.config = &config,
                                                 .zmq_context = zmq_context,
                                                 .metrics = metrics,
                                                 .inproc_endpoint = ENDPOINT,
                                                 .no_endpoint = true},
                        error, sizeof error);
    assert_non_null(broker);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = link_worker("gateway-1", i);
    }
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    for (uint32_t i = 0; i < WORKERS; i++) {
        wire_client_destroy(&workers[i]);
    }
    broker_destroy(&broker);
    metrics_destroy(&metrics);
    zmq_ctx_term(zmq_context);
    config_finish(&part, 1);
    return 0;
}

/* ---- what the workers say and hear ---- */

static struct wire_command disconnect(void) {
    return (struct wire_command){.request = REQUEST,
                                 .action = WIRE_COMMAND_DISCONNECT,
                                 .deadline_ms = DEADLINE_MS,
                                 .user = SPAN_LITERAL("42"),
                                 .code = 4001,
                                 .reason = SPAN_LITERAL("bye"),
                                 .detail = SPAN_LITERAL("{}")};
}

static void ask(struct wire_command command) {
    assert_true(wire_encode_command(wire_client_batch(workers[0], 0), &command));
    wire_client_send(workers[0], 0, 1);
}

static struct wire_command expect_command(uint32_t worker) {
    struct wire_command command;
    assert_true(wire_decode_command(wire_client_expect(workers[worker], WIRE_COMMAND), &command));
    return command;
}

static void confirm(uint32_t worker, const struct wire_commanded *answer) {
    assert_true(wire_encode_commanded(wire_client_batch(workers[worker], 0), answer));
    wire_client_send(workers[worker], 0, 1);
}

static struct wire_result expect_result(void) {
    struct wire_result result;
    assert_true(wire_decode_result(wire_client_expect(workers[0], WIRE_RESULT), &result));
    assert_int_equal(result.request, REQUEST);
    assert_int_equal(result.of, WIRE_COMMAND);
    return result;
}

static void expect_error(enum error_code code, uint8_t flags) {
    struct wire_error error;
    assert_true(wire_decode_error(wire_client_expect(workers[0], WIRE_ERROR), &error));
    assert_int_equal(error.request, REQUEST);
    assert_int_equal(error.code, code);
    assert_int_equal(error.flags, flags);
}

/* ---- specs ---- */

static void every_worker_gets_it_and_the_answer_comes_when_all_have_confirmed(void **state) {
    (void) state;
    ask(disconnect());
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct wire_command got = expect_command(i);
        assert_int_equal(got.action, WIRE_COMMAND_DISCONNECT);
        assert_true(span_equal_text(got.user, "42") && span_equal_text(got.reason, "bye"));
        assert_int_equal(got.code, 4001);
        confirm(i, &(struct wire_commanded){.request = got.request, .n_workers = WORKERS, .n = i + 1});
        if (i == 0) {
            assert_true(wire_client_is_silent(workers[0], 50));
        }
    }
    struct wire_result result = expect_result();
    assert_int_equal(result.n, 3);
    assert_int_equal(result.m, WORKERS);
}

static void what_workers_list_is_put_together(void **state) {
    (void) state;
    ask((struct wire_command){.request = REQUEST, .action = WIRE_COMMAND_CHANNELS, .channel = SPAN_LITERAL("*")});
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct wire_command got = expect_command(i);
        confirm(i, &(struct wire_commanded){
                       .request = got.request, .n_workers = WORKERS, .n = 1, .bytes = SPAN_LITERAL("ab")});
    }
    struct wire_result result = expect_result();
    assert_int_equal(result.n, 2);
    assert_true(span_equal_text(result.bytes, "abab"));
}

static void who_does_not_confirm_in_time_makes_the_outcome_unknown(void **state) {
    (void) state;
    ask(disconnect());
    struct wire_command got = expect_command(0);
    confirm(0, &(struct wire_commanded){.request = got.request, .n_workers = WORKERS, .n = 1});
    expect_error(ERROR_OUTCOME_UNKNOWN, WIRE_ERROR_TEMPORARY | WIRE_ERROR_UNKNOWN_OUTCOME);
    got = expect_command(1);
    confirm(1, &(struct wire_commanded){.request = got.request, .n_workers = WORKERS}); /* too late: no harm */
    assert_true(wire_client_is_silent(workers[0], 50));
}

static void a_worker_that_leaves_makes_the_outcome_unknown_at_once(void **state) {
    struct wire_command patient = disconnect();
    (void) state;
    patient.deadline_ms = 600000;
    ask(patient);
    struct wire_command got = expect_command(0);
    confirm(0, &(struct wire_commanded){.request = got.request, .n_workers = WORKERS});
    expect_command(1);
    assert_true(wire_encode_reset(wire_client_batch(workers[1], 0), &(struct wire_reset){.reason = 1}));
    wire_client_send(workers[1], 0, 1);
    expect_error(ERROR_OUTCOME_UNKNOWN, WIRE_ERROR_TEMPORARY | WIRE_ERROR_UNKNOWN_OUTCOME);
}

/* A worker says how many its gateway has. */
static void a_worker_that_is_not_linked_here_is_missed(void **state) {
    (void) state;
    ask(disconnect());
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct wire_command got = expect_command(i);
        confirm(i, &(struct wire_commanded){.request = got.request, .n_workers = WORKERS + 1});
    }
    expect_error(ERROR_OUTCOME_UNKNOWN, WIRE_ERROR_TEMPORARY | WIRE_ERROR_UNKNOWN_OUTCOME);
}

static void the_first_refusal_is_the_answer(void **state) {
    (void) state;
    ask(disconnect());
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct wire_command got = expect_command(i);
        confirm(i, &(struct wire_commanded){.request = got.request,
                                            .n_workers = WORKERS,
                                            .error = i == 0 ? ERROR_UNKNOWN_CHANNEL : ERROR_LIMIT_EXCEEDED});
    }
    expect_error(ERROR_UNKNOWN_CHANNEL, 0);
}

static void a_listing_that_is_cut_off_is_no_unknown_outcome(void **state) {
    (void) state;
    ask((struct wire_command){
        .request = REQUEST, .action = WIRE_COMMAND_CHANNELS, .deadline_ms = DEADLINE_MS, .channel = SPAN_LITERAL("*")});
    expect_command(0);
    expect_error(ERROR_INTERNAL, WIRE_ERROR_TEMPORARY);
}

static void over_the_bound_commands_are_refused_at_once(void **state) {
    struct wire_command patient = disconnect();
    (void) state;
    patient.deadline_ms = 600000;
    for (unsigned i = 0; i < 2; i++) { /* broker.commands_max */
        ask(patient);
        expect_command(0);
    }
    ask(patient);
    expect_error(ERROR_TOO_MANY_REQUESTS, WIRE_ERROR_TEMPORARY);
}

static void a_confirmation_that_cannot_be_resets_the_link(void **state) {
    (void) state;
    confirm(1, &(struct wire_commanded){.request = 999, .n_workers = 1}); /* of no command: no harm */
    confirm(1, &(struct wire_commanded){.request = 999, .n_workers = 0});
    struct wire_reset reset;
    assert_true(wire_decode_reset(wire_client_expect(workers[1], WIRE_RESET), &reset));
    assert_int_equal(reset.reason, WIRE_RESET_BAD_FRAME);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_worker_gets_it_and_the_answer_comes_when_all_have_confirmed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_workers_list_is_put_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_confirm_in_time_makes_the_outcome_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_leaves_makes_the_outcome_unknown_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_is_not_linked_here_is_missed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_refusal_is_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_listing_that_is_cut_off_is_no_unknown_outcome, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_the_bound_commands_are_refused_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_confirmation_that_cannot_be_resets_the_link, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
