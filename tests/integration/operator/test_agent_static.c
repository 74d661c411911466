/* callboard-agent runs in any image: alone in an empty root directory it says what it can, finds no name without a
 * crash, and has nothing of the C library's name service in it, which would load modules of the image's libc. */
#include "base/check.h"
#include "tests/support/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define AGENT CALLBOARD_BINARY_DIR "/operator/agent/callboard-agent"

static char root[] = "/tmp/callboard-root-XXXXXX";

static int set_up(void **state) {
    char command[512];
    (void) state;
    check(mkdtemp(root) != NULL, "mkdtemp");
    snprintf(command, sizeof command,
             "cp %s %s/callboard-agent && mkdir %s/conf %s/templates && touch %s/templates/redis.conf", AGENT, root,
             root, root, root);
    check(system(command) == 0, "%s", command);
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    (void) state;
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

/* True: `text` is a symbol of the program. */
static bool has_symbol(const char *text) {
    char command[512];
    snprintf(command, sizeof command, "nm %s | grep -q '%s'", AGENT, text);
    return system(command) == 0;
}

static bool is_static(void) {
    char command[512];
    snprintf(command, sizeof command, "readelf -l %s | grep -q INTERP", AGENT);
    return system(command) != 0;
}

static void has_no_name_service_in_it(void **state) {
    (void) state;
    if (!is_static()) {
        skip(); /* builds for sanitizers and coverage are linked to the shared C library */
    }
    assert_true(has_symbol(" main$")); /* the symbols are there to be looked at */
    assert_false(has_symbol("__nss_"));
    assert_false(has_symbol("gethostbyname_r"));
    assert_false(has_symbol("getpwnam_r"));
}

static process_t *run_in_root(const char *command, const char *more) {
    static const char *const settings[] = {"CALLBOARD_AGENT_MODE=replicated",
                                           "CALLBOARD_AGENT_PEERS=redis-{0..1}.nowhere.test",
                                           "CALLBOARD_AGENT_SENTINELS=sentinel-0.nowhere.test",
                                           "CALLBOARD_AGENT_TIMEOUT=1",
                                           "POD_NAME=redis-0",
                                           NULL};
    const char *const argv[] = {"chroot", root, "/callboard-agent", command, more, NULL};
    return process_start(argv, settings);
}

static int finish(process_t *process, const char *text) {
    int status = -1;
    assert_true(process_wait_exit(process, 30000, &status));
    const char *said = process_output(process, PROCESS_STDERR);
    if (strstr(said, text) == NULL && strstr(process_output(process, PROCESS_STDOUT), text) == NULL &&
        strstr(said, "cannot change root") == NULL) {
        fail_msg("exit code %d: %s", status, said);
    }
    return strstr(said, "cannot change root") != NULL ? -1 : status;
}

static void runs_in_an_empty_root(void **state) {
    (void) state;
    if (!is_static()) {
        skip();
    }
    process_t *process = run_in_root("--help", NULL);
    int status = finish(process, "callboard-agent");
    process_kill(&process);
    if (status < 0) {
        skip(); /* chroot is not ours to do here */
    }
    assert_int_equal(status, 0);
    /* No /etc/hosts, no /etc/resolv.conf: the Sentinels are not found, and that is said. */
    process = run_in_root("prepare", NULL);
    assert_int_equal(finish(process, "no majority of the Sentinels"), 6);
    process_kill(&process);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_no_name_service_in_it),
        cmocka_unit_test(runs_in_an_empty_root),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
