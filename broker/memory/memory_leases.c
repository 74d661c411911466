/* See memory_leases.h. */
#include "broker/memory/memory_leases.h"

#include "base/memory.h"

struct memory_lease {
    struct list_link link;
    struct engine_lease lease; /* its gateway id is the text below */
    uint64_t expires_ms;
    uint8_t gateway_id[];
};

static struct memory_lease *lease_of(struct list_link *link) {
    return list_entry(link, struct memory_lease, link);
}

static struct memory_lease *find(const struct memory_leases *self, struct span gateway_id) {
    list_for_each (link, &self->leases) {
        if (span_equal(lease_of(link)->lease.gateway_id, gateway_id)) {
            return lease_of(link);
        }
    }
    return NULL;
}

static struct memory_lease *add(struct memory_leases *self, struct span gateway_id) {
    struct memory_lease *added = memory_alloc_zero(sizeof *added + gateway_id.size);
    if (gateway_id.size > 0) {
        memcpy(added->gateway_id, gateway_id.data, gateway_id.size);
    }
    added->lease.gateway_id = span_of(added->gateway_id, gateway_id.size);
    list_push_back(&self->leases, &added->link);
    self->n++;
    return added;
}

static void remove_lease(struct memory_leases *self, struct memory_lease *lease) {
    list_remove(&lease->link);
    self->n--;
    memory_free(lease);
}

bool memory_leases_renew(struct memory_leases *self, const struct engine_lease *lease, uint64_t now_ms) {
    struct memory_lease *known = find(self, lease->gateway_id);
    bool is_new = known == NULL || now_ms >= known->expires_ms || known->lease.boot_nonce != lease->boot_nonce;
    if (known == NULL) {
        known = add(self, lease->gateway_id);
    }
    struct span gateway_id = known->lease.gateway_id;
    uint64_t number = is_new ? engine_lease_number() : known->lease.number;
    known->lease = *lease;
    known->lease.gateway_id = gateway_id;
    known->lease.number = number;
    known->expires_ms = now_ms + self->life_ms;
    return is_new;
}

bool memory_leases_expire(struct memory_leases *self, uint64_t now_ms) {
    size_t n_before = self->n;
    list_for_each_safe (link, &self->leases) {
        if (now_ms >= lease_of(link)->expires_ms) {
            remove_lease(self, lease_of(link));
        }
    }
    return self->n < n_before;
}

bool memory_leases_has(const struct memory_leases *self, struct span gateway_id, uint64_t number) {
    const struct memory_lease *known = find(self, gateway_id);
    return known != NULL && known->lease.number == number;
}

void memory_leases_list(const struct memory_leases *self, struct engine_lease *ret_leases) {
    size_t i = 0;
    list_for_each (link, &self->leases) {
        ret_leases[i++] = lease_of(link)->lease;
    }
}

void memory_leases_init(struct memory_leases *self, uint64_t life_ms) {
    list_init(&self->leases);
    self->n = 0;
    self->life_ms = life_ms;
}

void memory_leases_finish(struct memory_leases *self) {
    list_for_each_safe (link, &self->leases) {
        remove_lease(self, lease_of(link));
    }
}
