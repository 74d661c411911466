/* The raw endpoint's encodings (docs/client-protocol.md, Raw endpoint): a publication is its data, with RAW_ENVELOPE
 * {"data":…,"offset":…}. Every reply is a WebSocket message of its own, so what these codecs append are records, which
 * the transport makes frames of; what a client sends becomes a record as well. Thread: any (no state). */
#ifndef CALLBOARD_GATEWAY_CLIENT_PROTOCOL_RAW_H
#define CALLBOARD_GATEWAY_CLIENT_PROTOCOL_RAW_H

#include "gateway/protocol/client_protocol.h"

/* As WebSocket opcodes. */
enum client_raw_kind { CLIENT_RAW_TEXT = 1, CLIENT_RAW_BINARY = 2, CLIENT_RAW_PING = 9 };

extern const struct client_codec client_codec_raw;
extern const struct client_codec client_codec_raw_envelope;

static inline bool client_encoding_is_raw(enum client_encoding encoding) {
    return encoding == CLIENT_ENCODING_RAW || encoding == CLIENT_ENCODING_RAW_ENVELOPE;
}
void client_raw_append_record(struct buffer *out, enum client_raw_kind kind, struct span bytes);
/* False at the end. */
bool client_raw_next_record(struct cursor *records, enum client_raw_kind *ret_kind, struct span *ret_bytes);
/* Is this text {"type":"ping"}? */
bool client_raw_is_ping(struct span text);
/* The codec's own notice of where the connection stands: envelope only. */
void client_raw_append_position(struct buffer *out, enum client_encoding encoding, const struct position *position);

#endif
