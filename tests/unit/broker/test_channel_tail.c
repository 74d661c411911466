/* The tail: offsets without a hole, bounded in count, bytes and by the quota of all tails. */
#include "broker/channel_tail.h"

#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct channel_tails tails;
static struct channel_tail tail;
static struct channel_tail others[2];
static struct channel_tail_room room;

static int set_up(void **state) {
    (void) state;
    channel_tails_init(&tails, 0, 100000);
    room = (struct channel_tail_room){&tails, 8};
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    channel_tail_clear(&tail);
    channel_tail_clear(&others[0]);
    channel_tail_clear(&others[1]);
    assert_int_equal(tails.quota.used, 0);
    assert_true(list_is_empty(&tails.by_use));
    return 0;
}

static bool append_to(struct channel_tail *to, uint64_t offset) {
    char text[32];
    snprintf(text, sizeof text, "publication %llu", (unsigned long long) offset);
    payload_t *payload = payload_new(span_of_text(text));
    bool kept = channel_tail_append(to, room, offset, payload);
    payload_unref(&payload);
    return kept;
}

static bool append(uint64_t offset) {
    return append_to(&tail, offset);
}

static void append_range(uint64_t first, uint64_t last) {
    for (uint64_t offset = first; offset <= last; offset++) {
        assert_true(append(offset));
    }
}

static void expect_range(uint64_t first, uint64_t last) {
    assert_null(channel_tail_at(&tail, first - 1));
    assert_null(channel_tail_at(&tail, last + 1));
    for (uint64_t offset = first; offset <= last; offset++) {
        char text[32];
        snprintf(text, sizeof text, "publication %llu", (unsigned long long) offset);
        payload_t *payload = channel_tail_at(&tail, offset);
        assert_non_null(payload);
        assert_true(span_equal_text(payload_span(payload), text));
    }
}

static void an_empty_tail_begins_behind_the_cursor(void **state) {
    (void) state;
    assert_int_equal(channel_tail_first(&tail, 41), 42);
    assert_null(channel_tail_at(&tail, 41));
}

static void appended_publications_are_found_by_offset(void **state) {
    (void) state;
    append_range(5, 9);
    expect_range(5, 9);
    assert_int_equal(channel_tail_first(&tail, 9), 5);
}

static void over_its_count_the_oldest_go(void **state) {
    (void) state;
    append_range(1, 100);
    expect_range(93, 100);
    assert_int_equal(channel_tail_count(&tail), 8);
}

static void over_its_bytes_the_oldest_go(void **state) {
    (void) state;
    payload_t *payload = payload_new(SPAN_LITERAL("publication 1"));
    tails.bytes_max = 3 * payload_footprint(payload);
    payload_unref(&payload);
    append_range(1, 5);
    expect_range(3, 5);
    assert_true(channel_tail_bytes(&tail) <= tails.bytes_max);
}

static void what_alone_is_over_the_bytes_leaves_it_empty(void **state) {
    (void) state;
    append_range(1, 3);
    tails.bytes_max = 4;
    assert_true(append(4));
    assert_int_equal(channel_tail_count(&tail), 0);
    assert_int_equal(channel_tail_first(&tail, 4), 5);
}

static void a_hole_starts_it_anew(void **state) {
    (void) state;
    append_range(1, 3);
    append_range(7, 8);
    expect_range(7, 8);
}

static void with_no_other_to_give_up_it_goes_itself(void **state) {
    (void) state;
    append_range(1, 3);
    tails.quota.limit = tails.quota.used;
    assert_false(append(4));
    assert_int_equal(channel_tail_count(&tail), 0);
    assert_int_equal(tails.quota.used, 0);
    assert_int_equal(tails.n_given_up, 1);
    assert_true(append(5));
}

static void fill_others(void) {
    for (uint64_t offset = 1; offset <= 3; offset++) {
        assert_true(append_to(&others[0], offset));
        assert_true(append_to(&others[1], offset));
    }
}

static void at_the_bound_of_all_tails_the_one_not_used_for_longest_is_given_up_whole(void **state) {
    (void) state;
    fill_others();
    assert_true(append_to(&others[0], 4));
    append_range(1, 3);
    tails.quota.limit = tails.quota.used;
    append_range(4, 5);
    expect_range(1, 5);
    assert_int_equal(channel_tail_count(&others[1]), 0);
    assert_int_equal(channel_tail_count(&others[0]), 4);
    assert_int_equal(tails.n_given_up, 1);
    assert_true(tails.quota.used <= tails.quota.limit);
}

static void where_memory_is_short_a_quarter_goes_the_longest_unused_first(void **state) {
    (void) state;
    fill_others();
    append_range(1, 6);
    channel_tails_shed(&tails);
    assert_int_equal(channel_tail_count(&others[0]) + channel_tail_count(&others[1]), 3);
    assert_int_equal(channel_tail_count(&tail), 6);
    assert_int_equal(tails.n_given_up, 1);
    for (int i = 0; i < 3; i++) {
        channel_tails_shed(&tails);
    }
    assert_int_equal(tails.quota.used, 0);
    channel_tails_shed(&tails); /* nothing is left */
    assert_int_equal(tails.n_given_up, 3);
}

static void reading_a_tail_is_using_it(void **state) {
    (void) state;
    fill_others();
    channel_tail_use(&others[0]);
    tails.quota.limit = tails.quota.used;
    assert_true(append(1));
    assert_int_equal(channel_tail_count(&others[1]), 0);
    assert_int_equal(channel_tail_count(&others[0]), 3);
}

static void a_tail_that_was_given_up_begins_anew(void **state) {
    (void) state;
    append_range(1, 3);
    fill_others();
    tails.quota.limit = tails.quota.used;
    assert_true(append_to(&others[0], 4));
    assert_int_equal(channel_tail_count(&tail), 0);
    assert_int_equal(channel_tail_first(&tail, 3), 4);
    append_range(4, 4);
    expect_range(4, 4);
}

static void as_many_go_as_are_needed(void **state) {
    (void) state;
    fill_others();
    append_range(1, 1);
    tails.quota.limit = tails.quota.used;
    assert_true(channel_tails_make_room(&tails, tails.quota.limit - channel_tail_bytes(&tail)));
    assert_int_equal(channel_tail_count(&others[0]) + channel_tail_count(&others[1]), 0);
    assert_int_equal(channel_tail_count(&tail), 1);
    assert_true(channel_tails_make_room(&tails, tails.quota.limit));
    assert_int_equal(channel_tail_count(&tail), 0);
    assert_false(channel_tails_make_room(&tails, tails.quota.limit + 1));
    assert_int_equal(tails.n_given_up, 3);
}

/* Publications at 1 to n seconds. */
static void fill_timed(uint64_t n) {
    for (uint64_t offset = 1; offset <= n; offset++) {
        struct buffer bytes = BUFFER_EMPTY;
        wire_append_publication(&bytes,
                                &(struct wire_publication){.offset = offset, .time_ms = (int64_t) offset * 1000});
        payload_t *payload = payload_new(buffer_span(&bytes));
        channel_tail_append(&tail, room, offset, payload);
        payload_unref(&payload);
        buffer_finish(&bytes);
    }
}

static void what_is_too_old_goes(void **state) {
    (void) state;
    fill_timed(6);
    channel_tail_expire(&tail, 3000);
    assert_int_equal(channel_tail_first(&tail, 6), 3);
    assert_int_equal(channel_tail_count(&tail), 4);
    channel_tail_expire(&tail, 3000);
    assert_int_equal(channel_tail_count(&tail), 4);
    channel_tail_expire(&tail, 7000);
    assert_int_equal(channel_tail_first(&tail, 6), 7);
    channel_tail_expire(&tail, 7000);
}

static void what_was_removed_goes(void **state) {
    (void) state;
    fill_timed(6);
    channel_tail_drop_to(&tail, 4);
    assert_int_equal(channel_tail_first(&tail, 6), 5);
    channel_tail_drop_to(&tail, 4);
    channel_tail_drop_to(&tail, 100);
    assert_int_equal(channel_tail_count(&tail), 0);
}

static bool prepend(uint64_t offset) {
    char text[32];
    snprintf(text, sizeof text, "publication %llu", (unsigned long long) offset);
    payload_t *payload = payload_new(span_of_text(text));
    bool kept = channel_tail_prepend(&tail, room, offset, payload);
    payload_unref(&payload);
    return kept;
}

static void older_ones_are_put_before_as_far_as_the_bound_allows(void **state) {
    (void) state;
    append_range(10, 12);
    for (uint64_t offset = 9; offset >= 5; offset--) {
        assert_true(prepend(offset));
    }
    expect_range(5, 12);
    assert_false(prepend(4));
    append_range(13, 20);
    expect_range(13, 20);
}

static void putting_before_takes_the_room_of_others_never_its_own(void **state) {
    (void) state;
    fill_others();
    append_range(10, 12);
    tails.quota.limit = tails.quota.used;
    for (uint64_t offset = 9; offset >= 5; offset--) {
        assert_true(prepend(offset));
    }
    assert_int_equal(channel_tail_count(&others[0]) + channel_tail_count(&others[1]), 0);
    tails.quota.limit = tails.quota.used;
    room.count_max = 100;
    assert_false(prepend(4));
    expect_range(5, 12);
}

static void with_a_bound_of_nothing_it_keeps_nothing(void **state) {
    (void) state;
    room.count_max = 0;
    assert_true(append(1));
    assert_int_equal(channel_tail_count(&tail), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_tail_begins_behind_the_cursor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(appended_publications_are_found_by_offset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_its_count_the_oldest_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_its_bytes_the_oldest_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_alone_is_over_the_bytes_leaves_it_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hole_starts_it_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_no_other_to_give_up_it_goes_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_the_bound_of_all_tails_the_one_not_used_for_longest_is_given_up_whole,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_old_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_removed_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_memory_is_short_a_quarter_goes_the_longest_unused_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reading_a_tail_is_using_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tail_that_was_given_up_begins_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(as_many_go_as_are_needed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(putting_before_takes_the_room_of_others_never_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(older_ones_are_put_before_as_far_as_the_bound_allows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_a_bound_of_nothing_it_keeps_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
