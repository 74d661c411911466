/* Requests that wait for their shards: who asked, under which id, and what came back so far. A ticket names a place,
 * its generation, and for requests that were split (broadcast, info) the part, so a late answer to an earlier request
 * never finds a newer one. Bounded: at the bound a request is refused (111). Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_PENDING_H
#define CALLBOARD_BROKER_BACKEND_PENDING_H

#include "broker/backend/backend_request.h"
#include "broker/shard_request.h"

#include <zmq.h>

typedef struct backend_pending backend_pending_t;

enum { BACKEND_PARTS_MAX = 4096, BACKEND_PENDING_MAX = 1 << 20 };

struct backend_waiting {
    bool is_used;
    bool has_delimiter;
    uint8_t id_size;
    uint8_t id[BACKEND_ID_MAX];
    zmq_msg_t routing; /* the peer's */
    void *batch;       /* NULL: none; else it is answered at this place of it, and routing is empty */
    uint32_t batch_place;
    void *by_hand; /* NULL: none; else the call that it answers, and routing is empty */
    uint32_t place;
    uint32_t generation;
    uint32_t parts_left;
    uint32_t n_parts;
    uint64_t deadline_ms;
    const void *method;           /* the method's row */
    struct shard_reply **replies; /* n_parts, NULL until they came; owned */
};

backend_pending_t *backend_pending_new(size_t places_max);
void backend_pending_destroy(backend_pending_t **self_p);

/* Takes a place for n_parts answers; moves the routing frame out (NULL: the answer goes into a batch). NULL: at the
 * bound, the frame stays. */
struct backend_waiting *backend_pending_add(backend_pending_t *self, zmq_msg_t *routing, bool has_delimiter,
                                            struct span id, const void *method, uint32_t n_parts, uint64_t deadline_ms);
uint64_t backend_pending_ticket(const struct backend_waiting *waiting, uint32_t part);
/* Takes the reply; returns the request when that was its last part (answer it, then backend_pending_remove), else NULL.
 * A reply for a ticket that is gone is freed. */
struct backend_waiting *backend_pending_take(backend_pending_t *self, struct shard_reply *reply);
/* The request that waits under this ticket; NULL: it is gone. */
struct backend_waiting *backend_pending_find(const backend_pending_t *self, uint64_t ticket);
void backend_pending_remove(backend_pending_t *self, struct backend_waiting *waiting);
/* Any whose deadline has passed (now_ms UINT64_MAX: any at all); NULL: none. */
struct backend_waiting *backend_pending_overdue(backend_pending_t *self, uint64_t now_ms);
size_t backend_pending_count(const backend_pending_t *self);

#endif
