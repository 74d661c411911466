/* See http_get.h. */
#include "tests/support/http_get.h"

#include "base/check.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_TIMEOUT_MS = 5000, ANSWER_MAX = 16 << 20 };

static int connect_to(int port, unsigned timeout_ms) {
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(connection >= 0, "no socket");
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = (long) (timeout_ms % 1000) * 1000};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    const struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t) port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(connection, (const struct sockaddr *) &name, sizeof name) != 0) {
        close(connection);
        return -1;
    }
    return connection;
}

static void read_to_end(int connection, struct buffer *text) {
    char piece[65536];
    ssize_t size = 0;
    while ((size = recv(connection, piece, sizeof piece, 0)) > 0 && buffer_append(text, piece, (size_t) size)) {
    }
}

struct http_got http_get(int port, const char *path, const char *header, unsigned timeout_ms) {
    struct http_got got = {.status = 0, .body = ""};
    buffer_init(&got.text, ANSWER_MAX);
    int connection = connect_to(port, timeout_ms);
    if (connection < 0) {
        return got;
    }
    struct buffer request = BUFFER_EMPTY;
    buffer_append_format(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n%s%s\r\n", path, port,
                         header == NULL ? "" : header, header == NULL ? "" : "\r\n");
    if (send(connection, request.data, request.size, MSG_NOSIGNAL) == (ssize_t) request.size) {
        read_to_end(connection, &got.text);
    }
    close(connection);
    buffer_finish(&request);
    buffer_append_char(&got.text, '\0');
    const char *text = (const char *) got.text.data;
    const char *head_end = strstr(text, "\r\n\r\n");
    got.body = head_end == NULL ? "" : head_end + 4;
    if (sscanf(text, "HTTP/%*d.%*d %d", &got.status) != 1) {
        got.status = 0;
    }
    return got;
}

void http_got_finish(struct http_got *self) {
    buffer_finish(&self->text);
    self->body = "";
}

int http_get_status(int port, const char *path) {
    struct http_got got = http_get(port, path, NULL, STATUS_TIMEOUT_MS);
    http_got_finish(&got);
    return got.status;
}

bool http_wait_status(int port, const char *path, int expected, unsigned timeout_ms) {
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (http_get_status(port, path) != expected) {
        if (clock_monotonic_ms() >= deadline_ms) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return true;
}
