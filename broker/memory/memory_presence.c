/* Presence of the memory engine: set, cleared, read, and the events of who is new or gone. */
#include "base/memory.h"
#include "broker/memory/engine_memory_parts.h"

struct presence_delivery {
    struct engine_memory_delivery base;
    memory_channel_t *channel; /* pinned */
    payload_t *bytes;          /* as in struct memory_member */
    size_t info_size;
    uint64_t lease_number;
    bool joined;
};

static struct engine_presence_entry entry_of(payload_t *bytes, size_t info_size, uint64_t lease_number) {
    struct span span = payload_span(bytes);
    return (struct engine_presence_entry){.info = span_of(span.data, info_size),
                                          .gateway_id = span_of(span.data + info_size, span.size - info_size),
                                          .lease_number = lease_number};
}

static void deliver_presence(struct engine_memory *self, struct engine_memory_delivery *base) {
    struct presence_delivery *delivery = (struct presence_delivery *) base;
    if (!self->is_closing) {
        struct engine_presence_entry entry = entry_of(delivery->bytes, delivery->info_size, delivery->lease_number);
        self->options.events->on_presence(self->options.context, memory_channel_name(delivery->channel),
                                          delivery->joined, &entry);
    }
    payload_unref(&delivery->bytes);
    memory_store_unpin(&self->store, delivery->channel);
    memory_free(delivery);
}

static void tell_presence(struct engine_memory *self, memory_channel_t *channel, const struct memory_member *member,
                          bool joined) {
    struct presence_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_presence;
    delivery->channel = channel;
    delivery->bytes = payload_ref(member->bytes);
    delivery->info_size = member->info_size;
    delivery->lease_number = member->lease_number;
    delivery->joined = joined;
    memory_store_pin_again(&self->store, channel);
    engine_memory_tell_later(self, &delivery->base);
}

void engine_memory_set_presence(engine_t *base, struct span name, const struct engine_presence_entry *entry,
                                bool silent) {
    struct engine_memory *self = engine_memory_of(base);
    struct wire_client_info info;
    if (!wire_read_client_info(entry->info, &info)) {
        metric_count(self->metrics, ENGINE_MEMORY_MALFORMED_INFO);
        return;
    }
    memory_channel_t *channel = memory_store_pin(&self->store, name);
    bool is_new = memory_channel_set_member(channel, info.client, entry->info, entry->gateway_id, entry->lease_number);
    if (is_new && !silent) {
        tell_presence(self, channel, memory_channel_find_member(channel, info.client), true);
    }
    memory_store_make_room(&self->store, 0);
    memory_store_unpin(&self->store, channel);
}

static bool is_of(const struct memory_member *member, const struct engine_presence_owner *owner) {
    return member->lease_number == owner->lease_number && span_equal(memory_member_gateway(member), owner->gateway_id);
}

void engine_memory_clear_presence(engine_t *base, struct span name, struct span client,
                                  const struct engine_presence_owner *only_of) {
    struct engine_memory *self = engine_memory_of(base);
    memory_channel_t *channel = memory_store_find(&self->store, name);
    const struct memory_member *member = channel == NULL ? NULL : memory_channel_find_member(channel, client);
    if (member == NULL || (only_of != NULL && !is_of(member, only_of))) {
        return;
    }
    tell_presence(self, channel, member, false);
    memory_channel_remove_member(channel, member);
}

struct presence_read_delivery {
    struct engine_memory_delivery base;
    struct engine_presence_read *request;
    uint32_t n_entries;
    struct engine_presence_entry *entries;
    payload_t **bytes; /* what the entries point into */
    uint64_t next;
};

static void deliver_presence_read(struct engine_memory *self, struct engine_memory_delivery *base) {
    struct presence_read_delivery *delivery = (struct presence_read_delivery *) base;
    struct engine_presence_read *request = delivery->request;
    request->n_entries = delivery->n_entries;
    request->entries = delivery->entries;
    request->next = delivery->next;
    request->on_done(request, self->is_closing ? ENGINE_CANCELLED : ENGINE_OK);
    for (uint32_t i = 0; i < delivery->n_entries; i++) {
        payload_unref(&delivery->bytes[i]);
    }
    memory_free(delivery->entries);
    memory_free(delivery->bytes);
    memory_free(delivery);
}

/* Members stand in the order of their numbers: a new one, and one that is set again, comes last. */
static void copy_members(struct presence_read_delivery *delivery, const memory_channel_t *channel) {
    const struct engine_presence_read *request = delivery->request;
    size_t n_members = memory_channel_members(channel);
    size_t limit = request->limit == 0 ? ENGINE_PRESENCE_PAGE : request->limit;
    size_t n_max = n_members < limit ? n_members : limit;
    delivery->entries = memory_alloc_array(n_max, sizeof *delivery->entries);
    delivery->bytes = memory_alloc_array(n_max, sizeof(payload_t *));
    for (const struct memory_member *member = memory_channel_first_member(channel); member != NULL;
         member = member->hh.next) {
        if (member->number <= request->cursor) {
            continue;
        }
        uint32_t i = delivery->n_entries++;
        delivery->bytes[i] = payload_ref(member->bytes);
        delivery->entries[i] = entry_of(member->bytes, member->info_size, member->lease_number);
        if (delivery->n_entries == n_max) {
            delivery->next = member->hh.next == NULL ? 0 : member->number;
            return;
        }
    }
}

void engine_memory_read_presence(engine_t *base, struct engine_presence_read *request) {
    struct engine_memory *self = engine_memory_of(base);
    struct presence_read_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_presence_read;
    delivery->request = request;
    const memory_channel_t *channel = memory_store_find(&self->store, request->channel);
    if (channel != NULL && memory_channel_members(channel) > 0) {
        copy_members(delivery, channel);
    }
    engine_memory_tell_later(self, &delivery->base);
}
