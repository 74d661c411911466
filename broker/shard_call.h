/* What crosses between a shard and the backend API when a gateway asks a service something: the call there, and what
 * came of it back. The backend API asks itself with the same, where a service asks another one. One allocation each,
 * the bytes behind the struct; ownership passes with actor_post. Thread: made on one, handled on another, never shared.
 */
#ifndef CALLBOARD_BROKER_SHARD_CALL_H
#define CALLBOARD_BROKER_SHARD_CALL_H

#include "base/actor.h"
#include "base/error_code.h"
#include "base/wire.h"

#include <stdatomic.h>

struct shard_call {
    struct actor_message message; /* kind: the desk's */
    actor_t *reply_to;            /* the shard; NULL: a service asked, under `ticket` of backend_pending */
    uint64_t ticket;
    uint32_t reply_kind;
    uint32_t peer; /* the gateway worker's link, and its request: echoed */
    uint32_t request;
    uint64_t deadline_ms; /* monotonic */
    struct span method;
    struct span channel;
    struct span info; /* wire_client_info or empty */
    struct span details;
    struct span data;
};
struct shard_call *shard_call_new(const struct shard_call *model); /* copies the spans */

struct shard_called {
    struct actor_message message;
    uint32_t peer;
    uint32_t request;
    enum error_code error; /* NONE: a worker answered */
    enum wire_call_outcome outcome;
    uint32_t code;       /* of its error or disconnect */
    struct span text;    /* result: its JSON; error, disconnect: message, reason */
    struct span payload; /* result: bytes beside it */
};
struct shard_called *shard_called_new(const struct shard_called *model);

/* Where calls go; made by the broker, filled when the backend API is there. */
struct shard_call_desk {
    _Atomic(actor_t *) actor; /* NULL: not there */
    uint32_t kind;
    uint32_t occupancy_kind; /* of a struct shard_occupancy */
};

#endif
