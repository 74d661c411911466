/* Connections that have to say first whom they are for (PROXY protocol): the header is read from the accepted socket,
 * exactly, before anything else sees it. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_PROXY_ACCEPT_H
#define CALLBOARD_GATEWAY_PROXY_ACCEPT_H

#include "base/ip_address.h"
#include "base/timer_wheel.h"

#include <uv.h>

typedef struct proxy_accept proxy_accept_t;

enum proxy_accept_outcome {
    PROXY_ACCEPT_DONE,      /* the descriptor is the callee's now */
    PROXY_ACCEPT_MALFORMED, /* closed, as all below: no such header */
    PROXY_ACCEPT_LATE,      /* not whole in time, or the peer went */
};

struct proxy_accept_options {
    uv_loop_t *loop;
    timer_wheel_t *wheel;
    int64_t timeout_ms;
    /* Once for each connection begun, unless proxy_accept_close comes before. `source`: whom it is for. */
    void (*on_outcome)(void *context, enum proxy_accept_outcome outcome, int descriptor,
                       const struct ip_address *source);
    void *context;
};

proxy_accept_t *proxy_accept_new(const struct proxy_accept_options *options);
/* Takes the descriptor. */
void proxy_accept_begin(proxy_accept_t *self, int descriptor, const struct ip_address *peer);
size_t proxy_accept_count(const proxy_accept_t *self); /* connections begun */
/* Closes what is not done, without a word. Nulls, accepts NULL. */
void proxy_accept_close(proxy_accept_t **self_p);

#endif
