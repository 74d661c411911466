/* Items (publications, presence changes) and the numbered batches they travel in: from the caller's request to the
 * arguments of scripts/append.lua. An item owns its bytes from the call on; a publication is encoded once, and the same
 * bytes are told to the shard when its offset is known. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_REDIS_BATCH_H
#define CALLBOARD_BROKER_REDIS_BATCH_H

#include "base/payload.h"
#include "broker/engine.h"
#include "broker/redis/batch_order.h"
#include "broker/redis/redis_channels.h"
#include "broker/redis/redis_messages.h"
#include "broker/redis/redis_scripts.h"

struct redis_item_version {
    uint64_t number;
    size_t epoch_size;
    char epoch[];
};

struct redis_item {
    struct list_link link;
    enum redis_channel_kind kind;
    struct redis_channel *channel; /* pinned */
    const struct namespace_options *options;
    struct engine_append *request; /* NULL: presence, or answered already */
    uint64_t deadline_ms;
    payload_t *publication; /* encoded, offset 0 until it is known; NULL for presence */
    uint8_t *bytes;         /* of the publication, to write the offset */
    struct buffer member;   /* presence: the item of scripts/append.lua */
    char *key;              /* idempotency key, or NULL */
    uint32_t key_size;
    uint64_t payload_hash;
    struct redis_item_version *version; /* NULL: none */
    size_t cost;                        /* of the queue's bound */
    uint32_t maybe_number;              /* of the first batch that had it and was taken back unsure; 0: none */
    bool is_told;                       /* its events and its completion are through */
};

void redis_item_destroy(struct redis_item **self_p, redis_channels_t *channels);
/* Tells the encoded publication its offset. */
void redis_item_set_offset(struct redis_item *self, uint64_t offset);

struct redis_batch_limits {
    size_t items;
    size_t bytes;         /* a batch that reached it is closed */
    bool safe_by_default; /* what durability: default means on this Redis */
    bool own_is_fast;     /* a server was found on which nothing can be safe: nor is REVOCATIONS_CHANNEL */
};
/* What durability of the options means there. */
bool redis_batch_limits_say_safe(const struct redis_batch_limits *self, const struct namespace_options *options);

/* What the order holds: an own batch with its results, or a copy of a topic's message. Embedded first in both. */
struct redis_ordered {
    struct batch_entry entry;
    bool is_own_batch;
};

/* What the gate holds: applied or read, and told when it is confirmed. Embedded in each of these. */
enum redis_gated_kind { REDIS_GATED_BATCH, REDIS_GATED_MESSAGE, REDIS_GATED_READ };
struct redis_gated {
    struct list_link link; /* in its partition's gate */
    enum redis_gated_kind kind;
    uint64_t ticket; /* the confirm cycle that makes it sure */
    size_t bytes;
};

struct redis_batch {
    struct redis_ordered ordered; /* gen it was sent in, seq when the results are there */
    struct list_link link;        /* in its partition's list of waiting batches */
    struct redis_gated gated;
    bool gated_tell; /* events too, not only completions */
    void *partition; /* the caller's */
    uint32_t number;
    uint32_t n_items;
    uint32_t n_channels;
    size_t bytes;
    bool is_sent;   /* a reply is owed */
    bool is_unsure; /* an earlier sending may have happened */
    uint64_t sent_us;
    bool with_text; /* the server does not know the script */
    struct redis_item **items;
    uint8_t *map; /* a channel's number (from 1) for each item */
    struct redis_channel *channels[REDIS_BATCH_CHANNELS_MAX];
    uint8_t kinds[REDIS_BATCH_CHANNELS_MAX];
    bool safe[REDIS_BATCH_CHANNELS_MAX]; /* nothing is told before it is confirmed */
    const struct namespace_options *options[REDIS_BATCH_CHANNELS_MAX];
    struct redis_results results;
    struct span results_bytes; /* owned copy behind results */
};

/* Takes items from the front of `queue` (their links) up to the limits; at least one. */
struct redis_batch *redis_batch_new(struct list_link *queue, const struct redis_batch_limits *limits);
/* Destroys the items that are left too (those not NULL). */
void redis_batch_destroy(struct redis_batch **self_p, redis_channels_t *channels);
/* Keeps a copy of the results behind the 'O'. False: malformed. */
bool redis_batch_keep_results(struct redis_batch *self, struct span bytes);

bool redis_batch_has_presence(const struct redis_batch *self);
/* Is there an item of a safe channel? */
bool redis_batch_is_safe(const struct redis_batch *self);
static inline bool redis_batch_item_is_safe(const struct redis_batch *self, uint32_t item) {
    return self->safe[self->map[item] - 1];
}

/* What the head of the call says. */
struct redis_batch_head {
    const redis_scripts_t *scripts;
    struct span topic; /* prefix:{tag}, which all keys begin with */
    const char *boot_id;
    const char *reign; /* of the batch's gen */
    uint32_t link_number;
    uint64_t known_seq;
    uint32_t time_s;
    uint32_t key_ttl_ms;
    bool sharded;
};
/* Appends the whole command. */
void redis_batch_encode(const struct redis_batch *self, const struct redis_batch_head *head, struct buffer *out);

#endif
