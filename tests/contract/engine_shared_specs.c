/* Specs of the engine contract for engines that share a store: two brokers on one Redis. */
#include "tests/contract/engine_contract.h"

#include <stdio.h>

/* A channel that both engines hold and are sure of. */
static struct span shared_channel(struct node *one, struct node *two, const struct namespace_options *options) {
    struct span channel = held_channel(one, "shared", options);
    hold_and_join(two, channel, options);
    return channel;
}

static void the_other_engine_is_told_every_publication_once_and_in_order(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->history);
    append_many(one, channel, &one->bench->history, 100);
    wait_for(one, count_records(two, RECORD_PUBLICATION, channel) >= 100);
    assert_int_equal(count_records(two, RECORD_PUBLICATION, channel), 100);
    for (size_t i = 0; i < 100; i++) {
        const struct record *here = nth_record(one, RECORD_PUBLICATION, channel, i);
        const struct record *there = nth_record(two, RECORD_PUBLICATION, channel, i);
        assert_int_equal(there->offset, i + 1);
        assert_true(epoch_equal(&here->epoch, &there->epoch));
        assert_true(span_equal(payload_span(here->publication), payload_span(there->publication)));
    }
}

static void two_writers_share_one_dense_row_of_offsets(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->history);
    struct op *ops[200];
    for (size_t i = 0; i < 200; i++) {
        ops[i] = start_append(i % 2 == 0 ? one : two, channel, &(struct append_input){.data = SPAN_LITERAL("{}")});
        if (i % 10 == 0) {
            bench_turn(one->bench, "a turn");
        }
    }
    for (size_t i = 0; i < 200; i++) {
        wait_for(one, ops[i]->n_done > 0);
        assert_outcome(ops[i], ENGINE_OK);
    }
    wait_for(one, count_records(one, RECORD_PUBLICATION, channel) >= 200 &&
                      count_records(two, RECORD_PUBLICATION, channel) >= 200);
    for (size_t i = 0; i < 200; i++) {
        const struct record *here = nth_record(one, RECORD_PUBLICATION, channel, i);
        const struct record *there = nth_record(two, RECORD_PUBLICATION, channel, i);
        assert_int_equal(here->offset, i + 1);
        assert_int_equal(there->offset, i + 1);
        assert_true(span_equal(payload_span(here->publication), payload_span(there->publication)));
    }
}

static void publications_without_history_reach_the_other_engine(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->plain);
    append_many(one, channel, &one->bench->plain, 10);
    wait_for(one, count_records(two, RECORD_PUBLICATION, channel) >= 10);
    assert_int_equal(nth_record(two, RECORD_PUBLICATION, channel, 9)->offset, 0);
}

static void a_key_used_at_one_engine_is_known_at_the_other(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->history);
    const struct append_input input = {.data = SPAN_LITERAL("{}"), .key = SPAN_LITERAL("k")};
    struct op *first = append_input(one, channel, &input);
    struct op *again = append_input(two, channel, &input);
    assert_true(again->append.duplicate);
    assert_true(position_equal(&first->append.position, &again->append.position));
}

static void history_written_at_one_engine_is_read_at_the_other(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->history);
    append_many(one, channel, &one->bench->history, 5);
    struct op *here = read_input(one, channel, &(struct read_input){.limit = 10});
    struct op *there = read_input(two, channel, &(struct read_input){.limit = 10});
    assert_true(position_equal(&here->read.top, &there->read.top));
    assert_offsets(there, 1, 5);
}

static void an_empty_channel_has_the_same_epoch_at_both_engines(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->history);
    struct op *here = start_read(one, channel, &(struct read_input){.limit = 0});
    struct op *there = start_read(two, channel, &(struct read_input){.limit = 0});
    wait_for(one, here->n_done > 0 && there->n_done > 0);
    assert_true(position_equal(&here->read.top, &there->read.top));
}

static void history_removed_at_one_engine_is_gone_at_the_other(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->history);
    append_many(one, channel, &one->bench->history, 5);
    remove_history(two, channel, &one->bench->history);
    struct op *read = read_input(one, channel, &(struct read_input){.limit = 10});
    assert_no_publications(read);
    assert_int_equal(read->read.top.offset, 5);
    wait_for(one, count_records(one, RECORD_REMOVED, channel) >= 1);
    const struct record *removed = nth_record(one, RECORD_REMOVED, channel, 0);
    assert_int_equal(removed->offset, 5);
    assert_true(epoch_equal(&removed->epoch, &read->read.top.epoch));
}

static void members_set_at_one_engine_join_and_leave_at_the_other(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->plain);
    set_member(one, channel, &(struct member_input){.client = "c", .user = "u", .gateway = "g", .lease = 5});
    wait_for(one, count_records(two, RECORD_JOINED, channel) == 1);
    assert_int_equal(read_members(two, channel)->n, 1);
    clear_member(two, channel, "c");
    wait_for(one, count_records(one, RECORD_LEFT, channel) == 1);
    assert_int_equal(read_members(one, channel)->n, 0);
}

static void a_lease_renewed_at_one_engine_is_told_at_the_other(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    char gateway[32];
    snprintf(gateway, sizeof gateway, "%sgw", one->bench->prefix);
    renew_lease(one, gateway, 9, 10);
    wait_for(one, find_lease(one, gateway) != NULL && find_lease(two, gateway) != NULL);
    assert_true(find_lease(one, gateway)->number == find_lease(two, gateway)->number);
}

static void a_lease_may_be_renewed_by_another_engine(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    char gateway[32];
    snprintf(gateway, sizeof gateway, "%sgw", one->bench->prefix);
    renew_lease(one, gateway, 9, 10);
    wait_for(one, find_lease(two, gateway) != NULL);
    uint64_t number = find_lease(two, gateway)->number;
    for (int i = 0; i < 12; i++) {
        bench_pass(one->bench, 500);
        renew_lease(two, gateway, 9, 11);
    }
    wait_for(one, find_lease(one, gateway) != NULL && find_lease(one, gateway)->connections == 11);
    assert_true(find_lease(one, gateway)->number == number);
}

static void an_engine_that_closes_does_not_disturb_the_other(void **state) {
    struct node *one = bench_node(state);
    struct node *two = bench_second(one);
    struct span channel = shared_channel(one, two, &one->bench->history);
    append_many(one, channel, &one->bench->history, 5);
    node_close(one);
    struct op *op = append_text(two, channel, "{}");
    assert_outcome(op, ENGINE_OK);
    assert_int_equal(op->append.position.offset, 6);
}

static void a_second_engine_goes_on_where_the_first_left(void **state) {
    struct node *one = bench_node(state);
    struct span channel = held_channel(one, "left", &one->bench->history);
    struct op *before = append_text(one, channel, "1");
    node_close(one);
    struct node *two = bench_second(one);
    hold_and_join(two, channel, &one->bench->history);
    struct op *after = append_text(two, channel, "2");
    assert_int_equal(after->append.position.offset, 2);
    assert_true(epoch_equal(&before->append.position.epoch, &after->append.position.epoch));
}

struct specs shared_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(the_other_engine_is_told_every_publication_once_and_in_order),
        spec(two_writers_share_one_dense_row_of_offsets),
        spec(publications_without_history_reach_the_other_engine),
        spec(a_key_used_at_one_engine_is_known_at_the_other),
        spec(history_written_at_one_engine_is_read_at_the_other),
        spec(an_empty_channel_has_the_same_epoch_at_both_engines),
        spec(history_removed_at_one_engine_is_gone_at_the_other),
        spec(members_set_at_one_engine_join_and_leave_at_the_other),
        spec(a_lease_renewed_at_one_engine_is_told_at_the_other),
        spec(a_lease_may_be_renewed_by_another_engine),
        spec(an_engine_that_closes_does_not_disturb_the_other),
        spec(a_second_engine_goes_on_where_the_first_left),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}
