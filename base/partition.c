/* Partition arithmetic: pure functions that every process of every version must compute alike, so the golden values in
 * tests/unit/base/test_partition.c are part of the contract. XXH64 is libxxhash's (stable output, unlike XXH3's early
 * versions); CRC16 is Redis Cluster's (XMODEM, polynomial 0x1021). */
#include "base/partition.h"

#include "base/check.h"

#include <string.h>
#include <xxhash.h>

bool partition_count_is_valid(uint64_t n_partitions) {
    return n_partitions >= PARTITIONS_MIN && n_partitions <= PARTITIONS_MAX && (n_partitions & (n_partitions - 1)) == 0;
}

uint32_t partition_of(struct span channel, uint32_t n_partitions) {
    return (uint32_t) (XXH64(channel.data, channel.size, 0) & (n_partitions - 1));
}

uint32_t partition_redis_slot(struct span tag) {
    uint32_t crc = 0;
    for (size_t i = 0; i < tag.size; i++) {
        crc ^= (uint32_t) tag.data[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
        }
        crc &= 0xffff;
    }
    return crc % REDIS_SLOTS;
}

static struct partition_tag tag_of_number(uint32_t number) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char reversed[PARTITION_TAG_MAX];
    size_t length = 0;
    do {
        reversed[length++] = digits[number % 36];
        number /= 36;
    } while (number != 0);
    struct partition_tag tag = {{0}};
    for (size_t i = 0; i < length; i++) {
        tag.text[i] = reversed[length - 1 - i];
    }
    return tag;
}

/* Every number belongs to one partition by its slot; whoever's it is first keeps it. 4,096 partitions are all found
 * within the first 2^16 numbers or so (coupon collector), long before a tag could grow to PARTITION_TAG_MAX. */
void partition_tags(uint32_t n_partitions, struct partition_tag *ret_tags) {
    check(partition_count_is_valid(n_partitions), "%u partitions", n_partitions);
    memset(ret_tags, 0, n_partitions * sizeof *ret_tags);
    uint32_t n_found = 0;
    for (uint32_t number = 0; n_found < n_partitions; number++) {
        struct partition_tag tag = tag_of_number(number);
        uint32_t partition = partition_redis_slot(span_of_text(tag.text)) / (REDIS_SLOTS / n_partitions);
        if (ret_tags[partition].text[0] == '\0') {
            ret_tags[partition] = tag;
            n_found++;
        }
    }
}

uint32_t partition_shard(uint32_t partition, uint32_t n_partitions, uint32_t n_shards) {
    return (uint32_t) ((uint64_t) partition * n_shards / n_partitions);
}

uint64_t partition_rank(uint32_t partition, struct span broker_id) {
    return XXH64(broker_id.data, broker_id.size, partition);
}
