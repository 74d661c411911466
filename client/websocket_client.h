/* A WebSocket as its client sees it, one call after the other: each waits until it is done, or its time is up.
 * Messages are taken as lines, because the client protocol separates several in one message so. Thread: the caller's;
 * each has a context of libwebsockets of its own. */
#ifndef CALLBOARD_TOOLS_WEBSOCKET_CLIENT_H
#define CALLBOARD_TOOLS_WEBSOCKET_CLIENT_H

#include "base/bytes.h"

typedef struct websocket_client websocket_client_t;

struct websocket_client_target {
    const char *url;     /* ws:// or wss://HOST[:PORT][/PATH] */
    const char *ca_file; /* of certificates, in PEM; NULL: the system's */
    bool is_unjudged;    /* any certificate will do */
};

enum { WEBSOCKET_CLIENT_ERROR_SIZE = 256 };

enum websocket_client_outcome {
    WEBSOCKET_CLIENT_DONE,
    WEBSOCKET_CLIENT_TIMEOUT,
    WEBSOCKET_CLIENT_CLOSED, /* refused, closed by the other side or gone; websocket_client_error says why */
};

/* NULL: the address is none, or there is no memory for a context; ret_error says which. Nothing is sent yet. */
websocket_client_t *websocket_client_new(const struct websocket_client_target *target, char *ret_error,
                                         size_t error_size);
/* Gone at once, without a word to the other side: as if the network had been cut. */
void websocket_client_destroy(websocket_client_t **self_p);

/* Connects, through TLS and the upgrade. */
enum websocket_client_outcome websocket_client_open(websocket_client_t *self, int timeout_ms);
/* One text message. */
enum websocket_client_outcome websocket_client_send(websocket_client_t *self, struct span text, int timeout_ms);
/* The next line, good until the next call. */
enum websocket_client_outcome websocket_client_receive(websocket_client_t *self, int timeout_ms, struct span *ret_line);
const char *websocket_client_error(const websocket_client_t *self);
/* With which the server closed it; 0: it sent none. */
unsigned websocket_client_close_code(const websocket_client_t *self);

#endif
