/* Specs of the engine contract: positions, history, recovery, expiry, removal. */
#include "tests/contract/engine_contract.h"

#include "base/clock.h"

static struct span filled_channel(struct node *node, const struct namespace_options *options, unsigned n) {
    struct span channel = held_channel(node, "filled", options);
    append_many(node, channel, options, n);
    return channel;
}

static struct op *read_since(struct node *node, struct span channel, const struct namespace_options *options,
                             struct position since, uint32_t limit) {
    return read_input(node, channel,
                      &(struct read_input){.options = options, .has_since = true, .since = since, .limit = limit});
}

static struct position top_of(struct node *node, struct span channel, const struct namespace_options *options) {
    return read_input(node, channel, &(struct read_input){.options = options})->read.top;
}

static struct position at(struct position top, uint64_t offset) {
    return (struct position){.epoch = top.epoch, .offset = offset};
}

static void an_empty_channel_has_an_epoch_and_offset_zero(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "empty", &node->bench->history);
    struct op *op = read_input(node, channel, &(struct read_input){.limit = 10});
    assert_false(epoch_is_empty(&op->read.top.epoch));
    assert_int_equal(op->read.top.offset, 0);
    assert_true(op->read.epoch_matches);
    assert_no_publications(op);
}

static void the_epoch_of_an_empty_channel_is_that_of_its_first_publication(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "empty", &node->bench->history);
    struct position before = top_of(node, channel, &node->bench->history);
    struct position again = top_of(node, channel, &node->bench->history);
    struct op *op = append_text(node, channel, "{}");
    assert_true(position_equal(&before, &again));
    assert_true(epoch_equal(&before.epoch, &op->append.position.epoch));
}

static void a_channel_without_history_reads_as_nothing(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->plain, 3);
    struct op *op = read_input(node, channel, &(struct read_input){.options = &node->bench->plain, .limit = 10});
    assert_true(epoch_is_empty(&op->read.top.epoch));
    assert_int_equal(op->read.top.offset, 0);
    assert_no_publications(op);
}

static void limit_zero_reads_only_the_position(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 7);
    struct op *op = read_input(node, channel, &(struct read_input){.limit = 0});
    assert_int_equal(op->read.top.offset, 7);
    assert_no_publications(op);
}

static void without_since_the_oldest_come_first_up_to_the_limit(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 10);
    assert_offsets(read_input(node, channel, &(struct read_input){.limit = 100}), 1, 10);
    struct op *cut = read_input(node, channel, &(struct read_input){.limit = 4});
    assert_offsets(cut, 1, 4);
    assert_int_equal(cut->read.top.offset, 10);
}

static void reverse_reads_the_newest_first(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 10);
    assert_offsets(read_input(node, channel, &(struct read_input){.limit = 100, .reverse = true}), 10, 1);
    assert_offsets(read_input(node, channel, &(struct read_input){.limit = 3, .reverse = true}), 10, 8);
}

static void reverse_since_reads_what_is_below(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 10);
    struct position top = top_of(node, channel, &node->bench->history);
    struct read_input input = {.has_since = true, .since = at(top, 6), .reverse = true, .limit = 3};
    assert_offsets(read_input(node, channel, &input), 5, 3);
    input.since.offset = 1;
    assert_no_publications(read_input(node, channel, &input));
}

static void reverse_since_zero_reads_from_the_end(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 10);
    const struct read_input input = {.has_since = true, .reverse = true, .limit = 2};
    assert_offsets(read_input(node, channel, &input), 10, 9);
}

static void since_reads_everything_after_it(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 10);
    struct position top = top_of(node, channel, &node->bench->history);
    struct op *op = read_since(node, channel, NULL, at(top, 6), 100);
    assert_true(op->read.epoch_matches);
    assert_true(op->read.complete);
    assert_true(position_equal(&op->read.top, &top));
    assert_offsets(op, 7, 10);
}

static void since_zero_reads_from_the_first(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 4);
    struct op *op = read_since(node, channel, NULL, at(top_of(node, channel, &node->bench->history), 0), 100);
    assert_true(op->read.complete);
    assert_offsets(op, 1, 4);
}

static void since_the_top_reads_nothing_and_is_complete(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 4);
    struct position top = top_of(node, channel, &node->bench->history);
    struct op *op = read_since(node, channel, NULL, top, 100);
    assert_true(op->read.complete);
    assert_no_publications(op);
    struct op *only_position = read_since(node, channel, NULL, top, 0);
    assert_true(only_position->read.complete);
}

static void since_the_position_of_an_empty_channel_is_complete(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "empty", &node->bench->history);
    struct op *op = read_since(node, channel, NULL, top_of(node, channel, &node->bench->history), 10);
    assert_true(op->read.epoch_matches);
    assert_true(op->read.complete);
    assert_no_publications(op);
}

static void since_beyond_the_top_is_not_complete(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 4);
    struct position top = top_of(node, channel, &node->bench->history);
    struct op *op = read_since(node, channel, NULL, at(top, 5), 100);
    assert_true(op->read.epoch_matches);
    assert_false(op->read.complete);
    assert_no_publications(op);
    assert_true(position_equal(&op->read.top, &top));
}

static void a_client_s_since_beyond_the_top_does_not_change_the_epoch(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 4);
    struct position top = top_of(node, channel, &node->bench->history);
    read_since(node, channel, NULL, at(top, OFFSET_MAX), 100);
    struct position after = top_of(node, channel, &node->bench->history);
    assert_true(position_equal(&top, &after));
    assert_int_equal(append_text(node, channel, "{}")->append.position.offset, 5);
}

static void a_limit_cuts_the_range_at_its_end_and_leaves_it_complete(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 10);
    struct op *op = read_since(node, channel, NULL, at(top_of(node, channel, &node->bench->history), 2), 5);
    assert_true(op->read.complete);
    assert_offsets(op, 3, 7);
    assert_int_equal(op->read.top.offset, 10);
}

static void another_epoch_reads_nothing_and_tells_the_top(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 4);
    struct position since = {.epoch = epoch_from(SPAN_LITERAL("0123456789abcdef")), .offset = 2};
    struct op *op = read_since(node, channel, NULL, since, 100);
    assert_false(op->read.epoch_matches);
    assert_false(op->read.complete);
    assert_no_publications(op);
    assert_int_equal(op->read.top.offset, 4);
    assert_false(epoch_is_empty(&op->read.top.epoch));
}

static void the_epoch_that_never_matches_does_not_match(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 1);
    struct op *op = read_since(node, channel, NULL, (struct position){epoch_from(SPAN_LITERAL("_")), 1}, 100);
    assert_false(op->read.epoch_matches);
}

static void an_empty_epoch_matches_any(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 4);
    struct op *op = read_since(node, channel, NULL, (struct position){.offset = 2}, 100);
    assert_true(op->read.epoch_matches);
    assert_true(op->read.complete);
    assert_offsets(op, 3, 4);
}

static void a_bound_of_bytes_cuts_after_at_least_one(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "bytes", &node->bench->history);
    char text[1000];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 6; i++) {
        append_input(node, channel, &(struct append_input){.data = span_of(text, sizeof text)});
    }
    struct read_input input = {.has_since = true, .limit = 100, .bytes_limit = 3500};
    struct op *some = read_input(node, channel, &input);
    assert_true(some->read.complete);
    assert_offsets(some, 1, 3);
    input.bytes_limit = 10;
    assert_offsets(read_input(node, channel, &input), 1, 1);
}

static void a_completed_append_is_in_every_later_read(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "later", &node->bench->history);
    for (uint64_t i = 1; i <= 20; i++) {
        append_text(node, channel, "{}");
        struct op *op = read_input(node, channel, &(struct read_input){.limit = 1, .reverse = true});
        assert_offsets(op, i, i);
    }
}

static void never_more_than_history_size_are_told(void **state) {
    struct node *node = bench_node(state);
    const struct namespace_options *options = &node->bench->short_history;
    struct span channel = filled_channel(node, options, 12);
    struct op *op = read_input(node, channel, &(struct read_input){.options = options, .limit = 100});
    assert_int_equal(op->read.top.offset, 12);
    assert_offsets(op, 8, 12);
    struct op *newest =
        read_input(node, channel, &(struct read_input){.options = options, .limit = 100, .reverse = true});
    assert_offsets(newest, 12, 8);
}

static void recovery_is_all_or_nothing_where_history_was_trimmed(void **state) {
    struct node *node = bench_node(state);
    const struct namespace_options *options = &node->bench->short_history;
    struct span channel = filled_channel(node, options, 500);
    struct position top = top_of(node, channel, options);
    assert_false(read_since(node, channel, options, at(top, 10), 1000)->read.complete);
    assert_false(read_since(node, channel, options, at(top, 494), 1000)->read.complete);
    struct op *just = read_since(node, channel, options, at(top, 495), 1000);
    assert_true(just->read.complete);
    assert_offsets(just, 496, 500);
}

static void history_goes_after_its_ttl_and_the_position_stays(void **state) {
    struct node *node = bench_node(state);
    struct namespace_options options = node->bench->history;
    options.history_ttl_ms = 1000;
    struct span channel = filled_channel(node, &options, 3);
    struct position top = top_of(node, channel, &options);
    struct op *op = NULL;
    wait_for(node, (op = read_input(node, channel, &(struct read_input){.options = &options, .limit = 10}))->n == 0);
    assert_true(position_equal(&op->read.top, &top));
    assert_false(read_since(node, channel, &options, at(top, 1), 10)->read.complete);
    assert_true(read_since(node, channel, &options, top, 10)->read.complete);
    struct op *next =
        append_input(node, channel, &(struct append_input){.options = &options, .data = SPAN_LITERAL("{}")});
    assert_int_equal(next->append.position.offset, 4);
    assert_true(epoch_equal(&next->append.position.epoch, &top.epoch));
}

/* Published every 40 ms, the stream never expires as a whole. */
static void in_a_channel_that_never_rests_the_old_go_and_the_young_stay(void **state) {
    enum { TTL_MS = 600, N = 75, SLACK_MS = 500 };
    struct node *node = bench_node(state);
    struct namespace_options options = node->bench->history;
    options.history_ttl_ms = TTL_MS;
    struct span channel = held_channel(node, "restless", &options);
    uint64_t begun_ms[N + 1] = {0};
    for (unsigned i = 1; i <= N; i++) {
        begun_ms[i] = clock_monotonic_ms();
        append_input(node, channel, &(struct append_input){.options = &options, .data = SPAN_LITERAL("{}")});
        bench_pass(node->bench, 40);
    }
    struct op *op = read_input(node, channel, &(struct read_input){.options = &options, .limit = 1000});
    uint64_t now_ms = clock_monotonic_ms();
    assert_int_equal(op->read.top.offset, N);
    assert_true(op->n > 0);
    uint64_t oldest = publication_of(op->publications[0]).offset;
    assert_true(oldest > 1);
    assert_offsets(op, oldest, N);
    assert_true(now_ms - begun_ms[oldest] <= 3 * TTL_MS + SLACK_MS);
    assert_true(now_ms - begun_ms[oldest - 1] >= TTL_MS);
    struct position trimmed = at(op->read.top, oldest - 2);
    assert_false(read_since(node, channel, &options, trimmed, 1000)->read.complete);
    assert_true(read_since(node, channel, &options, op->read.top, 1000)->read.complete);
}

static void a_renewed_history_outlives_its_ttl_and_a_renewed_epoch_its_meta_ttl(void **state) {
    struct node *node = bench_node(state);
    struct namespace_options options = node->bench->history;
    options.history_ttl_ms = 2000;
    options.history_meta_ttl_ms = 4000;
    struct span channel = filled_channel(node, &options, 1);
    struct position top = top_of(node, channel, &options);
    node_release(node, channel);
    for (unsigned i = 0; i < 10; i++) {
        bench_pass(node->bench, 500);
        append_input(node, channel, &(struct append_input){.options = &options, .data = SPAN_LITERAL("{}")});
    }
    struct op *op = read_input(node, channel, &(struct read_input){.options = &options, .limit = 10});
    assert_true(epoch_equal(&op->read.top.epoch, &top.epoch));
    assert_int_equal(op->read.top.offset, 11);
    assert_true(op->n >= 1);
}

static void a_held_channel_keeps_its_epoch_beyond_its_meta_ttl(void **state) {
    struct node *node = bench_node(state);
    struct namespace_options options = node->bench->history;
    options.history_ttl_ms = 1000;
    options.history_meta_ttl_ms = 5000;
    struct span channel = filled_channel(node, &options, 3);
    struct position top = top_of(node, channel, &options);
    bench_pass(node->bench, 8000);
    struct op *op = read_since(node, channel, &options, top, 10);
    assert_true(op->read.epoch_matches && op->read.complete);
    assert_true(position_equal(&op->read.top, &top));
    node_release(node, channel);
}

static void an_unheld_channel_has_a_new_epoch_after_its_meta_ttl(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->brief, 3);
    struct position top = top_of(node, channel, &node->bench->brief);
    node_release(node, channel);
    bench_pass(node->bench, 2 * (uint64_t) node->bench->brief.history_meta_ttl_ms + 500);
    struct op *op = read_since(node, channel, &node->bench->brief, top, 10);
    assert_false(op->read.epoch_matches);
    assert_int_equal(op->read.top.offset, 0);
    assert_false(epoch_equal(&op->read.top.epoch, &top.epoch));
}

static void removing_history_keeps_the_position(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 5);
    struct position top = top_of(node, channel, &node->bench->history);
    struct op *removed = remove_history(node, channel, &node->bench->history);
    assert_true(position_equal(&removed->remove.top, &top));
    struct op *read = read_input(node, channel, &(struct read_input){.limit = 10});
    assert_true(position_equal(&read->read.top, &top));
    assert_no_publications(read);
    assert_int_equal(append_text(node, channel, "{}")->append.position.offset, 6);
}

static void a_removal_is_told_to_who_holds_the_channel(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 5);
    remove_history(node, channel, &node->bench->history);
    wait_for(node, count_records(node, RECORD_REMOVED, channel) == 1);
    assert_int_equal(nth_record(node, RECORD_REMOVED, channel, 0)->offset, 5);
    struct span unheld = new_channel(node, "unheld");
    append_text(node, unheld, "{}");
    remove_history(node, unheld, &node->bench->history);
    assert_int_equal(count_records(node, RECORD_REMOVED, unheld), 0);
}

static void after_a_removal_only_later_positions_are_complete(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 5);
    struct position top = top_of(node, channel, &node->bench->history);
    remove_history(node, channel, &node->bench->history);
    assert_false(read_since(node, channel, NULL, at(top, 3), 10)->read.complete);
    assert_true(read_since(node, channel, NULL, top, 10)->read.complete);
    append_text(node, channel, "{}");
    assert_false(read_since(node, channel, NULL, at(top, 3), 10)->read.complete);
    struct op *op = read_since(node, channel, NULL, top, 10);
    assert_true(op->read.complete);
    assert_offsets(op, 6, 6);
}

static void removing_the_history_of_an_empty_channel_is_fine(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "empty", &node->bench->history);
    assert_int_equal(remove_history(node, channel, &node->bench->history)->remove.top.offset, 0);
}

static void a_stored_publication_is_the_one_that_was_told(void **state) {
    struct node *node = bench_node(state);
    struct span channel = filled_channel(node, &node->bench->history, 10);
    struct op *op = read_input(node, channel, &(struct read_input){.limit = 10});
    assert_int_equal(op->n, 10);
    for (uint32_t i = 0; i < op->n; i++) {
        const struct record *record = nth_record(node, RECORD_PUBLICATION, channel, i);
        assert_true(span_equal(payload_span(record->publication), payload_span(op->publications[i])));
    }
}

struct specs read_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(an_empty_channel_has_an_epoch_and_offset_zero),
        spec(the_epoch_of_an_empty_channel_is_that_of_its_first_publication),
        spec(a_channel_without_history_reads_as_nothing),
        spec(limit_zero_reads_only_the_position),
        spec(without_since_the_oldest_come_first_up_to_the_limit),
        spec(reverse_reads_the_newest_first),
        spec(reverse_since_reads_what_is_below),
        spec(reverse_since_zero_reads_from_the_end),
        spec(since_reads_everything_after_it),
        spec(since_zero_reads_from_the_first),
        spec(since_the_top_reads_nothing_and_is_complete),
        spec(since_the_position_of_an_empty_channel_is_complete),
        spec(since_beyond_the_top_is_not_complete),
        spec(a_client_s_since_beyond_the_top_does_not_change_the_epoch),
        spec(a_limit_cuts_the_range_at_its_end_and_leaves_it_complete),
        spec(another_epoch_reads_nothing_and_tells_the_top),
        spec(the_epoch_that_never_matches_does_not_match),
        spec(an_empty_epoch_matches_any),
        spec(a_bound_of_bytes_cuts_after_at_least_one),
        spec(a_completed_append_is_in_every_later_read),
        spec(never_more_than_history_size_are_told),
        spec(recovery_is_all_or_nothing_where_history_was_trimmed),
        spec(history_goes_after_its_ttl_and_the_position_stays),
        spec(in_a_channel_that_never_rests_the_old_go_and_the_young_stay),
        spec(a_renewed_history_outlives_its_ttl_and_a_renewed_epoch_its_meta_ttl),
        spec(a_held_channel_keeps_its_epoch_beyond_its_meta_ttl),
        spec(an_unheld_channel_has_a_new_epoch_after_its_meta_ttl),
        spec(removing_history_keeps_the_position),
        spec(a_removal_is_told_to_who_holds_the_channel),
        spec(after_a_removal_only_later_positions_are_complete),
        spec(removing_the_history_of_an_empty_channel_is_fine),
        spec(a_stored_publication_is_the_one_that_was_told),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}
