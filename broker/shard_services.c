/* Leases and values of services (the backend API's lease.* and kv.*).
 *
 *   lease.acquire ──▶ lease_queues ──the first of a name──▶ engine ──granted, or its wait is over──▶ answer
 *   the others    ──▶ operation    ──────────────────────▶ engine ──completion, exactly once──────▶ answer
 *
 * Failure modes. Memory stands in for Redis: no leases, since their tokens would be nobody's; values go on, and each
 * answer says the mode. The engine is away: who waits is asked for again until the wait is over, others are told at
 * once. The broker drains: nobody waits any more; who holds a lease still renews and releases it. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "broker/shard_operation.h"

enum { NONCE_SIZE = 20 };

static const char stands_in_text[] = "no leases are given while memory stands in for Redis (redis.fallback), since "
                                     "nobody could tell their tokens from Redis's; try again when Redis is there";
static const char too_many_text[] = "backend.lease_waiters wait for leases already";
static const char no_number_text[] = "what this key holds, or what it would come to, is no whole number below 2^53";
static const char held_text[] = "another holds the lease; wait longer, or try again later";
static const char lost_text[] = "this token holds the lease no more: it ended, was released, or was lost with Redis's "
                                "data; stop what you do under it, and acquire it anew";

/* An acquisition from its asking to its answer. */
struct acquisition {
    struct lease_waiter waiter;
    struct engine_service service;
    struct shard *shard;
    struct operation_origin origin;
    uint64_t ttl_ms;
    uint64_t started_us;
    bool was_refused;   /* at least once: it waited */
    bool is_asked_once; /* without a key, so nobody else can have been answered it */
    size_t name_size;
    size_t nonce_size;
    uint8_t bytes[]; /* name, nonce */
};

bool shard_is_service_request(enum shard_request_kind kind) {
    return kind >= SHARD_REQUEST_LEASE_ACQUIRE && kind <= SHARD_REQUEST_KV_INCR;
}

static enum wire_mode mode_of(const struct shard *self) {
    return self->engine->methods->mode(self->engine);
}

static uint64_t try_until(const struct shard *self) {
    return clock_monotonic_ms() + (uint64_t) self->options.config->publish_timeout_ms;
}

/* ---- acquiring ---- */

static struct span name_of(const struct acquisition *acquisition) {
    return span_of(acquisition->bytes, acquisition->name_size);
}

static void on_asked(struct engine_service *service, enum engine_outcome outcome) {
    struct acquisition *acquisition = list_entry(service, struct acquisition, service);
    const struct lease_answer answer = {
        .outcome = outcome, .is_granted = service->is_done, .token = service->granted, .left_ms = service->left_ms};
    acquisition->was_refused = acquisition->was_refused || (outcome == ENGINE_OK && !service->is_done);
    lease_queues_answered(acquisition->shard->lease_queues, &acquisition->waiter, &answer, clock_monotonic_ms());
}

static void ask(void *context, struct lease_waiter *waiter, bool waits) {
    struct shard *self = context;
    struct acquisition *acquisition = list_entry(waiter, struct acquisition, waiter);
    acquisition->service =
        (struct engine_service){.name = name_of(acquisition),
                                .verb = ENGINE_LEASE_ACQUIRE,
                                .ttl_ms = acquisition->ttl_ms,
                                .nonce = span_of(acquisition->bytes + acquisition->name_size, acquisition->nonce_size),
                                .waits = waits,
                                .deadline_ms = try_until(self),
                                .on_done = on_asked};
    self->engine->methods->serve(self->engine, &acquisition->service);
}

static void on_left(struct engine_service *service, enum engine_outcome outcome) {
    (void) outcome; /* a place that was not given back is lost by itself */
    memory_free(service);
}

static void leave(void *context, struct span name) {
    struct shard *self = context;
    struct engine_service *service = memory_alloc_zero(sizeof *service);
    *service = (struct engine_service){
        .name = name, .verb = ENGINE_LEASE_LEAVE, .deadline_ms = try_until(self), .on_done = on_left};
    self->engine->methods->serve(self->engine, service);
}

static void fill_acquired(struct shard *self, const struct acquisition *acquisition, const struct lease_answer *answer,
                          struct shard_reply *reply) {
    if (answer->outcome != ENGINE_OK) {
        metric_count(self->metrics, SHARD_LEASES_FAILED);
        return;
    }
    if (!answer->is_granted) {
        metric_count(self->metrics, SHARD_LEASES_HELD);
        reply->error = ERROR_LEASE_HELD;
        reply->message_text = held_text;
        return;
    }
    metric_count(self->metrics, SHARD_LEASES_GRANTED);
    metric_add(self->metrics, SHARD_LEASES_WAITED, acquisition->was_refused);
    metric_observe_us(self->metrics, SHARD_LEASE_WAIT_SECONDS, clock_monotonic_us() - acquisition->started_us);
    reply->token = answer->token;
    reply->bytes = acquisition->is_asked_once ? name_of(acquisition) : SPAN_EMPTY;
    reply->left_ms = answer->left_ms;
}

/* At each change, not by the tick: who has its answer is counted no more. */
static void show_waiters(const struct shard *self) {
    metric_set(self->metrics, SHARD_LEASE_WAITERS, lease_queues_count(self->lease_queues));
}

static void on_acquired(void *context, struct lease_waiter *waiter, const struct lease_answer *answer) {
    struct shard *self = context;
    show_waiters(self);
    struct acquisition *acquisition = list_entry(waiter, struct acquisition, waiter);
    bool temporary = false;
    struct shard_reply reply = {.kind = SHARD_REQUEST_LEASE_ACQUIRE,
                                .error = shard_code_of(answer->outcome, true, &temporary),
                                .mode = mode_of(self)};
    fill_acquired(self, acquisition, answer, &reply);
    shard_answer(self, &acquisition->origin, &reply, temporary);
    memory_free(acquisition);
}

static struct acquisition *acquisition_new(struct shard *self, const struct shard_request *request,
                                           const struct operation_origin *origin) {
    char made_up[NONCE_SIZE + 1];
    struct span nonce = request->key;
    if (nonce.size == 0) {
        random_base62(made_up, NONCE_SIZE);
        nonce = span_of_text(made_up);
    }
    struct acquisition *acquisition = memory_alloc_zero(sizeof *acquisition + request->channel.size + nonce.size);
    acquisition->shard = self;
    acquisition->origin = *origin;
    acquisition->ttl_ms = request->ttl_ms;
    acquisition->is_asked_once = request->key.size == 0;
    acquisition->started_us = clock_monotonic_us();
    acquisition->waiter.wait_until_ms = request->wait_until_ms;
    acquisition->name_size = request->channel.size;
    acquisition->nonce_size = nonce.size;
    memcpy(acquisition->bytes, request->channel.data, request->channel.size);
    memcpy(acquisition->bytes + request->channel.size, nonce.data, nonce.size);
    return acquisition;
}

static void refuse(struct shard *self, const struct shard_request *request, const struct operation_origin *origin,
                   enum error_code code, const char *text) {
    struct shard_reply reply = {.kind = request->kind, .error = code, .message_text = text};
    shard_answer(self, origin, &reply, error_describe(code)->temporary);
}

static void acquire(struct shard *self, const struct shard_request *request, const struct operation_origin *origin) {
    struct acquisition *acquisition = acquisition_new(self, request, origin);
    enum lease_taking taking =
        lease_queues_add(self->lease_queues, request->channel, &acquisition->waiter, clock_monotonic_ms());
    show_waiters(self);
    switch (taking) {
    case LEASE_TAKEN:
        return;
    case LEASE_HELD:
        metric_count(self->metrics, SHARD_LEASES_HELD);
        refuse(self, request, origin, ERROR_LEASE_HELD, held_text);
        break;
    case LEASE_FULL:
        metric_count(self->metrics, SHARD_LEASE_WAITERS_REFUSED);
        refuse(self, request, origin, ERROR_TOO_MANY_REQUESTS, too_many_text);
        break;
    case LEASE_CLOSED:
        metric_count(self->metrics, SHARD_LEASES_FAILED);
        refuse(self, request, origin, ERROR_INTERNAL, NULL);
        break;
    }
    memory_free(acquisition);
}

void shard_start_leases(struct shard *self) {
    self->lease_queues = lease_queues_new(
        &(struct lease_queues_options){.waiters_max = (uint32_t) self->options.config->backend_lease_waiters,
                                       .ask = ask,
                                       .leave = leave,
                                       .on_done = on_acquired,
                                       .context = self});
}

void shard_on_lease_freed(void *context, struct span name) {
    struct shard *self = context;
    lease_queues_freed(self->lease_queues, name, clock_monotonic_ms());
}

void shard_leases_tick(struct shard *self, uint64_t now_ms) {
    lease_queues_tick(self->lease_queues, now_ms);
}

/* ---- the others ---- */

static void fill_lease(struct shard *self, const struct engine_service *service, struct shard_reply *reply) {
    if (!service->is_done) {
        metric_count(self->metrics, SHARD_LEASES_LOST);
        reply->error = ERROR_LEASE_LOST;
        reply->message_text = lost_text;
        return;
    }
    metric_count(self->metrics, service->verb == ENGINE_LEASE_RENEW ? SHARD_LEASES_RENEWED : SHARD_LEASES_RELEASED);
}

static void fill_value(struct shard *self, const struct engine_service *service, struct shard_reply *reply) {
    reply->is_there = service->is_done;
    reply->bytes = service->content;
    if (engine_service_only_reads(service->verb)) {
        metric_count(self->metrics, service->is_done ? SHARD_KV_HITS : SHARD_KV_MISSES);
    } else if (service->verb == ENGINE_KV_INCR && !service->is_done) {
        metric_count(self->metrics, SHARD_KV_FAILED);
        reply->error = ERROR_BAD_REQUEST;
        reply->message_text = no_number_text;
    } else {
        metric_count(self->metrics, SHARD_KV_WRITES);
        reply->number = service->number;
    }
}

static void on_served(struct engine_service *service, enum engine_outcome outcome) {
    struct operation *operation = list_entry(service, struct operation, engine.service);
    struct shard *self = operation->shard;
    bool is_lease = engine_service_is_lease(service->verb);
    bool temporary = false;
    struct shard_reply reply = {.error = shard_code_of(outcome, !engine_service_only_reads(service->verb), &temporary),
                                .mode = mode_of(self),
                                .left_ms = service->left_ms};
    if (outcome != ENGINE_OK) {
        metric_count(self->metrics, is_lease ? SHARD_LEASES_FAILED : SHARD_KV_FAILED);
    } else if (is_lease) {
        fill_lease(self, service, &reply);
        temporary = false;
    } else {
        fill_value(self, service, &reply);
    }
    shard_operation_finish(operation, &reply, temporary);
}

static enum engine_service_verb verb_of(enum shard_request_kind kind) {
    static const enum engine_service_verb verbs[] = {ENGINE_LEASE_ACQUIRE, ENGINE_LEASE_RENEW, ENGINE_LEASE_RELEASE,
                                                     ENGINE_KV_GET,        ENGINE_KV_SET,      ENGINE_KV_DEL,
                                                     ENGINE_KV_EXISTS,     ENGINE_KV_INCR};
    return verbs[kind - SHARD_REQUEST_LEASE_ACQUIRE];
}

static void operate(struct shard *self, const struct shard_request *request, const struct operation_origin *origin) {
    struct operation *operation = shard_operation_new(self, request, origin);
    operation->engine.service = (struct engine_service){.name = shard_operation_channel(operation),
                                                        .verb = verb_of(request->kind),
                                                        .ttl_ms = request->ttl_ms,
                                                        .token = request->token,
                                                        .value = request->data,
                                                        .by = request->by,
                                                        .deadline_ms = shard_deadline_of(self, request),
                                                        .on_done = on_served};
    self->engine->methods->serve(self->engine, &operation->engine.service);
}

void shard_serve(struct shard *self, const struct shard_request *request, const struct operation_origin *origin) {
    bool is_lease = request->kind <= SHARD_REQUEST_LEASE_RELEASE;
    if (is_lease && shard_stands_in(self)) {
        metric_count(self->metrics, SHARD_LEASES_FAILED);
        refuse(self, request, origin, ERROR_INTERNAL, stands_in_text);
    } else if (request->kind == SHARD_REQUEST_LEASE_ACQUIRE) {
        acquire(self, request, origin);
    } else {
        operate(self, request, origin);
    }
}
