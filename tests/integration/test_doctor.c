/* callboardctl doctor as a process: what it finds on sound and unsound set-ups, its exit codes, its JSON. */
#include "base/memory.h"
#include "tests/support/doctor_run.h"
#include "tests/support/free_port.h"
#include "tests/support/http_get.h"
#include "tests/support/process.h"
#include "tests/support/raw_client.h"
#include "tests/support/redis_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 30000, PATH_MAX_HERE = 256 };

static const char doctor_program[] = CALLBOARD_BINARY_DIR "/tools/callboardctl";
static const char appliance_program[] = CALLBOARD_BINARY_DIR "/tools/callboard";
static const char broker_program[] = CALLBOARD_BINARY_DIR "/broker/callboard-broker";

#define arguments(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- files ---- */

struct folder {
    char path[PATH_MAX_HERE];
    char *names[8];
    unsigned n;
};

/* To be freed by memory_free. */
static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text_of(const char *format, ...) {
    char text[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return memory_strdup(text);
}

static void make_folder(struct folder *folder) {
    const char *base = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%s/callboard-doctor-XXXXXX", base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(folder->path));
    folder->n = 0;
}

static const char *write_file(struct folder *folder, const char *name, mode_t mode, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static const char *write_file(struct folder *folder, const char *name, mode_t mode, const char *format, ...) {
    char *path = text_of("%s/%s", folder->path, name);
    folder->names[folder->n++] = path;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    va_list values;
    va_start(values, format);
    vfprintf(file, format, values);
    va_end(values);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void remove_folder(struct folder *folder) {
    for (unsigned i = 0; i < folder->n; i++) {
        unlink(folder->names[i]);
        memory_free(folder->names[i]);
    }
    rmdir(folder->path);
}

static const char SECRET[] = "k3u9-Zt7.Qw2pLx8Vn4bRs6Yd1Fg5Hj0aMcEiOo\n";

/* The settings of an appliance on free ports, its secret beside it; `more` goes behind. */
static const char *write_appliance(struct folder *folder, int *ret_internal, mode_t secret_mode, const char *more) {
    int internal = free_port();
    write_file(folder, "secret", secret_mode, "%s", SECRET);
    *ret_internal = internal;
    return write_file(folder, "callboard.yaml", 0644,
                      "http: {address: 127.0.0.1, port: %d}\ninternal: {port: %d}\n"
                      "backend: {endpoint: \"tcp://127.0.0.1:%d\", pull_endpoint: \"tcp://127.0.0.1:%d\"}\n"
                      "drain: {delay: 0, window: 1s}\nclient: {connections_max: 100}\n"
                      "token: {secret_file: secret, audience: a, issuer: i}\n"
                      "namespaces: [{name: demo, history_size: 10, history_ttl: 60s}]\n%s",
                      free_port(), internal, free_port(), free_port(), more);
}

static process_t *start_appliance(const char *config, int internal) {
    process_t *process = process_start(arguments(appliance_program, "--config", config), NULL);
    if (process_wait_text(process, PROCESS_STDOUT, "callboard ready: ", PATIENCE_MS) == NULL) {
        fail_msg("%s", process_output(process, PROCESS_STDERR));
    }
    assert_true(http_wait_status(internal, "/health/redis", 200, PATIENCE_MS)); /* ready is before Redis answers */
    return process;
}

/* ---- specifications ---- */

static void a_whole_appliance_on_a_sound_redis_is_ready(void **state) {
    (void) state;
    struct folder folder;
    struct doctor_run run;
    int internal;
    char redis[128];
    redis_server_t *server = redis_server_start(arguments("appendonly yes", "maxmemory 200mb"));
    make_folder(&folder);
    snprintf(redis, sizeof redis, "redis: {url: \"%s\"}\n", redis_server_url(server));
    const char *config = write_appliance(&folder, &internal, 0600, redis);
    process_t *process = start_appliance(config, internal);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", config));
    doctor_run_expect_sound(&run);
    if (run.status != 0 || json_member(run.report, "ready").type != JSON_TRUE) {
        doctor_run_print_bad(&run);
        fail_msg("not ready: exit code %d", run.status);
    }
    doctor_run_expect(&run, "config.file", "fine");
    doctor_run_expect(&run, "config.secrets", "fine");
    doctor_run_expect(&run, "config.namespaces", "fine");
    doctor_run_expect(&run, "redis.reach", "fine");
    doctor_run_expect(&run, "redis.eviction", "fine");
    doctor_run_expect(&run, "redis.persistence", "fine");
    doctor_run_expect(&run, "redis.partitions", "fine");
    doctor_run_expect(&run, "gateway.health", "fine");
    doctor_run_expect(&run, "broker.engine", "fine");
    doctor_run_expect(&run, "gateway.connections", "fine");
    doctor_run_expect(&run, "backend.answers", "fine");
    doctor_run_expect(&run, "port.public", "fine");
    doctor_run_expect(&run, "cluster.versions", "fine");
    doctor_run_expect(&run, "cluster.clocks", "fine");
    doctor_run_finish(&run);
    process_stop(&process);
    redis_server_stop(&server);
    remove_folder(&folder);
}

/* Its settings say nothing of a broker: that is in the same program, and not to be reached at an address. */
static void the_file_of_the_quick_start_is_an_appliances(void **state) {
    (void) state;
    struct folder folder;
    struct doctor_run run;
    int internal = free_port();
    make_folder(&folder);
    write_file(&folder, "secret", 0600, "%s", SECRET);
    const char *config = write_file(&folder, "callboard.yaml", 0644,
                                    "http: {address: 127.0.0.1, port: %d}\ninternal: {port: %d}\n"
                                    "drain: {delay: 0, window: 1s}\n"
                                    "token: {secret_file: secret, audience: a, issuer: i}\n",
                                    free_port(), internal);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", config));
    assert_int_equal(doctor_run_count(&run, "port.broker", "error"), 0);
    doctor_run_finish(&run);
    remove_folder(&folder);
}

static void settings_that_wait_for_a_reload_are_told(void **state) {
    (void) state;
    struct folder folder;
    struct doctor_run run;
    int internal;
    make_folder(&folder);
    const char *config = write_appliance(&folder, &internal, 0600, "");
    process_t *process = start_appliance(config, internal);
    FILE *file = fopen(config, "w");
    assert_non_null(file);
    fprintf(file, "internal: {port: %d}\nnamespaces: [{name: other}]\ntoken: {}\nbackend: {endpoint: \"\"}\n",
            internal);
    fclose(file);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", config));
    assert_int_equal(doctor_run_count(&run, "config.namespaces", "warning"), 2); /* the gateway's and the broker's */
    doctor_run_finish(&run);
    assert_int_equal(process_stop(&process), 0);
    remove_folder(&folder);
}

static void a_gateway_that_is_nearly_full_is_told(void **state) {
    (void) state;
    struct folder folder;
    struct doctor_run run;
    struct raw_client client;
    int internal = free_port();
    int port = free_port();
    make_folder(&folder);
    const char *config = write_file(&folder, "callboard.yaml", 0644,
                                    "http: {address: 127.0.0.1, port: %d}\ninternal: {port: %d}\n"
                                    "backend: {endpoint: \"\", pull_endpoint: \"\"}\ndrain: {delay: 0, window: 0}\n"
                                    "client: {connections_max: 1, allow_anonymous_connect_without_token: true}\n",
                                    port, internal);
    process_t *process = start_appliance(config, internal);
    assert_true(raw_client_upgrade(&client, port, "/connection/websocket", ""));
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", config));
    doctor_run_expect(&run, "gateway.connections", "warning");
    doctor_run_expect(&run, "keys.token", "note");
    assert_int_equal(run.status, 0);
    doctor_run_finish(&run);
    raw_client_close(&client);
    process_stop(&process);
    remove_folder(&folder);
}

static void nothing_running_is_found_out_in_one_run(void **state) {
    (void) state;
    struct folder folder;
    struct doctor_run run;
    int internal;
    char redis[128];
    make_folder(&folder);
    snprintf(redis, sizeof redis, "redis: {url: \"redis://127.0.0.1:%d\"}\n", free_port());
    const char *config = write_appliance(&folder, &internal, 0644, redis);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", config));
    doctor_run_expect_sound(&run);
    assert_int_equal(run.status, 1);
    assert_true(doctor_run_text_is(run.report, "verdict", "not ready"));
    doctor_run_expect(&run, "redis.reach", "error");
    doctor_run_expect(&run, "gateway.reach", "error");
    doctor_run_expect(&run, "port.public", "error");
    doctor_run_expect(&run, "backend.answers", "error");
    doctor_run_expect(&run, "config.secrets", "warning");
    doctor_run_finish(&run);
    remove_folder(&folder);
}

static void bad_settings_of_redis_are_errors(void **state) {
    (void) state;
    struct doctor_run run;
    redis_server_t *server = redis_server_start(arguments("maxmemory 100mb", "maxmemory-policy allkeys-lru"));
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--redis", redis_server_url(server)));
    doctor_run_expect_sound(&run);
    assert_int_equal(run.status, 1);
    doctor_run_expect(&run, "redis.eviction", "error");
    doctor_run_expect(&run, "redis.persistence", "warning");
    assert_int_equal(doctor_run_count(&run, "gateway.reach", NULL), 0); /* only a Redis was named */
    doctor_run_finish(&run);
    redis_server_stop(&server);
}

static void what_the_acl_hides_is_unknown_and_no_error(void **state) {
    (void) state;
    struct doctor_run run;
    char url[160];
    redis_server_t *server = redis_server_start(arguments("appendonly yes", "maxmemory 200mb"));
    memory_free(
        redis_server_command(server, "ACL SETUSER run on >secret ~cb:* &cb:* +@all -@dangerous -@admin +info +role"));
    snprintf(url, sizeof url, "REDIS_URL=redis://run:secret@127.0.0.1:%d", redis_server_port(server));
    doctor_run(&run, doctor_program, NULL, arguments(url), arguments("--broker", "http://127.0.0.1:1"));
    doctor_run_expect(&run, "redis.rights", "unknown");
    doctor_run_expect(&run, "redis.pubsub_buffer", "unknown");
    doctor_run_expect(&run, "redis.eviction", "fine");
    assert_int_equal(doctor_run_count(&run, "redis.timeout", "fine"), 0);
    doctor_run_finish(&run);
    doctor_run(&run, doctor_program, NULL, arguments("REDIS_URL=redis://run:wrong@127.0.0.1:1"),
               arguments("--gateway", "http://127.0.0.1:1"));
    doctor_run_expect(&run, "redis.reach", "error");
    doctor_run_finish(&run);
    redis_server_stop(&server);
}

static void a_password_on_the_command_line_is_refused(void **state) {
    (void) state;
    struct doctor_run run;
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--redis", "redis://:secret@127.0.0.1:1"));
    assert_int_equal(run.status, 1);
    doctor_run_expect(&run, "config.file", "error");
    buffer_append_char(&run.text, '\0');
    assert_null(strstr((const char *) run.text.data, ":secret@"));
    doctor_run_finish(&run);
}

static void wrong_settings_are_told_with_their_line(void **state) {
    (void) state;
    struct folder folder;
    struct doctor_run run;
    make_folder(&folder);
    const char *config = write_file(&folder, "broker.yaml", 0644,
                                    "broker: {id: b, endpoint: \"tcp://0.0.0.0:7700\", partition: 5}\n"
                                    "redis: {prefix: \"a b\"}\ninternal: {address: 0.0.0.0, port: 1}\n");
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", config));
    assert_int_equal(run.status, 1);
    assert_int_equal(doctor_run_count(&run, "config.file", "error"), 3);
    doctor_run_expect(&run, "config.internal", "warning");
    doctor_run_expect(&run, "redis.used", "warning");
    buffer_append_char(&run.text, '\0');
    assert_non_null(strstr((const char *) run.text.data, "broker.yaml:1:"));
    doctor_run_finish(&run);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", "/nonexistent/callboard.yaml"));
    assert_int_equal(run.status, 1);
    doctor_run_expect(&run, "config.file", "error");
    doctor_run_finish(&run);
    remove_folder(&folder);
}

/* Three pairs, and a broker and a gateway that shall know each other by them. */
struct keys {
    struct folder folder;
    char *names[3]; /* of the broker, of the gateway, of somebody else */
    char *allowed;
    int port;
};

static void make_keys(struct keys *keys) {
    static const char *const files[] = {"broker.key", "gateway.key", "other.key"};
    make_folder(&keys->folder);
    for (unsigned i = 0; i < 3; i++) {
        int status;
        keys->names[i] = text_of("%s/%s", keys->folder.path, files[i]);
        process_t *keygen = process_start(arguments(doctor_program, "keygen", keys->names[i]), NULL);
        assert_true(process_wait_exit(keygen, PATIENCE_MS, &status));
        assert_int_equal(status, 0);
        process_stop(&keygen);
    }
    keys->allowed = text_of("%s/allowed", keys->folder.path);
    assert_int_equal(mkdir(keys->allowed, 0755), 0);
    keys->port = free_port();
}

static void remove_keys(struct keys *keys) {
    for (unsigned i = 0; i < 3; i++) {
        char *public_name = text_of("%s.pub", keys->names[i]);
        unlink(public_name);
        unlink(keys->names[i]);
        memory_free(public_name);
        memory_free(keys->names[i]);
    }
    char *allowed_key = text_of("%s/gateway.pub", keys->allowed);
    unlink(allowed_key);
    memory_free(allowed_key);
    rmdir(keys->allowed);
    memory_free(keys->allowed);
    remove_folder(&keys->folder);
}

static const char *write_broker(struct keys *keys) {
    return write_file(&keys->folder, "broker.yaml", 0644,
                      "broker: {id: b, endpoint: \"tcp://127.0.0.1:%d\", curve_key_file: \"%s\", "
                      "curve_allowed_dir: \"%s\"}\nbackend: {endpoint: \"\", pull_endpoint: \"\"}\n"
                      "internal: {port: %d}\ndrain: {window: 0}\n",
                      keys->port, keys->names[0], keys->allowed, free_port());
}

/* A gateway that takes `broker_key`.pub for the brokers' key. */
static const char *write_gateway(struct keys *keys, const char *name, const char *broker_key) {
    return write_file(
        &keys->folder, name, 0644,
        "brokers: {endpoints: [\"tcp://127.0.0.1:%d\"], curve_key_file: \"%s\", curve_broker_key: \"%s.pub\"}\n"
        "http: {port: 0}\ninternal: {port: 0}\nnamespaces: [{name: chat}]\n",
        keys->port, keys->names[1], broker_key);
}

static void allow_gateway(struct keys *keys) {
    char *from = text_of("%s.pub", keys->names[1]);
    char *to = text_of("%s/gateway.pub", keys->allowed);
    assert_int_equal(link(from, to), 0);
    memory_free(from);
    memory_free(to);
}

/* The usual reason for gateways that see no broker. */
static void keys_are_compared_between_the_files_of_both_sides(void **state) {
    (void) state;
    struct keys keys;
    struct doctor_run run;
    make_keys(&keys);
    const char *broker = write_broker(&keys);
    const char *wrong = write_gateway(&keys, "wrong.yaml", keys.names[2]);
    const char *right = write_gateway(&keys, "right.yaml", keys.names[0]);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", broker, "--config", wrong));
    doctor_run_expect_sound(&run);
    doctor_run_expect(&run, "keys.pair", "fine");
    doctor_run_expect(&run, "keys.allowed", "error");
    assert_int_equal(doctor_run_count(&run, "keys.match", "error"), 2);
    doctor_run_expect(&run, "keys.token", "error");
    doctor_run_expect(&run, "config.namespaces", "warning");
    doctor_run_expect(&run, "port.broker", "error");
    doctor_run_finish(&run);
    allow_gateway(&keys);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", broker, "--config", right));
    doctor_run_expect(&run, "keys.allowed", "fine");
    doctor_run_expect(&run, "keys.match", "fine");
    doctor_run_finish(&run);
    assert_int_equal(chmod(keys.names[0], 0644), 0);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", broker));
    doctor_run_expect(&run, "keys.pair", "error");
    doctor_run_finish(&run);
    remove_keys(&keys);
}

static void a_running_broker_is_asked_whether_it_takes_the_keys(void **state) {
    (void) state;
    struct keys keys;
    struct doctor_run run;
    make_keys(&keys);
    const char *broker = write_broker(&keys);
    const char *wrong = write_gateway(&keys, "wrong.yaml", keys.names[2]);
    const char *right = write_gateway(&keys, "right.yaml", keys.names[0]);
    const char *none =
        write_file(&keys.folder, "none.yaml", 0644,
                   "brokers: {endpoints: [\"tcp://127.0.0.1:%d\"]}\nhttp: {port: 0}\ninternal: {port: 0}\n", keys.port);
    process_t *process = process_start(arguments(broker_program, "--config", broker), NULL);
    assert_non_null(process_wait_text(process, PROCESS_STDOUT, "ready", PATIENCE_MS));
    const char *const refused[] = {wrong, right, none}; /* another broker's key; ours is not allowed; no keys at all */
    for (size_t i = 0; i < 3; i++) {
        doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", refused[i]));
        doctor_run_expect(&run, "port.broker", "fine");
        doctor_run_expect(&run, "port.handshake", "error");
        doctor_run_finish(&run);
    }
    allow_gateway(&keys);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", right));
    doctor_run_expect(&run, "port.handshake", "fine");
    doctor_run_finish(&run);
    assert_int_equal(process_stop(&process), 0);
    remove_keys(&keys);
}

static void programs_are_asked_by_address_and_with_their_token(void **state) {
    (void) state;
    struct folder folder;
    struct doctor_run run;
    int internal = free_port();
    char base[64];
    make_folder(&folder);
    const char *token = write_file(&folder, "token", 0600, "a-token-of-the-internal-port\n");
    const char *config =
        write_file(&folder, "broker.yaml", 0644,
                   "broker: {id: b, endpoint: \"tcp://127.0.0.1:%d\"}\ninternal: {port: %d, token_file: token}\n"
                   "backend: {endpoint: \"\", pull_endpoint: \"\"}\n",
                   free_port(), internal);
    process_t *process = process_start(arguments(broker_program, "--config", config), NULL);
    assert_true(http_wait_status(internal, "/health", 200, PATIENCE_MS));
    snprintf(base, sizeof base, "http://127.0.0.1:%d", internal);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--broker", base));
    assert_int_equal(run.status, 0);
    doctor_run_expect(&run, "broker.health", "fine");
    doctor_run_expect(&run, "broker.engine", "unknown");
    doctor_run_finish(&run);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--broker", base, "--token-file", token));
    assert_int_equal(run.status, 0);
    doctor_run_expect(&run, "broker.engine", "fine");
    doctor_run_expect(&run, "broker.gateways", "warning");
    doctor_run_expect(&run, "cluster.versions", "fine");
    doctor_run_finish(&run);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--config", config));
    doctor_run_expect(&run, "port.broker", "fine");
    doctor_run_expect(&run, "broker.engine", "fine");
    doctor_run_finish(&run);
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--gateway", base));
    doctor_run_expect(&run, "gateway.reach", "error"); /* it is a broker */
    doctor_run_finish(&run);
    process_signal(process, SIGSTOP); /* connections are taken by the kernel, nothing is answered */
    doctor_run(&run, doctor_program, NULL, NULL, arguments("--broker", base));
    process_signal(process, SIGCONT);
    assert_int_equal(run.status, 1);
    doctor_run_expect(&run, "broker.reach", "error");
    doctor_run_finish(&run);
    process_stop(&process);
    remove_folder(&folder);
}

static void it_wants_to_know_what_to_examine(void **state) {
    (void) state;
    static const char *const lines[][4] = {{doctor_program, "doctor", NULL},
                                           {doctor_program, "doctor", "--what", NULL},
                                           {doctor_program, "doctor", "what", NULL}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int status;
        process_t *process = process_start(lines[i], NULL);
        assert_true(process_wait_exit(process, PATIENCE_MS, &status));
        assert_int_equal(status, 2);
        process_stop(&process);
    }
}

/* The text is for people: the worst first, the verdict in the last line. */
static void the_text_ends_with_a_verdict(void **state) {
    (void) state;
    int status;
    process_t *process = process_start(
        arguments(doctor_program, "doctor", "--gateway", "http://127.0.0.1:1", "--redis", "redis://127.0.0.1:1"), NULL);
    assert_true(process_wait_exit(process, PATIENCE_MS, &status));
    assert_int_equal(status, 1);
    const char *text = process_output(process, PROCESS_STDOUT);
    assert_ptr_equal(strstr(text, "ERROR    redis.reach  (127.0.0.1:1)\n"), text);
    assert_non_null(strstr(text, "Verdict: Not ready; begin with redis.reach at 127.0.0.1:1.\n"));
    process_stop(&process);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_appliance_on_a_sound_redis_is_ready),
        cmocka_unit_test(the_file_of_the_quick_start_is_an_appliances),
        cmocka_unit_test(settings_that_wait_for_a_reload_are_told),
        cmocka_unit_test(a_gateway_that_is_nearly_full_is_told),
        cmocka_unit_test(nothing_running_is_found_out_in_one_run),
        cmocka_unit_test(bad_settings_of_redis_are_errors),
        cmocka_unit_test(what_the_acl_hides_is_unknown_and_no_error),
        cmocka_unit_test(a_password_on_the_command_line_is_refused),
        cmocka_unit_test(wrong_settings_are_told_with_their_line),
        cmocka_unit_test(keys_are_compared_between_the_files_of_both_sides),
        cmocka_unit_test(a_running_broker_is_asked_whether_it_takes_the_keys),
        cmocka_unit_test(programs_are_asked_by_address_and_with_their_token),
        cmocka_unit_test(it_wants_to_know_what_to_examine),
        cmocka_unit_test(the_text_ends_with_a_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
