/* Specs of the engine contract: appending, and what is told of it. */
#include "tests/contract/engine_contract.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>

static void the_first_publication_of_a_channel_has_offset_one(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "first", &node->bench->history);
    struct op *op = append_text(node, channel, "{}");
    assert_outcome(op, ENGINE_OK);
    assert_int_equal(op->append.position.offset, 1);
    assert_false(op->append.duplicate);
    assert_false(op->append.not_durable);
}

static void an_epoch_has_at_least_12_characters_without_spaces(void **state) {
    struct node *node = bench_node(state);
    struct op *op = append_text(node, held_channel(node, "epoch", &node->bench->history), "{}");
    const char *text = op->append.position.epoch.text;
    assert_true(strlen(text) >= 12);
    assert_int_equal(strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), strlen(text));
}

static void offsets_are_dense_in_the_order_of_the_calls(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "dense", &node->bench->history);
    struct op *ops[200];
    for (size_t i = 0; i < 200; i++) {
        ops[i] = start_append(node, channel, &(struct append_input){.data = span_of_text("{}")});
    }
    wait_for(node, ops[199]->n_done > 0);
    for (size_t i = 0; i < 200; i++) {
        assert_outcome(ops[i], ENGINE_OK);
        assert_int_equal(ops[i]->append.position.offset, i + 1);
        assert_true(epoch_equal(&ops[i]->append.position.epoch, &ops[0]->append.position.epoch));
    }
}

static void completions_of_a_channel_come_in_the_order_of_the_calls(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "order", &node->bench->history);
    struct op *ops[50];
    for (size_t i = 0; i < 50; i++) {
        ops[i] = start_append(node, channel, &(struct append_input){.data = span_of_text("{}")});
    }
    wait_for(node, ops[49]->n_done > 0);
    for (size_t i = 1; i < 50; i++) {
        assert_true(ops[i - 1]->done_at < ops[i]->done_at);
    }
}

static void two_channels_have_offsets_and_epochs_of_their_own(void **state) {
    struct node *node = bench_node(state);
    struct span one = held_channel(node, "one", &node->bench->history);
    struct span two = held_channel(node, "two", &node->bench->history);
    append_many(node, one, &node->bench->history, 3);
    struct op *in_one = append_text(node, one, "{}");
    struct op *in_two = append_text(node, two, "{}");
    assert_int_equal(in_one->append.position.offset, 4);
    assert_int_equal(in_two->append.position.offset, 1);
    assert_false(epoch_equal(&in_one->append.position.epoch, &in_two->append.position.epoch));
}

static void the_event_of_an_own_append_comes_before_its_completion(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "event", &node->bench->history);
    struct op *op = append_text(node, channel, "{\"a\":1}");
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
    const struct record *record = nth_record(node, RECORD_PUBLICATION, channel, 0);
    assert_true((size_t) (record - node->records) < op->done_at);
    assert_int_equal(record->offset, 1);
    assert_true(epoch_equal(&record->epoch, &op->append.position.epoch));
}

static void events_come_in_offset_order_each_once(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "events", &node->bench->history);
    append_many(node, channel, &node->bench->history, 150);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 150);
    for (size_t i = 0; i < 150; i++) {
        assert_int_equal(nth_record(node, RECORD_PUBLICATION, channel, i)->offset, i + 1);
    }
}

static void an_event_carries_the_encoded_publication(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "whole", &node->bench->history);
    struct buffer info = BUFFER_EMPTY;
    struct buffer tags = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.user = SPAN_LITERAL("u"), .client = SPAN_LITERAL("c")});
    wire_append_tag(&tags, &(struct wire_tag){SPAN_LITERAL("k"), SPAN_LITERAL("v")});
    int64_t before_ms = clock_wall_ms();
    append_input(node, channel,
                 &(struct append_input){
                     .data = SPAN_LITERAL("{\"a\":1}"), .info = buffer_span(&info), .tags = buffer_span(&tags)});
    struct wire_publication told = publication_of(nth_record(node, RECORD_PUBLICATION, channel, 0)->publication);
    assert_int_equal(told.offset, 1);
    assert_int_equal(told.flags, 0);
    assert_in_range(told.time_ms, before_ms - 1, clock_wall_ms() + 1);
    assert_span(told.data, "{\"a\":1}");
    assert_true(span_equal(told.info, buffer_span(&info)));
    assert_true(span_equal(told.tags, buffer_span(&tags)));
    buffer_finish(&info);
    buffer_finish(&tags);
}

static void a_publication_of_a_binary_namespace_is_marked_so(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "marked", &node->bench->binary);
    append_input(node, channel,
                 &(struct append_input){.options = &node->bench->binary, .data = span_of("\x00\xff", 2)});
    struct wire_publication told = publication_of(nth_record(node, RECORD_PUBLICATION, channel, 0)->publication);
    assert_int_equal(told.flags, WIRE_PUBLICATION_BINARY);
    struct op *read = read_input(node, channel, &(struct read_input){.limit = 1});
    assert_int_equal(publication_of(read->publications[0]).flags, WIRE_PUBLICATION_BINARY);
}

static void check_round_trip(struct node *node, struct span channel, struct span data) {
    append_input(node, channel, &(struct append_input){.data = data});
    struct op *read = read_input(node, channel, &(struct read_input){.limit = 1, .reverse = true});
    assert_int_equal(read->n, 1);
    size_t n_told = count_records(node, RECORD_PUBLICATION, channel);
    const payload_t *told = nth_record(node, RECORD_PUBLICATION, channel, n_told - 1)->publication;
    assert_true(span_equal(publication_of(told).data, data));
    assert_true(span_equal(publication_of(read->publications[0]).data, data));
    assert_true(span_equal(payload_span(told), payload_span(read->publications[0])));
}

static void every_byte_value_travels_unchanged(void **state) {
    struct node *node = bench_node(state);
    uint8_t data[512];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t) i;
    }
    check_round_trip(node, held_channel(node, "bytes", &node->bench->history), span_of(data, sizeof data));
}

static void invalid_UTF_8_and_NUL_travel_unchanged(void **state) {
    struct node *node = bench_node(state);
    static const char data[] = "\xff\xfe\x00\xc3\x28\xed\xa0\x80\xf4\x90\x80\x80\r\n\x00";
    check_round_trip(node, held_channel(node, "utf8", &node->bench->history), span_of(data, sizeof data));
}

static void text_that_looks_like_a_number_or_a_command_travels_unchanged(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "numbers", &node->bench->history);
    check_round_trip(node, channel, SPAN_LITERAL("123456789012345678901234567890"));
    check_round_trip(node, channel, SPAN_LITERAL("1e+14"));
    check_round_trip(node, channel, SPAN_LITERAL("*3\r\n$3\r\nSET\r\n"));
    check_round_trip(node, channel, SPAN_LITERAL("%s%n%d"));
}

static void an_empty_payload_is_a_publication(void **state) {
    struct node *node = bench_node(state);
    check_round_trip(node, held_channel(node, "empty", &node->bench->history), SPAN_EMPTY);
}

static void a_payload_of_1_MiB_travels_unchanged(void **state) {
    struct node *node = bench_node(state);
    size_t size = (size_t) 1 << 20;
    uint8_t *data = memory_alloc(size);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t) (i * 2654435761u >> 13);
    }
    check_round_trip(node, held_channel(node, "large", &node->bench->history), span_of(data, size));
    memory_free(data);
}

static void a_payload_that_no_frame_can_carry_is_refused_and_takes_no_offset(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "huge", &node->bench->history);
    uint8_t *data = memory_alloc_zero(WIRE_FRAME_MAX);
    struct op *refused = append_input(node, channel, &(struct append_input){.data = span_of(data, WIRE_FRAME_MAX)});
    memory_free(data);
    assert_outcome(refused, ENGINE_TOO_LARGE);
    struct op *next = append_text(node, channel, "{}");
    assert_int_equal(next->append.position.offset, 1);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
}

/* Not "too large", which nobody would try again. */
static void when_memory_is_out_a_publication_is_refused_for_now(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "short", &node->bench->history);
    size_t size = (size_t) 300 << 10; /* more than was needed before */
    uint8_t *data = memory_alloc_zero(size);
    memory_fail_nth_try(1);
    struct op *refused = append_input(node, channel, &(struct append_input){.data = span_of(data, size)});
    memory_fail_nth_try(0);
    memory_free(data);
    assert_outcome(refused, ENGINE_FULL);
    struct op *next = append_text(node, channel, "{}");
    assert_outcome(next, ENGINE_OK);
    assert_int_equal(next->append.position.offset, 1);
}

static void check_name(struct node *node, struct span name) {
    struct span channel = new_channel_of(node, name);
    hold_and_join(node, channel, &node->bench->history);
    struct op *first = append_text(node, channel, "{}");
    assert_outcome(first, ENGINE_OK);
    assert_int_equal(first->append.position.offset, 1);
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 1);
    assert_offsets(read_input(node, channel, &(struct read_input){.limit = 10}), 1, 1);
}

static void channel_names_may_have_any_printable_byte(void **state) {
    struct node *node = bench_node(state);
    check_name(node, SPAN_LITERAL("!#$%&()+,-./0123456789:;<=>@ABCDEFGHIJKLMNOPQRSTUVWXYZ^_abcxyz|~"));
    check_name(node, SPAN_LITERAL("$private:room#42,43"));
    check_name(node, SPAN_LITERAL("::"));
    check_name(node, SPAN_LITERAL("{tag}"));
}

static void channel_names_are_bytes(void **state) {
    struct node *node = bench_node(state);
    check_name(node, SPAN_LITERAL("with space\r\n"));
    check_name(node, SPAN_LITERAL("nul\0one"));
    check_name(node, SPAN_LITERAL("nul\0two"));
    check_name(node, SPAN_LITERAL("\xff\xfe\x80"));
}

static void a_channel_name_may_have_255_bytes(void **state) {
    struct node *node = bench_node(state);
    char name[255];
    memset(name, 'n', sizeof name);
    check_name(node, span_of(name, sizeof name - strlen(node->bench->prefix)));
}

static void names_that_are_prefixes_of_each_other_are_different_channels(void **state) {
    struct node *node = bench_node(state);
    check_name(node, SPAN_LITERAL("a"));
    check_name(node, SPAN_LITERAL("a:"));
    check_name(node, SPAN_LITERAL("a:b"));
    check_name(node, SPAN_LITERAL("A"));
}

static void a_channel_without_history_has_no_position(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "plain", &node->bench->plain);
    struct op *op =
        append_input(node, channel, &(struct append_input){.options = &node->bench->plain, .data = SPAN_LITERAL("1")});
    assert_outcome(op, ENGINE_OK);
    assert_true(epoch_is_empty(&op->append.position.epoch));
    assert_int_equal(op->append.position.offset, 0);
}

static void the_event_of_a_channel_without_history_has_offset_zero(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "plain", &node->bench->plain);
    for (int i = 0; i < 3; i++) {
        append_input(node, channel,
                     &(struct append_input){.options = &node->bench->plain, .data = SPAN_LITERAL("\"x\"")});
    }
    assert_int_equal(count_records(node, RECORD_PUBLICATION, channel), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct record *record = nth_record(node, RECORD_PUBLICATION, channel, i);
        assert_int_equal(record->offset, 0);
        assert_int_equal(publication_of(record->publication).offset, 0);
        assert_span(publication_of(record->publication).data, "\"x\"");
    }
}

static void a_publication_that_skips_history_is_told_and_takes_no_offset(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "skip", &node->bench->history);
    append_text(node, channel, "1");
    struct op *skipped =
        append_input(node, channel, &(struct append_input){.data = SPAN_LITERAL("2"), .skip_history = true});
    struct op *next = append_text(node, channel, "3");
    assert_outcome(skipped, ENGINE_OK);
    assert_int_equal(skipped->append.position.offset, 0);
    assert_true(epoch_is_empty(&skipped->append.position.epoch));
    assert_int_equal(next->append.position.offset, 2);
    assert_int_equal(nth_record(node, RECORD_PUBLICATION, channel, 1)->offset, 0);
    assert_offsets(read_input(node, channel, &(struct read_input){.limit = 10}), 1, 2);
}

static void publications_with_and_without_history_keep_the_order_of_the_calls(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "mixed", &node->bench->history);
    struct op *last = NULL;
    for (unsigned i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        last =
            start_append(node, channel, &(struct append_input){.data = span_of_text(text), .skip_history = i % 2 == 1});
    }
    wait_for(node, last->n_done > 0);
    for (unsigned i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        assert_span(publication_of(nth_record(node, RECORD_PUBLICATION, channel, i)->publication).data, text);
    }
}

static void many_channels_are_served_side_by_side(void **state) {
    struct node *node = bench_node(state);
    enum { N = 300, EACH = 3 };
    struct op *ops[N * EACH];
    for (size_t i = 0; i < N * EACH; i++) {
        char text[64];
        snprintf(text, sizeof text, "%smany.%zu", node->bench->prefix, i % N);
        if (i < N) {
            node_hold(node, span_of_text(text), &node->bench->history);
        }
        ops[i] = start_append(node, span_of_text(text), &(struct append_input){.data = SPAN_LITERAL("{}")});
    }
    for (size_t i = 0; i < N * EACH; i++) {
        wait_for(node, ops[i]->n_done > 0);
        assert_outcome(ops[i], ENGINE_OK);
        assert_int_equal(ops[i]->append.position.offset, i / N + 1);
    }
}

static void an_unheld_channel_takes_appends_too(void **state) {
    struct node *node = bench_node(state);
    struct span channel = new_channel(node, "unheld");
    struct op *op = append_text(node, channel, "{}");
    assert_outcome(op, ENGINE_OK);
    assert_int_equal(op->append.position.offset, 1);
}

struct specs append_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(the_first_publication_of_a_channel_has_offset_one),
        spec(an_epoch_has_at_least_12_characters_without_spaces),
        spec(offsets_are_dense_in_the_order_of_the_calls),
        spec(completions_of_a_channel_come_in_the_order_of_the_calls),
        spec(two_channels_have_offsets_and_epochs_of_their_own),
        spec(the_event_of_an_own_append_comes_before_its_completion),
        spec(events_come_in_offset_order_each_once),
        spec(an_event_carries_the_encoded_publication),
        spec(a_publication_of_a_binary_namespace_is_marked_so),
        spec(every_byte_value_travels_unchanged),
        spec(invalid_UTF_8_and_NUL_travel_unchanged),
        spec(text_that_looks_like_a_number_or_a_command_travels_unchanged),
        spec(an_empty_payload_is_a_publication),
        spec(a_payload_of_1_MiB_travels_unchanged),
        spec(a_payload_that_no_frame_can_carry_is_refused_and_takes_no_offset),
        spec(when_memory_is_out_a_publication_is_refused_for_now),
        spec(channel_names_may_have_any_printable_byte),
        spec(channel_names_are_bytes),
        spec(a_channel_name_may_have_255_bytes),
        spec(names_that_are_prefixes_of_each_other_are_different_channels),
        spec(a_channel_without_history_has_no_position),
        spec(the_event_of_a_channel_without_history_has_offset_zero),
        spec(a_publication_that_skips_history_is_told_and_takes_no_offset),
        spec(publications_with_and_without_history_keep_the_order_of_the_calls),
        spec(many_channels_are_served_side_by_side),
        spec(an_unheld_channel_takes_appends_too),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}
