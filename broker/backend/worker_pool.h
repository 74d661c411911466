/* Workers (services that registered with `work`) and the calls that they are asked to answer: who gets one, for how
 * long, and what happens when a worker is lost. Events in, actions out by callbacks; no clock, no I/O.
 *
 *   call ─▶ the worker with the fewest open calls, in turn among equals ─▶ done ─▶ taken, the caller answers
 *              │ its deadline                       ─▶ failed: outcome unknown
 *              │ the worker is lost, may be repeated ─▶ another worker, once
 *              └ the worker is lost otherwise        ─▶ failed: worker lost
 *
 * A worker answers a ping every interval; after `misses_max` in a row without any sign of it, it is lost. One that
 * registers an empty list drains: it keeps its open calls and gets no new ones. Bounded: workers, calls in all, calls
 * of one worker. Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_WORKER_POOL_H
#define CALLBOARD_BROKER_BACKEND_WORKER_POOL_H

#include "base/bytes.h"
#include "base/error_code.h"
#include "base/list.h"

typedef struct worker_pool worker_pool_t;
typedef struct worker worker_t;

enum { WORKER_METHODS_MAX = 256, WORKER_METHOD_SIZE_MAX = 128 };

/* Embedded by the caller; the pool's between worker_pool_call and worker_pool_done, on_failed or worker_pool_cancel. */
struct worker_call {
    struct span method; /* alive as long as the call */
    uint64_t deadline_ms;
    bool may_be_repeated; /* a question: a second worker may be asked when the first is lost */
    /* the pool's */
    struct list_link link;
    worker_t *worker;
    bool was_repeated;
};

struct worker_pool_options {
    uint32_t workers_max;
    uint32_t calls_max;
    uint32_t worker_calls_max;
    uint64_t ping_ms;
    uint32_t misses_max;
    /* May this worker be asked that? NULL: any that registered for the method. */
    bool (*may)(void *context, const worker_t *worker, const struct worker_call *call);
    /* False: it cannot be reached any more. */
    bool (*send)(void *context, const worker_t *worker, struct worker_call *call);
    bool (*ping)(void *context, const worker_t *worker);
    /* It is not the pool's any more. */
    void (*on_failed)(void *context, struct worker_call *call, enum error_code code);
    void (*on_lost)(void *context, const worker_t *worker);
    void *context;
};

worker_pool_t *worker_pool_new(const struct worker_pool_options *options);
/* Its calls have ended before. */
void worker_pool_destroy(worker_pool_t **self_p);

/* What a worker says of itself. Spans are copied. */
struct worker_registration {
    struct span routing;
    struct span key; /* the name of its CURVE key; empty without */
    bool has_delimiter;
    const struct span *methods; /* a name, or the beginning of names with * behind it */
    size_t n_methods;           /* 0: it drains */
    const struct span *repeatable;
    size_t n_repeatable;
};
/* A new worker, or another list of one that is known. LIMIT_EXCEEDED: workers_max. */
enum error_code worker_pool_register(worker_pool_t *self, const struct worker_registration *registration,
                                     uint64_t now_ms);

/* Is there a worker for this method that does not drain? */
bool worker_pool_serves(const worker_pool_t *self, struct span method);
/* NONE: a worker has it. NOT_AVAILABLE: no worker takes this method, or none that may. TOO_MANY_REQUESTS: all that do
 * have as much as they may, or calls_max. Only with NONE it is the pool's. */
enum error_code worker_pool_call(worker_pool_t *self, struct worker_call *call);
/* The worker with this routing id answered this call: it is not the pool's any more. False: it is not that worker's. */
bool worker_pool_done(worker_pool_t *self, struct span routing, struct worker_call *call);
void worker_pool_cancel(worker_pool_t *self, struct worker_call *call);
/* A sign of life. False: no such worker. */
bool worker_pool_heard(worker_pool_t *self, struct span routing);
/* Deadlines, pings, and who has not answered them. */
void worker_pool_tick(worker_pool_t *self, uint64_t now_ms);
/* Those whose key counts no more are lost. */
void worker_pool_drop_unless(worker_pool_t *self, bool (*may)(void *context, struct span key), void *context);
/* Every call fails with this. */
void worker_pool_fail_all(worker_pool_t *self, enum error_code code);

uint32_t worker_pool_workers(const worker_pool_t *self);
uint32_t worker_pool_calls(const worker_pool_t *self);

struct span worker_routing(const worker_t *worker);
struct span worker_key(const worker_t *worker);
bool worker_has_delimiter(const worker_t *worker);
uint32_t worker_open_calls(const worker_t *worker);

/* Does this name, or the beginning with * behind it, stand for that method? */
bool worker_pattern_matches(struct span pattern, struct span method);

#endif
