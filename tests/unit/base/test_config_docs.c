/* What people read about settings comes from the tables, complete. */
#include "base/config_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct item {
    char *name;
};
struct settings {
    int64_t bytes;
    int64_t timeout_ms;
    int level;
    char *secret;
    struct config_section_list items;
};
static const char *const levels[] = {"low", "high", NULL};
static const struct config_key item_keys[] = {
    {.path = "name",
     .type = CONFIG_TEXT,
     .flags = CONFIG_REQUIRED,
     .offset = offsetof(struct item, name),
     .help = "Its name."},
};
static const struct config_table item_table = {"Item", item_keys, 1, sizeof(struct item), NULL};
static const struct config_key keys[] = {
    {.path = "a.bytes",
     .type = CONFIG_BYTES,
     .flags = CONFIG_RELOADABLE,
     .offset = offsetof(struct settings, bytes),
     .default_text = "64KiB",
     .minimum = 1024,
     .maximum = 1 << 20,
     .help = "A | B."},
    {.path = "timeout",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct settings, timeout_ms),
     .default_text = "20s",
     .help = "T."},
    {.path = "level",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct settings, level),
     .choices = levels,
     .help = "L."},
    {.path = "secret",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, secret),
     .minimum = 32,
     .maximum = INT64_MAX,
     .help = "S."},
    {.path = "items",
     .type = CONFIG_SECTION_LIST,
     .offset = offsetof(struct settings, items),
     .section = &item_table,
     .help = "I."},
};
static const struct config_table one = {"One", keys, sizeof keys / sizeof keys[0], sizeof(struct settings), NULL};
static const struct config_key other_keys[] = {
    {.path = "timeout", .type = CONFIG_DURATION, .offset = 0, .default_text = "5s", .help = "T of two."},
    {.path = "items", .type = CONFIG_SECTION_LIST, .offset = 8, .section = &item_table, .help = "I."},
    {.path = "own", .type = CONFIG_INT, .offset = 0, .help = "O."},
};
static const struct config_table two = {"Two", other_keys, 3, 64, NULL};
static const struct config_table *const tables[] = {&one, &two};

static void expect(const struct buffer *text, const char *part) {
    if (memmem(text->data, text->size, part, strlen(part)) == NULL) {
        fail_msg("%s is not in %.*s", part, (int) text->size, (char *) text->data);
    }
}

static unsigned count(const struct buffer *text, const char *part) {
    unsigned n = 0;
    for (size_t i = 0; i + strlen(part) <= text->size; i++) {
        n += memcmp(text->data + i, part, strlen(part)) == 0;
    }
    return n;
}

static void the_reference_has_each_key_once_with_type_bounds_default_and_help(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    config_print_markdown(tables, 2, &out);
    expect(&out, "\n## One\n");
    expect(&out, "\n## Two\n");
    expect(&out, "| `a.bytes` | size, 1KiB to 1MiB | `64KiB` | A \\| B. (R) |\n");
    expect(&out, "| `timeout` | duration | `20s`; `5s` in Two | T. |\n");
    expect(&out, "| `level` | one of low, high | `low` | L. |\n");
    expect(&out, "| `secret` | secret, 32 or more bytes | empty | S. |\n");
    expect(&out, "| `own` | number | `0` | O. |\n");
    expect(&out, "\n### Item: each item of `items`\n");
    expect(&out, "| `name` | text | required | Its name. |\n");
    expect(&out, "Two also has these keys of the tables above: `timeout` `items`.\n");
    assert_int_equal(count(&out, "| `timeout` |"), 1);
    assert_int_equal(count(&out, "| `name` |"), 1);
    buffer_finish(&out);
}

static void help_has_each_key_once_in_lines_for_a_terminal(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    config_print_help(tables, 2, &out);
    expect(&out, "  a.bytes  (size, 1KiB to 1MiB; default 64KiB)\n      A | B.\n");
    expect(&out, "  items[].name  (text; required)\n");
    assert_int_equal(count(&out, "  timeout  ("), 1);
    size_t column = 0;
    for (size_t i = 0; i < out.size; i++) {
        column = out.data[i] == '\n' ? 0 : column + 1;
        assert_true(column <= 100);
    }
    buffer_finish(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_has_each_key_once_with_type_bounds_default_and_help),
        cmocka_unit_test(help_has_each_key_once_in_lines_for_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
