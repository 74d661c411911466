/* Files are read into an OpenSSL context of their own, which judges them (a key that does not belong to its
 * certificate, a key too short for the security level); what it holds is then given to each handshake by OpenSSL's
 * certificate callback. So the context that libwebsockets keeps for its listener never holds a certificate, and a
 * reload has nothing to replace in it.
 *
 * Failure modes: a file that cannot be read, that is no PEM, or a key with a passphrase → the read fails and says so;
 * at a reload the old credentials stay in use. A handshake that fails is counted, and libwebsockets closes it; one that
 * stands still is closed by libwebsockets' own timeout (base/lws_guard.c). */
#include "gateway/transport/tls_server.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* TLS 1.2: forward secrecy and authenticated encryption only. */
#define CIPHERS_1_2                                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                         \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

struct tls_credentials {
    SSL_CTX *holder; /* of certificate, chain and key; no connection uses it */
    int64_t begin_at_s;
    int64_t expire_at_s;
};

const struct metric_description tls_metric_table[TLS_METRICS] = {
    [TLS_METRIC_HANDSHAKES] = {"callboard_tls_handshakes_total", "TLS handshakes of the public port that were done.",
                               METRIC_COUNTER, NULL},
    [TLS_METRIC_FAILURES] = {"callboard_tls_handshakes_failed_total",
                             "TLS handshakes of the public port that ended with an alert.", METRIC_COUNTER, NULL},
    [TLS_METRIC_EXPIRES_AT] = {"callboard_tls_certificate_expires_timestamp_seconds",
                               "When the certificate of the public port expires; 0: no TLS.", METRIC_GAUGE_MAX, NULL},
};

/* --- credentials --- */

/* A key with a passphrase is refused, instead of asking on a terminal. */
static int give_no_passphrase(char *buffer, int size, int is_encrypting, void *context) {
    (void) buffer;
    (void) size;
    (void) is_encrypting;
    (void) context;
    return 0;
}

static bool fail(char *ret_error, size_t error_size, const char *setting, const char *file, const char *what) {
    snprintf(ret_error, error_size, "%s: %s: %s", setting, file, what);
    ERR_clear_error();
    return false;
}

static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason == NULL ? "unknown error" : reason;
}

static bool is_readable(const char *setting, const char *file, char *ret_error, size_t error_size) {
    return access(file, R_OK) == 0 || fail(ret_error, error_size, setting, file, strerror(errno));
}

static bool read_certificate(SSL_CTX *holder, const char *file, char *ret_error, size_t error_size) {
    static const char setting[] = "http.tls_certificate_file";
    char what[160];
    if (!is_readable(setting, file, ret_error, error_size)) {
        return false;
    }
    if (SSL_CTX_use_certificate_chain_file(holder, file) != 1) {
        snprintf(what, sizeof what, "holds no certificate in PEM that serves (%s)", openssl_reason());
        return fail(ret_error, error_size, setting, file, what);
    }
    return true;
}

static bool read_key(SSL_CTX *holder, const char *file, char *ret_error, size_t error_size) {
    static const char setting[] = "http.tls_key_file";
    char what[160];
    if (!is_readable(setting, file, ret_error, error_size)) {
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(holder, file, SSL_FILETYPE_PEM) != 1) {
        bool is_other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
                        ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
        snprintf(what, sizeof what,
                 is_other ? "is not the key of the certificate (%s)"
                          : "holds no private key in PEM without a passphrase (%s)",
                 openssl_reason());
        return fail(ret_error, error_size, setting, file, what);
    }
    if (SSL_CTX_check_private_key(holder) != 1) {
        return fail(ret_error, error_size, setting, file, "is not the key of the certificate");
    }
    return true;
}

static int64_t wall_seconds(const ASN1_TIME *time) {
    int days = 0;
    int seconds = 0;
    check(ASN1_TIME_diff(&days, &seconds, NULL, time) == 1, "a certificate without a beginning and an end");
    return clock_wall_ms() / 1000 + (int64_t) days * 86400 + seconds;
}

tls_credentials_t *tls_credentials_read(const char *certificate_file, const char *key_file, char *ret_error,
                                        size_t error_size) {
    SSL_CTX *holder = SSL_CTX_new(TLS_server_method());
    check(holder != NULL, "OpenSSL makes no context");
    SSL_CTX_set_default_passwd_cb(holder, give_no_passphrase);
    if (!read_certificate(holder, certificate_file, ret_error, error_size) ||
        !read_key(holder, key_file, ret_error, error_size)) {
        SSL_CTX_free(holder);
        return NULL;
    }
    tls_credentials_t *self = memory_alloc_zero(sizeof *self);
    self->holder = holder;
    const X509 *certificate = SSL_CTX_get0_certificate(holder);
    self->begin_at_s = wall_seconds(X509_get0_notBefore(certificate));
    self->expire_at_s = wall_seconds(X509_get0_notAfter(certificate));
    return self;
}

void tls_credentials_destroy(tls_credentials_t **self_p) {
    tls_credentials_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    SSL_CTX_free(self->holder);
    memory_free(self);
}

int64_t tls_credentials_begin_at_s(const tls_credentials_t *self) {
    return self->begin_at_s;
}

int64_t tls_credentials_expire_at_s(const tls_credentials_t *self) {
    return self->expire_at_s;
}

/* --- handshakes --- */

/* 1: go on. */
static int on_certificate_wanted(SSL *handshake, void *context) {
    const struct tls_server *self = context;
    SSL_CTX *holder = self->credentials->holder;
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(holder, &chain);
    return SSL_use_cert_and_key(handshake, SSL_CTX_get0_certificate(holder), SSL_CTX_get0_privatekey(holder), chain, 1);
}

static void on_progress(const SSL *handshake, int where, int result) {
    (void) result;
    struct tls_server *self = SSL_CTX_get_app_data(SSL_get_SSL_CTX(handshake));
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0) {
        metric_count(self->metrics, TLS_METRIC_HANDSHAKES);
    } else if ((where & SSL_CB_ALERT) != 0 && !SSL_is_init_finished(handshake)) {
        metric_count(self->metrics, TLS_METRIC_FAILURES);
    }
}

void tls_server_prepare(struct tls_server *self, SSL_CTX *context) {
    check(self->credentials != NULL, "a TLS context without credentials");
    SSL_CTX_set_min_proto_version(context, self->only_tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    check(SSL_CTX_set_cipher_list(context, CIPHERS_1_2) == 1 && SSL_CTX_set_ciphersuites(context, CIPHERS_1_3) == 1,
          "OpenSSL lacks our ciphers");
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
    /* Clients resume with tickets, which they keep themselves. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_app_data(context, self);
    SSL_CTX_set_info_callback(context, on_progress);
    SSL_CTX_set_cert_cb(context, on_certificate_wanted, self);
}

void tls_server_use(struct tls_server *self, const tls_credentials_t *credentials) {
    self->credentials = credentials;
    metric_set(self->metrics, TLS_METRIC_EXPIRES_AT, credentials == NULL ? 0 : credentials->expire_at_s);
}
