/* The table of channels: found by name, kept while pinned, learning positions. */
#include "base/partition.h"
#include "broker/redis/redis_channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void a_channel_lives_as_long_as_it_is_pinned(void **state) {
    (void) state;
    redis_channels_t *channels = redis_channels_new(256);
    assert_null(redis_channels_find(channels, SPAN_LITERAL("a")));
    struct redis_channel *a = redis_channels_pin(channels, SPAN_LITERAL("a"));
    assert_ptr_equal(redis_channels_pin(channels, SPAN_LITERAL("a")), a);
    redis_channels_unpin(channels, a);
    assert_ptr_equal(redis_channels_find(channels, SPAN_LITERAL("a")), a);
    redis_channels_unpin(channels, a);
    assert_null(redis_channels_find(channels, SPAN_LITERAL("a")));
    assert_int_equal(redis_channels_count(channels), 0);
    redis_channels_destroy(&channels);
}

static void ten_thousand_channels_are_told_apart(void **state) {
    (void) state;
    redis_channels_t *channels = redis_channels_new(256);
    struct redis_channel *pinned[10000];
    char name[32];
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "channel-%d", i);
        pinned[i] = redis_channels_pin(channels, span_of_text(name));
        assert_int_equal(pinned[i]->partition, partition_of(span_of_text(name), 256));
    }
    for (int i = 0; i < 10000; i += 2) {
        redis_channels_unpin(channels, pinned[i]);
    }
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "channel-%d", i);
        assert_ptr_equal(redis_channels_find(channels, span_of_text(name)), i % 2 == 0 ? NULL : pinned[i]);
    }
    redis_channels_destroy(&channels); /* frees the other half */
}

static void a_position_is_kept_where_it_is_further_or_of_another_epoch(void **state) {
    (void) state;
    redis_channels_t *channels = redis_channels_new(64);
    struct redis_channel *channel = redis_channels_pin(channels, SPAN_LITERAL("a"));
    const struct epoch one = epoch_from(SPAN_LITERAL("one"));
    const struct epoch two = epoch_from(SPAN_LITERAL("two"));
    redis_channel_learn(channel, &one, 5);
    redis_channel_learn(channel, &one, 3);
    assert_int_equal(channel->known.offset, 5);
    redis_channel_learn(channel, &two, 1);
    assert_int_equal(channel->known.offset, 1);
    redis_channel_learn(channel, &(struct epoch){{0}}, 9); /* no position */
    assert_true(epoch_equal(&channel->known.epoch, &two));
    redis_channels_destroy(&channels);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_lives_as_long_as_it_is_pinned),
        cmocka_unit_test(ten_thousand_channels_are_told_apart),
        cmocka_unit_test(a_position_is_kept_where_it_is_further_or_of_another_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
