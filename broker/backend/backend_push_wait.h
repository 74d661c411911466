/* A publication from PULL whose shard is full waits, and PULL with it: nothing more is received, libzmq's marks fill,
 * and the service that pushes waits. So a burst that is faster than a shard is slowed down, not thrown away.
 * A shard that does not take one for backend.push_wait is given up: what is pushed to it is dropped and counted at
 * once, until it takes one again, so that one stuck shard does not keep the others' publications.
 * Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_BACKEND_PUSH_WAIT_H
#define CALLBOARD_BROKER_BACKEND_BACKEND_PUSH_WAIT_H

#include "base/actor.h"
#include "broker/shard_request.h"

typedef struct backend_push_wait backend_push_wait_t;

enum backend_push_result {
    BACKEND_PUSH_TAKEN,
    BACKEND_PUSH_WAITS,   /* kept here; what became of it is told by on_end */
    BACKEND_PUSH_DROPPED, /* freed */
};

struct backend_push_wait_callbacks {
    /* Something waits now, or nothing more: receive nothing in between. */
    void (*on_pause)(void *context, bool paused);
    /* One that waited was taken, or dropped. */
    void (*on_end)(void *context, bool is_taken);
};

/* `shards` stay the caller's; wait_ms 0: nothing waits. */
backend_push_wait_t *backend_push_wait_new(uv_loop_t *loop, actor_t *const *shards, uint32_t n_shards, uint64_t wait_ms,
                                           const struct backend_push_wait_callbacks *callbacks, void *context);
/* Drops what waits, and closes its timer; memory goes with it. Nulls the pointer; accepts NULL. */
void backend_push_wait_close(backend_push_wait_t **self_p);

/* Takes the request. */
enum backend_push_result backend_push_wait_post(backend_push_wait_t *self, uint32_t shard,
                                                struct shard_request *request);

#endif
