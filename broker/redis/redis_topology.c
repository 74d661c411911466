/* See redis_topology.h. Here: the interface, and the kind that knows one server from its URL. */
#include "broker/redis/redis_topology_parts.h"

#include "base/check.h"
#include "base/memory.h"

/* ---- one fixed server ---- */

struct redis_fixed {
    redis_topology_t base;
    struct redis_address address;
    uv_timer_t timer; /* the first turn */
};

static struct redis_fixed *fixed_of(redis_topology_t *base) {
    return (struct redis_fixed *) (void *) base;
}

static const struct redis_address *fixed_find(const redis_topology_t *base, uint32_t slot) {
    (void) slot;
    return &((const struct redis_fixed *) (const void *) base)->address;
}

static unsigned fixed_replicas(const redis_topology_t *base, uint32_t slot) {
    (void) base;
    (void) slot;
    return 0;
}

/* A server of a cluster, named as one alone: it stays the one that was named, and its links say what is wrong. */
static void fixed_moved(redis_topology_t *base, uint32_t slot, struct span address) {
    (void) base;
    (void) slot;
    (void) address;
}

static void fixed_refresh(redis_topology_t *base) {
    (void) base;
}

static void on_fixed_timer(uv_timer_t *timer) {
    redis_topology_t *base = timer->data;
    if (!base->is_closing) {
        base->options.events->on_changed(base->options.context);
    }
}

static void on_fixed_timer_closed(uv_handle_t *handle) {
    redis_topology_closed(handle->data);
}

static void fixed_close(redis_topology_t *base) {
    uv_close((uv_handle_t *) &fixed_of(base)->timer, on_fixed_timer_closed);
}

static const struct redis_topology_methods fixed_methods = {
    .find = fixed_find,
    .replicas = fixed_replicas,
    .moved = fixed_moved,
    .refresh = fixed_refresh,
    .close = fixed_close,
};

static redis_topology_t *fixed_new(const struct redis_topology_options *options) {
    struct redis_fixed *self = memory_alloc_zero(sizeof *self);
    redis_topology_init(&self->base, &fixed_methods, options);
    self->address = options->url->seeds[0];
    uv_timer_init(options->loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_fixed_timer, 0, 0);
    return &self->base;
}

/* ---- the interface ---- */

redis_topology_t *redis_topology_new(const struct redis_topology_options *options) {
    check(options->url->kind == REDIS_URL_STANDALONE, "a kind of topology that is not known");
    return fixed_new(options);
}

void redis_topology_close(redis_topology_t *self, void (*on_closed)(void *context), void *context) {
    check(!self->is_closing, "closed twice");
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    self->methods->close(self);
}

bool redis_topology_is_cluster(const redis_topology_t *self) {
    return self->url.kind == REDIS_URL_CLUSTER;
}

const struct redis_address *redis_topology_find(const redis_topology_t *self, uint32_t slot) {
    check(slot < REDIS_SLOTS, "slot %u", slot);
    return self->methods->find(self, slot);
}

unsigned redis_topology_replicas(const redis_topology_t *self, uint32_t slot) {
    check(slot < REDIS_SLOTS, "slot %u", slot);
    return self->methods->replicas(self, slot);
}

void redis_topology_moved(redis_topology_t *self, uint32_t slot, struct span address) {
    if (slot < REDIS_SLOTS && !self->is_closing) { /* a peer named it */
        self->methods->moved(self, slot, address);
    }
}

void redis_topology_refresh(redis_topology_t *self) {
    if (!self->is_closing) {
        self->methods->refresh(self);
    }
}

/* ---- for the kinds ---- */

void redis_topology_init(redis_topology_t *self, const struct redis_topology_methods *methods,
                         const struct redis_topology_options *options) {
    self->methods = methods;
    self->options = *options;
    self->url = *options->url;
    self->options.url = &self->url;
}

void redis_topology_set_trouble(redis_topology_t *self, const char *reason) {
    if (self->is_closing || reason == self->trouble) {
        return;
    }
    self->trouble = reason;
    self->options.events->on_trouble(self->options.context, reason);
}

void redis_topology_closed(redis_topology_t *self) {
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    memory_free(self);
    on_closed(context);
}
