/* See backend_push_wait.h.
 *
 *   post ─▶ shard's inbox                      on_retry, each millisecond while something waits:
 *     │ full                                     oldest first ─▶ its shard's inbox
 *     ├── given up? ─▶ dropped                     still full, too long ─▶ dropped, the shard is given up
 *     └── waiting: PULL paused                     nothing left ─▶ PULL goes on
 *
 * Order: what waits goes out before PULL is read again, and a shard's oldest before its next. A broadcast may have as
 * many waiting as it has channels; beside them nothing can come, because nothing is received. */
#include "broker/backend/backend_push_wait.h"

#include "base/list.h"
#include "base/memory.h"

enum { RETRY_MS = 1 };

struct waiting_push {
    struct list_link link;
    uint32_t shard;
    struct shard_request *request;
};

struct backend_push_wait {
    uv_timer_t retry;
    actor_t *const *shards;
    uint64_t wait_ms;
    struct backend_push_wait_callbacks callbacks;
    void *context;
    struct list_link waiting;
    uint64_t since_ms; /* the oldest waits */
    bool *given_up;    /* by shard */
};

static enum actor_post_result post(backend_push_wait_t *self, uint32_t shard, struct shard_request *request) {
    struct actor_message *message = &request->message;
    enum actor_post_result result = actor_post(self->shards[shard], &message);
    if (result == ACTOR_POSTED) {
        self->given_up[shard] = false;
    }
    return result;
}

/* ---- what waits ---- */

static void end_first(backend_push_wait_t *self, bool is_taken) {
    struct waiting_push *first = list_entry(self->waiting.next, struct waiting_push, link);
    list_remove(&first->link);
    if (!is_taken) {
        memory_free(first->request);
    }
    memory_free(first);
    self->since_ms = uv_now(self->retry.loop);
    self->callbacks.on_end(self->context, is_taken);
}

/* False: it goes on waiting. */
static bool try_first(backend_push_wait_t *self) {
    struct waiting_push *first = list_entry(self->waiting.next, struct waiting_push, link);
    enum actor_post_result result = post(self, first->shard, first->request);
    bool is_overdue = uv_now(self->retry.loop) - self->since_ms >= self->wait_ms;
    if (result == ACTOR_FULL && !is_overdue && !self->given_up[first->shard]) {
        return false;
    }
    self->given_up[first->shard] = result == ACTOR_FULL;
    end_first(self, result == ACTOR_POSTED);
    return true;
}

static void on_retry(uv_timer_t *timer) {
    backend_push_wait_t *self = timer->data;
    while (!list_is_empty(&self->waiting)) {
        if (!try_first(self)) {
            return;
        }
    }
    uv_timer_stop(&self->retry);
    self->callbacks.on_pause(self->context, false);
}

static void keep(backend_push_wait_t *self, uint32_t shard, struct shard_request *request) {
    struct waiting_push *push = memory_alloc(sizeof *push);
    push->shard = shard;
    push->request = request;
    if (list_is_empty(&self->waiting)) {
        self->since_ms = uv_now(self->retry.loop);
        uv_timer_start(&self->retry, on_retry, RETRY_MS, RETRY_MS);
        self->callbacks.on_pause(self->context, true);
    }
    list_push_back(&self->waiting, &push->link);
}

enum backend_push_result backend_push_wait_post(backend_push_wait_t *self, uint32_t shard,
                                                struct shard_request *request) {
    bool is_behind = !list_is_empty(&self->waiting); /* of the same broadcast: it may not overtake */
    enum actor_post_result result = is_behind ? ACTOR_FULL : post(self, shard, request);
    if (result == ACTOR_POSTED) {
        return BACKEND_PUSH_TAKEN;
    }
    if (result == ACTOR_STOPPED || self->wait_ms == 0 || (!is_behind && self->given_up[shard])) {
        memory_free(request);
        return BACKEND_PUSH_DROPPED;
    }
    keep(self, shard, request);
    return BACKEND_PUSH_WAITS;
}

/* ---- life ---- */

backend_push_wait_t *backend_push_wait_new(uv_loop_t *loop, actor_t *const *shards, uint32_t n_shards, uint64_t wait_ms,
                                           const struct backend_push_wait_callbacks *callbacks, void *context) {
    backend_push_wait_t *self = memory_alloc_zero(sizeof *self);
    self->shards = shards;
    self->wait_ms = wait_ms;
    self->callbacks = *callbacks;
    self->context = context;
    self->given_up = memory_alloc_zero(n_shards * sizeof *self->given_up);
    list_init(&self->waiting);
    uv_timer_init(loop, &self->retry);
    self->retry.data = self;
    return self;
}

static void on_closed(uv_handle_t *handle) {
    backend_push_wait_t *self = handle->data;
    memory_free(self->given_up);
    memory_free(self);
}

void backend_push_wait_close(backend_push_wait_t **self_p) {
    backend_push_wait_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    while (!list_is_empty(&self->waiting)) {
        end_first(self, false);
    }
    uv_close((uv_handle_t *) &self->retry, on_closed);
}
