/* Links against scripted brokers over inproc: greeting, beats, resets, several brokers, addresses that
 * change, what tells that one is degraded. */
#include "broker_requests_harness.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>

static void a_link_becomes_live_and_the_mode_is_told(void **state) {
    (void) state;
    start_with_one_broker();
    assert_int_equal(alive(), 1);
    assert_int_equal(bench.mode, WIRE_MODE_REDIS);
    assert_int_equal(bench.n_mode_changes, 1);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_gateway_brokers_alive", NULL), 1);
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

/* In place of the C library's: whatever is asked for is 127.0.0.N, and N another one each time. */
static atomic_uint n_resolved;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret_addresses) {
    (void) name;
    (void) service;
    (void) hints;
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *answer = calloc(1, sizeof *answer);
    answer->address.sin_family = AF_INET;
    answer->address.sin_addr.s_addr = htonl((127U << 24) + 1 + atomic_fetch_add(&n_resolved, 1) % 100);
    answer->info = (struct addrinfo){.ai_family = AF_INET,
                                     .ai_socktype = SOCK_STREAM,
                                     .ai_addrlen = sizeof answer->address,
                                     .ai_addr = (struct sockaddr *) (void *) &answer->address};
    *ret_addresses = &answer->info;
    return 0;
}

void freeaddrinfo(struct addrinfo *addresses) {
    free(addresses);
}

/* A pod of a broker comes back at another address, and the links to the others stay. */
static void an_address_that_is_gone_is_let_go_and_nothing_else(void **state) {
    (void) state;
    brokers[0] = new_broker("inproc://a", "broker-a", WIRE_MODE_REDIS, 0);
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_add_endpoint(&bench, "tcp://localhost:7"); /* nobody is there */
    bench.config.resolve_interval_ms = 20;
    gateway_bench_start(&bench);
    wire_broker_await_link(brokers[0]);
    AWAIT(atomic_load(&n_resolved) >= 6);
    struct broker_summary summary;
    broker_requests_summary(bench.requests, &summary);
    assert_int_equal(summary.brokers_known, 2);
    assert_int_equal(summary.brokers_alive, 1);
    struct asked asked = fresh();
    publish(&asked, "news", "{}");
    uint16_t shard;
    struct wire_publish frame = expect_publish(brokers[0], &shard);
    answer_published(brokers[0], shard, frame.request, 17);
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.answer.error, ERROR_NONE);
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
        REQUEST_TEST(a_lost_link_ends_what_was_sent_as_unknown),
        REQUEST_TEST(after_a_reset_the_worker_says_hello_anew),
        REQUEST_TEST(a_shard_that_answers_no_beats_loses_the_link),
        REQUEST_TEST(a_hole_in_the_batches_resets_the_link),
        REQUEST_TEST(a_frame_that_does_not_belong_here_resets_the_link),
        REQUEST_TEST(an_unknown_frame_is_skipped_where_it_says_so),
        REQUEST_TEST(a_second_broker_beside_one_in_memory_is_refused),
        REQUEST_TEST(two_brokers_share_the_channels_and_the_survivor_takes_all),
        REQUEST_TEST(a_draining_broker_gets_no_new_requests),
        REQUEST_TEST(the_same_broker_under_two_addresses_keeps_one_link),
        REQUEST_TEST(a_broker_is_degraded_while_one_of_its_shards_is),
        REQUEST_TEST(memory_that_stands_in_is_degraded_until_the_next_welcome),
        REQUEST_TEST(beats_renew_the_lease_on_one_lane_and_tell_of_draining),
        REQUEST_TEST(an_address_that_is_gone_is_let_go_and_nothing_else),
        REQUEST_TEST(endpoints_off_this_machine_need_keys),
    };
    return cmocka_run_group_tests_name("broker_links", tests, NULL, NULL);
}
