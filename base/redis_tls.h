/* TLS to Redis, the client's side: one context for all connections of a shard (trusted authorities, our certificate,
 * sessions to resume), one redis_tls_stream a connection. At least TLS 1.2; the server's certificate has to be valid,
 * signed by a trusted authority and made for the name or address that was dialled (or redis.tls_server_name).
 * Renewed files are taken up by the next connection; the authorities of before are trusted for an hour more.
 * Writing to a cut connection raises SIGPIPE, which our programs ignore. Thread: the shard's. */
#ifndef CALLBOARD_BASE_REDIS_TLS_H
#define CALLBOARD_BASE_REDIS_TLS_H

#include "base/bytes.h"
#include "base/redis_tls_context.h"

typedef struct redis_tls redis_tls_t;
typedef struct redis_tls_stream redis_tls_stream_t;

/* NULL: ret_error says which file and how to mend it. */
redis_tls_t *redis_tls_new(const struct redis_tls_options *options, char *ret_error, size_t error_size);
/* After its last stream. Accepts NULL. */
void redis_tls_destroy(redis_tls_t **self_p);

struct redis_tls_figures {
    uint64_t n_renewals;  /* changed files that were taken up */
    uint64_t n_failures;  /* connections that found changed files which do not serve */
    bool is_refused;      /* so it stands now: the old ones are in use */
    int64_t expires_at_s; /* our own certificate, wall clock; 0: none */
};
void redis_tls_read_figures(const redis_tls_t *self, struct redis_tls_figures *ret_figures);

/* Of a connected socket, which stays the caller's; host and port: what was dialled. NULL: the host is no name. */
redis_tls_stream_t *redis_tls_stream_new(redis_tls_t *self, int fd, const char *host, uint16_t port);
/* Says goodbye where that is possible without waiting. Accepts NULL. */
void redis_tls_stream_destroy(redis_tls_stream_t **self_p);

enum redis_tls_result {
    REDIS_TLS_DONE,
    REDIS_TLS_WANT_READ,  /* call again when the socket can be read */
    REDIS_TLS_WANT_WRITE, /* call again when it can be written */
    REDIS_TLS_CUT,        /* closed or broken: redis_tls_stream_reason */
};
enum redis_tls_result redis_tls_stream_handshake(redis_tls_stream_t *self);
enum redis_tls_result redis_tls_stream_read(redis_tls_stream_t *self, void *ret_bytes, size_t size, size_t *ret_size);
enum redis_tls_result redis_tls_stream_write(redis_tls_stream_t *self, const void *bytes, size_t size,
                                             size_t *ret_size);
/* Behind the handshake: was it a short one, with a session of an earlier connection to the same place? */
bool redis_tls_stream_is_resumed(const redis_tls_stream_t *self);
/* Bytes that were read off the socket and not asked for yet: no poll will tell of them. */
bool redis_tls_stream_has_pending(const redis_tls_stream_t *self);
/* Why it was cut and how to mend it: static text. Whether it begins with "TLS: " tells a refusal from a cut. */
const char *redis_tls_stream_reason(const redis_tls_stream_t *self);

#endif
