/* Bytes that are framed already, to a WebSocket's socket. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_TRANSPORT_WEBSOCKET_WRITE_H
#define CALLBOARD_GATEWAY_TRANSPORT_WEBSOCKET_WRITE_H

#include "base/bytes.h"

#include <libwebsockets.h>

/* False: the connection is dead. *ret_backlogged: the kernel did not take all, lws keeps the rest and calls WRITEABLE
 * when it is gone; until then nothing is to be written. */
bool websocket_write(struct lws *wsi, struct span framed, bool *ret_backlogged);

#endif
