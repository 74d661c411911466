/* Requests on the WebSockets' port that are none: streams over HTTP and their POSTs, and what the worker answers.
 * Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_PLAIN_HTTP_H
#define CALLBOARD_GATEWAY_PLAIN_HTTP_H

#include "gateway/transport/websocket.h"

bool plain_http_is_event(enum lws_callback_reasons reason);
/* Returns what the lws callback must return. `stream_p` is the connection's place for its stream; NULL: it has none. */
int plain_http_on_event(struct websocket_service *service, struct lws *wsi, enum lws_callback_reasons reason, void *in,
                        size_t size, http_stream_t **stream_p);

#endif
