/* The slot map of a cluster, from CLUSTER SLOTS as nodes of several kinds word it. */
#include "broker/redis/topology/redis_cluster_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct redis_address asked = {.host = "asked", .port = 7000};
static const struct redis_reply_limits limits = {.bytes = 1 << 20, .elements = 100000};

/* The map of a reply as it is on the wire. */
static redis_cluster_map_t *parse(const char *text) {
    redis_reader_t *reader = redis_reader_new(&limits);
    const struct redis_reply *reply = NULL;
    assert_true(redis_reader_feed(reader, span_of_text(text)));
    assert_int_equal(redis_reader_next(reader, &reply), REDIS_READ_REPLY);
    redis_cluster_map_t *map = redis_cluster_map_parse(reply, &asked);
    redis_reader_destroy(&reader);
    return map;
}

#define NODE(host, port) "*3\r\n" host ":" port "\r\n$2\r\nid\r\n"
#define HOST_A           "$1\r\na\r\n"
#define HOST_B           "$1\r\nb\r\n"

static void assert_served(const redis_cluster_map_t *map, uint32_t slot, const char *host, uint16_t port) {
    const struct redis_cluster_node *node = redis_cluster_map_find(map, slot);
    assert_non_null(node);
    assert_string_equal(node->address.host, host);
    assert_int_equal(node->address.port, port);
}

static void ranges_with_primaries_and_replicas_are_read(void **state) {
    (void) state;
    redis_cluster_map_t *map = parse("*2\r\n*4\r\n:0\r\n:99\r\n" NODE(HOST_A, "1")
                                         NODE(HOST_B, "2") "*3\r\n:16383\r\n:16383\r\n" NODE(HOST_B, "3"));
    assert_non_null(map);
    assert_served(map, 0, "a", 1);
    assert_served(map, 99, "a", 1);
    assert_null(redis_cluster_map_find(map, 100));
    assert_served(map, 16383, "b", 3);
    assert_int_equal(redis_cluster_map_find(map, 0)->replicas, 1);
    assert_int_equal(redis_cluster_map_find(map, 16383)->replicas, 0);
    assert_int_equal(redis_cluster_map_unserved(map), 16384 - 101);
    assert_int_equal(redis_cluster_map_count(map), 3);
    redis_cluster_map_destroy(&map);
    assert_null(map);
}

static void a_node_without_a_host_is_reached_where_the_asked_one_was(void **state) {
    (void) state;
    redis_cluster_map_t *map =
        parse("*2\r\n*3\r\n:0\r\n:0\r\n" NODE("$0\r\n\r\n", "1") "*3\r\n:1\r\n:1\r\n" NODE("$-1\r\n", "2"));
    assert_served(map, 0, "asked", 1);
    assert_served(map, 1, "asked", 2);
    redis_cluster_map_destroy(&map);
}

static void a_question_mark_hides_an_address_behind_it_or_none(void **state) {
    (void) state;
    redis_cluster_map_t *map =
        parse("*2\r\n*3\r\n:0\r\n:0\r\n*4\r\n$1\r\n?\r\n:5\r\n$2\r\nid\r\n*2\r\n$2\r\nip\r\n$8\r\n10.0.0.9\r\n"
              "*3\r\n:1\r\n:1\r\n" NODE("$1\r\n?\r\n", "6"));
    assert_served(map, 0, "10.0.0.9", 5);
    assert_null(redis_cluster_map_find(map, 1));
    redis_cluster_map_destroy(&map);
}

static void an_empty_map_is_one_and_broken_ones_are_none(void **state) {
    (void) state;
    redis_cluster_map_t *map = parse("*0\r\n");
    assert_int_equal(redis_cluster_map_unserved(map), REDIS_CLUSTER_SLOTS);
    redis_cluster_map_destroy(&map);
    assert_null(parse("+OK\r\n"));
    assert_null(parse("*1\r\n+OK\r\n"));
    assert_null(parse("*1\r\n*2\r\n:0\r\n:1\r\n"));
    assert_null(parse("*1\r\n*3\r\n:0\r\n:16384\r\n" NODE(HOST_A, "1")));
    assert_null(parse("*1\r\n*3\r\n:-1\r\n:1\r\n" NODE(HOST_A, "1")));
    assert_null(parse("*1\r\n*3\r\n:2\r\n:1\r\n" NODE(HOST_A, "1")));
}

static void a_slot_moves_and_maps_are_compared_by_what_they_say(void **state) {
    (void) state;
    redis_cluster_map_t *a = parse("*1\r\n*4\r\n:0\r\n:9\r\n" NODE(HOST_A, "1") NODE(HOST_B, "2"));
    redis_cluster_map_t *same = parse("*2\r\n*4\r\n:5\r\n:9\r\n" NODE(HOST_A, "1")
                                          NODE(HOST_B, "3") "*4\r\n:0\r\n:4\r\n" NODE(HOST_A, "1") NODE(HOST_B, "3"));
    assert_true(redis_cluster_map_equal(a, same));
    const struct redis_address other = {.host = "c", .port = 9};
    assert_true(redis_cluster_map_move(a, 3, &other));
    assert_false(redis_cluster_map_move(a, 3, &other));
    assert_served(a, 3, "c", 9);
    assert_served(a, 4, "a", 1);
    assert_false(redis_cluster_map_equal(a, same));
    redis_cluster_map_t *without_replica = parse("*1\r\n*3\r\n:0\r\n:9\r\n" NODE(HOST_A, "1"));
    assert_false(redis_cluster_map_equal(same, without_replica));
    redis_cluster_map_destroy(&a);
    redis_cluster_map_destroy(&same);
    redis_cluster_map_destroy(&without_replica);
}

static void there_are_at_most_so_many_nodes(void **state) {
    (void) state;
    redis_cluster_map_t *map = redis_cluster_map_new();
    struct redis_address address = {.host = "h"};
    for (uint16_t i = 1; i <= REDIS_CLUSTER_NODES_MAX; i++) {
        address.port = i;
        assert_true(redis_cluster_map_move(map, i, &address));
    }
    address.port = REDIS_CLUSTER_NODES_MAX + 1;
    assert_false(redis_cluster_map_move(map, 1, &address));
    assert_served(map, 1, "h", 1);
    redis_cluster_map_destroy(&map);
}

static void the_condition_has_state_and_epoch(void **state) {
    (void) state;
    struct redis_cluster_condition condition;
    assert_true(redis_cluster_condition_parse(
        SPAN_LITERAL("cluster_state:ok\r\ncluster_slots_assigned:1\r\ncluster_current_epoch:42\r\n"), &condition));
    assert_true(condition.is_ok);
    assert_int_equal(condition.epoch, 42);
    assert_true(
        redis_cluster_condition_parse(SPAN_LITERAL("cluster_state:fail\r\ncluster_current_epoch:1"), &condition));
    assert_false(condition.is_ok);
    assert_false(redis_cluster_condition_parse(SPAN_LITERAL("cluster_state:ok\r\n"), &condition));
    assert_false(redis_cluster_condition_parse(SPAN_LITERAL(""), &condition));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_with_primaries_and_replicas_are_read),
        cmocka_unit_test(a_node_without_a_host_is_reached_where_the_asked_one_was),
        cmocka_unit_test(a_question_mark_hides_an_address_behind_it_or_none),
        cmocka_unit_test(an_empty_map_is_one_and_broken_ones_are_none),
        cmocka_unit_test(a_slot_moves_and_maps_are_compared_by_what_they_say),
        cmocka_unit_test(there_are_at_most_so_many_nodes),
        cmocka_unit_test(the_condition_has_state_and_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
