/* A publication that is lost between broker and gateway although their link holds: the broker's beats tell where its
 * channels stand, and the gateway fetches what it lacks. A whole broker, a gateway's upper side, and between them a
 * relay that takes frames out. The heartbeat is the shipped one. The times are printed; what is asserted is how many
 * beats it takes, for beats are what the promise (two seconds) is made of. */
#include "base/clock.h"
#include "base/log.h"
#include "broker/broker.h"
#include "gateway/hub.h"
#include "tests/support/gateway_bench.h"
#include "tests/support/wire_relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FRONT "inproc://position-sync-gateway-side"
#define BACK  "inproc://position-sync-broker-side"

enum {
    DEADLINE_MS = 60000,
    HEARTBEAT_MS = 500,
    SHARDS = 2,
    BEATS_MAX = 3, /* one may be under way at the loss, one tells the top, one confirms that it was not overtaken */
    N_CHANNELS = 200,
};

static const char config_text[] = "broker:\n"
                                  "  id: broker-1\n"
                                  "  shards: 2\n"
                                  "backend:\n"
                                  "  endpoint: \"\"\n"
                                  "  pull_endpoint: \"\"\n"
                                  "namespaces:\n"
                                  "  - name: news\n"
                                  "    history_size: 100\n"
                                  "    history_ttl: 1h\n";

struct viewer {
    struct hub_member member;
    char channel[32];
    unsigned n_joined;
    unsigned n_lost;
    unsigned n_out_of_step;
    uint64_t last_offset;
    uint64_t seen_ms; /* when the last one came */
};

static struct broker_config config;
static struct config_part part = {&broker_config_table, &config};
static struct gateway_bench bench;
static metrics_t *broker_metrics;
static broker_t *broker;
static wire_relay_t *relay;
static hub_t *hub;
static struct viewer viewers[N_CHANNELS];

static void on_joined(struct hub_member *member, const struct hub_joined *joined) {
    struct viewer *viewer = member->owner;
    viewer->n_joined++;
    viewer->last_offset = joined->position.offset;
}

static void on_join_failed(struct hub_member *member, enum error_code code) {
    (void) member;
    fail_msg("a join failed with %d", (int) code);
}

static void deliver(struct hub_member *member, payload_t *framed) {
    struct viewer *viewer = member->owner;
    char text[512];
    snprintf(text, sizeof text, "%.*s", (int) payload_span(framed).size, (const char *) payload_span(framed).data);
    const char *offset = strstr(text, "\"offset\":");
    uint64_t number = offset == NULL ? 0 : strtoull(offset + 9, NULL, 10);
    viewer->n_out_of_step += number != viewer->last_offset + 1;
    viewer->last_offset = number;
    viewer->seen_ms = clock_monotonic_ms();
    payload_unref(&framed); /* one reference is ours */
}

static void on_lost(struct hub_member *member, const struct position *position) {
    (void) position;
    ((struct viewer *) member->owner)->n_lost++;
}

static payload_t *frame(enum client_encoding encoding, struct span message) {
    (void) encoding;
    return payload_new(message);
}

static void turn(void) {
    wire_relay_poll(relay);
    gateway_bench_turn(&bench);
}

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t deadline_ms_ = clock_monotonic_ms() + DEADLINE_MS;                                                    \
        while (!(condition)) {                                                                                         \
            if (clock_monotonic_ms() > deadline_ms_) {                                                                 \
                fail_msg("in vain: " #condition);                                                                      \
            }                                                                                                          \
            turn();                                                                                                    \
        }                                                                                                              \
    } while (0)

static int set_up(void **state) {
    static const struct hub_callbacks callbacks = {.on_joined = on_joined,
                                                   .on_join_failed = on_join_failed,
                                                   .deliver = deliver,
                                                   .on_lost = on_lost,
                                                   .frame = frame};
    struct buffer errors = BUFFER_EMPTY;
    char error[512] = "";
    (void) state;
    log_set_level(LOG_LEVEL_ERROR);
    memset(viewers, 0, sizeof viewers);
    if (!config_read(&part, 1, &(struct config_source){.file_name = "test", .file_text = span_of_text(config_text)},
                     &errors)) {
        fail_msg("%.*s", (int) errors.size, (const char *) errors.data);
    }
    buffer_finish(&errors);
    gateway_bench_init(&bench);
    bench.config.request_timeout_ms = DEADLINE_MS;
    bench.config.heartbeat_ms = HEARTBEAT_MS;
    gateway_bench_add_endpoint(&bench, FRONT);
    broker_metrics = metrics_new();
    broker = broker_new(&(struct broker_options){.config = &config,
                                                 .zmq_context = bench.zmq_context,
                                                 .metrics = broker_metrics,
                                                 .inproc_endpoint = BACK,
                                                 .no_endpoint = true},
                        error, sizeof error);
    if (broker == NULL) {
        fail_msg("%s", error);
    }
    relay = wire_relay_new(bench.zmq_context, FRONT, BACK);
    gateway_bench_start(&bench);
    hub = hub_new(bench.requests, bench.metrics, bench.wheel, &callbacks);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    for (unsigned i = 0; i < N_CHANNELS && viewers[i].member.owner != NULL; i++) {
        hub_leave(hub, &viewers[i].member); /* a test that failed left them */
    }
    hub_destroy(&hub);
    broker_destroy(&broker);
    metrics_destroy(&broker_metrics);
    wire_relay_destroy(&relay);
    gateway_bench_finish(&bench);
    config_finish(&part, 1);
    return 0;
}

static void watch(struct viewer *viewer, unsigned number) {
    viewer->member.owner = viewer;
    snprintf(viewer->channel, sizeof viewer->channel, "news:%u", number);
    hub_join(hub, span_of_text(viewer->channel), NULL, &viewer->member, false, NULL,
             clock_monotonic_ms() + DEADLINE_MS);
    AWAIT(viewer->n_joined == 1);
}

static void nothing_was_noticed(unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(viewers[i].n_out_of_step, 0);
        assert_int_equal(viewers[i].n_lost, 0);
    }
}

struct asked {
    struct broker_request request;
    bool done;
    enum error_code error;
};

static void on_done(struct broker_request *request, const struct broker_answer *answer) {
    struct asked *asked = (struct asked *) (void *) request;
    asked->error = answer->error;
    asked->done = true;
}

static enum error_code try_to_publish(const struct viewer *viewer) {
    struct asked asked = {.request = {.on_done = on_done}};
    broker_publish(bench.requests, &asked.request,
                   &(struct broker_publication){.channel = span_of_text(viewer->channel), .data = SPAN_LITERAL("{}")});
    AWAIT(asked.done);
    return asked.error;
}

static void publish(const struct viewer *viewer) {
    assert_int_equal(try_to_publish(viewer), ERROR_NONE);
}

static int64_t n_behind(void) {
    return gateway_bench_metric(&bench, "callboard_gateway_channels_behind_total", NULL);
}

static void a_lost_push_is_noticed_by_the_next_beats_and_healed(void **state) {
    (void) state;
    uint64_t worst_ms = 0;
    watch(&viewers[0], 0);
    for (uint64_t round = 1; round <= 5; round++) {
        wire_relay_drop_pushes(relay, 1);
        publish(&viewers[0]);
        AWAIT(wire_relay_dropped(relay) == round);
        uint64_t lost_ms = clock_monotonic_ms();
        unsigned beats = wire_relay_beat_answers(relay);
        AWAIT(viewers[0].last_offset == round);
        unsigned n_beats = (wire_relay_beat_answers(relay) - beats + SHARDS - 1) / SHARDS;
        worst_ms = viewers[0].seen_ms - lost_ms > worst_ms ? viewers[0].seen_ms - lost_ms : worst_ms;
        assert_in_range(n_beats, 1, BEATS_MAX);
        assert_int_equal(n_behind(), round);
    }
    print_message("a lost push came by itself after %llu ms at most\n", (unsigned long long) worst_ms);
    nothing_was_noticed(1);
}

static void the_push_behind_a_lost_one_shows_the_gap_at_once(void **state) {
    (void) state;
    watch(&viewers[0], 0);
    wire_relay_drop_pushes(relay, 1);
    publish(&viewers[0]);
    AWAIT(wire_relay_dropped(relay) == 1);
    publish(&viewers[0]);
    AWAIT(viewers[0].last_offset == 2);
    assert_int_equal(n_behind(), 0); /* no beat was needed */
    nothing_was_noticed(1);
}

static void the_last_pushes_of_many_channels_are_all_found(void **state) {
    (void) state;
    for (unsigned i = 0; i < N_CHANNELS; i++) {
        watch(&viewers[i], i);
        publish(&viewers[i]);
        AWAIT(viewers[i].last_offset == 1);
    }
    wire_relay_drop_pushes(relay, N_CHANNELS);
    for (unsigned i = 0; i < N_CHANNELS; i++) {
        publish(&viewers[i]);
    }
    AWAIT(wire_relay_dropped(relay) == N_CHANNELS);
    uint64_t lost_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < N_CHANNELS; i++) {
        AWAIT(viewers[i].last_offset == 2);
    }
    print_message("%d of them were back %llu ms after the last was lost\n", N_CHANNELS,
                  (unsigned long long) (clock_monotonic_ms() - lost_ms));
    nothing_was_noticed(N_CHANNELS);
}

/* The beat that named the channel as changed was of no use: the walk over all channels comes by later. */
static void what_the_changes_missed_is_found_by_the_walk(void **state) {
    (void) state;
    watch(&viewers[0], 0);
    wire_relay_drop_pushes(relay, 1);
    wire_relay_drop_tops(relay, 2);
    publish(&viewers[0]);
    AWAIT(viewers[0].last_offset == 1);
    assert_int_equal(n_behind(), 1);
    nothing_was_noticed(1);
}

static void a_lost_batch_resets_the_link_and_nothing_is_lost(void **state) {
    (void) state;
    watch(&viewers[0], 0);
    wire_relay_drop_batch(relay);
    assert_int_equal(try_to_publish(&viewers[0]), ERROR_OUTCOME_UNKNOWN); /* its answer was in the batch */
    AWAIT(viewers[0].last_offset == 1);
    AWAIT(gateway_bench_metric(&bench, "callboard_gateway_links_lost_total", "reason=\"hole\"") == 1);
    publish(&viewers[0]);
    AWAIT(viewers[0].last_offset == 2);
    nothing_was_noticed(1);
}

int main(void) {
#define SYNC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SYNC_TEST(a_lost_push_is_noticed_by_the_next_beats_and_healed),
        SYNC_TEST(the_push_behind_a_lost_one_shows_the_gap_at_once),
        SYNC_TEST(the_last_pushes_of_many_channels_are_all_found),
        SYNC_TEST(what_the_changes_missed_is_found_by_the_walk),
        SYNC_TEST(a_lost_batch_resets_the_link_and_nothing_is_lost),
    };
    return cmocka_run_group_tests_name("position_sync", tests, NULL, NULL);
}
