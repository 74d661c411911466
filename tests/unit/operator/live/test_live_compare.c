/* Objects as a cluster has them beside what is rendered: what of them counts as ours, what somebody else changed and
 * who that was, what a controller, the server and other tools keep there. */
#include "operator/diff/diff.h"
#include "operator/live/live_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static arena_t *arena;
static struct buffer out;

static void refuse(void *context, const struct config_yaml_error *error) {
    (void) context;
    fail_msg("%u:%u: %s", error->line, error->column, error->text);
}

static manifest_t *object(const char *text) {
    struct config_yaml_errors errors = {.on_error = refuse};
    config_node_t *root = config_yaml_read(span_of_text(text), &errors);
    assert_non_null(root);
    manifest_t *tree = manifest_of_yaml(arena, root);
    config_node_destroy(&root);
    return tree;
}

#define LABELS           "{app.kubernetes.io/part-of: callboard}"
#define HEAD(kind, more) "kind: " kind "\nmetadata:\n  name: g\n  namespace: n\n  labels: " LABELS "\n" more
#define FIELDS(list)     "  managedFields:\n" list
#define FIELDS_OF(manager, operation, time, fields)                                                                    \
    "  - {manager: " manager ", operation: " operation ", time: \"" time "\", fieldsV1: " fields "}\n"
#define OUR_LABEL "\"f:metadata\": {\"f:labels\": {\"f:app.kubernetes.io/part-of\": {}}}"

static struct live compared(const char *found, const char *wanted) {
    struct live live = live_begin(arena);
    live_compare(&live, found == NULL ? NULL : object(found), wanted == NULL ? NULL : object(wanted));
    return live;
}

/* What apply would change, by the path: "spec.a 1 → 2; …". */
static const char *changes_of(const struct live *live, const char *wanted) {
    manifests_t *list = manifests_new(arena);
    manifests_append(list, object(wanted));
    struct diff diff = diff_manifests(arena, live->objects, list, NULL, 0);
    buffer_clear(&out);
    for (size_t i = 0; i < diff.n_changes; i++) {
        const struct diff_change *change = &diff.changes[i];
        buffer_append_format(&out, "%s%s %s → %s", i == 0 ? "" : "; ", change->path,
                             change->old_text == NULL ? "none" : change->old_text,
                             change->new_text == NULL ? "none" : change->new_text);
    }
    buffer_append_char(&out, '\0');
    return (const char *) out.data;
}

static const char *drift_of(const struct live *live) {
    buffer_clear(&out);
    live_drift_print_text(live, false, true, &out);
    buffer_append_char(&out, '\0');
    return (const char *) out.data;
}

/* ---- whose ---- */

#define WANTED                                                                                                         \
    HEAD("Deployment", "spec:\n  template:\n    spec:\n      containers:\n"                                            \
                       "      - {name: g, image: \"a:2\", env: [{name: A, value: x}, {name: B, value: y}]}\n")
#define OURS                                                                                                           \
    FIELDS_OF("callboard-operator", "Apply", "2026-11-28T10:00:00Z",                                                   \
              "{" OUR_LABEL ", \"f:spec\": {\"f:template\": {\"f:spec\": {\"f:containers\": "                          \
              "{'k:{\"name\":\"g\"}': {\".\": {}, \"f:name\": {}, \"f:image\": {}, \"f:env\": "                        \
              "{'k:{\"name\":\"A\"}': {\".\": {}, \"f:name\": {}, \"f:value\": {}}, "                                  \
              "'k:{\"name\":\"C\"}': {\".\": {}, \"f:name\": {}, \"f:value\": {}}}}}}}}}")
#define FOUND(metadata, image, env, more)                                                                              \
    HEAD("Deployment", "  uid: abc\n  resourceVersion: \"7\"\n  generation: 3\n" metadata)                             \
    "spec:\n  progressDeadlineSeconds: 600\n  replicas: 4\n  strategy: {type: RollingUpdate}\n  template:\n"           \
    "    spec:\n      serviceAccount: x\n      containers:\n      - {name: g, image: \"" image "\", env: [" env        \
    "], imagePullPolicy: IfNotPresent}\n" more "status: {readyReplicas: 4}\n"

static void what_we_own_and_render_no_more_goes_and_the_servers_stays(void **state) {
    (void) state;
    struct live live = compared(
        FOUND(FIELDS(OURS), "a:1", "{name: A, value: x}, {name: C, value: z}", "      - {name: sidecar, image: s}\n"),
        WANTED);
    /* image: the spec is newer. B: it is new. C: ours, gone from the spec. The sidecar, replicas: not ours. */
    assert_string_equal(changes_of(&live, WANTED),
                        "spec.template.spec.containers[g].image a:1 → a:2; "
                        "spec.template.spec.containers[g].env[C] {name: C, value: z} → none; "
                        "spec.template.spec.containers[g].env[B] none → {name: B, value: y}");
}

static void without_managers_all_that_is_set_counts_as_ours(void **state) {
    (void) state;
    struct live live = compared(FOUND("", "a:2", "{name: A, value: x}, {name: B, value: y}", ""), WANTED);
    assert_string_equal(changes_of(&live, WANTED), "");
    assert_string_equal(drift_of(&live), "");
    live =
        compared(FOUND("", "a:2", "{name: A, value: x}, {name: B, value: y}", "      - {name: s, image: s}\n"), WANTED);
    assert_string_equal(changes_of(&live, WANTED), "spec.template.spec.containers[s] {name: s, image: s} → none");
}

/* ---- drift ---- */

#define BY_HAND                                                                                                        \
    FIELDS_OF("kubectl-edit", "Update", "2026-11-29T03:12:45Z",                                                        \
              "{\"f:metadata\": {\"f:annotations\": {\".\": {}, \"f:note\": {}}}, \"f:spec\": {\"f:template\": "       \
              "{\"f:spec\": {\"f:containers\": {'k:{\"name\":\"g\"}': {\"f:image\": {}}}}}}}")
#define BY_MACHINE                                                                                                     \
    FIELDS_OF("some-controller", "Update", "2026-11-29T03:12:46Z",                                                     \
              "{\"f:metadata\": {\"f:annotations\": {\"f:other\": {}}}, \"f:spec\": {\"f:paused\": {}}}")
#define OURS_BUT_IMAGE                                                                                                 \
    FIELDS_OF("helm", "Update", "2026-11-28T10:00:00Z",                                                                \
              "{" OUR_LABEL ", \"f:spec\": {\"f:progressDeadlineSeconds\": {}, \"f:replicas\": {}, \"f:template\": "   \
              "{\"f:spec\": {\"f:containers\": {'k:{\"name\":\"g\"}': {\".\": {}, \"f:name\": {}, "                    \
              "\"f:imagePullPolicy\": {}, \"f:env\": {'k:{\"name\":\"A\"}': {\".\": {}, \"f:value\": {}}}}}}}}}")

static void who_changed_what_by_hand_is_told(void **state) {
    (void) state;
    static const char found[] =
        FOUND("  annotations: {note: hi, other: x, kubectl.kubernetes.io/restartedAt: now}\n" FIELDS(
                  OURS_BUT_IMAGE BY_HAND BY_MACHINE),
              "a:debug", "{name: A, value: x}", "");
    struct live live = compared(found, WANTED);
    assert_string_equal(
        drift_of(&live),
        "~ n/Deployment/g\n"
        "    metadata.annotations.note: none → hi (kubectl-edit, 2026-11-29T03:12:45Z)\n"
        "    spec.template.spec.containers[g].image: a:2 → a:debug (kubectl-edit, 2026-11-29T03:12:45Z)\n"
        "    spec.template.spec.containers[g].env[B]: {name: B, value: y} → none (removed, or never applied: the "
        "server keeps no name for that)\n");
    /* Applying puts back what differs, and leaves what others have beside it. */
    assert_string_equal(changes_of(&live, WANTED),
                        "spec.template.spec.containers[g].image a:debug → a:2; "
                        "spec.template.spec.containers[g].env[B] none → {name: B, value: y}");
    buffer_clear(&out);
    live_drift_print_json(&live, &out);
    buffer_append_char(&out, '\0');
    assert_non_null(
        strstr((const char *) out.data, "\"kind\": \"added\",\n      \"path\": \"metadata.annotations.note\""));
    assert_non_null(strstr((const char *) out.data, "\"time\": \"2026-11-29T03:12:45Z\""));
}

static void a_key_of_a_configuration_is_told_by_its_name(void **state) {
    (void) state;
    static const char wanted[] = HEAD("ConfigMap", "data:\n  gateway.yaml: |\n    client: {ping_interval: 25s}\n");
    static const char found[] = HEAD(
        "ConfigMap",
        FIELDS(FIELDS_OF("kubectl-client-side-apply", "Update", "2026-11-28T10:00:00Z", "{" OUR_LABEL "}") FIELDS_OF(
            "kubectl-patch", "Update", "2026-11-29T03:12:45Z",
            "{\"f:data\": {\"f:gateway.yaml\": {}, \"f:more\": {}}}"))) "data:\n  more: x\n  gateway.yaml: |\n    "
                                                                        "client: {ping_interval: 5s}\n";
    struct live live = compared(found, wanted);
    assert_string_equal(drift_of(&live), "~ n/ConfigMap/g\n"
                                         "    data.more: none → a text (kubectl-patch, 2026-11-29T03:12:45Z)\n"
                                         "    data[gateway.yaml] client.ping_interval: 25s → 5s (kubectl-patch, "
                                         "2026-11-29T03:12:45Z)\n");
}

static void an_object_that_is_away_is_drift_and_one_too_many_is_removed(void **state) {
    (void) state;
    struct live live = compared(NULL, WANTED);
    assert_string_equal(drift_of(&live), "- n/Deployment/g: not in the cluster\n");
    assert_int_equal(manifests_count(live.objects), 0);
    live = compared(FOUND(FIELDS(OURS), "a:1", "", ""), NULL);
    assert_int_equal(live.n_drifts, 0);
    assert_string_equal(diff_object_name(arena, manifests_at(live.objects, 0)), "n/Deployment/g");
}

/* ---- what is nobody's ---- */

static void replicas_are_the_autoscalers_unless_we_applied_them(void **state) {
    (void) state;
    static const char wanted[] = HEAD("Deployment", "spec: {minReadySeconds: 10}\n");
    static const char scaled[] =
        HEAD("Deployment", FIELDS(FIELDS_OF("helm", "Update", "2026-11-28T10:00:00Z",
                                            "{" OUR_LABEL ", \"f:spec\": {\"f:replicas\": {}, \"f:minReadySeconds\": "
                                            "{}}}"))) "spec: {replicas: 4, minReadySeconds: 10}\n";
    static const char applied[] =
        HEAD("Deployment", FIELDS(FIELDS_OF("callboard-operator", "Apply", "2026-11-28T10:00:00Z",
                                            "{" OUR_LABEL ", \"f:spec\": {\"f:replicas\": {}, \"f:minReadySeconds\": "
                                            "{}}}"))) "spec: {replicas: 4, minReadySeconds: 10}\n";
    struct live live = compared(scaled, wanted);
    assert_string_equal(changes_of(&live, wanted), "");
    live = compared(applied, wanted);
    assert_string_equal(changes_of(&live, wanted), "spec.replicas 4 → none");
}

static void what_the_server_assigns_to_a_service_is_no_difference(void **state) {
    (void) state;
    static const char wanted[] = HEAD("Service", "spec:\n  ports: [{name: a, port: 80, targetPort: a}]\n");
    static const char found[] =
        HEAD("Service",
             "  finalizers: [x]\n") "spec:\n  clusterIP: 10.0.0.1\n  clusterIPs: [10.0.0.1]\n  ipFamilies: [IPv4]\n  "
                                    "ipFamilyPolicy: SingleStack\n"
                                    "  internalTrafficPolicy: Cluster\n  sessionAffinity: None\n  type: ClusterIP\n"
                                    "  ports: [{name: a, port: 80, targetPort: a, protocol: TCP, nodePort: "
                                    "30001}]\nstatus: {loadBalancer: {}}\n";
    struct live live = compared(found, wanted);
    assert_string_equal(changes_of(&live, wanted), "");
    /* An address that the spec asks for cannot be had by a change. */
    static const char other[] =
        HEAD("Service", "spec: {clusterIP: None, ports: [{name: a, port: 80, targetPort: a}]}\n");
    live = compared(found, other);
    assert_string_equal(changes_of(&live, other), "spec.clusterIP 10.0.0.1 → None");
}

static void helms_marks_are_no_difference(void **state) {
    (void) state;
    static const char wanted[] =
        "kind: Service\nmetadata:\n  name: g\n  labels: {app.kubernetes.io/part-of: callboard, "
        "app.kubernetes.io/managed-by: callboard-operator}\n";
    static const char found[] = "kind: Service\nmetadata:\n  name: g\n  namespace: default\n"
                                "  labels: {app.kubernetes.io/part-of: callboard, app.kubernetes.io/managed-by: Helm, "
                                "helm.sh/chart: callboard-1}\n  annotations: {meta.helm.sh/release-name: g}\n";
    struct live live = compared(found, wanted);
    assert_string_equal(changes_of(&live, wanted), "");
}

/* A list that is owned as a whole: what an item of it is, is whose the list is. */
static void a_list_of_one_owner_is_compared_by_places(void **state) {
    (void) state;
    static const char wanted[] = HEAD("NetworkPolicy", "spec: {policyTypes: [Ingress, Egress]}\n");
    static const char by_hand[] =
        HEAD("NetworkPolicy",
             FIELDS(FIELDS_OF("callboard-operator", "Apply", "2026-11-28T10:00:00Z", "{" OUR_LABEL "}")
                        FIELDS_OF("kubectl-edit", "Update", "2026-11-29T03:12:45Z",
                                  "{\"f:spec\": {\"f:policyTypes\": {}}}"))) "spec: {policyTypes: [Ingress]}\n";
    struct live live = compared(by_hand, wanted);
    assert_string_equal(changes_of(&live, wanted), "spec.policyTypes[1] none → Egress");
    assert_int_equal(live.n_drifts, 1);
    assert_string_equal(live.drifts[0].path, "spec.policyTypes[1]");
    static const char other[] = HEAD("NetworkPolicy", "spec: {policyTypes: [Egress]}\n");
    live = compared(by_hand, other);
    assert_int_equal(live.n_drifts, 1);
    assert_string_equal(live.drifts[0].path, "spec.policyTypes[0]");
    assert_string_equal(live.drifts[0].manager, "kubectl-edit");
}

/* Who set our label installed the object, whatever its name; and what ours set, too, is not another's alone. */
static void a_newer_spec_is_no_drift_whoever_installed_it(void **state) {
    (void) state;
    static const char wanted[] = HEAD("Deployment", "spec: {minReadySeconds: 20}\n");
    static const char installed[] = HEAD(
        "Deployment",
        FIELDS(FIELDS_OF("gitops", "Apply", "2026-11-28T10:00:00Z",
                         "{" OUR_LABEL ", \"f:spec\": {\"f:minReadySeconds\": {}}}"))) "spec: {minReadySeconds: 10}\n";
    static const char shared[] =
        HEAD("Deployment",
             FIELDS(FIELDS_OF("gitops", "Apply", "2026-11-28T10:00:00Z",
                              "{" OUR_LABEL ", \"f:spec\": {\"f:minReadySeconds\": {}}}")
                        FIELDS_OF("a-person", "Apply", "2026-11-29T10:00:00Z",
                                  "{\"f:spec\": {\"f:minReadySeconds\": {}}}"))) "spec: {minReadySeconds: 10}\n";
    struct live live = compared(installed, wanted);
    assert_string_equal(changes_of(&live, wanted), "spec.minReadySeconds 10 → 20");
    assert_int_equal(live.n_drifts, 0);
    live = compared(shared, wanted);
    assert_int_equal(live.n_drifts, 0);
    live = compared(installed, HEAD("Deployment", "spec: {}\n"));
    assert_int_equal(manifest_int_of(manifest_find(manifests_at(live.objects, 0), "spec.minReadySeconds")), 10);
}

static int begin(void **state) {
    (void) state;
    arena = arena_new();
    buffer_init(&out, 1 << 20);
    return 0;
}

static int end(void **state) {
    (void) state;
    arena_destroy(&arena);
    buffer_finish(&out);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_we_own_and_render_no_more_goes_and_the_servers_stays, begin, end),
        cmocka_unit_test_setup_teardown(without_managers_all_that_is_set_counts_as_ours, begin, end),
        cmocka_unit_test_setup_teardown(who_changed_what_by_hand_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_key_of_a_configuration_is_told_by_its_name, begin, end),
        cmocka_unit_test_setup_teardown(an_object_that_is_away_is_drift_and_one_too_many_is_removed, begin, end),
        cmocka_unit_test_setup_teardown(replicas_are_the_autoscalers_unless_we_applied_them, begin, end),
        cmocka_unit_test_setup_teardown(what_the_server_assigns_to_a_service_is_no_difference, begin, end),
        cmocka_unit_test_setup_teardown(helms_marks_are_no_difference, begin, end),
        cmocka_unit_test_setup_teardown(a_list_of_one_owner_is_compared_by_places, begin, end),
        cmocka_unit_test_setup_teardown(a_newer_spec_is_no_drift_whoever_installed_it, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
