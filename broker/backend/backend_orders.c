/* See backend_orders.h. */
#include "broker/backend/backend_orders.h"

#include "base/memory.h"

#include <uthash.h>

struct sent_order {
    uint32_t request;
    struct backend_order order;
    UT_hash_handle hh;
};

struct backend_orders {
    backend_link_t *link;
    struct sent_order *sent;
    uint32_t last_request;
};

backend_orders_t *backend_orders_new(backend_link_t *link) {
    backend_orders_t *self = memory_alloc_zero(sizeof *self);
    self->link = link;
    return self;
}

static void forget(backend_orders_t *self, struct sent_order *sent) {
    HASH_DEL(self->sent, sent);
    memory_free(sent);
}

void backend_orders_destroy(backend_orders_t **self_p) {
    struct backend_order order;
    if (*self_p == NULL) {
        return;
    }
    while (backend_orders_take_any(*self_p, &order)) {
    }
    memory_free(*self_p);
    *self_p = NULL;
}

static uint32_t next_request(backend_orders_t *self) {
    struct sent_order *sent;
    do {
        self->last_request++;
        HASH_FIND(hh, self->sent, &self->last_request, sizeof self->last_request, sent);
    } while (self->last_request == 0 || sent != NULL);
    return self->last_request;
}

bool backend_orders_send(backend_orders_t *self, struct wire_command *frame, const struct backend_order *order) {
    uint32_t shard;
    struct buffer *batch = backend_link_batch(self->link, frame->user, &shard);
    if (batch == NULL) {
        return false;
    }
    frame->request = next_request(self);
    if (!wire_encode_command(batch, frame)) {
        return false;
    }
    backend_link_added(self->link, shard);
    struct sent_order *sent = memory_alloc_zero(sizeof *sent);
    sent->request = frame->request;
    sent->order = *order;
    HASH_ADD(hh, self->sent, request, sizeof sent->request, sent);
    return true;
}

bool backend_orders_take(backend_orders_t *self, uint32_t request, struct backend_order *ret_order) {
    struct sent_order *sent;
    HASH_FIND(hh, self->sent, &request, sizeof request, sent);
    if (sent == NULL) {
        return false;
    }
    *ret_order = sent->order;
    forget(self, sent);
    return true;
}

bool backend_orders_take_any(backend_orders_t *self, struct backend_order *ret_order) {
    if (self->sent == NULL) {
        return false;
    }
    *ret_order = self->sent->order;
    forget(self, self->sent);
    return true;
}

void backend_orders_sweep(backend_orders_t *self, bool (*is_gone)(void *context, uint64_t ticket), void *context) {
    struct sent_order *sent;
    struct sent_order *next;
    HASH_ITER(hh, self->sent, sent, next) {
        if (is_gone(context, sent->order.ticket)) {
            forget(self, sent);
        }
    }
}
