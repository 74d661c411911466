/* See rdb_read.h. A part is opcodes (expiry, use) and then a type, a key and a value:
 *
 *   fc expiry-ms | fd expiry-s | f8 idle | f9 frequency        of the key that follows
 *   fa name value | fb sizes | fe database | f4 slot, sizes     of the file
 *   f5 code                                                     a library of functions
 *   00…15 key value                                             sizes and strings that are counted over
 *   ff                                                          end
 *
 * Failures: modules' values and types of servers that are newer than Redis 7.2 are refused by number, since a value
 * that cannot be counted over hides where the next key begins; lengths that run out of the window ask for more of it.
 */
#include "operator/backup/rdb_read.h"

#include "operator/backup/rdb_crc.h"

#include <stdio.h>

enum {
    OP_SLOT = 0xF4,
    OP_FUNCTION = 0xF5,
    OP_IDLE = 0xF8,
    OP_FREQUENCY = 0xF9,
    OP_AUX = 0xFA,
    OP_SIZES = 0xFB,
    OP_EXPIRES_MS = 0xFC,
    OP_EXPIRES_S = 0xFD,
    OP_DATABASE = 0xFE,
    OP_END = 0xFF,
};

enum {
    TYPE_STRING = 0,
    TYPE_LIST = 1,
    TYPE_SET = 2,
    TYPE_ZSET = 3,
    TYPE_HASH = 4,
    TYPE_ZSET_2 = 5,
    TYPE_ZIPMAP = 9, /* … 13: one string */
    TYPE_HASH_ZIPLIST = 13,
    TYPE_QUICKLIST = 14,
    TYPE_STREAM = 15,
    TYPE_HASH_LISTPACK = 16,
    TYPE_ZSET_LISTPACK = 17,
    TYPE_QUICKLIST_2 = 18,
    TYPE_STREAM_2 = 19,
    TYPE_SET_LISTPACK = 20,
    TYPE_STREAM_3 = 21,
};

enum { STRING_MAX = 512 * 1024 * 1024, KEY_MAX = 1024 * 1024, STREAM_ID = 16, TIME = 8 };

struct input {
    struct cursor cursor; /* failed: more is needed */
    const char *broken;   /* NULL: not */
};

static bool is_good(const struct input *in) {
    return !in->cursor.failed && in->broken == NULL;
}

static void breaks(struct input *in, const char *why) {
    in->broken = in->broken == NULL ? why : in->broken;
}

/* ---- lengths and strings ---- */

static uint64_t read_big_endian(struct input *in, size_t size) {
    struct span bytes = cursor_bytes(&in->cursor, size);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        value = value << 8 | bytes.data[i];
    }
    return value;
}

/* *ret_encoding: -1, or how a string is written that has no length. */
static uint64_t read_length(struct input *in, int *ret_encoding) {
    uint8_t first = cursor_u8(&in->cursor);
    *ret_encoding = -1;
    switch (first >> 6) {
    case 0:
        return first & 0x3F;
    case 1:
        return (uint64_t) (first & 0x3F) << 8 | cursor_u8(&in->cursor);
    case 2:
        if (first != 0x80 && first != 0x81) {
            breaks(in, "a length that is none");
        }
        return read_big_endian(in, first == 0x80 ? 4 : 8);
    default:
        *ret_encoding = first & 0x3F;
        return 0;
    }
}

static uint64_t read_count(struct input *in) {
    int encoding;
    uint64_t count = read_length(in, &encoding);
    if (encoding >= 0) {
        breaks(in, "a string where a number has to be");
    }
    return is_good(in) ? count : 0;
}

static struct span read_bytes(struct input *in, uint64_t size) {
    if (size > STRING_MAX) {
        breaks(in, "a string of more than 512 MiB");
        return SPAN_EMPTY;
    }
    return cursor_bytes(&in->cursor, (size_t) size);
}

/* LZF: literal runs, and copies of what was written before. */
static bool unpack(struct span packed, size_t size, struct buffer *out) {
    struct cursor in = cursor_of(packed);
    size_t begin = out->size;
    while (in.left > 0 && !in.failed && out->size - begin <= size) {
        unsigned control = cursor_u8(&in);
        if (control < 32) {
            struct span literal = cursor_bytes(&in, control + 1);
            buffer_append_span(out, literal);
            continue;
        }
        size_t length = control >> 5;
        length = length == 7 ? length + cursor_u8(&in) : length;
        size_t back = ((size_t) (control & 0x1F) << 8 | cursor_u8(&in)) + 1;
        if (back > out->size - begin) {
            return false;
        }
        for (size_t i = 0; i < length + 2 && !out->overflow; i++) {
            buffer_append_u8(out, out->data[out->size - back]);
        }
    }
    return !in.failed && !out->overflow && out->size - begin == size;
}

/* Over a string, or, with `out`, its bytes as text. */
static void read_string(struct input *in, struct buffer *out) {
    int encoding;
    uint64_t size = read_length(in, &encoding);
    if (encoding < 0) {
        struct span bytes = read_bytes(in, size);
        if (out != NULL) {
            buffer_append_span(out, bytes);
        }
    } else if (encoding <= 2) {
        struct span bytes = cursor_bytes(&in->cursor, (size_t) 1 << encoding);
        uint32_t value = 0;
        for (size_t i = bytes.size; i > 0; i--) {
            value = value << 8 | bytes.data[i - 1];
        }
        if (out != NULL) {
            buffer_append_i64_decimal(out, encoding == 0   ? (int8_t) value
                                           : encoding == 1 ? (int16_t) value
                                                           : (int32_t) value);
        }
    } else if (encoding == 3) {
        uint64_t packed_size = read_count(in);
        size = read_count(in);
        struct span packed = read_bytes(in, packed_size);
        if (out != NULL && is_good(in) && (size > STRING_MAX || !unpack(packed, (size_t) size, out))) {
            breaks(in, "a packed string that cannot be unpacked");
        }
    } else {
        breaks(in, "a string that is written in an unknown way");
    }
}

/* ---- values ---- */

static void pass_strings(struct input *in, unsigned of_each) {
    uint64_t count = read_count(in);
    for (uint64_t i = 0; i < count && is_good(in); i++) {
        for (unsigned k = 0; k < of_each; k++) {
            read_string(in, NULL);
        }
    }
}

static void pass_scored(struct input *in, bool is_binary) {
    uint64_t count = read_count(in);
    for (uint64_t i = 0; i < count && is_good(in); i++) {
        read_string(in, NULL);
        uint8_t size = is_binary ? 8 : cursor_u8(&in->cursor);
        (void) cursor_bytes(&in->cursor, !is_binary && size >= 253 ? 0 : size); /* 253…255: nan and infinities */
    }
}

static void pass_quicklist_2(struct input *in) {
    uint64_t count = read_count(in);
    for (uint64_t i = 0; i < count && is_good(in); i++) {
        (void) read_count(in);
        read_string(in, NULL);
    }
}

static void pass_counts(struct input *in, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        (void) read_count(in);
    }
}

static void pass_consumers(struct input *in, uint8_t type) {
    uint64_t consumers = read_count(in);
    for (uint64_t i = 0; i < consumers && is_good(in); i++) {
        read_string(in, NULL);
        (void) cursor_bytes(&in->cursor, type >= TYPE_STREAM_3 ? 2 * TIME : TIME);
        uint64_t pending = read_count(in);
        for (uint64_t k = 0; k < pending && is_good(in); k++) {
            (void) cursor_bytes(&in->cursor, STREAM_ID);
        }
    }
}

static void pass_stream(struct input *in, uint8_t type) {
    pass_strings(in, 2);
    pass_counts(in, type >= TYPE_STREAM_2 ? 8 : 3);
    uint64_t groups = read_count(in);
    for (uint64_t i = 0; i < groups && is_good(in); i++) {
        read_string(in, NULL);
        pass_counts(in, type >= TYPE_STREAM_2 ? 3 : 2);
        uint64_t pending = read_count(in);
        for (uint64_t k = 0; k < pending && is_good(in); k++) {
            (void) cursor_bytes(&in->cursor, STREAM_ID + TIME);
            (void) read_count(in);
        }
        pass_consumers(in, type);
    }
}

static bool pass_value(struct input *in, uint8_t type) {
    switch (type) {
    case TYPE_LIST:
    case TYPE_SET:
    case TYPE_QUICKLIST:
        return pass_strings(in, 1), true;
    case TYPE_HASH:
        return pass_strings(in, 2), true;
    case TYPE_ZSET:
    case TYPE_ZSET_2:
        return pass_scored(in, type == TYPE_ZSET_2), true;
    case TYPE_QUICKLIST_2:
        return pass_quicklist_2(in), true;
    case TYPE_STREAM:
    case TYPE_STREAM_2:
    case TYPE_STREAM_3:
        return pass_stream(in, type), true;
    default:
        if (type != TYPE_STRING && (type < TYPE_ZIPMAP || type > TYPE_HASH_ZIPLIST) && type != TYPE_HASH_LISTPACK &&
            type != TYPE_ZSET_LISTPACK && type != TYPE_SET_LISTPACK) {
            return false;
        }
        return read_string(in, NULL), true;
    }
}

/* ---- parts ---- */

bool rdb_reader_begin(struct rdb_reader *self, struct span head) {
    *self = (struct rdb_reader){.database = 0};
    buffer_init(&self->key, KEY_MAX);
    if (head.size < RDB_HEAD) {
        return false;
    }
    size_t name = memcmp(head.data, "REDIS", 5) == 0 ? 5 : memcmp(head.data, "VALKEY", 6) == 0 ? 6 : 0;
    for (size_t i = name; name > 0 && i < RDB_HEAD; i++) {
        if (head.data[i] < '0' || head.data[i] > '9') {
            return false;
        }
        self->version = self->version * 10 + (unsigned) (head.data[i] - '0');
    }
    return name > 0;
}

void rdb_reader_finish(struct rdb_reader *self) {
    buffer_finish(&self->key);
}

/* Over what says something of the file. False: it is none of these. */
static bool pass_opcode(struct rdb_reader *self, struct input *in, uint8_t opcode) {
    switch (opcode) {
    case OP_AUX:
        read_string(in, NULL);
        read_string(in, NULL);
        return true;
    case OP_SIZES:
        pass_counts(in, 2);
        return true;
    case OP_SLOT:
        pass_counts(in, 3);
        return true;
    case OP_DATABASE: {
        uint64_t database = read_count(in);
        self->database = is_good(in) ? database : self->database;
        return true;
    }
    default:
        return false;
    }
}

/* Behind its opcodes: the type, or the opcode of something else. */
static uint8_t read_expiry_and_use(struct input *in, uint64_t *ret_expires_ms) {
    uint8_t opcode = cursor_u8(&in->cursor);
    *ret_expires_ms = 0;
    while (is_good(in)) {
        if (opcode == OP_EXPIRES_MS) {
            *ret_expires_ms = cursor_u64(&in->cursor);
        } else if (opcode == OP_EXPIRES_S) {
            *ret_expires_ms = (uint64_t) cursor_u32(&in->cursor) * 1000;
        } else if (opcode == OP_IDLE) {
            (void) read_count(in);
        } else if (opcode == OP_FREQUENCY) {
            (void) cursor_u8(&in->cursor);
        } else {
            break;
        }
        opcode = cursor_u8(&in->cursor);
    }
    return opcode;
}

static enum rdb_part read_key(struct rdb_reader *self, struct input *in, uint8_t type, struct rdb_found *ret_found) {
    buffer_clear(&self->key);
    read_string(in, &self->key);
    const uint8_t *begin = in->cursor.at;
    if (self->key.overflow) {
        breaks(in, "a key of more than 1 MiB");
    }
    if (is_good(in) && !pass_value(in, type)) {
        snprintf(self->error, sizeof self->error,
                 "type %u of a value is a module's, or one of a newer server: it cannot be put back by RESTORE", type);
        return RDB_PART_BROKEN;
    }
    ret_found->type = type;
    ret_found->value = is_good(in) ? span_of(begin, (size_t) (in->cursor.at - begin)) : SPAN_EMPTY;
    return RDB_PART_KEY;
}

enum rdb_part rdb_reader_next(struct rdb_reader *self, struct span window, struct rdb_found *ret_found) {
    struct input in = {cursor_of(window), NULL};
    *ret_found = (struct rdb_found){.size = 0};
    uint8_t opcode = read_expiry_and_use(&in, &ret_found->expires_ms);
    enum rdb_part part = RDB_PART_OTHER;
    if (!is_good(&in)) {
        part = RDB_PART_MORE;
    } else if (opcode == OP_END) {
        part = RDB_PART_END;
    } else if (opcode == OP_FUNCTION) {
        const uint8_t *begin = in.cursor.at;
        read_string(&in, NULL);
        ret_found->value = span_of(begin, (size_t) (in.cursor.at - begin));
        part = RDB_PART_FUNCTION;
    } else if (!pass_opcode(self, &in, opcode)) {
        part = read_key(self, &in, opcode, ret_found);
    }
    if (in.broken != NULL) {
        snprintf(self->error, sizeof self->error, "%s", in.broken);
        return RDB_PART_BROKEN;
    }
    ret_found->size = window.size - in.cursor.left;
    return in.cursor.failed && part != RDB_PART_BROKEN ? RDB_PART_MORE : part;
}

void rdb_append_payload(struct buffer *out, const struct rdb_found *found, unsigned version) {
    size_t begin = out->size;
    buffer_append_u8(out, found->type);
    buffer_append_span(out, found->value);
    buffer_append_u16(out, (uint16_t) version);
    buffer_append_u64(out, rdb_crc(0, span_of(out->data + begin, out->size - begin)));
}

unsigned rdb_slot(struct span key) {
    const uint8_t *open = key.size == 0 ? NULL : memchr(key.data, '{', key.size);
    if (open != NULL) {
        size_t rest = key.size - (size_t) (open - key.data) - 1;
        const uint8_t *close = rest == 0 ? NULL : memchr(open + 1, '}', rest);
        key = close != NULL && close > open + 1 ? span_of(open + 1, (size_t) (close - open) - 1) : key;
    }
    unsigned crc = 0; /* CRC-16/XMODEM */
    for (size_t i = 0; i < key.size; i++) {
        crc ^= (unsigned) key.data[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc << 1) ^ ((crc & 0x8000U) != 0 ? 0x11021U : 0U);
        }
    }
    return crc & 0x3FFF;
}
