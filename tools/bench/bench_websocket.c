/* Upgrade and frames of the client's side. */
#include "tools/bench/bench_websocket.h"

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10, LONG_MAX_SIZE = 1 << 22 };

static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; /* to the key below */

void bench_websocket_greet(struct bench_client *client, struct bench_connection *connection, struct span path,
                           const char *headers) {
    struct buffer request = BUFFER_EMPTY;
    buffer_append_text(&request, "GET ");
    buffer_append_span(&request, path);
    buffer_append_format(&request,
                         " HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                         bench_target_of(client, connection)->host, headers);
    bench_connection_send(client, connection, request.data, request.size);
    buffer_finish(&request);
}

void bench_websocket_append_head(struct buffer *out, size_t size) {
    buffer_append_u8(out, 0x80 | TEXT);
    if (size < 126) {
        buffer_append_u8(out, (uint8_t) (0x80 | size));
    } else if (size < 65536) {
        buffer_append_u8(out, 0x80 | 126);
        buffer_append_u8(out, (uint8_t) (size >> 8));
        buffer_append_u8(out, (uint8_t) size);
    } else {
        buffer_append_u8(out, 0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8) {
            buffer_append_u8(out, (uint8_t) ((uint64_t) size >> shift));
        }
    }
    buffer_append_u32(out, 0);
}

void bench_websocket_send_text(struct bench_client *client, struct bench_connection *connection, struct span text) {
    struct buffer *frame = &client->scratch;
    buffer_clear(frame);
    bench_websocket_append_head(frame, text.size);
    buffer_append_span(frame, text);
    bench_connection_send(client, connection, frame->data, frame->size);
}

static void send_control(struct bench_client *client, struct bench_connection *connection, uint8_t opcode,
                         const uint8_t *data, size_t size) {
    uint8_t frame[6 + 125] = {(uint8_t) (0x80 | opcode), (uint8_t) (0x80 | size)};
    if (size > 0) {
        memcpy(frame + 6, data, size);
    }
    bench_connection_send(client, connection, frame, 6 + size);
}

void bench_websocket_close(struct bench_client *client, struct bench_connection *connection) {
    send_control(client, connection, CLOSE, (const uint8_t *) "\x03\xe8", 2);
}

/* The answer to the upgrade; 0: not whole yet, or the connection is gone. */
static size_t read_upgrade(struct bench_client *client, struct bench_connection *connection,
                           const struct bench_websocket_handlers *handlers, const uint8_t *data, size_t size) {
    const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL) {
        return size < 16384 ? 0 : bench_connection_fail(client, connection, "no end of the headers in 16 KiB");
    }
    size_t head = (size_t) (end + 4 - data);
    if (head < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0) {
        const uint8_t *line = memchr(data, '\r', head);
        return bench_connection_fail(client, connection, "not upgraded: %.*s", (int) (line - data),
                                     (const char *) data);
    }
    if (memmem(data, head, ACCEPT, sizeof ACCEPT - 1) == NULL) {
        return bench_connection_fail(client, connection, "the upgrade has another Sec-WebSocket-Accept");
    }
    connection->step = 1;
    handlers->upgraded(client, connection);
    return head;
}

static void on_close(struct bench_client *client, struct bench_connection *connection, const uint8_t *data,
                     size_t size) {
    if (connection->phase == BENCH_CLOSING || client->ending) {
        bench_connection_cut(client, connection);
        return;
    }
    unsigned code = size >= 2 ? (unsigned) data[0] << 8 | data[1] : 1005;
    bench_connection_fail(client, connection, "closed by the server: %u %.*s", code, size > 2 ? (int) size - 2 : 0,
                          size > 2 ? (const char *) data + 2 : "");
}

/* The payload's place and size; false: more must come. `*ret_head` is 0 for a frame that is too long. */
static bool read_head(const uint8_t *data, size_t size, size_t *ret_head, uint64_t *ret_length) {
    if (size < 2) {
        return false;
    }
    *ret_length = data[1] & 0x7f;
    *ret_head = *ret_length == 126 ? 4 : *ret_length == 127 ? 10 : 2;
    if (size < *ret_head) {
        return false;
    }
    if (*ret_head > 2) {
        *ret_length = 0;
        for (size_t i = 2; i < *ret_head; i++) {
            *ret_length = *ret_length << 8 | data[i];
        }
    }
    return true;
}

size_t bench_websocket_read(struct bench_client *client, struct bench_connection *connection,
                            const struct bench_websocket_handlers *handlers, const uint8_t *data, size_t size) {
    size_t at = connection->step == 0 ? read_upgrade(client, connection, handlers, data, size) : 0;
    size_t head;
    uint64_t length;
    while (connection->phase != BENCH_CLOSED && connection->step != 0 &&
           read_head(data + at, size - at, &head, &length)) {
        if (length > LONG_MAX_SIZE) {
            return bench_connection_fail(client, connection, "a frame of %llu bytes", (unsigned long long) length);
        }
        if (size - at - head < length) {
            break;
        }
        const uint8_t *payload = data + at + head;
        switch (data[at] & 0x0f) {
        case CLOSE:
            on_close(client, connection, payload, (size_t) length);
            break;
        case PING:
            send_control(client, connection, PONG, payload, length > 125 ? 125 : (size_t) length);
            break;
        case PONG:
            break;
        default:
            handlers->message(client, connection, payload, (size_t) length);
        }
        at += head + (size_t) length;
    }
    return at;
}
