/* Certificates are renewed under two Redis pods and three Sentinels that speak TLS: Redis shows the new one to new
 * connections while those of before live on, Sentinels restart one at a time, files that do not serve change nothing,
 * and another authority is trusted beside the one of before. One set serves all; each test goes on from where the last
 * one left it. */
#include "base/memory.h"
#include "operator/agent/agent_renewal.h"
#include "operator/redis/resp_client.h"
#include "tests/support/certificates.h"
#include "tests/support/redis_pod_set.h"
#include "tests/support/redis_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

enum { PODS = 2, SENTINELS = 3, AWAIT_MS = 60000, TEXT_SIZE = 256 };

static tls_directory_t *directory;
static redis_pod_set_t *pods;
static redis_pod_set_t *sentinels;

static int set_up(void **state) {
    static const char *const settings[] = {"CALLBOARD_AGENT_DOWN_AFTER_MS=5000", "CALLBOARD_AGENT_TIMEOUT=30",
                                           "CALLBOARD_AGENT_RENEWAL_WAIT=1", NULL};
    static const char *const redis_lines[] = {"replica-announce-ip ${pod-ip}", NULL};
    static char monitor[128];
    static const char *const lines[] = {monitor,
                                        "sentinel down-after-milliseconds callboard 5000",
                                        "sentinel auth-user callboard sentinel",
                                        "sentinel auth-pass callboard ${secret:sentinel}",
                                        "sentinel announce-ip ${pod-ip}",
                                        NULL};
    (void) state;
    signal(SIGPIPE, SIG_IGN);
    directory = tls_directory_new();
    pods = redis_pod_set_new(&(struct redis_pod_set_options){.mode = "replicated",
                                                             .n = PODS,
                                                             .by_address = true,
                                                             .lines = redis_lines,
                                                             .tls = directory,
                                                             .settings = settings});
    snprintf(monitor, sizeof monitor, "sentinel monitor callboard %s %d 2", redis_pod_set_address(pods, 0),
             redis_pod_set_port(pods));
    sentinels = redis_pod_set_new(&(struct redis_pod_set_options){.mode = "sentinel",
                                                                  .n = SENTINELS,
                                                                  .by_address = true,
                                                                  .lines = lines,
                                                                  .peers = redis_pod_set_list(pods),
                                                                  .tls = directory,
                                                                  .settings = settings});
    redis_pod_set_watched_by(pods, sentinels);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    redis_pod_set_destroy(&pods);
    redis_pod_set_destroy(&sentinels);
    tls_directory_destroy(&directory);
    return 0;
}

/* ---- what is shown, and connections that stand ---- */

/* The SHA-1 of the certificate that a new connection is shown; "" without an answer. */
static void shown(redis_pod_set_t *set, unsigned pod, char ret_print[TEXT_SIZE]) {
    char command[TEXT_SIZE];
    ret_print[0] = '\0';
    snprintf(command, sizeof command,
             "timeout 10 openssl s_client -connect %s:%d </dev/null 2>/dev/null | openssl x509 -noout -fingerprint "
             "2>/dev/null",
             redis_pod_set_address(set, pod), redis_pod_set_port(set));
    FILE *output = popen(command, "re");
    assert_non_null(output);
    if (fgets(ret_print, TEXT_SIZE, output) == NULL) {
        ret_print[0] = '\0';
    }
    pclose(output);
}

/* The same of the file that the servers were given. */
static void in_file(char ret_print[TEXT_SIZE]) {
    char command[TEXT_SIZE];
    snprintf(command, sizeof command, "openssl x509 -noout -fingerprint -in %s/server.crt",
             tls_directory_path(directory));
    FILE *output = popen(command, "re");
    assert_non_null(output);
    assert_non_null(fgets(ret_print, TEXT_SIZE, output));
    pclose(output);
}

static void await_shown(redis_pod_set_t *set, unsigned pod) {
    char wanted[TEXT_SIZE];
    char print[TEXT_SIZE];
    in_file(wanted);
    for (unsigned waited_ms = 0; waited_ms < AWAIT_MS; waited_ms += 100) {
        shown(set, pod, print);
        if (strcmp(print, wanted) == 0) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    fail_msg("pod %u shows %s, not %s; %s", pod, print, wanted,
             process_output(redis_pod_set_agent(set, pod), PROCESS_STDERR));
}

static resp_client_t *connect_to(redis_tls_t *tls, unsigned pod) {
    char error[RESP_ERROR_MAX] = "";
    const struct resp_target target = {.name = "redis.test",
                                       .address = redis_pod_set_address(pods, pod),
                                       .port = (uint16_t) redis_pod_set_port(pods),
                                       .tls = tls,
                                       .user = "tester",
                                       .password = "tester-secret",
                                       .timeout_ms = 10000};
    resp_client_t *client = resp_client_open(&target, error, sizeof error);
    if (client == NULL) {
        fail_msg("%s", error);
    }
    return client;
}

static redis_tls_t *new_tls(void) {
    char authority[TLS_PATH_MAX];
    char error[512];
    tls_directory_file(directory, "authority.crt", authority);
    redis_tls_t *tls = redis_tls_new(&(struct redis_tls_options){.ca_file = authority}, error, sizeof error);
    assert_non_null(tls);
    return tls;
}

static void renew(bool is_expired) {
    certificates_make(tls_directory_path(directory), &(struct certificate_wish){.name = "server",
                                                                                .authority = "authority",
                                                                                .names = "IP:127.0.0.1,DNS:redis.test",
                                                                                .is_expired = is_expired});
}

static void await_all_ready(void) {
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_await(pods, i, "/readyz", 200);
    }
    for (unsigned i = 0; i < SENTINELS; i++) {
        redis_pod_set_await(sentinels, i, "/readyz", 200);
    }
}

/* ---- the specs ---- */

static void all_come_up(void **state) {
    (void) state;
    for (unsigned i = 0; i < SENTINELS; i++) {
        redis_pod_set_start(sentinels, i);
    }
    for (unsigned i = 0; i < PODS; i++) {
        redis_pod_set_start(pods, i);
    }
    await_all_ready();
    await_shown(pods, 0);
}

static void a_renewed_pair_is_shown_everywhere_and_connections_stay(void **state) {
    (void) state;
    redis_tls_t *tls = new_tls();
    resp_client_t *old = connect_to(tls, 0);
    renew(false);
    for (unsigned i = 0; i < PODS; i++) {
        await_shown(pods, i);
    }
    for (unsigned i = 0; i < SENTINELS; i++) {
        await_shown(sentinels, i);
        assert_non_null(strstr(process_output(redis_pod_set_agent(sentinels, i), PROCESS_STDERR), "server_restarts"));
    }
    assert_true(redis_reply_is_text(resp_client_call(old, "PING"), "PONG"));
    resp_client_destroy(&old);
    redis_tls_destroy(&tls);
    for (unsigned i = 0; i < PODS; i++) { /* of Redis nobody was restarted */
        assert_null(strstr(process_output(redis_pod_set_agent(pods, i), PROCESS_STDERR), "server_restarts"));
    }
    await_all_ready();
}

static void files_that_do_not_serve_change_nothing_and_are_told_of(void **state) {
    char before[TEXT_SIZE];
    char after[TEXT_SIZE];
    char key[TLS_PATH_MAX];
    (void) state;
    shown(pods, 0, before);
    tls_directory_file(directory, "server.key", key);
    FILE *file = fopen(key, "we");
    assert_non_null(file);
    fputs("half of a k", file);
    fclose(file);
    assert_non_null(process_wait_text(redis_pod_set_agent(pods, 0), PROCESS_STDERR, "renewal_refused", AWAIT_MS));
    renew(true);
    assert_non_null(
        process_wait_text(redis_pod_set_agent(pods, 0), PROCESS_STDERR, "certificate has expired", AWAIT_MS));
    assert_non_null(
        process_wait_text(redis_pod_set_agent(sentinels, 0), PROCESS_STDERR, "certificate has expired", AWAIT_MS));
    shown(pods, 0, after);
    assert_string_equal(before, after);
    await_all_ready();
}

/* New connections of everybody to everybody hold while some trust the one and some the other. */
static void another_authority_is_trusted_beside_the_one_of_before(void **state) {
    (void) state;
    redis_tls_t *tls = new_tls(); /* it knows the one of before */
    resp_client_t *first = connect_to(tls, 0);
    certificates_make_authority(tls_directory_path(directory), "authority");
    renew(false);
    for (unsigned i = 0; i < PODS; i++) {
        await_shown(pods, i);
    }
    resp_client_t *second = connect_to(tls, 1);
    assert_true(redis_reply_is_text(resp_client_call(first, "PING"), "PONG"));
    /* The replica has to come back over a new handshake. */
    assert_non_null(resp_client_call(first, "CLIENT", "KILL", "TYPE", "replica"));
    assert_non_null(resp_client_call(second, "CLIENT", "KILL", "TYPE", "master"));
    await_all_ready();
    for (unsigned i = 0; i < SENTINELS; i++) {
        await_shown(sentinels, i);
    }
    await_all_ready();
    resp_client_destroy(&first);
    resp_client_destroy(&second);
    redis_tls_destroy(&tls);
}

/* ---- without servers ---- */

static void the_last_line_of_a_directive_counts(void **state) {
    static const char conf[] = "port 0\ntls-cert-file /a\ntls-cert-file-no /b\n#tls-key-file /c\r\n"
                               "tls-cert-file \"/d e\"\r\ntls-key-file   /f";
    char value[64];
    (void) state;
    agent_renewal_find(span_of_text(conf), "tls-cert-file", value, sizeof value);
    assert_string_equal(value, "/d e");
    agent_renewal_find(span_of_text(conf), "tls-key-file", value, sizeof value);
    assert_string_equal(value, "/f");
    agent_renewal_find(span_of_text(conf), "tls-ca-cert-file", value, sizeof value);
    assert_string_equal(value, "");
}

static void turns_never_overlap(void **state) {
    (void) state;
    unsigned turns[3] = {0};
    for (int64_t ms = 1700000000000; ms < 1700000120000; ms += 500) {
        unsigned at_once = 0;
        for (unsigned i = 0; i < 3; i++) {
            bool is_turn = agent_renewal_is_turn(ms, 20000, i, 3);
            turns[i] += is_turn;
            at_once += is_turn;
            assert_false(is_turn && agent_renewal_is_turn(ms + 5000, 20000, (i + 1) % 3, 3)); /* clocks 5 s apart */
        }
        assert_true(at_once <= 1);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_true(turns[i] >= 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_line_of_a_directive_counts),
        cmocka_unit_test(turns_never_overlap),
        cmocka_unit_test(all_come_up),
        cmocka_unit_test(a_renewed_pair_is_shown_everywhere_and_connections_stay),
        cmocka_unit_test(files_that_do_not_serve_change_nothing_and_are_told_of),
        cmocka_unit_test(another_authority_is_trusted_beside_the_one_of_before),
    };
    if (!redis_server_has_tls()) {
        return cmocka_run_group_tests_name("without servers", ((const struct CMUnitTest[]){tests[0], tests[1]}), NULL,
                                           NULL);
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
