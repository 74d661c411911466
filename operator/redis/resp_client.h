/* One connection to a Redis or a Sentinel for work that may wait: each call ends within its deadline. TCP or TLS; the
 * reader and the TLS streams are the broker's. After a failure (not: after an error that Redis answered) the connection
 * is of no use any more. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_RESP_CLIENT_H
#define CALLBOARD_OPERATOR_RESP_CLIENT_H

#include "base/redis_reply.h"
#include "base/redis_tls.h"

typedef struct resp_client resp_client_t;

enum { RESP_ERROR_MAX = 256, RESP_WORDS_MAX = 16 };

struct resp_target {
    const char *name;    /* as it was asked for: what the certificate is made for */
    const char *address; /* numeric */
    uint16_t port;
    redis_tls_t *tls;     /* NULL: plain */
    const char *user;     /* NULL or empty: the default one */
    const char *password; /* NULL or empty: no AUTH */
    unsigned timeout_ms;  /* of the connect, and of each command */
};

/* Connected (with TLS: the handshake done), nothing asked yet. NULL: ret_error says why. */
resp_client_t *resp_client_connect(const struct resp_target *target, char *ret_error, size_t error_size);
void resp_client_destroy(resp_client_t **self_p); /* accepts NULL */

/* Logs in where the target has a password. False: cut, or refused (ret_error has the server's words). */
bool resp_client_login(resp_client_t *self, char *ret_error, size_t error_size);
/* connect and login. */
resp_client_t *resp_client_open(const struct resp_target *target, char *ret_error, size_t error_size);

/* One command of NULL-terminated words (at most RESP_WORDS_MAX); the answer is valid until the next call. NULL: cut or
 * out of time, see resp_client_error. */
const struct redis_reply *resp_client_command(resp_client_t *self, const char *const *words);
#define resp_client_call(self, ...) resp_client_command((self), (const char *const[]){__VA_ARGS__, NULL})
const char *resp_client_error(const resp_client_t *self);

/* For what is more than one command after another: encoded commands that are sent together, their replies one by one
 * (as from resp_client_command), and bytes that are no replies, as behind PSYNC. Each call has the timeout anew. */
bool resp_client_send(resp_client_t *self, struct span bytes);
const struct redis_reply *resp_client_reply(resp_client_t *self);
bool resp_client_receive(resp_client_t *self, void *ret_bytes, size_t capacity, size_t *ret_size);
void resp_client_set_timeout(resp_client_t *self, unsigned timeout_ms);

/* Whether the server ever answered anything on this connection. */
bool resp_client_has_answered(const resp_client_t *self);
bool resp_reply_is_ok(const struct redis_reply *reply); /* NULL is not */

/* Pure: a command as RESP. */
void resp_encode(struct buffer *out, const char *const *words);

#endif
