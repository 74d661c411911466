/* What the public port asks of a plain HTTP request that carries a client's commands: is the page allowed, how long is
 * the body, what a browser must be told for another origin's page (CORS; Fetch standard, 3.3).
 * Thread: the lws context's. */
#ifndef CALLBOARD_GATEWAY_HTTP_REQUEST_H
#define CALLBOARD_GATEWAY_HTTP_REQUEST_H

#include "base/bytes.h"
#include "gateway/gateway_config.h"

#include <libwebsockets.h>

/* By http.allowed_origins and http.require_origin. */
bool http_request_origin_is_allowed(struct lws *wsi, const struct gateway_config *config);

enum http_request_body {
    HTTP_REQUEST_BODY_OK,
    HTTP_REQUEST_BODY_NO_LENGTH, /* none, twice, or Transfer-Encoding: 411 */
    HTTP_REQUEST_BODY_BAD,       /* no plain decimal number: 400 */
    HTTP_REQUEST_BODY_TOO_BIG,   /* over `limit`: 413 */
};
/* Strictly: what lws makes of a negative or huge Content-Length is not asked (security.md S42). */
enum http_request_body http_request_body_size(struct lws *wsi, size_t limit, size_t *ret_size);

/* Appends the CORS headers where the request has an Origin; it was found allowed. */
void http_request_append_cors(struct lws *wsi, struct buffer *out);
/* A whole answer without a body, and the end of the connection; returns what the lws callback must return. */
int http_request_answer(struct lws *wsi, unsigned status, const char *extra_headers);
/* The answer to OPTIONS: 204 with what may be sent. */
int http_request_answer_preflight(struct lws *wsi);
/* The query's argument `name`, decoded. False: absent, or it does not fit. */
bool http_request_argument(struct lws *wsi, const char *name, struct buffer *out);

#endif
