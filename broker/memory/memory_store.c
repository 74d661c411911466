/* See memory_store.h.
 *
 *             pin, hold                     unpin or release, the last one
 *   (absent) ───────────▶ pinned or held ─────────────────────────────────▶ idle ──▶ swept when empty,
 *                               ▲                                             │       evicted over the budget
 *                               └─────────────────────────────────────────────┘
 * Being in the idle list is exactly: no hold and no pin. */
#include "broker/memory/memory_store.h"

#include "base/check.h"

static memory_channel_t *entry_of(struct slot_link *link) {
    return link == NULL ? NULL : slot_entry(link, memory_channel_t, by_name);
}

static uint64_t hash_of(const slot_table_t *table, const struct slot_link *link) {
    return slot_table_hash_bytes(table, memory_channel_name(slot_entry(link, const memory_channel_t, by_name)));
}

memory_channel_t *memory_store_find(const struct memory_store *self, struct span name) {
    struct slot_link *link = slot_table_chain(&self->channels, slot_table_hash_bytes(&self->channels, name));
    while (link != NULL && !span_equal(memory_channel_name(entry_of(link)), name)) {
        link = link->next;
    }
    return entry_of(link);
}

static memory_channel_t *find_or_add(struct memory_store *self, struct span name) {
    memory_channel_t *channel = memory_store_find(self, name);
    if (channel == NULL) {
        channel = memory_channel_new(name, &self->totals);
        slot_table_add(&self->channels, &channel->by_name);
    }
    return channel;
}

static void remove_channel(struct memory_store *self, memory_channel_t *channel) {
    slot_table_remove(&self->channels, &channel->by_name);
    list_remove(&channel->in_idle);
    memory_channel_destroy(&channel);
}

static void settle_idleness(struct memory_store *self, memory_channel_t *channel) {
    list_remove(&channel->in_idle);
    if (channel->holds > 0 || channel->pins > 0) {
        return;
    }
    if (memory_channel_is_empty(channel)) {
        remove_channel(self, channel);
    } else {
        list_push_back(&self->idle, &channel->in_idle);
    }
}

memory_channel_t *memory_store_pin(struct memory_store *self, struct span name) {
    memory_channel_t *channel = find_or_add(self, name);
    memory_store_pin_again(self, channel);
    return channel;
}

void memory_store_pin_again(struct memory_store *self, memory_channel_t *channel) {
    check(channel->pins < MEMORY_PINS_MAX, "%u calls of one channel are under way", channel->pins);
    channel->pins++;
    settle_idleness(self, channel);
}

void memory_store_unpin(struct memory_store *self, memory_channel_t *channel) {
    check(channel->pins > 0, "unpin of a channel that is not pinned");
    channel->pins--;
    settle_idleness(self, channel);
}

void memory_store_hold(struct memory_store *self, struct span name) {
    memory_channel_t *channel = find_or_add(self, name);
    check(channel->holds < MEMORY_HOLDS_MAX, "a channel is held %u times", channel->holds);
    channel->holds++;
    settle_idleness(self, channel);
}

bool memory_store_release(struct memory_store *self, struct span name, uint64_t now_ms) {
    memory_channel_t *channel = memory_store_find(self, name);
    if (channel == NULL || channel->holds == 0) {
        return false;
    }
    channel->holds--;
    memory_channel_renew(channel, now_ms);
    settle_idleness(self, channel);
    return true;
}

bool memory_store_make_room(struct memory_store *self, size_t bytes) {
    while (self->totals.bytes + bytes > self->bytes_max) {
        if (list_is_empty(&self->idle)) {
            return false;
        }
        remove_channel(self, list_entry(self->idle.next, memory_channel_t, in_idle));
        self->n_evicted++;
    }
    return true;
}

static void forget_dead_members(memory_channel_t *channel, const struct memory_leases *leases) {
    struct memory_member *next = NULL;
    for (struct memory_member *member = memory_channel_first_member(channel); member != NULL; member = next) {
        next = member->hh.next;
        if (!memory_leases_has(leases, memory_member_gateway(member), member->lease_number)) {
            memory_channel_remove_member(channel, member);
        }
    }
}

static void sweep_channel(struct memory_store *self, memory_channel_t *channel, const struct memory_leases *leases,
                          uint64_t now_ms) {
    memory_channel_expire(channel, now_ms);
    if (!list_is_linked(&channel->in_idle)) {
        return;
    }
    forget_dead_members(channel, leases);
    if (memory_channel_is_empty(channel)) {
        remove_channel(self, channel);
    }
}

void memory_store_sweep(struct memory_store *self, size_t n_channels, const struct memory_leases *leases,
                        uint64_t now_ms) {
    memory_channel_t *channel = NULL;
    for (size_t i = 0; i < n_channels && (channel = entry_of(slot_table_walk(&self->channels))) != NULL; i++) {
        sweep_channel(self, channel, leases, now_ms);
    }
}

void memory_store_init(struct memory_store *self, size_t bytes_max) {
    *self = (struct memory_store){.bytes_max = bytes_max};
    slot_table_init(&self->channels, hash_of);
    list_init(&self->idle);
}

void memory_store_finish(struct memory_store *self) {
    memory_channel_t *channel = NULL;
    while ((channel = entry_of(slot_table_walk(&self->channels))) != NULL) {
        check(channel->pins == 0, "a channel is pinned at the end");
        remove_channel(self, channel);
    }
    slot_table_finish(&self->channels);
    check(self->totals.bytes == 0, "%zu bytes are charged and not released", self->totals.bytes);
}
