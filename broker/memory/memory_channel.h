/* One channel as the memory engine keeps it: its stream (epoch, top, the newest publications), its idempotency keys and
 * its presence. Every byte is charged to the totals of the store it belongs to.
 * Thread: the shard's. Times are monotonic ms. */
#ifndef CALLBOARD_BROKER_MEMORY_CHANNEL_H
#define CALLBOARD_BROKER_MEMORY_CHANNEL_H

#include "base/list.h"
#include "base/memory.h"
#include "base/namespace_options.h"
#include "base/payload.h"
#include "base/position.h"
#include "base/wire.h"
#include "broker/slot_table.h"

/* Tables abort when memory is out, as everything else does. */
#define uthash_malloc(size)      memory_alloc(size)
#define uthash_free(block, size) memory_free(block)
#include <uthash.h>

/* What all channels of a store hold together. */
struct memory_totals {
    size_t bytes;
    size_t channels;
    size_t publications;
    size_t keys;
    size_t members;
    uint64_t members_set; /* ever: numbers them */
};

/* A payload's fingerprint: the same key with another one is a mistake of the publisher. */
struct memory_fingerprint {
    uint64_t low;
    uint64_t high;
};
struct memory_fingerprint memory_fingerprint_of(struct span data);

/* A known idempotency key and what its first use came to. */
struct memory_key {
    UT_hash_handle hh; /* its order is that of their age */
    struct memory_fingerprint fingerprint;
    struct position position; /* of the first publication; empty where it had none */
    uint64_t expires_ms;
    size_t size;
    uint8_t text[];
};

/* A member of the channel; its bytes are immutable and outlive a removal while someone holds a reference. */
struct memory_member {
    UT_hash_handle hh; /* by client id, which lies in the bytes */
    payload_t *bytes;  /* wire_client_info, then the gateway's id */
    size_t info_size;  /* where the gateway's id begins */
    uint64_t lease_number;
    uint64_t number; /* rises with each that is set: the place in a row of pages */
};

static inline struct span memory_member_info(const struct memory_member *self) {
    return span_of(payload_span(self->bytes).data, self->info_size);
}
static inline struct span memory_member_gateway(const struct memory_member *self) {
    struct span bytes = payload_span(self->bytes);
    return span_of(bytes.data + self->info_size, bytes.size - self->info_size);
}

/* The publications of a channel: one block, and none while there are none. */
struct memory_history {
    uint64_t expires_ms; /* all go then */
    /* Tops at the last mark and the one before it. Marks are half a ttl apart or more, so what stood at the older one
     * is older than the ttl when the next is set, and goes. */
    uint64_t marked_ms;
    uint64_t newer_mark;
    uint64_t older_mark;
    size_t n;
    size_t capacity;   /* a power of two */
    payload_t *ring[]; /* publications top-n+1 … top, each at offset modulo capacity */
};

/* What only some channels have: made with the first of it, and gone with the last. */
struct memory_extras {
    struct memory_key *keys;       /* uthash by text */
    struct memory_member *members; /* uthash by client id */
    uint64_t version;              /* the newest publication's; 0: none had one */
    uint8_t version_epoch_size;
    uint8_t version_epoch[WIRE_VERSION_EPOCH_MAX];
};

enum { MEMORY_PINS_MAX = (1 << 24) - 1, MEMORY_HOLDS_MAX = (1 << 8) - 1 };

/* There may be a hundred thousand that rest: what only some have is apart, and a name of eleven bytes just fits into
 * what the allocator gives. */
typedef struct memory_channel memory_channel_t;
struct memory_channel {
    struct slot_link by_name;     /* the store's */
    struct list_link in_idle;     /* the store's: neither held nor pinned, longest untouched first */
    struct memory_totals *totals; /* the store's */
    struct position top;          /* empty epoch: no stream yet, or forgotten */
    struct memory_history *history;
    struct memory_extras *extras; /* NULL: none of it */
    uint32_t pins : 24;           /* calls under way and events not yet delivered */
    uint32_t holds : 8;           /* hold minus release */
    uint32_t renewed_s;           /* the epoch goes meta_ttl_s later, if nobody holds the channel; rounded up */
    uint32_t meta_ttl_s;          /* as the last call's options said */
    uint8_t name_size;
    uint8_t name[];
};

memory_channel_t *memory_channel_new(struct span name, struct memory_totals *totals);
void memory_channel_destroy(memory_channel_t **self_p); /* it must be out of every list and table */
static inline struct span memory_channel_name(const memory_channel_t *self) {
    return span_of(self->name, self->name_size);
}
/* Holds nothing that anyone could miss. */
bool memory_channel_is_empty(const memory_channel_t *self);
/* Lets go of what is past its time: publications, keys, and the epoch unless the channel is held. */
void memory_channel_expire(memory_channel_t *self, uint64_t now_ms);

/* ---- the stream ---- */

/* The epoch lives for its meta ttl from now on. */
void memory_channel_renew(memory_channel_t *self, uint64_t now_ms);
/* After it the channel has an epoch (a new random one where there was none or it had run out), renewed for meta ttl. */
void memory_channel_settle(memory_channel_t *self, const struct namespace_options *options, uint64_t now_ms);
/* Bytes that storing a publication of this footprint will add, less what the oldest gives back where it has to go. */
size_t memory_channel_push_cost(const memory_channel_t *self, const struct namespace_options *options,
                                size_t footprint);
/* Stores the publication of top.offset + 1, which becomes the top; the oldest over history_size go, and those that are
 * too old (in a channel that never rests: at the latest after three ttls, and after one and a half where there is
 * always something published). The channel is settled. */
void memory_channel_push(memory_channel_t *self, const struct namespace_options *options, payload_t *publication,
                         uint64_t now_ms);
static inline size_t memory_channel_stored(const memory_channel_t *self) {
    return self->history == NULL ? 0 : self->history->n;
}
/* The stored publication at an offset in (top - stored, top]; borrowed. */
payload_t *memory_channel_at(const memory_channel_t *self, uint64_t offset);
/* top + 1: nothing is stored. */
static inline uint64_t memory_channel_oldest(const memory_channel_t *self) {
    return self->top.offset - memory_channel_stored(self) + 1;
}
/* The position stays. */
void memory_channel_drop_history(memory_channel_t *self);

/* ---- idempotency keys ---- */

size_t memory_channel_key_cost(const memory_channel_t *self, struct span key);
/* NULL: not known, or past its window. */
const struct memory_key *memory_channel_find_key(memory_channel_t *self, struct span key, uint64_t now_ms);
/* The key must not be known. The window is the same for all keys of a channel, so the oldest expires first. */
void memory_channel_add_key(memory_channel_t *self, struct span key, struct memory_fingerprint fingerprint,
                            const struct position *position, uint64_t expires_ms);

/* ---- versions ---- */

/* Is the channel's newest version, of the same version epoch (an empty one is of every), not below it? */
bool memory_channel_has_version(const memory_channel_t *self, uint64_t version, struct span version_epoch);
size_t memory_channel_version_cost(const memory_channel_t *self);
/* Forgotten with the channel's epoch. */
void memory_channel_set_version(memory_channel_t *self, uint64_t version, struct span version_epoch);

/* ---- presence ---- */

/* True: the client is new here. `client` is the id inside info. */
bool memory_channel_set_member(memory_channel_t *self, struct span client, struct span info, struct span gateway_id,
                               uint64_t lease_number);
const struct memory_member *memory_channel_find_member(const memory_channel_t *self, struct span client);
/* The member must be one of the channel. */
void memory_channel_remove_member(memory_channel_t *self, const struct memory_member *member);
/* In the order in which they came; NULL: there is none. */
static inline struct memory_member *memory_channel_first_member(const memory_channel_t *self) {
    return self->extras == NULL ? NULL : self->extras->members;
}
static inline size_t memory_channel_members(const memory_channel_t *self) {
    return self->extras == NULL ? 0 : HASH_COUNT(self->extras->members);
}

#endif
