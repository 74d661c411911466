#include "tests/support/raw_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void raw_client_connect(struct raw_client *self, int port) {
    memset(self, 0, sizeof *self);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    self->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(self->descriptor >= 0);
    int on = 1;
    setsockopt(self->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(self->descriptor, (struct sockaddr *) &address, sizeof address) != 0) {
        fail_msg("connect to port %d: %s", port, strerror(errno));
    }
}

void raw_client_close(struct raw_client *self) {
    if (self->descriptor >= 0) {
        close(self->descriptor);
    }
    self->descriptor = -1;
    buffer_finish(&self->input);
}

void raw_client_send(struct raw_client *self, const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t sent = send(self->descriptor, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return; /* the server closed: the reading side will tell */
        }
        at += sent;
        size -= (size_t) sent;
    }
}

void raw_client_send_text(struct raw_client *self, const char *text) {
    raw_client_send(self, text, strlen(text));
}

/* Reads what is there, waiting at most until the deadline; false: nothing came in time. */
static bool read_some(struct raw_client *self, int64_t deadline_ms) {
    struct pollfd waited = {.fd = self->descriptor, .events = POLLIN};
    int64_t left = deadline_ms - now_ms();
    int n = poll(&waited, 1, left < 0 ? 0 : (int) left);
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    uint8_t bytes[65536];
    ssize_t size = recv(self->descriptor, bytes, sizeof bytes, 0);
    if (size <= 0) {
        self->is_closed = true;
        return true;
    }
    buffer_append(&self->input, bytes, (size_t) size);
    return true;
}

bool raw_client_read_all(struct raw_client *self) {
    int64_t deadline = now_ms() + RAW_CLIENT_DEADLINE_MS;
    while (!self->is_closed && read_some(self, deadline)) {
    }
    return self->is_closed;
}

bool raw_client_contains(const struct raw_client *self, const char *text) {
    return self->input.size > 0 && memmem(self->input.data, self->input.size, text, strlen(text)) != NULL;
}

bool raw_client_starts_with(const struct raw_client *self, const char *text) {
    return span_starts_with(buffer_span(&self->input), span_of_text(text));
}

bool raw_client_read_until(struct raw_client *self, const char *text) {
    int64_t deadline = now_ms() + RAW_CLIENT_DEADLINE_MS;
    while (!raw_client_contains(self, text)) {
        if (self->is_closed) {
            return false;
        }
        if (!read_some(self, deadline)) {
            fail_msg("\"%s\" did not come in time; got: %.*s", text, (int) self->input.size,
                     (const char *) self->input.data);
        }
    }
    return true;
}

bool raw_client_read_size(struct raw_client *self, size_t size) {
    int64_t deadline = now_ms() + RAW_CLIENT_DEADLINE_MS;
    while (self->input.size < size) {
        if (self->is_closed) {
            return false;
        }
        if (!read_some(self, deadline)) {
            fail_msg("%zu bytes did not come in time, %zu did", size, self->input.size);
        }
    }
    return true;
}

bool raw_client_is_quiet(struct raw_client *self, int for_ms) {
    size_t before = self->input.size;
    int64_t deadline = now_ms() + for_ms;
    while (now_ms() < deadline && !self->is_closed && self->input.size == before) {
        read_some(self, deadline);
    }
    return !self->is_closed && self->input.size == before;
}

bool raw_client_upgrade(struct raw_client *self, int port, const char *path, const char *extra) {
    char request[4096];
    raw_client_connect(self, port);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
             path, port, extra);
    raw_client_send_text(self, request);
    if (!raw_client_read_until(self, "\r\n\r\n") || !raw_client_starts_with(self, "HTTP/1.1 101 ")) {
        return false;
    }
    const uint8_t *end = memmem(self->input.data, self->input.size, "\r\n\r\n", 4);
    buffer_consume(&self->input, (size_t) (end - self->input.data) + 4);
    return true;
}

void raw_client_send_frame(struct raw_client *self, unsigned opcode, bool final, struct span message) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    struct buffer frame = BUFFER_EMPTY;
    buffer_append_u8(&frame, (uint8_t) ((final ? 0x80 : 0) | opcode));
    if (message.size < 126) {
        buffer_append_u8(&frame, (uint8_t) (0x80 | message.size));
    } else if (message.size < 65536) {
        buffer_append_u8(&frame, 0x80 | 126);
        buffer_append_u8(&frame, (uint8_t) (message.size >> 8));
        buffer_append_u8(&frame, (uint8_t) message.size);
    } else {
        buffer_append_u8(&frame, 0x80 | 127);
        for (int i = 7; i >= 0; i--) {
            buffer_append_u8(&frame, (uint8_t) ((uint64_t) message.size >> (8 * i)));
        }
    }
    buffer_append(&frame, mask, 4);
    for (size_t i = 0; i < message.size; i++) {
        buffer_append_u8(&frame, message.data[i] ^ mask[i & 3]);
    }
    raw_client_send(self, frame.data, frame.size);
    buffer_finish(&frame);
}

int raw_client_read_frame(struct raw_client *self, char *ret_payload, size_t size) {
    ret_payload[0] = '\0';
    if (!raw_client_read_size(self, 2)) {
        return -1;
    }
    unsigned opcode = self->input.data[0] & 0x0f;
    size_t header = 2;
    uint64_t length = self->input.data[1] & 0x7f;
    assert_int_equal(self->input.data[1] & 0x80, 0); /* a server does not mask */
    unsigned n_size_bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (n_size_bytes > 0) {
        header += n_size_bytes;
        if (!raw_client_read_size(self, header)) {
            return -1;
        }
        length = 0;
        for (unsigned i = 0; i < n_size_bytes; i++) {
            length = length << 8 | self->input.data[2 + i];
        }
    }
    if (!raw_client_read_size(self, header + length)) {
        return -1;
    }
    size_t copied = length < size - 1 ? length : size - 1;
    memcpy(ret_payload, self->input.data + header, copied);
    ret_payload[copied] = '\0';
    buffer_consume(&self->input, header + length);
    return (int) opcode;
}

unsigned raw_client_read_close(struct raw_client *self, char *ret_reason, size_t size) {
    char payload[256];
    ret_reason[0] = '\0';
    int opcode;
    do {
        memset(payload, 0, sizeof payload);
        opcode = raw_client_read_frame(self, payload, sizeof payload);
        if (opcode < 0) {
            return 0;
        }
    } while (opcode != 8);
    snprintf(ret_reason, size, "%s", payload + 2);
    return (unsigned) ((uint8_t) payload[0] << 8 | (uint8_t) payload[1]);
}
