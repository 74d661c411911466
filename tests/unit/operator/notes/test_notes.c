/* The notes of each spec of k8s/specs are those of k8s/notes; UPDATE_GOLDEN=1 writes them anew: read the difference. Of
 * other specs: what each provider and class must say. */
#include "operator/notes/notes.h"

#include "base/bytes.h"
#include "operator/cli/operator_program.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define K8S CALLBOARD_SOURCE_DIR "/k8s"

enum { ARGUMENTS_MAX = 24 };

static struct buffer out;
static struct buffer messages;

/* Of a spec with settings (NULL ends them): `out` is a text afterwards. */
static int notes_of(const char *spec, const char *const *settings) {
    char *arguments[ARGUMENTS_MAX] = {(char *) "callboard-operator", (char *) "notes", (char *) "-q", (char *) spec};
    int n = 4;
    for (; settings != NULL && *settings != NULL; settings++) {
        arguments[n++] = (char *) "--set";
        arguments[n++] = (char *) *settings;
    }
    buffer_clear(&out);
    buffer_clear(&messages);
    int exit_code = operator_program_call(n, arguments, &out, &messages);
    buffer_append_char(&out, '\0');
    buffer_append_char(&messages, '\0');
    return exit_code;
}

/* ---- goldens ---- */

static void write_golden(const char *path) {
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fwrite(out.data, 1, out.size - 1, stream);
    fclose(stream);
}

static void compare_golden(const char *path) {
    struct buffer golden = BUFFER_EMPTY;
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        fail_msg("%s is missing: UPDATE_GOLDEN=1 writes it", path);
    }
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stream)) > 0) {
        buffer_append(&golden, part, n);
    }
    fclose(stream);
    buffer_append_char(&golden, '\0');
    if (!span_equal(buffer_span(&golden), buffer_span(&out))) {
        fail_msg("%s is not what notes prints: UPDATE_GOLDEN=1 writes it anew, read the difference", path);
    }
    buffer_finish(&golden);
}

static void notes_of_the_examples_are_the_goldens(void **state) {
    (void) state;
    struct dirent **entries;
    int n = scandir(K8S "/specs", &entries, NULL, alphasort);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        const char *dot = strrchr(entries[i]->d_name, '.');
        if (dot != NULL && strcmp(dot, ".yaml") == 0) {
            char spec[512];
            char golden[512];
            snprintf(spec, sizeof spec, K8S "/specs/%s", entries[i]->d_name);
            snprintf(golden, sizeof golden, K8S "/notes/%.*s.md", (int) (dot - entries[i]->d_name), entries[i]->d_name);
            assert_int_equal(notes_of(spec, NULL), OPERATOR_DONE);
            getenv("UPDATE_GOLDEN") != NULL ? write_golden(golden) : compare_golden(golden);
        }
        free(entries[i]);
    }
    free(entries);
}

/* ---- what must be said ---- */

static void each_provider_says_what_bites(void **state) {
    (void) state;
    static const struct {
        const char *provider;
        const char *says;
    } rows[] = {
        {"memorystore", "--engine-configs maxmemory-policy=noeviction"},
        {"memorystore", "a failover may lose the last acknowledged ones"},
        {"memorystore", "service connection policy"},
        {"memorystore", "--persistence-mode aof --aof-append-fsync always"},
        {"memorystore", "highmem-xlarge 64,000"},
        {"memorystore", "80 % of a node's memory are writable"},
        {"memorystore", "One database."},
        {"azure", "port **10000**"},
        {"azure", "namespaces with `durability: safe` are refused"},
        {"azure", "Enterprise 2027-03-31"},
        {"azure", "**NoEviction**"},
        {"azure", "Entra tokens, renewed by AUTH"},
        {"upstash", "Each command is billed"},
        {"upstash", "namespaces with `durability: safe` are refused"},
        {"upstash", "10,000 commands a second"},
        {"upstash", "there is no CLUSTER, SSUBSCRIBE or SPUBLISH"},
        {"upstash", "conflicts are settled by the last writer"},
        {"rediscloud", "ROLE is not supported"},
        {"rediscloud", "namespaces with `durability: safe` are refused"},
        {"rediscloud", "change it to no eviction"},
        {"rediscloud", "written on the replica"},
        {"rediscloud", "RESP3 must be enabled"},
        {"other", "maxmemory-policy noeviction"},
        {"other", "**Not guaranteed**"},
        {"elasticache", "create-replication-group --replication-group-id dev"},
        {"elasticache", "a failover may lose the last acknowledged writes"},
        {"elasticache", "volatile-lru"},
        {"elasticache", "65,000 connections a node"},
        {"elasticache", "`reserved-memory-percent` stays at 25"},
        {"elasticache", "`--transit-encryption-mode preferred`, then `required`"},
        {"elasticache", "at most 15 shards in 24 hours"},
        {"elasticache", "`callboard-operator redis backup` cannot copy it"},
        {"elasticache", "Serverless is unfit"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char provider[64];
        snprintf(provider, sizeof provider, "redis.external.provider=%s", rows[i].provider);
        const char *const settings[] = {"metadata.name=dev", "redis.mode=external", provider,
                                        "redis.external.endpoint=redis.example.com:10000", NULL};
        assert_int_equal(notes_of(K8S "/specs/dev.yaml", settings), OPERATOR_DONE);
        if (strstr((char *) out.data, rows[i].says) == NULL) {
            fail_msg("%s does not say: %s", rows[i].provider, rows[i].says);
        }
    }
}

/* The flag, the engine and its version are of one another. */
static void elasticache_is_asked_for_what_it_has(void **state) {
    (void) state;
    static const struct {
        const char *engine;
        const char *version;
        const char *durability;
        const char *says;
        const char *says_not;
    } rows[] = {
        {"redis", "7.2", "default", "--engine valkey --engine-version 8.2", "--durability"},
        {"redis", "7.2", "disabled", "--engine valkey --engine-version 8.2", "--durability"},
        {"redis", "7.1", "disabled", "--engine redis --engine-version 7.1", "--durability"},
        {"redis", "7.1", "default", "--cache-parameter-group-family redis7", "valkey"},
        {"valkey", "8.0", "disabled", "--engine valkey --engine-version 8.0", "--durability"},
        {"valkey", "9.1", "disabled", "--durability disabled", "--engine-version 9.0"},
        {"valkey", "9.1", "default", "--engine valkey --engine-version 9.1", "--durability"},
        {"valkey", "9.1", "sync", "--engine-version 9.1 \\\n", "--engine-version 9.0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char engine[64];
        char version[64];
        char durability[64];
        snprintf(engine, sizeof engine, "redis.engine=%s", rows[i].engine);
        snprintf(version, sizeof version, "redis.version=%s", rows[i].version);
        snprintf(durability, sizeof durability, "redis.external.durability=%s", rows[i].durability);
        const char *const settings[] = {engine, version, durability, NULL};
        assert_int_equal(notes_of(K8S "/specs/elasticache-alb.yaml", settings), OPERATOR_DONE);
        const char *text = strstr((char *) out.data, "### 1. Parameter group");
        assert_non_null(text);
        if (strstr(text, rows[i].says) == NULL) {
            fail_msg("%s %s, %s: does not say %s", rows[i].engine, rows[i].version, rows[i].durability, rows[i].says);
        }
        *strstr((char *) out.data, "### 4.") = '\0'; /* there is told that a log exists */
        if (strstr(text, rows[i].says_not) != NULL) {
            fail_msg("%s %s, %s: says %s", rows[i].engine, rows[i].version, rows[i].durability, rows[i].says_not);
        }
    }
}

static void without_replicas_nothing_stands_in_another_zone(void **state) {
    (void) state;
    const char *const settings[] = {"redis.external.replicasPerShard=0", "redis.external.multiAz=true",
                                    "redis.external.durability=default", NULL};
    assert_int_equal(notes_of(K8S "/specs/elasticache-alb.yaml", settings), OPERATOR_DONE);
    assert_non_null(strstr((char *) out.data, " --no-automatic-failover-enabled --no-multi-az-enabled"));
}

static void secrets_name_each_key_and_who_makes_it(void **state) {
    (void) state;
    assert_int_equal(notes_of(K8S "/specs/ha-issuer.yaml", NULL), OPERATOR_DONE);
    assert_non_null(
        strstr((char *) out.data, "`sentinel-password`, `exporter-password` | `callboard-operator secret`"));
    assert_non_null(strstr((char *) out.data, "| `talk-tls` | `tls.crt`, `tls.key` | cert-manager: "));
    assert_int_equal(notes_of(K8S "/specs/ha-issuer.yaml", (const char *const[]){"edge.kind=ingress", NULL}),
                     OPERATOR_DONE);
    assert_non_null(strstr((char *) out.data, "| `talk-tls` | `tls.crt`, `tls.key` | you: "));
    assert_int_equal(notes_of(K8S "/specs/ha-sentinel.yaml", NULL), OPERATOR_DONE);
    assert_null(strstr((char *) out.data, "exporter-password"));
}

static void each_class_says_what_bites(void **state) {
    (void) state;
    static const struct {
        const char *class;
        const char *says;
    } rows[] = {
        {"nginx", "retired"},
        {"haproxy", "timeout-tunnel"},
        {"alb", "pod-readiness-gate-inject=enabled"},
        {"gce", "lifetime of a WebSocket"},
        {"mine", "not known here"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char class[64];
        snprintf(class, sizeof class, "edge.class=%s", rows[i].class);
        const char *const settings[] = {"edge.kind=ingress", class, "edge.hosts=push.example.com", NULL};
        assert_int_equal(notes_of(K8S "/specs/dev.yaml", settings), OPERATOR_DONE);
        assert_non_null(strstr((char *) out.data, rows[i].says));
        assert_non_null(strstr((char *) out.data, "`push.example.com` → "));
    }
}

static void a_policy_must_let_the_balancer_in(void **state) {
    (void) state;
    char spec[] = "/tmp/callboard_notes_XXXXXX";
    static const struct {
        const char *edge;
        const char *says; /* NULL: nothing */
    } rows[] = {
        {"{kind: ingress, class: gce, hosts: [a.example.com]}", "35.191.0.0/16 and 130.211.0.0/22"},
        {"{kind: gateway, class: gke, parentRefs: [{name: a}]}", "35.191.0.0/16 and 130.211.0.0/22"},
        {"{kind: ingress, class: alb, hosts: [a.example.com]}", "the ALB's subnets"},
        {"{kind: ingress, class: haproxy, hosts: [a.example.com]}", NULL},
    };
    int file = mkstemp(spec);
    assert_true(file >= 0 && close(file) == 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        FILE *stream = fopen(spec, "we");
        assert_non_null(stream);
        fprintf(stream,
                "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: a}\nspec:\n  profile: small\n"
                "  edge: %s\n  networkPolicy: {from: [{cidr: 10.0.0.0/8}]}\n",
                rows[i].edge);
        fclose(stream);
        assert_int_equal(notes_of(spec, NULL), OPERATOR_DONE);
        const char *told = strstr((char *) out.data, "`networkPolicy.from` must let the balancer in");
        assert_true((told == NULL) == (rows[i].says == NULL));
        assert_true(told == NULL || strstr(told, rows[i].says) != NULL);
    }
    remove(spec);
}

static void capacity_has_the_figures_of_a_workload(void **state) {
    (void) state;
    const char *const settings[] = {"workload.gateway.connections=60000", NULL};
    assert_int_equal(notes_of(K8S "/specs/ha-sentinel.yaml", settings), OPERATOR_DONE);
    assert_non_null(strstr((char *) out.data, "For 60,000 connections"));
    assert_non_null(strstr((char *) out.data, "| gateways: pods | 5 | 3 **too little** |"));
}

static int finish(void **state) {
    (void) state;
    buffer_finish(&out);
    buffer_finish(&messages);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_of_the_examples_are_the_goldens),
        cmocka_unit_test(each_provider_says_what_bites),
        cmocka_unit_test(elasticache_is_asked_for_what_it_has),
        cmocka_unit_test(without_replicas_nothing_stands_in_another_zone),
        cmocka_unit_test(secrets_name_each_key_and_who_makes_it),
        cmocka_unit_test(each_class_says_what_bites),
        cmocka_unit_test(a_policy_must_let_the_balancer_in),
        cmocka_unit_test(capacity_has_the_figures_of_a_workload),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
