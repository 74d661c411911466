/* WebSocket frames (RFC 6455 section 5.2) as bytes: server to client, unmasked, never fragmented. Pure.
 * Thread: any. */
#ifndef CALLBOARD_GATEWAY_WEBSOCKET_FRAME_H
#define CALLBOARD_GATEWAY_WEBSOCKET_FRAME_H

#include "base/bytes.h"
#include "base/payload.h"
#include "gateway/protocol/client_protocol.h"

enum { WEBSOCKET_FRAME_HEADER_MAX = 10 };
enum websocket_opcode {
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};

/* Writes the header of a final frame; returns its size (2, 4 or 10). */
size_t websocket_frame_header(uint8_t ret_header[WEBSOCKET_FRAME_HEADER_MAX], enum websocket_opcode opcode,
                              uint64_t size);
/* A whole frame as a shared payload: the one copy of a publication's bytes. */
payload_t *websocket_frame_payload(enum websocket_opcode opcode, struct span message);
/* The same for what a session says in its encoding: transport_methods.frame, for session_environment_init. */
payload_t *websocket_frame_message(enum client_encoding encoding, struct span message);
/* The same of what websocket_deflate_message made of it (RSV1, RFC 7692 6); not of the raw encodings. */
payload_t *websocket_frame_compressed(enum client_encoding encoding, struct span compressed);
/* A close frame: status and reason, cut to 123 bytes at a character boundary. */
payload_t *websocket_close_payload(uint16_t code, const char *reason);

#endif
