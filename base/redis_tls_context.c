/* See redis_tls_context.h. Failures: the first file that does not serve ends it, with the setting that names it and how
 * to mend it. */
#include "base/redis_tls_context.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { AUTHORITIES_MAX = 256 }; /* that are taken over */

static bool is_set(const char *text) {
    return text != NULL && text[0] != '\0';
}

static bool refuse(char *ret_error, size_t error_size, const char *key, const char *file, const char *mend) {
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(ret_error, error_size, "%s: %s%s%s: %s", key, file, why == NULL ? "" : ": ", why == NULL ? "" : why, mend);
    ERR_clear_error();
    return false;
}

static bool load_authorities(SSL_CTX *context, const struct redis_tls_options *options, char *ret_error,
                             size_t error_size) {
    if (!is_set(options->ca_file)) {
        return SSL_CTX_set_default_verify_paths(context) == 1 ||
               refuse(ret_error, error_size, "redis.tls_ca_file", "the system has no authorities",
                      "name a file of them");
    }
    return SSL_CTX_load_verify_locations(context, options->ca_file, NULL) == 1 ||
           refuse(ret_error, error_size, "redis.tls_ca_file", options->ca_file,
                  "must be a readable file of certificates in PEM");
}

static bool load_certificate(SSL_CTX *context, const struct redis_tls_options *options, char *ret_error,
                             size_t error_size) {
    if (!is_set(options->certificate_file)) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate_file) != 1) {
        return refuse(ret_error, error_size, "redis.tls_certificate_file", options->certificate_file,
                      "must be a readable file with our certificate in PEM, and those between it and the authority");
    }
    if (!is_set(options->key_file) || SSL_CTX_use_PrivateKey_file(context, options->key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return refuse(ret_error, error_size, "redis.tls_key_file",
                      is_set(options->key_file) ? options->key_file : "none",
                      "must be a readable file with the private key of redis.tls_certificate_file in PEM, without a "
                      "passphrase");
    }
    return true;
}

/* A key with a passphrase must not ask for it on the terminal. */
static int on_passphrase(char *text, int size, int rwflag, void *context) {
    (void) rwflag;
    (void) context;
    if (size > 0) {
        text[0] = '\0';
    }
    return 0;
}

/* Twice the same is no harm: OpenSSL keeps one. */
static void add_authorities_of(SSL_CTX *context, const SSL_CTX *former) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(former));
    for (int i = 0; i < sk_X509_OBJECT_num(objects) && i < AUTHORITIES_MAX; i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (certificate != NULL) {
            X509_STORE_add_cert(store, certificate);
        }
    }
    ERR_clear_error();
}

SSL_CTX *redis_tls_context_new(const struct redis_tls_options *options, const SSL_CTX *former, char *ret_error,
                               size_t error_size) {
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        refuse(ret_error, error_size, "redis.url", "TLS", "OpenSSL could not be started");
        return NULL;
    }
    SSL_CTX_set_default_passwd_cb(context, on_passphrase);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        !load_authorities(context, options, ret_error, error_size) ||
        !load_certificate(context, options, ret_error, error_size)) {
        SSL_CTX_free(context);
        return NULL;
    }
    if (former != NULL && is_set(options->ca_file)) {
        add_authorities_of(context, former);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    return context;
}

const char *redis_tls_context_invalid(const SSL_CTX *context) {
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    if (certificate == NULL) {
        return NULL;
    }
    return X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0    ? "the certificate has expired"
           : X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0 ? "the certificate is not valid yet"
                                                                         : NULL;
}

int64_t redis_tls_context_ends_in_s(const SSL_CTX *context) {
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    int days = 0;
    int seconds = 0;
    if (certificate == NULL || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1) {
        return 0;
    }
    return (int64_t) days * 86400 + seconds;
}

bool redis_tls_files_serve(const struct redis_tls_options *options, char *ret_error, size_t error_size) {
    SSL_CTX *context = redis_tls_context_new(options, NULL, ret_error, error_size);
    const char *invalid = context == NULL ? NULL : redis_tls_context_invalid(context);
    bool serves = context != NULL && invalid == NULL;
    if (invalid != NULL) {
        snprintf(ret_error, error_size, "%s: %s", options->certificate_file, invalid);
    }
    SSL_CTX_free(context);
    return serves;
}
