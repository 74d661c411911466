/* A program's main, seen from outside: the test starts itself as the program. */
#include "base/program.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "tests/support/process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the program ---- */

struct toy_config {
    int64_t port;
    char *greeting;
    char *secret;
    char *fixed;
};

static const struct config_key toy_keys[] = {
    {"toy.port", CONFIG_INT, 0, offsetof(struct toy_config, port), "8000", 1, 65535, NULL, NULL, "A port."},
    {"toy.greeting", CONFIG_TEXT, CONFIG_RELOADABLE, offsetof(struct toy_config, greeting), "hello", 0, 0, NULL, NULL,
     "What it says."},
    {"toy.secret", CONFIG_SECRET, 0, offsetof(struct toy_config, secret), "", 0, 0, NULL, NULL, "A secret."},
    {"toy.fixed", CONFIG_TEXT, 0, offsetof(struct toy_config, fixed), "free", 0, 0, NULL, NULL,
     "What it cannot change."},
};
static const struct config_table toy_table = {"Toy", toy_keys, 4, sizeof(struct toy_config), NULL};
static const struct config_table *const toy_tables[] = {&toy_table};

struct toy {
    program_t *program;
};

static bool toy_start(void *context, program_t *program, void *const *configs, char *ret_error, size_t error_size) {
    struct toy *self = context;
    const struct toy_config *config = configs[0];
    self->program = program;
    /* GCC 12's ThreadSanitizer can lose a signal that comes at a thread's first blocking call. Let it be this one;
     * other programs wait for their actors here. */
    usleep(1);
    if (config->port == 13) {
        snprintf(ret_error, error_size, "port 13 brings bad luck; set toy.port to another one");
        return false;
    }
    if (strcmp(config->fixed, "fixed") != 0) {
        snprintf(ret_error, error_size, "toy.fixed is %s", config->fixed);
        return false;
    }
    if (getenv("ZSYS_SNDHWM") != NULL || getenv("ZSYS_LOGSENDER") != NULL) {
        snprintf(ret_error, error_size, "czmq would take what it finds in the environment");
        return false;
    }
    if (prctl(PR_GET_DUMPABLE) != 0) {
        snprintf(ret_error, error_size, "a core dump would hold the secrets");
        return false;
    }
    program_ready(program, "port %lld, %s, %s", (long long) config->port, config->greeting, config->secret);
    return true;
}

static void toy_reload(void *context, void *const *configs) {
    const struct toy_config *config = configs[0];
    if (strcmp(config->greeting, "never") == 0) {
        program_reload_refused(((struct toy *) context)->program, "the toy does not like it");
        return;
    }
    log_info("toy_reloaded", log_text("greeting", config->greeting), log_text("secret", config->secret));
    program_reloaded(((struct toy *) context)->program);
}

static void toy_stop(void *context) {
    struct toy *self = context;
    const char *how = getenv("TOY_STOP");
    if (how == NULL) {
        program_stopped(self->program, true);
    } else if (strcmp(how, "unclean") == 0) {
        program_stopped(self->program, false);
    } /* else: never */
}

static int be_toy(int argc, char **argv) {
    static const struct program_shortcut shortcuts[] = {{"--greet", "TEXT", "toy.greeting", "what it says"}};
    static const struct program_alias aliases[] = {{"TOY_PORT", "CALLBOARD_TOY_PORT"}};
    static const char *const fixed[] = {"toy.fixed=fixed", NULL};
    const struct program_description description = {.name = "toy",
                                                    .summary = "a toy",
                                                    .tables = toy_tables,
                                                    .n_tables = 1,
                                                    .shortcuts = shortcuts,
                                                    .n_shortcuts = 1,
                                                    .aliases = aliases,
                                                    .n_aliases = 1,
                                                    .fixed_settings = fixed,
                                                    .start = toy_start,
                                                    .reload = toy_reload,
                                                    .stop = toy_stop};
    struct toy toy = {NULL};
    return program_run(&description, &toy, argc, argv);
}

/* ---- the tests ---- */

enum { PATIENCE_MS = 20000, ARGUMENTS_MAX = 12 };

static process_t *start_with(const char *const *settings, const char *const *arguments) {
    const char *argv[ARGUMENTS_MAX] = {"/proc/self/exe", "--as-toy"};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        argv[i + 2] = arguments[i];
    }
    return process_start(argv, settings);
}
#define start_toy(settings, ...) start_with((settings), (const char *const[]){__VA_ARGS__, NULL})

static void assert_exit(process_t **process_p, int expected) {
    int status = -1;
    assert_true(process_wait_exit(*process_p, PATIENCE_MS, &status));
    assert_int_equal(status, expected);
    process_stop(process_p);
}

static void assert_ready(process_t *process, const char *expected) {
    const char *line = process_wait_text(process, PROCESS_STDOUT, "ready", PATIENCE_MS);
    assert_non_null(line);
    assert_string_equal(line, expected);
}

static char *write_file(const char *text) {
    char path[] = "/tmp/callboard-test-program-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t) strlen(text));
    close(file);
    return memory_strdup(path);
}

static void rewrite_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void without_anything_the_defaults_hold_and_SIGTERM_ends_it_with_0(void **state) {
    (void) state;
    process_t *toy = start_toy(NULL, NULL);
    assert_ready(toy, "toy ready: port 8000, hello, ");
    process_signal(toy, SIGTERM);
    assert_exit(&toy, PROGRAM_DONE);
}

static void SIGINT_ends_it_too(void **state) {
    (void) state;
    process_t *toy = start_toy(NULL, NULL);
    assert_ready(toy, "toy ready: port 8000, hello, ");
    process_signal(toy, SIGINT);
    assert_exit(&toy, PROGRAM_DONE);
}

static void the_command_line_is_above_the_environment_and_that_above_the_file(void **state) {
    (void) state;
    char *path = write_file("toy:\n  port: 1\n  greeting: file\n  secret: file\n");
    const char *const settings[] = {"CALLBOARD_TOY_GREETING=env", "CALLBOARD_TOY_PORT=2", NULL};
    process_t *toy = start_toy(settings, "--config", path, "--set", "toy.port=3");
    assert_ready(toy, "toy ready: port 3, env, file");
    process_stop(&toy);
    unlink(path);
    memory_free(path);
}

static void nothing_is_above_a_fixed_setting(void **state) {
    (void) state;
    const char *const settings[] = {"CALLBOARD_TOY_FIXED=env", NULL};
    process_t *toy = start_toy(settings, "--set", "toy.fixed=other");
    assert_ready(toy, "toy ready: port 8000, hello, ");
    process_stop(&toy);
}

static void the_environment_that_others_may_read_has_no_secret(void **state) {
    (void) state;
    const char *const settings[] = {"CALLBOARD_TOY_SECRET=quite-secret", "TOY_PORT=7777", NULL};
    process_t *toy = start_toy(settings, NULL);
    assert_ready(toy, "toy ready: port 7777, hello, quite-secret");
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int) process_pid(toy));
    struct buffer text = BUFFER_EMPTY;
    const char *reason = NULL;
    assert_true(config_read_file(path, 1 << 20, &text, &reason));
    assert_true(text.size > 0);
    assert_null(memmem(text.data, text.size, "quite-secret", 12));
    assert_null(memmem(text.data, text.size, "7777", 4));
    buffer_finish(&text);
    process_stop(&toy);
}

static void variables_that_steer_czmq_are_forgotten(void **state) {
    (void) state;
    const char *const settings[] = {"ZSYS_SNDHWM=1", "ZSYS_LOGSENDER=tcp://127.0.0.1:1", "TOY_PORT=7777", NULL};
    process_t *toy = start_toy(settings, NULL);
    assert_ready(toy, "toy ready: port 7777, hello, ");
    process_stop(&toy);
}

static void a_shortcut_sets_its_key_and_an_alias_its_variable(void **state) {
    (void) state;
    const char *const settings[] = {"TOY_PORT=77", NULL};
    process_t *toy = start_toy(settings, "--greet=ahoy");
    assert_ready(toy, "toy ready: port 77, ahoy, ");
    process_stop(&toy);
}

static void our_own_variable_is_above_its_alias(void **state) {
    (void) state;
    const char *const settings[] = {"TOY_PORT=77", "CALLBOARD_TOY_PORT=78", NULL};
    process_t *toy = start_toy(settings, NULL);
    assert_ready(toy, "toy ready: port 78, hello, ");
    process_stop(&toy);
}

static void CALLBOARD_CONFIG_names_the_file(void **state) {
    (void) state;
    char *path = write_file("toy:\n  port: 5\n");
    char variable[128];
    snprintf(variable, sizeof variable, "CALLBOARD_CONFIG=%s", path);
    const char *const settings[] = {variable, NULL};
    process_t *toy = start_toy(settings, NULL);
    assert_ready(toy, "toy ready: port 5, hello, ");
    process_stop(&toy);
    unlink(path);
    memory_free(path);
}

static void assert_refused(process_t *toy, int code, const char *message) {
    const char *line = process_wait_text(toy, PROCESS_STDERR, message, PATIENCE_MS);
    if (line == NULL) {
        fail_msg("'%s' is not in: %s", message, process_output(toy, PROCESS_STDERR));
    }
    assert_exit(&toy, code);
}

static void a_wrong_command_line_ends_with_2_and_says_how_to_see_the_usage(void **state) {
    (void) state;
    assert_refused(start_toy(NULL, "--nonsense"), PROGRAM_USAGE, "--nonsense: unknown option; see toy --help");
    assert_refused(start_toy(NULL, "start"), PROGRAM_USAGE, "start: an argument that is not an option");
    assert_refused(start_toy(NULL, "--set"), PROGRAM_USAGE, "--set: the option needs a value");
    assert_refused(start_toy(NULL, "--set", "toy.port"), PROGRAM_USAGE, "toy.port: --set wants KEY=VALUE");
}

static void wrong_settings_end_with_3_and_name_the_key(void **state) {
    (void) state;
    assert_refused(start_toy(NULL, "--set", "toy.prot=1"), PROGRAM_CONFIG, "toy.port");
    assert_refused(start_toy(NULL, "--set", "toy.port=70000"), PROGRAM_CONFIG, "toy.port");
    assert_refused(start_toy(NULL, "--check", "--set", "toy.port=x"), PROGRAM_CONFIG, "toy.port");
}

static void a_file_that_cannot_be_read_ends_with_3(void **state) {
    (void) state;
    assert_refused(start_toy(NULL, "--config", "/nonexistent/toy.yaml"), PROGRAM_CONFIG,
                   "/nonexistent/toy.yaml: cannot be read");
}

static void what_start_refuses_ends_with_1_and_its_reason(void **state) {
    (void) state;
    assert_refused(start_toy(NULL, "--set", "toy.port=13"), PROGRAM_FAILED, "toy: port 13 brings bad luck");
}

static void check_judges_and_does_not_start(void **state) {
    (void) state;
    process_t *toy = start_toy(NULL, "--check", "--set", "toy.port=13");
    assert_non_null(process_wait_text(toy, PROCESS_STDOUT, "the settings are fine", PATIENCE_MS));
    assert_exit(&toy, PROGRAM_DONE);
}

static void version_and_help_print_and_end(void **state) {
    (void) state;
    process_t *toy = start_toy(NULL, "--version");
    assert_string_equal(process_wait_text(toy, PROCESS_STDOUT, "toy", PATIENCE_MS), "toy " CALLBOARD_VERSION);
    assert_exit(&toy, PROGRAM_DONE);
    toy = start_toy(NULL, "--help");
    assert_non_null(process_wait_text(toy, PROCESS_STDOUT, "--greet TEXT", PATIENCE_MS));
    assert_non_null(process_wait_text(toy, PROCESS_STDOUT, "toy.greeting", PATIENCE_MS));
    assert_exit(&toy, PROGRAM_DONE);
}

static void SIGHUP_reads_the_settings_again_secrets_of_the_environment_too(void **state) {
    (void) state;
    char *path = write_file("toy:\n  greeting: one\n");
    const char *const settings[] = {"CALLBOARD_TOY_SECRET=quite secret", NULL};
    process_t *toy = start_toy(settings, "--config", path);
    assert_ready(toy, "toy ready: port 8000, one, quite secret");
    rewrite_file(path, "toy:\n  greeting: two\n  port: 9\n");
    process_signal(toy, SIGHUP);
    const char *line = process_wait_event(toy, "toy_reloaded", PATIENCE_MS);
    assert_non_null(line);
    assert_non_null(strstr(line, "\"greeting\":\"two\""));
    assert_non_null(strstr(line, "\"secret\":\"quite secret\""));
    line = process_wait_event(toy, "config_needs_restart", PATIENCE_MS);
    assert_non_null(line);
    assert_non_null(strstr(line, "toy.port"));
    assert_non_null(process_wait_event(toy, "config_reloaded", PATIENCE_MS));
    rewrite_file(path, "toy:\n  greeting: three\n");
    process_signal(toy, SIGHUP);
    assert_non_null(process_wait_text(toy, PROCESS_STDERR, "\"greeting\":\"three\"", PATIENCE_MS));
    process_signal(toy, SIGTERM);
    assert_exit(&toy, PROGRAM_DONE);
    unlink(path);
    memory_free(path);
}

static void a_reload_with_wrong_settings_is_told_and_changes_nothing(void **state) {
    (void) state;
    char *path = write_file("toy:\n  greeting: one\n");
    process_t *toy = start_toy(NULL, "--config", path);
    assert_ready(toy, "toy ready: port 8000, one, ");
    rewrite_file(path, "toy:\n  greting: two\n");
    process_signal(toy, SIGHUP);
    const char *line = process_wait_event(toy, "config_reload_refused", PATIENCE_MS);
    assert_non_null(line);
    assert_non_null(strstr(line, "greting"));
    assert_null(strstr(process_output(toy, PROCESS_STDERR), "toy_reloaded"));
    process_signal(toy, SIGTERM);
    assert_exit(&toy, PROGRAM_DONE);
    unlink(path);
    memory_free(path);
}

static void a_reload_that_a_part_refuses_is_told_and_the_next_one_is_taken(void **state) {
    (void) state;
    char *path = write_file("toy:\n  greeting: one\n");
    process_t *toy = start_toy(NULL, "--config", path);
    assert_ready(toy, "toy ready: port 8000, one, ");
    rewrite_file(path, "toy:\n  greeting: never\n");
    process_signal(toy, SIGHUP);
    const char *line = process_wait_event(toy, "config_reload_refused", PATIENCE_MS);
    assert_non_null(line);
    assert_non_null(strstr(line, "does not like it"));
    rewrite_file(path, "toy:\n  greeting: two\n");
    process_signal(toy, SIGHUP);
    assert_non_null(process_wait_event(toy, "toy_reloaded", PATIENCE_MS));
    process_stop(&toy);
    unlink(path);
    memory_free(path);
}

static void an_end_that_is_not_clean_is_1(void **state) {
    (void) state;
    const char *const settings[] = {"TOY_STOP=unclean", NULL};
    process_t *toy = start_toy(settings, NULL);
    assert_ready(toy, "toy ready: port 8000, hello, ");
    process_signal(toy, SIGTERM);
    assert_exit(&toy, PROGRAM_FAILED);
}

static void a_second_SIGTERM_ends_what_does_not_end(void **state) {
    (void) state;
    const char *const settings[] = {"TOY_STOP=never", NULL};
    process_t *toy = start_toy(settings, NULL);
    assert_ready(toy, "toy ready: port 8000, hello, ");
    process_signal(toy, SIGTERM);
    assert_non_null(process_wait_event(toy, "program_stopping", PATIENCE_MS));
    process_signal(toy, SIGTERM);
    assert_exit(&toy, PROGRAM_FAILED);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--as-toy") == 0) {
        argv[1] = argv[0];
        return be_toy(argc - 1, argv + 1);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_anything_the_defaults_hold_and_SIGTERM_ends_it_with_0),
        cmocka_unit_test(SIGINT_ends_it_too),
        cmocka_unit_test(the_command_line_is_above_the_environment_and_that_above_the_file),
        cmocka_unit_test(nothing_is_above_a_fixed_setting),
        cmocka_unit_test(the_environment_that_others_may_read_has_no_secret),
        cmocka_unit_test(variables_that_steer_czmq_are_forgotten),
        cmocka_unit_test(a_shortcut_sets_its_key_and_an_alias_its_variable),
        cmocka_unit_test(our_own_variable_is_above_its_alias),
        cmocka_unit_test(CALLBOARD_CONFIG_names_the_file),
        cmocka_unit_test(a_wrong_command_line_ends_with_2_and_says_how_to_see_the_usage),
        cmocka_unit_test(wrong_settings_end_with_3_and_name_the_key),
        cmocka_unit_test(a_file_that_cannot_be_read_ends_with_3),
        cmocka_unit_test(what_start_refuses_ends_with_1_and_its_reason),
        cmocka_unit_test(check_judges_and_does_not_start),
        cmocka_unit_test(version_and_help_print_and_end),
        cmocka_unit_test(SIGHUP_reads_the_settings_again_secrets_of_the_environment_too),
        cmocka_unit_test(a_reload_with_wrong_settings_is_told_and_changes_nothing),
        cmocka_unit_test(a_reload_that_a_part_refuses_is_told_and_the_next_one_is_taken),
        cmocka_unit_test(an_end_that_is_not_clean_is_1),
        cmocka_unit_test(a_second_SIGTERM_ends_what_does_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
