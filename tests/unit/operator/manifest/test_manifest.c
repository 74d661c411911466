/* Trees of objects: built, changed, looked into, sorted, and emitted as YAML and JSON. */
#include "operator/manifest/manifest.h"
#include "operator/manifest/manifest_emit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

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

static void assert_yaml(const manifest_t *node, const char *expected) {
    struct buffer text = BUFFER_EMPTY;
    manifest_append_yaml(node, &text);
    buffer_append_char(&text, '\0');
    assert_string_equal((char *) text.data, expected);
    buffer_finish(&text);
}

static void assert_json(const manifest_t *node, const char *expected) {
    struct buffer text = BUFFER_EMPTY;
    manifest_append_json(node, &text);
    buffer_append_char(&text, '\0');
    assert_string_equal((char *) text.data, expected);
    buffer_finish(&text);
}

static void keys_stand_in_the_order_they_were_set(void **state) {
    (void) state;
    manifest_t *map = manifest_map(arena);
    manifest_set_text(map, "name", "gateway");
    manifest_set_int(map, "port", 8000);
    manifest_set_bool(map, "tls", false);
    manifest_set_format(map, "image", "%s:%d", "callboard", 7);
    manifest_set_text_if(map, "nothing", "");
    manifest_t *list = manifest_add_list(map, "args");
    manifest_append_text(list, "--port");
    manifest_append_format(list, "%d", 8000);
    manifest_append_int(list, 7);
    manifest_set_text(manifest_append_map(list), "a", "b");
    manifest_add_map(map, "empty");
    manifest_add_list(map, "none");
    manifest_set_text(map, "name", "broker"); /* again: where it stood */
    assert_yaml(map, "name: broker\nport: 8000\ntls: false\nimage: callboard:7\nargs:\n- --port\n- \"8000\"\n- 7\n"
                     "- a: b\nempty: {}\nnone: []\n");
    assert_json(map, "{\n  \"name\": \"broker\",\n  \"port\": 8000,\n  \"tls\": false,\n  \"image\": \"callboard:7\",\n"
                     "  \"args\": [\n    \"--port\",\n    \"8000\",\n    7,\n    {\n      \"a\": \"b\"\n    }\n  ],\n"
                     "  \"empty\": {},\n  \"none\": []\n}\n");
}

static void texts_that_readers_misread_are_quoted(void **state) {
    (void) state;
    static const char *const quoted[] = {"yes",  "1.30", "0755",       "1_000", "12:30",
                                         "null", "~",    "2026-01-31", "true",  "1e5"};
    for (size_t i = 0; i < sizeof quoted / sizeof quoted[0]; i++) {
        manifest_t *map = manifest_map(arena);
        manifest_set_text(map, quoted[i], quoted[i]);
        char expected[64];
        snprintf(expected, sizeof expected, "\"%s\": \"%s\"\n", quoted[i], quoted[i]);
        assert_yaml(map, expected);
    }
    manifest_t *map = manifest_map(arena);
    manifest_set_text(map, "a", "x\n---\nkind: Secret\n");
    manifest_set_text(map, "b", "a: b # no comment");
    manifest_set_text(map, "c", "Zeilenende \xC2\x85 weg");
    manifest_set_text(map, "d", "gr\xC3\xBC\xC3\x9F dich");
    assert_yaml(map, "a: |\n  x\n  ---\n  kind: Secret\nb: 'a: b # no comment'\nc: \"Zeilenende \\N weg\"\n"
                     "d: gr\xC3\xBC\xC3\x9F dich\n");
}

static void long_texts_are_not_folded(void **state) {
    (void) state;
    char text[401];
    memset(text, 'x', 400);
    for (size_t i = 10; i < 400; i += 10) {
        text[i] = ' ';
    }
    text[400] = '\0';
    manifest_t *map = manifest_map(arena);
    manifest_set_text(map, "long", text);
    char expected[512];
    snprintf(expected, sizeof expected, "long: %s\n", text);
    assert_yaml(map, expected);
}

static void members_are_found_replaced_and_removed(void **state) {
    (void) state;
    manifest_t *map = manifest_map(arena);
    manifest_t *list = manifest_add_list(manifest_add_map(map, "spec"), "containers");
    manifest_set_text(manifest_append_map(list), "image", "a");
    manifest_set_text(manifest_append_map(list), "image", "b");
    assert_string_equal(manifest_text_of(manifest_find(map, "spec.containers.1.image")), "b");
    assert_null(manifest_find(map, "spec.containers.2.image"));
    assert_null(manifest_find(map, "spec.containers.x"));
    assert_null(manifest_find(map, ""));
    manifest_insert(list, 1, manifest_int(arena, 5));
    assert_int_equal(manifest_int_of(manifest_at(list, 1)), 5);
    assert_true(manifest_remove_at(list, 0));
    assert_false(manifest_remove_at(list, 2));
    assert_int_equal(manifest_count(list), 2);
    assert_true(manifest_remove(map, "spec"));
    assert_false(manifest_remove(map, "spec"));
}

static void equal_trees_are_equal_whatever_the_order_of_keys(void **state) {
    (void) state;
    manifest_t *a = manifest_map(arena);
    manifest_set_text(a, "x", "1");
    manifest_set_int(a, "y", 1);
    manifest_t *b = manifest_map(arena);
    manifest_set_int(b, "y", 1);
    manifest_set_text(b, "x", "1");
    assert_true(manifest_equal(a, b));
    assert_true(manifest_equal(a, manifest_copy(arena, a)));
    manifest_set_int(b, "x", 1);
    assert_false(manifest_equal(a, b));
}

static void ignore(void *context, const struct config_yaml_error *error) {
    (void) context;
    (void) error;
}

/* The same tree again, whatever was in it. */
static void what_is_emitted_is_read_as_it_was(void **state) {
    (void) state;
    static const char text[] = "a: {b: [1, -2, 1.5, true, null, 'yes', \"0755\"], c: \"x: y\\n z\\n\"}\n"
                               "d: ' leading and trailing '\ne: \"\\t\"\nf: |\n  # a\n  b\n\n  c\ng: ''\n";
    struct config_yaml_errors errors = {ignore, NULL};
    config_node_t *root = config_yaml_read(span_of_text(text), &errors);
    assert_non_null(root);
    manifest_t *tree = manifest_of_yaml(arena, root);
    config_node_destroy(&root);
    struct buffer yaml = BUFFER_EMPTY;
    manifest_append_yaml(tree, &yaml);
    root = config_yaml_read(buffer_span(&yaml), &errors);
    assert_non_null(root);
    assert_true(manifest_equal(tree, manifest_of_yaml(arena, root)));
    config_node_destroy(&root);
    buffer_clear(&yaml);
    manifest_append_json(tree, &yaml);
    root = config_yaml_read(buffer_span(&yaml), &errors);
    assert_non_null(root);
    assert_true(manifest_equal(tree, manifest_of_yaml(arena, root)));
    config_node_destroy(&root);
    buffer_finish(&yaml);
}

static void objects_stand_in_the_order_of_installing(void **state) {
    (void) state;
    manifests_t *list = manifests_new(arena);
    manifests_add(list, "monitoring.coreos.com/v1", "PodMonitor", "a");
    manifests_add(list, "apps/v1", "StatefulSet", "b");
    manifests_add(list, "v1", "Service", "z");
    manifests_add(list, "v1", "Service", "c");
    manifests_add(list, "v1", "ConfigMap", "d");
    manifests_sort(list);
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < manifests_count(list); i++) {
        buffer_append_format(&text, "%s ", manifest_text_of(manifest_find(manifests_at(list, i), "metadata.name")));
    }
    buffer_append_char(&text, '\0');
    assert_string_equal((char *) text.data, "d c z b a ");
    assert_non_null(manifests_find(list, "Service", "c"));
    assert_null(manifests_find(list, "Service", "d"));
    buffer_clear(&text);
    manifests_append_yaml(list, &text);
    assert_true(span_starts_with(buffer_span(&text),
                                 span_of_text("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\n---\n")));
    buffer_finish(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_stand_in_the_order_they_were_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_that_readers_misread_are_quoted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_texts_are_not_folded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_are_found_replaced_and_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_trees_are_equal_whatever_the_order_of_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_emitted_is_read_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(objects_stand_in_the_order_of_installing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
