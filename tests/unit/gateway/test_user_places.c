/* Connections of users at all gateways, the gateway's side, against a scripted broker: what is asked and told, over
 * links that come, go, have no credit or do not answer. */
#include "gateway/user_places.h"

#include "base/clock.h"
#include "base/partition.h"
#include "tests/support/gateway_bench.h"
#include "tests/support/wire_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, MANY = 5000, MOST = 3 };

static struct gateway_bench bench;
static wire_broker_t *broker;
static user_count_t *users;
static user_places_t *places;

struct asked {
    struct user_place place; /* first */
    unsigned n_judged;
    bool may;
};

static void on_judged(struct user_place *place, bool may) {
    struct asked *asked = (struct asked *) (void *) place;
    asked->n_judged++;
    asked->may = may;
}

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t deadline_ms_ = clock_monotonic_ms() + DEADLINE_MS;                                                    \
        while (!(condition)) {                                                                                         \
            if (clock_monotonic_ms() > deadline_ms_) {                                                                 \
                fail_msg("in vain: " #condition);                                                                      \
            }                                                                                                          \
            if (broker != NULL) {                                                                                      \
                wire_broker_poll(broker);                                                                              \
            }                                                                                                          \
            gateway_bench_turn(&bench);                                                                                \
        }                                                                                                              \
    } while (0)

static void start_broker(uint32_t credit_frames) {
    broker = wire_broker_new(&(struct wire_broker_settings){.zmq_context = bench.zmq_context,
                                                            .endpoint = "inproc://a",
                                                            .id = "broker-a",
                                                            .shards = 2,
                                                            .credit_frames = credit_frames,
                                                            .turn = gateway_bench_turn,
                                                            .context = &bench});
}

static void start(int64_t most) {
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_start(&bench);
    places = user_places_new(
        &(struct user_places_options){.brokers = bench.requests, .users = users, .metrics = bench.metrics});
    user_places_configure(places, most);
}

static int set_up(void **state) {
    (void) state;
    gateway_bench_init(&bench);
    users = user_count_new();
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    user_places_destroy(&places);
    wire_broker_destroy(&broker);
    gateway_bench_finish(&bench);
    user_count_destroy(&users);
    return 0;
}

static uint16_t shard_of(struct span user) {
    return (uint16_t) partition_shard((uint32_t) (user_count_key(user) % 256), 256, 2);
}

/* The next frame is USER_COUNTS; its users and counts go to `told`. Returns whether it said ANEW. */
static bool take_counts(user_count_t *told) {
    struct wire_user_counts frame;
    struct wire_frame received = wire_broker_expect(broker, WIRE_USER_COUNTS, NULL);
    assert_int_equal(received.flags, WIRE_FRAME_SKIP);
    assert_true(wire_decode_user_counts(received.body, &frame));
    struct cursor cursor = cursor_of(frame.counts);
    while (cursor.left > 0) {
        uint64_t user = cursor_u64(&cursor);
        user_count_set(told, user, cursor_u32(&cursor));
    }
    return frame.flags == WIRE_USER_COUNTS_ANEW;
}

/* Every lane is told to begin anew, before anything else. */
static void take_beginning(void) {
    user_count_t *none = user_count_new();
    assert_true(take_counts(none));
    assert_true(take_counts(none));
    assert_int_equal(user_count_different(none), 0);
    user_count_destroy(&none);
}

static void link_broker(uint32_t credit_frames) {
    start_broker(credit_frames);
    wire_broker_await_link(broker);
}

static struct asked fresh(void) {
    return (struct asked){.place = {.on_judged = on_judged}};
}

static void ask(struct asked *asked, const char *user) {
    user_count_add(users, span_of_text(user));
    assert_true(user_places_ask(places, &asked->place, span_of_text(user)));
}

static struct wire_user_take expect_take(const char *user) {
    struct wire_user_take frame;
    uint16_t shard;
    struct wire_frame received = wire_broker_expect(broker, WIRE_USER_TAKE, &shard);
    assert_true(wire_decode_user_take(received.body, &frame));
    assert_int_equal(received.flags, WIRE_FRAME_SKIP);
    assert_int_equal(shard, shard_of(span_of_text(user)));
    assert_true(frame.user == user_count_key(span_of_text(user)));
    assert_int_equal(frame.most, MOST);
    return frame;
}

static void answer(const char *user, uint32_t request, bool may) {
    wire_encode_result(wire_broker_batch(broker),
                       &(struct wire_result){.request = request, .of = WIRE_USER_TAKE, .n = may});
    wire_broker_send(broker, shard_of(span_of_text(user)), 1);
}

static void the_broker_judges(void **state) {
    (void) state;
    start(MOST);
    link_broker(0);
    take_beginning();
    struct asked first = fresh();
    struct asked second = fresh();
    ask(&first, "ann");
    struct wire_user_take frame = expect_take("ann");
    assert_int_equal(frame.mine, 1);
    answer("ann", frame.request, true);
    AWAIT(first.n_judged == 1);
    assert_true(first.may);
    ask(&second, "ann");
    frame = expect_take("ann");
    assert_int_equal(frame.mine, 2);
    answer("ann", frame.request, false);
    AWAIT(second.n_judged == 1);
    assert_false(second.may);
    assert_false(wire_broker_has_frame(broker)); /* the owner tells when it has gone */
    user_count_remove(users, SPAN_LITERAL("ann"));
    user_places_tell(places, SPAN_LITERAL("ann"));
    user_count_t *told = user_count_new();
    assert_false(take_counts(told));
    assert_int_equal(user_count_of(told, SPAN_LITERAL("ann")), 1);
    user_count_destroy(&told);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_client_user_limit_refused_total", NULL), 1);
}

/* Two ask, the first goes meanwhile: what the broker took down for the second is one too many. */
static void what_changed_meanwhile_is_told_behind_the_answer(void **state) {
    (void) state;
    start(MOST);
    link_broker(0);
    take_beginning();
    struct asked first = fresh();
    struct asked second = fresh();
    ask(&first, "ann");
    ask(&second, "ann");
    expect_take("ann");
    struct wire_user_take frame = expect_take("ann");
    assert_int_equal(frame.mine, 2);
    user_place_cancel(&first.place);
    user_count_remove(users, SPAN_LITERAL("ann"));
    answer("ann", frame.request, true);
    AWAIT(second.n_judged == 1);
    user_count_t *told = user_count_new();
    take_counts(told);
    assert_int_equal(user_count_of(told, SPAN_LITERAL("ann")), 1);
    user_count_destroy(&told);
    assert_int_equal(first.n_judged, 0);
}

static void without_a_broker_the_gateway_judges_alone(void **state) {
    (void) state;
    start(MOST);
    struct asked asked = fresh();
    user_count_add(users, SPAN_LITERAL("ann"));
    assert_false(user_places_ask(places, &asked.place, SPAN_LITERAL("ann")));
    user_places_tell(places, SPAN_LITERAL("ann"));
    assert_int_equal(gateway_bench_metric(&bench, "callboard_client_user_limit_alone_total", NULL), 1);
    link_broker(0); /* and tells of it when there is one */
    take_beginning();
    user_count_t *told = user_count_new();
    assert_false(take_counts(told));
    assert_int_equal(user_count_of(told, SPAN_LITERAL("ann")), 1);
    user_count_destroy(&told);
}

static void a_broker_that_does_not_know_the_question_leaves_it_to_the_gateway(void **state) {
    (void) state;
    bench.config.request_timeout_ms = 200;
    start(MOST);
    link_broker(0);
    take_beginning();
    struct asked asked = fresh();
    ask(&asked, "ann");
    expect_take("ann");
    AWAIT(asked.n_judged == 1);
    assert_true(asked.may);
    user_count_t *told = user_count_new();
    assert_false(take_counts(told)); /* it may have taken one less down */
    assert_int_equal(user_count_of(told, SPAN_LITERAL("ann")), 1);
    user_count_destroy(&told);
    assert_int_equal(gateway_bench_metric(&bench, "callboard_client_user_limit_alone_total", NULL), 1);
}

static void a_broker_that_goes_before_its_answer_leaves_it_to_the_gateway(void **state) {
    (void) state;
    start(MOST);
    link_broker(0);
    take_beginning();
    struct asked asked = fresh();
    ask(&asked, "ann");
    expect_take("ann");
    wire_broker_destroy(&broker);
    AWAIT(asked.n_judged == 1);
    assert_true(asked.may);
}

static void everybody_is_told_anew_as_far_as_credit_goes(void **state) {
    (void) state;
    char name[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "user-%d", i);
        for (int n = 0; n <= i % 3; n++) {
            user_count_add(users, span_of_text(name));
        }
    }
    start(MOST);
    link_broker(6);
    take_beginning();
    user_count_t *told = user_count_new();
    while (user_count_different(told) < MANY) {
        assert_false(take_counts(told));
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "user-%d", i);
        assert_int_equal(user_count_of(told, span_of_text(name)), 1 + i % 3);
    }
    user_count_destroy(&told);
}

static void off_it_asks_and_tells_nothing_and_a_reload_switches_it(void **state) {
    (void) state;
    start(0);
    link_broker(0);
    struct asked asked = fresh();
    user_count_add(users, SPAN_LITERAL("ann"));
    assert_false(user_places_ask(places, &asked.place, SPAN_LITERAL("ann")));
    user_places_tell(places, SPAN_LITERAL("ann"));
    assert_false(wire_broker_has_frame(broker));
    assert_int_equal(gateway_bench_metric(&bench, "callboard_client_user_limit_alone_total", NULL), 0);
    user_places_configure(places, MOST);
    take_beginning();
    user_count_t *told = user_count_new();
    assert_false(take_counts(told));
    assert_int_equal(user_count_of(told, SPAN_LITERAL("ann")), 1);
    user_count_destroy(&told);
    user_places_configure(places, 0);
    take_beginning();
    assert_false(wire_broker_has_frame(broker));
}

#define PLACES_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACES_TEST(the_broker_judges),
        PLACES_TEST(what_changed_meanwhile_is_told_behind_the_answer),
        PLACES_TEST(without_a_broker_the_gateway_judges_alone),
        PLACES_TEST(a_broker_that_does_not_know_the_question_leaves_it_to_the_gateway),
        PLACES_TEST(a_broker_that_goes_before_its_answer_leaves_it_to_the_gateway),
        PLACES_TEST(everybody_is_told_anew_as_far_as_credit_goes),
        PLACES_TEST(off_it_asks_and_tells_nothing_and_a_reload_switches_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
