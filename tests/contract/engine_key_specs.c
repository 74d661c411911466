/* Specs of the engine contract: idempotency keys. */
#include "tests/contract/engine_contract.h"

#include "base/partition.h"

#include <stdio.h>

static struct op *append_keyed(struct node *node, struct span channel, struct span key, const char *text) {
    return append_input(node, channel, &(struct append_input){.data = span_of_text(text), .key = key});
}

static void the_same_key_is_one_publication_and_answers_the_first_position(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "once", &node->bench->history);
    struct op *first = append_keyed(node, channel, SPAN_LITERAL("k1"), "{\"n\":1}");
    append_text(node, channel, "{\"n\":2}");
    struct op *again = append_keyed(node, channel, SPAN_LITERAL("k1"), "{\"n\":1}");
    assert_outcome(again, ENGINE_OK);
    assert_false(first->append.duplicate);
    assert_true(again->append.duplicate);
    assert_true(position_equal(&first->append.position, &again->append.position));
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 2);
    assert_int_equal(append_text(node, channel, "{}")->append.position.offset, 3);
}

static void the_same_key_twice_in_one_turn_is_one_publication(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "turn", &node->bench->history);
    const struct append_input input = {.data = SPAN_LITERAL("{}"), .key = SPAN_LITERAL("k")};
    struct op *one = start_append(node, channel, &input);
    struct op *two = start_append(node, channel, &input);
    wait_for(node, one->n_done > 0 && two->n_done > 0);
    assert_true(position_equal(&one->append.position, &two->append.position));
    assert_false(one->append.duplicate);
    assert_true(two->append.duplicate);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
}

static void a_known_key_twice_in_one_turn_is_still_one_publication(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "known", &node->bench->history);
    const struct append_input input = {.data = SPAN_LITERAL("{}"), .key = SPAN_LITERAL("k")};
    struct op *first = append_input(node, channel, &input);
    struct op *again[3];
    for (size_t i = 0; i < 3; i++) {
        again[i] = start_append(node, channel, &input);
    }
    for (size_t i = 0; i < 3; i++) {
        wait_for(node, again[i]->n_done > 0);
        assert_outcome(again[i], ENGINE_OK);
        assert_true(again[i]->append.duplicate);
        assert_true(position_equal(&first->append.position, &again[i]->append.position));
    }
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
}

static void a_key_with_another_payload_is_refused_and_takes_no_offset(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "reuse", &node->bench->history);
    append_keyed(node, channel, SPAN_LITERAL("k"), "1");
    struct op *refused = append_keyed(node, channel, SPAN_LITERAL("k"), "2");
    assert_outcome(refused, ENGINE_KEY_REUSED);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
    assert_int_equal(append_text(node, channel, "3")->append.position.offset, 2);
}

static void a_refused_reuse_does_not_spoil_the_key(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "spoil", &node->bench->history);
    append_keyed(node, channel, SPAN_LITERAL("k"), "1");
    append_keyed(node, channel, SPAN_LITERAL("k"), "2");
    struct op *again = append_keyed(node, channel, SPAN_LITERAL("k"), "1");
    assert_outcome(again, ENGINE_OK);
    assert_true(again->append.duplicate);
    assert_int_equal(again->append.position.offset, 1);
}

static void the_same_key_in_another_channel_is_another_publication(void **state) {
    struct node *node = bench_node(state);
    struct span one = held_channel(node, "one", &node->bench->history);
    struct span two = held_channel(node, "two", &node->bench->history);
    append_keyed(node, one, SPAN_LITERAL("k"), "1");
    struct op *other = append_keyed(node, two, SPAN_LITERAL("k"), "2");
    assert_outcome(other, ENGINE_OK);
    assert_false(other->append.duplicate);
}

/* x and x:y in one partition, so that a store which joins names and keys with a colon would mistake them. */
static void find_colliding_names(struct node *node, struct span *ret_short, struct span *ret_long) {
    for (unsigned i = 0;; i++) {
        char text[64];
        char longer[80];
        snprintf(text, sizeof text, "%s%u", node->bench->prefix, i);
        snprintf(longer, sizeof longer, "%s:y", text);
        if (partition_of(span_of_text(text), 64) == partition_of(span_of_text(longer), 64)) {
            *ret_short = new_channel(node, text + strlen(node->bench->prefix));
            *ret_long = new_channel(node, longer + strlen(node->bench->prefix));
            return;
        }
    }
}

static void a_key_is_never_mistaken_for_a_part_of_the_channel_name(void **state) {
    struct node *node = bench_node(state);
    struct span name;
    struct span longer;
    find_colliding_names(node, &name, &longer);
    hold_and_join(node, name, &node->bench->history);
    hold_and_join(node, longer, &node->bench->history);
    append_keyed(node, name, SPAN_LITERAL("y:k"), "1");
    struct op *other = append_keyed(node, longer, SPAN_LITERAL("k"), "2");
    assert_outcome(other, ENGINE_OK);
    assert_false(other->append.duplicate);
}

static void keys_are_bytes(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "bytes", &node->bench->history);
    const struct span keys[] = {SPAN_LITERAL("a"),     SPAN_LITERAL("a\0b"), SPAN_LITERAL("a\0c"),
                                SPAN_LITERAL("\xff:"), SPAN_LITERAL(" "),    SPAN_LITERAL("{}")};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct op *op = append_keyed(node, channel, keys[i], "1");
        assert_outcome(op, ENGINE_OK);
        assert_false(op->append.duplicate);
        assert_int_equal(op->append.position.offset, i + 1);
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct op *op = append_keyed(node, channel, keys[i], "1");
        assert_true(op->append.duplicate);
        assert_int_equal(op->append.position.offset, i + 1);
    }
}

static void a_key_works_in_a_channel_without_history(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "plain", &node->bench->plain);
    const struct append_input input = {
        .options = &node->bench->plain, .data = SPAN_LITERAL("{}"), .key = SPAN_LITERAL("k")};
    struct op *first = append_input(node, channel, &input);
    struct op *again = append_input(node, channel, &input);
    assert_false(first->append.duplicate);
    assert_outcome(again, ENGINE_OK);
    assert_true(again->append.duplicate);
    assert_int_equal(again->append.position.offset, 0);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
}

static void a_key_works_for_a_publication_that_skips_history(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "skip", &node->bench->history);
    const struct append_input input = {.data = SPAN_LITERAL("{}"), .key = SPAN_LITERAL("k"), .skip_history = true};
    append_input(node, channel, &input);
    struct op *again = append_input(node, channel, &input);
    assert_true(again->append.duplicate);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
}

static void a_key_outlives_the_publication_it_named(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "trimmed", &node->bench->short_history);
    struct append_input input = {
        .options = &node->bench->short_history, .data = SPAN_LITERAL("first"), .key = SPAN_LITERAL("k")};
    append_input(node, channel, &input);
    remove_history(node, channel, &node->bench->short_history);
    struct op *again = append_input(node, channel, &input);
    assert_true(again->append.duplicate);
    assert_int_equal(again->append.position.offset, 1);
}

static void a_key_is_free_again_after_its_window(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "window", &node->bench->history);
    append_keyed(node, channel, SPAN_LITERAL("k"), "1");
    assert_true(append_keyed(node, channel, SPAN_LITERAL("k"), "1")->append.duplicate);
    bench_pass(node->bench, KEY_TTL_MS + 300);
    struct op *op = append_keyed(node, channel, SPAN_LITERAL("k"), "2");
    assert_outcome(op, ENGINE_OK);
    assert_false(op->append.duplicate);
    assert_int_equal(op->append.position.offset, 2);
}

struct specs key_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(the_same_key_is_one_publication_and_answers_the_first_position),
        spec(the_same_key_twice_in_one_turn_is_one_publication),
        spec(a_known_key_twice_in_one_turn_is_still_one_publication),
        spec(a_key_with_another_payload_is_refused_and_takes_no_offset),
        spec(a_refused_reuse_does_not_spoil_the_key),
        spec(the_same_key_in_another_channel_is_another_publication),
        spec(a_key_is_never_mistaken_for_a_part_of_the_channel_name),
        spec(keys_are_bytes),
        spec(a_key_works_in_a_channel_without_history),
        spec(a_key_works_for_a_publication_that_skips_history),
        spec(a_key_outlives_the_publication_it_named),
        spec(a_key_is_free_again_after_its_window),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}
