/* Leases and values of services: done at once, told in the next turn. Standing in for Redis, the engine gives no
 * leases: whoever holds one there would not be asked, and its tokens are not known here. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/memory/engine_memory_parts.h"

struct service_delivery {
    struct engine_memory_delivery base;
    struct engine_service *request;
    payload_t *content; /* NULL: none */
    size_t name_size;   /* 0: no lease was freed */
    enum engine_outcome outcome;
    uint8_t name[];
};

static void deliver(struct engine_memory *self, struct engine_memory_delivery *base) {
    struct service_delivery *delivery = (struct service_delivery *) base;
    struct engine_service *request = delivery->request;
    enum engine_outcome outcome = self->is_closing ? ENGINE_CANCELLED : delivery->outcome;
    request->content = delivery->content == NULL ? SPAN_EMPTY : payload_span(delivery->content);
    request->on_done(request, outcome);
    if (delivery->name_size > 0 && !self->is_closing) {
        engine_tell_lease_freed(self->options.events, self->options.context,
                                span_of(delivery->name, delivery->name_size));
    }
    payload_unref(&delivery->content);
    memory_free(delivery);
}

void engine_memory_serve(engine_t *base, struct engine_service *request) {
    struct engine_memory *self = engine_memory_of(base);
    struct service_delivery *delivery = memory_alloc_zero(sizeof *delivery + request->name.size);
    delivery->base.deliver = deliver;
    delivery->request = request;
    request->is_done = false;
    request->left_ms = 0;
    request->granted = 0;
    request->number = 0;
    if (self->limits.stands_in && engine_service_is_lease(request->verb)) {
        delivery->outcome = ENGINE_TEMPORARY;
    } else {
        delivery->outcome = memory_services_serve(&self->services, request, clock_monotonic_ms(), &delivery->content);
    }
    if (request->verb == ENGINE_LEASE_RELEASE && request->is_done) {
        delivery->name_size = request->name.size;
        memcpy(delivery->name, request->name.data, request->name.size);
    }
    engine_memory_tell_later(self, &delivery->base);
}
