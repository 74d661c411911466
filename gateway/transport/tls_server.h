/* TLS of the public listener: certificate and key from files, and the rules that every handshake goes by (security.md
 * S19): TLS 1.2 and 1.3, ciphers with forward secrecy and authenticated encryption, no compression, no renegotiation.
 * When the files are read anew (tls_keeper.h), handshakes from then on show the new certificate; connections that stand
 * stay.
 * Thread: credentials are immutable once read, for any; a tls_server is its worker's. */
#ifndef CALLBOARD_GATEWAY_TLS_SERVER_H
#define CALLBOARD_GATEWAY_TLS_SERVER_H

#include "base/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tls_credentials tls_credentials_t;

/* PEM files; the certificate's with its intermediate ones behind it. NULL: ret_error says which file and what is wrong
 * with it (at least 256 bytes). */
tls_credentials_t *tls_credentials_read(const char *certificate_file, const char *key_file, char *ret_error,
                                        size_t error_size);
void tls_credentials_destroy(tls_credentials_t **self_p);
int64_t tls_credentials_begin_at_s(const tls_credentials_t *self); /* wall clock, as is this: */
int64_t tls_credentials_expire_at_s(const tls_credentials_t *self);

/* What TLS is for one worker. `credentials` may be replaced between turns; the old ones may then go. */
struct tls_server {
    const tls_credentials_t *credentials; /* NULL: the listener speaks no TLS */
    bool only_tls_1_3;                    /* taken by tls_server_prepare */
    metric_values_t *metrics;             /* of tls_metric_table */
};

enum tls_metric { TLS_METRIC_HANDSHAKES, TLS_METRIC_FAILURES, TLS_METRIC_EXPIRES_AT, TLS_METRICS };
extern const struct metric_description tls_metric_table[TLS_METRICS];

struct ssl_ctx_st;
/* Makes the context of the listener's vhost ours; `self` lives as long as it. */
void tls_server_prepare(struct tls_server *self, struct ssl_ctx_st *context);
/* Where the credentials were replaced: the metric of their end. */
void tls_server_use(struct tls_server *self, const tls_credentials_t *credentials);

#endif
