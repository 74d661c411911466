/* What a server says becomes facts; what it does not say, or says strangely, stays unknown. */
#include "broker/redis/survey/redis_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct redis_reply string_of(const char *text) {
    return (struct redis_reply){.type = REDIS_STRING, .text = span_of_text(text)};
}

static struct redis_reply error_of(const char *text) {
    return (struct redis_reply){.type = REDIS_ERROR, .text = span_of_text(text)};
}

static struct redis_reply integer_of(int64_t value) {
    return (struct redis_reply){.type = REDIS_INTEGER, .integer = value};
}

static struct redis_reply array_of(struct redis_reply *elements, size_t n) {
    return (struct redis_reply){.type = REDIS_ARRAY, .n = n, .elements = elements};
}

static void take_config(struct redis_facts *facts, const char *name, const char *value) {
    struct redis_reply pair[] = {string_of(name), string_of(value)};
    struct redis_reply reply = array_of(pair, 2);
    redis_facts_take_config(facts, &reply);
}

static void info_is_read_line_by_line(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply reply = string_of(
        "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Memory\r\nused_memory:1048576\r\n"
        "maxmemory:0\r\nmaxmemory_policy:noeviction\r\nrole:master\r\nconnected_slaves:3\r\n"
        "slave0:ip=127.0.0.1,port=6380,state=online,offset=12,lag=1\r\n"
        "slave1:ip=127.0.0.1,port=6381,state=wait_bgsave,offset=0,lag=0\r\n"
        "slave2:ip=127.0.0.1,port=6382,state=online,offset=0,lag=11\r\n"
        "master_replid:0123456789abcdef0123456789abcdef01234567\r\ninstantaneous_output_kbps:12.75\r\nmaxclients:10");
    redis_facts_take_info(&facts, &reply);
    assert_true(facts.info_is_known);
    assert_string_equal(facts.version.text, "7.0.15");
    assert_false(facts.valkey_version.is_known);
    assert_int_equal(facts.used_memory.value, 1048576);
    assert_true(facts.maxmemory.is_known);
    assert_string_equal(facts.eviction_policy.text, "noeviction");
    assert_int_equal(facts.replicas.value, 1); /* the others are not near */
    assert_int_equal(facts.n_replica_addresses, 3);
    assert_string_equal(facts.replica_addresses[2].host, "127.0.0.1");
    assert_int_equal(facts.replica_addresses[2].port, 6382);
    assert_int_equal(facts.output_kbps.value, 12);
    assert_int_equal(facts.clients_max.value, 10); /* the last line needs no end */
    assert_true(facts.min_replicas.is_known);
    assert_int_equal(facts.min_replicas.value, 0);
    assert_false(facts.backlog_bytes.is_known);
}

static void valkey_has_names_of_its_own(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply reply = string_of(
        "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nserver_mode:cluster\r\n");
    redis_facts_take_info(&facts, &reply);
    assert_string_equal(facts.version.text, "7.2.4");
    assert_string_equal(facts.valkey_version.text, "9.1.2");
    assert_string_equal(facts.mode.text, "cluster");
}

static void min_replicas_show_in_info_too(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply reply = string_of("role:master\r\nmin_slaves_good_slaves:0\r\n");
    redis_facts_take_info(&facts, &reply);
    assert_int_equal(facts.min_replicas.value, 1);
    take_config(&facts, "min-replicas-to-write", "2");
    assert_int_equal(facts.min_replicas.value, 2);
}

static void strange_values_stay_unknown(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply reply =
        string_of("used_memory:lots\r\nmaxmemory:99999999999999999999\r\nno colon\r\n:\r\nredis_version:\x01\xff\r\n");
    redis_facts_take_info(&facts, &reply);
    assert_false(facts.used_memory.is_known);
    assert_false(facts.maxmemory.is_known);
    assert_string_equal(facts.version.text, "??");
    assert_false(facts.replicas.is_known); /* no role: the section was not told */
}

static void errors_leave_everything_unknown(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    const struct redis_facts nothing = {0};
    struct redis_reply denied = error_of("NOPERM this user has no permissions to run the 'info' command");
    redis_facts_take_info(&facts, &denied);
    redis_facts_take_role(&facts, &denied);
    redis_facts_take_sharded(&facts, &denied);
    redis_facts_take_slowlog(&facts, &denied, 1000);
    redis_facts_take_partitions(&facts, &denied);
    redis_facts_take_cluster(&facts, &denied);
    assert_memory_equal(&facts, &nothing, sizeof facts);
    redis_facts_take_config(&facts, &denied);
    assert_true(facts.config_is_denied);
}

static void parameters_are_read_one_a_reply(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    take_config(&facts, "appendfsync", "everysec");
    take_config(&facts, "save", "");
    take_config(&facts, "client-output-buffer-limit",
                "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    take_config(&facts, "timeout", "300");
    take_config(&facts, "something-new", "yes");
    assert_string_equal(facts.appendfsync.text, "everysec");
    assert_true(facts.save.is_known);
    assert_int_equal(facts.pubsub_hard_bytes.value, 33554432);
    assert_int_equal(facts.pubsub_soft_bytes.value, 8388608);
    assert_int_equal(facts.pubsub_soft_s.value, 60);
    assert_int_equal(facts.idle_timeout_s.value, 300);
    struct redis_reply empty = array_of(NULL, 0); /* this version has no such parameter */
    redis_facts_take_config(&facts, &empty);
    assert_false(facts.config_is_denied);
}

static void the_clock_is_compared_at_the_middle_of_the_round_trip(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply pair[] = {string_of("1700000000"), string_of("250000")};
    struct redis_reply reply = array_of(pair, 2);
    redis_facts_take_time(&facts, &reply, INT64_C(1700000000300), 20000);
    assert_int_equal(facts.clock_ahead_ms.value, -40);
    assert_int_equal(facts.round_trip_us.value, 20000);
    struct redis_facts other = {0};
    struct redis_reply denied = error_of("NOPERM");
    redis_facts_take_time(&other, &denied, INT64_C(1700000000300), 20000);
    assert_false(other.clock_ahead_ms.is_known);
    assert_true(other.round_trip_us.is_known);
}

static void only_slow_commands_of_late_count(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply late[] = {integer_of(2), integer_of(9900), integer_of(150000), array_of(NULL, 0)};
    struct redis_reply early[] = {integer_of(1), integer_of(100), integer_of(990000), array_of(NULL, 0)};
    struct redis_reply broken[] = {integer_of(0)};
    struct redis_reply entries[] = {array_of(late, 4), array_of(early, 4), array_of(broken, 1), string_of("what")};
    struct redis_reply reply = array_of(entries, 4);
    redis_facts_take_slowlog(&facts, &reply, 10000);
    assert_int_equal(facts.slow_commands.value, 1);
    assert_int_equal(facts.slowest_us.value, 150000);
}

static void no_stored_partitions_are_known_to_be_none(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply nil = {.type = REDIS_NIL};
    redis_facts_take_partitions(&facts, &nil);
    assert_true(facts.partitions.is_known);
    assert_int_equal(facts.partitions.value, 0);
    struct redis_reply stored = string_of("256");
    redis_facts_take_partitions(&facts, &stored);
    assert_int_equal(facts.partitions.value, 256);
}

static void a_cluster_tells_its_slots(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply reply =
        string_of("cluster_state:fail\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:10923\r\n");
    redis_facts_take_cluster(&facts, &reply);
    assert_string_equal(facts.cluster_state.text, "fail");
    assert_int_equal(facts.cluster_slots_ok.value, 10923);
}

static void a_role_without_info_says_nothing_of_replicas(void **state) {
    (void) state;
    struct redis_facts facts = {0};
    struct redis_reply elements[] = {string_of("master"), integer_of(0), array_of(NULL, 0)};
    struct redis_reply reply = array_of(elements, 3);
    redis_facts_take_role(&facts, &reply);
    assert_string_equal(facts.role.text, "master");
    struct redis_reply denied = error_of("NOPERM");
    redis_facts_take_info(&facts, &denied);
    assert_false(facts.replicas.is_known);
    assert_false(facts.min_replicas.is_known);
    struct redis_reply none[] = {{.type = REDIS_NIL}};
    struct redis_reply sharded = array_of(none, 1);
    redis_facts_take_sharded(&facts, &sharded);
    assert_true(facts.has_sharded.is_known);
    assert_int_equal(facts.has_sharded.value, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_is_read_line_by_line),
        cmocka_unit_test(valkey_has_names_of_its_own),
        cmocka_unit_test(min_replicas_show_in_info_too),
        cmocka_unit_test(strange_values_stay_unknown),
        cmocka_unit_test(errors_leave_everything_unknown),
        cmocka_unit_test(parameters_are_read_one_a_reply),
        cmocka_unit_test(the_clock_is_compared_at_the_middle_of_the_round_trip),
        cmocka_unit_test(only_slow_commands_of_late_count),
        cmocka_unit_test(no_stored_partitions_are_known_to_be_none),
        cmocka_unit_test(a_cluster_tells_its_slots),
        cmocka_unit_test(a_role_without_info_says_nothing_of_replicas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
