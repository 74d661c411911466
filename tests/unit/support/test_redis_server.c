/* The tests' own helpers: free ports, processes, a real redis-server. */
#include "base/memory.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"
#include "tests/support/redis_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void a_port_is_given_once_and_is_below_the_ephemeral_range(void **state) {
    (void) state;
    int ports[50];
    for (int i = 0; i < 50; i++) {
        ports[i] = free_port();
        assert_in_range(ports[i], 1024, 32767);
        for (int k = 0; k < i; k++) {
            assert_int_not_equal(ports[i], ports[k]);
        }
    }
}

static void a_process_is_heard_and_its_end_is_seen(void **state) {
    (void) state;
    const char *const argv[] = {"sh", "-c", "echo out; echo '{\"event\":\"ready\",\"n\":1}' >&2; exit 7", NULL};
    process_t *process = process_start(argv, NULL);
    assert_string_equal(process_wait_text(process, PROCESS_STDOUT, "out", 10000), "out");
    assert_string_equal(process_wait_event(process, "ready", 10000), "{\"event\":\"ready\",\"n\":1}");
    int status = 0;
    assert_true(process_wait_exit(process, 10000, &status));
    assert_int_equal(status, 7);
    process_stop(&process);
    assert_null(process);
}

static void what_never_comes_is_not_found(void **state) {
    (void) state;
    const char *const argv[] = {"sh", "-c", "echo something", NULL};
    process_t *process = process_start(argv, NULL);
    assert_null(process_wait_text(process, PROCESS_STDOUT, "else", 10000));
    process_stop(&process);
}

static void a_process_sees_its_settings_and_none_of_ours(void **state) {
    (void) state;
    setenv("CALLBOARD_HTTP_PORT", "1", 1);
    const char *const argv[] = {"sh", "-c", "echo \"[$CALLBOARD_HTTP_PORT][$NEW]\"", NULL};
    const char *const settings[] = {"NEW=value", NULL};
    process_t *process = process_start(argv, settings);
    assert_string_equal(process_wait_text(process, PROCESS_STDOUT, "[", 10000), "[][value]");
    process_stop(&process);
    unsetenv("CALLBOARD_HTTP_PORT");
}

static void a_stubborn_process_is_killed(void **state) {
    (void) state;
    const char *const argv[] = {"sleep", "1000", NULL};
    process_t *process = process_start(argv, NULL);
    assert_true(process_is_running(process));
    process_signal(process, SIGKILL);
    int status = 0;
    assert_true(process_wait_exit(process, 10000, &status));
    assert_int_equal(status, 128 + SIGKILL);
    process_kill(&process);
}

static void assert_answer(redis_server_t *server, const char *command, const char *expected) {
    char *answer = redis_server_command(server, command);
    assert_non_null(answer);
    assert_string_equal(answer, expected);
    memory_free(answer);
}

static void redis_answers_and_forgets_at_a_restart(void **state) {
    (void) state;
    redis_server_t *server = redis_server_start(NULL);
    assert_answer(server, "SET a 1", "OK");
    assert_answer(server, "MGET a b", "1\nnil");
    int port = redis_server_port(server);
    redis_server_kill(server);
    redis_server_restart(server);
    assert_int_equal(redis_server_port(server), port);
    assert_answer(server, "EXISTS a", "0");
    redis_server_stop(&server);
}

static void redis_keeps_what_its_config_says_over_a_kill(void **state) {
    (void) state;
    const char *const lines[] = {"appendonly yes", "appendfsync always", NULL};
    redis_server_t *server = redis_server_start(lines);
    assert_answer(server, "SET a 1", "OK");
    redis_server_kill(server);
    redis_server_restart(server);
    assert_answer(server, "GET a", "1");
    redis_server_stop(&server);
}

static void a_paused_redis_does_not_answer_until_it_is_resumed(void **state) {
    (void) state;
    redis_server_t *server = redis_server_start(NULL);
    redis_server_pause(server);
    assert_null(redis_server_command(server, "PING"));
    redis_server_resume(server);
    assert_answer(server, "PING", "PONG");
    redis_server_stop(&server);
}

static void nothing_is_left_of_a_stopped_redis(void **state) {
    (void) state;
    redis_server_t *server = redis_server_start(NULL);
    char *directory = memory_strdup(redis_server_directory(server));
    assert_int_equal(access(directory, F_OK), 0);
    redis_server_stop(&server);
    assert_int_equal(access(directory, F_OK), -1);
    memory_free(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_is_given_once_and_is_below_the_ephemeral_range),
        cmocka_unit_test(a_process_is_heard_and_its_end_is_seen),
        cmocka_unit_test(what_never_comes_is_not_found),
        cmocka_unit_test(a_process_sees_its_settings_and_none_of_ours),
        cmocka_unit_test(a_stubborn_process_is_killed),
        cmocka_unit_test(redis_answers_and_forgets_at_a_restart),
        cmocka_unit_test(redis_keeps_what_its_config_says_over_a_kill),
        cmocka_unit_test(a_paused_redis_does_not_answer_until_it_is_resumed),
        cmocka_unit_test(nothing_is_left_of_a_stopped_redis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
