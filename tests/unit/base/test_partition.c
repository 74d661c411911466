/* Partition arithmetic. The golden values here are part of the contract between versions: a failing one means that the
 * change would move channels to other Redis keys and other brokers. */
#include "base/partition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void counts_are_powers_of_two_within_bounds(void **state) {
    (void) state;
    assert_true(partition_count_is_valid(64) && partition_count_is_valid(256) && partition_count_is_valid(4096));
    assert_false(partition_count_is_valid(0) || partition_count_is_valid(32) || partition_count_is_valid(8192));
    assert_false(partition_count_is_valid(100) || partition_count_is_valid(UINT64_C(1) << 40));
}

static void redis_slots_are_those_of_redis_cluster(void **state) {
    (void) state;
    /* 12739 and 0x31c3: the check value of the Redis Cluster specification. */
    assert_int_equal(partition_redis_slot(SPAN_LITERAL("123456789")), 0x31c3);
    assert_int_equal(partition_redis_slot(SPAN_LITERAL("foo")), 12182);
    assert_int_equal(partition_redis_slot(SPAN_EMPTY), 0);
}

static void names_fall_into_golden_partitions(void **state) {
    (void) state;
    static const struct {
        const char *name;
        uint32_t of_256;
        uint32_t of_4096;
    } rows[] = {{"", 153, 2457},
                {"a", 91, 3675},
                {"chat:index", 232, 2536},
                {"news", 238, 494},
                {"$private:1", 98, 3426},
                {"user#42", 90, 1626},
                {"a channel name that is longer than thirty-two bytes", 188, 1212}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct span name = span_of_text(rows[i].name);
        assert_int_equal(partition_of(name, 256), rows[i].of_256);
        assert_int_equal(partition_of(name, 4096), rows[i].of_4096);
    }
}

static void tags_of_256_partitions_are_golden(void **state) {
    (void) state;
    static const struct {
        uint32_t partition;
        const char *tag;
    } rows[] = {{0, "cv"},  {1, "14"},   {2, "6y"},   {3, "10"},  {63, "2d"}, {64, "cw"},
                {127, "z"}, {128, "16"}, {200, "7u"}, {254, "x"}, {255, "fv"}};
    struct partition_tag *tags = malloc(256 * sizeof *tags);
    partition_tags(256, tags);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(tags[rows[i].partition].text, rows[i].tag);
    }
    free(tags);
}

static void every_tag_lies_in_its_slots_and_none_is_used_twice(void **state) {
    (void) state;
    struct partition_tag *tags = malloc(PARTITIONS_MAX * sizeof *tags);
    for (uint32_t n = PARTITIONS_MIN; n <= PARTITIONS_MAX; n *= 2) {
        partition_tags(n, tags);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t slot = partition_redis_slot(span_of_text(tags[i].text));
            assert_in_range(slot, i * REDIS_SLOTS / n, (i + 1) * REDIS_SLOTS / n - 1);
            assert_in_range(strlen(tags[i].text), 1, 4);
        }
    }
    free(tags);
}

static void shards_take_contiguous_partitions_in_equal_parts(void **state) {
    (void) state;
    assert_int_equal(partition_shard(0, 256, 3), 0);
    assert_int_equal(partition_shard(255, 256, 3), 2);
    assert_int_equal(partition_shard(4095, 4096, 16), 15);
    uint32_t count[3] = {0};
    uint32_t last = 0;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t shard = partition_shard(i, 256, 3);
        assert_true(shard == last || shard == last + 1);
        last = shard;
        count[shard]++;
    }
    assert_in_range(count[0], 85, 86);
    assert_in_range(count[1], 85, 86);
    assert_in_range(count[2], 85, 86);
}

static void ranks_are_golden_and_spread_partitions_over_brokers(void **state) {
    (void) state;
    assert_true(partition_rank(0, SPAN_LITERAL("broker-0")) == UINT64_C(0x487772eb49334a67));
    assert_true(partition_rank(7, SPAN_LITERAL("broker-1")) == UINT64_C(0x84de9ec8f9a0e1de));
    unsigned first = 0;
    for (uint32_t i = 0; i < 256; i++) {
        first += partition_rank(i, SPAN_LITERAL("broker-0")) > partition_rank(i, SPAN_LITERAL("broker-1"));
    }
    assert_in_range(first, 96, 160);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_powers_of_two_within_bounds),
        cmocka_unit_test(redis_slots_are_those_of_redis_cluster),
        cmocka_unit_test(names_fall_into_golden_partitions),
        cmocka_unit_test(tags_of_256_partitions_are_golden),
        cmocka_unit_test(every_tag_lies_in_its_slots_and_none_is_used_twice),
        cmocka_unit_test(shards_take_contiguous_partitions_in_equal_parts),
        cmocka_unit_test(ranks_are_golden_and_spread_partitions_over_brokers),
    };
    return cmocka_run_group_tests_name("partition", tests, NULL, NULL);
}
