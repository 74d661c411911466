/* The halves of the JSON codec; everybody else uses client_codec_json. Thread: any (no state). */
#ifndef CALLBOARD_GATEWAY_CLIENT_PROTOCOL_JSON_H
#define CALLBOARD_GATEWAY_CLIENT_PROTOCOL_JSON_H

#include "gateway/protocol/client_protocol.h"

/* Names in one object of the envelope, and levels of a command: a payload may be JSON_LIMITS_PAYLOAD deep inside. */
enum { CLIENT_JSON_NAMES_MAX = 64, CLIENT_JSON_DEPTH_MAX = 66 };

enum client_decode_outcome client_json_decode_next(struct cursor *message, struct buffer *scratch,
                                                   struct client_command *ret_command);

#endif
