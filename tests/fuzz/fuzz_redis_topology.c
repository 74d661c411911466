/* Any reply as an answer of Sentinels and cluster nodes: refused, or every part of what is made of it inside its
 * bounds. */
#include "base/check.h"
#include "base/memory.h"
#include "broker/redis/topology/redis_cluster_map.h"
#include "broker/redis/topology/redis_sentinel_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 65536, ELEMENTS_MAX = 2000 };

static void check_address(const struct redis_address *address) {
    check(strlen(address->host) <= REDIS_URL_HOST_MAX && address->host[0] != '\0', "a host");
    check(address->port != 0 && address->path[0] == '\0', "a port and no path");
}

static void as_map(const struct redis_reply *reply) {
    const struct redis_address asked = {.host = "asked", .port = 1};
    redis_cluster_map_t *map = redis_cluster_map_parse(reply, &asked);
    if (map == NULL) {
        return;
    }
    check(redis_cluster_map_count(map) <= REDIS_CLUSTER_NODES_MAX, "too many nodes");
    for (size_t i = 0; i < redis_cluster_map_count(map); i++) {
        check_address(redis_cluster_map_node(map, i));
    }
    size_t unserved = 0;
    for (uint32_t slot = 0; slot < REDIS_CLUSTER_SLOTS; slot++) {
        const struct redis_cluster_node *node = redis_cluster_map_find(map, slot);
        unserved += node == NULL;
        check(node == NULL || node->replicas < ELEMENTS_MAX, "replicas");
    }
    check(unserved == redis_cluster_map_unserved(map), "unserved");
    check(redis_cluster_map_equal(map, map), "is not itself");
    redis_cluster_map_move(map, 0, &asked);
    check(redis_address_equal(&redis_cluster_map_find(map, 0)->address, &asked), "did not move");
    redis_cluster_map_destroy(&map);
}

static void as_sentinel(const struct redis_reply *reply) {
    struct redis_sentinel_answer answer = {.is_there = false};
    if (redis_sentinel_answer_parse(reply, &answer)) {
        check_address(&answer.address);
        struct redis_sentinel_answer chosen;
        const struct redis_sentinel_answer none = {.is_there = false};
        enum redis_sentinel_choice choice = redis_sentinel_choose(&answer, 1, &none, &chosen);
        check(choice == (answer.is_down ? REDIS_SENTINEL_DOWN : REDIS_SENTINEL_CHOSEN), "chosen");
    }
    answer = (struct redis_sentinel_answer){.is_there = true, .address = {.host = "h", .port = 1}};
    redis_sentinel_answer_add_address(&answer, reply);
    check_address(&answer.address);
    for (size_t i = 0; reply->type == REDIS_ARRAY && i < reply->n; i++) {
        struct redis_sentinel_peer peer;
        if (redis_sentinel_peer_parse(&reply->elements[i], &peer)) {
            check_address(&peer.address);
            check(strlen(peer.id) <= REDIS_SENTINEL_ID_LENGTH, "an id");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct redis_reply_limits limits = {.bytes = BYTES_MAX, .elements = ELEMENTS_MAX};
    redis_reader_t *reader = redis_reader_new(&limits);
    const struct redis_reply *reply = NULL;
    bool is_fed = redis_reader_feed(reader, span_of(data, size));
    while (is_fed && redis_reader_next(reader, &reply) == REDIS_READ_REPLY) {
        as_map(reply);
        as_sentinel(reply);
        struct redis_cluster_condition condition;
        redis_cluster_condition_parse(redis_reply_string(reply), &condition);
        struct redis_address address;
        if (redis_address_parse(&address, redis_reply_string(reply)) && address.host[0] != '\0') {
            check_address(&address);
        }
    }
    redis_reader_destroy(&reader);
    return 0;
}
