/* Buffers that stop at a bound, cursors that stop at the end, and the integers of our wire.
 *
 * Happy path: a writer appends a whole frame and looks at `overflow` once; a reader takes every field and looks at
 * `failed` once.
 *
 * Failure modes: over the limit: nothing is appended any more, overflow stays set until buffer_clear or buffer_finish.
 * Memory out: a buffer with a limit is peer-sized by definition and answers as if it were over the limit; one without
 * is ours, and the process aborts (base/memory.h). A read past the end: zero or empty from then on. */
#include "base/bytes.h"

#include "base/check.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { CAPACITY_FIRST = 64 };

bool span_parse_u64(struct span digits, uint64_t *ret_value) {
    uint64_t value = 0;
    if (digits.size == 0 || (digits.size > 1 && digits.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < digits.size; i++) {
        unsigned digit = (unsigned) digits.data[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

void buffer_init(struct buffer *self, size_t limit) {
    *self = BUFFER_EMPTY;
    self->limit = limit;
}

void buffer_finish(struct buffer *self) {
    memory_free(self->data);
    buffer_init(self, self->limit);
}

void buffer_clear(struct buffer *self) {
    self->size = 0;
    self->overflow = false;
}

static size_t limit_of(const struct buffer *self) {
    return self->limit == 0 ? SIZE_MAX : self->limit;
}

/* Twice the last capacity, but enough for `needed` and never above the limit. */
static size_t next_capacity(const struct buffer *self, size_t needed) {
    size_t limit = limit_of(self);
    size_t doubled = self->capacity > limit / 2 ? limit : self->capacity * 2;
    size_t capacity = doubled < CAPACITY_FIRST ? CAPACITY_FIRST : doubled;
    if (capacity > limit) {
        capacity = limit;
    }
    return capacity < needed ? needed : capacity;
}

static bool grow(struct buffer *self, size_t needed) {
    size_t capacity = next_capacity(self, needed);
    if (self->limit == 0) {
        self->data = memory_realloc(self->data, capacity);
    } else {
        uint8_t *data = memory_try_realloc(self->data, capacity);
        if (data == NULL) {
            return false;
        }
        self->data = data;
    }
    self->capacity = capacity;
    return true;
}

bool buffer_reserve(struct buffer *self, size_t more) {
    if (self->overflow) {
        return false;
    }
    if (more <= self->capacity - self->size) {
        /* Also where capacity came from elsewhere than grow(): the limit is what counts. */
        self->overflow = self->size > limit_of(self) || more > limit_of(self) - self->size;
        return !self->overflow;
    }
    if (self->size > limit_of(self) || more > limit_of(self) - self->size || !grow(self, self->size + more)) {
        self->overflow = true;
        return false;
    }
    return true;
}

bool buffer_append(struct buffer *self, const void *data, size_t size) {
    if (!buffer_reserve(self, size)) {
        return false;
    }
    if (size > 0) {
        memcpy(self->data + self->size, data, size);
        self->size += size;
    }
    return true;
}

bool buffer_append_span(struct buffer *self, struct span bytes) {
    return buffer_append(self, bytes.data, bytes.size);
}

bool buffer_append_text(struct buffer *self, const char *text) {
    return buffer_append(self, text, strlen(text));
}

bool buffer_append_char(struct buffer *self, char c) {
    return buffer_append(self, &c, 1);
}

bool buffer_append_u64_decimal(struct buffer *self, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char) ('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return buffer_append(self, digits + at, sizeof digits - at);
}

bool buffer_append_i64_decimal(struct buffer *self, int64_t value) {
    if (value >= 0) {
        return buffer_append_u64_decimal(self, (uint64_t) value);
    }
    /* Room for all of it first, so that no lone minus sign stays behind at the limit. */
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRId64, value);
    return buffer_append(self, text, (size_t) size);
}

/* Formats into the room there is; returns how long the whole text is. */
static size_t format_into(struct buffer *self, const char *format, va_list values) {
    size_t room = self->capacity - self->size;
    int length = vsnprintf(room == 0 ? NULL : (char *) self->data + self->size, room, format, values);
    check(length >= 0, "bad format \"%s\"", format);
    return (size_t) length;
}

bool buffer_append_format(struct buffer *self, const char *format, ...) {
    if (self->overflow) {
        return false;
    }
    va_list values;
    va_start(values, format);
    size_t length = format_into(self, format, values);
    va_end(values);
    if (length < self->capacity - self->size && buffer_reserve(self, length)) {
        self->size += length;
        return true;
    }
    char *text = memory_alloc(length + 1); /* the NUL may not fit below the limit where the text does */
    va_start(values, format);
    vsnprintf(text, length + 1, format, values);
    va_end(values);
    bool appended = buffer_append(self, text, length);
    memory_free(text);
    return appended;
}

/* The `width` low bytes of value, lowest first. */
static void store_little_endian(uint8_t *at, uint64_t value, size_t width) {
    for (size_t i = 0; i < width; i++) {
        at[i] = (uint8_t) (value >> (8 * i));
    }
}

static uint64_t load_little_endian(const uint8_t *at, size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value |= (uint64_t) at[i] << (8 * i);
    }
    return value;
}

static bool append_integer(struct buffer *self, uint64_t value, size_t width) {
    uint8_t bytes[8];
    store_little_endian(bytes, value, width);
    return buffer_append(self, bytes, width);
}

bool buffer_append_u8(struct buffer *self, uint8_t value) {
    return append_integer(self, value, 1);
}

bool buffer_append_u16(struct buffer *self, uint16_t value) {
    return append_integer(self, value, 2);
}

bool buffer_append_u32(struct buffer *self, uint32_t value) {
    return append_integer(self, value, 4);
}

bool buffer_append_u64(struct buffer *self, uint64_t value) {
    return append_integer(self, value, 8);
}

bool buffer_append_sized(struct buffer *self, struct span bytes) {
    check(bytes.size <= UINT32_MAX, "%zu bytes do not fit a length of 32 bits", bytes.size);
    return buffer_reserve(self, 4 + bytes.size) && buffer_append_u32(self, (uint32_t) bytes.size) &&
           buffer_append_span(self, bytes);
}

void buffer_put_u32(struct buffer *self, size_t at, uint32_t value) {
    check(at <= self->size && self->size - at >= 4, "u32 at %zu of %zu bytes", at, self->size);
    store_little_endian(self->data + at, value, 4);
}

void buffer_consume(struct buffer *self, size_t size) {
    check(size <= self->size, "consuming %zu of %zu bytes", size, self->size);
    if (size > 0) {
        memmove(self->data, self->data + size, self->size - size);
        self->size -= size;
    }
}

/* The letter after the backslash in JSON's short escapes, 0 where there is none. */
static char short_escape_of(uint8_t c) {
    switch (c) {
    case '"':
    case '\\':
        return (char) c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static bool append_json_escape(struct buffer *self, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    char letter = short_escape_of(c);
    if (letter != 0) {
        return buffer_append(self, (const char[]){'\\', letter}, 2);
    }
    return buffer_append(self, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

bool buffer_append_json_string(struct buffer *self, struct span text) {
    size_t plain = 0; /* start of the run that passes as it is */
    buffer_append_char(self, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            continue;
        }
        buffer_append(self, text.data + plain, i - plain);
        append_json_escape(self, c);
        plain = i + 1;
    }
    buffer_append(self, text.size == 0 ? NULL : text.data + plain, text.size - plain);
    return buffer_append_char(self, '"');
}

struct span cursor_bytes(struct cursor *self, size_t size) {
    if (self->failed || size > self->left) {
        self->failed = true;
        return SPAN_EMPTY;
    }
    struct span bytes = {self->at, size};
    if (size > 0) {
        self->at += size;
        self->left -= size;
    }
    return bytes;
}

static uint64_t take_integer(struct cursor *self, size_t width) {
    struct span bytes = cursor_bytes(self, width);
    return bytes.size == width ? load_little_endian(bytes.data, width) : 0;
}

uint8_t cursor_u8(struct cursor *self) {
    return (uint8_t) take_integer(self, 1);
}

uint16_t cursor_u16(struct cursor *self) {
    return (uint16_t) take_integer(self, 2);
}

uint32_t cursor_u32(struct cursor *self) {
    return (uint32_t) take_integer(self, 4);
}

uint64_t cursor_u64(struct cursor *self) {
    return take_integer(self, 8);
}

struct span cursor_sized(struct cursor *self) {
    uint32_t size = cursor_u32(self);
    return cursor_bytes(self, size);
}
