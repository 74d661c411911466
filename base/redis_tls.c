/* See redis_tls.h.
 *
 * Failures: a certificate that does not hold, ours that is not taken, a server that speaks no TLS end in a reason that
 * says which setting or which certificate to look at; the text of OpenSSL goes to the log. A connection that ends
 * without TLS's goodbye is a cut like any other: what was under way is unknown. Sessions are kept by host and port (the
 * newest few), so that reconnecting costs no full handshake; a server that does not know one any more makes a new one.
 */
#include "base/redis_tls.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { SESSIONS_MAX = 32, SESSION_NAME_MAX = 264, SERVER_NAME_MAX = 255 };

struct session {
    char name[SESSION_NAME_MAX]; /* host:port; empty: free */
    SSL_SESSION *session;
};

struct redis_tls {
    SSL_CTX *context;
    char server_name[SERVER_NAME_MAX + 1]; /* empty: the host dialled */
    struct session sessions[SESSIONS_MAX];
    unsigned next_session; /* to be overwritten */
};

struct redis_tls_stream {
    redis_tls_t *tls;
    SSL *ssl;
    char name[SESSION_NAME_MAX];
    bool is_up;
    bool has_read;  /* since then */
    bool is_broken; /* nothing more may be asked of ssl, not even goodbye */
    const char *reason;
};

/* ---- sessions ---- */

static struct session *find_session(redis_tls_t *self, const char *name) {
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        if (self->sessions[i].session != NULL && strcmp(self->sessions[i].name, name) == 0) {
            return &self->sessions[i];
        }
    }
    return NULL;
}

/* OpenSSL hands us a session (after the handshake, with TLS 1.3 more than once); 1: it is ours now. */
static int on_session(SSL *ssl, SSL_SESSION *session) {
    struct redis_tls_stream *stream = SSL_get_app_data(ssl);
    redis_tls_t *self = stream->tls;
    struct session *slot = find_session(self, stream->name);
    if (slot == NULL) {
        slot = &self->sessions[self->next_session];
        self->next_session = (self->next_session + 1) % SESSIONS_MAX;
        memcpy(slot->name, stream->name, sizeof slot->name);
    }
    SSL_SESSION_free(slot->session);
    slot->session = session;
    return 1;
}

static void forget_session(redis_tls_t *self, const char *name) {
    struct session *slot = find_session(self, name);
    if (slot != NULL) {
        SSL_SESSION_free(slot->session);
        slot->session = NULL;
    }
}

/* ---- the context ---- */

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

redis_tls_t *redis_tls_new(const struct redis_tls_options *options, char *ret_error, size_t error_size) {
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
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, on_session);
    redis_tls_t *self = memory_alloc_zero(sizeof *self);
    self->context = context;
    snprintf(self->server_name, sizeof self->server_name, "%s",
             is_set(options->server_name) ? options->server_name : "");
    return self;
}

void redis_tls_destroy(redis_tls_t **self_p) {
    redis_tls_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        SSL_SESSION_free(self->sessions[i].session);
    }
    SSL_CTX_free(self->context);
    memory_free(self);
    *self_p = NULL;
}

/* ---- a connection ---- */

/* What the certificate has to be made for. An address is looked for among its addresses, and not sent as SNI. */
static bool expect_name(SSL *ssl, const char *name) {
    X509_VERIFY_PARAM *wanted = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, name) == 1) {
        return true;
    }
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

redis_tls_stream_t *redis_tls_stream_new(redis_tls_t *self, int fd, const char *host, uint16_t port) {
    struct redis_tls_stream *stream = memory_alloc_zero(sizeof *stream);
    stream->tls = self;
    stream->reason = "the connection was cut";
    snprintf(stream->name, sizeof stream->name, "%s:%u", host, port);
    stream->ssl = SSL_new(self->context);
    const char *name = self->server_name[0] != '\0' ? self->server_name : host;
    if (stream->ssl == NULL || SSL_set_fd(stream->ssl, fd) != 1 || !expect_name(stream->ssl, name)) {
        ERR_clear_error();
        stream->is_broken = true;
        redis_tls_stream_destroy(&stream);
        return NULL;
    }
    SSL_set_app_data(stream->ssl, stream);
    SSL_set_connect_state(stream->ssl);
    const struct session *session = find_session(self, stream->name);
    if (session != NULL) {
        SSL_set_session(stream->ssl, session->session);
    }
    return stream;
}

void redis_tls_stream_destroy(redis_tls_stream_t **self_p) {
    redis_tls_stream_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->is_up && !self->is_broken) {
        SSL_shutdown(self->ssl); /* one try, never waited for */
        ERR_clear_error();
    }
    SSL_free(self->ssl);
    memory_free(self);
    *self_p = NULL;
}

/* ---- what went wrong ---- */

static const char *certificate_reason(long result) {
    switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "TLS: an authority that is not trusted has signed Redis's certificate; name the right one in "
               "redis.tls_ca_file";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "TLS: Redis's certificate is made for another name; add the host of redis.url to it, or set "
               "redis.tls_server_name to a name that it has";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "TLS: Redis's certificate, or that of its authority, has expired; renew it";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "TLS: Redis's certificate is not valid yet; are the clocks right?";
    case X509_V_ERR_INVALID_PURPOSE:
        return "TLS: Redis's certificate is not made for servers (extended key usage serverAuth)";
    default:
        return "TLS: Redis's certificate does not hold; the log says why";
    }
}

static const char *protocol_reason(unsigned long error) {
    switch (ERR_GET_REASON(error)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
        return "TLS: Redis speaks no TLS on this port; take the one of its tls-port, or write redis:// in redis.url";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
        return "TLS: Redis speaks older versions only; it needs TLSv1.2 or TLSv1.3 in its tls-protocols";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "TLS: Redis asks for a certificate of ours; set redis.tls_certificate_file and redis.tls_key_file";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "TLS: Redis refused the handshake; does it ask for a certificate of ours (redis.tls_certificate_file)?";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        return "TLS: Redis refused our certificate; has its authority signed redis.tls_certificate_file, and is it "
               "still valid?";
    default:
        return "TLS: the handshake or a record failed; the log says why";
    }
}

/* With TLS 1.3 a server judges our certificate when the handshake is over for us, and what it says to that may be lost
 * with the connection. */
static const char *silent_reason(const redis_tls_stream_t *self) {
    return SSL_get_certificate(self->ssl) == NULL
               ? "TLS: Redis cut the connection right after the handshake; does it ask for a certificate of ours "
                 "(redis.tls_certificate_file and redis.tls_key_file)?"
               : "TLS: Redis refused our certificate, as it seems; has its authority signed "
                 "redis.tls_certificate_file, and is it still valid?";
}

static bool is_unexpected_eof(unsigned long error) {
    return ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static void explain(redis_tls_stream_t *self, int kind) {
    unsigned long error = ERR_peek_last_error();
    self->is_broken = kind == SSL_ERROR_SYSCALL || kind == SSL_ERROR_SSL;
    if (kind != SSL_ERROR_SSL || is_unexpected_eof(error)) { /* closed, reset or ended without goodbye: a cut */
        self->reason = self->is_up && !self->has_read ? silent_reason(self) : self->reason;
        return;
    }
    long result = SSL_get_verify_result(self->ssl);
    bool is_certificate = result != X509_V_OK && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    self->reason = is_certificate ? certificate_reason(result) : protocol_reason(error);
    const char *text = ERR_reason_error_string(error);
    log_warning("redis_tls_failed", log_text("redis", self->name), log_text("openssl", text == NULL ? "" : text),
                log_text("certificate", is_certificate ? X509_verify_cert_error_string(result) : ""));
    forget_session(self->tls, self->name);
}

static enum redis_tls_result result_of(redis_tls_stream_t *self, int returned) {
    if (returned > 0) {
        return REDIS_TLS_DONE;
    }
    int kind = SSL_get_error(self->ssl, returned);
    if (kind == SSL_ERROR_WANT_READ) {
        return REDIS_TLS_WANT_READ;
    }
    if (kind == SSL_ERROR_WANT_WRITE) {
        return REDIS_TLS_WANT_WRITE;
    }
    explain(self, kind);
    ERR_clear_error();
    return REDIS_TLS_CUT;
}

/* ---- steps ---- */

enum redis_tls_result redis_tls_stream_handshake(redis_tls_stream_t *self) {
    ERR_clear_error(); /* what others left in this thread's queue would be taken for ours */
    enum redis_tls_result result = result_of(self, SSL_do_handshake(self->ssl));
    self->is_up = self->is_up || result == REDIS_TLS_DONE;
    return result;
}

enum redis_tls_result redis_tls_stream_read(redis_tls_stream_t *self, void *ret_bytes, size_t size, size_t *ret_size) {
    ERR_clear_error();
    enum redis_tls_result result = result_of(self, SSL_read_ex(self->ssl, ret_bytes, size, ret_size));
    self->has_read = self->has_read || result == REDIS_TLS_DONE;
    return result;
}

enum redis_tls_result redis_tls_stream_write(redis_tls_stream_t *self, const void *bytes, size_t size,
                                             size_t *ret_size) {
    ERR_clear_error();
    return result_of(self, SSL_write_ex(self->ssl, bytes, size, ret_size));
}

bool redis_tls_stream_is_resumed(const redis_tls_stream_t *self) {
    return SSL_session_reused(self->ssl) == 1;
}

bool redis_tls_stream_has_pending(const redis_tls_stream_t *self) {
    return SSL_pending(self->ssl) > 0;
}

const char *redis_tls_stream_reason(const redis_tls_stream_t *self) {
    return self->reason;
}
