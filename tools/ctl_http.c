/* See ctl_http.h. Sockets that do not block, with one deadline over name, connection and answer together. */
#include "tools/ctl_http.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 4 << 20, HOST_MAX = 255, PORT_TEXT_MAX = 8 };

struct place {
    char host[HOST_MAX + 1];
    char port[PORT_TEXT_MAX];
};

/* scheme://host:port or scheme://[v6]:port, a path behind it is ignored. */
static bool parse_place(const char *url, struct place *ret_place) {
    const char *at = strstr(url, "://");
    if (at == NULL) {
        return false;
    }
    at += 3;
    size_t size = strcspn(at, "/");
    const char *colon = memrchr(at, ':', size);
    if (colon == NULL || size - (size_t) (colon - at) - 1 >= PORT_TEXT_MAX) {
        return false;
    }
    const char *host = at;
    size_t host_size = (size_t) (colon - at);
    if (host_size >= 2 && host[0] == '[' && host[host_size - 1] == ']') {
        host++;
        host_size -= 2;
    }
    if (host_size == 0 || host_size > HOST_MAX) {
        return false;
    }
    snprintf(ret_place->host, sizeof ret_place->host, "%.*s", (int) host_size, host);
    if (strcmp(ret_place->host, "0.0.0.0") == 0 || strcmp(ret_place->host, "*") == 0) {
        snprintf(ret_place->host, sizeof ret_place->host, "127.0.0.1"); /* it listens there, too */
    } else if (strcmp(ret_place->host, "::") == 0) {
        snprintf(ret_place->host, sizeof ret_place->host, "::1");
    }
    snprintf(ret_place->port, sizeof ret_place->port, "%.*s", (int) (size - (size_t) (colon - at) - 1), colon + 1);
    return true;
}

static int left_ms(uint64_t deadline_ms) {
    uint64_t now_ms = clock_monotonic_ms();
    return deadline_ms > now_ms ? (int) (deadline_ms - now_ms) : 0;
}

/* ---- names: a thread of their own, since a resolver may take its time ---- */

struct question {
    struct place place;
    struct addrinfo *addresses; /* NULL: result says why */
    int result;
    atomic_bool is_left; /* by the thread with its answer, or by who gave up waiting: the second one frees it */
};

static void *answer_question(void *argument) {
    struct question *question = argument;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    question->result = getaddrinfo(question->place.host, question->place.port, &hints, &question->addresses);
    if (atomic_exchange(&question->is_left, true)) {
        if (question->result == 0) {
            freeaddrinfo(question->addresses);
        }
        memory_free(question);
    }
    return NULL;
}

/* NULL: the name is not known, or not answered in time. */
static struct addrinfo *resolve(const struct place *place, uint64_t deadline_ms, const char **ret_error) {
    pthread_t thread;
    struct timespec until;
    struct question *question = memory_alloc_zero(sizeof *question);
    question->place = *place;
    if (pthread_create(&thread, NULL, answer_question, question) != 0) {
        *ret_error = "no thread to look the name up";
        memory_free(question);
        return NULL;
    }
    int64_t wait_ms = clock_wall_ms() + left_ms(deadline_ms);
    until = (struct timespec){.tv_sec = (time_t) (wait_ms / 1000), .tv_nsec = (long) (wait_ms % 1000) * 1000000};
    bool is_joined = pthread_timedjoin_np(thread, NULL, &until) == 0;
    if (!atomic_exchange(&question->is_left, true)) {
        pthread_detach(thread); /* it frees the question when the resolver has answered */
        *ret_error = "the name is not answered in time";
        return NULL;
    }
    if (!is_joined) {
        pthread_join(thread, NULL);
    }
    struct addrinfo *addresses = question->result == 0 ? question->addresses : NULL;
    *ret_error = question->result == 0 ? "" : gai_strerror(question->result);
    memory_free(question);
    return addresses;
}

/* ---- connections ---- */

static int connect_one(const struct addrinfo *address, uint64_t deadline_ms, const char **ret_error) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *ret_error = strerror(errno);
        return -1;
    }
    int error = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        socklen_t size = sizeof error;
        error = ETIMEDOUT;
        if (poll(&ready, 1, left_ms(deadline_ms)) == 1) {
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        }
    }
    if (error == 0) {
        return fd;
    }
    *ret_error = error == ETIMEDOUT ? "no answer in 2 s" : strerror(error);
    close(fd);
    return -1;
}

/* -1: *ret_error says why. */
static int open_connection(const struct place *place, uint64_t deadline_ms, const char **ret_error) {
    struct addrinfo *addresses = resolve(place, deadline_ms, ret_error);
    int fd = -1;
    for (const struct addrinfo *address = addresses; address != NULL && fd < 0; address = address->ai_next) {
        fd = connect_one(address, deadline_ms, ret_error);
    }
    if (addresses != NULL) {
        freeaddrinfo(addresses);
    }
    return fd;
}

bool ctl_can_connect(const char *endpoint, char *ret_error, size_t error_size) {
    struct place place;
    const char *error = "not an address like tcp://host:port";
    int fd =
        parse_place(endpoint, &place) ? open_connection(&place, clock_monotonic_ms() + CTL_HTTP_WAIT_MS, &error) : -1;
    if (fd < 0) {
        snprintf(ret_error, error_size, "%s", error);
        return false;
    }
    close(fd);
    return true;
}

/* ---- pages ---- */

static bool send_all(int fd, const struct buffer *request, uint64_t deadline_ms) {
    size_t sent = 0;
    while (sent < request->size) {
        ssize_t size = send(fd, request->data + sent, request->size - sent, MSG_NOSIGNAL);
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (size > 0) {
            sent += (size_t) size;
        } else if ((size < 0 && errno != EAGAIN) || poll(&ready, 1, left_ms(deadline_ms)) != 1) {
            return false;
        }
    }
    return true;
}

/* False: not over in time. */
static bool receive_all(int fd, struct buffer *answer, uint64_t deadline_ms) {
    char piece[16384];
    for (;;) {
        ssize_t size = recv(fd, piece, sizeof piece, 0);
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (size > 0) {
            if (!buffer_append(answer, piece, (size_t) size)) {
                return false;
            }
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            return true; /* an answer cut short has no status, or no whole body: seen there */
        } else if (poll(&ready, 1, left_ms(deadline_ms)) != 1) {
            return false;
        }
    }
}

/* "HTTP/1.1 200 OK" … empty line, body. */
static bool take_answer(struct ctl_page *page) {
    struct span text = buffer_span(&page->answer);
    const uint8_t *end = text.size == 0 ? NULL : memmem(text.data, text.size, "\r\n\r\n", 4);
    uint64_t status = 0;
    if (end == NULL || text.size < 12 || !span_starts_with(text, SPAN_LITERAL("HTTP/1.")) ||
        !span_parse_u64(span_of(text.data + 9, 3), &status)) {
        return false;
    }
    size_t head = (size_t) (end - text.data) + 4;
    page->status = (unsigned) status;
    page->body = span_of(text.data + head, text.size - head);
    return true;
}

static void ask(struct ctl_page *page, const struct place *place, const char *path, const char *token) {
    uint64_t deadline_ms = clock_monotonic_ms() + CTL_HTTP_WAIT_MS;
    const char *error = NULL;
    int fd = open_connection(place, deadline_ms, &error);
    if (fd < 0) {
        snprintf(page->error, sizeof page->error, "%s", error);
        return;
    }
    struct buffer request = BUFFER_EMPTY;
    bool is_v6 = strchr(place->host, ':') != NULL;
    buffer_append_format(&request, "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nConnection: close\r\n%s%s%s\r\n", path,
                         is_v6 ? "[" : "", place->host, is_v6 ? "]" : "", place->port,
                         token[0] == '\0' ? "" : "Authorization: Bearer ", token, token[0] == '\0' ? "" : "\r\n");
    bool is_whole = send_all(fd, &request, deadline_ms) && receive_all(fd, &page->answer, deadline_ms);
    explicit_bzero(request.data, request.size);
    buffer_finish(&request);
    close(fd);
    if (!is_whole) {
        snprintf(page->error, sizeof page->error, "connected, but no whole answer in 2 s");
    } else if (!take_answer(page)) {
        snprintf(page->error, sizeof page->error, "connected, but the answer is not HTTP");
    }
}

void ctl_page_get(struct ctl_page *ret_page, const char *base, const char *path, const char *token) {
    struct place place;
    *ret_page = (struct ctl_page){.status = 0};
    buffer_init(&ret_page->answer, ANSWER_MAX);
    snprintf(ret_page->url, sizeof ret_page->url, "%s%s", base, path);
    if (parse_place(base, &place)) {
        ask(ret_page, &place, path, token);
    } else {
        snprintf(ret_page->error, sizeof ret_page->error, "not an address like http://host:port");
    }
}

void ctl_page_finish(struct ctl_page *self) {
    buffer_finish(&self->answer);
}
