/* Entries that are not ours, or that are missing between two, leave a hole: such a load is not complete. */
#include "broker/redis/redis_loaded.h"

#include "base/memory.h"
#include "broker/redis/redis_messages.h"

static payload_t *decode_entry(struct span entry, uint64_t offset) {
    struct span encoded;
    if (!redis_entry_parse(entry, &encoded)) {
        return NULL;
    }
    uint8_t *bytes = NULL;
    payload_t *publication = payload_new_uninitialised(encoded.size, &bytes);
    memcpy(bytes, encoded.data, encoded.size);
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t) (offset >> (8 * i));
    }
    return publication;
}

bool redis_loaded_parse_head(struct span bytes, struct redis_loaded *ret_loaded) {
    struct cursor cursor = cursor_of(bytes);
    bool is_ok = cursor_u8(&cursor) == 'O';
    cursor_u64(&cursor); /* seq: the order is not this read's business */
    ret_loaded->top.epoch = epoch_from(cursor_bytes(&cursor, EPOCH_LENGTH));
    ret_loaded->top.offset = cursor_u64(&cursor);
    ret_loaded->oldest = cursor_u64(&cursor);
    return is_ok && cursor_is_done(&cursor);
}

void redis_loaded_collect(const struct engine_read *request, const struct redis_reply *reply,
                          struct redis_loaded *loaded) {
    size_t n = (reply->n - 1) / 2;
    loaded->publications = n == 0 ? NULL : memory_alloc_array(n, sizeof(payload_t *));
    uint64_t expected = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t offset = 0;
        bool is_number = span_parse_u64(redis_reply_string(&reply->elements[1 + 2 * i]), &offset);
        payload_t *publication =
            is_number ? decode_entry(redis_reply_string(&reply->elements[2 + 2 * i]), offset) : NULL;
        if (publication == NULL || (i > 0 && offset != expected)) {
            loaded->has_hole = true;
        }
        if (publication != NULL) {
            loaded->publications[loaded->n++] = publication;
            loaded->bytes += payload_footprint(publication);
        }
        expected = request->reverse ? offset - 1 : offset + 1;
    }
}

bool redis_loaded_is_complete(const struct engine_read *request, const struct redis_loaded *loaded) {
    uint64_t since = request->since.offset;
    if (!request->has_since || request->reverse || since > loaded->top.offset || loaded->has_hole) {
        return false;
    }
    if (since == loaded->top.offset) {
        return true;
    }
    if (request->limit == 0 || since + 1 < loaded->oldest || loaded->n == 0) {
        return false;
    }
    struct cursor first = cursor_of(payload_span(loaded->publications[0]));
    return cursor_u64(&first) == since + 1;
}

void redis_loaded_drop(struct redis_loaded *loaded) {
    for (uint32_t i = 0; i < loaded->n; i++) {
        payload_unref(&loaded->publications[i]);
    }
    memory_free(loaded->publications);
    *loaded = (struct redis_loaded){.n = 0};
}
