/* callboard-operator redis on four servers that nobody else forms: what a dry run prints, forming that may be begun
 * again, healing at other addresses, a copy of all shards that is put back, and a roll that hands over and waits. One
 * set serves all, in this order. */
#include "base/memory.h"
#include "operator/backup/backup_manifest.h"
#include "tests/support/redis_pod_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PODS = 4, SHARDS = 2 };

static redis_pod_set_t *set;

static int set_up(void **state) {
    static const char *const lines[] = {"cluster-enabled yes", "cluster-node-timeout 1000",
                                        "cluster-announce-ip ${pod-ip}", "cluster-allow-replica-migration no", NULL};
    (void) state;
    /* standalone: these agents start and watch their servers, no more */
    set = redis_pod_set_new(&(struct redis_pod_set_options){.mode = "standalone", .n = PODS, .lines = lines});
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_start(set, i);
    }
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_await(set, i, "/readyz", 200);
    }
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    redis_pod_set_destroy(&set);
    return 0;
}

/* callboard-operator redis ACTION with what it needs and up to two more words; returns what it wrote to both. */
static char *work(const char *action, const char *more, const char *still_more, int expected) {
    char hosts[256];
    char password[256];
    int status = -1;
    snprintf(hosts, sizeof hosts, "%s/hosts", redis_pod_set_directory(set));
    snprintf(password, sizeof password, "%s/secrets/agent", redis_pod_set_directory(set));
    const char *const argv[] = {CALLBOARD_BINARY_DIR "/operator/callboard-operator",
                                "redis",
                                action,
                                "--peers",
                                redis_pod_set_list(set),
                                "--shards",
                                "2",
                                "--user",
                                strcmp(action, "backup") == 0 ? "backup" /* each with its own rights */
                                : strcmp(action, "restore") == 0 || strcmp(action, "scale") == 0 ? "operator"
                                                                                                 : "agent",
                                "--password-file",
                                password,
                                "--hosts-file",
                                hosts,
                                more,
                                still_more,
                                NULL};
    process_t *process = process_start(argv, NULL);
    if (!process_wait_exit(process, 30000, &status)) {
        fail_msg("redis %s does not end: %s%s", action, process_output(process, PROCESS_STDOUT),
                 process_output(process, PROCESS_STDERR));
    }
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, process_output(process, PROCESS_STDOUT));
    buffer_append_text(&text, process_output(process, PROCESS_STDERR));
    buffer_append_char(&text, '\0');
    char *all = memory_strdup((const char *) text.data);
    buffer_finish(&text);
    process_kill(&process);
    if (status != expected) {
        fail_msg("redis %s ends with %d: %s", action, status, all);
    }
    return all;
}

static void expect(const char *action, const char *more, const char *still_more, int status, const char *text) {
    char *said = work(action, more, still_more, status);
    if (strstr(said, text) == NULL) {
        fail_msg("redis %s: no \"%s\" in: %s", action, text, said);
    }
    memory_free(said);
}

static void says_what_is_wrong(void **state) {
    (void) state;
    expect("forms", NULL, NULL, 2, "none of form, heal, roll, scale, status");
    expect("roll", "--ordinal=9", NULL, 2, "--ordinal is not in --peers");
    expect("form", "--shards=91", NULL, 2, "--shards: 91 is no whole number from 1 to 90");
    expect("heal", NULL, NULL, 4, "never formed");
    expect("scale", NULL, "--accept=CB3105", 4, "slots belong to no node: form gives them away");
    expect("scale", "--mode=replicated", NULL, 2, "apply the spec with another redis.replicas");
    expect("scale", "--mode=standalone", NULL, 2, "one server has no parts");
}

static void forms_and_may_be_begun_again(void **state) {
    (void) state;
    char *said = work("form", "--dry-run", NULL, 0);
    assert_non_null(strstr(said, "redis-cli -h redis-0.pods.test -p "));
    assert_non_null(strstr(said, " CLUSTER ADDSLOTSRANGE 8192 16383\n"));
    memory_free(said);
    redis_pod_set_await_answer(set, 0, "CLUSTER INFO", "cluster_slots_assigned:0", true); /* nothing was sent */
    /* As if it had been stopped behind its second command. */
    redis_pod_set_await_answer(set, 0, "CLUSTER SET-CONFIG-EPOCH 1", "OK", true);
    redis_pod_set_await_answer(set, 0, "CLUSTER ADDSLOTSRANGE 0 8191", "OK", true);
    expect("form", NULL, NULL, 0, "every slot is served and every replica is in sync");
    expect("form", "--dry-run", NULL, 0, "every slot is served");
    expect("status", NULL, NULL, 0, "healthy: ");
    char *info = redis_pod_set_ask(set, 3, "INFO replication");
    assert_non_null(strstr(info, "role:slave"));
    assert_non_null(strstr(info, redis_pod_set_address(set, 1)));
    memory_free(info);
}

static void heals_at_other_addresses(void **state) {
    (void) state;
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_crash(set, i);
    }
    redis_pod_set_move(set);
    expect("heal", "--timeout", "1s", 5, "does not answer");
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_start(set, i);
    }
    expect("heal", NULL, NULL, 0, "every slot is served");
}

static unsigned primary_of(unsigned shard) {
    char *role = redis_pod_set_ask(set, shard, "ROLE");
    unsigned pod = role != NULL && strstr(role, "master") != NULL ? shard : shard + SHARDS;
    memory_free(role);
    return pod;
}

/* `said` begins with the copy's folder. */
static void check_copy(const char *said) {
    struct backup_manifest manifest;
    char path[512];
    char error[BACKUP_ERROR_MAX];
    char text[8192];
    snprintf(path, sizeof path, "%.*s/manifest.json", (int) strcspn(said, "\n"), said);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    if (!backup_manifest_parse(&manifest, span_of(text, size), error)) {
        fail_msg("%s: %s", path, error);
    }
    assert_int_equal(manifest.n, SHARDS);
    assert_string_equal(manifest.shards[0].slots, "0-8191");
    assert_string_equal(manifest.shards[1].slots, "8192-16383");
    for (size_t i = 0; i < manifest.n; i++) {
        struct stat facts;
        snprintf(path, sizeof path, "%.*s/%s", (int) strcspn(said, "\n"), said, manifest.shards[i].file);
        assert_int_equal(stat(path, &facts), 0);
        assert_int_equal(facts.st_size, manifest.shards[i].facts.bytes);
        assert_true(manifest.shards[i].facts.is_checked && manifest.shards[i].is_replica);
    }
    backup_manifest_finish(&manifest);
}

/* One key of each kind in either shard: slots of {a} 15495, {b} 3300. */
static void write_keys(void) {
    static const char *const commands[] = {"SET cb:{%c}:v:text some-text",
                                           "SET cb:{%c}:v:number 12345",
                                           "HSET cb:{%c}:m:chat e epoch o 2",
                                           "XADD cb:{%c}:s:chat 1-0 p one",
                                           "XADD cb:{%c}:s:chat 2-0 p two",
                                           "SADD cb:{%c}:x:set 1 2 3",
                                           "SET cb:{%c}:k:expiring x PX 3600000",
                                           "SET cb:{%c}:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:packed x"};
    for (unsigned pod = 0; pod < SHARDS; pod++) {
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
            char command[128];
            snprintf(command, sizeof command, commands[i], pod == 0 ? 'b' : 'a');
            char *answer = redis_pod_set_ask(set, primary_of(pod), command);
            assert_non_null(answer);
            memory_free(answer);
        }
        redis_pod_set_await_answer(set, primary_of(pod) ^ SHARDS, "DBSIZE", "7", true); /* its replica has all */
    }
}

static void expect_answer(unsigned shard, const char *command, const char *text) {
    redis_pod_set_await_answer(set, primary_of(shard), command, text, true);
}

static void put_back(const char *said) {
    char from[512];
    snprintf(from, sizeof from, "--from=%.*s", (int) strcspn(said, "\n"), said);
    expect("restore", NULL, NULL, 2, "--from DIR says which copy");
    expect("restore", "--from=/nonexistent", NULL, 4, "is the folder of one copy");
    expect("restore", from, NULL, 4, "it has 7 keys. A copy goes into an empty Redis only");
    expect_answer(0, "FLUSHALL SYNC", "OK");
    expect_answer(1, "DEL cb:{a}:v:text", "1");
    expect("restore", from, "--dry-run", 4, "A copy goes into an empty Redis only");
    expect("restore", from, "--resume", 0, "7 keys of 2"); /* 6 and one; 5 were there, and 2 places are left out */
    expect_answer(0, "GET cb:{b}:v:text", "some-text");
    expect_answer(0, "GET cb:{b}:v:number", "12345");
    expect_answer(0, "EXISTS cb:{b}:m:chat", "0"); /* a new epoch for what is left of its stream */
    expect_answer(0, "XRANGE cb:{b}:s:chat - +", "two");
    expect_answer(0, "SISMEMBER cb:{b}:x:set 3", "1");
    expect_answer(0, "GET cb:{b}:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:packed", "x");
    expect_answer(1, "GET cb:{a}:v:text", "some-text");
    char *expiry = redis_pod_set_ask(set, primary_of(0), "PTTL cb:{b}:k:expiring");
    assert_true(expiry != NULL && strtol(expiry, NULL, 10) > 3000000 && strtol(expiry, NULL, 10) <= 3600000);
    memory_free(expiry);
}

/* The whole of each shard under one name, from a replica; the oldest goes. */
static void copies_every_shard(void **state) {
    char to[200];
    char old[256];
    char *said;
    (void) state;
    snprintf(to, sizeof to, "--to=%s", redis_pod_set_directory(set));
    snprintf(old, sizeof old, "%s/callboard-20200101T000000Z", redis_pod_set_directory(set));
    assert_int_equal(mkdir(old, 0700), 0);
    expect("backup", NULL, NULL, 2, "--to DIR says where the copy goes");
    expect("backup", "--to=/nonexistent/copies", NULL, 5, "mount a volume there");
    expect("backup", "--dry-run", to, 0, " --rdb shard-1.rdb\n");
    assert_int_equal(access(old, F_OK), 0);
    strcat(old, "/manifest.json");
    fclose(fopen(old, "w"));
    write_keys();
    said = work("backup", to, "--keep=1", 0);
    assert_non_null(strstr(said, "bytes from the replica redis-"));
    assert_non_null(strstr(said, "1 older copy removed"));
    assert_int_equal(access(old, F_OK), -1);
    check_copy(said);
    put_back(said);
    memory_free(said);
}

/* One shard of two would have to hold what it has no room for. */
static void scales_only_what_fits(void **state) {
    (void) state;
    expect("scale", "--shards=1", NULL, 4, "refused[CB3105]");
    expect("scale", "--shards=1", "--accept=CB3105,CB9", 2, "CB9 is no code");
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_await_answer(set, i, "CONFIG SET maxmemory 1mb", "OK", true);
    }
    expect("scale", "--shards=1", "--accept=CB3105", 4, "refused[CB3101]");
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_await_answer(set, i, "CONFIG SET maxmemory 0", "OK", true);
    }
    expect("scale", NULL, NULL, 4, "refused[CB3105]");
    expect("scale", "--accept=CB3105", NULL, 0, "2 shards with 1 replicas each: each serves its share");
    expect("status", NULL, NULL, 0, "healthy: "); /* nothing has happened */
}

static void rolls_when_all_is_well(void **state) {
    char *role = redis_pod_set_ask(set, 0, "ROLE");
    unsigned primary = strstr(role, "master") != NULL ? 0 : SHARDS;
    unsigned replica = primary == 0 ? SHARDS : 0;
    (void) state;
    memory_free(role);
    redis_pod_set_pause(set, replica, true);
    expect("roll", primary == 0 ? "--ordinal=0" : "--ordinal=2", "--timeout=2s", 6, "does not answer");
    redis_pod_set_pause(set, replica, false);
    expect("roll", primary == 0 ? "--ordinal=0" : "--ordinal=2", NULL, 0, "may be stopped");
    redis_pod_set_await_answer(set, primary, "ROLE", "slave", true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),       cmocka_unit_test(forms_and_may_be_begun_again),
        cmocka_unit_test(heals_at_other_addresses), cmocka_unit_test(copies_every_shard),
        cmocka_unit_test(scales_only_what_fits),    cmocka_unit_test(rolls_when_all_is_well),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
