/* Answers of API servers and plugins, without a network: JSON, Status, discovery, places, times, warnings. */
#include "operator/kube/kube_exec.h"
#include "operator/kube/kube_http.h"
#include "operator/kube/kube_json.h"
#include "operator/kube/kube_status.h"
#include "operator/kube/kube_time.h"
#include "operator/kube/kube_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static arena_t *arena;

static int set_up(void **state) {
    (void) state;
    arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    arena_destroy(&arena);
    return 0;
}

static manifest_t *tree(const char *text) {
    const char *error = "";
    manifest_t *node = kube_json_read(arena, span_of_text(text), &error);
    if (node == NULL) {
        fail_msg("%s: %s", text, error);
    }
    return node;
}

/* ---- JSON ---- */

static void numbers_stay_exact(void **state) {
    (void) state;
    const manifest_t *node =
        tree("{\"a\": 9007199254740993, \"b\": 1.50, \"c\": -3, \"d\": 123456789012345678901234567890, \"e\": 1e3}");
    assert_int_equal(manifest_int_of(manifest_get(node, "a")), 9007199254740993);
    assert_int_equal(manifest_kind(manifest_get(node, "b")), MANIFEST_NUMBER);
    assert_string_equal(manifest_text_of(manifest_get(node, "b")), "1.50");
    assert_int_equal(manifest_int_of(manifest_get(node, "c")), -3);
    assert_string_equal(manifest_text_of(manifest_get(node, "d")), "123456789012345678901234567890");
    assert_string_equal(manifest_text_of(manifest_get(node, "e")), "1e3");
}

static void trees_have_all_kinds(void **state) {
    (void) state;
    const manifest_t *node = tree("{\"a\": [true, false, null, \"\\u00e9\\n\"], \"b\": {}, \"c.d\": \"x\"}");
    assert_true(manifest_bool_of(manifest_find(node, "a.0")));
    assert_int_equal(manifest_kind(manifest_find(node, "a.2")), MANIFEST_NULL);
    assert_string_equal(manifest_text_of(manifest_find(node, "a.3")), "é\n");
    assert_int_equal(manifest_count(manifest_get(node, "b")), 0);
    assert_string_equal(manifest_text_of(manifest_get(node, "c.d")), "x");
}

static void what_is_no_json_is_refused(void **state) {
    (void) state;
    static const char *const bad[] = {"",       "{",        "[1,]",     "{\"a\": 01}", "\"a\\u0000b\"",
                                      "<html>", "{} trail", "{'a': 1}", "nul",         "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *error = NULL;
        assert_null(kube_json_read(arena, span_of_text(bad[i]), &error));
        assert_non_null(error);
    }
    char deep[2 * KUBE_JSON_DEPTH_MAX + 3];
    memset(deep, '[', KUBE_JSON_DEPTH_MAX + 1);
    memset(deep + KUBE_JSON_DEPTH_MAX + 1, ']', KUBE_JSON_DEPTH_MAX + 1);
    const char *error = NULL;
    assert_null(kube_json_read(arena, span_of(deep, 2 * KUBE_JSON_DEPTH_MAX + 2), &error));
    assert_non_null(strstr(error, "nested too deeply"));
}

/* ---- Status ---- */

static void each_status_has_its_result(void **state) {
    (void) state;
    static const struct {
        int status;
        enum kube_result result;
    } rows[] = {{200, KUBE_OK},          {201, KUBE_OK},        {202, KUBE_OK},          {400, KUBE_INVALID},
                {401, KUBE_DENIED},      {403, KUBE_DENIED},    {404, KUBE_NOT_FOUND},   {409, KUBE_CONFLICT},
                {410, KUBE_INVALID},     {422, KUBE_INVALID},   {429, KUBE_BUSY},        {500, KUBE_UNREACHABLE},
                {503, KUBE_UNREACHABLE}, {504, KUBE_TIMED_OUT}, {302, KUBE_UNREACHABLE}, {0, KUBE_UNREACHABLE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(kube_status_result(rows[i].status, NULL), rows[i].result);
    }
}

static void a_field_that_a_kind_does_not_have_is_our_fault(void **state) {
    (void) state;
    const manifest_t *status =
        tree("{\"kind\": \"Status\", \"message\": \"failed to create typed patch object (/x; /v1, "
             "Kind=ConfigMap): .bogus: field not declared in schema\"}");
    assert_int_equal(kube_status_result(500, status), KUBE_INVALID);
    assert_non_null(strstr(kube_status_message(arena, "apply x", 500, status), "spec.kubernetes.version"));
}

static void only_what_does_no_harm_is_sent_again(void **state) {
    (void) state;
    assert_true(kube_status_may_retry(429, false, false));
    assert_true(kube_status_may_retry(503, false, true));
    assert_false(kube_status_may_retry(503, false, false));
    assert_true(kube_status_may_retry(503, true, false));
    assert_true(kube_status_may_retry(500, true, false));
    assert_false(kube_status_may_retry(500, false, false));
    assert_false(kube_status_may_retry(409, true, true));
    assert_false(kube_status_may_retry(200, true, false));
}

static void messages_say_what_and_how_to_mend(void **state) {
    (void) state;
    const manifest_t *denied =
        tree("{\"kind\": \"Status\", \"reason\": \"Forbidden\", \"message\": \"services \\\"a\\\" is "
             "forbidden\\u001b[31m\"}");
    assert_string_equal(
        kube_status_message(arena, "get services/a in push", 403, denied),
        "get services/a in push: 403: services \"a\" is forbidden [31m; this user may not do that here: "
        "ask for a Role that allows it, or choose another --context");
    const manifest_t *invalid = tree(
        "{\"kind\": \"Status\", \"reason\": \"Invalid\", \"message\": \"it is invalid\", \"details\": {\"causes\": "
        "[{\"reason\": \"FieldValueInvalid\", \"field\": \"spec.replicas\", \"message\": \"must not be negative\"}]}}");
    assert_string_equal(kube_status_message(arena, "apply x", 422, invalid),
                        "apply x: 422: it is invalid; spec.replicas: must not be negative");
    assert_string_equal(kube_status_message(arena, "get x", 502, NULL),
                        "get x: 502, without a reason that is Kubernetes'; the API server, a webhook or a proxy before "
                        "it is at fault; try again later");
}

static void conflicts_name_manager_and_field(void **state) {
    (void) state;
    const manifest_t *status =
        tree("{\"kind\": \"Status\", \"details\": {\"causes\": [{\"reason\": \"FieldManagerConflict\", \"message\": "
             "\"conflict with \\\"kubectl-edit\\\" using apps/v1\", \"field\": \".spec.replicas\"}, {\"reason\": "
             "\"Other\"}]}}");
    struct kube_field_conflict *conflicts;
    assert_int_equal(kube_status_conflicts(arena, status, &conflicts), 1);
    assert_string_equal(conflicts[0].manager, "kubectl-edit");
    assert_string_equal(conflicts[0].field, ".spec.replicas");
    assert_int_equal(kube_status_conflicts(arena, NULL, &conflicts), 0);
}

/* ---- places ---- */

static const char *path_of(const struct kube_place *place) {
    struct buffer out = BUFFER_EMPTY;
    kube_url_append_path(&out, place);
    const char *text = arena_text_of(arena, buffer_span(&out));
    buffer_finish(&out);
    return text;
}

static void objects_have_places(void **state) {
    (void) state;
    const struct kube_resource sets = {"statefulsets", true};
    const struct kube_resource nodes = {"nodes", false};
    assert_string_equal(path_of(&(struct kube_place){"apps/v1", &sets, "push", "shop-redis", NULL}),
                        "/apis/apps/v1/namespaces/push/statefulsets/shop-redis");
    assert_string_equal(path_of(&(struct kube_place){"apps/v1", &sets, NULL, NULL, NULL}),
                        "/apis/apps/v1/statefulsets");
    assert_string_equal(path_of(&(struct kube_place){"v1", &nodes, "push", "a/../b?c", "status"}),
                        "/api/v1/nodes/a%2F..%2Fb%3Fc/status");
}

static void kinds_are_found_among_resources(void **state) {
    (void) state;
    const manifest_t *list =
        tree("{\"resources\": [{\"name\": \"pods/status\", \"kind\": \"Pod\", \"namespaced\": true}, "
             "{\"name\": \"pods\", \"kind\": \"Pod\", \"namespaced\": true}, {\"name\": \"nodes\", "
             "\"kind\": \"Node\", \"namespaced\": false}, 7]}");
    struct kube_resource resource;
    assert_true(kube_url_find_resource(list, "Pod", &resource));
    assert_string_equal(resource.plural, "pods");
    assert_true(resource.is_namespaced);
    assert_true(kube_url_find_resource(list, "Node", &resource));
    assert_false(resource.is_namespaced);
    assert_false(kube_url_find_resource(list, "Service", &resource));
}

/* ---- times ---- */

static void times_are_read(void **state) {
    (void) state;
    int64_t ms = 0;
    assert_true(kube_time_parse("1970-01-01T00:00:01Z", &ms));
    assert_int_equal(ms, 1000);
    assert_true(kube_time_parse("2026-11-29T10:00:00.123456Z", &ms));
    assert_int_equal(ms, 1795946400123);
    assert_true(kube_time_parse("2026-11-29T12:30:00+02:30", &ms));
    assert_int_equal(ms, 1795946400000);
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-29",
                                      "2026-11-29T10:00:00",
                                      "2026-13-29T10:00:00Z",
                                      "x",
                                      "2026-11-29T10:00:00Zx",
                                      "2026-11-29T10:00:00.Z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(kube_time_parse(bad[i], &ms));
    }
}

/* ---- warnings ---- */

static void warnings_are_what_stands_in_quotes(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    assert_true(kube_http_warning_text(SPAN_LITERAL("299 - \"use \\\"v2\\\" instead\""), &out));
    assert_memory_equal(out.data, "use \"v2\" instead", out.size);
    assert_false(kube_http_warning_text(SPAN_LITERAL("199 - \"x\""), &out));
    assert_false(kube_http_warning_text(SPAN_LITERAL("299 - \"x"), &out));
    buffer_finish(&out);
}

/* ---- plugins ---- */

#define API "client.authentication.k8s.io/v1"

static const char *answer(const char *status, struct kube_exec_credential *ret_credential) {
    const char *text =
        arena_format(arena, "{\"apiVersion\": \"" API "\", \"kind\": \"ExecCredential\", \"status\": %s}", status);
    return kube_exec_answer(arena, API, span_of_text(text), ret_credential);
}

static void plugins_give_tokens_and_certificates(void **state) {
    (void) state;
    struct kube_exec_credential credential;
    assert_null(answer("{\"token\": \"t\", \"expirationTimestamp\": \"1970-01-01T00:00:02Z\"}", &credential));
    assert_string_equal(credential.token, "t");
    assert_int_equal(credential.expires_ms, 2000);
    assert_null(answer("{\"clientCertificateData\": \"c\", \"clientKeyData\": \"k\"}", &credential));
    assert_string_equal(credential.client_key_pem, "k");
    assert_int_equal(credential.expires_ms, 0);
}

static void bad_answers_of_plugins_are_told_without_them(void **state) {
    (void) state;
    struct kube_exec_credential credential;
    assert_string_equal(answer("{\"clientKeyData\": \"hunter2\"}", &credential),
                        "it gives a certificate without its key, or the reverse");
    assert_string_equal(answer("{}", &credential), "it gives neither status.token nor status.clientCertificateData");
    assert_string_equal(answer("{\"token\": \"t\", \"expirationTimestamp\": \"soon\"}", &credential),
                        "status.expirationTimestamp is no time as 2026-11-29T10:00:00Z");
    assert_string_equal(kube_exec_answer(arena, API, SPAN_LITERAL("hunter2"), &credential),
                        "its output is no JSON (invalid JSON at byte 0)");
    assert_string_equal(kube_exec_answer(arena, API, SPAN_LITERAL("{\"kind\": \"Status\"}"), &credential),
                        "its output is no ExecCredential");
    assert_string_equal(kube_exec_answer(arena, API,
                                         SPAN_LITERAL("{\"kind\": \"ExecCredential\", \"apiVersion\": \"v2\"}"),
                                         &credential),
                        "it answers with v2 where the kubeconfig says apiVersion " API);
}

/* ---- programs that are plugins ---- */

static const char *run(const char *script, int64_t timeout_ms, struct kube_exec_credential *ret_credential) {
    const char *const arguments[] = {"-c", script, NULL};
    static const char *const environment[] = {"WHO=me", NULL};
    const struct kube_exec exec = {.place = "config:7",
                                   .api_version = API,
                                   .command = "/bin/sh",
                                   .arguments = arguments,
                                   .environment = environment,
                                   .provides_cluster_info = true};
    const struct kube_access access = {.server = "https://h", .exec = &exec};
    const char *error = NULL;
    bool is_good = kube_exec_run(arena, &access, timeout_ms, ret_credential, &error);
    assert_int_equal(is_good, error == NULL);
    return error;
}

static void a_plugin_is_told_what_it_is_for(void **state) {
    (void) state;
    struct kube_exec_credential credential;
    const char *error = run("case $KUBERNETES_EXEC_INFO in *'\"server\": \"https://h\"'*) ;; *) exit 3;; esac; "
                            "echo \"{\\\"apiVersion\\\": \\\"" API "\\\", \\\"kind\\\": \\\"ExecCredential\\\", "
                            "\\\"status\\\": {\\\"token\\\": \\\"$WHO\\\"}}\"",
                            30000, &credential);
    assert_null(error);
    assert_string_equal(credential.token, "me");
}

static void plugins_that_fail_are_told(void **state) {
    (void) state;
    struct kube_exec_credential credential;
    assert_string_equal(
        run("echo hunter2; echo first >&2; echo 'log in again' >&2; exit 2", 30000, &credential),
        "config:7: the credential plugin /bin/sh gave no credentials: it ended with status 2: log in again");
    assert_string_equal(run("kill -9 $$", 30000, &credential),
                        "config:7: the credential plugin /bin/sh gave no credentials: it was ended by signal 9");
    assert_non_null(strstr(run("while :; do echo 0123456789012345678901234567890123456789; done", 30000, &credential),
                           "it prints more than 1048576 bytes"));
    assert_non_null(strstr(run("sleep 600 & sleep 600", 300, &credential), "it did not end in time and was killed"));
    assert_non_null(strstr(run("sleep 5 & exit 0", 30000, &credential), "its output is no JSON"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stay_exact),
        cmocka_unit_test(trees_have_all_kinds),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(each_status_has_its_result),
        cmocka_unit_test(a_field_that_a_kind_does_not_have_is_our_fault),
        cmocka_unit_test(only_what_does_no_harm_is_sent_again),
        cmocka_unit_test(messages_say_what_and_how_to_mend),
        cmocka_unit_test(conflicts_name_manager_and_field),
        cmocka_unit_test(objects_have_places),
        cmocka_unit_test(kinds_are_found_among_resources),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(warnings_are_what_stands_in_quotes),
        cmocka_unit_test(plugins_give_tokens_and_certificates),
        cmocka_unit_test(bad_answers_of_plugins_are_told_without_them),
        cmocka_unit_test(a_plugin_is_told_what_it_is_for),
        cmocka_unit_test(plugins_that_fail_are_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
