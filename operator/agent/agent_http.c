/* See agent_http.h.
 *
 *   poll: listener (while a place is free), connections → read → whole head? → handler → write → close
 *
 * An answer fits the socket's buffer (under 5 KiB), so it is written at once; a peer that does not take it is cut.
 * Failures: no place free → new ones wait in the backlog; silent or dribbling peers lose their place after 2 s. */
#include "operator/agent/agent_http.h"

#include "base/clock.h"
#include "base/ip_address.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MS = 2000, BACKLOG = 64 };

struct connection {
    int fd; /* -1: free */
    uint64_t deadline_ms;
    size_t size;
    uint8_t request[AGENT_HTTP_REQUEST_MAX];
};

struct agent_http {
    int listener;
    uint16_t port;
    agent_http_handler_t handler;
    void *context;
    struct connection connections[AGENT_HTTP_CONNECTIONS];
};

/* ---- requests ---- */

enum agent_http_parse agent_http_parse(struct span bytes, struct span *ret_path) {
    if (bytes.size == 0 || memmem(bytes.data, bytes.size, "\r\n\r\n", 4) == NULL) {
        return bytes.size >= AGENT_HTTP_REQUEST_MAX ? AGENT_HTTP_BAD : AGENT_HTTP_MORE;
    }
    const uint8_t *end = memchr(bytes.data, '\r', bytes.size);
    struct span line = span_of(bytes.data, (size_t) (end - bytes.data));
    if (!span_starts_with(line, SPAN_LITERAL("GET /"))) {
        return AGENT_HTTP_BAD;
    }
    struct span path = span_of(line.data + 4, line.size - 4);
    const uint8_t *space = memchr(path.data, ' ', path.size);
    if (space == NULL ||
        !span_starts_with(span_of(space, path.size - (size_t) (space - path.data)), SPAN_LITERAL(" HTTP/1."))) {
        return AGENT_HTTP_BAD;
    }
    path.size = (size_t) (space - path.data);
    const uint8_t *query = memchr(path.data, '?', path.size);
    *ret_path = span_of(path.data, query == NULL ? path.size : (size_t) (query - path.data));
    return AGENT_HTTP_REQUEST;
}

static const char *status_text(unsigned status) {
    return status == 200 ? "OK" : status == 503 ? "Service Unavailable" : status == 404 ? "Not Found" : "Bad Request";
}

static void answer(struct connection *connection, unsigned status, const char *body) {
    char text[AGENT_HTTP_BODY_MAX + 256];
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                        "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
                        status, status_text(status), strlen(body), body);
    (void) send(connection->fd, text, (size_t) size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void close_connection(struct connection *connection) {
    (void) shutdown(connection->fd, SHUT_WR);
    close(connection->fd);
    connection->fd = -1;
}

static void read_request(agent_http_t *self, struct connection *connection) {
    ssize_t n = recv(connection->fd, connection->request + connection->size,
                     sizeof connection->request - connection->size, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close_connection(connection);
        }
        return;
    }
    connection->size += (size_t) n;
    struct span path;
    char body[AGENT_HTTP_BODY_MAX] = "{}\n";
    enum agent_http_parse parse = agent_http_parse(span_of(connection->request, connection->size), &path);
    if (parse == AGENT_HTTP_MORE) {
        return;
    }
    unsigned status = 400;
    if (parse == AGENT_HTTP_REQUEST) {
        status = self->handler(self->context, path, body);
    }
    answer(connection, status, body);
    close_connection(connection);
}

/* ---- connections ---- */

static struct connection *free_place(agent_http_t *self) {
    for (size_t i = 0; i < AGENT_HTTP_CONNECTIONS; i++) {
        if (self->connections[i].fd < 0) {
            return &self->connections[i];
        }
    }
    return NULL;
}

static void accept_one(agent_http_t *self, struct connection *place) {
    int fd = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        place->fd = fd;
        place->size = 0;
        place->deadline_ms = clock_monotonic_ms() + REQUEST_MS;
    }
}

static void cut_late_ones(agent_http_t *self) {
    uint64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < AGENT_HTTP_CONNECTIONS; i++) {
        if (self->connections[i].fd >= 0 && now >= self->connections[i].deadline_ms) {
            close_connection(&self->connections[i]);
        }
    }
}

void agent_http_turn(agent_http_t *self, unsigned wait_ms) {
    struct pollfd entries[AGENT_HTTP_CONNECTIONS + 1];
    struct connection *place = free_place(self);
    entries[0] = (struct pollfd){.fd = place == NULL ? -1 : self->listener, .events = POLLIN};
    for (size_t i = 0; i < AGENT_HTTP_CONNECTIONS; i++) {
        entries[i + 1] = (struct pollfd){.fd = self->connections[i].fd, .events = POLLIN};
    }
    if (poll(entries, AGENT_HTTP_CONNECTIONS + 1, (int) wait_ms) > 0) {
        for (size_t i = 0; i < AGENT_HTTP_CONNECTIONS; i++) {
            if (entries[i + 1].fd >= 0 && entries[i + 1].revents != 0) {
                read_request(self, &self->connections[i]);
            }
        }
        if (entries[0].fd >= 0 && entries[0].revents != 0) {
            accept_one(self, place);
        }
    }
    cut_late_ones(self);
}

/* ---- listening ---- */

static bool parse_address(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_size) {
    const char *colon = strrchr(text, ':');
    uint64_t port;
    char host[INET6_ADDRSTRLEN + 2];
    if (colon == NULL || (size_t) (colon - text) >= sizeof host || !span_parse_u64(span_of_text(colon + 1), &port) ||
        port > UINT16_MAX) {
        return false;
    }
    memcpy(host, text, (size_t) (colon - text));
    host[colon - text] = '\0';
    size_t size = strlen(host);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t) port)};
    memset(ret_address, 0, sizeof *ret_address);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(ret_address, &v4, sizeof v4);
        *ret_size = sizeof v4;
        return true;
    }
    if (size < 2 || host[0] != '[' || host[size - 1] != ']') {
        return false;
    }
    host[size - 1] = '\0';
    memcpy(ret_address, &v6, sizeof v6);
    *ret_size = sizeof v6;
    if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1) {
        return false;
    }
    memcpy(ret_address, &v6, sizeof v6);
    return true;
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    struct sockaddr_in v4;
    if (getsockname(fd, (struct sockaddr *) &address, &size) != 0) {
        return 0;
    }
    memcpy(&v4, &address, sizeof v4); /* the port stands at the same place in both families */
    return ntohs(v4.sin_port);
}

agent_http_t *agent_http_new(const char *address, agent_http_handler_t handler, void *context, char *ret_error,
                             size_t error_size) {
    struct sockaddr_storage socket_address;
    socklen_t size = 0;
    if (!parse_address(address, &socket_address, &size)) {
        snprintf(ret_error, error_size, "--listen: %s is no ADDRESS:PORT", address);
        return NULL;
    }
    const int on = 1;
    int fd = socket(socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *) &socket_address, size) != 0 || listen(fd, BACKLOG) != 0) {
        snprintf(ret_error, error_size, "--listen %s: %s", address, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    agent_http_t *self = memory_alloc_zero(sizeof *self);
    self->listener = fd;
    self->port = port_of(fd);
    self->handler = handler;
    self->context = context;
    for (size_t i = 0; i < AGENT_HTTP_CONNECTIONS; i++) {
        self->connections[i].fd = -1;
    }
    return self;
}

void agent_http_destroy(agent_http_t **self_p) {
    agent_http_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < AGENT_HTTP_CONNECTIONS; i++) {
        if (self->connections[i].fd >= 0) {
            close(self->connections[i].fd);
        }
    }
    close(self->listener);
    memory_free(self);
    *self_p = NULL;
}

uint16_t agent_http_port(const agent_http_t *self) {
    return self->port;
}
