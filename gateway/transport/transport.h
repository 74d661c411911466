/* What a session needs of its connection: a WebSocket (websocket.c) or a stream over plain HTTP (http_stream.c).
 * Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_TRANSPORT_H
#define CALLBOARD_GATEWAY_TRANSPORT_H

#include "base/bytes.h"
#include "base/payload.h"
#include "gateway/protocol/client_protocol.h"

struct transport;

enum transport_write {
    TRANSPORT_TAKEN,   /* all of it is with the kernel */
    TRANSPORT_BACKLOG, /* taken, but the kernel is full: do not write again before session_on_writable */
    TRANSPORT_DEAD,    /* the connection is gone; session_on_closed will follow */
};

struct transport_methods {
    /* Writes framed bytes now. Not to be called while in backlog. */
    enum transport_write (*write)(struct transport *self, struct span framed);
    /* Frames one message for this transport: the payload that write takes. Same bytes for all of one encoding. */
    payload_t *(*frame)(enum client_encoding encoding, struct span message);
    /* Flushes, closes with this code, session_on_closed follows later. Only the first call counts. */
    void (*close)(struct transport *self, uint16_t code, const char *reason);
    /* Stops or resumes reading (commands in flight at their bound). */
    void (*pause_reading)(struct transport *self, bool pause);
    /* How the client names this connection where its messages come as requests of their own: both go into the connect
     * reply. NULL: they come on the connection itself. */
    void (*emulation)(struct transport *self, struct span *ret_session, struct span *ret_node);
    bool compresses;  /* its peer takes what hub_callbacks.frame_compressed makes */
    const char *name; /* "websocket" */
};

struct transport {
    const struct transport_methods *methods;
};

#endif
