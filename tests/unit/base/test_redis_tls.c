/* The client's side of TLS without a server: what cannot be set up, names that no certificate could have, and a peer
 * that speaks something else. tests/integration/test_redis_link_tls.c has the handshakes, with a real Redis. */
#include "base/redis_tls.h"
#include "tests/support/tls_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static tls_directory_t *directory;

static int set_up(void **state) {
    (void) state;
    directory = tls_directory_new();
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    tls_directory_destroy(&directory);
    return 0;
}

static void expect_refused(const struct redis_tls_options *options, const char *text) {
    char error[512] = "";
    redis_tls_t *tls = redis_tls_new(options, error, sizeof error);
    assert_null(tls);
    if (strstr(error, text) == NULL) {
        fail_msg("%s is not in: %s", text, error);
    }
}

static void says_which_file_does_not_serve(void **state) {
    char certificate[TLS_PATH_MAX];
    char other_key[TLS_PATH_MAX];
    (void) state;
    tls_directory_file(directory, "client.crt", certificate);
    tls_directory_file(directory, "server.key", other_key);
    expect_refused(&(struct redis_tls_options){.ca_file = "/nonexistent.pem"}, "redis.tls_ca_file: /nonexistent.pem");
    expect_refused(&(struct redis_tls_options){.ca_file = other_key}, "must be a readable file of certificates");
    expect_refused(&(struct redis_tls_options){.certificate_file = other_key}, "redis.tls_certificate_file");
    expect_refused(&(struct redis_tls_options){.certificate_file = certificate}, "redis.tls_key_file: none");
    expect_refused(&(struct redis_tls_options){.certificate_file = certificate, .key_file = other_key},
                   "redis.tls_key_file");
    redis_tls_t *none = NULL;
    redis_tls_destroy(&none);
}

static void ends_where_the_peer_speaks_something_else(void **state) {
    char error[512] = "";
    char authority[TLS_PATH_MAX];
    int ends[2];
    uint8_t bytes[16];
    size_t size;
    (void) state;
    tls_directory_file(directory, "authority.crt", authority);
    redis_tls_t *tls = redis_tls_new(&(struct redis_tls_options){.ca_file = authority}, error, sizeof error);
    assert_non_null(tls);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    redis_tls_stream_t *stream = redis_tls_stream_new(tls, ends[0], "redis.test", 6379);
    assert_non_null(stream);
    assert_int_equal(redis_tls_stream_handshake(stream), REDIS_TLS_WANT_READ);
    assert_false(redis_tls_stream_is_resumed(stream));
    assert_true(write(ends[1], "-ERR no TLS here\r\n", 18) == 18);
    assert_int_equal(redis_tls_stream_handshake(stream), REDIS_TLS_CUT);
    assert_int_equal(strncmp(redis_tls_stream_reason(stream), "TLS: ", 5), 0);
    assert_int_equal(redis_tls_stream_read(stream, bytes, sizeof bytes, &size), REDIS_TLS_CUT);
    redis_tls_stream_destroy(&stream);
    assert_null(stream);
    redis_tls_destroy(&tls);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_which_file_does_not_serve),
        cmocka_unit_test(ends_where_the_peer_speaks_something_else),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
