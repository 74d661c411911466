/* A program with nothing to do ends at once when it is told to: a rolling restart, Ctrl-C and a test wait for it. The
 * best of some tries counts, so that a busy machine does not fail it and a wait built in (a poll, a lease, a linger)
 * still does. */
#include "base/clock.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, AT_ONCE_MS = 300, TRIES = 5 };

/* How long it took from SIGTERM to the end. */
static uint64_t time_end(const char *const *argv, const char *after_line) {
    int status = -1;
    process_t *process = process_start(argv, NULL);
    if (process_wait_text(process, PROCESS_STDOUT, "ready: ", PATIENCE_MS) == NULL) {
        fail_msg("not ready: %s", process_output(process, PROCESS_STDERR));
    }
    if (after_line != NULL) {
        assert_non_null(process_wait_event(process, after_line, PATIENCE_MS));
    }
    uint64_t begin = clock_monotonic_ms();
    process_signal(process, SIGTERM);
    assert_true(process_wait_exit(process, PATIENCE_MS, &status));
    uint64_t took = clock_monotonic_ms() - begin;
    assert_int_equal(status, 0);
    process_stop(&process);
    return took;
}

static void expect_at_once(const char *const *argv, const char *after_line) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < TRIES && best >= AT_ONCE_MS; i++) {
        uint64_t took = time_end(argv, after_line);
        best = took < best ? took : best;
    }
    if (best >= AT_ONCE_MS) {
        fail_msg("the fastest of %d tries to end took %llu ms", TRIES, (unsigned long long) best);
    }
}

static void setting(char (*ret_text)[96], const char *format) {
    snprintf(*ret_text, sizeof *ret_text, format, free_port());
}

static void an_idle_broker_ends_at_once(void **state) {
    (void) state;
    char ports[3][96];
    setting(&ports[0], "broker.endpoint=tcp://127.0.0.1:%d");
    setting(&ports[1], "backend.endpoint=tcp://127.0.0.1:%d");
    setting(&ports[2], "backend.pull_endpoint=tcp://127.0.0.1:%d");
    const char *const argv[] = {CALLBOARD_BINARY_DIR "/broker/callboard-broker",
                                "--set",
                                ports[0],
                                "--set",
                                ports[1],
                                "--set",
                                ports[2],
                                "--set",
                                "internal.port=0",
                                NULL};
    expect_at_once(argv, "gateway_linked"); /* its own backend API */
}

static void an_idle_gateway_ends_at_once_also_without_a_broker(void **state) {
    (void) state;
    char endpoint[96];
    setting(&endpoint, "brokers.endpoints=tcp://127.0.0.1:%d");
    const char *const argv[] = {CALLBOARD_BINARY_DIR "/gateway/callboard-gateway",
                                "--set",
                                "http.port=0",
                                "--set",
                                "internal.port=0",
                                "--set",
                                "drain.delay=0",
                                "--set",
                                endpoint,
                                NULL};
    expect_at_once(argv, NULL);
}

static void an_idle_appliance_ends_at_once(void **state) {
    (void) state;
    char ports[2][96];
    setting(&ports[0], "backend.endpoint=tcp://127.0.0.1:%d");
    setting(&ports[1], "backend.pull_endpoint=tcp://127.0.0.1:%d");
    const char *const argv[] = {CALLBOARD_BINARY_DIR "/tools/callboard",
                                "--set",
                                "http.port=0",
                                "--set",
                                "internal.port=0",
                                "--set",
                                "drain.delay=0",
                                "--set",
                                ports[0],
                                "--set",
                                ports[1],
                                NULL};
    expect_at_once(argv, "broker_linked");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_broker_ends_at_once),
        cmocka_unit_test(an_idle_gateway_ends_at_once_also_without_a_broker),
        cmocka_unit_test(an_idle_appliance_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
