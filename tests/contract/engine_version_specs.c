/* Specs of the engine contract: versions. What is not newer than the channel's newest version is neither stored nor
 * told, and its publisher hears where the channel stands. */
#include "tests/contract/engine_contract.h"

static struct op *append_version(struct node *node, struct span channel, uint64_t version, const char *epoch) {
    return append_input(
        node, channel,
        &(struct append_input){.data = SPAN_LITERAL("{}"), .version = version, .version_epoch = span_of_text(epoch)});
}

static void assert_taken(const struct op *op, uint64_t offset) {
    assert_outcome(op, ENGINE_OK);
    assert_false(op->append.suppressed);
    assert_int_equal(op->append.position.offset, offset);
}

static void assert_suppressed(const struct op *op, uint64_t offset) {
    assert_outcome(op, ENGINE_OK);
    assert_true(op->append.suppressed);
    assert_false(op->append.duplicate);
    assert_int_equal(op->append.position.offset, offset);
    assert_false(epoch_is_empty(&op->append.position.epoch));
}

static void a_version_that_is_not_newer_is_neither_stored_nor_told(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "versions", &node->bench->history);
    assert_taken(append_version(node, channel, 5, ""), 1);
    assert_suppressed(append_version(node, channel, 5, ""), 1);
    assert_suppressed(append_version(node, channel, 4, ""), 1);
    assert_taken(append_version(node, channel, 6, ""), 2);
    assert_suppressed(append_version(node, channel, 5, ""), 2);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 2);
}

static void versions_in_one_turn_are_compared_with_each_other(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "turn", &node->bench->history);
    const uint64_t versions[] = {7, 7, 9, 8};
    struct op *ops[4];
    for (size_t i = 0; i < 4; i++) {
        ops[i] =
            start_append(node, channel, &(struct append_input){.data = SPAN_LITERAL("{}"), .version = versions[i]});
    }
    wait_for(node, ops[3]->n_done > 0);
    assert_taken(ops[0], 1);
    assert_suppressed(ops[1], 1);
    assert_taken(ops[2], 2);
    assert_suppressed(ops[3], 2);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 2);
}

static void publications_without_a_version_pass_and_leave_it_as_it_is(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "mixed", &node->bench->history);
    assert_taken(append_text(node, channel, "{}"), 1);
    assert_taken(append_version(node, channel, 3, ""), 2);
    assert_taken(append_text(node, channel, "{}"), 3);
    assert_suppressed(append_version(node, channel, 3, ""), 3);
    assert_taken(append_version(node, channel, 4, ""), 4);
}

static void another_version_epoch_begins_anew(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "epochs", &node->bench->history);
    assert_taken(append_version(node, channel, 100, "one"), 1);
    assert_suppressed(append_version(node, channel, 99, "one"), 1);
    assert_taken(append_version(node, channel, 1, "two"), 2);
    assert_suppressed(append_version(node, channel, 1, "two"), 2);
    /* None given: of every epoch. */
    assert_suppressed(append_version(node, channel, 1, ""), 2);
    assert_taken(append_version(node, channel, 2, "two"), 3);
}

static void the_greatest_version_and_the_longest_epoch_are_kept_exactly(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "great", &node->bench->history);
    char epoch[WIRE_VERSION_EPOCH_MAX + 1] = {0};
    memset(epoch, 'e', WIRE_VERSION_EPOCH_MAX);
    assert_taken(append_version(node, channel, OFFSET_MAX - 1, epoch), 1);
    assert_suppressed(append_version(node, channel, OFFSET_MAX - 1, epoch), 1);
    assert_taken(append_version(node, channel, OFFSET_MAX, epoch), 2);
    assert_suppressed(append_version(node, channel, OFFSET_MAX, epoch), 2);
    epoch[WIRE_VERSION_EPOCH_MAX - 1] = 'f';
    assert_taken(append_version(node, channel, 1, epoch), 3);
}

static void a_known_key_answers_before_its_version_is_looked_at(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "keyed", &node->bench->history);
    const struct append_input input = {.data = SPAN_LITERAL("1"), .key = SPAN_LITERAL("k"), .version = 1};
    assert_taken(append_input(node, channel, &input), 1);
    assert_taken(append_version(node, channel, 2, ""), 2);
    struct op *again = append_input(node, channel, &input);
    assert_outcome(again, ENGINE_OK);
    assert_true(again->append.duplicate);
    assert_false(again->append.suppressed);
    assert_int_equal(again->append.position.offset, 1);
}

static void what_was_suppressed_does_not_take_its_key(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "free", &node->bench->history);
    assert_taken(append_version(node, channel, 5, ""), 1);
    const struct append_input old = {.data = SPAN_LITERAL("old"), .key = SPAN_LITERAL("k"), .version = 4};
    assert_suppressed(append_input(node, channel, &old), 1);
    assert_suppressed(append_input(node, channel, &old), 1);
    const struct append_input next = {.data = SPAN_LITERAL("new"), .key = SPAN_LITERAL("k"), .version = 6};
    assert_taken(append_input(node, channel, &next), 2);
}

static void a_version_outlives_the_history_and_goes_with_the_epoch(void **state) {
    struct node *node = bench_node(state);
    struct span channel = new_channel(node, "gone");
    const struct append_input input = {.options = &node->bench->brief, .data = SPAN_LITERAL("{}"), .version = 2};
    struct op *first = append_input(node, channel, &input);
    assert_taken(first, 1);
    remove_history(node, channel, &node->bench->brief);
    assert_suppressed(append_input(node, channel, &input), 1);
    bench_pass(node->bench, 3000);
    struct op *anew = append_input(node, channel, &input);
    assert_taken(anew, 1);
    assert_false(epoch_equal(&anew->append.position.epoch, &first->append.position.epoch));
}

static void versions_of_two_channels_have_nothing_to_do_with_each_other(void **state) {
    struct node *node = bench_node(state);
    struct span one = held_channel(node, "one", &node->bench->history);
    struct span two = held_channel(node, "two", &node->bench->history);
    assert_taken(append_version(node, one, 9, ""), 1);
    assert_taken(append_version(node, two, 1, ""), 1);
    assert_suppressed(append_version(node, one, 9, ""), 1);
}

struct specs version_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(a_version_that_is_not_newer_is_neither_stored_nor_told),
        spec(versions_in_one_turn_are_compared_with_each_other),
        spec(publications_without_a_version_pass_and_leave_it_as_it_is),
        spec(another_version_epoch_begins_anew),
        spec(the_greatest_version_and_the_longest_epoch_are_kept_exactly),
        spec(a_known_key_answers_before_its_version_is_looked_at),
        spec(what_was_suppressed_does_not_take_its_key),
        spec(a_version_outlives_the_history_and_goes_with_the_epoch),
        spec(versions_of_two_channels_have_nothing_to_do_with_each_other),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}
