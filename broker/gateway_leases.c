/* A few tens of entries, replaced as a whole each second: a plain array. */
#include "broker/gateway_leases.h"

#include "base/clock.h"
#include "base/memory.h"

struct lease {
    char *gateway_id;
    size_t size;
    uint64_t number;
    uint32_t connections, users, alive, dead;
};

struct gateway_leases {
    struct lease *leases;
    size_t n;
    uint32_t n_brokers;
    bool known;
    uint64_t told_ms;
};

gateway_leases_t *gateway_leases_new(void) {
    return memory_alloc_zero(sizeof(gateway_leases_t));
}

static void empty(gateway_leases_t *self) {
    for (size_t i = 0; i < self->n; i++) {
        memory_free(self->leases[i].gateway_id);
    }
    memory_free(self->leases);
    self->leases = NULL;
    self->n = 0;
}

void gateway_leases_destroy(gateway_leases_t **self_p) {
    if (*self_p == NULL) {
        return;
    }
    empty(*self_p);
    memory_free(*self_p);
    *self_p = NULL;
}

static bool is_broker(const struct engine_lease *lease) {
    return span_starts_with(lease->gateway_id, SPAN_LITERAL(LEASE_OF_BROKER));
}

static bool is_changed(const gateway_leases_t *self, const struct engine_lease *leases, size_t n_leases) {
    size_t n = 0;
    for (size_t i = 0; i < n_leases; i++) {
        if (is_broker(&leases[i])) {
            continue;
        }
        n++;
        if (gateway_leases_number(self, leases[i].gateway_id) != leases[i].number) {
            return true;
        }
    }
    return !self->known || self->n != n;
}

bool gateway_leases_update(gateway_leases_t *self, const struct engine_lease *leases, size_t n_leases) {
    bool changed = is_changed(self, leases, n_leases);
    empty(self);
    self->leases = n_leases == 0 ? NULL : memory_alloc_array(n_leases, sizeof *self->leases);
    self->n = 0;
    self->n_brokers = 0;
    self->known = true;
    self->told_ms = clock_monotonic_ms();
    for (size_t i = 0; i < n_leases; i++) {
        if (is_broker(&leases[i])) {
            self->n_brokers++;
            continue;
        }
        self->leases[self->n++] = (struct lease){
            .gateway_id = memory_strndup(leases[i].gateway_id.data, leases[i].gateway_id.size),
            .size = leases[i].gateway_id.size,
            .number = leases[i].number,
            .connections = leases[i].connections,
            .users = leases[i].users,
            .alive = leases[i].alive,
            .dead = leases[i].dead,
        };
    }
    return changed;
}

bool gateway_leases_are_known(const gateway_leases_t *self) {
    return self->known;
}

bool gateway_leases_are_fresh(const gateway_leases_t *self, uint64_t now_ms) {
    return self->known && now_ms - self->told_ms <= LEASES_FRESH_MS;
}

uint64_t gateway_leases_number(const gateway_leases_t *self, struct span gateway_id) {
    for (size_t i = 0; i < self->n; i++) {
        if (span_equal(span_of(self->leases[i].gateway_id, self->leases[i].size), gateway_id)) {
            return self->leases[i].number;
        }
    }
    return 0;
}

bool gateway_leases_each(const gateway_leases_t *self, size_t i, struct span *ret_gateway_id) {
    if (i >= self->n) {
        return false;
    }
    *ret_gateway_id = span_of(self->leases[i].gateway_id, self->leases[i].size);
    return true;
}

bool gateway_leases_is_alive(const gateway_leases_t *self, struct span gateway_id, uint64_t number) {
    uint64_t live = gateway_leases_number(self, gateway_id);
    return !self->known || (live != 0 && (number == 0 || number == live));
}

struct wire_totals gateway_leases_totals(const gateway_leases_t *self) {
    struct wire_totals totals = {.gateways = (uint32_t) self->n, .brokers = self->n_brokers == 0 ? 1 : self->n_brokers};
    for (size_t i = 0; i < self->n; i++) {
        totals.connections += self->leases[i].connections;
        totals.users += self->leases[i].users;
        totals.alive += self->leases[i].alive;
        totals.dead += self->leases[i].dead;
    }
    return totals;
}
