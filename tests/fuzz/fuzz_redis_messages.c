/* Any bytes as a topic's message, results, a stored entry or a presence value: never harm; a message that parses tells
 * all its items. */
#include "base/check.h"
#include "broker/redis/redis_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_topic(struct span bytes) {
    struct redis_topic_message message;
    struct redis_topic_item item;
    size_t used = 0;
    if (!redis_topic_parse(bytes, &message)) {
        return;
    }
    while (redis_topic_next(&message, &item)) {
        used += item.publication.size + item.value.size;
    }
    check(!message.items.failed && used <= bytes.size, "a sound message failed");
}

static void read_results(struct span bytes) {
    struct redis_results results;
    struct redis_odd_item item;
    if (redis_results_parse(bytes, &results)) {
        while (redis_results_next(&results, &item)) {
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span bytes = span_of(data, size);
    struct span publication;
    struct redis_member member;
    read_topic(bytes);
    read_results(bytes);
    redis_entry_parse(bytes, &publication);
    redis_member_parse(bytes, &member);
    return 0;
}
