/* See redis_messages.h. */
#include "broker/redis/redis_messages.h"

#include "base/wire.h"

#include <xxhash.h>

static struct epoch read_epoch(struct cursor *cursor) {
    struct span text = cursor_bytes(cursor, EPOCH_LENGTH);
    if (text.size == 0 || text.data[0] == '\0') {
        return (struct epoch){{0}}; /* no position: sixteen zeros */
    }
    return epoch_from(text);
}

static struct redis_place read_place(struct cursor *cursor) {
    struct epoch epoch = read_epoch(cursor);
    return (struct redis_place){.epoch = epoch, .first = cursor_u64(cursor)};
}

static struct span short_sized(struct cursor *cursor) {
    return cursor_bytes(cursor, cursor_u8(cursor));
}

/* ---- results ---- */

bool redis_results_parse(struct span bytes, struct redis_results *ret_results) {
    struct cursor cursor = cursor_of(bytes);
    uint8_t flags = cursor_u8(&cursor);
    ret_results->told = (flags & 1) != 0;
    ret_results->seq = cursor_u64(&cursor);
    ret_results->n_channels = cursor_u8(&cursor);
    for (unsigned i = 0; i < ret_results->n_channels; i++) {
        ret_results->places[i] = read_place(&cursor);
    }
    ret_results->odd = cursor;
    return !cursor.failed;
}

bool redis_results_next(struct redis_results *self, struct redis_odd_item *ret_item) {
    if (self->odd.failed || self->odd.left == 0) {
        return false;
    }
    unsigned index = cursor_u16(&self->odd);
    unsigned what = cursor_u8(&self->odd);
    *ret_item = (struct redis_odd_item){.index = index - 1, .what = what};
    switch (what) {
    case REDIS_ODD_DUPLICATE:
    case REDIS_ODD_SUPPRESSED:
        ret_item->position.epoch = read_epoch(&self->odd);
        ret_item->position.offset = cursor_u64(&self->odd);
        break;
    case REDIS_ODD_LEFT:
        ret_item->value = cursor_sized(&self->odd);
        break;
    case REDIS_ODD_KEY_REUSED:
    case REDIS_ODD_CORRUPT:
    case REDIS_ODD_JOINED:
        break;
    default:
        self->odd.failed = true;
    }
    self->odd.failed = self->odd.failed || index == 0;
    return !self->odd.failed;
}

/* ---- topic ---- */

static bool read_head(struct cursor *cursor, struct redis_topic_message *message) {
    bool known = cursor_u8(cursor) == REDIS_TOPIC_VERSION;
    unsigned kind = cursor_u8(cursor);
    struct span gen = cursor_bytes(cursor, PARTITION_GEN_LENGTH);
    message->seq = cursor_u64(cursor);
    message->boot_id = cursor_bytes(cursor, REDIS_BOOT_ID_LENGTH);
    message->number = cursor_u32(cursor);
    if (cursor->failed || !known || kind < REDIS_TOPIC_BATCH || kind > REDIS_TOPIC_FREED) {
        return false;
    }
    message->kind = kind;
    memset(&message->gen, 0, sizeof message->gen);
    memcpy(message->gen.text, gen.data, PARTITION_GEN_LENGTH);
    return true;
}

bool redis_topic_peek(struct span bytes, struct redis_topic_message *ret_message) {
    struct cursor cursor = cursor_of(bytes);
    return read_head(&cursor, ret_message);
}

static bool read_channels(struct cursor *cursor, struct redis_topic_message *message) {
    for (unsigned i = 0; i < message->n_channels; i++) {
        struct redis_topic_channel *channel = &message->channels[i];
        unsigned kind = cursor_u8(cursor);
        channel->name = short_sized(cursor);
        channel->place = read_place(cursor);
        if (cursor->failed || kind < REDIS_POSITIONED || kind > REDIS_POSITIONED_SAFE ||
            channel->place.first > OFFSET_MAX - REDIS_BATCH_ITEMS_MAX) {
            return false;
        }
        channel->kind = kind;
    }
    return true;
}

/* Bytes that changed in Redis may still read as a publication: the hash tells. */
static struct span read_publication(struct cursor *cursor) {
    uint8_t version = cursor_u8(cursor);
    uint64_t hash = cursor_u64(cursor);
    const uint8_t *start = cursor->at;
    size_t left = cursor->left;
    struct wire_publication publication;
    if (version != REDIS_ENTRY_VERSION || !wire_read_publication(cursor, &publication)) {
        cursor->failed = true;
        return SPAN_EMPTY;
    }
    size_t size = left - cursor->left;
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* a fuzzer cannot find a hash, and shall see what is behind it */
    cursor->failed = cursor->failed || XXH64(start, size, 0) != hash;
#else
    (void) hash;
#endif
    return span_of(start, size);
}

static void read_member(struct cursor *cursor, struct redis_topic_item *item) {
    unsigned action = cursor_u8(cursor);
    short_sized(cursor); /* the client stands in the info too */
    item->value = cursor_sized(cursor);
    item->joined = action == REDIS_PRESENCE_SET;
    struct redis_member member;
    cursor->failed = cursor->failed || (action != REDIS_PRESENCE_SET && action != REDIS_PRESENCE_CLEAR) ||
                     !redis_member_parse(item->value, &member);
}

bool redis_topic_next(struct redis_topic_message *self, struct redis_topic_item *ret_item) {
    while (self->at < self->map.size) {
        unsigned index = self->map.data[self->at++];
        if (index == 0) {
            continue;
        }
        if (index > self->n_channels) {
            self->items.failed = true;
            return false;
        }
        struct redis_topic_channel *channel = &self->channels[index - 1];
        *ret_item = (struct redis_topic_item){.channel = channel};
        if (channel->kind == REDIS_PRESENCE) {
            read_member(&self->items, ret_item);
        } else {
            ret_item->publication = read_publication(&self->items);
            ret_item->offset = channel->kind == REDIS_PLAIN ? 0 : channel->place.first++;
        }
        return !self->items.failed;
    }
    return false;
}

/* Walks a copy of the items, so that the walk that tells them cannot fail in the middle. */
static bool items_are_sound(const struct redis_topic_message *message) {
    struct redis_topic_message walk = *message;
    struct redis_topic_item item;
    while (redis_topic_next(&walk, &item)) {
    }
    return cursor_is_done(&walk.items);
}

bool redis_topic_parse(struct span bytes, struct redis_topic_message *ret_message) {
    struct cursor cursor = cursor_of(bytes);
    if (!read_head(&cursor, ret_message)) {
        return false;
    }
    ret_message->n_channels = 0;
    ret_message->map = SPAN_EMPTY;
    ret_message->at = 0;
    if (ret_message->kind == REDIS_TOPIC_OPENED) {
        ret_message->items = cursor;
        return cursor_is_done(&cursor);
    }
    if (ret_message->kind == REDIS_TOPIC_REMOVED) {
        ret_message->n_channels = 1;
        ret_message->channels[0] = (struct redis_topic_channel){.kind = REDIS_POSITIONED, .name = short_sized(&cursor)};
        ret_message->channels[0].place = read_place(&cursor);
        ret_message->items = cursor;
        return cursor_is_done(&cursor) && ret_message->channels[0].place.first <= OFFSET_MAX;
    }
    if (ret_message->kind == REDIS_TOPIC_FREED) {
        ret_message->n_channels = 1;
        ret_message->channels[0] = (struct redis_topic_channel){.kind = REDIS_PLAIN, .name = short_sized(&cursor)};
        ret_message->items = cursor;
        return cursor_is_done(&cursor) && ret_message->channels[0].name.size > 0;
    }
    size_t n_items = cursor_u16(&cursor);
    ret_message->n_channels = cursor_u8(&cursor);
    if (n_items > REDIS_BATCH_ITEMS_MAX || !read_channels(&cursor, ret_message)) {
        return false;
    }
    ret_message->map = cursor_bytes(&cursor, n_items);
    ret_message->items = cursor;
    return !cursor.failed && items_are_sound(ret_message);
}

/* ---- parts ---- */

bool redis_member_parse(struct span value, struct redis_member *ret_member) {
    struct cursor cursor = cursor_of(value);
    ret_member->gateway_id = short_sized(&cursor);
    ret_member->lease_number = cursor_u64(&cursor);
    ret_member->info = cursor_bytes(&cursor, cursor.left);
    struct wire_client_info info;
    return !cursor.failed && wire_read_client_info(ret_member->info, &info);
}

bool redis_member_append(struct buffer *out, const struct redis_member *member) {
    return member->gateway_id.size <= UINT8_MAX && buffer_append_u8(out, (uint8_t) member->gateway_id.size) &&
           buffer_append_span(out, member->gateway_id) && buffer_append_u64(out, member->lease_number) &&
           buffer_append_span(out, member->info);
}

void redis_entry_head(struct span publication, uint8_t ret_head[REDIS_ENTRY_HEAD_SIZE]) {
    uint64_t hash = XXH64(publication.data, publication.size, 0);
    ret_head[0] = REDIS_ENTRY_VERSION;
    for (unsigned i = 1; i < REDIS_ENTRY_HEAD_SIZE; i++, hash >>= 8) {
        ret_head[i] = (uint8_t) hash;
    }
}

bool redis_entry_parse(struct span entry, struct span *ret_publication) {
    struct cursor cursor = cursor_of(entry);
    *ret_publication = read_publication(&cursor);
    return cursor_is_done(&cursor);
}
