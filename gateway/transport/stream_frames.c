/* A chunk's size stands before it and is known behind it: room for eight digits is left and filled in. */
#include "gateway/transport/stream_frames.h"

#include "base/check.h"

#include <string.h>

enum {
    SIZE_DIGITS = 8,
    SIZE_LINE = SIZE_DIGITS + 2,
    FRAME_SIZE_MASK = 0x7f,
    FRAME_SIZE_16 = 126,
    FRAME_SIZE_64 = 127,
};

static size_t read_big_endian(const uint8_t *at, unsigned n_bytes) {
    size_t value = 0;
    for (unsigned i = 0; i < n_bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* The message of the frame at the cursor. They are our own frames: anything else is a mistake of ours. */
static struct span next_message(struct span *rest) {
    check(rest->size >= 2, "a frame of %zu bytes", rest->size);
    size_t header = 2;
    size_t size = rest->data[1] & FRAME_SIZE_MASK;
    if (size == FRAME_SIZE_16) {
        header = 4;
    } else if (size == FRAME_SIZE_64) {
        header = 10;
    }
    check(rest->size >= header, "a frame header of %zu bytes", rest->size);
    if (header > 2) {
        size = read_big_endian(rest->data + 2, (unsigned) header - 2);
    }
    check(rest->size - header >= size, "a frame of %zu bytes in %zu", size, rest->size);
    struct span message = span_of(rest->data + header, size);
    *rest = span_of(rest->data + header + size, rest->size - header - size);
    return message;
}

static void append_line(struct buffer *out, enum stream_kind kind, struct span line) {
    if (kind == STREAM_SSE) {
        buffer_append_text(out, "data: ");
        buffer_append_span(out, line);
        buffer_append_text(out, "\n\n");
    } else {
        buffer_append_span(out, line);
        buffer_append_char(out, '\n');
    }
}

static void append_body(struct buffer *out, enum stream_kind kind, struct span message) {
    if (kind == STREAM_PROTOBUF) {
        buffer_append_span(out, message);
        return;
    }
    while (message.size > 0) {
        const uint8_t *end = memchr(message.data, '\n', message.size);
        size_t size = end == NULL ? message.size : (size_t) (end - message.data);
        if (size > 0) {
            append_line(out, kind, span_of(message.data, size));
        }
        size_t skip = size + (end != NULL);
        message = span_of(message.data + skip, message.size - skip);
    }
}

static size_t begin_chunk(struct buffer *out) {
    size_t at = out->size;
    buffer_append_text(out, "00000000\r\n");
    return at;
}

/* An empty chunk would end the body. */
static void end_chunk(struct buffer *out, size_t at) {
    if (out->overflow) {
        return;
    }
    size_t size = out->size - at - SIZE_LINE;
    if (size == 0) {
        out->size = at;
        return;
    }
    for (unsigned i = 0; i < SIZE_DIGITS; i++) {
        out->data[at + i] = (uint8_t) "0123456789abcdef"[size >> (4 * (SIZE_DIGITS - 1 - i)) & 0xf];
    }
    buffer_append_text(out, "\r\n");
}

void stream_append_chunk(struct buffer *out, enum stream_kind kind, struct span framed) {
    size_t at = begin_chunk(out);
    while (framed.size > 0) {
        append_body(out, kind, next_message(&framed));
    }
    end_chunk(out, at);
}

void stream_append_message(struct buffer *out, enum stream_kind kind, struct span message) {
    size_t at = begin_chunk(out);
    append_body(out, kind, message);
    end_chunk(out, at);
}

void stream_append_end(struct buffer *out) {
    buffer_append_text(out, "0\r\n\r\n");
}
