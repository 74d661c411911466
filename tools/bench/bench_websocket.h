/* WebSocket of the client's side, as much as a load needs: frames whole in one message, masked with the key 0, which
 * RFC 6455 allows and which costs nothing. Thread: a worker process's only one. */
#ifndef CALLBOARD_TOOLS_BENCH_WEBSOCKET_H
#define CALLBOARD_TOOLS_BENCH_WEBSOCKET_H

#include "tools/bench/bench_client.h"

struct bench_websocket_handlers {
    void (*upgraded)(struct bench_client *client, struct bench_connection *connection);
    /* Text or binary; it may end the connection. */
    void (*message)(struct bench_client *client, struct bench_connection *connection, const uint8_t *text, size_t size);
};

/* GET path (followed by what the caller appended to it), asking for the upgrade; `headers` are more of them, each with
 * its line end. */
void bench_websocket_greet(struct bench_client *client, struct bench_connection *connection, struct span path,
                           const char *headers);
size_t bench_websocket_read(struct bench_client *client, struct bench_connection *connection,
                            const struct bench_websocket_handlers *handlers, const uint8_t *data, size_t size);
/* Appends a text frame's head for a payload of `size`, or the whole frame. */
void bench_websocket_append_head(struct buffer *out, size_t size);
void bench_websocket_send_text(struct bench_client *client, struct bench_connection *connection, struct span text);
void bench_websocket_close(struct bench_client *client, struct bench_connection *connection);

#endif
