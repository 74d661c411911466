/* kubeconfigs: what is read of them, which of several files counts, and what is said of a wrong one. */
#include "operator/kube/kube_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PEM        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define PEM_BASE64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define CONTEXT    "current-context: here\ncontexts: [{name: here, context: {cluster: c, user: u, namespace: push}}]\n"
#define CLUSTER    "clusters: [{name: c, cluster: {server: 'https://10.0.0.1:6443/'}}]\n"
#define USER(text) "users:\n- name: u\n  user: {" text "}\n"
#define WITH(text) CONTEXT CLUSTER USER(text)

static arena_t *arena;
static struct kube_access access_read;
static const char *error;
static char folder[] = "/tmp/kube_config_XXXXXX";

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

static bool read_text(const char *text, const char *context) {
    const struct kube_config_file file = {.name = "kube/config", .text = span_of_text(text)};
    return kube_config_read_texts(arena, &file, 1, context, &access_read, &error);
}

static void assert_good(const char *text) {
    if (!read_text(text, NULL)) {
        fail_msg("%s", error);
    }
}

static void assert_refused(const char *text, const char *message) {
    assert_false(read_text(text, NULL));
    assert_string_equal(error, message);
}

/* ---- what is read ---- */

static void a_server_and_its_context_are_read(void **state) {
    (void) state;
    assert_good(WITH("token: abc"));
    assert_string_equal(access_read.context, "here");
    assert_string_equal(access_read.server, "https://10.0.0.1:6443");
    assert_string_equal(access_read.place, "kube/config:3");
    assert_string_equal(access_read.namespace, "push");
    assert_string_equal(access_read.token, "abc");
    assert_null(access_read.ca_pem);
    assert_null(access_read.exec);
    assert_false(access_read.skips_verification);
}

static void json_is_read_too(void **state) {
    (void) state;
    assert_good(
        "{\"current-context\": \"a\", \"contexts\": [{\"name\": \"a\", \"context\": {\"cluster\": \"c\", \"user\": "
        "\"u\"}}], \"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"https://h\", "
        "\"tls-server-name\": \"kubernetes\", \"insecure-skip-tls-verify\": true, \"proxy-url\": "
        "\"http://p:1\"}}], \"users\": [{\"name\": \"u\", \"user\": null}]}");
    assert_string_equal(access_read.namespace, "default");
    assert_string_equal(access_read.tls_server_name, "kubernetes");
    assert_string_equal(access_read.proxy_url, "http://p:1");
    assert_true(access_read.skips_verification);
}

static void certificates_come_as_data_and_as_files(void **state) {
    (void) state;
    assert_good(CONTEXT "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority-data: " PEM_BASE64
                        ", certificate-authority: not/read}}]\n" USER("client-certificate-data: " PEM_BASE64
                                                                      ", client-key-data: " PEM_BASE64));
    assert_string_equal(access_read.ca_pem, PEM);
    assert_string_equal(access_read.client_certificate_pem, PEM);
    assert_string_equal(access_read.client_key_pem, PEM);
}

static void files_are_looked_for_beside_the_kubeconfig(void **state) {
    (void) state;
    const char *path = arena_format(arena, "%s/ca.crt", folder);
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(PEM, stream);
    fclose(stream);
    const struct kube_config_file file = {
        .name = arena_format(arena, "%s/config", folder),
        .text = span_of_text(CONTEXT "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: "
                                     "ca.crt}}]\n" USER("tokenFile: token"))};
    assert_true(kube_config_read_texts(arena, &file, 1, NULL, &access_read, &error));
    assert_string_equal(access_read.ca_pem, PEM);
    assert_string_equal(access_read.token_file, arena_format(arena, "%s/token", folder));
}

static void of_several_files_the_first_counts(void **state) {
    (void) state;
    const struct kube_config_file files[] = {
        {.name = "a",
         .text = SPAN_LITERAL("current-context: two\nclusters: [{name: c, cluster: {server: 'https://a'}}]\n")},
        {.name = "b",
         .text =
             SPAN_LITERAL("current-context: one\nclusters: [{name: c, cluster: {server: 'https://b'}}]\n"
                          "contexts: [{name: two, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n")}};
    assert_true(kube_config_read_texts(arena, files, 2, NULL, &access_read, &error));
    assert_string_equal(access_read.server, "https://a");
    assert_string_equal(access_read.context, "two");
}

static void a_context_is_chosen(void **state) {
    (void) state;
    const char *text = WITH("") "other: 1\n";
    assert_true(read_text(text, "here"));
    assert_false(read_text(text, "there"));
    assert_string_equal(error, "kube/config: there is no context there; there are: here");
}

static void a_plugin_is_read(void **state) {
    (void) state;
    assert_good(CONTEXT "clusters:\n- name: c\n  cluster:\n    server: https://h\n    extensions:\n"
                        "    - {name: client.authentication.k8s.io/exec, extension: {audience: x}}\n"
                        "users:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n"
                        "      command: bin/login\n      args: [token, --for, here]\n"
                        "      env: [{name: PROFILE, value: dev}]\n      interactiveMode: Never\n"
                        "      provideClusterInfo: true\n      installHint: get it\n");
    const struct kube_exec *exec = access_read.exec;
    assert_non_null(exec);
    assert_string_equal(exec->place, "kube/config:12");
    assert_string_equal(exec->command, "kube/bin/login");
    assert_string_equal(exec->arguments[2], "here");
    assert_null(exec->arguments[3]);
    assert_string_equal(exec->environment[0], "PROFILE=dev");
    assert_null(exec->environment[1]);
    assert_false(exec->is_interactive);
    assert_true(exec->provides_cluster_info);
    assert_string_equal(manifest_text_of(manifest_get(access_read.exec_config, "audience")), "x");
}

static void impersonation_is_read(void **state) {
    (void) state;
    assert_good(WITH("as: jane, as-groups: [a, b]"));
    assert_string_equal(access_read.impersonated_user, "jane");
    assert_string_equal(access_read.impersonated_groups[1], "b");
    assert_null(access_read.impersonated_groups[2]);
}

/* ---- what is refused ---- */

static void mistakes_have_their_place_and_cure(void **state) {
    (void) state;
    assert_refused("current-context: x\n", "kube/config:1:1: there is no context x; there are: none");
    assert_refused(CLUSTER, "kube/config: no current-context is set; choose one by --context NAME (there are: none)");
    assert_refused(CONTEXT USER(""), "kube/config:2:35: there is no cluster c among the clusters of kube/config");
    assert_refused(CONTEXT CLUSTER, "kube/config:2:47: there is no user u among the users of kube/config");
    assert_refused(CONTEXT "clusters: [{name: c, cluster: {server: 'http://10.0.0.1'}}]\n" USER(""),
                   "kube/config:3:32: server begins with https:// (plain http only to this machine)");
    assert_refused(CONTEXT "clusters: [{name: c, cluster: {server: 'https://u:secret@h'}}]\n" USER(""),
                   "kube/config:3:32: server is https://host:port, without a user, a query or white space");
    assert_refused(CONTEXT
                   "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority-data: QQ==}}]\n" USER(""),
                   "kube/config:3:53: certificate-authority-data is no PEM: it has no line -----BEGIN …-----");
    assert_refused(CONTEXT
                   "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: /none/ca}}]\n" USER(""),
                   "kube/config:3:53: certificate-authority: /none/ca: No such file or directory");
    assert_refused(WITH("client-key-data: " PEM_BASE64),
                   "kube/config:6:3: client-certificate and client-key belong together: one of them is missing");
    assert_refused(
        WITH("auth-provider: {name: gcp}"),
        "kube/config:6:10: auth-provider is gone from Kubernetes since 1.26: use the provider's exec plugin");
    assert_refused(WITH("exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}"),
                   "kube/config:6:17: exec.apiVersion is client.authentication.k8s.io/v1 or …/v1beta1; renew the entry "
                   "by the tool that wrote it");
    assert_refused(WITH("exec: {apiVersion: client.authentication.k8s.io/v1}"),
                   "kube/config:6:10: exec names no command");
    assert_refused(WITH("token: \"a\\r\\nX-Header: b\""),
                   "kube/config:6:10: token is no bearer token: one line without white space");
    assert_refused(WITH("as: \"a\\r\\nX-Header: b\""),
                   "kube/config:6:10: as and as-groups are names, without line feeds");
}

/* OpenSSL would ask the terminal for the passphrase. */
static void an_encrypted_key_is_refused(void **state) {
    (void) state;
    static const char encrypted[] = "LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURSBLRVktLS0tLQo=";
    assert_false(read_text(
        arena_format(arena, CONTEXT CLUSTER USER("client-certificate-data: " PEM_BASE64 ", client-key-data: %s"),
                     encrypted),
        NULL));
    assert_non_null(strstr(error, "asks for a passphrase"));
}

static void what_is_no_yaml_is_told(void **state) {
    (void) state;
    assert_false(read_text("a: [\n", NULL));
    assert_non_null(strstr(error, "kube/config:2:1: "));
    assert_false(read_text("a: &b c\n", NULL));
    assert_non_null(strstr(error, "kube/config:1:4: "));
}

static void secrets_are_in_no_message(void **state) {
    (void) state;
    assert_false(read_text(CONTEXT CLUSTER USER("token: hunter2 hunter2"), NULL));
    assert_null(strstr(error, "hunter2"));
    assert_false(read_text(CONTEXT CLUSTER USER("client-key-data: hunter2, client-certificate-data: hunter2"), NULL));
    assert_null(strstr(error, "hunter2"));
}

/* ---- where files are ---- */

static void missing_files_of_a_list_do_no_harm(void **state) {
    (void) state;
    const char *path = arena_format(arena, "%s/config", folder);
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(WITH(""), stream);
    fclose(stream);
    setenv("KUBECONFIG", arena_format(arena, "/none/a::%s:/none/b", path), 1);
    struct kube_config_options options = {NULL, NULL};
    assert_true(kube_config_read(arena, &options, &access_read, &error));
    assert_string_equal(access_read.server, "https://10.0.0.1:6443");
    options.file = "/none/c";
    assert_false(kube_config_read(arena, &options, &access_read, &error));
    assert_string_equal(error, "/none/c: No such file or directory");
    setenv("KUBECONFIG", "/none/a", 1);
    options.file = NULL;
    assert_false(kube_config_read(arena, &options, &access_read, &error));
    assert_string_equal(error, "KUBECONFIG=/none/a: none of these files is there");
    unsetenv("KUBECONFIG");
    setenv("HOME", "/none", 1);
    assert_false(kube_config_read(arena, &options, &access_read, &error));
    assert_non_null(strstr(error, "--kubeconfig FILE"));
}

static void a_pod_has_its_account(void **state) {
    (void) state;
    assert_true(kube_config_read_in_cluster(arena, "fd00::1", "443", folder, &access_read, &error));
    assert_string_equal(access_read.server, "https://[fd00::1]:443");
    assert_string_equal(access_read.namespace, "default");
    assert_string_equal(access_read.context, "in-cluster");
    assert_string_equal(access_read.ca_pem, PEM);
    assert_false(kube_config_read_in_cluster(arena, "10.0.0.1", "443", "/none", &access_read, &error));
    assert_non_null(strstr(error, "automountServiceAccountToken"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_and_its_context_are_read),
        cmocka_unit_test(json_is_read_too),
        cmocka_unit_test(certificates_come_as_data_and_as_files),
        cmocka_unit_test(files_are_looked_for_beside_the_kubeconfig),
        cmocka_unit_test(of_several_files_the_first_counts),
        cmocka_unit_test(a_context_is_chosen),
        cmocka_unit_test(a_plugin_is_read),
        cmocka_unit_test(impersonation_is_read),
        cmocka_unit_test(mistakes_have_their_place_and_cure),
        cmocka_unit_test(an_encrypted_key_is_refused),
        cmocka_unit_test(what_is_no_yaml_is_told),
        cmocka_unit_test(secrets_are_in_no_message),
        cmocka_unit_test(missing_files_of_a_list_do_no_harm),
        cmocka_unit_test(a_pod_has_its_account),
    };
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    static const char *const files[] = {"ca.crt", "config"};
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
    return failed;
}
