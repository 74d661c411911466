/* Which options hang together, which namespace a channel has, and when two sets are alike. */
#include "base/namespace_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A program that has nothing but namespaces. */
struct program {
    struct config_section_list namespaces;
};
static void verify(const void *self, const char *prefix, config_errors_t *errors) {
    namespace_set_verify(&((const struct program *) self)->namespaces, prefix, errors);
}
static const struct config_key keys[] = {
    {.path = "namespaces", .type = CONFIG_SECTION_LIST, .section = &namespace_options_table, .help = "H."},
};
static const struct config_table table = {"Test", keys, 1, sizeof(struct program), verify};

static bool read_text(struct program *program, const char *text, struct buffer *ret_errors) {
    struct config_part part = {&table, program};
    struct config_source source = {.file_name = "f", .file_text = span_of_text(text)};
    buffer_init(ret_errors, 0);
    bool is_good = config_read(&part, 1, &source, ret_errors);
    buffer_append_char(ret_errors, '\0');
    return is_good;
}

static void read_good(struct program *program, const char *text) {
    struct buffer errors;
    if (!read_text(program, text, &errors)) {
        fail_msg("%s", (char *) errors.data);
    }
    buffer_finish(&errors);
}

static void finish(struct program *program) {
    struct config_part part = {&table, program};
    config_finish(&part, 1);
}

static void everything_is_denied_by_default(void **state) {
    (void) state;
    struct program program;
    read_good(&program, "namespaces: [{name: chat}]");
    const struct namespace_options *options = program.namespaces.items;
    assert_false(options->presence || options->join_leave || options->allow_subscribe_for_client ||
                 options->allow_publish_for_client || options->allow_publish_for_subscriber ||
                 options->allow_presence_for_client || options->allow_presence_for_subscriber ||
                 options->allow_history_for_client || options->allow_history_for_subscriber ||
                 options->allow_user_limited_channels || options->allow_subscribe_for_anonymous);
    assert_false(namespace_has_history(options));
    assert_int_equal(options->history_meta_ttl_ms, INT64_C(720) * 3600 * 1000);
    assert_int_equal(options->durability, DURABILITY_DEFAULT);
    assert_int_equal(options->on_engine_down, ENGINE_DOWN_FAIL);
    assert_int_equal(options->publication_data_format, PUBLICATION_JSON);
    assert_int_equal(options->force_recovery_mode, RECOVERY_STREAM);
    finish(&program);
}

static void every_option_is_read_into_its_field(void **state) {
    (void) state;
    struct program program;
    read_good(&program,
              "namespaces:\n"
              "- {name: ab, history_size: 10, history_ttl: 1m, history_meta_ttl: 2m, publication_data_format: "
              "binary, force_recovery_mode: cache, durability: fast, on_engine_down: memory, allowed_delta_types: "
              "[fossil]}\n");
    assert_true(namespace_allows_delta(program.namespaces.items));
    const struct namespace_options *options = program.namespaces.items;
    assert_true(namespace_has_history(options));
    assert_int_equal(options->history_size, 10);
    assert_int_equal(options->history_ttl_ms, 60000);
    assert_int_equal(options->history_meta_ttl_ms, 120000);
    assert_int_equal(options->publication_data_format, PUBLICATION_BINARY);
    assert_int_equal(options->force_recovery_mode, RECOVERY_CACHE);
    assert_int_equal(options->durability, DURABILITY_FAST);
    assert_int_equal(options->on_engine_down, ENGINE_DOWN_MEMORY);
    finish(&program);

    /* Each switch alone changes its own field, and no two share one. */
    unsigned n_switches = 0;
    for (size_t i = 0; i < namespace_options_table.n_keys; i++) {
        const struct config_key *key = &namespace_options_table.keys[i];
        if (key->type != CONFIG_BOOL) {
            continue;
        }
        char text[160];
        snprintf(text, sizeof text,
                 "namespaces: [{name: ab, history_size: 1, history_ttl: 1s, join_leave: %s, %s: true}]", "false",
                 strcmp(key->path, "join_leave") == 0 ? "presence" : key->path);
        struct buffer errors;
        read_text(&program, text, &errors);
        const uint8_t *item = program.namespaces.items;
        unsigned n_true = 0;
        for (size_t k = 0; k < namespace_options_table.n_keys; k++) {
            n_true += namespace_options_table.keys[k].type == CONFIG_BOOL &&
                      *(const bool *) (item + namespace_options_table.keys[k].offset);
        }
        assert_int_equal(n_true, 1);
        n_switches++;
        finish(&program);
        buffer_finish(&errors);
    }
    assert_int_equal(n_switches, 28);
}

static void options_that_need_others_are_refused_alone(void **state) {
    (void) state;
    static const char *const samples[][2] = {
        {"history_size: 1", "f:1:28: namespaces[0].history_size: history needs both"},
        {"history_ttl: 1s", "f:1:28: namespaces[0].history_ttl: history needs both"},
        {"history_size: 1, history_ttl: 2h, history_meta_ttl: 3h",
         "namespaces[0].history_meta_ttl: must be at least twice"},
        {"force_recovery: true", "namespaces[0].force_recovery: needs history"},
        {"allow_recovery: true", "namespaces[0].allow_recovery: needs history"},
        {"force_recovery_mode: cache", "namespaces[0].force_recovery_mode: needs history"},
        {"auto_cache_recover: true", "namespaces[0].auto_cache_recover: needs force_recovery_mode: cache"},
        {"force_positioning: true", "namespaces[0].force_positioning: needs history"},
        {"allow_positioning: true", "namespaces[0].allow_positioning: needs history"},
        {"allowed_delta_types: [fossil]", "namespaces[0].allowed_delta_types: needs history"},
        {"allowed_delta_types: [zip], history_size: 1, history_ttl: 1s",
         "namespaces[0].allowed_delta_types: knows fossil only; \"zip\""},
        {"delta_publish: true", "namespaces[0].delta_publish: needs history"},
        {"force_push_join_leave: true", "namespaces[0].force_push_join_leave: needs join_leave"},
        {"history_size: -1, history_ttl: 1s", "namespaces[0].history_size: \"-1\" is out of bounds"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        char text[160];
        snprintf(text, sizeof text, "namespaces:   [{name: abc, %s}]", samples[i][0]);
        struct program program;
        struct buffer errors;
        assert_false(read_text(&program, text, &errors));
        if (strstr((char *) errors.data, samples[i][1]) == NULL) {
            fail_msg("%s: %s", samples[i][0], (char *) errors.data);
        }
        finish(&program);
        buffer_finish(&errors);
    }
}

static void names_are_valid_and_stand_once(void **state) {
    (void) state;
    struct program program;
    struct buffer errors;
    assert_false(read_text(&program,
                           "namespaces:\n- name: abc\n- name: xyz\n- name: abc\n- name: a\n- name: 'a:b'\n- {}\n- {}\n",
                           &errors));
    assert_string_equal((char *) errors.data,
                        "f:5:3: namespaces[3].name: must be 2 to 64 letters, digits, dashes or underlines\n"
                        "f:6:3: namespaces[4].name: must be 2 to 64 letters, digits, dashes or underlines\n"
                        "f:8:3: namespaces[6].name: is the same as that of namespaces[5]; a name stands once\n"
                        "f:4:3: namespaces[2].name: is the same as that of namespaces[0]; a name stands once\n");
    finish(&program);
    buffer_finish(&errors);
}

static void a_channel_has_the_options_of_its_namespace(void **state) {
    (void) state;
    struct program program;
    read_good(&program,
              "namespaces: [{name: news}, {name: chat}, {name: chats}, {name: ''}, {name: zz}, {name: Chat}]");
    namespace_set_t *set = namespace_set_new(&program.namespaces);
    static const char *const samples[][2] = {
        {"chat:index", "chat"}, {"$chat:index", "chat"}, {"chats:x", "chats"}, {"news:", "news"}, {"Chat:x", "Chat"},
        {"zz:a:b", "zz"},       {"index", ""},           {"$index", ""},       {":x", ""},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        const struct namespace_options *options = namespace_set_find(set, span_of_text(samples[i][0]));
        assert_non_null(options);
        assert_string_equal(options->name, samples[i][1]);
    }
    static const char *const unknown[] = {"cha:x", "chatss:x", "CHAT:x", "aa:x", "zzz:x"};
    for (size_t i = 0; i < N_OF(unknown); i++) {
        assert_null(namespace_set_find(set, span_of_text(unknown[i])));
    }
    namespace_set_destroy(&set);
    assert_null(set);
    finish(&program);
}

static void without_an_entry_without_name_plain_channels_have_no_options(void **state) {
    (void) state;
    struct program program;
    read_good(&program, "namespaces: [{name: chat}]");
    namespace_set_t *set = namespace_set_new(&program.namespaces);
    assert_null(namespace_set_find(set, SPAN_LITERAL("index")));
    namespace_set_destroy(&set);
    finish(&program);
    read_good(&program, "");
    set = namespace_set_new(&program.namespaces);
    assert_null(namespace_set_find(set, SPAN_LITERAL("chat:index")));
    namespace_set_destroy(&set);
    finish(&program);
}

static uint64_t hash_of(const char *text) {
    struct program program;
    read_good(&program, text);
    namespace_set_t *set = namespace_set_new(&program.namespaces);
    uint64_t hash = namespace_set_hash(set);
    namespace_set_destroy(&set);
    finish(&program);
    return hash;
}

static void alike_sets_have_the_same_hash_in_any_order_and_spelling(void **state) {
    (void) state;
    uint64_t hash = hash_of("namespaces: [{name: aa, presence: true}, {name: bb, history_size: 1, history_ttl: 60s}]");
    assert_true(hash ==
                hash_of("namespaces:\n- {history_ttl: 1m, history_size: 1, name: bb}\n- {name: aa, presence: true}\n"));
    assert_true(hash != hash_of("namespaces: [{name: aa}, {name: bb, history_size: 1, history_ttl: 60s}]"));
    assert_true(hash !=
                hash_of("namespaces: [{name: bb, presence: true}, {name: aa, history_size: 1, history_ttl: 60s}]"));
    assert_true(hash != hash_of("namespaces: [{name: aa, presence: true}]"));
    assert_true(hash_of("") == hash_of("namespaces: []"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_denied_by_default),
        cmocka_unit_test(every_option_is_read_into_its_field),
        cmocka_unit_test(options_that_need_others_are_refused_alone),
        cmocka_unit_test(names_are_valid_and_stand_once),
        cmocka_unit_test(a_channel_has_the_options_of_its_namespace),
        cmocka_unit_test(without_an_entry_without_name_plain_channels_have_no_options),
        cmocka_unit_test(alike_sets_have_the_same_hash_in_any_order_and_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
