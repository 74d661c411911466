/* Secrets of a configuration: from files, from the environment, never shown. */
#include "config_reader_harness.h"

/* ---- secrets ---- */

static void a_secret_comes_from_the_file_that_its_key_with_file_names(void **state) {
    (void) state;
    static const char *const texts[] = {"hush hush", "hush hush\n", "hush hush\r\n"};
    for (size_t i = 0; i < N_OF(texts); i++) {
        char *path = write_file(texts[i], strlen(texts[i]));
        char variable[128];
        snprintf(variable, sizeof variable, "CALLBOARD_TOKEN_SECRET_FILE=%s", path);
        const char *const environment[] = {variable, NULL};
        struct outcome outcome;
        read_sources(&outcome, NULL, environment, NULL);
        assert_string_equal(errors_of(&outcome), "");
        assert_string_equal(outcome.settings.secret, "hush hush");
        finish(&outcome);
        snprintf(variable, sizeof variable, "token.secret_file=%s", path);
        const char *const settings[] = {variable, NULL};
        read_sources(&outcome, NULL, NULL, settings);
        assert_string_equal(errors_of(&outcome), "");
        assert_string_equal(outcome.settings.secret, "hush hush");
        finish(&outcome);
        unlink(path);
    }
}

/* While a password is exchanged both stand in the file, the one to use first; other secrets are what the file is. */
static void of_a_password_file_the_first_line_counts(void **state) {
    (void) state;
    char *path = write_file("new\r\nold\n", 9);
    char password[128];
    char secret[128];
    snprintf(password, sizeof password, "redis.password_file=%s", path);
    snprintf(secret, sizeof secret, "token.secret_file=%s", path);
    const char *const settings[] = {password, secret, NULL};
    struct outcome outcome;
    read_sources(&outcome, NULL, NULL, settings);
    assert_string_equal(errors_of(&outcome), "");
    assert_string_equal(outcome.settings.password, "new");
    assert_string_equal(outcome.settings.secret, "new\r\nold");
    finish(&outcome);
    unlink(path);
}

static void a_secret_file_is_relative_to_the_folder_of_the_configuration(void **state) {
    (void) state;
    char folder[] = "/tmp/callboard_config_XXXXXX";
    assert_non_null(mkdtemp(folder));
    char secret[64];
    char config[64];
    snprintf(secret, sizeof secret, "%s/s", folder);
    snprintf(config, sizeof config, "%s/c.yaml", folder);
    FILE *file = fopen(secret, "w");
    fputs("from file\n", file);
    fclose(file);
    struct settings settings;
    struct config_part part = {&table, &settings};
    struct config_source source = {.file_name = config, .file_text = SPAN_LITERAL("token: {secret_file: s}\n")};
    struct buffer errors;
    buffer_init(&errors, 0);
    assert_true(config_read(&part, 1, &source, &errors));
    assert_string_equal(settings.secret, "from file");
    config_finish(&part, 1);
    unlink(secret);
    rmdir(folder);
}

static void a_later_source_wins_whether_it_gives_the_secret_or_its_file(void **state) {
    (void) state;
    char *path = write_file("from file", 9);
    char file[128];
    snprintf(file, sizeof file, "token: {secret_file: %s}\n", path);
    const char *const environment[] = {"CALLBOARD_TOKEN_SECRET=from environment", NULL};
    struct outcome outcome;
    read_sources(&outcome, file, environment, NULL);
    assert_string_equal(errors_of(&outcome), "");
    assert_string_equal(outcome.settings.secret, "from environment");
    finish(&outcome);
    snprintf(file, sizeof file, "token: {secret_file: %s, secret: hush}\n", path);
    read_sources(&outcome, file, NULL, NULL);
    assert_non_null(strstr(errors_of(&outcome), "set either token.secret or token.secret_file, not both"));
    finish(&outcome);
    unlink(path);
}

static void a_secret_file_that_is_missing_empty_large_or_odd_is_told(void **state) {
    (void) state;
    struct outcome outcome;
    read_sources(&outcome, "token: {secret_file: /nowhere/secret}\n", NULL, NULL);
    assert_string_equal(errors_of(&outcome), "etc/test.yaml:1:9: token.secret_file: cannot take the secret from the "
                                             "file /nowhere/secret: No such file or directory\n");
    finish(&outcome);
    static char large[64 * 1024 + 1];
    memset(large, 'x', sizeof large);
    const struct {
        const char *text;
        size_t size;
        const char *reason;
    } samples[] = {
        {"", 0, "it is empty"},
        {"\n", 1, "it is empty"},
        {large, sizeof large, "larger than allowed"},
        {"ab\0cd", 5, "has a NUL byte inside"},
        {"abc", 3, "has 3 bytes; it must have from 4 to 64"},
    };
    for (size_t i = 0; i < N_OF(samples); i++) {
        char *path = write_file(samples[i].text, samples[i].size);
        char file[128];
        snprintf(file, sizeof file, "token: {secret_file: %s}\n", path);
        read_sources(&outcome, file, NULL, NULL);
        assert_non_null(strstr(errors_of(&outcome), samples[i].reason));
        assert_string_equal(outcome.settings.secret, "");
        finish(&outcome);
        unlink(path);
    }
}

static void no_line_shows_anything_of_a_secret(void **state) {
    (void) state;
    const char *const environment[] = {"CALLBOARD_TOKEN_SECRET=tell", NULL};
    const char *const settings[] = {"token.secret=telltale", "redis.url=redis://u:telltale@h", NULL};
    struct outcome outcome;
    struct buffer file;
    buffer_init(&file, 0);
    buffer_append_text(&file, "redis: {url: 'redis://u:telltale@h', password: [telltale]}\ntoken:\n  secret: ");
    for (int i = 0; i < 10; i++) {
        buffer_append_text(&file, "telltale");
    }
    buffer_append_char(&file, '\0');
    read_sources(&outcome, (const char *) file.data, environment, settings);
    assert_false(outcome.is_good);
    assert_null(strstr(errors_of(&outcome), "telltale"));
    finish(&outcome);
    buffer_finish(&file);
}

static void secrets_on_the_command_line_are_refused_with_the_cure(void **state) {
    (void) state;
    expect_setting_error("token.secret=hush hush",
                         "--set token.secret: a secret on the command line is seen by everybody on the machine; put it "
                         "into a file and name that with the same key and _file behind it, or set it in the "
                         "environment\n");
}

static void a_password_in_a_url_is_taken_from_the_environment_only(void **state) {
    (void) state;
    static const char url[] = "redis://user:p%40ss@host:6379/0";
    char file[128];
    snprintf(file, sizeof file, "redis: {url: '%s'}\n", url);
    struct outcome outcome;
    read_sources(&outcome, file, NULL, NULL);
    assert_non_null(strstr(errors_of(&outcome), "etc/test.yaml:1:9: redis.url: a password inside a URL"));
    finish(&outcome);
    const char *const settings[] = {"redis.url=redis://:x@h", NULL};
    read_sources(&outcome, NULL, NULL, settings);
    assert_non_null(strstr(errors_of(&outcome), "--set redis.url: a password inside a URL"));
    finish(&outcome);
    char variable[128];
    snprintf(variable, sizeof variable, "CALLBOARD_REDIS_URL=%s", url);
    const char *const environment[] = {variable, NULL};
    read_sources(&outcome, NULL, environment, NULL);
    assert_string_equal(errors_of(&outcome), "");
    assert_string_equal(outcome.settings.url, url);
    finish(&outcome);
    expect_file(&outcome, "redis: {url: 'redis://user@host:6379/0?a=b:c@d'}\n");
    finish(&outcome);
}

static void the_environment_is_wiped_of_secrets_only(void **state) {
    (void) state;
    char port[] = "CALLBOARD_HTTP_PORT=1";
    char secret[] = "CALLBOARD_TOKEN_SECRET=hush hush";
    char file[] = "CALLBOARD_TOKEN_SECRET_FILE=/x";
    char url[] = "CALLBOARD_REDIS_URL=redis://:x@h";
    char path[] = "PATH=/bin";
    char *environment[] = {port, secret, file, url, path, NULL};
    struct settings settings;
    struct config_part part = {&table, &settings};
    config_wipe_environment(&part, 1, environment);
    assert_string_equal(port, "CALLBOARD_HTTP_PORT=1");
    assert_string_equal(file, "CALLBOARD_TOKEN_SECRET_FILE=/x");
    assert_string_equal(path, "PATH=/bin");
    assert_string_equal(secret, "CALLBOARD_TOKEN_SECRET=");
    assert_string_equal(url, "CALLBOARD_REDIS_URL=");
    for (size_t i = strlen(secret); i < sizeof secret; i++) {
        assert_int_equal(secret[i], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_comes_from_the_file_that_its_key_with_file_names),
        cmocka_unit_test(of_a_password_file_the_first_line_counts),
        cmocka_unit_test(a_secret_file_is_relative_to_the_folder_of_the_configuration),
        cmocka_unit_test(a_later_source_wins_whether_it_gives_the_secret_or_its_file),
        cmocka_unit_test(a_secret_file_that_is_missing_empty_large_or_odd_is_told),
        cmocka_unit_test(no_line_shows_anything_of_a_secret),
        cmocka_unit_test(secrets_on_the_command_line_are_refused_with_the_cure),
        cmocka_unit_test(a_password_in_a_url_is_taken_from_the_environment_only),
        cmocka_unit_test(the_environment_is_wiped_of_secrets_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
