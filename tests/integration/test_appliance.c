/* callboard, the appliance, as a process: what it says, answers and returns. */
#include "base/memory.h"
#include "tests/support/documented_acl.h"
#include "tests/support/free_port.h"
#include "tests/support/http_get.h"
#include "tests/support/process.h"
#include "tests/support/redis_server.h"
#include "tests/support/tls_directory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, ARGUMENTS_MAX = 40 };

static const char program[] = CALLBOARD_BINARY_DIR "/tools/callboard";

/* An appliance on free ports that ends at once when told to. */
struct appliance {
    process_t *process;
    int port;
    int internal;
    int backend;
    int pull;
    char texts[12][96]; /* what its arguments point at */
};

static const char *text(struct appliance *self, size_t i, const char *format, int number) {
    snprintf(self->texts[i], sizeof self->texts[i], format, number);
    return self->texts[i];
}

/* `extra` (NULL-terminated) goes behind the settings of the ports. */
static void start(struct appliance *self, const char *const *environment, const char *const *extra) {
    self->port = free_port();
    self->internal = free_port();
    self->backend = free_port();
    self->pull = free_port();
    const char *argv[ARGUMENTS_MAX] = {
        program,
        "--set",
        "http.address=127.0.0.1",
        "--set",
        text(self, 0, "http.port=%d", self->port),
        "--set",
        text(self, 1, "internal.port=%d", self->internal),
        "--set",
        text(self, 2, "backend.endpoint=tcp://127.0.0.1:%d", self->backend),
        "--set",
        text(self, 3, "backend.pull_endpoint=tcp://127.0.0.1:%d", self->pull),
        "--set",
        "drain.delay=0",
        "--set",
        "drain.window=1s",
    };
    size_t n = 0;
    while (argv[n] != NULL) {
        n++;
    }
    for (size_t i = 0; extra[i] != NULL; i++) {
        assert_true(n < ARGUMENTS_MAX - 1);
        argv[n++] = extra[i];
    }
    self->process = process_start(argv, environment);
}
#define arguments(...) ((const char *const[]){__VA_ARGS__, NULL})

static void start_plain(struct appliance *self) {
    start(self, NULL, arguments(NULL));
}

static const char *wait_ready(struct appliance *self) {
    const char *line = process_wait_text(self->process, PROCESS_STDOUT, "callboard ready: ", PATIENCE_MS);
    if (line == NULL) {
        int status = -1; /* stays so while it runs */
        process_wait_exit(self->process, 0, &status);
        fail_msg("not ready (exit %d): %s", status, process_output(self->process, PROCESS_STDERR));
    }
    return line;
}

static void stop(struct appliance *self) {
    int status = -1;
    process_signal(self->process, SIGTERM);
    assert_true(process_wait_exit(self->process, PATIENCE_MS, &status));
    assert_int_equal(status, 0);
    process_stop(&self->process);
}

static void assert_ends(process_t *process, int code, enum process_stream stream, const char *message) {
    int status = -1;
    if (!process_wait_exit(process, PATIENCE_MS, &status)) {
        fail_msg("it still runs: %s", process_output(process, PROCESS_STDERR));
    }
    assert_int_equal(status, code);
    const char *output = process_output(process, stream);
    if (strstr(output, message) == NULL) {
        fail_msg("'%s' is not in: %s", message, output);
    }
    process_stop(&process);
}

static process_t *run(const char *const *options) {
    const char *argv[ARGUMENTS_MAX] = {program};
    for (size_t i = 0; options[i] != NULL; i++) {
        argv[i + 1] = options[i];
    }
    return process_start(argv, NULL);
}
#define run_with(...) run(arguments(__VA_ARGS__))

static char *write_config(const char *config) {
    char path[] = "/tmp/callboard-test-appliance-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, config, strlen(config)), (ssize_t) strlen(config));
    close(file);
    return memory_strdup(path);
}

static void remove_config(char *path) {
    unlink(path);
    memory_free(path);
}

/* ---- the command line and the settings ---- */

static void version_help_and_reference_are_printed(void **state) {
    (void) state;
    assert_ends(run_with("--version"), 0, PROCESS_STDOUT, "callboard " CALLBOARD_VERSION);
    assert_ends(run_with("--help"), 0, PROCESS_STDOUT, "--redis");
    assert_ends(run_with("--help"), 0, PROCESS_STDOUT, "http.port");
    assert_ends(run_with("--help"), 0, PROCESS_STDOUT, "memory.bytes");
    assert_ends(run_with("--config-markdown"), 0, PROCESS_STDOUT, "namespaces");
}

static void an_unknown_option_ends_with_2(void **state) {
    (void) state;
    assert_ends(run_with("--redsi", "redis://127.0.0.1"), 2, PROCESS_STDERR, "--redsi: unknown option");
}

static void one_file_holds_the_settings_of_both_parts(void **state) {
    (void) state;
    char *path = write_config("http:\n  port: 8000\nmemory:\n  bytes: 64MiB\nbroker:\n  shards: 3\nnamespaces:\n"
                              "  - name: news\n    history_size: 10\n    history_ttl: 1m\n");
    assert_ends(run_with("--check", "--config", path), 0, PROCESS_STDOUT, "the settings are fine");
    remove_config(path);
}

static void a_wrong_key_is_named_with_its_place_and_the_nearest_key(void **state) {
    (void) state;
    char *path = write_config("http:\n  prot: 8000\n");
    process_t *process = run_with("--config", path);
    int status = -1;
    assert_true(process_wait_exit(process, PATIENCE_MS, &status));
    assert_int_equal(status, 3);
    const char *output = process_output(process, PROCESS_STDERR);
    char place[128];
    snprintf(place, sizeof place, "%s:2:3: http.prot", path);
    assert_non_null(strstr(output, place));
    assert_non_null(strstr(output, "http.port"));
    process_stop(&process);
    remove_config(path);
}

static void all_mistakes_are_told_in_one_run(void **state) {
    (void) state;
    char *path = write_config("http:\n  port: 70000\nmemory:\n  bytes: many\nnamespaces:\n  - name: \"*\"\n");
    process_t *process = run_with("--check", "--config", path);
    int status = -1;
    assert_true(process_wait_exit(process, PATIENCE_MS, &status));
    assert_int_equal(status, 3);
    const char *output = process_output(process, PROCESS_STDERR);
    assert_non_null(strstr(output, ":2:"));
    assert_non_null(strstr(output, ":4:"));
    assert_non_null(strstr(output, "namespaces[0].name"));
    process_stop(&process);
    remove_config(path);
}

static void a_missing_file_ends_with_3(void **state) {
    (void) state;
    assert_ends(run_with("--config", "/nonexistent/callboard.yaml"), 3, PROCESS_STDERR,
                "/nonexistent/callboard.yaml: cannot be read");
}

static void backends_off_the_loopback_need_keys(void **state) {
    (void) state;
    assert_ends(run_with("--check", "--set", "backend.endpoint=tcp://0.0.0.0:7710"), 3, PROCESS_STDERR,
                "backend.curve_key_file");
}

static void a_redis_password_on_the_command_line_is_refused(void **state) {
    (void) state;
    assert_ends(run_with("--check", "--redis", "redis://:secret@127.0.0.1:6379"), 3, PROCESS_STDERR, "redis.url");
}

/* ---- start and end ---- */

static void without_settings_it_starts_closed_and_names_its_addresses(void **state) {
    (void) state;
    struct appliance appliance;
    start_plain(&appliance);
    const char *line = wait_ready(&appliance);
    char address[64];
    snprintf(address, sizeof address, "clients http://127.0.0.1:%d,", appliance.port);
    assert_non_null(strstr(line, address));
    snprintf(address, sizeof address, "internal http://127.0.0.1:%d,", appliance.internal);
    assert_non_null(strstr(line, address));
    snprintf(address, sizeof address, "tcp://127.0.0.1:%d and tcp://127.0.0.1:%d", appliance.backend, appliance.pull);
    assert_non_null(strstr(line, address));
    assert_non_null(strstr(line, "engine memory"));
    stop(&appliance);
}

static void it_becomes_ready_and_its_health_is_told(void **state) {
    (void) state;
    struct appliance appliance;
    start_plain(&appliance);
    wait_ready(&appliance);
    assert_true(http_wait_status(appliance.internal, "/ready", 200, PATIENCE_MS));
    assert_true(http_wait_status(appliance.port, "/ready", 200, PATIENCE_MS));
    struct http_got got = http_get(appliance.internal, "/health", NULL, PATIENCE_MS);
    assert_int_equal(got.status, 200);
    assert_non_null(strstr(got.body, "\"status\":\"ok\""));
    assert_non_null(strstr(got.body, "\"local\":0"));
    assert_non_null(strstr(got.body, "\"mode\":\"memory\""));
    http_got_finish(&got);
    got = http_get(appliance.internal, "/ws/stats", NULL, PATIENCE_MS);
    assert_int_equal(got.status, 200);
    assert_non_null(strstr(got.body, "\"redis_enabled\":false"));
    http_got_finish(&got);
    stop(&appliance);
}

static void totals_of_the_cluster_come_from_the_leases(void **state) {
    (void) state;
    struct appliance appliance;
    start_plain(&appliance);
    wait_ready(&appliance);
    bool is_told = false;
    for (int i = 0; i < 200 && !is_told; i++) {
        struct http_got got = http_get(appliance.internal, "/ws/stats", NULL, PATIENCE_MS);
        is_told =
            strstr(got.body, "\"total_instances\":1") != NULL && strstr(got.body, "\"total_connections\":0") != NULL;
        http_got_finish(&got);
        usleep(50000);
    }
    assert_true(is_told);
    stop(&appliance);
}

static void the_internal_port_serves_the_metrics_of_both_parts_and_the_public_one_none(void **state) {
    (void) state;
    struct appliance appliance;
    start_plain(&appliance);
    wait_ready(&appliance);
    struct http_got got = http_get(appliance.internal, "/metrics", NULL, PATIENCE_MS);
    assert_int_equal(got.status, 200);
    assert_non_null(strstr(got.body, "\n# TYPE callboard_memory_bytes gauge"));
    assert_non_null(strstr(got.body, "callboard_gateway_deliveries_total"));
    http_got_finish(&got);
    assert_int_equal(http_get_status(appliance.port, "/metrics"), 404);
    assert_int_equal(http_get_status(appliance.port, "/ws/stats"), 404);
    assert_int_equal(http_get_status(appliance.port, "/health"), 200);
    assert_int_equal(http_get_status(appliance.port, "/ws/health"), 200);
    assert_int_equal(http_get_status(appliance.port, "/nonsense"), 404);
    stop(&appliance);
}

static void it_makes_room_for_the_connections_that_are_wanted_and_no_more(void **state) {
    (void) state;
    struct rlimit limit;
    struct appliance appliance;
    start(&appliance, NULL, arguments("--set", "client.connections_max=100"));
    wait_ready(&appliance);
    assert_int_equal(prlimit(process_pid(appliance.process), RLIMIT_NOFILE, NULL, &limit), 0);
    assert_true(limit.rlim_cur >= 100 + 64);
    assert_true(limit.rlim_cur < 2048 || limit.rlim_cur == limit.rlim_max);
    stop(&appliance);
}

static void more_connections_than_descriptors_allow_are_told(void **state) {
    (void) state;
    struct appliance appliance;
    start(&appliance, NULL, arguments("--set", "client.connections_max=10000000"));
    struct rlimit limit;
    assert_non_null(process_wait_event(appliance.process, "connections_limited", PATIENCE_MS));
    wait_ready(&appliance);
    assert_int_equal(prlimit(process_pid(appliance.process), RLIMIT_NOFILE, NULL, &limit), 0);
    assert_true(limit.rlim_cur == limit.rlim_max);
    stop(&appliance);
}

static void the_internal_port_asks_for_its_token_where_one_is_set(void **state) {
    (void) state;
    struct appliance appliance;
    const char *const environment[] = {"CALLBOARD_INTERNAL_TOKEN=a-token-of-some-length", NULL};
    start(&appliance, environment, arguments(NULL));
    wait_ready(&appliance);
    assert_int_equal(http_get_status(appliance.internal, "/metrics"), 401);
    assert_int_equal(http_get_status(appliance.internal, "/health"), 200);
    struct http_got got =
        http_get(appliance.internal, "/metrics", "Authorization: Bearer a-token-of-some-length", PATIENCE_MS);
    assert_int_equal(got.status, 200);
    http_got_finish(&got);
    stop(&appliance);
}

static void a_taken_port_ends_with_1_and_is_named(void **state) {
    (void) state;
    struct appliance first;
    start_plain(&first);
    wait_ready(&first);
    struct appliance second;
    char setting[64];
    char message[32];
    snprintf(setting, sizeof setting, "internal.port=%d", first.internal);
    snprintf(message, sizeof message, "%d", first.internal);
    start(&second, NULL, arguments("--set", setting));
    assert_ends(second.process, 1, PROCESS_STDERR, message);
    snprintf(setting, sizeof setting, "backend.endpoint=tcp://127.0.0.1:%d", first.backend);
    snprintf(message, sizeof message, "%d", first.backend);
    start(&second, NULL, arguments("--set", setting));
    assert_ends(second.process, 1, PROCESS_STDERR, message);
    stop(&first);
}

static void SIGTERM_drains_in_order_and_ends_with_0(void **state) {
    (void) state;
    struct appliance appliance;
    start_plain(&appliance);
    wait_ready(&appliance);
    assert_true(http_wait_status(appliance.internal, "/ready", 200, PATIENCE_MS));
    process_signal(appliance.process, SIGTERM);
    int status = -1;
    assert_true(process_wait_exit(appliance.process, PATIENCE_MS, &status));
    assert_int_equal(status, 0);
    const char *output = process_output(appliance.process, PROCESS_STDERR);
    assert_non_null(strstr(output, "\"event\":\"program_stopping\""));
    assert_non_null(strstr(output, "\"event\":\"broker_draining\""));
    assert_null(strstr(output, "\"event\":\"drain_cut_off\""));
    process_stop(&appliance.process);
}

static void it_may_be_ended_in_any_moment_of_its_start(void **state) {
    (void) state;
    for (unsigned delay_us = 0; delay_us < 60000; delay_us += 6000) {
        struct appliance appliance;
        start_plain(&appliance);
        usleep(delay_us);
        int status = -1;
        process_signal(appliance.process, SIGTERM);
        assert_true(process_wait_exit(appliance.process, PATIENCE_MS, &status));
        assert_true(status == 0 || status == 128 + SIGTERM); /* before it listens to signals the kernel ends it */
        process_stop(&appliance.process);
    }
}

static void SIGHUP_applies_what_can_be_and_names_what_cannot(void **state) {
    (void) state;
    char *path = write_config("log:\n  level: info\nclient:\n  channels_max: 10\n");
    struct appliance appliance;
    start(&appliance, NULL, arguments("--config", path));
    wait_ready(&appliance);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("log:\n  level: info\nbroker:\n  shards: 7\nnamespaces:\n  - name: news\n", file);
    fclose(file);
    process_signal(appliance.process, SIGHUP);
    assert_non_null(process_wait_event(appliance.process, "config_reloaded", PATIENCE_MS));
    const char *line = process_wait_event(appliance.process, "config_needs_restart", PATIENCE_MS);
    assert_non_null(line);
    assert_non_null(strstr(line, "broker.shards"));
    assert_int_equal(http_get_status(appliance.internal, "/health"), 200);
    stop(&appliance);
    remove_config(path);
}

/* Publishes as a backend would; the exit code of callboardctl. */
static int publish(const struct appliance *appliance, const char *channel) {
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", appliance->backend);
    const char *const argv[] = {
        CALLBOARD_BINARY_DIR "/tools/callboardctl", "--endpoint", endpoint, "pub", channel, "{}", NULL};
    process_t *process = process_start(argv, NULL);
    int status = -1;
    assert_true(process_wait_exit(process, PATIENCE_MS, &status));
    process_stop(&process);
    return status;
}

static void a_namespace_added_by_SIGHUP_is_known_to_both_parts(void **state) {
    (void) state;
    char *path = write_config("namespaces:\n  - name: news\n");
    struct appliance appliance;
    start(&appliance, NULL, arguments("--config", path));
    wait_ready(&appliance);
    assert_int_equal(publish(&appliance, "news:x"), 0);
    assert_int_equal(publish(&appliance, "sport:x"), 1);
    for (int i = 0; i < 3; i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fprintf(file, "namespaces:\n  - name: sport\n    history_size: %d\n    history_ttl: 1m\n", 5 + i);
        fclose(file);
        process_signal(appliance.process, SIGHUP);
    }
    bool is_known = false;
    for (int i = 0; i < 100 && !is_known; i++) {
        is_known = publish(&appliance, "sport:x") == 0;
        usleep(20000);
    }
    assert_true(is_known);
    assert_int_equal(publish(&appliance, "news:x"), 1);
    stop(&appliance);
    remove_config(path);
}

static void a_broken_file_at_SIGHUP_is_told_and_changes_nothing(void **state) {
    (void) state;
    char *path = write_config("log:\n  level: info\n");
    struct appliance appliance;
    start(&appliance, NULL, arguments("--config", path));
    wait_ready(&appliance);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("log:\n\tlevel: [", file);
    fclose(file);
    process_signal(appliance.process, SIGHUP);
    assert_non_null(process_wait_event(appliance.process, "config_reload_refused", PATIENCE_MS));
    assert_true(http_wait_status(appliance.internal, "/ready", 200, PATIENCE_MS));
    stop(&appliance);
    remove_config(path);
}

/* ---- Redis ---- */

/* A build without the Redis engine refuses redis.url: nothing of this can be seen then. */
static void skip_without_redis_engine(void) {
    process_t *process = run_with("--redis", "redis://127.0.0.1:1", "--set", "http.address=nonsense");
    int status = -1;
    assert_true(process_wait_exit(process, PATIENCE_MS, &status));
    bool has_none = strstr(process_output(process, PROCESS_STDERR), "this build has no Redis engine") != NULL;
    process_stop(&process);
    if (has_none) {
        skip();
    }
}

static void check_redis(const char *const *environment, const char *const *extra) {
    struct appliance appliance;
    start(&appliance, environment, extra);
    assert_non_null(strstr(wait_ready(&appliance), "engine redis"));
    assert_true(http_wait_status(appliance.internal, "/ready", 200, PATIENCE_MS));
    assert_true(http_wait_status(appliance.internal, "/health/redis", 200, PATIENCE_MS));
    struct http_got got = http_get(appliance.internal, "/health", NULL, PATIENCE_MS);
    assert_non_null(strstr(got.body, "\"connected\":true"));
    assert_non_null(strstr(got.body, "\"mode\":\"redis\""));
    http_got_finish(&got);
    stop(&appliance);
}

static void redis_is_used_where_the_option_says_so(void **state) {
    (void) state;
    skip_without_redis_engine();
    redis_server_t *redis = redis_server_start(NULL);
    const char *const extra[] = {"--redis", redis_server_url(redis), NULL};
    check_redis(NULL, extra);
    redis_server_stop(&redis);
}

static void redis_is_used_where_REDIS_URL_says_so_with_its_password(void **state) {
    (void) state;
    skip_without_redis_engine();
    const char *const lines[] = {"requirepass letmein", NULL};
    redis_server_t *redis = redis_server_start(lines);
    char variable[96];
    snprintf(variable, sizeof variable, "REDIS_URL=redis://:letmein@127.0.0.1:%d", redis_server_port(redis));
    const char *const environment[] = {variable, NULL};
    const char *const extra[] = {NULL};
    check_redis(environment, extra);
    redis_server_stop(&redis);
}

static void redis_is_used_through_TLS_with_a_login_of_which_the_password_stands_in_a_file(void **state) {
    (void) state;
    skip_without_redis_engine();
    tls_directory_t *directory = tls_directory_new();
    int port = free_port();
    char lines[TLS_LINES][TLS_LINE_MAX];
    tls_directory_lines(directory, port, lines);
    char *user = documented_acl_line(CALLBOARD_SOURCE_DIR, "broker", "");
    redis_server_t *redis = redis_server_start(
        (const char *const[]){lines[0], lines[1], lines[2], lines[3], lines[4], lines[5], user, NULL});
    char url[96];
    char authority[TLS_PATH_MAX];
    char password[TLS_PATH_MAX];
    snprintf(url, sizeof url, "rediss://127.0.0.1:%d", port);
    tls_directory_file(directory, "authority.crt", authority);
    snprintf(password, sizeof password, "%s/password", redis_server_directory(redis));
    FILE *file = fopen(password, "w");
    assert_non_null(file);
    fputs("secret\n", file);
    fclose(file);
    char variables[3][TLS_PATH_MAX + 64];
    snprintf(variables[0], sizeof variables[0], "CALLBOARD_REDIS_TLS_CA_FILE=%s", authority);
    snprintf(variables[1], sizeof variables[1], "CALLBOARD_REDIS_PASSWORD_FILE=%s", password);
    snprintf(variables[2], sizeof variables[2], "CALLBOARD_REDIS_USER=callboard");
    const char *const environment[] = {variables[0], variables[1], variables[2], NULL};
    const char *const extra[] = {"--redis", url, NULL};
    check_redis(environment, extra);
    memory_free(user);
    redis_server_stop(&redis);
    tls_directory_destroy(&directory);
}

static void while_redis_is_away_it_lives_and_says_so(void **state) {
    (void) state;
    skip_without_redis_engine();
    redis_server_t *redis = redis_server_start(NULL);
    struct appliance appliance;
    start(&appliance, NULL, arguments("--redis", redis_server_url(redis)));
    wait_ready(&appliance);
    assert_true(http_wait_status(appliance.internal, "/health/redis", 200, PATIENCE_MS));
    redis_server_kill(redis);
    assert_true(http_wait_status(appliance.internal, "/health/redis", 503, PATIENCE_MS));
    assert_int_equal(http_get_status(appliance.internal, "/health"), 200);
    redis_server_restart(redis);
    assert_true(http_wait_status(appliance.internal, "/health/redis", 200, PATIENCE_MS));
    stop(&appliance);
    redis_server_stop(&redis);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_help_and_reference_are_printed),
        cmocka_unit_test(an_unknown_option_ends_with_2),
        cmocka_unit_test(one_file_holds_the_settings_of_both_parts),
        cmocka_unit_test(a_wrong_key_is_named_with_its_place_and_the_nearest_key),
        cmocka_unit_test(all_mistakes_are_told_in_one_run),
        cmocka_unit_test(a_missing_file_ends_with_3),
        cmocka_unit_test(backends_off_the_loopback_need_keys),
        cmocka_unit_test(a_redis_password_on_the_command_line_is_refused),
        cmocka_unit_test(without_settings_it_starts_closed_and_names_its_addresses),
        cmocka_unit_test(it_becomes_ready_and_its_health_is_told),
        cmocka_unit_test(totals_of_the_cluster_come_from_the_leases),
        cmocka_unit_test(the_internal_port_serves_the_metrics_of_both_parts_and_the_public_one_none),
        cmocka_unit_test(it_makes_room_for_the_connections_that_are_wanted_and_no_more),
        cmocka_unit_test(more_connections_than_descriptors_allow_are_told),
        cmocka_unit_test(the_internal_port_asks_for_its_token_where_one_is_set),
        cmocka_unit_test(a_taken_port_ends_with_1_and_is_named),
        cmocka_unit_test(SIGTERM_drains_in_order_and_ends_with_0),
        cmocka_unit_test(it_may_be_ended_in_any_moment_of_its_start),
        cmocka_unit_test(SIGHUP_applies_what_can_be_and_names_what_cannot),
        cmocka_unit_test(a_namespace_added_by_SIGHUP_is_known_to_both_parts),
        cmocka_unit_test(a_broken_file_at_SIGHUP_is_told_and_changes_nothing),
        cmocka_unit_test(redis_is_used_where_the_option_says_so),
        cmocka_unit_test(redis_is_used_where_REDIS_URL_says_so_with_its_password),
        cmocka_unit_test(redis_is_used_through_TLS_with_a_login_of_which_the_password_stands_in_a_file),
        cmocka_unit_test(while_redis_is_away_it_lives_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
