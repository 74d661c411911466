/* What the agent's /status says of a server and of a Sentinel: figures that are not told are left out, and nothing that
 * a server says breaks the JSON. */
#include "base/redis_reply.h"
#include "operator/agent/agent_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buffer out;

static const char *server(const struct server_facts *facts, const char *info, const char *cluster) {
    const struct agent_status_facts all = {
        .server = facts, .trouble = "", .ordinal = 4, .disk_bytes = 1000, .disk_free_bytes = 400};
    buffer_clear(&out);
    (void) agent_status_append_server(&all, span_of_text(info), span_of_text(cluster), &out);
    buffer_append_char(&out, '\0');
    return (const char *) out.data;
}

static void a_primary_says_what_it_has(void **state) {
    (void) state;
    const struct server_facts facts = {
        .mode = REDIS_MODE_REPLICATED, .has_answered = true, .is_pong = true, .knows_role = true};
    assert_string_equal(
        server(&facts,
               "redis_version:7.2.4\r\nuptime_in_seconds:12\r\nrole:master\r\nconnected_slaves:2\r\n"
               "master_repl_offset:500\r\naof_enabled:1\r\naof_last_write_status:ok\r\naof_last_bgrewrite_status:ok\r\n"
               "rdb_last_bgsave_status:ok\r\nloading:0\r\ndb0:keys=120,expires=1,avg_ttl=0\r\nused_memory:2000\r\n"
               "maxmemory:9000\r\nevicted_keys:0\r\nconnected_clients:3\r\n",
               ""),
        "{\"ok\":true,\"reason\":\"primary\",\"mode\":\"replicated\",\"ordinal\":4,\"version\":\"7.2.4\",\"uptime_s\":"
        "12,"
        "\"role\":\"primary\",\"offset\":500,\"replicas\":2,\"aof\":\"ok\",\"rdb\":\"ok\",\"loading\":false,\"keys\":"
        "120,"
        "\"memory_bytes\":2000,\"memory_max_bytes\":9000,\"evicted\":0,\"clients\":3,\"disk_bytes\":1000,"
        "\"disk_free_bytes\":400}\n");
}

static void a_replica_of_a_cluster_says_whom_it_follows(void **state) {
    (void) state;
    const struct server_facts facts = {.mode = REDIS_MODE_CLUSTER,
                                       .has_answered = true,
                                       .is_pong = true,
                                       .knows_role = true,
                                       .is_replica = true,
                                       .is_link_up = false,
                                       .knows_cluster = true,
                                       .known_nodes = 5,
                                       .expected_nodes = 6};
    assert_string_equal(
        server(
            &facts,
            "valkey_version:8.1.0\r\nredis_version:7.2.4\r\nrole:slave\r\nmaster_host:10.0.0.7\r\nmaster_port:6379\r\n"
            "master_link_status:down\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:40\r\n"
            "aof_enabled:1\r\naof_last_write_status:err\r\nrdb_last_bgsave_status:err\r\n",
            "cluster_state:ok\r\ncluster_slots_ok:16384\r\ncluster_slots_fail:0\r\ncluster_size:3\r\n"),
        "{\"ok\":false,\"reason\":\"replica without its primary\",\"mode\":\"cluster\",\"ordinal\":4,"
        "\"version\":\"8.1.0\",\"role\":\"replica\",\"offset\":40,\"primary\":\"10.0.0.7:6379\",\"link_up\":false,"
        "\"syncing\":true,\"aof\":\"err\",\"rdb\":\"err\",\"loading\":false,\"keys\":0,\"disk_bytes\":1000,"
        "\"disk_free_bytes\":400,\"cluster\":{\"state\":\"ok\",\"slots\":0,\"slots_ok\":16384,\"slots_failed\":0,"
        "\"known\":5,\"expected\":6,\"shards\":3}}\n");
}

static void a_silent_one_says_why_and_no_figure(void **state) {
    (void) state;
    const struct server_facts facts = {.mode = REDIS_MODE_STANDALONE};
    const struct agent_status_facts all = {.server = &facts, .trouble = "connect: \"refused\""};
    buffer_clear(&out);
    assert_false(agent_status_append_server(&all, SPAN_EMPTY, SPAN_EMPTY, &out));
    buffer_append_char(&out, '\0');
    assert_string_equal((const char *) out.data,
                        "{\"ok\":false,\"reason\":\"no answer\",\"mode\":\"standalone\",\"ordinal\":0,\"trouble\":"
                        "\"connect: \\\"refused\\\"\"}\n");
}

static struct redis_reply text(const char *value) {
    return (struct redis_reply){.type = REDIS_STRING, .text = span_of_text(value)};
}

static void a_sentinel_says_whom_it_names(void **state) {
    (void) state;
    const struct server_facts facts = {
        .mode = REDIS_MODE_SENTINEL, .has_answered = true, .is_pong = true, .has_quorum = true};
    const struct agent_status_facts all = {.server = &facts, .trouble = "", .ordinal = 1};
    struct redis_reply fields[] = {text("ip"),
                                   text("shop-redis-0.shop-redis-pods"),
                                   text("port"),
                                   text("6379"),
                                   text("flags"),
                                   text("master,o_down"),
                                   text("num-slaves"),
                                   text("2"),
                                   text("num-other-sentinels"),
                                   text("2"),
                                   text("quorum"),
                                   text("2")};
    const struct redis_reply reply = {.type = REDIS_ARRAY, .elements = fields, .n = sizeof fields / sizeof fields[0]};
    buffer_clear(&out);
    assert_true(agent_status_append_sentinel(&all, "callboard", &reply, &out));
    buffer_append_char(&out, '\0');
    assert_string_equal(
        (const char *) out.data,
        "{\"ok\":true,\"reason\":\"sentinel with a quorum\",\"mode\":\"sentinel\",\"ordinal\":1,"
        "\"set\":\"callboard\",\"quorum_reached\":true,\"primary\":\"shop-redis-0.shop-redis-pods:6379\","
        "\"flags\":\"master,o_down\",\"replicas\":2,\"sentinels\":3,\"quorum\":2}\n");
    const struct redis_reply error = {.type = REDIS_ERROR, .text = SPAN_LITERAL("ERR No such master")};
    buffer_clear(&out);
    (void) agent_status_append_sentinel(&all, "callboard", &error, &out);
    buffer_append_char(&out, '\0');
    assert_null(strstr((const char *) out.data, "primary"));
}

static int begin(void **state) {
    (void) state;
    buffer_init(&out, 1 << 16);
    return 0;
}

static int end(void **state) {
    (void) state;
    buffer_finish(&out);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_primary_says_what_it_has, begin, end),
        cmocka_unit_test_setup_teardown(a_replica_of_a_cluster_says_whom_it_follows, begin, end),
        cmocka_unit_test_setup_teardown(a_silent_one_says_why_and_no_figure, begin, end),
        cmocka_unit_test_setup_teardown(a_sentinel_says_whom_it_names, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
