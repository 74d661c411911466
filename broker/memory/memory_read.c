/* Reading and removing the history. What is read is referenced at once, so that it stays what it was at the call. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/memory/engine_memory_parts.h"

struct read_delivery {
    struct engine_memory_delivery base;
    struct engine_read *request;
    enum engine_outcome outcome;
    struct position top;
    bool epoch_matches;
    bool complete;
    uint32_t n_publications;
    payload_t **publications;
};

static void deliver_read(struct engine_memory *self, struct engine_memory_delivery *base) {
    struct read_delivery *delivery = (struct read_delivery *) base;
    struct engine_read *request = delivery->request;
    request->top = delivery->top;
    request->epoch_matches = delivery->epoch_matches;
    request->complete = delivery->complete;
    request->n_publications = delivery->n_publications;
    request->publications = delivery->publications;
    request->on_done(request, self->is_closing ? ENGINE_CANCELLED : delivery->outcome);
    for (uint32_t i = 0; i < delivery->n_publications; i++) {
        payload_unref(&delivery->publications[i]);
    }
    memory_free(delivery->publications);
    memory_free(delivery);
}

/* The wanted range: from `first` on, `count` of them, upwards or downwards. */
struct range {
    uint64_t first;
    uint64_t count;
    bool down;
};

static struct range wanted_range(const struct engine_read *request, const memory_channel_t *channel) {
    uint64_t oldest = memory_channel_oldest(channel);
    uint64_t top = channel->top.offset;
    struct range range = {.down = request->reverse};
    if (request->reverse) {
        bool from_end = !request->has_since || request->since.offset == 0 || request->since.offset > top;
        range.first = from_end ? top : request->since.offset - 1;
        range.count = range.first >= oldest ? range.first - oldest + 1 : 0;
    } else {
        uint64_t since = request->has_since ? request->since.offset : 0;
        range.first = since >= oldest ? since + 1 : oldest;
        range.count = range.first <= top ? top - range.first + 1 : 0;
    }
    if (range.count > request->limit) {
        range.count = request->limit;
    }
    return range;
}

/* References up to `range.count` publications, less where their bytes reach the bound; at least one. */
static void collect(const struct engine_memory *self, struct read_delivery *delivery, const memory_channel_t *channel,
                    struct range range) {
    size_t bytes_max =
        delivery->request->bytes_limit == 0 ? self->limits.read_bytes_max : delivery->request->bytes_limit;
    size_t bytes = 0;
    delivery->publications = range.count == 0 ? NULL : memory_alloc_array(range.count, sizeof(payload_t *));
    for (uint64_t i = 0; i < range.count; i++) {
        payload_t *publication = memory_channel_at(channel, range.down ? range.first - i : range.first + i);
        bytes += payload_span(publication).size;
        if (i > 0 && bytes > bytes_max) {
            return;
        }
        delivery->publications[delivery->n_publications++] = payload_ref(publication);
    }
}

/* Is nothing missing between since and what is told? */
static bool is_complete(const struct engine_read *request, const memory_channel_t *channel) {
    if (!request->has_since || request->reverse || request->since.offset > channel->top.offset) {
        return false;
    }
    bool is_at_top = request->since.offset == channel->top.offset;
    return is_at_top || (request->limit > 0 && request->since.offset + 1 >= memory_channel_oldest(channel));
}

static enum engine_outcome read_channel(struct engine_memory *self, struct read_delivery *delivery,
                                        memory_channel_t *channel, uint64_t now_ms) {
    const struct engine_read *request = delivery->request;
    delivery->epoch_matches = true;
    if (!namespace_has_history(request->options)) {
        return ENGINE_OK;
    }
    memory_channel_expire(channel, now_ms);
    if (epoch_is_empty(&channel->top.epoch) && !engine_memory_make_room(self, 0)) {
        return ENGINE_FULL;
    }
    memory_channel_settle(channel, request->options, now_ms);
    delivery->top = channel->top;
    if (request->has_since && !epoch_is_empty(&request->since.epoch) &&
        !epoch_equal(&request->since.epoch, &channel->top.epoch)) {
        delivery->epoch_matches = false;
        return ENGINE_OK;
    }
    delivery->complete = is_complete(request, channel);
    collect(self, delivery, channel, wanted_range(request, channel));
    return ENGINE_OK;
}

void engine_memory_read(engine_t *base, struct engine_read *request) {
    struct engine_memory *self = engine_memory_of(base);
    struct read_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_read;
    delivery->request = request;
    memory_channel_t *channel = memory_store_pin(&self->store, request->channel);
    delivery->outcome = read_channel(self, delivery, channel, clock_monotonic_ms());
    memory_store_unpin(&self->store, channel);
    engine_memory_tell_later(self, &delivery->base);
}

struct remove_delivery {
    struct engine_memory_delivery base;
    struct engine_remove *request;
    memory_channel_t *channel; /* pinned */
    struct position top;
};

static void deliver_remove(struct engine_memory *self, struct engine_memory_delivery *base) {
    struct remove_delivery *delivery = (struct remove_delivery *) base;
    struct engine_remove *request = delivery->request;
    request->top = delivery->top;
    if (delivery->channel->holds > 0 && !self->is_closing) {
        engine_tell_removed(self->options.events, self->options.context, memory_channel_name(delivery->channel),
                            &delivery->top);
    }
    memory_store_unpin(&self->store, delivery->channel);
    memory_free(delivery);
    request->on_done(request, self->is_closing ? ENGINE_CANCELLED : ENGINE_OK);
}

void engine_memory_remove_history(engine_t *base, struct engine_remove *request) {
    struct engine_memory *self = engine_memory_of(base);
    struct remove_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_remove;
    delivery->request = request;
    memory_channel_t *channel = memory_store_pin(&self->store, request->channel);
    memory_channel_drop_history(channel);
    if (namespace_has_history(request->options)) {
        memory_channel_settle(channel, request->options, clock_monotonic_ms());
        delivery->top = channel->top;
    }
    delivery->channel = channel;
    engine_memory_tell_later(self, &delivery->base);
}
