/* Bytes of the wire. Every frame's encoder and decoder is made from the one list in wire.h, field by field, so that a
 * field added there is written and read everywhere, in the same order.
 *
 * Happy path: wire_batch_begin, some wire_encode_*, wire_batch_seal; on the other end wire_batch_open, then
 * wire_frame_next and wire_decode_* until WIRE_END.
 * Failure modes: a frame over a bound is taken back as a whole (the batch stays usable); foreign bytes never lead
 * outside the batch: a cursor refuses what does not fit, and a body must be used up exactly. Encoding is canonical:
 * what decodes encodes to the same bytes again (tests/fuzz/fuzz_wire.c holds us to it). */
#include "base/wire.h"

#include "base/check.h"

/* ---- frames ---- */

/* Room for the frame's header; the body's length is filled in by frame_end. */
static size_t frame_begin(struct buffer *batch, uint8_t kind) {
    size_t start = batch->size;
    buffer_append_u8(batch, kind);
    buffer_append_u8(batch, 0);
    buffer_append_u16(batch, 0);
    buffer_append_u32(batch, 0);
    return start;
}

/* Takes the frame back when it went over a bound. A buffer that had overflowed before stays so. */
static bool frame_end(struct buffer *batch, size_t start, bool was_overflown) {
    if (batch->overflow || batch->size - start > WIRE_FRAME_MAX) {
        batch->size = start;
        batch->overflow = was_overflown;
        return false;
    }
    buffer_put_u32(batch, start + 4, (uint32_t) (batch->size - start - WIRE_FRAME_HEADER_SIZE));
    return true;
}

static struct epoch read_epoch(struct cursor *cursor) {
    struct epoch epoch = {{0}};
    struct span text = cursor_sized(cursor);
    if (text.size > EPOCH_TEXT_MAX) {
        cursor->failed = true;
        return epoch;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x21 || text.data[i] > 0x7e) {
            cursor->failed = true;
            return (struct epoch){{0}};
        }
        epoch.text[i] = (char) text.data[i];
    }
    return epoch;
}

/* clang-format off */
#define WIRE_WRITE_u8(name)    buffer_append_u8(batch, frame->name);
#define WIRE_WRITE_u16(name)   buffer_append_u16(batch, frame->name);
#define WIRE_WRITE_u32(name)   buffer_append_u32(batch, frame->name);
#define WIRE_WRITE_u64(name)   buffer_append_u64(batch, frame->name);
#define WIRE_WRITE_i64(name)   buffer_append_u64(batch, (uint64_t) frame->name);
#define WIRE_WRITE_epoch(name) buffer_append_sized(batch, epoch_span(&frame->name));
#define WIRE_WRITE_bytes(name) buffer_append_sized(batch, frame->name);
#define WIRE_WRITE_rest(name)  buffer_append_span(batch, frame->name);
#define WIRE_WRITE(type, name) WIRE_WRITE_##type(name)

#define WIRE_READ_u8(name)    frame.name = cursor_u8(&cursor);
#define WIRE_READ_u16(name)   frame.name = cursor_u16(&cursor);
#define WIRE_READ_u32(name)   frame.name = cursor_u32(&cursor);
#define WIRE_READ_u64(name)   frame.name = cursor_u64(&cursor);
#define WIRE_READ_i64(name)   frame.name = (int64_t) cursor_u64(&cursor);
#define WIRE_READ_epoch(name) frame.name = read_epoch(&cursor);
#define WIRE_READ_bytes(name) frame.name = cursor_sized(&cursor);
#define WIRE_READ_rest(name)  frame.name = cursor_bytes(&cursor, cursor.left);
#define WIRE_READ(type, name) WIRE_READ_##type(name)

#define WIRE_CODE(NAME, suffix, kind, direction)                                                                       \
    bool wire_encode_##suffix(struct buffer *batch, const struct wire_##suffix *frame) {                               \
        bool was_overflown = batch->overflow;                                                                          \
        size_t start = frame_begin(batch, WIRE_##NAME);                                                                \
        WIRE_FIELDS_##suffix(WIRE_WRITE)                                                                               \
        return frame_end(batch, start, was_overflown);                                                                 \
    }                                                                                                                  \
    bool wire_decode_##suffix(struct span body, struct wire_##suffix *ret_frame) {                                     \
        struct cursor cursor = cursor_of(body);                                                                        \
        struct wire_##suffix frame;                                                                                    \
        WIRE_FIELDS_##suffix(WIRE_READ)                                                                                \
        if (!cursor_is_done(&cursor)) {                                                                                \
            return false;                                                                                              \
        }                                                                                                              \
        *ret_frame = frame;                                                                                            \
        return true;                                                                                                   \
    }
/* clang-format on */
WIRE_FRAMES(WIRE_CODE)

bool wire_mark_skippable(struct buffer *batch, size_t start, bool encoded) {
    if (encoded) {
        batch->data[start + 1] |= WIRE_FRAME_SKIP;
    }
    return encoded;
}

const char *wire_kind_name(uint8_t kind) {
    switch (kind) {
#define WIRE_NAME(NAME, suffix, number, direction)                                                                     \
    case number:                                                                                                       \
        return #NAME;
        WIRE_FRAMES(WIRE_NAME)
    }
    return "unknown";
}

/* ---- batches ---- */

static void put_u16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t) value;
    at[1] = (uint8_t) (value >> 8);
}

static void put_u32(uint8_t *at, uint32_t value) {
    put_u16(at, (uint16_t) value);
    put_u16(at + 2, (uint16_t) (value >> 16));
}

static void put_u64(uint8_t *at, uint64_t value) {
    put_u32(at, (uint32_t) value);
    put_u32(at + 4, (uint32_t) (value >> 32));
}

void wire_batch_begin(struct buffer *batch) {
    static const uint8_t room[WIRE_BATCH_HEADER_SIZE];
    buffer_clear(batch);
    batch->limit = WIRE_BATCH_MAX;
    buffer_append(batch, room, sizeof room);
}

void wire_batch_seal(struct buffer *batch, const struct wire_batch_header *header) {
    check(batch->size >= WIRE_BATCH_HEADER_SIZE, "the batch was not begun");
    uint8_t *at = batch->data;
    put_u16(at, WIRE_MAGIC);
    at[2] = header->version;
    at[3] = 0;
    put_u16(at + 4, header->shard);
    put_u16(at + 6, 0);
    put_u64(at + 8, header->link_epoch);
    put_u32(at + 16, header->number);
    put_u32(at + 20, header->ack);
    put_u32(at + 24, header->credit_frames);
    put_u32(at + 28, header->credit_bytes);
}

enum wire_outcome wire_batch_open(struct span batch, struct wire_batch_header *ret_header, struct cursor *ret_frames) {
    struct cursor cursor = cursor_of(batch);
    if (batch.size < WIRE_BATCH_HEADER_SIZE) {
        return WIRE_TRUNCATED;
    }
    if (cursor_u16(&cursor) != WIRE_MAGIC) {
        return WIRE_BAD_MAGIC;
    }
    uint8_t version = cursor_u8(&cursor);
    uint8_t flags = cursor_u8(&cursor);
    struct wire_batch_header header = {.version = version};
    header.shard = cursor_u16(&cursor);
    uint16_t zero = cursor_u16(&cursor);
    header.link_epoch = cursor_u64(&cursor);
    header.number = cursor_u32(&cursor);
    header.ack = cursor_u32(&cursor);
    header.credit_frames = cursor_u32(&cursor);
    header.credit_bytes = cursor_u32(&cursor);
    *ret_header = header;
    if (version < WIRE_VERSION_MIN || version > WIRE_VERSION) {
        return WIRE_BAD_VERSION;
    }
    if (flags != 0 || zero != 0 || batch.size > WIRE_BATCH_MAX) {
        return WIRE_BAD_HEADER;
    }
    *ret_frames = cursor;
    return WIRE_OK;
}

enum wire_outcome wire_frame_next(struct cursor *frames, struct wire_frame *ret_frame) {
    if (frames->left == 0) {
        return WIRE_END;
    }
    if (frames->left < WIRE_FRAME_HEADER_SIZE) {
        return WIRE_TRUNCATED;
    }
    struct wire_frame frame;
    frame.kind = cursor_u8(frames);
    frame.flags = cursor_u8(frames);
    uint16_t zero = cursor_u16(frames);
    uint32_t length = cursor_u32(frames);
    if (zero != 0 || (frame.flags & ~WIRE_FRAME_SKIP) != 0 || length > WIRE_FRAME_MAX - WIRE_FRAME_HEADER_SIZE) {
        return WIRE_BAD_HEADER;
    }
    if (length > frames->left) {
        return WIRE_TRUNCATED;
    }
    frame.body = cursor_bytes(frames, length);
    *ret_frame = frame;
    return WIRE_OK;
}

const char *wire_outcome_text(enum wire_outcome outcome) {
    switch (outcome) {
    case WIRE_OK:
        return "ok";
    case WIRE_END:
        return "end";
    case WIRE_TRUNCATED:
        return "truncated";
    case WIRE_BAD_MAGIC:
        return "bad magic";
    case WIRE_BAD_VERSION:
        return "version not spoken";
    case WIRE_BAD_HEADER:
        return "bad header";
    }
    unreachable("outcome %d", (int) outcome);
}

/* ---- parts inside frames ---- */

bool wire_append_publication(struct buffer *out, const struct wire_publication *publication) {
    buffer_append_u64(out, publication->offset);
    buffer_append_u64(out, (uint64_t) publication->time_ms);
    buffer_append_u8(out, publication->flags);
    buffer_append_sized(out, publication->data);
    buffer_append_sized(out, publication->info);
    return buffer_append_sized(out, publication->tags);
}

bool wire_read_publication(struct cursor *cursor, struct wire_publication *ret_publication) {
    struct wire_publication publication;
    publication.offset = cursor_u64(cursor);
    publication.time_ms = (int64_t) cursor_u64(cursor);
    publication.flags = cursor_u8(cursor);
    publication.data = cursor_sized(cursor);
    publication.info = cursor_sized(cursor);
    publication.tags = cursor_sized(cursor);
    if (cursor->failed) {
        return false;
    }
    *ret_publication = publication;
    return true;
}

bool wire_append_push(struct buffer *batch, uint32_t handle, struct span publication) {
    return wire_encode_push(batch, &(struct wire_push){.handle = handle, .publication = publication});
}

bool wire_append_client_info(struct buffer *out, const struct wire_client_info *info) {
    buffer_append_sized(out, info->user);
    buffer_append_sized(out, info->client);
    buffer_append_sized(out, info->conn_info);
    return buffer_append_sized(out, info->chan_info);
}

bool wire_read_client_info(struct span bytes, struct wire_client_info *ret_info) {
    struct cursor cursor = cursor_of(bytes);
    struct wire_client_info info;
    info.user = cursor_sized(&cursor);
    info.client = cursor_sized(&cursor);
    info.conn_info = cursor_sized(&cursor);
    info.chan_info = cursor_sized(&cursor);
    if (!cursor_is_done(&cursor)) {
        return false;
    }
    *ret_info = info;
    return true;
}

bool wire_append_tag(struct buffer *out, const struct wire_tag *tag) {
    buffer_append_sized(out, tag->key);
    return buffer_append_sized(out, tag->value);
}

bool wire_next_tag(struct cursor *tags, struct wire_tag *ret_tag) {
    if (tags->failed || tags->left == 0) {
        return false;
    }
    struct wire_tag tag;
    tag.key = cursor_sized(tags);
    tag.value = cursor_sized(tags);
    if (tags->failed) {
        return false;
    }
    *ret_tag = tag;
    return true;
}
