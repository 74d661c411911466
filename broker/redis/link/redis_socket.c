/* See redis_socket.h. */
#include "broker/redis/link/redis_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static const char was_cut[] = "the connection was cut";

void redis_socket_init(struct redis_socket *self) {
    *self = (struct redis_socket){.fd = -1};
}

bool redis_socket_open(struct redis_socket *self, const struct sockaddr *address, socklen_t size) {
    self->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0) {
        return false;
    }
    if (address->sa_family != AF_UNIX) {
        setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    if (connect(self->fd, address, size) != 0 && errno != EINPROGRESS) {
        redis_socket_close(self);
        return false;
    }
    return true;
}

bool redis_socket_is_connected(const struct redis_socket *self) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

void redis_socket_close(struct redis_socket *self) {
    redis_tls_stream_destroy(&self->tls);
    if (self->fd >= 0) {
        close(self->fd);
    }
    redis_socket_init(self);
}

/* ---- TLS ---- */

bool redis_socket_start_tls(struct redis_socket *self, redis_tls_t *tls, const char *host, uint16_t port) {
    self->tls = redis_tls_stream_new(tls, self->fd, host, port);
    self->reason = self->tls == NULL ? "TLS could not be begun; is the host name in redis.url valid?" : NULL;
    return self->tls != NULL;
}

static enum redis_socket_result take(struct redis_socket *self, enum redis_tls_result result, bool is_read) {
    self->read_needs_write = is_read ? result == REDIS_TLS_WANT_WRITE : self->read_needs_write;
    self->write_needs_read = is_read ? self->write_needs_read : result == REDIS_TLS_WANT_READ;
    if (result == REDIS_TLS_CUT) {
        self->reason = redis_tls_stream_reason(self->tls);
        return REDIS_SOCKET_CUT;
    }
    return result == REDIS_TLS_DONE ? REDIS_SOCKET_DONE : REDIS_SOCKET_LATER;
}

enum redis_socket_result redis_socket_handshake(struct redis_socket *self) {
    return take(self, redis_tls_stream_handshake(self->tls), true);
}

bool redis_socket_has_pending(const struct redis_socket *self) {
    return self->tls != NULL && redis_tls_stream_has_pending(self->tls);
}

/* ---- bytes ---- */

static enum redis_socket_result failed(struct redis_socket *self) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return REDIS_SOCKET_LATER;
    }
    self->reason = was_cut;
    return REDIS_SOCKET_CUT;
}

enum redis_socket_result redis_socket_read(struct redis_socket *self, void *ret_bytes, size_t size, size_t *ret_size) {
    if (self->tls != NULL) {
        return take(self, redis_tls_stream_read(self->tls, ret_bytes, size, ret_size), true);
    }
    ssize_t n = 0;
    do {
        n = read(self->fd, ret_bytes, size);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return failed(self);
    }
    self->reason = was_cut;
    *ret_size = (size_t) n;
    return n == 0 ? REDIS_SOCKET_CUT : REDIS_SOCKET_DONE;
}

enum redis_socket_result redis_socket_write(struct redis_socket *self, const void *bytes, size_t size,
                                            size_t *ret_size) {
    if (self->tls != NULL) {
        return take(self, redis_tls_stream_write(self->tls, bytes, size, ret_size), false);
    }
    ssize_t n = 0;
    do {
        n = send(self->fd, bytes, size, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return failed(self);
    }
    *ret_size = (size_t) n;
    return REDIS_SOCKET_DONE;
}
