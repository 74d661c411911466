/* What our scripts write for brokers to read: the results of a batch (reply of append) and the messages of a
 * partition's topic. Layouts: the heads of scripts/append.lua and hello.lua. Anybody with access to Redis may write
 * there, so these parsers take any bytes without harm (tests/fuzz/fuzz_redis_messages.c). Thread: any (no state). */
#ifndef CALLBOARD_BROKER_REDIS_MESSAGES_H
#define CALLBOARD_BROKER_REDIS_MESSAGES_H

#include "base/bytes.h"
#include "base/position.h"
#include "broker/redis/partition_state.h"

enum {
    REDIS_BOOT_ID_LENGTH = 14, /* "b:" and twelve random characters: as it stands in the partition's hash */
    REDIS_REIGN_LENGTH = 40,
    REDIS_BATCH_CHANNELS_MAX = 255,
    REDIS_BATCH_ITEMS_MAX = 1024,
    REDIS_ENTRY_VERSION = 2,   /* of a stored publication: first byte of stream entries and items */
    REDIS_ENTRY_HEAD_SIZE = 9, /* the version, then XXH64 (seed 0) of the publication behind it */
    REDIS_TOPIC_VERSION = 1,
};

/* Kinds of a batch's channels; in topics REDIS_POSITIONED is of a fast channel. */
enum redis_channel_kind { REDIS_POSITIONED = 1, REDIS_PLAIN = 2, REDIS_PRESENCE = 3, REDIS_POSITIONED_SAFE = 4 };
enum redis_presence_action { REDIS_PRESENCE_SET = 1, REDIS_PRESENCE_SET_SILENTLY = 2, REDIS_PRESENCE_CLEAR = 3 };

/* Where a channel's new publications begin. */
struct redis_place {
    struct epoch epoch;
    uint64_t first; /* offset of the first new publication */
};

struct redis_results {
    bool told; /* seq is this batch's own; else the partition's at that time */
    uint64_t seq;
    unsigned n_channels;
    struct redis_place places[REDIS_BATCH_CHANNELS_MAX];
    struct cursor odd; /* for redis_results_next */
};

enum redis_odd {
    REDIS_ODD_DUPLICATE = 1,
    REDIS_ODD_KEY_REUSED = 2,
    REDIS_ODD_CORRUPT = 3,
    REDIS_ODD_JOINED = 4,
    REDIS_ODD_LEFT = 5,
    REDIS_ODD_SUPPRESSED = 6,
};
struct redis_odd_item {
    unsigned index; /* from 0 */
    enum redis_odd what;
    struct position position; /* DUPLICATE: the first one's; SUPPRESSED: the channel's */
    struct span value;        /* LEFT: what was there */
};

/* `bytes` behind the 'O'. False: malformed. */
bool redis_results_parse(struct span bytes, struct redis_results *ret_results);
/* The next item that is not plain, in the order of the items. False: none left, or malformed (odd.failed). */
bool redis_results_next(struct redis_results *self, struct redis_odd_item *ret_item);

struct redis_topic_channel {
    enum redis_channel_kind kind;
    struct span name;
    struct redis_place place;
};

/* REMOVED and FREED stand outside of the order. REMOVED: the one channel's history is gone up to channels[0].place.
 * FREED: the lease of the name of channels[0] was released. */
enum redis_topic_kind { REDIS_TOPIC_BATCH = 1, REDIS_TOPIC_OPENED = 2, REDIS_TOPIC_REMOVED = 3, REDIS_TOPIC_FREED = 4 };

struct redis_topic_message {
    enum redis_topic_kind kind;
    struct partition_gen gen;
    uint64_t seq;
    struct span boot_id;
    uint32_t number;
    unsigned n_channels;
    struct redis_topic_channel channels[REDIS_BATCH_CHANNELS_MAX];
    struct span map;     /* a byte an item: its channel from 1, 0: not told */
    struct cursor items; /* for redis_topic_next */
    unsigned at;         /* the next item */
};

/* Only what decides about the order: kind, gen, seq, writer. */
bool redis_topic_peek(struct span bytes, struct redis_topic_message *ret_message);
/* All of it, items checked too: afterwards redis_topic_next does not fail. */
bool redis_topic_parse(struct span bytes, struct redis_topic_message *ret_message);

struct redis_topic_item {
    const struct redis_topic_channel *channel;
    uint64_t offset;         /* positioned: its offset; else 0 */
    struct span publication; /* positioned, plain: encoded, its offset still 0 */
    bool joined;             /* presence */
    struct span value;       /* presence: see redis_member_parse */
};
/* The next told item; false: none left. */
bool redis_topic_next(struct redis_topic_message *self, struct redis_topic_item *ret_item);

/* A presence entry's value: gateway id (length in one byte), lease number, client info to the end. */
struct redis_member {
    struct span gateway_id;
    uint64_t lease_number;
    struct span info;
};
bool redis_member_parse(struct span value, struct redis_member *ret_member);
bool redis_member_append(struct buffer *out, const struct redis_member *member);

/* What stands before an encoded publication (its offset still 0) in a stream entry and in a topic's item. */
void redis_entry_head(struct span publication, uint8_t ret_head[REDIS_ENTRY_HEAD_SIZE]);
/* The publication inside a stored entry; false: not ours, or not as it was written. */
bool redis_entry_parse(struct span entry, struct span *ret_publication);

#endif
