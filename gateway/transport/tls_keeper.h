/* Keeps the certificate of the public listener up to date: what the settings name at the start and at a reload, and
 * what stands in its files later, renewed by whoever does that (cert-manager, certbot). Looked at each
 * http.tls_check_interval; both files are taken or neither. Thread: the owner's, but for tls_keeper_read_status (any).
 */
#ifndef CALLBOARD_GATEWAY_TLS_KEEPER_H
#define CALLBOARD_GATEWAY_TLS_KEEPER_H

#include "base/file_watch.h"
#include "gateway/gateway_config.h"
#include "gateway/transport/tls_server.h"

typedef struct tls_keeper tls_keeper_t;

struct tls_keeper_options {
    const struct gateway_config *config; /* lives until the next one is taken */
    metrics_t *metrics;
    void *context;
    /* Of tls_keeper_look: a renewed one. The old one goes when this returns. */
    void (*on_renewed)(void *context, const tls_credentials_t *credentials);
};

/* NULL: a file does not serve, ret_error says which and why (at least 256 bytes). Without a certificate in the settings
 * there are no credentials, and never will be. */
tls_keeper_t *tls_keeper_new(const struct tls_keeper_options *options, char *ret_error, size_t error_size);
void tls_keeper_destroy(tls_keeper_t **self_p); /* accepts NULL */
/* NULL: no TLS. */
const tls_credentials_t *tls_keeper_credentials(const tls_keeper_t *self);

/* Once a second or so. Changed files that do not serve are told of by log and metrics, and tried again at the next
 * look; what is in use stays. */
void tls_keeper_look(tls_keeper_t *self);

/* ---- a reload, which others may still refuse ---- */

/* A value; credentials NULL: no TLS. */
struct tls_next {
    const struct gateway_config *config;
    tls_credentials_t *credentials;
    struct file_watch certificate_file;
    struct file_watch key_file;
};
/* False: what the new settings name may not replace what is in use, ret_error says why. */
bool tls_keeper_read_next(const tls_keeper_t *self, const struct gateway_config *config, struct tls_next *ret_next,
                          char *ret_error, size_t error_size);
/* From now on that; *next has the old credentials until the caller has told whoever uses them. */
void tls_keeper_take(tls_keeper_t *self, struct tls_next *next);
void tls_next_finish(struct tls_next *self);

struct tls_keeper_status {
    bool speaks_tls;
    int64_t expires_at_s; /* then: wall clock */
    bool is_renewal_refused;
};
void tls_keeper_read_status(const tls_keeper_t *self, struct tls_keeper_status *ret_status);

#endif
