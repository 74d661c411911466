/* permessage-deflate on the WebSockets of a worker: agreeing on it, compressing publications once for all, inflating
 * what clients send. lws frames, and knows of the extension only that it is there: its own compresses for each
 * connection, keeps some 90 KB of each, and garbles messages (pitfalls.md 1f). Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_WEBSOCKET_COMPRESSION_H
#define CALLBOARD_GATEWAY_WEBSOCKET_COMPRESSION_H

#include "base/metrics.h"
#include "base/payload.h"
#include "gateway/protocol/client_protocol.h"
#include "gateway/transport/websocket_deflate.h"
#include "gateway/transport/websocket_offers.h"

#include <libwebsockets.h>

/* For lws_context_creation_info.extensions: without it a frame with RSV1 ends its connection. */
extern const struct lws_extension websocket_extensions[];

/* How far a connection is in agreeing; nothing of it is needed once it is open but `agreed`. */
struct websocket_handshake {
    bool is_judged : 1;
    bool agreed : 1;
    bool tells_window : 1;
    uint8_t n_offers_left; /* of permessage-deflate, that lws has not asked about */
};

/* What a worker's connections share. */
struct websocket_compression {
    websocket_deflate_t *deflate; /* NULL before the first use */
    struct buffer compressed;     /* scratch */
    struct buffer message;        /* scratch */
};

void websocket_compression_init(struct websocket_compression *self);
void websocket_compression_finish(struct websocket_compression *self);

/* LWS_CALLBACK_CONFIRM_EXTENSION_OKAY: what the callback returns. */
int websocket_handshake_confirm(struct websocket_handshake *self, struct lws *wsi, bool is_allowed);
/* LWS_CALLBACK_ADD_HEADERS of an upgrade: puts the parameters behind the name that lws has written. */
int websocket_handshake_answer(const struct websocket_handshake *self, struct lws_process_html_args *headers);

/* A whole frame of one message, compressed where that is shorter and it has min_size bytes at least. */
payload_t *websocket_compression_frame(struct websocket_compression *self, enum client_encoding encoding,
                                       struct span message, size_t min_size, bool *ret_compressed);
/* The message, valid until the next call; over `limit` bytes it is too big. */
enum websocket_inflated websocket_compression_inflate(struct websocket_compression *self, struct span compressed,
                                                      size_t limit, struct span *ret_message);

#endif
