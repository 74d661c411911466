/* callboard-operator values: what a spec sets, as the chart takes it. That the chart renders the same from it is
 * tests/helm's. */
#include "base/bytes.h"
#include "operator/cli/operator_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\n"

static char path[] = "/tmp/command_values_XXXXXX";
static struct buffer out;
static struct buffer messages;

static const char *text_of(struct buffer *buffer) {
    buffer_append_char(buffer, '\0');
    return (const char *) buffer->data;
}

/* Its exit code for a file with this text; options may be NULL. */
static int values_of(const char *spec, const char *option, const char *value) {
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(spec, stream);
    fclose(stream);
    char *arguments[] = {(char *) "callboard-operator", (char *) "values", path, (char *) option, (char *) value};
    buffer_clear(&out);
    buffer_clear(&messages);
    return operator_program_call(option == NULL ? 3 : 5, arguments, &out, &messages);
}

/* ---- what is printed ---- */

static void only_what_is_set_is_printed_under_its_own_name(void **state) {
    (void) state;
    assert_int_equal(values_of(HEADER "metadata: {name: shop, namespace: push, labels: {team: a}}\n"
                                      "spec:\n"
                                      "  profile: ha\n"
                                      "  gateway: {connectionsMax: 1000000, drain: {propagation: 1500ms}}\n"
                                      "  redis: {resources: {requests: {memory: 2048Mi}}}\n",
                               NULL, NULL),
                     OPERATOR_DONE);
    assert_string_equal(text_of(&out), "metadata:\n  name: shop\n  labels:\n    team: a\n"
                                       "profile: ha\n"
                                       "gateway:\n  connectionsMax: 1000000\n  drain:\n    propagation: 1500ms\n"
                                       "redis:\n  resources:\n    requests:\n      memory: 2Gi\n"
                                       "kubernetes:\n  version: \"1.30\"\n");
}

static void items_have_no_keys_that_say_nothing(void **state) {
    (void) state;
    assert_int_equal(values_of(HEADER "metadata: {name: shop}\n"
                                      "spec:\n"
                                      "  profile: dev\n"
                                      "  networkPolicy: {from: [{cidr: 10.0.0.0/8}, {podLabels: {a: b}, port: 8000}]}\n"
                                      "  broker: {namespaces: [{name: chat, history_size: 10, history_ttl: 1m}]}\n",
                               NULL, NULL),
                     OPERATOR_DONE);
    const char *text = text_of(&out);
    assert_non_null(strstr(text, "  from:\n  - cidr: 10.0.0.0/8\n  - podLabels:\n      a: b\n    port: 8000\n"));
    assert_non_null(strstr(text, "  - name: chat\n    history_size: 10\n    history_ttl: 1m\n"));
}

static void a_setting_is_one_of_the_values(void **state) {
    (void) state;
    assert_int_equal(values_of(HEADER "metadata: {name: shop}\nspec: {profile: dev}\n", "--set", "redis.mode=embedded"),
                     OPERATOR_DONE);
    assert_non_null(strstr(text_of(&out), "redis:\n  mode: embedded\n"));
}

static void json_is_the_other_output(void **state) {
    (void) state;
    assert_int_equal(values_of(HEADER "metadata: {name: shop}\nspec: {profile: dev}\n", "-o", "json"), OPERATOR_DONE);
    assert_string_equal(text_of(&out), "{\n  \"metadata\": {\n    \"name\": \"shop\"\n  },\n  \"profile\": \"dev\",\n"
                                       "  \"kubernetes\": {\n    \"version\": \"1.30\"\n  }\n}\n");
}

/* ---- what is refused ---- */

static void two_deployments_are_no_release(void **state) {
    (void) state;
    assert_int_equal(values_of(HEADER "metadata: {name: a}\nspec: {profile: dev}\n---\n" HEADER
                                      "metadata: {name: b}\nspec: {profile: dev}\n",
                               NULL, NULL),
                     OPERATOR_USAGE);
    assert_non_null(strstr(text_of(&messages), "a release of the chart is one deployment, and here are 2"));
}

static void overrides_are_refused_and_nothing_is_printed(void **state) {
    (void) state;
    assert_int_equal(values_of(HEADER "metadata: {name: shop}\n"
                                      "spec:\n"
                                      "  profile: dev\n"
                                      "  overrides:\n"
                                      "    - target: {kind: Service, name: shop-gateway}\n"
                                      "      patch: [{op: add, path: /metadata/labels/a, value: b}]\n",
                               NULL, NULL),
                     OPERATOR_UNSAFE);
    assert_int_equal(out.size, 0);
    assert_non_null(strstr(text_of(&messages), "helm install --post-renderer"));
}

static void an_invalid_spec_has_no_values(void **state) {
    (void) state;
    assert_int_equal(values_of(HEADER "metadata: {name: shop}\nspec: {profil: dev}\n", NULL, NULL), OPERATOR_INVALID);
    assert_int_equal(out.size, 0);
    assert_non_null(strstr(text_of(&messages), "profile"));
}

static int make_file(void **state) {
    (void) state;
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state) {
    (void) state;
    buffer_finish(&out);
    buffer_finish(&messages);
    return unlink(path);
}

int main(void) {
    buffer_init(&out, 0);
    buffer_init(&messages, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_set_is_printed_under_its_own_name),
        cmocka_unit_test(items_have_no_keys_that_say_nothing),
        cmocka_unit_test(a_setting_is_one_of_the_values),
        cmocka_unit_test(json_is_the_other_output),
        cmocka_unit_test(two_deployments_are_no_release),
        cmocka_unit_test(overrides_are_refused_and_nothing_is_printed),
        cmocka_unit_test(an_invalid_spec_has_no_values),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
