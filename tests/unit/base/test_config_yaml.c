/* Which files are trees, and what is refused of YAML. */
#include "base/config_yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void collect(void *context, const struct config_yaml_error *error) {
    buffer_append_format(context, "%u:%u %s\n", error->line, error->column, error->text);
}

/* The errors are left in `ret_errors`, ended by NUL. */
static config_node_t *read_text(struct span text, struct buffer *ret_errors) {
    buffer_init(ret_errors, 0);
    struct config_yaml_errors errors = {collect, ret_errors};
    config_node_t *root = config_yaml_read(text, &errors);
    buffer_append_char(ret_errors, '\0');
    return root;
}

static config_node_t *read_good(const char *text) {
    struct buffer errors;
    config_node_t *root = read_text(span_of_text(text), &errors);
    assert_string_equal((char *) errors.data, "");
    buffer_finish(&errors);
    assert_non_null(root);
    return root;
}

static void maps_lists_and_scalars_become_a_tree_with_places(void **state) {
    (void) state;
    config_node_t *root = read_good("a: 1\nb:\n  - x\n  - {c: 'y z'}\n");
    assert_int_equal(root->kind, CONFIG_NODE_MAP);
    assert_int_equal(root->n_children, 2);
    const config_node_t *a = root->children[0];
    assert_string_equal(a->name, "a");
    assert_string_equal(a->text, "1");
    assert_true(a->is_plain);
    const config_node_t *b = root->children[1];
    assert_int_equal(b->kind, CONFIG_NODE_LIST);
    assert_int_equal(b->line, 2);
    assert_int_equal(b->column, 1);
    const config_node_t *c = b->children[1]->children[0];
    assert_string_equal(c->name, "c");
    assert_string_equal(c->text, "y z");
    assert_false(c->is_plain);
    assert_int_equal(c->line, 4);
    assert_int_equal(c->column, 6);
    config_node_destroy(&root);
    assert_null(root);
}

static void a_quoted_nul_stays_visible_by_its_size(void **state) {
    (void) state;
    config_node_t *root = read_good("a: \"x\\0y\"\n");
    assert_int_equal(root->children[0]->text_size, 3);
    config_node_destroy(&root);
}

static void what_is_refused_inside_leaves_a_tree_and_goes_on(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *errors;
    } samples[] = {
        {"a: &x 1\n", "1:4 anchors are not allowed; write the value where it is needed\n"},
        {"a: &x {}\n", "1:4 anchors are not allowed; write the value where it is needed\n"},
        {"a: !!int 1\n", "1:4 tags (!) are not allowed; leave it out\n"},
        {"a: !x []\n", "1:4 tags (!) are not allowed; leave it out\n"},
        {"a: *x\nb: *y\n", "1:4 aliases (*) are not allowed; write the value itself\n"
                           "2:4 aliases (*) are not allowed; write the value itself\n"},
        {"<<: {a: 1}\n", "1:1 merge keys (<<) are not allowed; write the keys where they are needed\n"},
        {"a: 1\nb: 2\na: 3\n", "3:1 a: stands twice in this map; the other one is in line 1\n"},
        {"{a: 1, 'a': 2}\n", "1:8 a: stands twice in this map; the other one is in line 1\n"},
        {"x: {a: 1, a: 2, a: 3}\n", "1:11 a: stands twice in this map; the other one is in line 1\n"
                                    "1:17 a: stands twice in this map; the other one is in line 1\n"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        struct buffer errors;
        config_node_t *root = read_text(span_of_text(samples[i].text), &errors);
        assert_non_null(root);
        assert_string_equal((char *) errors.data, samples[i].errors);
        config_node_destroy(&root);
        buffer_finish(&errors);
    }
}

static void what_is_no_yaml_of_ours_ends_the_reading(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *error;
    } samples[] = {
        {"a: 1\n---\nb: 2\n", "2:1 a second document"},
        {"%YAML 1.1\n---\na: 1\n", "1:1 directives (%) are not allowed"},
        {"a:\n\tb: 1\n", "2:1 a tab in the indentation; YAML wants spaces"},
        {"a:\n  b: 1\n \tc: 2\n", "3:2 a tab in the indentation; YAML wants spaces"},
        {"a: b: c\n", "1:5 mapping values are not allowed in this context"},
        {"a: [1\n", "did not find expected ',' or ']'"},
        {"a: 'x\n", "found unexpected end of stream"},
        {"a: \x01\n", "1:4 control characters are not allowed"},
        {"a: \xFF\n", "1:1 this line is not UTF-8"},
        {"\xFF\xFE"
         "a",
         "1:1 this line is not UTF-8"},
        {"- a\n", "1:1 the file must be a map"},
        {"just text\n", "1:1 the file must be a map"},
        {"? [a]\n: 1\n", "1:3 a key must be plain text"},
        {"*a : 1\n", "1:1 aliases (*) are not allowed"},
        {"\"a\\0b\": 1\n", "1:1 a key has a NUL byte inside"},
        {"a: @b\n", "found character that cannot start any token"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        struct buffer errors;
        config_node_t *root = read_text(span_of_text(samples[i].text), &errors);
        assert_null(root);
        if (strstr((char *) errors.data, samples[i].error) == NULL) {
            fail_msg("%s: %s", samples[i].text, (char *) errors.data);
        }
        buffer_finish(&errors);
    }
}

static void thirty_two_levels_are_the_most(void **state) {
    (void) state;
    for (unsigned depth = 31; depth <= 34; depth++) {
        struct buffer text = BUFFER_EMPTY;
        buffer_append_text(&text, "a: ");
        for (unsigned i = 1; i < depth; i++) {
            buffer_append_char(&text, '[');
        }
        for (unsigned i = 1; i < depth; i++) {
            buffer_append_char(&text, ']');
        }
        struct buffer errors;
        config_node_t *root = read_text(buffer_span(&text), &errors);
        assert_int_equal(root != NULL, depth <= 32);
        config_node_destroy(&root);
        buffer_finish(&errors);
        buffer_finish(&text);
    }
}

static void documents_are_read_one_by_one_without_the_empty_ones(void **state) {
    (void) state;
    struct buffer errors;
    buffer_init(&errors, 0);
    struct config_yaml_errors sink = {collect, &errors};
    struct config_documents documents;
    assert_true(
        config_yaml_read_documents(span_of_text("---\na: 1\n---\n# nothing\n---\nb:\n  c: [x]\n"), &sink, &documents));
    assert_int_equal(documents.n, 2);
    const config_node_t *c = documents.roots[1]->children[0]->children[0];
    assert_int_equal(c->line, 7);
    assert_int_equal(c->column, 3);
    assert_int_equal(c->value_line, 7);
    assert_int_equal(c->value_column, 6);
    config_documents_finish(&documents);
    assert_false(config_yaml_read_documents(span_of_text("a: 1\n---\n- b\n"), &sink, &documents));
    assert_int_equal(documents.n, 0);
    buffer_append_char(&errors, '\0');
    assert_string_equal((char *) errors.data, "3:1 the file must be a map: lines like `key: value`\n");
    buffer_finish(&errors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_read_one_by_one_without_the_empty_ones),
        cmocka_unit_test(maps_lists_and_scalars_become_a_tree_with_places),
        cmocka_unit_test(a_quoted_nul_stays_visible_by_its_size),
        cmocka_unit_test(what_is_refused_inside_leaves_a_tree_and_goes_on),
        cmocka_unit_test(what_is_no_yaml_of_ours_ends_the_reading),
        cmocka_unit_test(thirty_two_levels_are_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
