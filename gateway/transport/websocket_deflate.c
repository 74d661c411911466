/* zlib, raw, with the end that RFC 7692 cuts off: a message ends with an empty stored block, whose last four bytes
 * (00 00 ff ff) are left out by who sends and put back by who reads.
 *
 * Failure modes: a bomb makes no more than the buffer's limit and a chunk, whatever it promises; a message that stops
 * inside of a block, or goes on behind its last one with something else than a block, is malformed. zlib without memory
 * at the first use: aborts, as every small allocation does. */
#include "gateway/transport/websocket_deflate.h"

#include "base/check.h"
#include "base/memory.h"

#include <zlib.h>

enum {
    LEVEL = 6,
    MEMORY_LEVEL = 6,         /* a hash table of 16 KiB, to be cleared for each message */
    INFLATE_WINDOW_BITS = 15, /* we ask no client for less */
    CHUNK_BYTES = 4096,
    TAIL_BYTES = 4,
    /* What inflate says of its position in the stream (zlib.h, inflate: data_type). */
    UNUSED_BITS = 63,
    AT_BLOCK_BOUNDARY = 128,
};
static const uint8_t tail[TAIL_BYTES] = {0x00, 0x00, 0xff, 0xff};

struct websocket_deflate {
    z_stream out;
    z_stream in;
    bool has_out;
    bool has_in;
};

websocket_deflate_t *websocket_deflate_new(void) {
    return memory_alloc_zero(sizeof(websocket_deflate_t));
}

void websocket_deflate_destroy(websocket_deflate_t **self_p) {
    websocket_deflate_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    if (self->has_out) {
        deflateEnd(&self->out);
    }
    if (self->has_in) {
        inflateEnd(&self->in);
    }
    memory_free(self);
}

static void set_input(z_stream *stream, struct span bytes) {
    stream->next_in = (z_const Bytef *) (uintptr_t) bytes.data; /* only read */
    stream->avail_in = (uInt) bytes.size;
}

/* ---- out ---- */

static z_stream *begin_deflate(websocket_deflate_t *self) {
    int result = self->has_out ? deflateReset(&self->out)
                               : deflateInit2(&self->out, LEVEL, Z_DEFLATED, -WEBSOCKET_DEFLATE_WINDOW_BITS,
                                              MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    check(result == Z_OK, "deflate: %d", result);
    self->has_out = true;
    return &self->out;
}

bool websocket_deflate_message(websocket_deflate_t *self, struct span message, struct buffer *ret_bytes) {
    size_t before = ret_bytes->size;
    /* In so much room it is shorter than the message, or not done. */
    if (message.size == 0 || message.size > UINT32_MAX - TAIL_BYTES ||
        !buffer_reserve(ret_bytes, message.size + TAIL_BYTES)) {
        return false;
    }
    z_stream *stream = begin_deflate(self);
    set_input(stream, message);
    stream->next_out = ret_bytes->data + before;
    stream->avail_out = (uInt) message.size + TAIL_BYTES - 1;
    int result = deflate(stream, Z_SYNC_FLUSH);
    check(result == Z_OK, "deflate: %d", result);
    if (stream->avail_in > 0 || stream->avail_out == 0) {
        return false;
    }
    ret_bytes->size = (size_t) (stream->next_out - ret_bytes->data) - TAIL_BYTES;
    check(memcmp(ret_bytes->data + ret_bytes->size, tail, TAIL_BYTES) == 0, "a flush that ends otherwise");
    return true;
}

/* ---- in ---- */

static z_stream *begin_inflate(websocket_deflate_t *self) {
    int result = self->has_in ? inflateReset(&self->in) : inflateInit2(&self->in, -INFLATE_WINDOW_BITS);
    check(result == Z_OK, "inflate: %d", result);
    self->has_in = true;
    return &self->in;
}

/* Until the input is used up. A last block may stand anywhere (7.2.3.4); what follows it begins anew. */
static enum websocket_inflated inflate_bytes(z_stream *stream, struct span bytes, struct buffer *ret_message) {
    uint8_t chunk[CHUNK_BYTES];
    set_input(stream, bytes);
    for (;;) {
        stream->next_out = chunk;
        stream->avail_out = CHUNK_BYTES;
        int result = inflate(stream, Z_SYNC_FLUSH);
        if (!buffer_append(ret_message, chunk, CHUNK_BYTES - stream->avail_out)) {
            return WEBSOCKET_INFLATED_TOO_BIG;
        }
        if (result == Z_STREAM_END) {
            inflateReset(stream);
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return WEBSOCKET_INFLATED_MALFORMED;
        }
        if (stream->avail_in == 0 && stream->avail_out > 0) {
            return WEBSOCKET_INFLATED;
        }
    }
}

enum websocket_inflated websocket_inflate_message(websocket_deflate_t *self, struct span compressed,
                                                  struct buffer *ret_message) {
    z_stream *stream = begin_inflate(self);
    enum websocket_inflated outcome = inflate_bytes(stream, compressed, ret_message);
    if (outcome == WEBSOCKET_INFLATED) {
        outcome = inflate_bytes(stream, span_of(tail, TAIL_BYTES), ret_message);
    }
    /* Behind the tail a block has ended and no bit is left over. */
    bool is_whole = (stream->data_type & AT_BLOCK_BOUNDARY) != 0 && (stream->data_type & UNUSED_BITS) == 0;
    return outcome == WEBSOCKET_INFLATED && !is_whole ? WEBSOCKET_INFLATED_MALFORMED : outcome;
}
