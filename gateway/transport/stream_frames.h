/* What a session writes, as the body of a streaming HTTP answer. Sessions share their bytes framed for WebSockets
 * (websocket_frame.h); a stream takes the messages out of the frames and says them in its own way:
 *
 *   SSE (HTML, section 9.2)   a line of JSON → "data: …" and an empty line; one event for each reply
 *   HTTP stream, JSON         a line of JSON → the line and a line feed
 *   HTTP stream, protobuf     as it is: each reply has its length before it already
 *
 * all of one write in one chunk of HTTP/1.1's chunked coding (RFC 9112, 7.1). Streams are the fallback of clients whose
 * network lets no WebSocket through: they pay this copy, so that the shared bytes of all others stay one kind.
 * Pure. Thread: any. */
#ifndef CALLBOARD_GATEWAY_STREAM_FRAMES_H
#define CALLBOARD_GATEWAY_STREAM_FRAMES_H

#include "base/bytes.h"

enum stream_kind { STREAM_SSE, STREAM_JSON_LINES, STREAM_PROTOBUF };

/* Appends the chunk; nothing where the frames hold no message. `framed`: whole frames of ours, back to back. */
void stream_append_chunk(struct buffer *out, enum stream_kind kind, struct span framed);
/* A chunk of what is no frame: one message. */
void stream_append_message(struct buffer *out, enum stream_kind kind, struct span message);
/* The last chunk. */
void stream_append_end(struct buffer *out);

#endif
