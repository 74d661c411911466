/* What the backend API asks of every gateway (COMMAND, base/wire.h), over its own link to the switchboard, as a gateway
 * worker does for the HTTP API: which request number is which waiting call. Bounded by backend.requests, as every
 * number here is of a call that is kept. Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_ORDERS_H
#define CALLBOARD_BROKER_BACKEND_ORDERS_H

#include "broker/backend/backend_link.h"

typedef struct backend_orders backend_orders_t;

enum { BACKEND_ORDER_KEY_MAX = 64 };

struct backend_order {
    uint64_t ticket;                     /* of the waiting call */
    char key[BACKEND_ORDER_KEY_MAX + 1]; /* the CURVE key's name: an answer may be cut to its rights */
    bool is_trusted;                     /* no key is asked for */
    uint32_t limit;                      /* names in the answer */
    char behind[256];                    /* CHANNELS: only names behind this one */
};

backend_orders_t *backend_orders_new(backend_link_t *link);
void backend_orders_destroy(backend_orders_t **self_p); /* accepts NULL */
/* Encodes the frame under a number of its own. False: the link is not up, or the frame is too large; nothing was sent.
 */
bool backend_orders_send(backend_orders_t *self, struct wire_command *frame, const struct backend_order *order);
/* The order that this answer (request of RESULT or ERROR) is for, and forgets it. False: none. */
bool backend_orders_take(backend_orders_t *self, uint32_t request, struct backend_order *ret_order);
/* Takes any one; false: there is none. */
bool backend_orders_take_any(backend_orders_t *self, struct backend_order *ret_order);
/* Forgets those whose ticket nobody waits under any more. */
void backend_orders_sweep(backend_orders_t *self, bool (*is_gone)(void *context, uint64_t ticket), void *context);

#endif
