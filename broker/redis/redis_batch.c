/* See redis_batch.h. */
#include "broker/redis/redis_batch.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "broker/redis/link/redis_request.h"

#include <stdio.h>

enum { EPOCH_SEED_LENGTH = 13 };

/* ---- items ---- */

void redis_item_destroy(struct redis_item **self_p, redis_channels_t *channels) {
    struct redis_item *self = *self_p;
    if (self == NULL) {
        return;
    }
    check(self->request == NULL, "an append without its completion");
    list_remove(&self->link);
    payload_unref(&self->publication);
    buffer_finish(&self->member);
    memory_free(self->key);
    memory_free(self->version);
    redis_channels_unpin(channels, self->channel);
    memory_free(self);
    *self_p = NULL;
}

void redis_item_set_offset(struct redis_item *self, uint64_t offset) {
    for (unsigned i = 0; i < 8; i++) {
        self->bytes[i] = (uint8_t) (offset >> (8 * i));
    }
}

static size_t item_size(const struct redis_item *item) {
    return item->kind == REDIS_PRESENCE ? item->member.size : payload_span(item->publication).size + 1;
}

/* ---- gathering ---- */

/* Nobody could set that one to fast: where safe cannot be had it is better than nothing, since gateways tell again what
 * a failover took (gateway/revocation_feed.c). */
bool redis_batch_limits_say_safe(const struct redis_batch_limits *self, const struct namespace_options *options) {
    return options->durability == DURABILITY_SAFE ||
           (options->durability == DURABILITY_DEFAULT && self->safe_by_default &&
            !(self->own_is_fast && namespace_is_own(options)));
}

/* Everything of a safe channel waits, also what has no position: its order with the others is kept. Presence has no
 * options of its own: those of the hold count. */
static bool is_safe(const struct redis_item *item, const struct redis_batch_limits *limits) {
    const struct namespace_options *options = item->options;
    if (options == NULL && item->channel->n_holds > 0) {
        options = item->channel->options;
    }
    return options != NULL && namespace_has_history(options) && redis_batch_limits_say_safe(limits, options);
}

/* The channel's number in the batch, from 1; 0: no room for one more. */
static uint8_t place_channel(struct redis_batch *self, const struct redis_item *item,
                             const struct redis_batch_limits *limits) {
    struct redis_channel *channel = item->channel;
    unsigned kind = (unsigned) item->kind - 1;
    uint8_t index = channel->batch_index[kind];
    bool is_there = index < self->n_channels && self->channels[index] == channel && self->kinds[index] == item->kind;
    if (!is_there) {
        if (self->n_channels == REDIS_BATCH_CHANNELS_MAX) {
            return 0;
        }
        channel->batch_index[kind] = (uint8_t) self->n_channels;
        self->channels[self->n_channels] = channel;
        self->kinds[self->n_channels] = (uint8_t) item->kind;
        self->safe[self->n_channels] = is_safe(item, limits);
        self->options[self->n_channels] = item->options;
        self->n_channels++;
    }
    return (uint8_t) (channel->batch_index[kind] + 1);
}

struct redis_batch *redis_batch_new(struct list_link *queue, const struct redis_batch_limits *limits) {
    struct redis_batch *self = memory_alloc_zero(sizeof *self);
    size_t n = 0;
    list_for_each (link, queue) {
        if (++n == limits->items) {
            break;
        }
    }
    self->items = memory_alloc_array(n, sizeof(struct redis_item *));
    self->map = memory_alloc_zero(n);
    while (self->n_items < n && self->bytes < limits->bytes) {
        struct redis_item *item = list_entry(queue->next, struct redis_item, link);
        uint8_t channel = place_channel(self, item, limits);
        if (channel == 0) {
            break;
        }
        list_remove(&item->link);
        self->map[self->n_items] = channel;
        self->items[self->n_items++] = item;
        self->bytes += item_size(item);
    }
    list_init(&self->link);
    list_init(&self->gated.link);
    self->ordered.is_own_batch = true;
    return self;
}

void redis_batch_destroy(struct redis_batch **self_p, redis_channels_t *channels) {
    struct redis_batch *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < self->n_items; i++) {
        redis_item_destroy(&self->items[i], channels);
    }
    list_remove(&self->link);
    list_remove(&self->gated.link);
    memory_free(self->items);
    memory_free(self->map);
    memory_free((void *) self->results_bytes.data);
    memory_free(self);
    *self_p = NULL;
}

bool redis_batch_is_safe(const struct redis_batch *self) {
    for (uint32_t i = 0; i < self->n_channels; i++) {
        if (self->safe[i]) {
            return true;
        }
    }
    return false;
}

bool redis_batch_has_presence(const struct redis_batch *self) {
    for (uint32_t i = 0; i < self->n_channels; i++) {
        if (self->kinds[i] == REDIS_PRESENCE) {
            return true;
        }
    }
    return false;
}

bool redis_batch_keep_results(struct redis_batch *self, struct span bytes) {
    memory_free((void *) self->results_bytes.data);
    uint8_t *copy = memory_alloc(bytes.size + 1);
    memcpy(copy, bytes.data, bytes.size);
    self->results_bytes = span_of(copy, bytes.size);
    return redis_results_parse(self->results_bytes, &self->results) && self->results.n_channels == self->n_channels;
}

/* ---- encoding ---- */

static void append_u8_sized(struct buffer *out, struct span bytes) {
    buffer_append_u8(out, (uint8_t) bytes.size);
    buffer_append_span(out, bytes);
}

static void key_of(struct buffer *out, struct span topic, const char *what, struct span channel) {
    const struct span parts[] = {topic, span_of_text(what), channel};
    redis_request_parts(out, parts, 3);
}

static size_t count_keys(const struct redis_batch *self) {
    size_t n = 2;
    for (uint32_t i = 0; i < self->n_channels; i++) {
        n += self->kinds[i] == REDIS_POSITIONED ? 2 : self->kinds[i] == REDIS_PRESENCE ? 1 : 0;
    }
    return n;
}

static size_t count_keyed(const struct redis_batch *self) {
    size_t n = 0;
    for (uint32_t i = 0; i < self->n_items; i++) {
        n += self->items[i]->key != NULL;
    }
    return n;
}

static size_t count_versioned(const struct redis_batch *self) {
    size_t n = 0;
    for (uint32_t i = 0; i < self->n_items; i++) {
        n += self->items[i]->version != NULL;
    }
    return n;
}

static void encode_keys(const struct redis_batch *self, struct span topic, struct buffer *out) {
    const struct span hash[] = {topic, SPAN_LITERAL(":p")};
    redis_request_parts(out, hash, 2);
    redis_request_bytes(out, topic);
    for (uint32_t i = 0; i < self->n_channels; i++) {
        struct span name = redis_channel_name(self->channels[i]);
        if (self->kinds[i] == REDIS_POSITIONED) {
            key_of(out, topic, ":m:", name);
            key_of(out, topic, ":s:", name);
        } else if (self->kinds[i] == REDIS_PRESENCE) {
            key_of(out, topic, ":h:", name);
        }
    }
    for (uint32_t i = 0; i < self->n_items; i++) {
        const struct redis_item *item = self->items[i];
        if (item->key != NULL) {
            /* The channel's length stands before it: a name and a key never run into each other. */
            char head[16];
            int size = snprintf(head, sizeof head, ":k:%u:", item->channel->name_size);
            const struct span parts[] = {topic, span_of(head, (size_t) size), redis_channel_name(item->channel),
                                         SPAN_LITERAL(":"), span_of(item->key, item->key_size)};
            redis_request_parts(out, parts, 5);
        }
    }
}

static void append_epoch(struct buffer *out, const struct epoch *epoch) {
    char text[EPOCH_LENGTH] = {0};
    memcpy(text, epoch->text, strnlen(epoch->text, EPOCH_LENGTH));
    buffer_append(out, text, sizeof text);
}

static uint64_t positive(int64_t value) {
    return value < 0 ? 0 : (uint64_t) value;
}

static void encode_channel(const struct redis_batch *self, uint32_t index, struct buffer *scratch) {
    const struct redis_channel *channel = self->channels[index];
    const struct namespace_options *options = self->options[index];
    buffer_clear(scratch);
    buffer_append_u8(scratch, self->kinds[index]);
    if (self->kinds[index] == REDIS_POSITIONED) {
        char size[24];
        int length = snprintf(size, sizeof size, "%lld", (long long) options->history_size);
        buffer_append_char(scratch, self->safe[index] ? 's' : 'f');
        append_epoch(scratch, &channel->known.epoch);
        buffer_append_u64(scratch, channel->known.offset);
        append_u8_sized(scratch, span_of(size, (size_t) length));
        length = snprintf(size, sizeof size, "%llu", (unsigned long long) channel->known.offset + 1);
        append_u8_sized(scratch, span_of(size, (size_t) length));
        buffer_append_u64(scratch, positive(options->history_ttl_ms));
        buffer_append_u64(scratch, positive(options->history_meta_ttl_ms));
    }
    append_u8_sized(scratch, redis_channel_name(channel));
}

static void encode_item(const struct redis_item *item, struct buffer *out) {
    if (item->kind == REDIS_PRESENCE) {
        redis_request_bytes(out, buffer_span(&item->member));
        return;
    }
    uint8_t head[REDIS_ENTRY_HEAD_SIZE];
    redis_entry_head(payload_span(item->publication), head);
    const struct span parts[] = {span_of(head, sizeof head), payload_span(item->publication)};
    redis_request_parts(out, parts, 2);
    if (item->key != NULL) {
        redis_request_bytes(out, span_of(&item->payload_hash, sizeof item->payload_hash));
    }
    if (item->version != NULL) {
        const struct redis_item_version *of = item->version;
        const struct span of_parts[] = {span_of(&of->number, sizeof of->number), span_of(of->epoch, of->epoch_size)};
        redis_request_parts(out, of_parts, 2);
    }
}

static void encode_head(const struct redis_batch *self, const struct redis_batch_head *head, bool marked,
                        struct buffer *scratch) {
    char seed[EPOCH_SEED_LENGTH + 1];
    random_base62(seed, EPOCH_SEED_LENGTH);
    buffer_clear(scratch);
    buffer_append(scratch, self->ordered.entry.gen.text, PARTITION_GEN_LENGTH);
    buffer_append_text(scratch, "master_replid:");
    buffer_append(scratch, head->reign, REDIS_REIGN_LENGTH);
    buffer_append_u64(scratch, head->known_seq);
    buffer_append_u32(scratch, head->link_number);
    buffer_append_u32(scratch, self->number);
    buffer_append_u32(scratch, head->time_s);
    buffer_append(scratch, seed, EPOCH_SEED_LENGTH);
    buffer_append_u32(scratch, head->key_ttl_ms);
    buffer_append_u8(scratch, head->sharded);
    buffer_append_u8(scratch, (uint8_t) self->n_channels);
    buffer_append(scratch, head->boot_id, REDIS_BOOT_ID_LENGTH);
    buffer_append_u16(scratch, (uint16_t) self->n_items);
    buffer_append(scratch, self->map, self->n_items);
    buffer_append_u16(scratch, marked ? (uint16_t) self->n_items : 0);
    for (uint32_t i = 0; marked && i < self->n_items; i++) {
        const struct redis_item *item = self->items[i];
        buffer_append_u8(scratch, (uint8_t) ((item->key != NULL ? 1 : 0) | (item->version != NULL ? 2 : 0)));
    }
}

void redis_batch_encode(const struct redis_batch *self, const struct redis_batch_head *head, struct buffer *out) {
    size_t n_keyed = count_keyed(self);
    size_t n_versioned = count_versioned(self);
    redis_scripts_begin(head->scripts, out, REDIS_SCRIPT_APPEND, self->with_text, count_keys(self) + n_keyed,
                        self->n_channels + self->n_items + n_keyed + n_versioned + 1);
    encode_keys(self, head->topic, out);
    struct buffer scratch = BUFFER_EMPTY;
    for (uint32_t i = 0; i < self->n_channels; i++) {
        encode_channel(self, i, &scratch);
        redis_request_bytes(out, buffer_span(&scratch));
    }
    for (uint32_t i = 0; i < self->n_items; i++) {
        encode_item(self->items[i], out);
    }
    encode_head(self, head, n_keyed + n_versioned > 0, &scratch);
    redis_request_bytes(out, buffer_span(&scratch));
    buffer_finish(&scratch);
}
