/* See resp_client.h.
 *
 *   connect (non-blocking, poll) → TLS handshake → AUTH → command: write all, read until one reply is whole
 *
 * Failures: whatever does not come within timeout_ms, is cut, or breaks the protocol or its caps (a reply of 4 MiB,
 * 200,000 elements) sets the error and ends the connection; each later command answers NULL at once. Passwords are only
 * ever in AUTH's words: they are in no error and no log. */
#include "operator/redis/resp_client.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_BYTES_MAX = 4 * 1024 * 1024, REPLY_ELEMENTS_MAX = 200000, READ_SIZE = 16384 };

struct resp_client {
    int fd;
    redis_tls_stream_t *stream; /* NULL: plain */
    redis_reader_t *reader;
    struct buffer out;
    char *user;
    char *password;
    unsigned timeout_ms;
    uint64_t deadline_ms; /* of the call under way */
    bool is_cut;
    bool has_answered;
    char error[RESP_ERROR_MAX];
};

static bool cut(resp_client_t *self, const char *why) {
    if (!self->is_cut) {
        self->is_cut = true;
        snprintf(self->error, sizeof self->error, "%s", why);
    }
    return false;
}

/* Waits for the socket to be ready for `events`, at most to the call's deadline. */
static bool await_socket(resp_client_t *self, short events) {
    for (;;) {
        uint64_t now = clock_monotonic_ms();
        struct pollfd entry = {.fd = self->fd, .events = events};
        int n = now >= self->deadline_ms ? 0 : poll(&entry, 1, (int) (self->deadline_ms - now));
        if (n > 0) {
            return true;
        }
        if (n == 0) {
            return cut(self, "no answer in time");
        }
        if (errno != EINTR) {
            return cut(self, strerror(errno));
        }
    }
}

/* ---- bytes, plain or TLS: 1 done, 0 try again after waiting, -1 cut ---- */

static int after_tls(resp_client_t *self, enum redis_tls_result result) {
    switch (result) {
    case REDIS_TLS_DONE:
        return 1;
    case REDIS_TLS_WANT_READ:
        return await_socket(self, POLLIN) ? 0 : -1;
    case REDIS_TLS_WANT_WRITE:
        return await_socket(self, POLLOUT) ? 0 : -1;
    case REDIS_TLS_CUT:
        cut(self, redis_tls_stream_reason(self->stream));
        return -1;
    }
    return -1;
}

static int after_socket(resp_client_t *self, ssize_t n, short events) {
    if (n > 0) {
        return 1;
    }
    if (n == 0 && events == POLLIN) {
        cut(self, "the server closed the connection");
        return -1;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return await_socket(self, events) ? 0 : -1;
    }
    cut(self, strerror(errno));
    return -1;
}

static bool write_all(resp_client_t *self, struct span bytes) {
    size_t at = 0;
    while (at < bytes.size) {
        size_t taken = 0;
        int result;
        if (self->stream != NULL) {
            result = after_tls(self, redis_tls_stream_write(self->stream, bytes.data + at, bytes.size - at, &taken));
        } else {
            ssize_t n = send(self->fd, bytes.data + at, bytes.size - at, MSG_NOSIGNAL);
            taken = n > 0 ? (size_t) n : 0;
            result = after_socket(self, n, POLLOUT);
        }
        if (result < 0) {
            return false;
        }
        at += result > 0 ? taken : 0;
    }
    return true;
}

static bool read_bytes(resp_client_t *self, uint8_t *bytes, size_t capacity, size_t *ret_size) {
    int result;
    do {
        if (self->stream != NULL) {
            result = after_tls(self, redis_tls_stream_read(self->stream, bytes, capacity, ret_size));
        } else {
            ssize_t n = recv(self->fd, bytes, capacity, 0);
            *ret_size = n > 0 ? (size_t) n : 0;
            result = after_socket(self, n, POLLIN);
        }
    } while (result == 0);
    return result > 0;
}

static bool read_some(resp_client_t *self) {
    uint8_t bytes[READ_SIZE];
    size_t size = 0;
    return read_bytes(self, bytes, sizeof bytes, &size) &&
           (redis_reader_feed(self->reader, span_of(bytes, size)) || cut(self, redis_reader_error(self->reader)));
}

/* ---- connecting ---- */

static bool start_connect(resp_client_t *self, const struct resp_target *target) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(target->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(target->port)};
    bool is_v4 = inet_pton(AF_INET, target->address, &v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, target->address, &v6.sin6_addr) != 1) {
        return cut(self, "not an address");
    }
    self->fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0) {
        return cut(self, strerror(errno));
    }
    const int on = 1;
    (void) setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const struct sockaddr *address = is_v4 ? (const struct sockaddr *) &v4 : (const struct sockaddr *) &v6;
    if (connect(self->fd, address, is_v4 ? sizeof v4 : sizeof v6) == 0) {
        return true;
    }
    if (errno != EINPROGRESS) {
        return cut(self, strerror(errno));
    }
    if (!await_socket(self, POLLOUT)) {
        return false;
    }
    int error = 0;
    socklen_t size = sizeof error;
    (void) getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 || cut(self, strerror(error));
}

static bool start_tls(resp_client_t *self, const struct resp_target *target) {
    if (target->tls == NULL) {
        return true;
    }
    self->stream = redis_tls_stream_new(target->tls, self->fd, target->name, target->port);
    if (self->stream == NULL) {
        return cut(self, "TLS: the host is no name that a certificate could have");
    }
    int result;
    do {
        result = after_tls(self, redis_tls_stream_handshake(self->stream));
    } while (result == 0);
    return result > 0;
}

resp_client_t *resp_client_connect(const struct resp_target *target, char *ret_error, size_t error_size) {
    const struct redis_reply_limits limits = {.bytes = REPLY_BYTES_MAX, .elements = REPLY_ELEMENTS_MAX};
    resp_client_t *self = memory_alloc_zero(sizeof *self);
    self->fd = -1;
    self->reader = redis_reader_new(&limits);
    self->user = target->user == NULL ? NULL : memory_strdup(target->user);
    self->password = target->password == NULL ? NULL : memory_strdup(target->password);
    self->timeout_ms = target->timeout_ms;
    self->deadline_ms = clock_monotonic_ms() + target->timeout_ms;
    if (!start_connect(self, target) || !start_tls(self, target)) {
        snprintf(ret_error, error_size, "%s", self->error);
        resp_client_destroy(&self);
    }
    return self;
}

void resp_client_destroy(resp_client_t **self_p) {
    resp_client_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    redis_tls_stream_destroy(&self->stream);
    if (self->fd >= 0) {
        close(self->fd);
    }
    redis_reader_destroy(&self->reader);
    buffer_finish(&self->out);
    if (self->password != NULL) {
        explicit_bzero(self->password, strlen(self->password));
    }
    memory_free(self->password);
    memory_free(self->user);
    memory_free(self);
    *self_p = NULL;
}

/* ---- commands ---- */

void resp_encode(struct buffer *out, const char *const *words) {
    size_t n = 0;
    while (words[n] != NULL) {
        n++;
    }
    buffer_append_format(out, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) {
        buffer_append_format(out, "$%zu\r\n", strlen(words[i]));
        buffer_append_text(out, words[i]);
        buffer_append_text(out, "\r\n");
    }
}

static void begin_call(resp_client_t *self) {
    self->deadline_ms = clock_monotonic_ms() + self->timeout_ms;
}

static const struct redis_reply *read_reply(resp_client_t *self) {
    for (;;) {
        const struct redis_reply *reply = NULL;
        switch (redis_reader_next(self->reader, &reply)) {
        case REDIS_READ_REPLY:
            self->has_answered = true;
            return reply;
        case REDIS_READ_MORE:
            if (!read_some(self)) {
                return NULL;
            }
            break;
        case REDIS_READ_BROKEN:
            cut(self, redis_reader_error(self->reader));
            return NULL;
        }
    }
}

const struct redis_reply *resp_client_command(resp_client_t *self, const char *const *words) {
    if (self->is_cut) {
        return NULL;
    }
    begin_call(self);
    buffer_clear(&self->out);
    resp_encode(&self->out, words);
    return write_all(self, buffer_span(&self->out)) ? read_reply(self) : NULL;
}

bool resp_client_send(resp_client_t *self, struct span bytes) {
    begin_call(self);
    return !self->is_cut && write_all(self, bytes);
}

const struct redis_reply *resp_client_reply(resp_client_t *self) {
    begin_call(self);
    return self->is_cut ? NULL : read_reply(self);
}

bool resp_client_receive(resp_client_t *self, void *ret_bytes, size_t capacity, size_t *ret_size) {
    begin_call(self);
    *ret_size = 0;
    return !self->is_cut && read_bytes(self, ret_bytes, capacity, ret_size);
}

void resp_client_set_timeout(resp_client_t *self, unsigned timeout_ms) {
    self->timeout_ms = timeout_ms;
}

bool resp_client_login(resp_client_t *self, char *ret_error, size_t error_size) {
    if (self->password == NULL || self->password[0] == '\0') {
        return true;
    }
    bool has_user = self->user != NULL && self->user[0] != '\0';
    const struct redis_reply *reply = has_user ? resp_client_call(self, "AUTH", self->user, self->password)
                                               : resp_client_call(self, "AUTH", self->password);
    if (self->out.size > 0) {
        explicit_bzero(self->out.data, self->out.size);
    }
    if (resp_reply_is_ok(reply)) {
        return true;
    }
    if (reply == NULL) {
        snprintf(ret_error, error_size, "%s", self->error);
    } else {
        snprintf(ret_error, error_size, "login refused: %.*s", (int) (reply->text.size < 200 ? reply->text.size : 200),
                 (const char *) reply->text.data);
    }
    return false;
}

resp_client_t *resp_client_open(const struct resp_target *target, char *ret_error, size_t error_size) {
    resp_client_t *self = resp_client_connect(target, ret_error, error_size);
    if (self != NULL && !resp_client_login(self, ret_error, error_size)) {
        resp_client_destroy(&self);
    }
    return self;
}

const char *resp_client_error(const resp_client_t *self) {
    return self->error;
}

bool resp_client_has_answered(const resp_client_t *self) {
    return self->has_answered;
}

bool resp_reply_is_ok(const struct redis_reply *reply) {
    return reply != NULL && redis_reply_is_text(reply, "OK");
}
