/* The backend API's own link to the switchboard of its broker: it subscribes to channels as a gateway worker does, over
 * inproc, with the same wire, so that its events have the same order, the same recovery and the same bounds.
 *
 *   DOWN ──HELLO──▶ GREETING ──WELCOME──▶ UP ──RESET, hole, bad frame──▶ DOWN (tried again after RETRY_MS)
 *
 * Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_LINK_H
#define CALLBOARD_BROKER_BACKEND_LINK_H

#include "base/wire.h"

#include <uv.h>

typedef struct backend_link backend_link_t;

struct backend_link_options {
    uv_loop_t *loop;
    void *zmq_context;
    const char *endpoint; /* inproc://… of the switchboard */
    const char *id;       /* what it calls itself in HELLO */
    uint32_t heartbeat_ms;
    void (*on_up)(void *context);
    void (*on_down)(void *context);  /* every handle is void */
    void (*on_drain)(void *context); /* the broker stops soon: leave every channel */
    void (*on_frame)(void *context, const struct wire_frame *frame);
    void *context;
};

/* NULL: the socket could not be made. */
backend_link_t *backend_link_new(const struct backend_link_options *options);
/* Closes; on_closed when the loop holds nothing of it any more; then it is gone. */
void backend_link_close(backend_link_t **self_p, void (*on_closed)(void *context), void *context);

bool backend_link_is_up(const backend_link_t *self);
/* The open batch of the shard of this channel, to encode one frame into; call backend_link_added behind it. NULL: not
 * up. */
struct buffer *backend_link_batch(backend_link_t *self, struct span channel, uint32_t *ret_shard);
void backend_link_added(backend_link_t *self, uint32_t shard);
/* End of turn: sends what is open, with credit, and acks that are due. */
void backend_link_flush(backend_link_t *self);

#endif
