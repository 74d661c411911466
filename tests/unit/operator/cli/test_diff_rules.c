/* What diff calculates and whom it warns, rule by rule: rolls and their times, what is at risk, what has to be made
 * anew. Objects are given as text, since a spec renders no two that differ in one place only. */
#include "base/bytes.h"
#include "operator/cli/operator_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char old_path[] = "/tmp/diff_rules_old_XXXXXX";
static char new_path[] = "/tmp/diff_rules_new_XXXXXX";
static struct buffer out;
static struct buffer messages;

static void write_file(const char *path, const char *text) {
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

/* `out` is a text afterwards. */
static int diff_of(const char *before, const char *after) {
    char *arguments[] = {(char *) "callboard-operator", (char *) "diff", old_path, new_path};
    write_file(old_path, before);
    write_file(new_path, after);
    buffer_clear(&out);
    buffer_clear(&messages);
    int exit_code = operator_program_call(4, arguments, &out, &messages);
    buffer_append_char(&out, '\0');
    buffer_append_char(&messages, '\0');
    return exit_code;
}

static const char *told(void) {
    return (const char *) out.data;
}

static void assert_told(const char *part) {
    if (strstr(told(), part) == NULL) {
        fail_msg("%s\nis not in\n%s%s", part, told(), (const char *) messages.data);
    }
}

static void assert_untold(const char *part) {
    if (strstr(told(), part) != NULL) {
        fail_msg("%s\nis in\n%s", part, told());
    }
}

/* ---- rolls ---- */

#define DEPLOYMENT(surge, sum)                                                                                         \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: g}\nspec:\n  replicas: 5\n  minReadySeconds: 10\n"        \
    "  strategy: {rollingUpdate: {maxSurge: " surge "}}\n  template:\n    metadata: {annotations: {sum: " sum "}}\n"   \
    "    spec:\n      containers:\n"                                                                                   \
    "      - {name: a, startupProbe: {periodSeconds: 2, failureThreshold: 50}}\n"                                      \
    "      - {name: b, startupProbe: {periodSeconds: 1, failureThreshold: 3}}\n"

static void a_batch_is_the_surge_rounded_up_and_starts_as_slowly_as_its_slowest_container(void **state) {
    (void) state;
    assert_int_equal(diff_of(DEPLOYMENT("25%", "a"), DEPLOYMENT("25%", "b")), OPERATOR_DIFFERS);
    assert_told(
        "rolls Deployment/g: 5 pods, 2 at a time, the new before the old; 30 s to 6 min 0 s (start at most 100 s, "
        "pause 10 s, drain 0 s, grace 30 s)\n");
    assert_int_equal(diff_of(DEPLOYMENT("4", "a"), DEPLOYMENT("4", "b")), OPERATOR_DIFFERS);
    assert_told("5 pods, 4 at a time");
    assert_int_equal(diff_of(DEPLOYMENT("0", "a"), DEPLOYMENT("0", "b")), OPERATOR_DIFFERS);
    assert_told("5 pods, 1 at a time");
}

#define ORDERED(sum)                                                                                                   \
    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec:\n  replicas: 3\n  minReadySeconds: 7\n"        \
    "  template:\n    metadata: {annotations: {sum: " sum "}}\n    spec:\n      terminationGracePeriodSeconds: 20\n"   \
    "      containers: [{name: a, startupProbe: {periodSeconds: 5, failureThreshold: 4}}]\n"

static void pods_in_order_wait_for_each_other(void **state) {
    (void) state;
    assert_int_equal(diff_of(ORDERED("a"), ORDERED("b")), OPERATOR_DIFFERS);
    assert_told("rolls StatefulSet/s: 3 pods, one after another from ordinal 2 down; 21 s to 2 min 21 s (start at most "
                "20 s, pause 7 s, drain 0 s, grace 20 s)\n");
}

#define SCALED(sum, fields)                                                                                            \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: g}\nspec:\n  template:\n"                                 \
    "    metadata: {annotations: {sum: " sum "}}\n    spec: {containers: [{name: a}]}\n---\n" fields

static void of_an_autoscaled_one_the_most_pods_count(void **state) {
    (void) state;
    static const char adapter[] = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: g}\n"
                                  "spec: {scaleTargetRef: {name: g}, maxReplicas: 12}\n";
    static const char keda[] = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: g}\n"
                               "spec: {scaleTargetRef: {name: g}, maxReplicaCount: 16}\n";
    char before[1024];
    char after[1024];
    snprintf(before, sizeof before, "%s%s", SCALED("a", ""), adapter);
    snprintf(after, sizeof after, "%s%s", SCALED("b", ""), adapter);
    assert_int_equal(diff_of(before, after), OPERATOR_DIFFERS);
    assert_told("rolls Deployment/g: 12 pods, 3 at a time");
    snprintf(before, sizeof before, "%s%s", SCALED("a", ""), keda);
    snprintf(after, sizeof after, "%s%s", SCALED("b", ""), keda);
    assert_int_equal(diff_of(before, after), OPERATOR_DIFFERS);
    assert_told("rolls Deployment/g: 16 pods, 4 at a time");
}

/* ---- what has to be made anew ---- */

static void what_kubernetes_cannot_change_is_made_anew(void **state) {
    (void) state;
    assert_int_equal(diff_of("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: g}\n"
                             "spec: {selector: {matchLabels: {a: b}}}\n",
                             "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: g}\n"
                             "spec: {selector: {matchLabels: {a: c}}}\n"),
                     OPERATOR_UNSAFE);
    assert_told("    re-create  spec.selector.matchLabels.a: b → c\n");
    assert_told(
        "re-create CB3008 Deployment/g: it cannot be changed: it needs delete and re-create, and is away between");
    assert_int_equal(diff_of("apiVersion: v1\nkind: Service\nmetadata: {name: g}\nspec: {clusterIP: None}\n",
                             "apiVersion: v1\nkind: Service\nmetadata: {name: g}\nspec: {clusterIP: 10.0.0.1}\n"),
                     OPERATOR_UNSAFE);
    assert_told("    re-create  spec.clusterIP: None → 10.0.0.1\n");
    assert_int_equal(diff_of("apiVersion: v1\nkind: Service\nmetadata: {name: g}\nspec: {type: ClusterIP}\n",
                             "apiVersion: v1\nkind: Service\nmetadata: {name: g}\nspec: {type: LoadBalancer}\n"),
                     OPERATOR_DIFFERS);
    assert_told("    in place   spec.type: ClusterIP → LoadBalancer\n");
}

/* ---- data at risk ---- */

#define LABELS(component) "labels: {app.kubernetes.io/instance: i, app.kubernetes.io/component: " component "}"
#define BROKER(redis)                                                                                                  \
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, " LABELS("broker") "}\ndata:\n  broker.yaml: |\n"            \
                                                                             "    broker: {partitions: 64}\n" redis    \
                                                                             "---\n"
#define REDIS(conf, shards, rest)                                                                                      \
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r, " LABELS(                                                    \
        "redis") "}\ndata:\n  redis.conf: |\n" conf                                                                    \
                 "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: r, " LABELS(                           \
                     "redis") "}\nspec:\n"                                                                             \
                              "  template: {spec: {containers: [{name: r, env: [{name: CALLBOARD_AGENT_MODE, value: "  \
                              "cluster}, "                                                                             \
                              "{name: CALLBOARD_AGENT_SHARDS, value: \"" shards "\"}]}]}}\n" rest
#define CLAIM(size)                                                                                                    \
    "  volumeClaimTemplates: [{metadata: {name: data}, spec: {resources: {requests: {storage: " size "}}}}]\n"
#define LINES(memory, append) "    maxmemory-policy noeviction\n    maxmemory " memory "\n    appendonly " append "\n"

static void another_external_redis_begins_empty(void **state) {
    (void) state;
    assert_int_equal(
        diff_of(BROKER("    redis: {url: \"redis://a:1\"}\n"), BROKER("    redis: {url: \"redis://b:1\"}\n")),
        OPERATOR_UNSAFE);
    assert_told("data at risk CB3002 ConfigMap/b: redis.url names another server");
    assert_int_equal(diff_of(BROKER("    redis: {url: \"redis://a:1\", user: x}\n"),
                             BROKER("    redis: {url: \"redis://a:1\", user: y}\n")),
                     OPERATOR_DIFFERS);
    assert_untold("at risk");
}

static void less_memory_is_a_risk_and_as_much_is_none(void **state) {
    (void) state;
    assert_int_equal(
        diff_of(BROKER("") REDIS(LINES("100", "yes"), "3", ""), BROKER("") REDIS(LINES("99", "yes"), "3", "")),
        OPERATOR_UNSAFE);
    assert_told("data at risk CB3005 StatefulSet/r: maxmemory 100 becomes 99");
    assert_told("data[redis.conf]: maxmemory 100 → maxmemory 99\n"); /* its policy begins with the same letters */
    assert_int_equal(diff_of(BROKER("") REDIS(LINES("100", "yes"), "3", ""),
                             BROKER("") REDIS(LINES("100", "yes") "    hz 20\n", "3", "")),
                     OPERATOR_DIFFERS);
    assert_untold("CB3005");
    assert_int_equal(
        diff_of(BROKER("") REDIS(LINES("100", "yes"), "3", ""), BROKER("") REDIS(LINES("200", "yes"), "3", "")),
        OPERATOR_DIFFERS);
    assert_untold("CB3005");
}

static void of_two_lines_of_redis_conf_the_last_one_counts(void **state) {
    (void) state;
    assert_int_equal(diff_of(BROKER("") REDIS(LINES("100", "yes"), "3", ""),
                             BROKER("") REDIS("    appendonly no\n" LINES("100", "yes"), "3", "")),
                     OPERATOR_DIFFERS);
    assert_untold("at risk");
    assert_int_equal(diff_of(BROKER("") REDIS(LINES("100", "yes"), "3", ""),
                             BROKER("") REDIS(LINES("100", "yes") "    appendonly no\n", "3", "")),
                     OPERATOR_UNSAFE);
    assert_told("data at risk CB3007 StatefulSet/r: appendonly is off");
}

static void fewer_shards_are_a_risk_and_more_are_none(void **state) {
    (void) state;
    assert_int_equal(
        diff_of(BROKER("") REDIS(LINES("1", "yes"), "4", ""), BROKER("") REDIS(LINES("1", "yes"), "3", "")),
        OPERATOR_UNSAFE);
    assert_told("CB3004 StatefulSet/r: 4 shards become 3");
    assert_int_equal(
        diff_of(BROKER("") REDIS(LINES("1", "yes"), "3", ""), BROKER("") REDIS(LINES("1", "yes"), "4", "")),
        OPERATOR_DIFFERS);
    assert_untold("at risk");
}

static void a_volume_that_goes_or_shrinks_is_a_risk(void **state) {
    (void) state;
    static const char with[] = BROKER("") REDIS(LINES("1", "yes"), "3", CLAIM("10Gi"));
    assert_int_equal(diff_of(with, BROKER("") REDIS(LINES("1", "yes"), "3", "")), OPERATOR_UNSAFE);
    assert_told("CB3003 StatefulSet/r: its volume goes");
    assert_untold("CB3006");
    assert_int_equal(diff_of(with, BROKER("") REDIS(LINES("1", "yes"), "3", CLAIM("9Gi"))), OPERATOR_UNSAFE);
    assert_told("CB3006 StatefulSet/r: its volumes become smaller");
    assert_untold("CB3003");
    assert_int_equal(diff_of(with, BROKER("") REDIS(LINES("1", "yes"), "3", CLAIM("10240Mi"))), OPERATOR_DONE);
}

static void redis_that_goes_with_its_deployment_is_a_risk(void **state) {
    (void) state;
    static const char both[] = BROKER("") REDIS(LINES("1", "yes"), "3", "");
    static const char none[] = "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n";
    assert_int_equal(diff_of(both, none), OPERATOR_UNSAFE);
    assert_told("CB3002 StatefulSet/r: Redis goes with its deployment");
    assert_int_equal(diff_of(none, both), OPERATOR_DIFFERS);
    assert_untold("at risk");
}

static int make_files(void **state) {
    (void) state;
    buffer_init(&out, 1 << 20);
    buffer_init(&messages, 1 << 20);
    int old_file = mkstemp(old_path);
    int new_file = mkstemp(new_path);
    return old_file < 0 || new_file < 0 || close(old_file) != 0 || close(new_file) != 0;
}

static int remove_files(void **state) {
    (void) state;
    buffer_finish(&out);
    buffer_finish(&messages);
    return unlink(old_path) | unlink(new_path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_the_surge_rounded_up_and_starts_as_slowly_as_its_slowest_container),
        cmocka_unit_test(pods_in_order_wait_for_each_other),
        cmocka_unit_test(of_an_autoscaled_one_the_most_pods_count),
        cmocka_unit_test(what_kubernetes_cannot_change_is_made_anew),
        cmocka_unit_test(another_external_redis_begins_empty),
        cmocka_unit_test(less_memory_is_a_risk_and_as_much_is_none),
        cmocka_unit_test(of_two_lines_of_redis_conf_the_last_one_counts),
        cmocka_unit_test(fewer_shards_are_a_risk_and_more_are_none),
        cmocka_unit_test(a_volume_that_goes_or_shrinks_is_a_risk),
        cmocka_unit_test(redis_that_goes_with_its_deployment_is_a_risk),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
