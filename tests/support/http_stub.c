/* See http_stub.h. Stopping shuts the listening socket down, which ends the accept that waits on it. */
#include "tests/support/http_stub.h"

#include "base/check.h"
#include "base/memory.h"
#include "tests/support/free_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { REQUEST_MAX = 4096 };

struct http_stub {
    const struct http_stub_page *pages;
    int listener;
    pthread_t thread;
    char base[64];
};

static const struct http_stub_page *find(const struct http_stub *self, const char *request) {
    for (const struct http_stub_page *page = self->pages; page->path != NULL; page++) {
        size_t size = strlen(page->path);
        if (strncmp(request, "GET ", 4) == 0 && strncmp(request + 4, page->path, size) == 0 &&
            request[4 + size] == ' ') {
            return page;
        }
    }
    return NULL;
}

static void answer(const struct http_stub *self, int connection) {
    char request[REQUEST_MAX + 1];
    size_t size = 0;
    const struct timeval timeout = {.tv_sec = 10};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    do {
        ssize_t more = recv(connection, request + size, REQUEST_MAX - size, 0);
        if (more <= 0) {
            return;
        }
        size += (size_t) more;
        request[size] = '\0';
    } while (strstr(request, "\r\n\r\n") == NULL && size < REQUEST_MAX);
    const struct http_stub_page *page = find(self, request);
    char head[128];
    int head_size =
        snprintf(head, sizeof head, "HTTP/1.1 %d OK\r\nConnection: close\r\n\r\n", page == NULL ? 404 : page->status);
    send(connection, head, (size_t) head_size, MSG_NOSIGNAL);
    if (page != NULL) {
        send(connection, page->body, strlen(page->body), MSG_NOSIGNAL);
    }
}

static void *run(void *argument) {
    struct http_stub *self = argument;
    for (;;) {
        int connection = accept(self->listener, NULL, NULL);
        if (connection < 0) {
            return NULL;
        }
        answer(self, connection);
        close(connection);
    }
}

http_stub_t *http_stub_start(const struct http_stub_page *pages) {
    struct http_stub *self = memory_alloc_zero(sizeof *self);
    int port = free_port();
    const struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t) port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    self->pages = pages;
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(self->listener >= 0 && bind(self->listener, (const struct sockaddr *) &name, sizeof name) == 0 &&
              listen(self->listener, 16) == 0,
          "cannot listen on port %d", port);
    snprintf(self->base, sizeof self->base, "http://127.0.0.1:%d", port);
    check(pthread_create(&self->thread, NULL, run, self) == 0, "no thread");
    return self;
}

void http_stub_stop(http_stub_t **self_p) {
    http_stub_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    shutdown(self->listener, SHUT_RDWR);
    pthread_join(self->thread, NULL);
    close(self->listener);
    memory_free(self);
    *self_p = NULL;
}

const char *http_stub_base(const http_stub_t *self) {
    return self->base;
}
