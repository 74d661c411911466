/* Specs of the engine contract: start, holding, close. That every completion comes exactly once, outside of any call,
 * and none after the close, the bench checks for all specs. */
#include "tests/contract/engine_contract.h"

static bool is_ok_or_cancelled(const struct op *op) {
    return op->outcome == ENGINE_OK || op->outcome == ENGINE_CANCELLED;
}

static void an_engine_tells_when_it_is_of_use(void **state) {
    struct node *node = bench_node(state);
    wait_for(node, node->n_states > 0 && node->said_connected);
    assert_true(node->engine->methods->is_connected(node->engine));
}

static void an_engine_names_its_mode(void **state) {
    struct node *node = bench_node(state);
    enum wire_mode mode = node->engine->methods->mode(node->engine);
    assert_true(mode == WIRE_MODE_MEMORY || mode == WIRE_MODE_REDIS);
}

static void an_engine_becomes_sure_of_a_held_channel(void **state) {
    struct node *node = bench_node(state);
    struct span channel = new_channel(node, "sure");
    node_hold(node, channel, &node->bench->history);
    wait_for(node, node->engine->methods->is_sure(node->engine, channel));
}

static void a_channel_may_be_held_twice_and_released_twice(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "twice", &node->bench->history);
    node_hold(node, channel, &node->bench->history);
    node_release(node, channel);
    append_text(node, channel, "1");
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
    node_release(node, channel);
    struct op *op = append_text(node, channel, "2");
    assert_int_equal(op->append.position.offset, 2);
}

static void a_channel_released_and_held_again_goes_on(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "again", &node->bench->history);
    struct op *before = append_text(node, channel, "1");
    node_release(node, channel);
    hold_and_join(node, channel, &node->bench->history);
    struct op *after = append_text(node, channel, "2");
    assert_int_equal(after->append.position.offset, 2);
    assert_true(epoch_equal(&before->append.position.epoch, &after->append.position.epoch));
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 2);
}

static void holding_alone_makes_no_event(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "quiet", &node->bench->history);
    wait_for(node, node->n_lease_calls >= 2);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 0);
}

static void an_idle_engine_closes(void **state) {
    struct node *node = bench_node(state);
    wait_for(node, node->said_connected);
    node_close(node);
}

static void an_engine_closes_in_the_turn_it_was_made(void **state) {
    struct node *node = bench_node(state);
    node_close(node);
}

static void closing_completes_appends_under_way_exactly_once(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "close", &node->bench->history);
    struct op *ops[100];
    for (size_t i = 0; i < 100; i++) {
        ops[i] = start_append(node, channel, &(struct append_input){.data = SPAN_LITERAL("{}")});
    }
    node_close(node);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(ops[i]->n_done, 1);
        assert_true(is_ok_or_cancelled(ops[i]));
    }
}

static void closing_completes_every_kind_of_request_exactly_once(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "kinds", &node->bench->history);
    append_many(node, channel, &node->bench->history, 3);
    struct op *ops[] = {
        start_read(node, channel, &(struct read_input){.limit = 10}),
        start_remove(node, channel, &node->bench->history),
        start_members(node, channel, 0, 0),
        start_append(node, channel, &(struct append_input){.data = SPAN_LITERAL("{}"), .key = SPAN_LITERAL("k")}),
    };
    set_member(node, channel, &(struct member_input){.client = "c", .user = "u", .gateway = "g", .lease = 1});
    clear_member(node, channel, "c");
    node_close(node);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        assert_int_equal(ops[i]->n_done, 1);
        assert_true(is_ok_or_cancelled(ops[i]));
    }
}

static void requests_made_before_the_engine_is_connected_are_completed_by_a_close(void **state) {
    struct node *node = bench_node(state);
    struct span channel = new_channel(node, "early");
    node_hold(node, channel, &node->bench->history);
    struct op *append = start_append(node, channel, &(struct append_input){.data = SPAN_LITERAL("{}")});
    struct op *read = start_read(node, channel, &(struct read_input){.limit = 10});
    node_close(node);
    assert_int_equal(append->n_done, 1);
    assert_int_equal(read->n_done, 1);
}

static void an_append_made_before_the_engine_is_connected_is_served(void **state) {
    struct node *node = bench_node(state);
    struct span channel = new_channel(node, "early");
    node_hold(node, channel, &node->bench->history);
    struct op *op = start_append(node, channel, &(struct append_input){.data = SPAN_LITERAL("{}")});
    wait_for(node, op->n_done > 0);
    assert_outcome(op, ENGINE_OK);
    assert_int_equal(op->append.position.offset, 1);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
}

struct specs life_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(an_engine_tells_when_it_is_of_use),
        spec(an_engine_names_its_mode),
        spec(an_engine_becomes_sure_of_a_held_channel),
        spec(a_channel_may_be_held_twice_and_released_twice),
        spec(a_channel_released_and_held_again_goes_on),
        spec(holding_alone_makes_no_event),
        spec(an_idle_engine_closes),
        spec(an_engine_closes_in_the_turn_it_was_made),
        spec(closing_completes_appends_under_way_exactly_once),
        spec(closing_completes_every_kind_of_request_exactly_once),
        spec(requests_made_before_the_engine_is_connected_are_completed_by_a_close),
        spec(an_append_made_before_the_engine_is_connected_is_served),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}
