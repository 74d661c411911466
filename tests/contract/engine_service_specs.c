/* Specs of the engine contract: leases with their tokens, and values of services. */
#include "tests/contract/engine_contract.h"

enum { LONG_MS = 60000, SHORT_MS = 60 };

static struct op *acquire(struct node *node, struct span name, uint64_t ttl_ms) {
    return serve(node, name, &(struct engine_service){.verb = ENGINE_LEASE_ACQUIRE, .ttl_ms = ttl_ms});
}

static struct op *ask(struct node *node, struct span name, enum engine_service_verb verb, uint64_t token) {
    return serve(node, name, &(struct engine_service){.verb = verb, .ttl_ms = LONG_MS, .token = token});
}

static uint64_t granted(const struct op *op) {
    assert_true(op->service.is_done);
    assert_true(op->service.granted > 0 && op->service.granted <= (uint64_t) ENGINE_NUMBER_MAX);
    return op->service.granted;
}

/* Asks until it is granted: whoever held it ends by time. */
static struct op *acquire_in_the_end(struct node *node, struct span name) {
    struct op *op = NULL;
    bench_begin_wait(node->bench);
    do {
        bench_turn(node->bench, "the lease to end");
        op = start_serve(node, name, &(struct engine_service){.verb = ENGINE_LEASE_ACQUIRE, .ttl_ms = LONG_MS});
        while (op->n_done == 0) {
            bench_turn(node->bench, "an answer");
        }
        assert_outcome(op, ENGINE_OK);
    } while (!op->service.is_done);
    return op;
}

/* ---- leases ---- */

static void a_lease_is_granted_once_and_others_are_told_for_how_long(void **state) {
    struct node *node = bench_node(state);
    struct span name = new_channel(node, "lease");
    struct op *first = acquire(node, name, LONG_MS);
    granted(first);
    assert_true(first->service.left_ms == LONG_MS);
    struct op *second = acquire(node, name, LONG_MS);
    assert_false(second->service.is_done);
    assert_true(second->service.granted == 0);
    assert_true(second->service.left_ms > 0 && second->service.left_ms <= LONG_MS);
}

static void asked_again_under_its_nonce_the_same_lease_is_answered(void **state) {
    struct node *node = bench_node(state);
    struct span name = new_channel(node, "again");
    const struct engine_service model = {
        .verb = ENGINE_LEASE_ACQUIRE, .ttl_ms = LONG_MS, .nonce = SPAN_LITERAL("the same")};
    uint64_t token = granted(serve(node, name, &model));
    assert_true(granted(serve(node, name, &model)) == token);
}

static void tokens_rise_with_every_acquisition(void **state) {
    struct node *node = bench_node(state);
    struct span name = new_channel(node, "rising");
    uint64_t last = 0;
    for (int i = 0; i < 50; i++) {
        uint64_t token = granted(acquire(node, name, LONG_MS));
        assert_true(token > last);
        last = token;
        assert_true(ask(node, name, ENGINE_LEASE_RELEASE, token)->service.is_done);
    }
}

static void only_who_holds_it_renews_and_releases(void **state) {
    struct node *node = bench_node(state);
    struct span name = new_channel(node, "owner");
    uint64_t token = granted(acquire(node, name, LONG_MS / 2));
    assert_false(ask(node, name, ENGINE_LEASE_RENEW, token - 1)->service.is_done);
    assert_false(ask(node, name, ENGINE_LEASE_RELEASE, token + 1)->service.is_done);
    struct op *renewed = ask(node, name, ENGINE_LEASE_RENEW, token);
    assert_true(renewed->service.is_done);
    assert_true(renewed->service.left_ms == LONG_MS);
    assert_true(acquire(node, name, LONG_MS)->service.left_ms > LONG_MS / 2);
    assert_true(ask(node, name, ENGINE_LEASE_RELEASE, token)->service.is_done);
    assert_false(ask(node, name, ENGINE_LEASE_RELEASE, token)->service.is_done);
    assert_false(ask(node, name, ENGINE_LEASE_RENEW, token)->service.is_done);
}

static void a_lease_ends_by_its_time_and_is_lost_to_who_held_it(void **state) {
    struct node *node = bench_node(state);
    struct span name = new_channel(node, "ending");
    uint64_t first = granted(acquire(node, name, SHORT_MS));
    uint64_t second = granted(acquire_in_the_end(node, name));
    assert_true(second > first);
    assert_false(ask(node, name, ENGINE_LEASE_RENEW, first)->service.is_done);
    assert_false(ask(node, name, ENGINE_LEASE_RELEASE, first)->service.is_done);
    assert_true(ask(node, name, ENGINE_LEASE_RENEW, second)->service.is_done);
}

static void many_that_ask_at_once_get_one_lease(void **state) {
    struct node *node = bench_node(state);
    struct span name = new_channel(node, "rush");
    struct op *ops[50];
    unsigned n_granted = 0;
    for (size_t i = 0; i < 50; i++) {
        ops[i] = start_serve(node, name, &(struct engine_service){.verb = ENGINE_LEASE_ACQUIRE, .ttl_ms = LONG_MS});
    }
    for (size_t i = 0; i < 50; i++) {
        wait_for(node, ops[i]->n_done > 0);
        assert_outcome(ops[i], ENGINE_OK);
        n_granted += ops[i]->service.is_done;
    }
    assert_int_equal(n_granted, 1);
}

/* ---- values ---- */

static struct op *set(struct node *node, struct span key, struct span value, uint64_t ttl_ms) {
    return serve(node, key, &(struct engine_service){.verb = ENGINE_KV_SET, .value = value, .ttl_ms = ttl_ms});
}

static struct op *count(struct node *node, struct span key, int64_t by) {
    return serve(node, key, &(struct engine_service){.verb = ENGINE_KV_INCR, .by = by});
}

static void a_value_is_there_from_its_set_to_its_del(void **state) {
    struct node *node = bench_node(state);
    struct span key = new_channel(node, "value");
    assert_false(ask(node, key, ENGINE_KV_GET, 0)->service.is_done);
    assert_false(ask(node, key, ENGINE_KV_EXISTS, 0)->service.is_done);
    assert_false(set(node, key, SPAN_LITERAL("{\"a\":1}"), 0)->service.is_done);
    struct op *got = ask(node, key, ENGINE_KV_GET, 0);
    assert_true(got->service.is_done);
    assert_span(buffer_span(&got->content), "{\"a\":1}");
    assert_true(got->service.left_ms == 0);
    assert_true(set(node, key, SPAN_LITERAL("R"), 0)->service.is_done);
    assert_span(buffer_span(&ask(node, key, ENGINE_KV_GET, 0)->content), "R");
    assert_true(ask(node, key, ENGINE_KV_EXISTS, 0)->service.is_done);
    assert_true(ask(node, key, ENGINE_KV_DEL, 0)->service.is_done);
    assert_false(ask(node, key, ENGINE_KV_DEL, 0)->service.is_done);
    assert_false(ask(node, key, ENGINE_KV_GET, 0)->service.is_done);
}

static void values_are_any_bytes_also_none(void **state) {
    struct node *node = bench_node(state);
    struct span key = new_channel(node, "bytes");
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t) i;
    }
    set(node, key, span_of(bytes, sizeof bytes), 0);
    assert_true(span_equal(buffer_span(&ask(node, key, ENGINE_KV_GET, 0)->content), span_of(bytes, sizeof bytes)));
    set(node, key, SPAN_EMPTY, 0);
    struct op *got = ask(node, key, ENGINE_KV_GET, 0);
    assert_true(got->service.is_done);
    assert_int_equal(got->content.size, 0);
}

static void a_value_with_a_ttl_ends_and_a_set_without_one_keeps_it(void **state) {
    struct node *node = bench_node(state);
    struct span key = new_channel(node, "brief");
    struct span other = new_channel(node, "kept");
    set(node, key, SPAN_LITERAL("x"), LONG_MS);
    struct op *got = ask(node, key, ENGINE_KV_GET, 0);
    assert_true(got->service.left_ms > 0 && got->service.left_ms <= LONG_MS);
    set(node, key, SPAN_LITERAL("x"), SHORT_MS);
    set(node, other, SPAN_LITERAL("x"), SHORT_MS);
    set(node, other, SPAN_LITERAL("y"), 0);
    wait_for(node, !ask(node, key, ENGINE_KV_EXISTS, 0)->service.is_done);
    assert_span(buffer_span(&ask(node, other, ENGINE_KV_GET, 0)->content), "y");
}

static void counting_begins_at_nothing_and_keeps_the_ttl(void **state) {
    struct node *node = bench_node(state);
    struct span key = new_channel(node, "count");
    struct op *first = serve(node, key, &(struct engine_service){.verb = ENGINE_KV_INCR, .by = 5, .ttl_ms = LONG_MS});
    assert_true(first->service.is_done && first->service.number == 5);
    assert_true(first->service.left_ms == LONG_MS);
    assert_true(count(node, key, -7)->service.number == -2);
    assert_true(count(node, key, 2)->service.number == 0);
    struct op *got = ask(node, key, ENGINE_KV_GET, 0);
    assert_span(buffer_span(&got->content), "0");
    assert_true(got->service.left_ms > 0 && got->service.left_ms <= LONG_MS);
}

static void what_is_no_number_or_too_large_is_not_counted(void **state) {
    struct node *node = bench_node(state);
    struct span key = new_channel(node, "number");
    static const char *const texts[] = {"", "x", "1.5", "01", "-", "-0", "9007199254740992", "1e3", " 1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        set(node, key, span_of_text(texts[i]), 0);
        assert_false(count(node, key, 1)->service.is_done);
        assert_span(buffer_span(&ask(node, key, ENGINE_KV_GET, 0)->content), texts[i]);
    }
    set(node, key, SPAN_LITERAL("-9007199254740990"), 0);
    assert_true(count(node, key, -1)->service.number == -ENGINE_NUMBER_MAX);
    assert_false(count(node, key, -1)->service.is_done);
    assert_true(count(node, key, ENGINE_NUMBER_MAX)->service.number == 0);
    assert_true(count(node, key, ENGINE_NUMBER_MAX)->service.number == ENGINE_NUMBER_MAX);
    assert_false(count(node, key, 1)->service.is_done);
}

static void a_lease_and_a_value_of_one_name_are_two_things(void **state) {
    struct node *node = bench_node(state);
    struct span name = new_channel(node, "both");
    uint64_t token = granted(acquire(node, name, LONG_MS));
    set(node, name, SPAN_LITERAL("v"), 0);
    assert_true(ask(node, name, ENGINE_KV_DEL, 0)->service.is_done);
    assert_true(ask(node, name, ENGINE_LEASE_RENEW, token)->service.is_done);
}

static void what_is_asked_at_the_end_is_cancelled(void **state) {
    struct node *node = bench_node(state);
    struct span name = new_channel(node, "end");
    struct op *op = start_serve(node, name, &(struct engine_service){.verb = ENGINE_KV_INCR, .by = 1});
    node_close(node);
    assert_int_equal(op->n_done, 1);
    assert_outcome(op, ENGINE_CANCELLED);
}

/* ---- of engines that share a store ---- */

static struct op *wait_for_lease(struct node *node, struct span name) {
    return serve(node, name, &(struct engine_service){.verb = ENGINE_LEASE_ACQUIRE, .ttl_ms = LONG_MS, .waits = true});
}

static void a_lease_is_one_for_both_engines_and_its_release_is_told_to_who_waits(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span name = new_channel(one, "shared");
    hold_and_join(two, name, &one->bench->plain);
    uint64_t first = granted(acquire(one, name, LONG_MS));
    assert_false(wait_for_lease(two, name)->service.is_done);
    assert_false(ask(two, name, ENGINE_LEASE_RELEASE, first + 1)->service.is_done);
    assert_true(ask(one, name, ENGINE_LEASE_RELEASE, first)->service.is_done);
    wait_for(one, count_records(two, RECORD_FREED, name) == 1);
    assert_true(granted(wait_for_lease(two, name)) > first);
    node_release(two, name);
}

static void who_waited_first_is_granted_first_and_nobody_passes_by(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span name = new_channel(one, "turn");
    uint64_t first = granted(acquire(one, name, LONG_MS));
    assert_false(wait_for_lease(two, name)->service.is_done);
    assert_false(wait_for_lease(one, name)->service.is_done);
    assert_true(ask(one, name, ENGINE_LEASE_RELEASE, first)->service.is_done);
    assert_false(acquire(one, name, LONG_MS)->service.is_done);
    assert_false(wait_for_lease(one, name)->service.is_done);
    uint64_t second = granted(wait_for_lease(two, name));
    assert_true(ask(two, name, ENGINE_LEASE_RELEASE, second)->service.is_done);
    assert_false(acquire(two, name, LONG_MS)->service.is_done);
    assert_true(granted(wait_for_lease(one, name)) > second);
}

static void who_waits_no_more_stands_in_nobodys_way(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span name = new_channel(one, "left");
    uint64_t first = granted(acquire(one, name, LONG_MS));
    assert_false(wait_for_lease(two, name)->service.is_done);
    assert_true(ask(two, name, ENGINE_LEASE_LEAVE, 0)->service.is_done);
    assert_true(ask(one, name, ENGINE_LEASE_RELEASE, first)->service.is_done);
    granted(acquire(one, name, LONG_MS));
}

static void a_value_set_at_one_engine_is_read_and_counted_at_the_other(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span key = new_channel(one, "value");
    set(one, key, SPAN_LITERAL("41"), LONG_MS);
    assert_true(count(two, key, 1)->service.number == 42);
    struct op *got = ask(one, key, ENGINE_KV_GET, 0);
    assert_span(buffer_span(&got->content), "42");
    assert_true(got->service.left_ms > 0);
}

struct specs service_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(a_lease_is_granted_once_and_others_are_told_for_how_long),
        spec(asked_again_under_its_nonce_the_same_lease_is_answered),
        spec(tokens_rise_with_every_acquisition),
        spec(only_who_holds_it_renews_and_releases),
        spec(a_lease_ends_by_its_time_and_is_lost_to_who_held_it),
        spec(many_that_ask_at_once_get_one_lease),
        spec(a_value_is_there_from_its_set_to_its_del),
        spec(values_are_any_bytes_also_none),
        spec(a_value_with_a_ttl_ends_and_a_set_without_one_keeps_it),
        spec(counting_begins_at_nothing_and_keeps_the_ttl),
        spec(what_is_no_number_or_too_large_is_not_counted),
        spec(a_lease_and_a_value_of_one_name_are_two_things),
        spec(what_is_asked_at_the_end_is_cancelled),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}

struct specs shared_service_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(a_lease_is_one_for_both_engines_and_its_release_is_told_to_who_waits),
        spec(who_waited_first_is_granted_first_and_nobody_passes_by),
        spec(who_waits_no_more_stands_in_nobodys_way),
        spec(a_value_set_at_one_engine_is_read_and_counted_at_the_other),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}
