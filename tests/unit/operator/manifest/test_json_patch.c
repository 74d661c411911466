/* JSON Patch: the examples of RFC 6902 (appendix A) as far as they are about an object, and what it refuses. */
#include "operator/manifest/json_patch.h"
#include "operator/manifest/manifest_emit.h"

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

static void on_error(void *context, const struct config_yaml_error *error) {
    (void) context;
    fail_msg("%s", error->text);
}

static manifest_t *read(const char *text) {
    const struct config_yaml_errors errors = {.on_error = on_error};
    config_node_t *root = config_yaml_read(span_of_text(text), &errors);
    manifest_t *tree = manifest_of_yaml(arena, root);
    config_node_destroy(&root);
    return tree;
}

/* "{op: add, path: /a, value: 1}" on a document: what becomes of it, or "!" and why not. */
static const char *patched(const char *document, const char *operation_text) {
    manifest_t *object = read(document);
    manifest_t *item = read(operation_text);
    const struct json_patch_operation operation = {
        .op = manifest_text_of(manifest_get(item, "op")),
        .path = manifest_text_of(manifest_get(item, "path")),
        .from = manifest_text_of(manifest_get(item, "from")),
        .value = manifest_get(item, "value"),
    };
    const char *why = json_patch_apply(arena, object, &operation);
    if (why != NULL) {
        assert_true(manifest_equal(object, read(document))); /* whole or not at all */
        return arena_format(arena, "!%s", why);
    }
    struct buffer text = BUFFER_EMPTY;
    manifest_append_yaml(object, &text);
    const char *result = arena_text_of(arena, buffer_span(&text));
    buffer_finish(&text);
    return result;
}

static void the_examples_of_the_rfc(void **state) {
    (void) state;
    static const char *const cases[][3] = {
        {"foo: bar", "{op: add, path: /baz, value: qux}", "foo: bar\nbaz: qux\n"},
        {"foo: [bar, baz]", "{op: add, path: /foo/1, value: qux}", "foo:\n- bar\n- qux\n- baz\n"},
        {"{baz: qux, foo: bar}", "{op: remove, path: /baz}", "foo: bar\n"},
        {"foo: [bar, qux, baz]", "{op: remove, path: /foo/1}", "foo:\n- bar\n- baz\n"},
        {"{baz: qux, foo: bar}", "{op: replace, path: /baz, value: boo}", "baz: boo\nfoo: bar\n"},
        {"{foo: {bar: baz, waldo: fred}, qux: {corge: grault}}", "{op: move, from: /foo/waldo, path: /qux/thud}",
         "foo:\n  bar: baz\nqux:\n  corge: grault\n  thud: fred\n"},
        {"foo: [all, grass, cows, eat]", "{op: move, from: /foo/1, path: /foo/3}",
         "foo:\n- all\n- cows\n- eat\n- grass\n"},
        {"{baz: qux, foo: [a, 2, c]}", "{op: test, path: /baz, value: qux}", "baz: qux\nfoo:\n- a\n- 2\n- c\n"},
        {"{baz: qux, foo: [a, 2, c]}", "{op: test, path: /foo/1, value: 2}", "baz: qux\nfoo:\n- a\n- 2\n- c\n"},
        {"baz: qux", "{op: test, path: /baz, value: bar}", "!/baz has another value"},
        {"foo: bar", "{op: add, path: /child, value: {grandchild: {}}}", "foo: bar\nchild:\n  grandchild: {}\n"},
        {"foo: bar", "{op: add, path: /baz/bat, value: qux}", "!/baz is not there"},
        {"{\"/\": 9, \"~1\": 10}", "{op: test, path: /~01, value: 10}", "/: 9\n~1: 10\n"},
        {"{\"/\": 9, \"~1\": 10}", "{op: test, path: /~01, value: \"10\"}", "!/~01 has another value"},
        {"foo: [bar]", "{op: add, path: /foo/-, value: [abc, def]}", "foo:\n- bar\n- - abc\n  - def\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(patched(cases[i][0], cases[i][1]), cases[i][2]);
    }
}

static void what_kubernetes_objects_need(void **state) {
    (void) state;
    assert_string_equal(patched("annotations: {a: b}", "{op: add, path: /annotations/example.com~1x, value: \"1\"}"),
                        "annotations:\n  a: b\n  example.com/x: \"1\"\n");
    assert_string_equal(patched("env: [{name: a}]", "{op: replace, path: /env/0/name, value: b}"), "env:\n- name: b\n");
    assert_string_equal(patched("env: [{name: a}]", "{op: replace, path: /env/0, value: {name: c}}"),
                        "env:\n- name: c\n");
    assert_string_equal(patched("env: [{name: a}]", "{op: copy, from: /env/0, path: /env/1}"),
                        "env:\n- name: a\n- name: a\n");
    assert_string_equal(patched("{a: 1, b: 2}", "{op: add, path: /a, value: 3}"), "a: 3\nb: 2\n"); /* it is replaced */
}

static void what_is_refused(void **state) {
    (void) state;
    static const char *const cases[][3] = {
        {"a: [1]", "{op: remove, path: /a/1}", "!/a/1 is not there"},
        {"a: [1]", "{op: remove, path: /a/-}", "!/a/- is not there"},
        {"a: [1]", "{op: add, path: /a/2, value: 1}", "!/a/2 is behind the end of a list of 1"},
        {"a: [1]", "{op: add, path: /a/01, value: 1}", "!/a/01: \"01\" is no index of a list"},
        {"a: [1]", "{op: add, path: /a/-1, value: 1}", "!/a/-1: \"-1\" is no index of a list"},
        {"a: [1]", "{op: add, path: /a/9999999999, value: 1}", "!/a/9999999999: \"9999999999\" is no index of a list"},
        {"a: 1", "{op: add, path: /a/b, value: 1}", "!/a/b leads into a single value"},
        {"a: 1", "{op: add, path: a, value: 1}", "!a place begins with /"},
        {"a: 1", "{op: add, path: \"\", value: {}}", "!a place begins with /"},
        {"a: 1", "{op: remove, path: /~2}", "!/~2: a ~ is written ~0, a / in a name ~1"},
        {"a: 1", "{op: remove, path: /~}", "!/~: a ~ is written ~0, a / in a name ~1"},
        {"a: {b: {}}", "{op: move, from: /a, path: /a/b/c}", "!/a/b/c is inside of what is moved"},
        {"a: {b: [1, 2]}", "{op: move, from: /a/b/0, path: /a/b/9}", "!/a/b/9 is behind the end of a list of 1"},
        {"a: {b: 1}", "{op: move, from: /a/b, path: /x/y}", "!/x is not there"},
        {"a: 1", "{op: copy, from: /b, path: /c}", "!/b is not there"},
        {"a: 1", "{op: replace, path: /b, value: 1}", "!/b is not there"},
        {"a: 1", "{op: merge, path: /b, value: 1}", "!no operation is called merge"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(patched(cases[i][0], cases[i][1]), cases[i][2]);
    }
}

/* Names and depths have bounds. */
static void a_pointer_without_end_is_refused(void **state) {
    (void) state;
    char path[2048] = "/";
    memset(path + 1, 'a', 1500);
    manifest_t *object = read("a: 1");
    struct json_patch_operation operation = {.op = "remove", .path = path};
    assert_non_null(json_patch_apply(arena, object, &operation));
    for (size_t i = 0; i < 1000; i++) {
        memcpy(path + 2 * i, "/a", 2);
    }
    path[2000] = '\0';
    assert_non_null(json_patch_apply(arena, object, &operation));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_examples_of_the_rfc, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_kubernetes_objects_need, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pointer_without_end_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
