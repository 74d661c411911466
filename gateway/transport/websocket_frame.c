/* Header layouts, RFC 6455 5.2: FIN and opcode, then the size in 7 bits, or 126 and 16 bits, or 127 and 64 bits, in
 * network order. Nothing can fail here; what is too long for a close reason is cut. */
#include "gateway/transport/websocket_frame.h"

#include "gateway/protocol/client_protocol_raw.h"

enum { FINAL = 0x80, RSV1 = 0x40, SIZE_7_MAX = 125, SIZE_16 = 126, SIZE_64 = 127, CLOSE_REASON_MAX = 123 };

static void put_big_endian(uint8_t *at, uint64_t value, unsigned n_bytes) {
    for (unsigned i = 0; i < n_bytes; i++) {
        at[i] = (uint8_t) (value >> (8 * (n_bytes - 1 - i)));
    }
}

size_t websocket_frame_header(uint8_t ret_header[WEBSOCKET_FRAME_HEADER_MAX], enum websocket_opcode opcode,
                              uint64_t size) {
    ret_header[0] = (uint8_t) (FINAL | opcode);
    if (size <= SIZE_7_MAX) {
        ret_header[1] = (uint8_t) size;
        return 2;
    }
    if (size <= UINT16_MAX) {
        ret_header[1] = SIZE_16;
        put_big_endian(ret_header + 2, size, 2);
        return 4;
    }
    ret_header[1] = SIZE_64;
    put_big_endian(ret_header + 2, size, 8);
    return 10;
}

static payload_t *make_frame(uint8_t bits, enum websocket_opcode opcode, struct span message) {
    uint8_t header[WEBSOCKET_FRAME_HEADER_MAX];
    size_t header_size = websocket_frame_header(header, opcode, message.size);
    header[0] |= bits;
    uint8_t *data;
    payload_t *frame = payload_new_uninitialised(header_size + message.size, &data);
    memcpy(data, header, header_size);
    if (message.size > 0) {
        memcpy(data + header_size, message.data, message.size);
    }
    return frame;
}

payload_t *websocket_frame_payload(enum websocket_opcode opcode, struct span message) {
    return make_frame(0, opcode, message);
}

/* A frame for each record. */
static payload_t *frame_records(struct span records) {
    struct buffer frames = BUFFER_EMPTY;
    struct cursor cursor = cursor_of(records);
    enum client_raw_kind kind;
    struct span bytes;
    while (client_raw_next_record(&cursor, &kind, &bytes)) {
        uint8_t header[WEBSOCKET_FRAME_HEADER_MAX];
        buffer_append(&frames, header, websocket_frame_header(header, (enum websocket_opcode) kind, bytes.size));
        buffer_append_span(&frames, bytes);
    }
    payload_t *payload = payload_new(buffer_span(&frames));
    buffer_finish(&frames);
    return payload;
}

static enum websocket_opcode opcode_of(enum client_encoding encoding) {
    return client_codec_of(encoding)->is_binary ? WEBSOCKET_BINARY : WEBSOCKET_TEXT;
}

payload_t *websocket_frame_message(enum client_encoding encoding, struct span message) {
    return client_encoding_is_raw(encoding) ? frame_records(message)
                                            : websocket_frame_payload(opcode_of(encoding), message);
}

payload_t *websocket_frame_compressed(enum client_encoding encoding, struct span compressed) {
    return make_frame(RSV1, opcode_of(encoding), compressed);
}

/* The longest prefix within the limit that does not end inside a UTF-8 character. */
static size_t cut_reason(const char *reason) {
    size_t size = strlen(reason);
    if (size <= CLOSE_REASON_MAX) {
        return size;
    }
    size = CLOSE_REASON_MAX;
    while (size > 0 && ((uint8_t) reason[size] & 0xc0) == 0x80) {
        size--;
    }
    return size;
}

payload_t *websocket_close_payload(uint16_t code, const char *reason) {
    uint8_t body[2 + CLOSE_REASON_MAX];
    size_t reason_size = cut_reason(reason);
    put_big_endian(body, code, 2);
    memcpy(body + 2, reason, reason_size);
    return websocket_frame_payload(WEBSOCKET_CLOSE, span_of(body, 2 + reason_size));
}
