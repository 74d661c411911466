/* A WebSocket as its client sees it, one call after the other: each waits until it is done, or its time is up.
 * Messages are taken as lines, because the client protocol separates several in one message so. Thread: the caller's;
 * each has a context of libwebsockets of its own. */
#ifndef CALLBOARD_TOOLS_CTL_WEBSOCKET_H
#define CALLBOARD_TOOLS_CTL_WEBSOCKET_H

#include "base/bytes.h"

typedef struct ctl_websocket ctl_websocket_t;

struct ctl_websocket_target {
    const char *url;     /* ws:// or wss://HOST[:PORT][/PATH] */
    const char *ca_file; /* of certificates, in PEM; NULL: the system's */
    bool is_unjudged;    /* any certificate will do */
};

enum { CTL_WEBSOCKET_ERROR_SIZE = 256 };

enum ctl_websocket_outcome {
    CTL_WEBSOCKET_DONE,
    CTL_WEBSOCKET_TIMEOUT,
    CTL_WEBSOCKET_CLOSED, /* refused, closed by the other side or gone; ctl_websocket_error says why */
};

/* NULL: the address is none, or there is no memory for a context; ret_error says which. Nothing is sent yet. */
ctl_websocket_t *ctl_websocket_new(const struct ctl_websocket_target *target, char *ret_error, size_t error_size);
/* Gone at once, without a word to the other side: as if the network had been cut. */
void ctl_websocket_destroy(ctl_websocket_t **self_p);

/* Connects, through TLS and the upgrade. */
enum ctl_websocket_outcome ctl_websocket_open(ctl_websocket_t *self, int timeout_ms);
/* One text message. */
enum ctl_websocket_outcome ctl_websocket_send(ctl_websocket_t *self, struct span text, int timeout_ms);
/* The next line, good until the next call. */
enum ctl_websocket_outcome ctl_websocket_receive(ctl_websocket_t *self, int timeout_ms, struct span *ret_line);
const char *ctl_websocket_error(const ctl_websocket_t *self);
/* With which the server closed it; 0: it sent none. */
unsigned ctl_websocket_close_code(const ctl_websocket_t *self);

#endif
