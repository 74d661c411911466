/* Who waits for which lease, in the order they came: one queue for each name, of which only the first asks the engine.
 * Events in, actions out by callbacks; no clock, no I/O.
 *
 *   add ─▶ waiting ──first──▶ asking ─▶ granted ─▶ done, and the next is first
 *             │                 │ ▲ └ no: held, or the engine is away for the moment
 *             │                 ▼ │ freed, its time is over, a second passed
 *             │               waiting
 *             └── its wait is over ─▶ done: held (or what the engine said last)
 *
 * So within a broker nobody is passed. Among brokers the engine keeps the turns: each has one place for a name, which
 * it keeps by asking every second, and gives back (leave) when nobody here waits any more. Bounded: `waiters_max`.
 * Thread: the shard's. */
#ifndef CALLBOARD_BROKER_LEASE_QUEUES_H
#define CALLBOARD_BROKER_LEASE_QUEUES_H

#include "base/list.h"
#include "broker/engine.h"

typedef struct lease_queues lease_queues_t;
struct lease_queue;

/* Embedded by the caller; the queues' between a LEASE_TAKEN and on_done. */
struct lease_waiter {
    uint64_t wait_until_ms; /* past, or 0: it is asked for once */
    /* the queues' */
    struct list_link link;
    struct lease_queue *queue;
    bool is_unsure; /* it may have been granted unheard: an asking ended as unknown, and none after it was answered */
};

/* How the engine answered the first one's asking. */
struct lease_answer {
    enum engine_outcome outcome;
    bool is_granted;
    uint64_t token;
    uint64_t left_ms;
};

struct lease_queues_options {
    uint32_t waiters_max;
    /* Asks the engine; lease_queues_answered follows, later. */
    void (*ask)(void *context, struct lease_waiter *waiter, bool waits);
    /* Gives the broker's place for this name back. */
    void (*leave)(void *context, struct span name);
    /* The waiter is the caller's again. ENGINE_OK: granted, or held by another until its wait was over. */
    void (*on_done)(void *context, struct lease_waiter *waiter, const struct lease_answer *answer);
    void *context;
};

enum lease_taking { LEASE_TAKEN, LEASE_HELD, LEASE_FULL, LEASE_CLOSED };

lease_queues_t *lease_queues_new(const struct lease_queues_options *options);
void lease_queues_destroy(lease_queues_t **self_p); /* nobody waits */

/* LEASE_HELD: it does not wait, and others do. Only with LEASE_TAKEN it is the queues'. */
enum lease_taking lease_queues_add(lease_queues_t *self, struct span name, struct lease_waiter *waiter,
                                   uint64_t now_ms);
void lease_queues_answered(lease_queues_t *self, struct lease_waiter *waiter, const struct lease_answer *answer,
                           uint64_t now_ms);
/* The lease was released: who is first asks at once. */
void lease_queues_freed(lease_queues_t *self, struct span name, uint64_t now_ms);
/* Several times a second: waits that are over, and who asks again. */
void lease_queues_tick(lease_queues_t *self, uint64_t now_ms);
/* The broker stops: who waits is done as ENGINE_TEMPORARY, who is being asked for as that is answered. Nobody is taken
 * any more. */
void lease_queues_close(lease_queues_t *self);
uint32_t lease_queues_count(const lease_queues_t *self);

#endif
