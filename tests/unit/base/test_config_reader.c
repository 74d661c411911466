/* What a person meets: values from four sources, and the lines that tell what is wrong. */
#include "config_reader_harness.h"

#include <time.h>

/* Sanitizers are slow; the bound is for what is built for use. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ALLOWED_MS = 1000 };
#else
enum { ALLOWED_MS = 100 };
#endif

/* ---- good values ---- */

static void without_sources_every_key_has_its_default(void **state) {
    (void) state;
    struct outcome outcome;
    read_sources(&outcome, NULL, NULL, NULL);
    assert_true(outcome.is_good);
    assert_int_equal(outcome.settings.port, 8000);
    assert_string_equal(outcome.settings.address, "0.0.0.0");
    assert_int_equal(outcome.settings.origins.n, 0);
    assert_int_equal(outcome.settings.timeout_ms, 10000);
    assert_int_equal(outcome.settings.bytes, 65536);
    assert_int_equal(outcome.settings.level, 1);
    assert_string_equal(outcome.settings.secret, "");
    assert_int_equal(outcome.settings.rooms.n, 0);
    finish(&outcome);
}

static const char full_file[] = "# a comment\n"
                                "http:\n"
                                "  port: 9000\n"
                                "  address: \"::1\"\n"
                                "  allowed_origins: [https://a.example, 'https://b.example']\n"
                                "  timeout: 500ms\n"
                                "  bytes: 2MiB\n"
                                "is_on: true\n"
                                "log: {level: warn}\n"
                                "token:\n"
                                "  secret: hush hush\n"
                                "rooms:\n"
                                "- name: one\n"
                                "  size: 3\n"
                                "- {name: two, is_open: true, size: 1}\n";

static void a_file_sets_every_kind_of_value(void **state) {
    (void) state;
    struct outcome outcome;
    expect_file(&outcome, full_file);
    const struct settings *settings = &outcome.settings;
    assert_int_equal(settings->port, 9000);
    assert_string_equal(settings->address, "::1");
    assert_int_equal(settings->origins.n, 2);
    assert_string_equal(settings->origins.texts[1], "https://b.example");
    assert_int_equal(settings->timeout_ms, 500);
    assert_int_equal(settings->bytes, 2 << 20);
    assert_true(settings->is_on);
    assert_int_equal(settings->level, 2);
    assert_string_equal(settings->secret, "hush hush");
    assert_int_equal(settings->rooms.n, 2);
    const struct room *rooms = settings->rooms.items;
    assert_string_equal(rooms[0].name, "one");
    assert_int_equal(rooms[0].size, 3);
    assert_string_equal(rooms[1].name, "two");
    assert_true(rooms[1].is_open);
    finish(&outcome);
}

static void dos_line_ends_and_a_byte_order_mark_change_nothing(void **state) {
    (void) state;
    struct outcome outcome;
    expect_file(&outcome, "\xEF\xBB\xBFhttp:\r\n  port: 81\r\nis_on: true\r\n");
    assert_int_equal(outcome.settings.port, 81);
    assert_true(outcome.settings.is_on);
    finish(&outcome);
}

static void empty_files_and_sections_of_comments_are_fine(void **state) {
    (void) state;
    static const char *const files[] = {"", "\n", "# nothing\n", "---\n", "http:\n", "http:\n  # port: 1\n", "{}\n"};
    for (size_t i = 0; i < N_OF(files); i++) {
        struct outcome outcome;
        expect_file(&outcome, files[i]);
        assert_int_equal(outcome.settings.port, 8000);
        finish(&outcome);
    }
}

static void later_sources_win_file_then_environment_then_settings(void **state) {
    (void) state;
    const char *const environment[] = {"PATH=/bin", "CALLBOARD_HTTP_PORT=2", "CALLBOARD_HTTP_TIMEOUT=2s",
                                       "CALLBOARD_CONFIG=x.yaml", NULL};
    const char *const settings[] = {"http.timeout=3s", NULL};
    struct outcome outcome;
    read_sources(&outcome, "http:\n  port: 1\n  timeout: 1s\n  address: a\n", environment, settings);
    assert_string_equal(errors_of(&outcome), "");
    assert_string_equal(outcome.settings.address, "a");
    assert_int_equal(outcome.settings.port, 2);
    assert_int_equal(outcome.settings.timeout_ms, 3000);
    finish(&outcome);
}

static void lists_are_replaced_not_extended_and_split_at_commas_outside_the_file(void **state) {
    (void) state;
    const char *const environment[] = {"CALLBOARD_HTTP_ALLOWED_ORIGINS=https://x, https://y", NULL};
    struct outcome outcome;
    read_sources(&outcome, "http: {allowed_origins: [a, b, c]}", environment, NULL);
    assert_int_equal(outcome.settings.origins.n, 2);
    assert_string_equal(outcome.settings.origins.texts[0], "https://x");
    assert_string_equal(outcome.settings.origins.texts[1], "https://y");
    finish(&outcome);
    const char *const empty[] = {"http.allowed_origins=", NULL};
    read_sources(&outcome, "http: {allowed_origins: [a, b, c]}", NULL, empty);
    assert_true(outcome.is_good);
    assert_int_equal(outcome.settings.origins.n, 0);
    finish(&outcome);
}

static void several_parts_share_one_file_and_common_keys(void **state) {
    (void) state;
    struct settings settings;
    struct other other;
    const struct config_part parts[] = {{&table, &settings}, {&other_table, &other}};
    const char *const environment[] = {"CALLBOARD_BROKER_SHARDS=4", NULL};
    struct config_source source = {.file_name = "x",
                                   .file_text = SPAN_LITERAL("http: {port: 77}\nrooms: [{name: a}, {name: b}]\n"),
                                   .environment = environment};
    struct buffer errors;
    buffer_init(&errors, 0);
    assert_true(config_read(parts, 2, &source, &errors));
    assert_int_equal(settings.port, 77);
    assert_int_equal(other.port, 77);
    assert_int_equal(other.shards, 4);
    assert_int_equal(other.rooms.n, 2);
    assert_string_equal(((struct room *) other.rooms.items)[1].name, "b");
    assert_ptr_not_equal(other.rooms.items, settings.rooms.items);
    config_finish(parts, 2);

    /* A mistake is told once, and each keeps its own default. */
    source.file_text = SPAN_LITERAL("http: {port: 0}\nrooms: [{size: 1}]\n");
    assert_false(config_read(parts, 2, &source, &errors));
    buffer_append_char(&errors, '\0');
    assert_string_equal((char *) errors.data, "x:1:8: http.port: \"0\" is out of bounds; it must be from 1 to 65535\n"
                                              "x:2:9: rooms[0].name: is required, and is not set\n");
    assert_int_equal(settings.port, 8000);
    assert_int_equal(other.port, 9001);
    config_finish(parts, 2);
    buffer_finish(&errors);
}

/* ---- mistakes ---- */

static void an_unknown_key_is_told_with_its_place_and_the_nearest_key(void **state) {
    (void) state;
    expect_errors("http:\n  prot: 1\n",
                  "etc/test.yaml:2:3: http.prot: there is no such key; did you mean http.port?\n");
    expect_errors("htp: {port: 1}\n", "etc/test.yaml:1:1: htp: there is no such key; did you mean http?\n");
    expect_errors("port: 1\n", "etc/test.yaml:1:1: port: there is no such key; did you mean http.port?\n");
    expect_errors("http:\n  alowed_origns: []\n",
                  "etc/test.yaml:2:3: http.alowed_origns: there is no such key; did you mean http.allowed_origins?\n");
    expect_errors("rooms:\n- name: a\n  sise: 1\n",
                  "etc/test.yaml:3:3: rooms[0].sise: there is no such key; did you mean rooms[0].size?\n");
    expect_errors("completely_different: 1\n",
                  "etc/test.yaml:1:1: completely_different: there is no such key; --help lists all\n");
    expect_errors("http.port: 1\n", "etc/test.yaml:1:1: http.port: write the parts of the key as maps inside each "
                                    "other, without the dots\n");
    expect_errors("\"a\\eb\": 1\n", "etc/test.yaml:1:1: a?b: there is no such key; --help lists all\n");
    expect_errors("'': 1\n", "etc/test.yaml:1:1: there is no such key; --help lists all\n");
}

static void all_mistakes_are_told_in_one_run(void **state) {
    (void) state;
    const char *const environment[] = {"CALLBOARD_HTTP_PORT=x", NULL};
    const char *const settings[] = {"is_on=maybe", "nonsense", NULL};
    struct outcome outcome;
    read_sources(&outcome,
                 "http:\n  port: 99999\n  bytes: 1KB\nis_on: yes\nlog: {level: loud}\nrooms:\n- is_open: true\n",
                 environment, settings);
    assert_string_equal(
        errors_of(&outcome),
        "etc/test.yaml:2:3: http.port: \"99999\" is out of bounds; it must be from 1 to 65535\n"
        "etc/test.yaml:3:3: http.bytes: \"1KB\" is not a size; write it like 512, 64KiB, 1MiB or 2GiB\n"
        "etc/test.yaml:4:1: is_on: \"yes\" is not a truth value; write true or false\n"
        "etc/test.yaml:5:7: log.level: \"loud\" is not known here; it must be one of debug, info, warn\n"
        "environment: CALLBOARD_HTTP_PORT: \"x\" is not a whole number; write decimal digits only\n"
        "--set is_on: \"maybe\" is not a truth value; write true or false\n"
        "--set: write it as key=value, like http.port=8000\n"
        "etc/test.yaml:7:3: rooms[0].name: is required, and is not set\n"
        "etc/test.yaml:7:3: rooms[0].size: an open room needs a size\n");
    finish(&outcome);
}

static void fifty_lines_are_enough(void **state) {
    (void) state;
    struct buffer file;
    buffer_init(&file, 0);
    for (int i = 0; i < 500; i++) {
        buffer_append_format(&file, "wrong%d: 1\n", i);
    }
    buffer_append_char(&file, '\0');
    struct outcome outcome;
    read_sources(&outcome, (const char *) file.data, NULL, NULL);
    unsigned n_lines = 0;
    for (size_t i = 0; i < outcome.errors.size; i++) {
        n_lines += outcome.errors.data[i] == '\n';
    }
    assert_int_equal(n_lines, 51);
    assert_non_null(strstr(errors_of(&outcome), "There are more errors; mend these first.\n"));
    finish(&outcome);
    buffer_finish(&file);
}

static void words_that_yaml_versions_read_differently_are_refused(void **state) {
    (void) state;
    static const char *const words[] = {"yes", "no", "on", "off", "Yes", "NO", "y", "n", "true", "False", "Null"};
    for (size_t i = 0; i < N_OF(words); i++) {
        char file[64];
        char expected[200];
        snprintf(file, sizeof file, "http: {address: %s}\n", words[i]);
        snprintf(expected, sizeof expected,
                 "etc/test.yaml:1:8: http.address: a plain %s is not a text to every YAML reader; put it in quotes\n",
                 words[i]);
        expect_errors(file, expected);
        struct outcome outcome;
        snprintf(file, sizeof file, "http: {address: '%s'}\n", words[i]);
        expect_file(&outcome, file);
        assert_string_equal(outcome.settings.address, words[i]);
        finish(&outcome);
    }
    expect_errors("http: {allowed_origins: [a, no]}\n",
                  "etc/test.yaml:1:29: http.allowed_origins: a plain no is not a text to every YAML reader; put it in "
                  "quotes\n");
    expect_errors("http: {port: 0777}\n", "etc/test.yaml:1:8: http.port: \"0777\" starts with a zero, which some read "
                                          "as an octal number; write it without\n");
    expect_errors("http: {port: 0o17}\n",
                  "etc/test.yaml:1:8: http.port: \"0o17\" is not a whole number; write decimal digits only\n");
    expect_errors("http: {port: 8_0}\n",
                  "etc/test.yaml:1:8: http.port: \"8_0\" is not a whole number; write decimal digits only\n");
}

static void a_key_without_a_value_is_refused(void **state) {
    (void) state;
    static const char *const files[] = {"http:\n  port:\n", "http:\n  port: ~\n", "http:\n  port: null\n"};
    for (size_t i = 0; i < N_OF(files); i++) {
        expect_errors(files[i],
                      "etc/test.yaml:2:3: http.port: has no value; give one (\"\" is the empty text), or leave "
                      "the key out for its default\n");
    }
}

static void a_value_of_another_shape_is_refused(void **state) {
    (void) state;
    expect_errors("http: 1\n", "etc/test.yaml:1:1: http: must be a map: indented lines like `key: value`\n");
    expect_errors("http: [port]\n", "etc/test.yaml:1:1: http: must be a map: indented lines like `key: value`\n");
    expect_errors("http: {port: [1]}\n", "etc/test.yaml:1:8: http.port: must be a single value, not a map or a list\n");
    expect_errors("http: {allowed_origins: a}\n",
                  "etc/test.yaml:1:8: http.allowed_origins: must be a list, like [a, b]\n");
    expect_errors("http: {allowed_origins: [[a]]}\n",
                  "etc/test.yaml:1:26: http.allowed_origins: must be a single value, not a map or a list\n");
    expect_errors("rooms: {name: a}\n", "etc/test.yaml:1:1: rooms: must be a list: lines like `- key: value`\n");
    expect_errors("rooms: [a]\n", "etc/test.yaml:1:9: rooms[0]: must be a map: lines like `key: value`\n");
}

static void a_rule_across_fields_points_at_the_place_of_the_value(void **state) {
    (void) state;
    expect_errors("http:\n  port: 666\n", "etc/test.yaml:2:3: http.port: 666 is not a lucky port\n");
    expect_variable_error("CALLBOARD_HTTP_PORT=666", "environment: CALLBOARD_HTTP_PORT: 666 is not a lucky port\n");
    expect_setting_error("http.port=666", "--set http.port: 666 is not a lucky port\n");
}

static void unknown_variables_of_ours_are_refused_others_ignored(void **state) {
    (void) state;
    expect_variable_error(
        "CALLBOARD_HTTP_PROT=1",
        "environment: CALLBOARD_HTTP_PROT: there is no such key; did you mean CALLBOARD_HTTP_PORT?\n");
    expect_variable_error("CALLBOARD_QUITE_ELSE=1",
                          "environment: CALLBOARD_QUITE_ELSE: there is no such key; unset it, --help lists all keys\n");
    expect_variable_error("CALLBOARD_ROOMS=a", "environment: CALLBOARD_ROOMS: \"a\" is a list of sections, which only "
                                               "the file can hold\n");
    expect_variable_error("CALLBOARDX=1", "");
    expect_variable_error("CALLBOARD=1", "");
    expect_variable_error("CALLBOARD_NO_EQUALS", "");
}

static void variables_that_kubernetes_sets_for_services_are_no_settings(void **state) {
    (void) state;
    static const char *const variables[] = {
        "CALLBOARD_SERVICE_HOST=10.0.0.1",
        "CALLBOARD_SERVICE_PORT=8000",
        "CALLBOARD_SERVICE_PORT_HTTP=8000",
        "CALLBOARD_PORT=tcp://10.0.0.1:8000",
        "CALLBOARD_PORT_8000_TCP=tcp://10.0.0.1:8000",
        "CALLBOARD_PORT_8000_TCP_PROTO=tcp",
        "CALLBOARD_PORT_8000_TCP_PORT=8000",
        "CALLBOARD_PORT_8000_TCP_ADDR=10.0.0.1",
        "CALLBOARD_BROKER_SERVICE_HOST=10.0.0.1",
        "CALLBOARD_BROKER_PORT_7700_TCP=tcp://10.0.0.1:7700",
        "CALLBOARD_HTTP_PORT=tcp://10.0.0.1:8000",
    };
    for (size_t i = 0; i < N_OF(variables); i++) {
        expect_variable_error(variables[i], "");
    }
    expect_variable_error("CALLBOARD_HTTP_PORT=http://x",
                          "environment: CALLBOARD_HTTP_PORT: \"http://x\" is not a whole number; write decimal digits "
                          "only\n");
}

static void unknown_settings_are_refused(void **state) {
    (void) state;
    expect_setting_error("http.prot=1", "--set http.prot: there is no such key; did you mean http.port?\n");
    expect_setting_error("=1", "--set: write it as key=value, like http.port=8000\n");
    expect_setting_error("http.address=caf\xC3", "--set http.address: the value is not UTF-8\n");
}

/* ---- bounds on the file ---- */

static void hostile_files_are_refused_in_a_moment(void **state) {
    (void) state;
    static const struct {
        const char *unit;
        size_t size;
        const char *expected;
    } samples[] = {
        {"[", 128 * 1024, "nested too deeply"},
        {"{a: ", 256 * 1024, "nested too deeply"},
        {"- ", 128 * 1024, "nested too deeply"},
        {"? ", 128 * 1024, "a key must be plain text"},
        {"%TAG !a! b\n", 200 * 1024, "directives"},
        {"a: 1\n", 200 * 1024, "more than 20,000"},
        {"[],", 200 * 1024, ""},
        {"- &a a\n", 200 * 1024, ""},
        {"- *a\n", 200 * 1024, ""},
        {"!a ", 200 * 1024, ""},
        {"--- a\n", 200 * 1024, "a second document"},
        {"a\n", 256 * 1024, ""},
        {"\"", 256 * 1024 - 1, ""},
        {"a: b: ", 200 * 1024, ""},
        {"rooms: [{size: 1}]\n", 200 * 1024, ""},
        {"x", 256 * 1024 + 1, "larger than 256 KiB"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        struct buffer file;
        buffer_init(&file, 0);
        while (file.size + strlen(samples[i].unit) <= samples[i].size) {
            buffer_append_text(&file, samples[i].unit);
        }
        buffer_append_char(&file, '\0');
        struct timespec before;
        struct timespec after;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        struct outcome outcome;
        read_sources(&outcome, (const char *) file.data, NULL, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        double ms = (double) (after.tv_sec - before.tv_sec) * 1e3 + (double) (after.tv_nsec - before.tv_nsec) / 1e6;
        assert_false(outcome.is_good);
        if (strstr(errors_of(&outcome), samples[i].expected) == NULL) {
            fail_msg("%s…: %s", samples[i].unit, errors_of(&outcome));
        }
        if (ms > ALLOWED_MS) {
            fail_msg("%s… took %.0f ms", samples[i].unit, ms);
        }
        finish(&outcome);
        buffer_finish(&file);
    }
}

/* ---- afterwards ---- */

static void a_file_is_read_whole_or_not_at_all(void **state) {
    (void) state;
    char *path = write_file("12345678", 8);
    struct buffer text;
    buffer_init(&text, 0);
    const char *reason = NULL;
    assert_true(config_read_file(path, 8, &text, &reason));
    assert_true(span_equal_text(buffer_span(&text), "12345678"));
    buffer_clear(&text);
    assert_false(config_read_file(path, 7, &text, &reason));
    assert_string_equal(reason, "larger than allowed");
    unlink(path);
    assert_false(config_read_file(path, 7, &text, &reason));
    assert_string_equal(reason, "No such file or directory");
    assert_false(config_read_file("/tmp", 7, &text, &reason));
    assert_string_equal(reason, "Is a directory");
    buffer_finish(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_sources_every_key_has_its_default),
        cmocka_unit_test(a_file_sets_every_kind_of_value),
        cmocka_unit_test(dos_line_ends_and_a_byte_order_mark_change_nothing),
        cmocka_unit_test(empty_files_and_sections_of_comments_are_fine),
        cmocka_unit_test(later_sources_win_file_then_environment_then_settings),
        cmocka_unit_test(lists_are_replaced_not_extended_and_split_at_commas_outside_the_file),
        cmocka_unit_test(several_parts_share_one_file_and_common_keys),
        cmocka_unit_test(an_unknown_key_is_told_with_its_place_and_the_nearest_key),
        cmocka_unit_test(all_mistakes_are_told_in_one_run),
        cmocka_unit_test(fifty_lines_are_enough),
        cmocka_unit_test(words_that_yaml_versions_read_differently_are_refused),
        cmocka_unit_test(a_key_without_a_value_is_refused),
        cmocka_unit_test(a_value_of_another_shape_is_refused),
        cmocka_unit_test(a_rule_across_fields_points_at_the_place_of_the_value),
        cmocka_unit_test(unknown_variables_of_ours_are_refused_others_ignored),
        cmocka_unit_test(variables_that_kubernetes_sets_for_services_are_no_settings),
        cmocka_unit_test(unknown_settings_are_refused),
        cmocka_unit_test(hostile_files_are_refused_in_a_moment),
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
