/* See redis_tls.h.
 *
 * Failures: a certificate that does not hold, ours that is not taken, a server that speaks no TLS end in a reason that
 * says which setting or which certificate to look at; the text of OpenSSL goes to the log. A connection that ends
 * without TLS's goodbye is a cut like any other: what was under way is unknown. Sessions are kept by host and port (the
 * newest few), so that reconnecting costs no full handshake; a server that does not know one any more makes a new one.
 *
 * Each new connection looks whether the files are others: all of them are taken, or none. Those that do not serve (one
 * of two was written so far, expired) leave the old ones in use, told once a reason, and are tried at the next one. */
#include "base/redis_tls.h"

#include "base/clock.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { SESSIONS_MAX = 32, SESSION_NAME_MAX = 264, FILES = 3, REASON_MAX = 512, OVERLAP_MS = 3600 * 1000 };

struct session {
    char name[SESSION_NAME_MAX]; /* host:port; empty: free */
    SSL_SESSION *session;
};

struct redis_tls {
    SSL_CTX *context;
    struct redis_tls_options files; /* copies; "": not set */
    struct file_watch watches[FILES];
    bool is_changed;          /* the files are others than those in use */
    uint64_t former_until_ms; /* authorities of before are trusted, too; 0: they are not */
    struct redis_tls_figures figures;
    char refused[REASON_MAX]; /* as told last */
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

/* OpenSSL hands us a session (after the handshake, with TLS 1.3 more than once); 1: it is ours now. One of a connection
 * that was made with former files was judged by them. */
static int on_session(SSL *ssl, SSL_SESSION *session) {
    struct redis_tls_stream *stream = SSL_get_app_data(ssl);
    redis_tls_t *self = stream->tls;
    if (SSL_get_SSL_CTX(ssl) != self->context) {
        return 0;
    }
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

/* ---- files, and what is made of them ---- */

static const char *file_of(const redis_tls_t *self, unsigned which) {
    const char *const files[FILES] = {self->files.ca_file, self->files.certificate_file, self->files.key_file};
    return files[which] == NULL ? "" : files[which];
}

static char *copy_text(const char *text) {
    return memory_strdup(text == NULL ? "" : text);
}

redis_tls_t *redis_tls_new(const struct redis_tls_options *options, char *ret_error, size_t error_size) {
    redis_tls_t *self = memory_alloc_zero(sizeof *self);
    self->files = (struct redis_tls_options){.ca_file = copy_text(options->ca_file),
                                             .certificate_file = copy_text(options->certificate_file),
                                             .key_file = copy_text(options->key_file),
                                             .server_name = copy_text(options->server_name)};
    for (unsigned i = 0; i < FILES; i++) { /* before they are read: what changes meanwhile is seen later */
        file_watch_init(&self->watches[i], file_of(self, i));
    }
    self->context = redis_tls_context_new(&self->files, NULL, ret_error, error_size);
    if (self->context == NULL) {
        redis_tls_destroy(&self);
        return NULL;
    }
    SSL_CTX_sess_set_new_cb(self->context, on_session);
    return self;
}

static void forget_sessions(redis_tls_t *self) {
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        SSL_SESSION_free(self->sessions[i].session);
        self->sessions[i].session = NULL;
    }
}

void redis_tls_destroy(redis_tls_t **self_p) {
    redis_tls_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    forget_sessions(self);
    SSL_CTX_free(self->context);
    memory_free((char *) (uintptr_t) self->files.ca_file);
    memory_free((char *) (uintptr_t) self->files.certificate_file);
    memory_free((char *) (uintptr_t) self->files.key_file);
    memory_free((char *) (uintptr_t) self->files.server_name);
    memory_free(self);
    *self_p = NULL;
}

/* Streams that stand keep the context that they were made of. A session of before would spare the server's certificate
 * from being judged by the new authorities. */
static void use_context(redis_tls_t *self, SSL_CTX *context) {
    SSL_CTX_free(self->context);
    self->context = context;
    SSL_CTX_sess_set_new_cb(context, on_session);
    forget_sessions(self);
}

static void refuse_renewal(redis_tls_t *self, const char *reason) {
    self->figures.n_failures++;
    self->figures.is_refused = true;
    if (strcmp(self->refused, reason) != 0) {
        snprintf(self->refused, sizeof self->refused, "%s", reason);
        log_error("redis_tls_renewal_refused", log_text("reason", reason));
    }
}

static void renew(redis_tls_t *self) {
    char reason[REASON_MAX];
    SSL_CTX *context = redis_tls_context_new(&self->files, self->context, reason, sizeof reason);
    const char *invalid = context == NULL ? reason : redis_tls_context_invalid(context);
    if (invalid != NULL) {
        refuse_renewal(self, invalid);
        SSL_CTX_free(context);
        return;
    }
    use_context(self, context);
    self->is_changed = false;
    self->former_until_ms = clock_monotonic_ms() + OVERLAP_MS;
    self->figures.n_renewals++;
    self->figures.is_refused = false;
    self->refused[0] = '\0';
    log_info("redis_tls_renewed", log_nothing);
}

/* Authorities of before are trusted for a while: the servers do not all take up theirs at the same moment. */
static void end_overlap(redis_tls_t *self) {
    char reason[REASON_MAX];
    SSL_CTX *context = redis_tls_context_new(&self->files, NULL, reason, sizeof reason);
    if (context != NULL) { /* else at the next connect */
        use_context(self, context);
        self->former_until_ms = 0;
    }
}

static void look_at_files(redis_tls_t *self) {
    for (unsigned i = 0; i < FILES; i++) {
        bool differs = file_of(self, i)[0] != '\0' && file_watch_differs(&self->watches[i]);
        self->is_changed = self->is_changed || differs;
    }
    if (self->is_changed) {
        renew(self);
    } else if (self->former_until_ms != 0 && clock_monotonic_ms() >= self->former_until_ms) {
        end_overlap(self);
    }
}

void redis_tls_read_figures(const redis_tls_t *self, struct redis_tls_figures *ret_figures) {
    *ret_figures = self->figures;
    int64_t left_s = redis_tls_context_ends_in_s(self->context);
    ret_figures->expires_at_s = left_s == 0 ? 0 : clock_wall_ms() / 1000 + left_s;
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
    look_at_files(self);
    struct redis_tls_stream *stream = memory_alloc_zero(sizeof *stream);
    stream->tls = self;
    stream->reason = "the connection was cut";
    snprintf(stream->name, sizeof stream->name, "%s:%u", host, port);
    stream->ssl = SSL_new(self->context);
    const char *name = self->files.server_name[0] != '\0' ? self->files.server_name : host;
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
