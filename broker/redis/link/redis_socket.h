/* One non-blocking stream socket to a Redis, in plain or through TLS; the link above it does not care. Thread: the
 * owner's. */
#ifndef CALLBOARD_BROKER_REDIS_SOCKET_H
#define CALLBOARD_BROKER_REDIS_SOCKET_H

#include "base/redis_tls.h"

#include <sys/socket.h>

struct redis_socket {
    int fd; /* -1: closed */
    redis_tls_stream_t *tls;
    /* TLS may have to write in order to read, and the other way round. */
    bool read_needs_write;
    bool write_needs_read;
    const char *reason; /* why it was cut: static text */
};

enum redis_socket_result {
    REDIS_SOCKET_DONE,
    REDIS_SOCKET_LATER, /* when it can be read or written, as asked for; see the two flags */
    REDIS_SOCKET_CUT,
};

void redis_socket_init(struct redis_socket *self);
/* Begins to connect; it is connected, or not, when it can be written. False: it cannot be. */
bool redis_socket_open(struct redis_socket *self, const struct sockaddr *address, socklen_t size);
bool redis_socket_is_connected(const struct redis_socket *self); /* once it can be written */
/* From now on through TLS, in steps: until DONE, again when it can be read, or written where read_needs_write. */
bool redis_socket_start_tls(struct redis_socket *self, redis_tls_t *tls, const char *host, uint16_t port);
enum redis_socket_result redis_socket_handshake(struct redis_socket *self);
/* Some bytes, at least one when DONE. */
enum redis_socket_result redis_socket_read(struct redis_socket *self, void *ret_bytes, size_t size, size_t *ret_size);
enum redis_socket_result redis_socket_write(struct redis_socket *self, const void *bytes, size_t size,
                                            size_t *ret_size);
/* Bytes to read that no poll will tell of. */
bool redis_socket_has_pending(const struct redis_socket *self);
/* After its poll handle was closed. Harmless twice. */
void redis_socket_close(struct redis_socket *self);

#endif
