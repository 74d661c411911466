/* See engine_memory.h.
 *
 * A call does its work at once, in the order of the calls, and puts what there is to tell into one queue: the events
 * and completions, with everything they need held by reference. The queue is delivered by an idle handle at the
 * beginning of the loop's next turn, before the actor flushes: so nothing is told inside a call, order is the order of
 * the calls, and nobody waits for more than the turn.
 *
 *   append, read, … ──▶ store ──▶ queue ──▶ (next turn) events, completions
 *   timer, 1 s ──▶ leases that lapsed, channels past their time, on_leases
 *
 * Failures. Over the byte budget with nothing left to evict: appends, and reads that would have to make an epoch, end
 * as ENGINE_FULL, counted. Presence and holds are always taken (they are bounded by the gateways' connections) and
 * push idle channels out instead. Leases and values of services have a budget of their own and end as ENGINE_FULL, too.
 * A publication that no frame can carry: ENGINE_TOO_LARGE. Closing: what is queued is told as ENGINE_CANCELLED, events
 * are dropped. The queue is bounded by what its shard takes in one turn. */
#include "broker/engine_memory.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "broker/memory/engine_memory_parts.h"

enum {
    TICK_MS = 1000,
    SWEEP_TICKS = 60, /* every channel is looked at once in so many ticks */
    SWEEP_CHANNELS_MIN = 1024,
};

static const struct metric_description metric_rows[] = {
    [ENGINE_MEMORY_BYTES] = {"callboard_memory_bytes", "Bytes the memory engine holds for channels.", METRIC_GAUGE,
                             NULL},
    [ENGINE_MEMORY_CHANNELS] = {"callboard_memory_channels", "Channels the memory engine knows.", METRIC_GAUGE, NULL},
    [ENGINE_MEMORY_PUBLICATIONS] = {"callboard_memory_publications", "Publications kept as history.", METRIC_GAUGE,
                                    NULL},
    [ENGINE_MEMORY_KEYS] = {"callboard_memory_keys", "Idempotency keys inside their window.", METRIC_GAUGE, NULL},
    [ENGINE_MEMORY_MEMBERS] = {"callboard_memory_members", "Presence entries.", METRIC_GAUGE, NULL},
    [ENGINE_MEMORY_APPENDS] = {"callboard_memory_appends_total", "Publications taken.", METRIC_COUNTER, NULL},
    [ENGINE_MEMORY_DUPLICATES] = {"callboard_memory_duplicates_total", "Appends answered from their idempotency key.",
                                  METRIC_COUNTER, NULL},
    [ENGINE_MEMORY_KEY_REUSED] = {"callboard_memory_key_reused_total",
                                  "Appends refused because their key names another payload.", METRIC_COUNTER, NULL},
    [ENGINE_MEMORY_EVICTED] = {"callboard_memory_evicted_total",
                               "Idle channels forgotten, with their epoch, to stay inside memory.bytes.",
                               METRIC_COUNTER, NULL},
    [ENGINE_MEMORY_REFUSED] = {"callboard_memory_refused_total",
                               "Requests refused because memory.bytes is full of channels in use.", METRIC_COUNTER,
                               NULL},
    [ENGINE_MEMORY_MALFORMED_INFO] = {"callboard_memory_malformed_info_total",
                                      "Presence entries dropped because their client info cannot be read.",
                                      METRIC_COUNTER, NULL},
    [ENGINE_MEMORY_SERVICES] = {"callboard_memory_services", "Leases held and values kept for services.", METRIC_GAUGE,
                                NULL},
    [ENGINE_MEMORY_SERVICES_BYTES] = {"callboard_memory_services_bytes",
                                      "Bytes of leases and values of services, at most memory.services_bytes.",
                                      METRIC_GAUGE, NULL},
    [ENGINE_MEMORY_SERVICES_REFUSED] = {"callboard_memory_services_refused_total",
                                        "Leases and values refused because memory.services_bytes are kept.",
                                        METRIC_COUNTER, NULL},
};

static void wake(struct engine_memory *self);

void engine_memory_tell_later(struct engine_memory *self, struct engine_memory_delivery *delivery) {
    list_init(&delivery->link);
    list_push_back(&self->deliveries, &delivery->link);
    wake(self);
}

bool engine_memory_make_room(struct engine_memory *self, size_t bytes) {
    if (memory_store_make_room(&self->store, bytes)) {
        return true;
    }
    metric_count(self->metrics, ENGINE_MEMORY_REFUSED);
    return false;
}

static void hold_back(engine_t *base, bool on) {
    struct engine_memory *self = engine_memory_of(base);
    if (!on) {
        self->store.bytes_max = self->limits.bytes_max;
        self->services.bytes_max = self->limits.services_bytes;
        return;
    }
    if (self->services.bytes_max == self->limits.services_bytes && self->services.bytes < self->limits.services_bytes) {
        self->services.bytes_max = self->services.bytes;
    }
    if (self->store.bytes_max == self->limits.bytes_max && self->store.totals.bytes < self->limits.bytes_max) {
        self->store.bytes_max = self->store.totals.bytes;
    }
}

/* ---- holding ---- */

static void hold(engine_t *base, struct span name, const struct namespace_options *options) {
    struct engine_memory *self = engine_memory_of(base);
    (void) options; /* what it costs to listen is the same for all */
    memory_store_hold(&self->store, name);
}

static void release_hold(engine_t *base, struct span name) {
    struct engine_memory *self = engine_memory_of(base);
    bool was_held = memory_store_release(&self->store, name, clock_monotonic_ms());
    check(was_held, "release of a channel that is not held");
}

static bool is_sure(engine_t *base, struct span channel) {
    (void) base;
    (void) channel;
    return true; /* what is not here is nowhere */
}

static void lease_renew(engine_t *base, const struct engine_lease *lease) {
    struct engine_memory *self = engine_memory_of(base);
    if (memory_leases_renew(&self->leases, lease, clock_monotonic_ms())) {
        self->leases_are_due = true; /* its gateway waits for the number */
        wake(self);
    }
}

/* ---- telling ---- */

static void tell_leases(struct engine_memory *self) {
    struct engine_lease *leases = self->leases.n == 0 ? NULL : memory_alloc_array(self->leases.n, sizeof *leases);
    memory_leases_list(&self->leases, leases);
    self->leases_are_due = false;
    self->options.events->on_leases(self->options.context, leases, self->leases.n);
    memory_free(leases);
}

static void tell_state(struct engine_memory *self) {
    self->state_is_due = false;
    self->options.events->on_state(self->options.context, true, true, "the engine is this process's memory");
}

static void update_gauges(struct engine_memory *self) {
    const struct memory_totals *totals = &self->store.totals;
    metric_set(self->metrics, ENGINE_MEMORY_BYTES, (int64_t) totals->bytes);
    metric_set(self->metrics, ENGINE_MEMORY_CHANNELS, (int64_t) totals->channels);
    metric_set(self->metrics, ENGINE_MEMORY_PUBLICATIONS, (int64_t) totals->publications);
    metric_set(self->metrics, ENGINE_MEMORY_KEYS, (int64_t) totals->keys);
    metric_set(self->metrics, ENGINE_MEMORY_MEMBERS, (int64_t) totals->members);
    metric_add(self->metrics, ENGINE_MEMORY_EVICTED, self->store.n_evicted - self->n_evicted_told);
    self->n_evicted_told = self->store.n_evicted;
    metric_set(self->metrics, ENGINE_MEMORY_SERVICES, (int64_t) self->services.records.n);
    metric_set(self->metrics, ENGINE_MEMORY_SERVICES_BYTES, (int64_t) self->services.bytes);
    metric_add(self->metrics, ENGINE_MEMORY_SERVICES_REFUSED, self->services.n_full - self->n_full_told);
    self->n_full_told = self->services.n_full;
}

static void deliver_all(struct engine_memory *self, struct list_link *deliveries) {
    struct list_link *link = NULL;
    while ((link = list_pop_front(deliveries)) != NULL) {
        struct engine_memory_delivery *delivery = list_entry(link, struct engine_memory_delivery, link);
        delivery->deliver(self, delivery);
    }
}

static void close_handles(struct engine_memory *self);

/* One turn's deliveries; what the callbacks ask for is told in the next. */
static void on_idle(uv_idle_t *idle) {
    struct engine_memory *self = idle->data;
    struct list_link turn;
    list_init(&turn);
    list_splice_back(&turn, &self->deliveries);
    if (self->state_is_due && !self->is_closing) {
        tell_state(self);
    }
    if (self->leases_are_due && !self->is_closing) {
        tell_leases(self);
    }
    deliver_all(self, &turn);
    update_gauges(self);
    if (!list_is_empty(&self->deliveries) || (self->leases_are_due && !self->is_closing)) {
        return;
    }
    uv_idle_stop(idle);
    if (self->is_closing) {
        close_handles(self);
    }
}

static void wake(struct engine_memory *self) {
    if (!uv_is_closing((uv_handle_t *) &self->idle)) {
        uv_idle_start(&self->idle, on_idle);
    }
}

static void on_tick(uv_timer_t *timer) {
    struct engine_memory *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    size_t share = self->store.totals.channels / SWEEP_TICKS;
    memory_leases_expire(&self->leases, now_ms);
    memory_store_sweep(&self->store, share > SWEEP_CHANNELS_MIN ? share : SWEEP_CHANNELS_MIN, &self->leases, now_ms);
    share = self->services.records.n / SWEEP_TICKS;
    memory_services_sweep(&self->services, share > SWEEP_CHANNELS_MIN ? share : SWEEP_CHANNELS_MIN, now_ms);
    update_gauges(self);
    tell_leases(self);
}

static void flush(engine_t *base) {
    (void) base; /* nothing leaves the process */
}

static bool is_connected(const engine_t *base) {
    const struct engine_memory *self = (const struct engine_memory *) (const void *) base;
    return !self->is_closing;
}

static enum wire_mode mode(const engine_t *base) {
    (void) base;
    return WIRE_MODE_MEMORY;
}

/* ---- life ---- */

static void finish(struct engine_memory *self) {
    deliver_all(self, &self->deliveries); /* asked for while the handles were closing */
    memory_store_finish(&self->store);
    memory_leases_finish(&self->leases);
    memory_services_finish(&self->services);
    metric_values_destroy(&self->metrics);
    buffer_finish(&self->scratch);
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->on_closed_context;
    memory_free(self);
    on_closed(context);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct engine_memory *self = handle->data;
    if (--self->n_handles == 0) {
        finish(self);
    }
}

static void close_handles(struct engine_memory *self) {
    uv_close((uv_handle_t *) &self->idle, on_handle_closed);
    uv_close((uv_handle_t *) &self->tick, on_handle_closed);
}

static void close_engine(engine_t *base, void (*on_closed)(void *context), void *context) {
    struct engine_memory *self = engine_memory_of(base);
    check(!self->is_closing, "an engine is closed twice");
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    uv_timer_stop(&self->tick);
    wake(self);
}

static const struct engine_methods engine_memory_methods = {
    .close = close_engine,
    .append = engine_memory_append,
    .read = engine_memory_read,
    .remove_history = engine_memory_remove_history,
    .hold = hold,
    .release = release_hold,
    .is_sure = is_sure,
    .presence_set = engine_memory_set_presence,
    .presence_clear = engine_memory_clear_presence,
    .presence_read = engine_memory_read_presence,
    .lease_renew = lease_renew,
    .serve = engine_memory_serve,
    .flush = flush,
    .hold_back = hold_back,
    .is_connected = is_connected,
    .mode = mode,
};

engine_t *engine_memory_new(const struct engine_options *options, const struct engine_memory_limits *limits) {
    struct engine_memory *self = memory_alloc_zero(sizeof *self);
    self->base.methods = &engine_memory_methods;
    self->options = *options;
    self->limits = *limits;
    memory_store_init(&self->store, limits->bytes_max);
    memory_leases_init(&self->leases, limits->lease_ms);
    memory_services_init(&self->services, limits->services_bytes);
    list_init(&self->deliveries);
    /* What a PUSH frame can carry: its handle goes before the publication. */
    buffer_init(&self->scratch, WIRE_FRAME_MAX - WIRE_FRAME_HEADER_SIZE - sizeof(uint32_t));
    self->metrics = metric_values_new(options->metrics, metric_rows, sizeof metric_rows / sizeof *metric_rows);
    uv_idle_init(options->loop, &self->idle);
    uv_timer_init(options->loop, &self->tick);
    self->idle.data = self;
    self->tick.data = self;
    self->n_handles = 2;
    self->state_is_due = true;
    self->leases_are_due = true;
    uv_timer_start(&self->tick, on_tick, TICK_MS, TICK_MS);
    wake(self);
    return &self->base;
}
