/* See redis_topology.h. Here: the interface, and the kind that knows one server from its URL. */
#include "broker/redis/topology/redis_topology_parts.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdio.h>

enum { LINK_COMMANDS_MAX = 64, LINK_BYTES_MAX = 64 * 1024 };

/* ---- one fixed server ---- */

struct redis_fixed {
    redis_topology_t base;
    struct redis_address address;
    bool is_told;     /* on_changed was called */
    bool is_cluster;  /* it answered MOVED */
    uv_timer_t timer; /* the next turn */
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

static void on_fixed_timer(uv_timer_t *timer);

/* A server of a cluster, named as one alone: it stays the one that was named, and what is wrong is told. */
static void fixed_moved(redis_topology_t *base, uint32_t slot, struct span address) {
    (void) slot;
    (void) address;
    fixed_of(base)->is_cluster = true;
    uv_timer_start(&fixed_of(base)->timer, on_fixed_timer, 0, 0);
}

static void fixed_refresh(redis_topology_t *base) {
    (void) base;
}

static void on_fixed_timer(uv_timer_t *timer) {
    redis_topology_t *base = timer->data;
    struct redis_fixed *self = fixed_of(base);
    if (!base->is_closing && !self->is_told) {
        self->is_told = true;
        base->options.events->on_changed(base->options.context);
    }
    if (self->is_cluster) {
        redis_topology_set_trouble(base, "the server that redis.url names is one of a cluster; write redis+cluster:// "
                                         "(or rediss+cluster://) there");
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
    switch (options->url->kind) {
    case REDIS_URL_STANDALONE:
        return fixed_new(options);
    case REDIS_URL_SENTINEL:
        return redis_sentinel_new(options);
    case REDIS_URL_CLUSTER:
        return redis_cluster_new(options);
    }
    unreachable("kind %d", options->url->kind);
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

uint64_t redis_topology_asked_ms(const redis_topology_t *self) {
    return self->asked_ms;
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

static void copy_login(struct redis_url *url, const char *user, const char *password) {
    snprintf(url->user, sizeof url->user, "%s", user == NULL ? "" : user);
    snprintf(url->password, sizeof url->password, "%s", password == NULL ? "" : password);
}

void redis_topology_init(redis_topology_t *self, const struct redis_topology_methods *methods,
                         const struct redis_topology_options *options) {
    self->methods = methods;
    self->options = *options;
    self->url = *options->url;
    self->sentinel_url = *options->url;
    self->sentinel_url.database = 0;
    copy_login(&self->sentinel_url, options->sentinel_user, options->sentinel_password);
    snprintf(self->client_name, sizeof self->client_name, "%s", options->client_name);
    self->options.url = &self->url;
    self->options.client_name = self->client_name;
    self->options.sentinel_user = NULL; /* the caller's texts are not kept */
    self->options.sentinel_password = NULL;
}

struct redis_link_options redis_topology_link_options(const redis_topology_t *self, const struct redis_address *address,
                                                      bool as_sentinel) {
    struct redis_link_options options = {
        .loop = self->options.loop,
        .url = as_sentinel ? self->sentinel_url : self->url,
        .tls = self->options.tls,
        .client_name = self->client_name,
        .commands_max = LINK_COMMANDS_MAX,
        .bytes_max = LINK_BYTES_MAX,
        .reply_limits = self->options.reply_limits,
        .command_timeout_ms = self->options.command_timeout_ms,
    };
    redis_url_set_address(&options.url, address);
    return options;
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
