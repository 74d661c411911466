/* What is made of the files: which authorities count, and whether our own certificate is of use now. */
#include "base/redis_tls_context.h"

#include "tests/support/certificates.h"
#include "tests/support/tls_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

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

static SSL_CTX *make(const char *authority, const char *own, const SSL_CTX *former) {
    char ca[TLS_PATH_MAX];
    char certificate[TLS_PATH_MAX];
    char key[TLS_PATH_MAX];
    char name[64];
    char error[512] = "";
    tls_directory_file(directory, authority, ca);
    snprintf(name, sizeof name, "%s.crt", own);
    tls_directory_file(directory, name, certificate);
    snprintf(name, sizeof name, "%s.key", own);
    tls_directory_file(directory, name, key);
    const struct redis_tls_options options = {
        .ca_file = ca, .certificate_file = own[0] == '\0' ? "" : certificate, .key_file = own[0] == '\0' ? "" : key};
    SSL_CTX *context = redis_tls_context_new(&options, former, error, sizeof error);
    assert_string_equal(error, "");
    return context;
}

static bool trusts(const SSL_CTX *context, const char *file) {
    char path[TLS_PATH_MAX];
    tls_directory_file(directory, file, path);
    FILE *stream = fopen(path, "re");
    assert_non_null(stream);
    X509 *certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    X509_STORE_CTX *judging = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_CTX_init(judging, SSL_CTX_get_cert_store(context), certificate, NULL), 1);
    bool is_trusted = X509_verify_cert(judging) == 1;
    X509_STORE_CTX_free(judging);
    X509_free(certificate);
    return is_trusted;
}

static void the_authorities_of_a_former_one_count_as_well(void **state) {
    (void) state;
    SSL_CTX *former = make("stranger.crt", "", NULL);
    SSL_CTX *alone = make("authority.crt", "", NULL);
    SSL_CTX *both = make("authority.crt", "", former);
    assert_true(trusts(alone, "server.crt"));
    assert_false(trusts(alone, "strange_client.crt"));
    SSL_CTX_free(former);
    assert_true(trusts(both, "server.crt"));
    assert_true(trusts(both, "strange_client.crt"));
    SSL_CTX_free(alone);
    SSL_CTX_free(both);
}

static void a_certificate_has_its_time(void **state) {
    (void) state;
    SSL_CTX *none = make("authority.crt", "", NULL);
    SSL_CTX *valid = make("authority.crt", "client", NULL);
    SSL_CTX *expired = make("authority.crt", "expired", NULL);
    assert_null(redis_tls_context_invalid(none));
    assert_int_equal(redis_tls_context_ends_in_s(none), 0);
    assert_null(redis_tls_context_invalid(valid));
    assert_true(redis_tls_context_ends_in_s(valid) > 3600);
    assert_string_equal(redis_tls_context_invalid(expired), "the certificate has expired");
    assert_true(redis_tls_context_ends_in_s(expired) < 0);
    SSL_CTX_free(none);
    SSL_CTX_free(valid);
    SSL_CTX_free(expired);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_authorities_of_a_former_one_count_as_well),
        cmocka_unit_test(a_certificate_has_its_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
