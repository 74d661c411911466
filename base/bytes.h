/* Bytes: borrowed (span), owned and growing to a bound (buffer), read with bounds (cursor).
 * Integers on our wire are little-endian. Thread: the owner's. */
#ifndef CALLBOARD_BASE_BYTES_H
#define CALLBOARD_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes; data may be NULL where size is 0. Whoever hands it out keeps it alive for the call. */
struct span {
    const uint8_t *data;
    size_t size;
};

#define SPAN_EMPTY ((struct span){NULL, 0})
/* Of a string literal. */
#define SPAN_LITERAL(text) ((struct span){(const uint8_t *) ("" text), sizeof(text) - 1})

static inline struct span span_of(const void *data, size_t size) {
    return (struct span){data, size};
}

static inline struct span span_of_text(const char *text) {
    return (struct span){(const uint8_t *) text, text == NULL ? 0 : strlen(text)};
}

static inline bool span_equal(struct span a, struct span b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_equal_text(struct span a, const char *text) {
    return span_equal(a, span_of_text(text));
}

static inline bool span_starts_with(struct span a, struct span prefix) {
    return a.size >= prefix.size && (prefix.size == 0 || memcmp(a.data, prefix.data, prefix.size) == 0);
}

/* A whole decimal number without sign, leading zero or overflow; false and *ret_value untouched otherwise. */
bool span_parse_u64(struct span digits, uint64_t *ret_value);

/* Owned bytes that grow to `limit` (0 = SIZE_MAX). An append over the limit sets `overflow`, appends nothing, and
 * every later append is refused too: so a writer checks once, at the end. A buffer with a limit is taken to be sized by
 * a peer: when memory is out, it answers as if it were over its limit. One without a limit aborts then. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit;
    bool overflow;
};

#define BUFFER_EMPTY ((struct buffer){NULL, 0, 0, 0, false})

void buffer_init(struct buffer *self, size_t limit);
void buffer_finish(struct buffer *self);               /* frees; the buffer is empty and usable again, its limit kept */
void buffer_clear(struct buffer *self);                /* size 0, overflow false, memory kept */
bool buffer_reserve(struct buffer *self, size_t more); /* false: over the limit (overflow set) */
bool buffer_append(struct buffer *self, const void *data, size_t size);
bool buffer_append_span(struct buffer *self, struct span bytes);
bool buffer_append_text(struct buffer *self, const char *text);
bool buffer_append_char(struct buffer *self, char c);
bool buffer_append_u64_decimal(struct buffer *self, uint64_t value);
bool buffer_append_i64_decimal(struct buffer *self, int64_t value);
bool buffer_append_format(struct buffer *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buffer_append_u8(struct buffer *self, uint8_t value);
bool buffer_append_u16(struct buffer *self, uint16_t value);
bool buffer_append_u32(struct buffer *self, uint32_t value);
bool buffer_append_u64(struct buffer *self, uint64_t value);
/* u32 length, then the bytes. */
bool buffer_append_sized(struct buffer *self, struct span bytes);
/* Overwrites 4 bytes that are already there. */
void buffer_put_u32(struct buffer *self, size_t at, uint32_t value);
/* Drops the first `size` bytes. */
void buffer_consume(struct buffer *self, size_t size);
/* A JSON string with its quotes: escapes the quote, backslash and controls; bytes >= 0x80 pass as they are (they must
 * be valid UTF-8 already). At the limit a part of it may stay behind; `overflow` says so. */
bool buffer_append_json_string(struct buffer *self, struct span text);

static inline struct span buffer_span(const struct buffer *self) {
    return (struct span){self->data, self->size};
}

/* Bounded reads from a span; the first read that does not fit sets `failed`, returns 0 or an empty span, and so does
 * every later one: so a reader checks once, at the end. Lengths are compared by subtraction. */
struct cursor {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static inline struct cursor cursor_of(struct span bytes) {
    return (struct cursor){bytes.data, bytes.size, false};
}

uint8_t cursor_u8(struct cursor *self);
uint16_t cursor_u16(struct cursor *self);
uint32_t cursor_u32(struct cursor *self);
uint64_t cursor_u64(struct cursor *self);
struct span cursor_bytes(struct cursor *self, size_t size);
/* u32 length, then the bytes. */
struct span cursor_sized(struct cursor *self);
static inline bool cursor_is_done(const struct cursor *self) {
    return !self->failed && self->left == 0;
}

#endif
