/* See topology_watch.h. */
#include "tests/support/topology_watch.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { AWAIT_MS = 30000, WAKE_MS = 10 };

static void on_changed(void *context) {
    struct topology_watch *self = context;
    check(self->topology != NULL, "told inside redis_topology_new");
    self->n_changed++;
}

static void on_trouble(void *context, const char *reason) {
    struct topology_watch *self = context;
    snprintf(self->trouble, sizeof self->trouble, "%s", reason == NULL ? "" : reason);
    self->n_troubles++;
}

static const struct redis_topology_events events = {on_changed, on_trouble};

static void on_wake(uv_timer_t *timer) {
    (void) timer;
}

void topology_watch_start(struct topology_watch *self, const char *url, const struct topology_watch_options *options) {
    const struct topology_watch_options none = {.sentinel_user = NULL};
    const struct topology_watch_options *given = options == NULL ? &none : options;
    *self = (struct topology_watch){.topology = NULL};
    uv_loop_init(&self->loop);
    uv_timer_init(&self->loop, &self->timer);
    uv_timer_start(&self->timer, on_wake, WAKE_MS, WAKE_MS);
    struct redis_url parsed;
    char error[256] = "";
    check(redis_url_parse(span_of_text(url), &parsed, error, sizeof error), "%s: %s", url, error);
    if (parsed.tls) {
        self->tls = redis_tls_new(&given->tls, error, sizeof error);
        check(self->tls != NULL, "%s", error);
    }
    const struct redis_topology_options topology_options = {
        .loop = &self->loop,
        .url = &parsed,
        .sentinel_user = given->sentinel_user,
        .sentinel_password = given->sentinel_password,
        .tls = self->tls,
        .client_name = "test",
        .reply_limits = {.bytes = 1 << 20, .elements = 100000},
        .command_timeout_ms = 1000,
        .events = &events,
        .context = self,
    };
    self->topology = redis_topology_new(&topology_options);
}

static void on_closed(void *context) {
    ((struct topology_watch *) context)->is_closed = true;
}

void topology_watch_stop(struct topology_watch *self) {
    redis_topology_close(self->topology, on_closed, self);
    uv_close((uv_handle_t *) &self->timer, NULL);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    check(self->is_closed, "the topology did not close");
    check(uv_loop_close(&self->loop) == 0, "something was left open");
    redis_tls_destroy(&self->tls);
}

void topology_watch_run(struct topology_watch *self, unsigned timeout_ms) {
    uint64_t end_ms = clock_monotonic_ms() + timeout_ms;
    while (clock_monotonic_ms() < end_ms) {
        uv_run(&self->loop, UV_RUN_ONCE);
    }
}

/* ---- awaiting ---- */

struct wish {
    uint32_t slot;
    int port;
    const char *trouble;
    unsigned replicas;
};

static bool await(struct topology_watch *self, bool (*is_so)(const struct topology_watch *, const struct wish *),
                  const struct wish *wish) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    while (!is_so(self, wish)) {
        if (clock_monotonic_ms() >= deadline_ms) {
            return false;
        }
        uv_run(&self->loop, UV_RUN_ONCE);
    }
    return true;
}

static bool is_served(const struct topology_watch *self, const struct wish *wish) {
    const struct redis_address *address = redis_topology_find(self->topology, wish->slot);
    return address != NULL && strcmp(address->host, "127.0.0.1") == 0 && address->port == wish->port;
}

static bool is_troubled(const struct topology_watch *self, const struct wish *wish) {
    return wish->trouble[0] == '\0' ? self->trouble[0] == '\0' : strstr(self->trouble, wish->trouble) != NULL;
}

static bool has_replicas(const struct topology_watch *self, const struct wish *wish) {
    return redis_topology_replicas(self->topology, wish->slot) == wish->replicas;
}

bool topology_watch_await(struct topology_watch *self, uint32_t slot, int port) {
    return await(self, is_served, &(struct wish){.slot = slot, .port = port});
}

bool topology_watch_await_trouble(struct topology_watch *self, const char *text) {
    return await(self, is_troubled, &(struct wish){.trouble = text});
}

bool topology_watch_await_replicas(struct topology_watch *self, uint32_t slot, unsigned replicas) {
    return await(self, has_replicas, &(struct wish){.slot = slot, .replicas = replicas});
}
