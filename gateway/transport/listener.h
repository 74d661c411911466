/* A worker's door: its own SO_REUSEPORT socket, the limits asked before a connection costs anything, and the hand-over
 * to the WebSocket service. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_LISTENER_H
#define CALLBOARD_GATEWAY_LISTENER_H

#include "gateway/transport/websocket.h"

typedef struct listener listener_t;

struct listener_options {
    const char *address;
    int port;
    struct websocket_service *websockets; /* takes what is let in; its config has the limits */
    uint32_t sockets_max;                 /* of the process, upgraded or not */
    metrics_t *metrics;
};

/* NULL: ret_error says why (address, port, reason). */
listener_t *listener_new(uv_loop_t *loop, const struct listener_options *options, char *ret_error, size_t error_size);
int listener_port(const listener_t *self);
/* Stops listening at once. on_closed (may be NULL) when the loop holds nothing any more. Nulls, accepts NULL. */
void listener_close(listener_t **self_p, void (*on_closed)(void *context), void *context);

#endif
