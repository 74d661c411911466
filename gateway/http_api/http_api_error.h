/* An error of the HTTP API as JSON, and the status that stands for it (client-protocol.md 26). Thread: any. */
#ifndef CALLBOARD_GATEWAY_HTTP_API_ERROR_H
#define CALLBOARD_GATEWAY_HTTP_API_ERROR_H

#include "base/bytes.h"
#include "base/error_code.h"

/* {"code":…,"message":"…","temporary":…,"definite":…}; `message` NULL: what the code means, where a broker answered
 * with it. Returns the status that stands for the code. */
unsigned http_api_append_error(struct buffer *out, enum error_code code, const char *message);

#endif
