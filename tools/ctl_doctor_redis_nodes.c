/* See ctl_doctor_redis_parts.h: the broker's own topology, asked until it knows the primaries or DOCTOR_WAIT_MS are
 * over. */
#include "tools/ctl_doctor_redis_parts.h"

#include "base/memory.h"
#include "broker/redis/topology/redis_topology.h"
#include "tools/ctl_doctor_parts.h"

#include <stdio.h>

enum { REPLY_ELEMENTS_MAX = 1000000, LEAVE_MS = 500 };

struct search {
    uv_loop_t loop;
    uv_timer_t timer;
    redis_topology_t *topology;
    bool is_over;
    bool is_closed;
    struct redis_address primaries[DOCTOR_NODES_MAX];
    size_t n;
    char reason[DOCTOR_REASON_MAX + 1];
};

static void on_closed(void *context) {
    struct search *self = context;
    self->is_closed = true;
    uv_close((uv_handle_t *) &self->timer, NULL);
}

static void on_not_closing(uv_timer_t *timer) {
    uv_stop(&((struct search *) timer->data)->loop);
}

static void end(struct search *self) {
    if (!self->is_over) {
        self->is_over = true;
        uv_timer_start(&self->timer, on_not_closing, LEAVE_MS, 0);
        redis_topology_close(self->topology, on_closed, self);
    }
}

static void add(struct search *self, const struct redis_address *address) {
    for (size_t i = 0; i < self->n; i++) {
        if (redis_address_equal(&self->primaries[i], address)) {
            return;
        }
    }
    if (self->n < DOCTOR_NODES_MAX) {
        self->primaries[self->n++] = *address;
    }
}

static void on_changed(void *context) {
    struct search *self = context;
    if (self->is_over) {
        return;
    }
    for (uint32_t slot = 0; slot < REDIS_SLOTS; slot++) {
        const struct redis_address *address = redis_topology_find(self->topology, slot);
        if (address != NULL) {
            add(self, address);
        }
    }
    if (self->n > 0) {
        end(self);
    }
}

static void on_trouble(void *context, const char *reason) {
    struct search *self = context;
    if (reason != NULL) { /* it goes on asking: the wait decides */
        snprintf(self->reason, sizeof self->reason, "%s", reason);
    }
}

static void on_late(uv_timer_t *timer) {
    struct search *self = timer->data;
    if (self->reason[0] == '\0') {
        snprintf(self->reason, sizeof self->reason, "nobody named a primary in 2 s");
    }
    end(self);
}

size_t doctor_redis_find(struct doctor_redis *seeds, const char *sentinel_user, const char *sentinel_password,
                         struct redis_address *ret_primaries, char *ret_reason) {
    static const struct redis_topology_events events = {on_changed, on_trouble};
    struct search *self = memory_alloc_zero(sizeof *self);
    const struct redis_topology_options options = {
        .loop = &self->loop,
        .url = &seeds->url,
        .sentinel_user = sentinel_user,
        .sentinel_password = sentinel_password,
        .tls = seeds->tls,
        .client_name = "callboardctl-doctor",
        .reply_limits = {.bytes = DOCTOR_REDIS_BYTES_MAX, .elements = REPLY_ELEMENTS_MAX},
        .command_timeout_ms = DOCTOR_WAIT_MS,
        .events = &events,
        .context = self};
    uv_loop_init(&self->loop);
    uv_timer_init(&self->loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_late, DOCTOR_WAIT_MS, 0);
    self->topology = redis_topology_new(&options);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    size_t n = self->n;
    memcpy(ret_primaries, self->primaries, n * sizeof *ret_primaries);
    snprintf(ret_reason, DOCTOR_REASON_MAX + 1, "%s", self->reason);
    if (self->is_closed) {
        uv_loop_close(&self->loop);
        memory_free(self);
    } else {
        seeds->has_left = true;
    }
    return n;
}
