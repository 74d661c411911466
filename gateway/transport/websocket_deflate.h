/* Compression of single messages as permessage-deflate has it (RFC 7692 section 7.2), each by itself: no message refers
 * to one before, so that one compressed publication serves every subscriber and a connection keeps nothing. What zlib
 * works with is one state for each direction, made at its first message. Thread: the owner's. */
#ifndef CALLBOARD_GATEWAY_WEBSOCKET_DEFLATE_H
#define CALLBOARD_GATEWAY_WEBSOCKET_DEFLATE_H

#include "base/bytes.h"

/* The window of what we send, as a power of two: publications are short, and whoever reads it keeps so much at most. */
enum { WEBSOCKET_DEFLATE_WINDOW_BITS = 12 };

typedef struct websocket_deflate websocket_deflate_t;

websocket_deflate_t *websocket_deflate_new(void);
void websocket_deflate_destroy(websocket_deflate_t **self_p); /* accepts NULL */

/* Appends the compressed message. False: it would not be shorter; ret_bytes is what it was. */
bool websocket_deflate_message(websocket_deflate_t *self, struct span message, struct buffer *ret_bytes);

enum websocket_inflated {
    WEBSOCKET_INFLATED,
    WEBSOCKET_INFLATED_TOO_BIG,   /* over ret_message's limit, of which no byte more was made */
    WEBSOCKET_INFLATED_MALFORMED, /* no deflate, not whole, or it refers to a message before */
};
/* Appends the message; after another outcome what stands in ret_message is of no use. */
enum websocket_inflated websocket_inflate_message(websocket_deflate_t *self, struct span compressed,
                                                  struct buffer *ret_message);

#endif
