/* A listening TCP socket on a libuv loop that hands accepted descriptors on. Several listeners of one process (or of
 * several) may share a port with SO_REUSEPORT: the kernel spreads the connections.
 * Thread: the loop's. */
#ifndef CALLBOARD_BASE_TCP_LISTENER_H
#define CALLBOARD_BASE_TCP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

typedef struct tcp_listener tcp_listener_t;

struct tcp_listener_options {
    const char *address; /* "127.0.0.1", "0.0.0.0", "::1", "::" (both families) */
    int port;            /* 0: any free one */
    bool share_port;     /* SO_REUSEPORT */
    /* A connection: non-blocking, close-on-exec, TCP_NODELAY. The callee owns the descriptor. */
    void (*on_accept)(void *context, int descriptor, const struct sockaddr_storage *peer);
    /* Accepting pauses for a moment because descriptors or memory are out. May be NULL. */
    void (*on_exhausted)(void *context, int error_number);
    void *context;
};

/* NULL: ret_error says why (address, port, reason). */
tcp_listener_t *tcp_listener_new(uv_loop_t *loop, const struct tcp_listener_options *options, char *ret_error,
                                 size_t error_size);
int tcp_listener_port(const tcp_listener_t *self);
/* Stops accepting at once and closes the socket; what waits in its queue is refused by the kernel. on_closed (may be
 * NULL) when the loop holds nothing of it any more. Nulls the caller's pointer, accepts NULL. */
void tcp_listener_close(tcp_listener_t **self_p, void (*on_closed)(void *context), void *context);

#endif
