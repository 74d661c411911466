/* Appending: a known key answers with its first result; else the publication gets its offset, is encoded once and kept
 * by reference in the stream, the key's table and the event. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/memory/engine_memory_parts.h"

struct append_delivery {
    struct engine_memory_delivery base;
    struct engine_append *request;
    memory_channel_t *channel; /* pinned */
    payload_t *publication;    /* NULL: no event */
    struct position position;
    enum engine_outcome outcome;
    bool duplicate;
    bool suppressed;
};

static void deliver_append(struct engine_memory *self, struct engine_memory_delivery *base) {
    struct append_delivery *delivery = (struct append_delivery *) base;
    if (delivery->publication != NULL && !self->is_closing) {
        self->options.events->on_publication(self->options.context, memory_channel_name(delivery->channel),
                                             &delivery->position.epoch, delivery->position.offset,
                                             delivery->publication);
    }
    payload_unref(&delivery->publication);
    memory_store_unpin(&self->store, delivery->channel);
    struct engine_append *request = delivery->request;
    enum engine_outcome outcome = self->is_closing ? ENGINE_CANCELLED : delivery->outcome;
    request->position = delivery->position;
    request->duplicate = delivery->duplicate;
    request->suppressed = delivery->suppressed;
    request->not_durable = self->limits.stands_in;
    memory_free(delivery);
    request->on_done(request, outcome);
}

static payload_t *encode(struct engine_memory *self, const struct engine_append *request, uint64_t offset) {
    const struct wire_publication publication = {.offset = offset,
                                                 .time_ms = clock_wall_ms(),
                                                 .flags = engine_publication_flags(request),
                                                 .data = request->data,
                                                 .info = request->info,
                                                 .tags = request->tags};
    buffer_clear(&self->scratch);
    return wire_append_publication(&self->scratch, &publication) ? payload_new(buffer_span(&self->scratch)) : NULL;
}

static enum engine_outcome answer_from_key(struct engine_memory *self, struct append_delivery *delivery,
                                           const struct memory_key *key, struct memory_fingerprint fingerprint) {
    if (key->fingerprint.low != fingerprint.low || key->fingerprint.high != fingerprint.high) {
        metric_count(self->metrics, ENGINE_MEMORY_KEY_REUSED);
        return ENGINE_KEY_REUSED;
    }
    metric_count(self->metrics, ENGINE_MEMORY_DUPLICATES);
    delivery->position = key->position;
    delivery->duplicate = true;
    return ENGINE_OK;
}

/* Takes a publication whose key is not known. */
static enum engine_outcome take(struct engine_memory *self, struct append_delivery *delivery,
                                struct memory_fingerprint fingerprint, uint64_t now_ms) {
    const struct engine_append *request = delivery->request;
    memory_channel_t *channel = delivery->channel;
    bool is_stored = namespace_has_history(request->options) && !request->skip_history;
    bool has_version = is_stored && request->version != 0;
    if (is_stored) {
        memory_channel_settle(channel, request->options, now_ms);
    }
    if (has_version && memory_channel_has_version(channel, request->version, request->version_epoch)) {
        delivery->position = channel->top;
        delivery->suppressed = true;
        return ENGINE_OK;
    }
    payload_t *publication = encode(self, request, is_stored ? channel->top.offset + 1 : 0);
    if (publication == NULL) {
        return engine_not_encoded(request, self->scratch.limit);
    }
    size_t cost = request->key.size > 0 ? memory_channel_key_cost(channel, request->key) : 0;
    cost += has_version ? memory_channel_version_cost(channel) : 0;
    if (is_stored) {
        cost += memory_channel_push_cost(channel, request->options, payload_footprint(publication));
    }
    if (cost > 0 && !engine_memory_make_room(self, cost)) {
        payload_unref(&publication);
        return ENGINE_FULL;
    }
    if (is_stored) {
        memory_channel_push(channel, request->options, publication, now_ms);
        delivery->position = channel->top;
    }
    if (has_version) {
        memory_channel_set_version(channel, request->version, request->version_epoch);
    }
    if (request->key.size > 0) {
        memory_channel_add_key(channel, request->key, fingerprint, &delivery->position,
                               now_ms + self->limits.key_ttl_ms);
    }
    delivery->publication = publication;
    metric_count(self->metrics, ENGINE_MEMORY_APPENDS);
    return ENGINE_OK;
}

void engine_memory_append(engine_t *base, struct engine_append *request) {
    struct engine_memory *self = engine_memory_of(base);
    uint64_t now_ms = clock_monotonic_ms();
    struct append_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_append;
    delivery->request = request;
    delivery->channel = memory_store_pin(&self->store, request->channel);

    const struct memory_key *known = NULL;
    struct memory_fingerprint fingerprint = {0, 0};
    if (request->key.size > 0) {
        fingerprint = memory_fingerprint_of(request->data);
        known = memory_channel_find_key(delivery->channel, request->key, now_ms);
    }
    delivery->outcome =
        known != NULL ? answer_from_key(self, delivery, known, fingerprint) : take(self, delivery, fingerprint, now_ms);
    engine_memory_tell_later(self, &delivery->base);
}
