/* See lease_queues.h. */
#include "broker/lease_queues.h"

#include "base/check.h"
#include "base/memory.h"

#define uthash_malloc(size)      memory_alloc(size)
#define uthash_free(block, size) memory_free(block)
#include <uthash.h>

enum {
    AGAIN_MS = 1000,    /* a place among brokers is kept by asking */
    TEMPORARY_MS = 250, /* after the engine could not say */
};

struct lease_queue {
    UT_hash_handle hh;
    struct list_link waiters; /* never empty but inside a call */
    bool is_asking;           /* for the first */
    bool ask_again;           /* freed meanwhile */
    bool has_place;           /* among the brokers */
    uint64_t again_ms;
    enum engine_outcome last; /* of the last asking */
    size_t name_size;
    uint8_t name[];
};

struct lease_queues {
    struct lease_queues_options options;
    struct lease_queue *queues;
    uint32_t n_waiters;
    bool is_closed;
};

/* Who would have waited on may do so at another broker. */
static const struct lease_answer stopped = {.outcome = ENGINE_TEMPORARY};

static struct lease_waiter *waiter_of(struct list_link *link) {
    return list_entry(link, struct lease_waiter, link);
}

static struct lease_waiter *first_of(const struct lease_queue *queue) {
    return list_is_empty(&queue->waiters) ? NULL : waiter_of(queue->waiters.next);
}

static struct lease_queue *find(const lease_queues_t *self, struct span name) {
    struct lease_queue *queue = NULL;
    HASH_FIND(hh, self->queues, name.data, name.size, queue);
    return queue;
}

static struct lease_queue *add_queue(lease_queues_t *self, struct span name) {
    struct lease_queue *queue = memory_alloc_zero(sizeof *queue + name.size);
    list_init(&queue->waiters);
    queue->name_size = name.size;
    memcpy(queue->name, name.data, name.size);
    HASH_ADD_KEYPTR(hh, self->queues, queue->name, queue->name_size, queue);
    return queue;
}

static void ask(lease_queues_t *self, struct lease_queue *queue, uint64_t now_ms) {
    struct lease_waiter *first = first_of(queue);
    bool waits = first->wait_until_ms > now_ms;
    queue->is_asking = true;
    queue->ask_again = false;
    queue->has_place = queue->has_place || waits;
    self->options.ask(self->options.context, first, waits);
}

static void finish(lease_queues_t *self, struct lease_waiter *waiter, const struct lease_answer *answer) {
    struct lease_answer told = *answer;
    if (told.outcome != ENGINE_OK && waiter->is_unsure) {
        told.outcome = ENGINE_UNKNOWN;
    }
    list_remove(&waiter->link);
    waiter->queue = NULL;
    self->n_waiters--;
    self->options.on_done(self->options.context, waiter, &told);
}

/* The first has gone: the next asks, or the queue goes, too. */
static void go_on(lease_queues_t *self, struct lease_queue *queue, uint64_t now_ms) {
    if (!list_is_empty(&queue->waiters)) {
        ask(self, queue, now_ms);
        return;
    }
    if (queue->has_place) {
        self->options.leave(self->options.context, span_of(queue->name, queue->name_size));
    }
    HASH_DEL(self->queues, queue);
    memory_free(queue);
}

/* ---- in ---- */

enum lease_taking lease_queues_add(lease_queues_t *self, struct span name, struct lease_waiter *waiter,
                                   uint64_t now_ms) {
    struct lease_queue *queue = find(self, name);
    if (self->is_closed) {
        return LEASE_CLOSED;
    }
    if (queue != NULL && waiter->wait_until_ms <= now_ms) {
        return LEASE_HELD;
    }
    if (self->n_waiters >= self->options.waiters_max) {
        return LEASE_FULL;
    }
    bool is_first = queue == NULL;
    queue = is_first ? add_queue(self, name) : queue;
    waiter->queue = queue;
    waiter->is_unsure = false;
    list_init(&waiter->link);
    list_push_back(&queue->waiters, &waiter->link);
    self->n_waiters++;
    if (is_first) {
        ask(self, queue, now_ms);
    }
    return LEASE_TAKEN;
}

/* ---- answers ---- */

static bool may_pass(enum engine_outcome outcome) {
    return outcome == ENGINE_TEMPORARY || outcome == ENGINE_FULL || outcome == ENGINE_UNKNOWN;
}

/* Not granted, and it waits on. */
static void wait_on(lease_queues_t *self, struct lease_queue *queue, const struct lease_answer *answer,
                    uint64_t now_ms) {
    uint64_t pause_ms = TEMPORARY_MS;
    if (answer->outcome == ENGINE_OK) {
        pause_ms = answer->left_ms > 0 && answer->left_ms < AGAIN_MS ? answer->left_ms : AGAIN_MS;
    }
    queue->again_ms = now_ms + pause_ms;
    if (queue->ask_again) {
        ask(self, queue, now_ms);
    }
}

void lease_queues_answered(lease_queues_t *self, struct lease_waiter *waiter, const struct lease_answer *answer,
                           uint64_t now_ms) {
    struct lease_queue *queue = waiter->queue;
    check(queue != NULL && queue->is_asking && first_of(queue) == waiter, "an answer to who was not asked for");
    queue->is_asking = false;
    queue->last = answer->outcome;
    bool is_granted = answer->outcome == ENGINE_OK && answer->is_granted;
    waiter->is_unsure = answer->outcome == ENGINE_UNKNOWN || (waiter->is_unsure && answer->outcome != ENGINE_OK);
    bool waits_on =
        !is_granted && waiter->wait_until_ms > now_ms && (answer->outcome == ENGINE_OK || may_pass(answer->outcome));
    if (waits_on && !self->is_closed) {
        wait_on(self, queue, answer, now_ms);
        return;
    }
    queue->has_place = queue->has_place && !is_granted; /* the engine took it with the grant */
    finish(self, waiter, waits_on && answer->outcome == ENGINE_OK ? &stopped : answer);
    go_on(self, queue, now_ms);
}

void lease_queues_freed(lease_queues_t *self, struct span name, uint64_t now_ms) {
    struct lease_queue *queue = find(self, name);
    if (queue != NULL && queue->is_asking) {
        queue->ask_again = true;
    } else if (queue != NULL) {
        ask(self, queue, now_ms);
    }
}

/* ---- time ---- */

/* Those whose wait is over, but for the first while it is being asked for. */
static void end_waits(lease_queues_t *self, struct lease_queue *queue, uint64_t now_ms) {
    const struct lease_answer no = {.outcome = queue->last}; /* OK: held */
    list_for_each_safe (link, &queue->waiters) {
        struct lease_waiter *waiter = waiter_of(link);
        bool is_asked_for = queue->is_asking && waiter == first_of(queue);
        if (!is_asked_for && waiter->wait_until_ms <= now_ms) {
            finish(self, waiter, &no);
        }
    }
}

void lease_queues_tick(lease_queues_t *self, uint64_t now_ms) {
    struct lease_queue *queue = NULL;
    struct lease_queue *next = NULL;
    HASH_ITER(hh, self->queues, queue, next) {
        end_waits(self, queue, now_ms);
        bool is_due = !queue->is_asking && queue->again_ms <= now_ms;
        if (list_is_empty(&queue->waiters) || is_due) {
            go_on(self, queue, now_ms);
        }
    }
}

void lease_queues_close(lease_queues_t *self) {
    struct lease_queue *queue = NULL;
    struct lease_queue *next = NULL;
    self->is_closed = true;
    HASH_ITER(hh, self->queues, queue, next) {
        list_for_each_safe (link, &queue->waiters) {
            if (!queue->is_asking || waiter_of(link) != first_of(queue)) {
                finish(self, waiter_of(link), &stopped);
            }
        }
        if (list_is_empty(&queue->waiters)) {
            go_on(self, queue, 0);
        }
    }
}

uint32_t lease_queues_count(const lease_queues_t *self) {
    return self->n_waiters;
}

/* ---- life ---- */

lease_queues_t *lease_queues_new(const struct lease_queues_options *options) {
    lease_queues_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    return self;
}

void lease_queues_destroy(lease_queues_t **self_p) {
    if (*self_p != NULL) {
        check((*self_p)->n_waiters == 0, "%u still wait for leases", (*self_p)->n_waiters);
        memory_free(*self_p);
        *self_p = NULL;
    }
}
