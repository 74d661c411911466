/* See memory_channel.h. The stream is a ring indexed by offset: offsets are dense, so the stored ones are always
 * (top - n_stored, top] and a lookup is an index. What can go wrong here is only our own mistake (check): room is made
 * by the store before anything is pushed, and time is handed in. */
#include "broker/memory/memory_channel.h"

#include "base/check.h"

#include <xxhash.h>

enum {
    RING_FIRST = 4,
    /* What uthash allocates for a table's first member: 32 buckets of two words, and the table. Its later growth is
     * small beside the members and not charged. */
    TABLE_BYTES = 32 * 16 + 64,
};

static void charge(memory_channel_t *self, size_t bytes) {
    self->totals->bytes += bytes;
}

static void release(memory_channel_t *self, size_t bytes) {
    check(self->totals->bytes >= bytes, "%zu of %zu bytes", bytes, self->totals->bytes);
    self->totals->bytes -= bytes;
}

struct memory_fingerprint memory_fingerprint_of(struct span data) {
    XXH128_hash_t hash = XXH3_128bits(data.data, data.size);
    return (struct memory_fingerprint){hash.low64, hash.high64};
}

/* ---- the stream ---- */

static size_t ring_slot(const struct memory_history *history, uint64_t offset) {
    return (size_t) offset & (history->capacity - 1);
}

payload_t *memory_channel_at(const memory_channel_t *self, uint64_t offset) {
    check(offset <= self->top.offset && offset >= memory_channel_oldest(self), "offset %llu of %llu, %zu stored",
          (unsigned long long) offset, (unsigned long long) self->top.offset, memory_channel_stored(self));
    return self->history->ring[ring_slot(self->history, offset)];
}

static void drop_oldest(memory_channel_t *self) {
    payload_t **slot = &self->history->ring[ring_slot(self->history, memory_channel_oldest(self))];
    release(self, payload_footprint(*slot));
    payload_unref(slot);
    self->history->n--;
    self->totals->publications--;
}

static size_t history_bytes(size_t capacity) {
    return sizeof(struct memory_history) + capacity * sizeof(payload_t *);
}

void memory_channel_drop_history(memory_channel_t *self) {
    if (self->history == NULL) {
        return;
    }
    while (self->history->n > 0) {
        drop_oldest(self);
    }
    release(self, history_bytes(self->history->capacity));
    memory_free(self->history);
    self->history = NULL;
}

/* The history, with room for one more. */
static struct memory_history *roomy_history(memory_channel_t *self, uint64_t now_ms) {
    struct memory_history *former = self->history;
    if (former != NULL && former->n < former->capacity) {
        return former;
    }
    size_t capacity = former == NULL ? RING_FIRST : former->capacity * 2;
    struct memory_history *history = memory_alloc_zero(history_bytes(capacity));
    charge(self, history_bytes(capacity));
    if (former == NULL) {
        history->marked_ms = now_ms;
        history->newer_mark = self->top.offset;
    } else {
        *history = *former;
        for (uint64_t offset = memory_channel_oldest(self); offset <= self->top.offset; offset++) {
            history->ring[offset & (capacity - 1)] = former->ring[ring_slot(former, offset)];
        }
        release(self, history_bytes(former->capacity));
        memory_free(former);
    }
    history->capacity = capacity;
    self->history = history;
    return history;
}

size_t memory_channel_push_cost(const memory_channel_t *self, const struct namespace_options *options,
                                size_t footprint) {
    size_t n = memory_channel_stored(self);
    if (n > 0 && n >= (size_t) options->history_size) {
        size_t given_back = payload_footprint(memory_channel_at(self, memory_channel_oldest(self)));
        return footprint > given_back ? footprint - given_back : 0;
    }
    if (self->history == NULL) {
        return footprint + history_bytes(RING_FIRST);
    }
    return n < self->history->capacity ? footprint : footprint + n * sizeof(payload_t *);
}

/* What was there at the mark before the last one is older than the ttl. */
static void drop_old(memory_channel_t *self, const struct namespace_options *options, uint64_t now_ms) {
    struct memory_history *history = self->history;
    if (history == NULL || now_ms - history->marked_ms < (uint64_t) options->history_ttl_ms / 2) {
        return;
    }
    while (history->n > 0 && memory_channel_oldest(self) <= history->older_mark) {
        drop_oldest(self);
    }
    history->older_mark = history->newer_mark;
    history->newer_mark = self->top.offset;
    history->marked_ms = now_ms;
}

void memory_channel_push(memory_channel_t *self, const struct namespace_options *options, payload_t *publication,
                         uint64_t now_ms) {
    check(!epoch_is_empty(&self->top.epoch), "push into a channel that is not settled");
    drop_old(self, options, now_ms);
    while (memory_channel_stored(self) > 0 && memory_channel_stored(self) >= (size_t) options->history_size) {
        drop_oldest(self);
    }
    struct memory_history *history = roomy_history(self, now_ms);
    self->top.offset++;
    history->ring[ring_slot(history, self->top.offset)] = payload_ref(publication);
    history->n++;
    self->totals->publications++;
    charge(self, payload_footprint(publication));
    history->expires_ms = now_ms + (uint64_t) options->history_ttl_ms;
}

void memory_channel_renew(memory_channel_t *self, uint64_t now_ms) {
    self->renewed_s = (uint32_t) ((now_ms + 999) / 1000);
}

void memory_channel_settle(memory_channel_t *self, const struct namespace_options *options, uint64_t now_ms) {
    memory_channel_expire(self, now_ms);
    if (epoch_is_empty(&self->top.epoch)) {
        self->top = (struct position){.epoch = epoch_new(), .offset = 0};
    }
    self->meta_ttl_s = (uint32_t) ((options->history_meta_ttl_ms + 999) / 1000);
    memory_channel_renew(self, now_ms);
}

/* ---- what only some have ---- */

/* Bytes that the first of it adds. */
static size_t extras_cost(const memory_channel_t *self) {
    return self->extras == NULL ? sizeof *self->extras : 0;
}

static struct memory_extras *extras_of(memory_channel_t *self) {
    if (self->extras == NULL) {
        charge(self, extras_cost(self));
        self->extras = memory_alloc_zero(sizeof *self->extras);
    }
    return self->extras;
}

static void drop_empty_extras(memory_channel_t *self) {
    const struct memory_extras *extras = self->extras;
    if (extras != NULL && extras->keys == NULL && extras->members == NULL && extras->version == 0) {
        memory_free(self->extras);
        self->extras = NULL;
        release(self, extras_cost(self));
    }
}

/* ---- idempotency keys ---- */

static size_t key_bytes(size_t size) {
    return sizeof(struct memory_key) + size;
}

static struct memory_key *keys_of(const memory_channel_t *self) {
    return self->extras == NULL ? NULL : self->extras->keys;
}

size_t memory_channel_key_cost(const memory_channel_t *self, struct span key) {
    return key_bytes(key.size) + extras_cost(self) + (keys_of(self) == NULL ? TABLE_BYTES : 0);
}

static void remove_key(memory_channel_t *self, struct memory_key *key) {
    HASH_DEL(self->extras->keys, key);
    self->totals->keys--;
    release(self, key_bytes(key->size) + (self->extras->keys == NULL ? TABLE_BYTES : 0));
    memory_free(key);
}

static void expire_keys(memory_channel_t *self, uint64_t now_ms) {
    while (keys_of(self) != NULL && now_ms >= keys_of(self)->expires_ms) {
        remove_key(self, self->extras->keys);
    }
    drop_empty_extras(self);
}

const struct memory_key *memory_channel_find_key(memory_channel_t *self, struct span key, uint64_t now_ms) {
    expire_keys(self, now_ms);
    struct memory_key *found = NULL;
    HASH_FIND(hh, keys_of(self), key.data, key.size, found);
    return found;
}

void memory_channel_add_key(memory_channel_t *self, struct span key, struct memory_fingerprint fingerprint,
                            const struct position *position, uint64_t expires_ms) {
    struct memory_extras *extras = extras_of(self);
    charge(self, memory_channel_key_cost(self, key));
    struct memory_key *added = memory_alloc_zero(key_bytes(key.size));
    added->fingerprint = fingerprint;
    added->position = *position;
    added->expires_ms = expires_ms;
    added->size = key.size;
    memcpy(added->text, key.data, key.size);
    HASH_ADD_KEYPTR(hh, extras->keys, added->text, added->size, added);
    self->totals->keys++;
}

/* ---- versions ---- */

bool memory_channel_has_version(const memory_channel_t *self, uint64_t version, struct span version_epoch) {
    const struct memory_extras *extras = self->extras;
    return extras != NULL && version <= extras->version &&
           (version_epoch.size == 0 ||
            span_equal(version_epoch, span_of(extras->version_epoch, extras->version_epoch_size)));
}

size_t memory_channel_version_cost(const memory_channel_t *self) {
    return extras_cost(self);
}

void memory_channel_set_version(memory_channel_t *self, uint64_t version, struct span version_epoch) {
    check(version_epoch.size <= WIRE_VERSION_EPOCH_MAX, "a version epoch of %zu bytes", version_epoch.size);
    struct memory_extras *extras = extras_of(self);
    extras->version = version;
    extras->version_epoch_size = (uint8_t) version_epoch.size;
    if (version_epoch.size > 0) {
        memcpy(extras->version_epoch, version_epoch.data, version_epoch.size);
    }
}

static void forget_version(memory_channel_t *self) {
    if (self->extras != NULL) {
        self->extras->version = 0;
        drop_empty_extras(self);
    }
}

/* ---- presence ---- */

static size_t member_bytes(const struct memory_member *member) {
    return sizeof *member + payload_footprint(member->bytes);
}

const struct memory_member *memory_channel_find_member(const memory_channel_t *self, struct span client) {
    struct memory_member *found = NULL;
    HASH_FIND(hh, memory_channel_first_member(self), client.data, client.size, found);
    return found;
}

static void add_member(memory_channel_t *self, struct memory_member *member, size_t client_at, size_t client_size) {
    struct memory_extras *extras = extras_of(self);
    charge(self, member_bytes(member) + (extras->members == NULL ? TABLE_BYTES : 0));
    const uint8_t *client = payload_span(member->bytes).data + client_at;
    HASH_ADD_KEYPTR(hh, extras->members, client, client_size, member);
    member->number = ++self->totals->members_set;
    self->totals->members++;
}

/* The extras stay: one may be added next. */
static void take_member_out(memory_channel_t *self, const struct memory_member *member) {
    struct memory_member *removed = NULL;
    HASH_FIND(hh, memory_channel_first_member(self), member->hh.key, member->hh.keylen, removed);
    check(removed == member, "the member is not one of this channel");
    HASH_DEL(self->extras->members, removed);
    self->totals->members--;
    release(self, member_bytes(removed) + (self->extras->members == NULL ? TABLE_BYTES : 0));
    payload_unref(&removed->bytes);
    memory_free(removed);
}

void memory_channel_remove_member(memory_channel_t *self, const struct memory_member *member) {
    take_member_out(self, member);
    drop_empty_extras(self);
}

bool memory_channel_set_member(memory_channel_t *self, struct span client, struct span info, struct span gateway_id,
                               uint64_t lease_number) {
    check(client.data >= info.data && client.size <= info.size, "the client id lies in the info");
    const struct memory_member *former = memory_channel_find_member(self, client);
    if (former != NULL && former->lease_number > lease_number &&
        span_equal(memory_member_gateway(former), gateway_id)) {
        return false;
    }
    uint8_t *data = NULL;
    struct memory_member *member = memory_alloc_zero(sizeof *member);
    member->bytes = payload_new_uninitialised(info.size + gateway_id.size, &data);
    memcpy(data, info.data, info.size);
    if (gateway_id.size > 0) {
        memcpy(data + info.size, gateway_id.data, gateway_id.size);
    }
    member->info_size = info.size;
    member->lease_number = lease_number;

    if (former != NULL) {
        take_member_out(self, former);
    }
    add_member(self, member, (size_t) (client.data - info.data), client.size);
    return former == NULL;
}

/* ---- the whole ---- */

static size_t channel_bytes(size_t name_size) {
    return offsetof(memory_channel_t, name) + name_size;
}

bool memory_channel_is_empty(const memory_channel_t *self) {
    return epoch_is_empty(&self->top.epoch) && self->extras == NULL;
}

void memory_channel_expire(memory_channel_t *self, uint64_t now_ms) {
    expire_keys(self, now_ms);
    if (self->history != NULL && now_ms >= self->history->expires_ms) {
        memory_channel_drop_history(self);
    }
    uint64_t meta_expires_ms = ((uint64_t) self->renewed_s + self->meta_ttl_s) * 1000;
    if (self->holds == 0 && !epoch_is_empty(&self->top.epoch) && now_ms >= meta_expires_ms) {
        memory_channel_drop_history(self);
        self->top = (struct position){.offset = 0};
        forget_version(self);
    }
}

memory_channel_t *memory_channel_new(struct span name, struct memory_totals *totals) {
    memory_channel_t *self = memory_alloc_zero(channel_bytes(name.size));
    list_init(&self->in_idle);
    self->totals = totals;
    check(name.size <= UINT8_MAX, "a channel name of %zu bytes", name.size);
    self->name_size = (uint8_t) name.size;
    if (name.size > 0) {
        memcpy(self->name, name.data, name.size);
    }
    totals->channels++;
    charge(self, channel_bytes(name.size));
    return self;
}

void memory_channel_destroy(memory_channel_t **self_p) {
    memory_channel_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    memory_channel_drop_history(self);
    expire_keys(self, UINT64_MAX);
    while (memory_channel_first_member(self) != NULL) {
        memory_channel_remove_member(self, memory_channel_first_member(self));
    }
    forget_version(self);
    release(self, channel_bytes(self->name_size));
    self->totals->channels--;
    memory_free(self);
    *self_p = NULL;
}
