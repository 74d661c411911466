/* callboard-operator diff: each kind of change with its mark, the arithmetic of rolls, what is refused and by which
 * code it is allowed. Objects are compared exactly, specs by what matters of them. */
#include "base/bytes.h"
#include "operator/cli/operator_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop, namespace: push}\nspec:\n"

static char old_path[] = "/tmp/diff_old_XXXXXX";
static char new_path[] = "/tmp/diff_new_XXXXXX";
static struct buffer out;
static struct buffer messages;

static void write_file(const char *path, const char *text) {
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

static int diff_of(const char *old_text, const char *new_text, const char *option) {
    write_file(old_path, old_text);
    write_file(new_path, new_text);
    char *arguments[] = {(char *) "callboard-operator", (char *) "diff", old_path, new_path, (char *) option};
    buffer_clear(&out);
    buffer_clear(&messages);
    int exit_code = operator_program_call(option == NULL ? 4 : 5, arguments, &out, &messages);
    buffer_append_char(&out, '\0');
    buffer_append_char(&messages, '\0');
    return exit_code;
}

static const char *text(void) {
    return (const char *) out.data;
}

static void assert_told(const char *part) {
    if (strstr(text(), part) == NULL) {
        fail_msg("%s\nis not in\n%s%s", part, text(), (const char *) messages.data);
    }
}

/* ---- objects ---- */

#define GATEWAY(config, checksum, replicas)                                                                            \
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: g}\ndata:\n  gateway.yaml: |\n" config                          \
    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: g}\nspec:\n  replicas: " replicas                    \
    "\n  minReadySeconds: 10\n  template:\n    metadata: {annotations: {sum: " checksum "}}\n"                         \
    "    spec:\n      terminationGracePeriodSeconds: 65\n      containers:\n"                                          \
    "      - {name: g, image: a, startupProbe: {periodSeconds: 1, failureThreshold: 60}}\n"                            \
    "      volumes: [{name: c, configMap: {name: g}}]\n"
#define CONFIG(ping, port)                                                                                             \
    "    http: {port: " port "}\n    client: {ping_interval: " ping ", connections_max: 500}\n"                        \
    "    drain: {delay: 5s, window: 20s}\n"

static void a_reloaded_key_is_hot_and_rolls_nothing(void **state) {
    (void) state;
    assert_int_equal(diff_of(GATEWAY(CONFIG("25s", "80"), "a", "8"), GATEWAY(CONFIG("20s", "80"), "a", "8"), NULL),
                     OPERATOR_DIFFERS);
    assert_string_equal(text(), "~ ConfigMap/g\n"
                                "    hot        data[gateway.yaml] client.ping_interval: 25s → 20s\n");
}

static void another_key_rolls_pods_in_batches(void **state) {
    (void) state;
    assert_int_equal(diff_of(GATEWAY(CONFIG("25s", "80"), "a", "8"), GATEWAY(CONFIG("25s", "81"), "b", "8"), NULL),
                     OPERATOR_DIFFERS);
    assert_string_equal(
        text(), "~ ConfigMap/g\n"
                "    rolls      data[gateway.yaml] http.port: 80 → 81\n"
                "~ Deployment/g\n"
                "    rolls      spec.template.metadata.annotations.sum: a → b\n"
                "\n"
                "rolls Deployment/g: 8 pods, 2 at a time, the new before the old; 1 min 5 s to 5 min 45 s (start at "
                "most 60 s, pause 10 s, drain 25 s, grace 65 s); at most 1000 connections reconnect at a time\n");
}

static void a_key_that_nothing_rolls_for_waits_for_the_next_start(void **state) {
    (void) state;
    assert_int_equal(diff_of(GATEWAY(CONFIG("25s", "80"), "a", "8"), GATEWAY(CONFIG("25s", "81"), "a", "8"), NULL),
                     OPERATOR_DIFFERS);
    assert_string_equal(text(), "~ ConfigMap/g\n"
                                "    next start data[gateway.yaml] http.port: 80 → 81\n");
}

#define SET(spec)                                                                                                      \
    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: r}\nspec:\n  serviceName: r\n  template:\n"              \
    "    spec:\n      containers:\n      - name: r\n" spec

static void defaults_and_amounts_written_otherwise_are_no_difference(void **state) {
    (void) state;
    assert_int_equal(
        diff_of(SET("        resources: {requests: {cpu: \"1\", memory: 1Gi}}\n"
                    "        ports: [{name: a, containerPort: 1}, {name: b, containerPort: 2}]\n"),
                SET("        resources: {requests: {cpu: 1000m, memory: 1024Mi}}\n"
                    "        ports: [{containerPort: 2, name: b, protocol: TCP}, {containerPort: 1, name: a}]\n"
                    "        env: []\n"
                    "      restartPolicy: Always\n  podManagementPolicy: OrderedReady\n"),
                NULL),
        OPERATOR_DONE);
    assert_string_equal(text(), "");
}

/* What the server fills in, and what it takes a missing value for without filling it in. */
static void what_counts_as_set_without_being_written_is_no_difference(void **state) {
    (void) state;
    assert_int_equal(diff_of(SET("        volumeMounts: [{name: a, mountPath: /a}]\n"
                                 "      volumes: [{name: a, secret: {secretName: a}}, {name: b, configMap: {name: "
                                 "b}}]\n") "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: "
                                           "[{name: p, port: 1}]}\n",
                             SET("        volumeMounts: [{name: a, mountPath: /a, readOnly: false}]\n"
                                 "        readinessProbe: {timeoutSeconds: 1, periodSeconds: 10}\n"
                                 "      volumes: [{name: a, secret: {secretName: a, optional: false}}, {name: b, "
                                 "configMap: "
                                 "{name: b, optional: false}}]\n"
                                 "      enableServiceLinks: true\n      automountServiceAccountToken: true\n"
                                 "  minReadySeconds: 0\n  updateStrategy: {type: RollingUpdate, rollingUpdate: "
                                 "{partition: 0}}\n") "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: "
                                                      "{type: ClusterIP, "
                                                      "publishNotReadyAddresses: false, ports: [{name: p, port: 1, "
                                                      "protocol: TCP}]}\n",
                             NULL),
                     OPERATOR_DONE);
    assert_string_equal(text(), "");
    /* A part of it that is another one makes the whole a difference. */
    assert_int_equal(diff_of(SET("        image: a\n"),
                             SET("        image: a\n  updateStrategy: {type: RollingUpdate, rollingUpdate: "
                                 "{partition: 1}}\n"),
                             NULL),
                     OPERATOR_DIFFERS);
    assert_string_equal(text(), "~ StatefulSet/r\n    in place   spec.updateStrategy: none → {type: RollingUpdate, "
                                "rollingUpdate: {partition: 1}}\n");
}

static void what_cannot_be_changed_is_refused_until_it_is_accepted(void **state) {
    (void) state;
    static const char before[] = SET("        image: a\n");
    static const char after[] = SET("        image: a\n  podManagementPolicy: Parallel\n");
    assert_int_equal(diff_of(before, after, NULL), OPERATOR_UNSAFE);
    assert_string_equal(text(), "~ StatefulSet/r\n"
                                "    re-create  spec.podManagementPolicy: none → Parallel\n"
                                "\n"
                                "re-create CB3008 StatefulSet/r: it cannot be changed: it needs delete "
                                "--cascade=orphan and re-create; --accept=CB3008 allows it\n");
    assert_int_equal(diff_of(before, after, "--accept=CB3001"), OPERATOR_UNSAFE);
    assert_int_equal(diff_of(before, after, "--accept=CB3001,CB3008"), OPERATOR_DIFFERS);
    assert_told("re-create (accepted)\n");
}

static void objects_come_and_go(void **state) {
    (void) state;
    static const char a[] = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: n}\n";
    static const char b[] = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", "
                            "\"kind\": \"Service\", \"metadata\": {\"name\": \"b\"}}]}";
    assert_int_equal(diff_of(a, b, NULL), OPERATOR_DIFFERS);
    assert_string_equal(text(), "+ Service/b\n- n/Service/a\n");
    assert_int_equal(diff_of(a, b, "-ojson"), OPERATOR_DIFFERS);
    assert_told("\"object\": \"Service/b\",\n      \"kind\": \"added\"");
    assert_int_equal(diff_of(a, b, "--color=always"), OPERATOR_DIFFERS);
    assert_told("\033[32m+ \033[0mService/b\n");
}

static void what_is_no_object_is_told(void **state) {
    (void) state;
    assert_int_equal(diff_of("a: 1\n", "a: [\n", NULL), OPERATOR_INVALID);
    assert_non_null(strstr((const char *) messages.data, "no Kubernetes object and no spec: it has no kind\n"));
    char *one[] = {(char *) "callboard-operator", (char *) "diff", old_path};
    assert_int_equal(operator_program_call(3, one, &out, &messages), OPERATOR_USAGE);
}

#define IN(namespace, pods, minimum)                                                                                                                                                                                                                                                                                                                                                         \
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop-broker\n  namespace: " namespace "\n  labels: "                                                                                                                                                                                                                                                                                \
                                                                                               "{app.kubernetes.io/"                                                                                                                                                                                                                                                                         \
                                                                                               "instance: shop, "                                                                                                                                                                                                                                                                            \
                                                                                               "app.kubernetes.io/"                                                                                                                                                                                                                                                                          \
                                                                                               "component: "                                                                                                                                                                                                                                                                                 \
                                                                                               "broker}\ndata:\n"                                                                                                                                                                                                                                                                            \
                                                                                               "  broker.yaml: |\n   "                                                                                                                                                                                                                                                                       \
                                                                                               " broker: "                                                                                                                                                                                                                                                                                   \
                                                                                               "{partitions: " pods                                                                                                                                                                                                                                                                          \
                                                                                               "}\n---\n"                                                                                                                                                                                                                                                                                    \
                                                                                               "apiVersion: "                                                                                                                                                                                                                                                                                \
                                                                                               "v1\nkind: "                                                                                                                                                                                                                                                                                  \
                                                                                               "ConfigMap\nmetadata: "                                                                                                                                                                                                                                                                       \
                                                                                               "{name: g, "                                                                                                                                                                                                                                                                                  \
                                                                                               "namespace: " namespace "}\ndata:\n"                                                                                                                                                                                                                                                          \
                                                                                                                       "  gateway.yaml: |\n    client: {connections_max: " minimum                                                                                                                                                                                                           \
                                                                                                                       "}\n    drain: {window: 10s}\n---\n"                                                                                                                                                                                                                                  \
                                                                                                                       "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: g, namespace: " namespace "}\nspec:\n"                                                                                                                                                                       \
                                                                                                                                                                                                          "  template:\n    metadata: {annotations: {sum: \"" minimum                                                                                                                        \
                                                                                                                                                                                                          "\"}}\n    spec:\n      containers: [{name: g}]\n"                                                                                                                                 \
                                                                                                                                                                                                          "      volumes: [{name: c, configMap: {name: g}}]\n---\n"                                                                                                                          \
                                                                                                                                                                                                          "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: g, namespace: " namespace "}\nspec: {scaleTargetRef: {kind: Deployment, name: g}, maxReplicas: " pods \
                                                                                                                                                                                                                                                                                                                 "}\n---\n"

/* The namespace that comes first in a file is not the one that is meant. */
static void deployments_of_one_name_in_two_namespaces_are_two(void **state) {
    (void) state;
    assert_int_equal(
        diff_of(IN("a", "64", "100") IN("b", "128", "500"), IN("a", "64", "100") IN("b", "256", "700"), NULL),
        OPERATOR_UNSAFE);
    assert_told("data at risk CB3001 b/ConfigMap/shop-broker: broker.partitions 128 becomes 256");
    assert_null(strstr(text(), "a/ConfigMap/shop-broker"));
    assert_told("rolls b/Deployment/g: 256 pods, 64 at a time, ");
    assert_told("; at most 44800 connections reconnect at a time\n"); /* 64 × 700, b's */
    assert_int_equal(diff_of(IN("a", "64", "100") IN("b", "128", "500"), IN("b", "128", "500"), NULL),
                     OPERATOR_DIFFERS);
    assert_string_equal(text(), "- a/ConfigMap/g\n- a/ConfigMap/shop-broker\n- a/Deployment/g\n"
                                "- a/HorizontalPodAutoscaler/g\n");
}

/* A ConfigMap's key waits for the next start although the other namespace's workload of that name is replaced. */
static void a_workload_of_another_namespace_rolls_nothing_here(void **state) {
    (void) state;
    static const char before[] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: g, namespace: a}\ndata:\n"
                                 "  gateway.yaml: |\n    http: {port: 80}\n---\n" IN("b", "64", "100");
    static const char after[] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: g, namespace: a}\ndata:\n"
                                "  gateway.yaml: |\n    http: {port: 81}\n---\n" IN("b", "64", "101");
    assert_int_equal(diff_of(before, after, NULL), OPERATOR_DIFFERS);
    assert_told("~ a/ConfigMap/g\n    next start data[gateway.yaml] http.port: 80 → 81\n");
}

static void a_redis_that_goes_with_its_deployment_is_a_risk(void **state) {
    (void) state;
    static const char redis[] =
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: shop-redis\n  namespace: b\n"
        "  labels: {app.kubernetes.io/instance: shop, app.kubernetes.io/component: redis}\n"
        "spec: {serviceName: r}\n";
    char before[8192];
    snprintf(before, sizeof before, "%s%s", IN("a", "64", "100") IN("b", "64", "100"), redis);
    assert_int_equal(diff_of(before, IN("a", "64", "100"), NULL), OPERATOR_UNSAFE);
    assert_told("data at risk CB3002 b/StatefulSet/shop-redis: Redis goes with its deployment");
    assert_int_equal(diff_of(before, IN("a", "64", "100") IN("b", "64", "100"), NULL), OPERATOR_DIFFERS);
}

/* ---- specs ---- */

static int settings_diff(const char *rest, const char *option) {
    struct buffer spec = BUFFER_EMPTY;
    buffer_append_format(&spec, "%s%s%c", HEADER, rest, '\0');
    static char before[4096];
    snprintf(before, sizeof before, "%s", (const char *) spec.data);
    buffer_finish(&spec);
    return diff_of(before, before, option);
}

static void a_spec_is_compared_with_what_a_setting_makes_of_it(void **state) {
    (void) state;
    assert_int_equal(settings_diff("  profile: ha\n", NULL), OPERATOR_DONE);
    assert_string_equal(text(), "");
    assert_int_equal(settings_diff("  profile: ha\n", "--set=gateway.connectionsMax=1000"), OPERATOR_DIFFERS);
    assert_told("    hot        data[gateway.yaml] client.connections_max: ");
    assert_int_equal(settings_diff("  profile: ha\n", "--set=image.tag=9.9.9"), OPERATOR_DIFFERS);
    assert_told("rolls push/StatefulSet/shop-broker: ");
    assert_told("one after another from ordinal 2 down; ");
}

#define OVERRIDDEN                                                                                                     \
    "  profile: ha\n  overrides:\n  - target: {kind: Service, name: shop-gateway}\n    patch:\n"                       \
    "    - {op: add, path: /spec/loadBalancerSourceRanges, value: [203.0.113.0/24]}\n"                                 \
    "    - {op: replace, path: /spec/type, value: LoadBalancer}\n"

static void overrides_are_listed_beside_what_changes(void **state) {
    (void) state;
    static const char listed[] = "\noverride push/Service/shop-gateway: add /spec/loadBalancerSourceRanges\n"
                                 "override push/Service/shop-gateway: replace /spec/type\n";
    assert_int_equal(settings_diff(OVERRIDDEN, NULL), OPERATOR_DONE);
    assert_string_equal(text(), "");
    assert_int_equal(settings_diff(OVERRIDDEN, "--set=gateway.connectionsMax=1000"), OPERATOR_DIFFERS);
    assert_told(listed);
    assert_int_equal(diff_of(HEADER "  profile: ha\n", HEADER OVERRIDDEN, NULL), OPERATOR_DIFFERS);
    assert_told("~ push/Service/shop-gateway\n    in place   spec.type: ClusterIP → LoadBalancer\n");
    assert_told(listed);
    assert_int_equal(diff_of(HEADER "  profile: ha\n", HEADER OVERRIDDEN, "-q"), OPERATOR_DIFFERS);
    assert_null(strstr(text(), "override"));
    assert_int_equal(diff_of(HEADER "  profile: ha\n", HEADER OVERRIDDEN, "-ojson"), OPERATOR_DIFFERS);
    assert_told("\"op\": \"replace\",\n      \"path\": \"/spec/type\"\n");
}

static void data_at_risk_are_refused(void **state) {
    (void) state;
    static const struct {
        const char *spec;
        const char *setting;
        const char *told;
    } cases[] = {
        {"  profile: ha\n", "--set=broker.partitions=128", "data at risk CB3001 push/ConfigMap/shop-broker: "},
        {"  profile: ha\n", "--set=profile=cluster", "data at risk CB3002 push/ConfigMap/shop-broker: "},
        {"  profile: ha\n", "--set=redis.persistence.size=0", "data at risk CB3003 push/StatefulSet/shop-redis: "},
        {"  profile: ha\n", "--set=redis.persistence.size=0", "data at risk CB3007 push/StatefulSet/shop-redis: "},
        {"  profile: cluster\n  redis: {cluster: {shards: 5}}\n", "--set=redis.cluster.shards=3",
         "data at risk CB3004 push/StatefulSet/shop-redis: 5 shards become 3"},
        {"  profile: ha\n", "--set=redis.maxmemory=256Mi", "data at risk CB3005 push/StatefulSet/shop-redis: "},
        {"  profile: ha\n  redis: {persistence: {size: 100Gi}}\n", "--set=redis.persistence.size=90Gi",
         "data at risk CB3006 push/StatefulSet/shop-redis: "},
        {"  profile: ha\n  redis: {persistence: {size: 100Gi}}\n", "--set=redis.persistence.size=200Gi",
         "re-create CB3008 push/StatefulSet/shop-redis: its claims cannot be changed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(settings_diff(cases[i].spec, cases[i].setting), OPERATOR_UNSAFE);
        assert_told(cases[i].told);
    }
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
        cmocka_unit_test(a_reloaded_key_is_hot_and_rolls_nothing),
        cmocka_unit_test(another_key_rolls_pods_in_batches),
        cmocka_unit_test(a_key_that_nothing_rolls_for_waits_for_the_next_start),
        cmocka_unit_test(defaults_and_amounts_written_otherwise_are_no_difference),
        cmocka_unit_test(what_cannot_be_changed_is_refused_until_it_is_accepted),
        cmocka_unit_test(objects_come_and_go),
        cmocka_unit_test(what_is_no_object_is_told),
        cmocka_unit_test(a_spec_is_compared_with_what_a_setting_makes_of_it),
        cmocka_unit_test(what_counts_as_set_without_being_written_is_no_difference),
        cmocka_unit_test(a_redis_that_goes_with_its_deployment_is_a_risk),
        cmocka_unit_test(deployments_of_one_name_in_two_namespaces_are_two),
        cmocka_unit_test(a_workload_of_another_namespace_rolls_nothing_here),
        cmocka_unit_test(overrides_are_listed_beside_what_changes),
        cmocka_unit_test(data_at_risk_are_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
