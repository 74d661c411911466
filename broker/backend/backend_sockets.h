/* The backend API's endpoints: bound, with CURVE where keys are configured, refused without keys anywhere but on
 * loopback. With CURVE they live in a ZeroMQ context of their own, whose ZAP handler runs, and is proven, before
 * anything is bound. Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_SOCKETS_H
#define CALLBOARD_BROKER_BACKEND_SOCKETS_H

#include "base/curve_keys.h"
#include "base/curve_zap.h"
#include "broker/broker_config.h"

struct backend_sockets {
    void *router; /* NULL: backend.endpoint is empty */
    void *pull;   /* NULL: backend.pull_endpoint is empty */
    void *own_context;
    curve_zap_t *zap;
};

/* False: ret_error says what is wrong and how to mend it; close it all the same. */
bool backend_sockets_open(struct backend_sockets *self, const struct broker_config *config, void *zmq_context,
                          char *ret_error, size_t error_size);
void backend_sockets_close(struct backend_sockets *self);

#endif
