/* The poll callback accepts until EAGAIN or a bound a turn, so that a flood of connects does not starve those that are
 * there. Failures: a connection that is gone before it was accepted (ECONNABORTED and its like) is skipped; when
 * descriptors or memory are out (EMFILE, ENFILE, ENOBUFS, ENOMEM) the socket stays readable, so polling pauses for
 * 100 ms instead of spinning. */
#include "base/tcp_listener.h"

#include "base/check.h"
#include "base/memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS_PER_TURN = 64, PAUSE_MS = 100, HANDLES = 2 };

struct tcp_listener {
    int descriptor;
    int port;
    struct tcp_listener_options options; /* address is not kept */
    uv_poll_t poll;
    uv_timer_t pause;
    bool closing;
    unsigned open_handles;
    void (*on_closed)(void *context);
    void *closed_context;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer) {
    tcp_listener_t *self = timer->data;
    uv_poll_start(&self->poll, UV_READABLE, on_poll);
}

static void pause_accepting(tcp_listener_t *self, int error_number) {
    uv_poll_stop(&self->poll);
    uv_timer_start(&self->pause, on_pause_over, PAUSE_MS, 0);
    if (self->options.on_exhausted != NULL) {
        self->options.on_exhausted(self->options.context, error_number);
    }
}

static bool is_exhaustion(int error_number) {
    return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS || error_number == ENOMEM;
}

/* False: nothing more to accept now. */
static bool accept_one(tcp_listener_t *self) {
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof(peer);
    int descriptor = accept4(self->descriptor, (struct sockaddr *) &peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
        self->options.on_accept(self->options.context, descriptor, &peer);
        return true;
    }
    if (is_exhaustion(errno)) {
        pause_accepting(self, errno);
        return false;
    }
    return errno != EAGAIN && errno != EWOULDBLOCK;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void) status;
    (void) events;
    tcp_listener_t *self = poll->data;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && !self->closing; i++) {
        if (!accept_one(self)) {
            return;
        }
    }
}

/* --- life cycle --- */

static bool parse_address(const struct tcp_listener_options *options, struct sockaddr_storage *ret_address,
                          socklen_t *ret_size) {
    if (uv_ip4_addr(options->address, options->port, (struct sockaddr_in *) ret_address) == 0) {
        *ret_size = sizeof(struct sockaddr_in);
        return true;
    }
    *ret_size = sizeof(struct sockaddr_in6);
    return uv_ip6_addr(options->address, options->port, (struct sockaddr_in6 *) ret_address) == 0;
}

static int bound_port(int descriptor) {
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    check(getsockname(descriptor, (struct sockaddr *) &address, &size) == 0, "getsockname: %s", strerror(errno));
    /* sin_port and sin6_port stand at the same place. */
    return ntohs(((struct sockaddr_in *) &address)->sin_port);
}

/* -1 with errno set. */
static int open_socket(const struct tcp_listener_options *options, const struct sockaddr_storage *address,
                       socklen_t size) {
    int on = 1;
    int off = 0;
    int descriptor = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -1;
    }
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* accepted sockets inherit it */
    if (address->ss_family == AF_INET6) {
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if ((options->share_port && setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        bind(descriptor, (const struct sockaddr *) address, size) != 0 || listen(descriptor, BACKLOG) != 0) {
        int error_number = errno;
        close(descriptor);
        errno = error_number;
        return -1;
    }
    return descriptor;
}

static void start(tcp_listener_t *self, uv_loop_t *loop) {
    int status = uv_poll_init(loop, &self->poll, self->descriptor);
    check(status == 0, "polling a listening socket: %s", uv_strerror(status));
    uv_timer_init(loop, &self->pause);
    self->poll.data = self->pause.data = self;
    self->open_handles = HANDLES;
    uv_poll_start(&self->poll, UV_READABLE, on_poll);
}

tcp_listener_t *tcp_listener_new(uv_loop_t *loop, const struct tcp_listener_options *options, char *ret_error,
                                 size_t error_size) {
    struct sockaddr_storage address = {0};
    socklen_t size = 0;
    if (!parse_address(options, &address, &size)) {
        snprintf(ret_error, error_size, "cannot listen on %s: not an IPv4 or IPv6 address", options->address);
        return NULL;
    }
    int descriptor = open_socket(options, &address, size);
    if (descriptor < 0) {
        snprintf(ret_error, error_size, "cannot listen on %s port %d: %s", options->address, options->port,
                 strerror(errno));
        return NULL;
    }
    tcp_listener_t *self = memory_alloc_zero(sizeof(*self));
    self->descriptor = descriptor;
    self->port = bound_port(descriptor);
    self->options = *options;
    self->options.address = NULL;
    start(self, loop);
    return self;
}

int tcp_listener_port(const tcp_listener_t *self) {
    return self->port;
}

static void on_handle_closed(uv_handle_t *handle) {
    tcp_listener_t *self = handle->data;
    self->open_handles--;
    if (self->open_handles != 0) {
        return;
    }
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->closed_context;
    memory_free(self);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

void tcp_listener_close(tcp_listener_t **self_p, void (*on_closed)(void *context), void *context) {
    tcp_listener_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    self->closing = true;
    self->on_closed = on_closed;
    self->closed_context = context;
    uv_close((uv_handle_t *) &self->poll, on_handle_closed);
    uv_close((uv_handle_t *) &self->pause, on_handle_closed);
    /* The poll handle is out of the loop's epoll set from here on. */
    close(self->descriptor);
}
