/* The judge of Redis's settings, as a table: from a sound server and set-up one row changes a few things and says what
 * the check finds then. Each check is seen fine, not fine, and unknown where its fact is missing. */
#include "broker/redis/survey/redis_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- a sound server, changed by text ---- */

enum kind { NUMBER, WORD, FLAG, U32, U64 };
struct field {
    const char *name;
    enum kind kind;
    bool is_of_setup;
    size_t offset;
};
#define FACT(name, kind)                                                                                               \
    { #name, kind, false, offsetof(struct redis_facts, name) }
#define SETUP(name, kind)                                                                                              \
    { #name, kind, true, offsetof(struct redis_setup, name) }
static const struct field fields[] = {
    FACT(info_is_known, FLAG),
    FACT(config_is_denied, FLAG),
    FACT(version, WORD),
    FACT(valkey_version, WORD),
    FACT(mode, WORD),
    FACT(role, WORD),
    FACT(master_replid, WORD),
    FACT(master_link, WORD),
    FACT(loading, NUMBER),
    FACT(replicas, NUMBER),
    FACT(backlog_bytes, NUMBER),
    FACT(used_memory, NUMBER),
    FACT(maxmemory, NUMBER),
    FACT(system_memory, NUMBER),
    FACT(eviction_policy, WORD),
    FACT(evicted_keys, NUMBER),
    FACT(aof_enabled, NUMBER),
    FACT(aof_write_status, WORD),
    FACT(rdb_status, WORD),
    FACT(clients, NUMBER),
    FACT(clients_max, NUMBER),
    FACT(rejected_connections, NUMBER),
    FACT(input_kbps, NUMBER),
    FACT(output_kbps, NUMBER),
    FACT(appendfsync, WORD),
    FACT(save, WORD),
    FACT(min_replicas, NUMBER),
    FACT(pubsub_hard_bytes, NUMBER),
    FACT(pubsub_soft_bytes, NUMBER),
    FACT(pubsub_soft_s, NUMBER),
    FACT(idle_timeout_s, NUMBER),
    FACT(notify, WORD),
    FACT(stop_writes, WORD),
    FACT(node_timeout_ms, NUMBER),
    FACT(has_sharded, NUMBER),
    FACT(clock_ahead_ms, NUMBER),
    FACT(round_trip_us, NUMBER),
    FACT(slow_commands, NUMBER),
    FACT(slowest_us, NUMBER),
    FACT(partitions, NUMBER),
    FACT(cluster_state, WORD),
    FACT(cluster_slots_assigned, NUMBER),
    FACT(cluster_slots_ok, NUMBER),
    SETUP(is_replicated, FLAG),
    SETUP(is_cluster, FLAG),
    SETUP(is_replica, FLAG),
    SETUP(keeps_history, FLAG),
    SETUP(has_safe, FLAG),
    SETUP(confirms_by_disk, FLAG),
    SETUP(is_declared, FLAG),
    SETUP(confirm_replicas, U32),
    SETUP(n_partitions, U32),
    SETUP(n_links, U32),
    SETUP(message_bytes, U64),
    SETUP(history_bytes, U64),
    SETUP(patience_ms, U32),
    SETUP(is_encrypted, FLAG),
    SETUP(is_local, FLAG),
};

/* name=value; "?" is unknown */
static void set(struct redis_facts *facts, struct redis_setup *setup, const char *name, const char *value) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const struct field *field = &fields[i];
        if (strcmp(field->name, name) != 0) {
            continue;
        }
        void *place = (field->is_of_setup ? (char *) setup : (char *) facts) + field->offset;
        bool is_known = strcmp(value, "?") != 0;
        switch (field->kind) {
        case NUMBER:
            *(struct redis_number *) place = (struct redis_number){is_known, is_known ? strtoll(value, NULL, 10) : 0};
            return;
        case WORD:
            ((struct redis_word *) place)->is_known = is_known;
            snprintf(((struct redis_word *) place)->text, REDIS_WORD_MAX, "%s", is_known ? value : "");
            return;
        case FLAG:
            *(bool *) place = value[0] == '1';
            return;
        case U32:
            *(uint32_t *) place = (uint32_t) strtoul(value, NULL, 10);
            return;
        case U64:
            *(uint64_t *) place = strtoull(value, NULL, 10);
            return;
        }
    }
    fail_msg("no such fact: %s", name);
}

static void change(struct redis_facts *facts, struct redis_setup *setup, const char *changes) {
    char text[512];
    snprintf(text, sizeof text, "%s", changes);
    char *rest = NULL;
    for (char *part = strtok_r(text, " \n", &rest); part != NULL; part = strtok_r(NULL, " \n", &rest)) {
        char *equals = strchr(part, '=');
        assert_non_null(equals);
        *equals = '\0';
        set(facts, setup, part, equals + 1);
    }
}

/* A Sentinel's primary with two replicas and safe channels. */
static void make_sound(struct redis_facts *facts, struct redis_setup *setup) {
    memset(facts, 0, sizeof *facts);
    *setup = (struct redis_setup){.where = "redis.example:6379"};
    change(facts, setup,
           "info_is_known=1 version=7.0.15 mode=standalone role=master master_replid=abc loading=0 replicas=2 "
           "backlog_bytes=67108864 used_memory=1000000 maxmemory=1000000000 system_memory=4000000000 "
           "eviction_policy=noeviction evicted_keys=0 aof_enabled=1 aof_write_status=ok rdb_status=ok clients=20 "
           "clients_max=10000 rejected_connections=0 input_kbps=10 output_kbps=10 appendfsync=everysec save= ");
    change(facts, setup,
           "min_replicas=1 pubsub_hard_bytes=33554432 pubsub_soft_bytes=8388608 pubsub_soft_s=60 idle_timeout_s=0 "
           "notify= stop_writes=yes has_sharded=1 clock_ahead_ms=3 round_trip_us=200 slow_commands=0 slowest_us=0 "
           "partitions=256 is_replicated=1 keeps_history=1 has_safe=1 confirm_replicas=1 n_partitions=256 n_links=12 "
           "message_bytes=2097152 history_bytes=1000000 patience_ms=2000 is_local=1");
}

static enum finding_severity severity_of(enum redis_check check, const char *changes, struct findings *findings) {
    struct redis_facts facts;
    struct redis_setup setup;
    make_sound(&facts, &setup);
    change(&facts, &setup, changes);
    redis_settings_judge(&facts, &setup, findings);
    const struct finding *finding = findings_find(findings, redis_check_id(check), "redis.example:6379");
    assert_non_null(finding);
    return finding->severity;
}

/* ---- the table ---- */

struct row {
    enum redis_check check;
    enum finding_severity severity;
    const char *changes;
};
#define CLUSTER "is_cluster=1 mode=cluster cluster_state=ok cluster_slots_assigned=16384 cluster_slots_ok=16384 "
static const struct row rows[] = {
    {REDIS_CHECK_VERSION, FINDING_FINE, ""},
    {REDIS_CHECK_VERSION, FINDING_FINE, "version=7.2.4 valkey_version=8.0.1"},
    {REDIS_CHECK_VERSION, FINDING_UNKNOWN, "version=?"},
    {REDIS_CHECK_VERSION, FINDING_UNKNOWN, "version=seven"},
    {REDIS_CHECK_VERSION, FINDING_ERROR, "version=6.0.16"},
    {REDIS_CHECK_VERSION, FINDING_ERROR, "version=5.0.14"},
    {REDIS_CHECK_VERSION, FINDING_NOTE, "version=6.2.14 has_sharded=0"},
    {REDIS_CHECK_VERSION, FINDING_WARNING, CLUSTER "version=6.2.14 has_sharded=0"},

    {REDIS_CHECK_MODE, FINDING_FINE, ""},
    {REDIS_CHECK_MODE, FINDING_FINE, CLUSTER},
    {REDIS_CHECK_MODE, FINDING_UNKNOWN, "mode=?"},
    {REDIS_CHECK_MODE, FINDING_ERROR, "mode=sentinel"},
    {REDIS_CHECK_MODE, FINDING_ERROR, "mode=cluster"},
    {REDIS_CHECK_MODE, FINDING_ERROR, CLUSTER "mode=standalone"},

    {REDIS_CHECK_ROLE, FINDING_FINE, ""},
    {REDIS_CHECK_ROLE, FINDING_UNKNOWN, "role=?"},
    {REDIS_CHECK_ROLE, FINDING_ERROR, "role=slave"},
    {REDIS_CHECK_ROLE, FINDING_FINE, "role=sentinel mode=sentinel"},
    {REDIS_CHECK_ROLE, FINDING_ERROR, "loading=1"},
    {REDIS_CHECK_ROLE, FINDING_FINE, "is_replica=1 role=slave master_link=up"},
    {REDIS_CHECK_ROLE, FINDING_FINE, "is_replica=1 role=master"}, /* a failover was quicker */
    {REDIS_CHECK_ROLE, FINDING_WARNING, "is_replica=1 role=slave master_link=down"},

    {REDIS_CHECK_IDENTITY, FINDING_FINE, ""},
    {REDIS_CHECK_IDENTITY, FINDING_ERROR, "master_replid=?"},
    {REDIS_CHECK_IDENTITY, FINDING_WARNING, "master_replid=? has_safe=0"},
    {REDIS_CHECK_IDENTITY, FINDING_WARNING, "master_replid=? is_declared=1"},

    {REDIS_CHECK_PARTITIONS, FINDING_FINE, ""},
    {REDIS_CHECK_PARTITIONS, FINDING_FINE, "partitions=0"},
    {REDIS_CHECK_PARTITIONS, FINDING_FINE, "partitions=? is_replica=1"},
    {REDIS_CHECK_PARTITIONS, FINDING_UNKNOWN, "partitions=?"},
    {REDIS_CHECK_PARTITIONS, FINDING_ERROR, "partitions=128"},
    {REDIS_CHECK_PARTITIONS, FINDING_FINE, CLUSTER "partitions=?"}, /* another node has the key */
    {REDIS_CHECK_PARTITIONS, FINDING_ERROR, CLUSTER "partitions=128"},

    {REDIS_CHECK_RIGHTS, FINDING_FINE, ""},
    {REDIS_CHECK_RIGHTS, FINDING_UNKNOWN, "config_is_denied=1"},
    {REDIS_CHECK_RIGHTS, FINDING_UNKNOWN, "info_is_known=0"},

    {REDIS_CHECK_EVICTION, FINDING_FINE, ""},
    {REDIS_CHECK_EVICTION, FINDING_UNKNOWN, "eviction_policy=?"},
    {REDIS_CHECK_EVICTION, FINDING_ERROR, "eviction_policy=allkeys-lru"},
    {REDIS_CHECK_EVICTION, FINDING_ERROR, "eviction_policy=volatile-ttl maxmemory=?"},
    {REDIS_CHECK_EVICTION, FINDING_WARNING, "eviction_policy=allkeys-lru maxmemory=0"},
    {REDIS_CHECK_EVICTION, FINDING_NOTE, "eviction_policy=allkeys-lru keeps_history=0"},
    {REDIS_CHECK_EVICTION, FINDING_NOTE, "evicted_keys=7"},

    {REDIS_CHECK_MEMORY_LIMIT, FINDING_FINE, ""},
    {REDIS_CHECK_MEMORY_LIMIT, FINDING_UNKNOWN, "maxmemory=?"},
    {REDIS_CHECK_MEMORY_LIMIT, FINDING_WARNING, "maxmemory=0"},
    {REDIS_CHECK_MEMORY_LIMIT, FINDING_WARNING, "maxmemory=0 system_memory=?"},

    {REDIS_CHECK_RETENTION, FINDING_FINE, "history_bytes=500000000"},
    {REDIS_CHECK_RETENTION, FINDING_NOTE, "history_bytes=500000001"},
    {REDIS_CHECK_RETENTION, FINDING_FINE, "history_bytes=500000001 maxmemory=0"},
    {REDIS_CHECK_RETENTION, FINDING_UNKNOWN, "maxmemory=? system_memory=?"},

    {REDIS_CHECK_MEMORY, FINDING_FINE, "used_memory=799999999"},
    {REDIS_CHECK_MEMORY, FINDING_WARNING, "used_memory=800000000"},
    {REDIS_CHECK_MEMORY, FINDING_ERROR, "used_memory=960000000"},
    {REDIS_CHECK_MEMORY, FINDING_UNKNOWN, "used_memory=?"},
    {REDIS_CHECK_MEMORY, FINDING_UNKNOWN, "maxmemory=? system_memory=?"},
    {REDIS_CHECK_MEMORY, FINDING_FINE, "maxmemory=0 used_memory=1900000000"},
    {REDIS_CHECK_MEMORY, FINDING_WARNING, "maxmemory=0 used_memory=2000000000"},

    {REDIS_CHECK_PUBSUB_BUFFER, FINDING_FINE, ""},
    {REDIS_CHECK_PUBSUB_BUFFER, FINDING_FINE, "pubsub_hard_bytes=0 pubsub_soft_bytes=0 pubsub_soft_s=0"},
    {REDIS_CHECK_PUBSUB_BUFFER, FINDING_UNKNOWN, "pubsub_hard_bytes=?"},
    {REDIS_CHECK_PUBSUB_BUFFER, FINDING_WARNING, "pubsub_hard_bytes=1048576"},
    {REDIS_CHECK_PUBSUB_BUFFER, FINDING_WARNING, "pubsub_hard_bytes=0 pubsub_soft_bytes=1048576 pubsub_soft_s=1"},
    {REDIS_CHECK_PUBSUB_BUFFER, FINDING_WARNING, "output_kbps=50000"},

    {REDIS_CHECK_PERSISTENCE, FINDING_FINE, ""},
    {REDIS_CHECK_PERSISTENCE, FINDING_UNKNOWN, "aof_enabled=?"},
    {REDIS_CHECK_PERSISTENCE, FINDING_ERROR, "aof_enabled=0"},
    {REDIS_CHECK_PERSISTENCE, FINDING_ERROR, "aof_enabled=0 save=300_10 confirms_by_disk=1"},
    {REDIS_CHECK_PERSISTENCE, FINDING_WARNING, "aof_enabled=0 has_safe=0"},
    {REDIS_CHECK_PERSISTENCE, FINDING_WARNING, "aof_enabled=0 is_declared=1"},
    {REDIS_CHECK_PERSISTENCE, FINDING_WARNING, "aof_enabled=0 has_safe=0 save=300_10"},
    {REDIS_CHECK_PERSISTENCE, FINDING_WARNING, "aof_enabled=0 has_safe=0 save=?"},
    {REDIS_CHECK_PERSISTENCE, FINDING_NOTE, "aof_enabled=0 has_safe=0 keeps_history=0"},

    {REDIS_CHECK_APPENDFSYNC, FINDING_FINE, ""},
    {REDIS_CHECK_APPENDFSYNC, FINDING_FINE, "appendfsync=always confirms_by_disk=1"},
    {REDIS_CHECK_APPENDFSYNC, FINDING_FINE, "appendfsync=? aof_enabled=0"},
    {REDIS_CHECK_APPENDFSYNC, FINDING_UNKNOWN, "appendfsync=?"},
    {REDIS_CHECK_APPENDFSYNC, FINDING_WARNING, "appendfsync=no"},
    {REDIS_CHECK_APPENDFSYNC, FINDING_NOTE, "appendfsync=no keeps_history=0"},
    {REDIS_CHECK_APPENDFSYNC, FINDING_ERROR, "confirms_by_disk=1"},

    {REDIS_CHECK_DISK, FINDING_FINE, ""},
    {REDIS_CHECK_DISK, FINDING_UNKNOWN, "aof_write_status=? rdb_status=?"},
    {REDIS_CHECK_DISK, FINDING_ERROR, "aof_write_status=err"},
    {REDIS_CHECK_DISK, FINDING_ERROR, "rdb_status=err"},
    {REDIS_CHECK_DISK, FINDING_WARNING, "rdb_status=err stop_writes=no"},

    {REDIS_CHECK_MIN_REPLICAS, FINDING_FINE, ""},
    {REDIS_CHECK_MIN_REPLICAS, FINDING_FINE, "min_replicas=0 is_replicated=0"},
    {REDIS_CHECK_MIN_REPLICAS, FINDING_FINE, "min_replicas=1 replicas=0 role=slave is_replica=1"},
    {REDIS_CHECK_MIN_REPLICAS, FINDING_UNKNOWN, "min_replicas=?"},
    {REDIS_CHECK_MIN_REPLICAS, FINDING_WARNING, "min_replicas=0"},
    {REDIS_CHECK_MIN_REPLICAS, FINDING_NOTE, "min_replicas=0 keeps_history=0"},
    {REDIS_CHECK_MIN_REPLICAS, FINDING_ERROR, "min_replicas=3"},

    {REDIS_CHECK_REPLICAS, FINDING_FINE, ""},
    {REDIS_CHECK_REPLICAS, FINDING_FINE, "replicas=0 role=slave is_replica=1"},
    {REDIS_CHECK_REPLICAS, FINDING_FINE, "replicas=0 has_safe=0 is_replicated=0"},
    {REDIS_CHECK_REPLICAS, FINDING_FINE, "replicas=1 confirm_replicas=4294967295"},
    {REDIS_CHECK_REPLICAS, FINDING_UNKNOWN, "replicas=?"},
    {REDIS_CHECK_REPLICAS, FINDING_NOTE, "replicas=1"},
    {REDIS_CHECK_REPLICAS, FINDING_ERROR, "replicas=0"},
    {REDIS_CHECK_REPLICAS, FINDING_ERROR, "confirm_replicas=3"},
    {REDIS_CHECK_REPLICAS, FINDING_ERROR, "replicas=0 confirm_replicas=4294967295"},
    {REDIS_CHECK_REPLICAS, FINDING_WARNING, "replicas=0 has_safe=0"},
    {REDIS_CHECK_REPLICAS, FINDING_WARNING, "replicas=0 confirms_by_disk=1"},
    {REDIS_CHECK_REPLICAS, FINDING_WARNING, "replicas=0 is_declared=1"},

    {REDIS_CHECK_CONFIRM, FINDING_NOTE, ""},
    {REDIS_CHECK_CONFIRM, FINDING_FINE, "replicas=1"},
    {REDIS_CHECK_CONFIRM, FINDING_FINE, "confirm_replicas=4294967295"},
    {REDIS_CHECK_CONFIRM, FINDING_FINE, "has_safe=0"},
    {REDIS_CHECK_CONFIRM, FINDING_FINE, CLUSTER},
    {REDIS_CHECK_CONFIRM, FINDING_UNKNOWN, "replicas=?"},

    {REDIS_CHECK_BACKLOG, FINDING_FINE, ""},
    {REDIS_CHECK_BACKLOG, FINDING_FINE, "backlog_bytes=1048576 is_replicated=0 replicas=0"},
    {REDIS_CHECK_BACKLOG, FINDING_UNKNOWN, "backlog_bytes=?"},
    {REDIS_CHECK_BACKLOG, FINDING_WARNING, "backlog_bytes=1048576"},
    {REDIS_CHECK_BACKLOG, FINDING_WARNING, "backlog_bytes=1048576 is_replicated=0 replicas=1"},
    {REDIS_CHECK_BACKLOG, FINDING_WARNING, "input_kbps=2000"},

    {REDIS_CHECK_CLUSTER, FINDING_FINE, ""},
    {REDIS_CHECK_CLUSTER, FINDING_FINE, CLUSTER},
    {REDIS_CHECK_CLUSTER, FINDING_UNKNOWN, CLUSTER "cluster_state=?"},
    {REDIS_CHECK_CLUSTER, FINDING_ERROR, CLUSTER "cluster_slots_assigned=16383"},
    {REDIS_CHECK_CLUSTER, FINDING_ERROR, CLUSTER "cluster_state=fail cluster_slots_ok=10923"},

    {REDIS_CHECK_NODE_TIMEOUT, FINDING_FINE, ""},
    {REDIS_CHECK_NODE_TIMEOUT, FINDING_FINE, CLUSTER "node_timeout_ms=5000"},
    {REDIS_CHECK_NODE_TIMEOUT, FINDING_NOTE, CLUSTER "node_timeout_ms=15000"},
    {REDIS_CHECK_NODE_TIMEOUT, FINDING_UNKNOWN, CLUSTER "node_timeout_ms=?"},

    {REDIS_CHECK_CLIENTS, FINDING_FINE, ""},
    {REDIS_CHECK_CLIENTS, FINDING_UNKNOWN, "clients_max=?"},
    {REDIS_CHECK_CLIENTS, FINDING_ERROR, "clients_max=10"},
    {REDIS_CHECK_CLIENTS, FINDING_WARNING, "clients=8000"},
    {REDIS_CHECK_CLIENTS, FINDING_NOTE, "rejected_connections=1"},

    {REDIS_CHECK_IDLE_TIMEOUT, FINDING_FINE, ""},
    {REDIS_CHECK_IDLE_TIMEOUT, FINDING_UNKNOWN, "idle_timeout_s=?"},
    {REDIS_CHECK_IDLE_TIMEOUT, FINDING_NOTE, "idle_timeout_s=300"},
    {REDIS_CHECK_IDLE_TIMEOUT, FINDING_WARNING, "idle_timeout_s=5"},

    {REDIS_CHECK_SLOW, FINDING_FINE, ""},
    {REDIS_CHECK_SLOW, FINDING_FINE, "slow_commands=? slowest_us=?"},
    {REDIS_CHECK_SLOW, FINDING_UNKNOWN, "slow_commands=? slowest_us=? round_trip_us=?"},
    {REDIS_CHECK_SLOW, FINDING_WARNING, "round_trip_us=150000"},
    {REDIS_CHECK_SLOW, FINDING_WARNING, "slow_commands=1 slowest_us=150000"},
    {REDIS_CHECK_SLOW, FINDING_ERROR, "slow_commands=1 slowest_us=2500000"},

    {REDIS_CHECK_CLOCK, FINDING_FINE, ""},
    {REDIS_CHECK_CLOCK, FINDING_UNKNOWN, "clock_ahead_ms=?"},
    {REDIS_CHECK_CLOCK, FINDING_WARNING, "clock_ahead_ms=2001"},
    {REDIS_CHECK_CLOCK, FINDING_WARNING, "clock_ahead_ms=-3600000"},

    {REDIS_CHECK_TLS, FINDING_FINE, ""},
    {REDIS_CHECK_TLS, FINDING_FINE, "is_local=0 is_encrypted=1"},
    {REDIS_CHECK_TLS, FINDING_WARNING, "is_local=0"},

    {REDIS_CHECK_NOTIFY, FINDING_FINE, ""},
    {REDIS_CHECK_NOTIFY, FINDING_UNKNOWN, "notify=?"},
    {REDIS_CHECK_NOTIFY, FINDING_NOTE, "notify=KEA"},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void each_row_finds_what_it_says_and_how_to_mend_it(void **state) {
    (void) state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        struct findings findings = FINDINGS_EMPTY;
        enum finding_severity severity = severity_of(row->check, row->changes, &findings);
        const struct finding *finding = findings_find(&findings, redis_check_id(row->check), NULL);
        if (severity != row->severity) {
            fail_msg("%s with \"%s\": %s, not %s: %s", finding->id, row->changes, finding_severity_text(severity),
                     finding_severity_text(row->severity), finding->what);
        }
        if (severity >= FINDING_UNKNOWN && finding->mend[0] == '\0') {
            fail_msg("%s with \"%s\" does not say how to mend it: %s", finding->id, row->changes, finding->what);
        }
        assert_int_equal(findings.n, REDIS_CHECKS_COUNT); /* one a check, always */
        findings_finish(&findings);
    }
}

static bool has_row(enum redis_check check, enum finding_severity from, enum finding_severity to) {
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].check == check && rows[i].severity >= from && rows[i].severity <= to) {
            return true;
        }
    }
    return false;
}

static void each_check_is_seen_fine_and_not(void **state) {
    (void) state;
    for (size_t i = 0; i < REDIS_CHECKS_COUNT; i++) {
        enum redis_check check = (enum redis_check) i;
        if (!has_row(check, FINDING_FINE, FINDING_FINE) || !has_row(check, FINDING_NOTE, FINDING_ERROR)) {
            fail_msg("%s: the table has not both ways", redis_check_id(check));
        }
    }
}

/* A proxy that tells nothing: what is fine then must be so by what we know ourselves. */
static void what_nobody_tells_is_never_fine(void **state) {
    (void) state;
    static const char *const known_by_ourselves[] = {"redis.cluster", "redis.node_timeout", "redis.tls", NULL};
    struct redis_facts facts;
    struct redis_setup setup;
    struct findings findings = FINDINGS_EMPTY;
    make_sound(&facts, &setup);
    memset(&facts, 0, sizeof facts);
    redis_settings_judge(&facts, &setup, &findings);
    for (size_t i = 0; i < findings.n; i++) {
        bool is_ours = false;
        for (size_t j = 0; known_by_ourselves[j] != NULL; j++) {
            is_ours = is_ours || strcmp(findings.items[i].id, known_by_ourselves[j]) == 0;
        }
        if (findings.items[i].severity < FINDING_UNKNOWN && !is_ours) {
            fail_msg("%s is %s", findings.items[i].id, finding_severity_text(findings.items[i].severity));
        }
    }
    findings_finish(&findings);
}

static void sizes_are_written_for_people(void **state) {
    (void) state;
    char text[REDIS_WORD_MAX];
    struct findings findings = FINDINGS_EMPTY;
    severity_of(REDIS_CHECK_MEMORY, "maxmemory=1610612736 used_memory=1024", &findings);
    snprintf(text, sizeof text, "%s", findings_find(&findings, "redis.memory", NULL)->what);
    assert_string_equal(text, "1 KiB of 1.5 GiB are used, 0 % of maxmemory");
    findings_finish(&findings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_finds_what_it_says_and_how_to_mend_it),
        cmocka_unit_test(each_check_is_seen_fine_and_not),
        cmocka_unit_test(what_nobody_tells_is_never_fine),
        cmocka_unit_test(sizes_are_written_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
