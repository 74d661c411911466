/* What a reload tells, and which processes count as set alike. */
#include "base/config_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct item {
    char *name;
};
struct settings {
    int64_t timeout_ms;
    char *name;
    char *secret;
    char *url;
    struct config_text_list list;
    bool is_on;
    struct config_section_list items;
};
static const struct config_key item_keys[] = {
    {.path = "name", .type = CONFIG_TEXT, .offset = offsetof(struct item, name), .help = "H."},
};
static const struct config_table item_table = {"Item", item_keys, 1, sizeof(struct item), NULL};
static const struct config_key keys[] = {
    {.path = "timeout", .type = CONFIG_DURATION, .offset = offsetof(struct settings, timeout_ms), .help = "H."},
    {.path = "a.name", .type = CONFIG_TEXT, .offset = offsetof(struct settings, name), .help = "H."},
    {.path = "a.secret", .type = CONFIG_SECRET, .offset = offsetof(struct settings, secret), .help = "H."},
    {.path = "url",
     .type = CONFIG_TEXT,
     .flags = CONFIG_PASSWORD_URL,
     .offset = offsetof(struct settings, url),
     .help = "H."},
    {.path = "list", .type = CONFIG_TEXT_LIST, .offset = offsetof(struct settings, list), .help = "H."},
    {.path = "is_on",
     .type = CONFIG_BOOL,
     .flags = CONFIG_RELOADABLE,
     .offset = offsetof(struct settings, is_on),
     .help = "H."},
    {.path = "items",
     .type = CONFIG_SECTION_LIST,
     .offset = offsetof(struct settings, items),
     .section = &item_table,
     .help = "H."},
};
static const struct config_table table = {"T", keys, sizeof keys / sizeof keys[0], sizeof(struct settings), NULL};

static const char *no_variables[] = {NULL};

static struct config_part read_text(struct settings *settings, const char *text, const char **environment) {
    struct config_part part = {&table, settings};
    struct config_source source = {.file_name = "f", .file_text = span_of_text(text), .environment = environment};
    struct buffer errors;
    buffer_init(&errors, 0);
    if (!config_read(&part, 1, &source, &errors)) {
        fail_msg("%.*s", (int) errors.size, (char *) errors.data);
    }
    return part;
}

static void expect_difference(const char *old_text, const char *new_text, const char *expected) {
    struct settings old_settings;
    struct settings new_settings;
    struct config_part old_part = read_text(&old_settings, old_text, no_variables);
    struct config_part new_part = read_text(&new_settings, new_text, no_variables);
    struct buffer keys_told;
    buffer_init(&keys_told, 0);
    config_compare(&old_part, &new_part, 1, &keys_told);
    if (!span_equal_text(buffer_span(&keys_told), expected)) {
        fail_msg("%s -> %s: %.*s", old_text, new_text, (int) keys_told.size, (char *) keys_told.data);
    }
    buffer_finish(&keys_told);
    config_finish(&old_part, 1);
    config_finish(&new_part, 1);
}

static void keys_that_differ_and_need_a_restart_are_told(void **state) {
    (void) state;
    expect_difference("", "", "");
    expect_difference("timeout: 60s", "timeout: 1m", "");
    expect_difference("timeout: 60s", "timeout: 61s", "timeout\n");
    expect_difference("is_on: true", "is_on: false", "");
    expect_difference("a: {name: x, secret: s1}", "a: {name: z, secret: s2}", "a.name\na.secret\n");
    expect_difference("list: [a, b]", "list: [a, c]", "list\n");
    expect_difference("list: [a, b]", "list: [a]", "list\n");
    expect_difference("items: [{name: a}]", "items: [{name: b}]", "items\n");
    expect_difference("items: [{name: a}]", "items: [{name: a}, {}]", "items\n");
    expect_difference("items: [{name: a}]", "items: [{name: a}]", "");
}

static void a_key_of_several_parts_is_told_once(void **state) {
    (void) state;
    struct settings settings[4];
    struct config_part old_parts[2];
    struct config_part new_parts[2];
    for (int i = 0; i < 2; i++) {
        old_parts[i] = read_text(&settings[i], "timeout: 1s", no_variables);
        new_parts[i] = read_text(&settings[2 + i], "timeout: 2s", no_variables);
    }
    struct buffer keys_told;
    buffer_init(&keys_told, 0);
    config_compare(old_parts, new_parts, 2, &keys_told);
    assert_true(span_equal_text(buffer_span(&keys_told), "timeout\n"));
    buffer_finish(&keys_told);
    config_finish(old_parts, 2);
    config_finish(new_parts, 2);
}

static uint64_t hash_of(const char *text, const char **environment) {
    struct settings settings;
    struct config_part part = read_text(&settings, text, environment);
    uint64_t hash = config_hash(&part);
    config_finish(&part, 1);
    return hash;
}

static void the_hash_is_of_values_not_of_text(void **state) {
    (void) state;
    uint64_t hash = hash_of("timeout: 60s\na: {name: x}\nlist: [a, b]\n", no_variables);
    assert_true(hash == hash_of("list: [a, b]\na: {name: 'x'}\ntimeout: 1m\n", no_variables));
    assert_true(hash != hash_of("timeout: 61s\na: {name: x}\nlist: [a, b]\n", no_variables));
    assert_true(hash != hash_of("timeout: 60s\na: {name: z}\nlist: [a, b]\n", no_variables));
    assert_true(hash != hash_of("timeout: 60s\na: {name: x}\nlist: [ab]\n", no_variables));
    assert_true(hash != hash_of("timeout: 60s\na: {name: x}\nlist: [a, b]\nitems: [{}]\n", no_variables));
}

static void secrets_do_not_change_the_hash(void **state) {
    (void) state;
    const char *one[] = {"CALLBOARD_URL=redis://u:one@h", NULL};
    const char *two[] = {"CALLBOARD_URL=redis://u:two@h", NULL};
    const char *other[] = {"CALLBOARD_URL=redis://u:two@g", NULL};
    assert_true(hash_of("a: {secret: s1}", one) == hash_of("a: {secret: s2}", two));
    assert_true(hash_of("", two) != hash_of("", other));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_differ_and_need_a_restart_are_told),
        cmocka_unit_test(a_key_of_several_parts_is_told_once),
        cmocka_unit_test(the_hash_is_of_values_not_of_text),
        cmocka_unit_test(secrets_do_not_change_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
