/* See the header. Text that is mostly ASCII is taken eight bytes at a time. */
#include "base/utf8.h"

bool utf8_is_valid(struct span text) {
    const uint8_t *at = text.data;
    const uint8_t *end = text.size == 0 ? at : at + text.size;
    while (at < end) {
        if (end - at >= 8 && (utf8_load_8(at) & UTF8_EVERY_HIGH_BIT) == 0) {
            at += 8;
            continue;
        }
        if (*at < 0x80) {
            at++;
            continue;
        }
        size_t size = utf8_sequence_size(at, end);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

size_t utf8_encode(uint32_t character, uint8_t out[4]) {
    if (character < 0x80) {
        out[0] = (uint8_t) character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (uint8_t) (0xC0 | (character >> 6));
        out[1] = (uint8_t) (0x80 | (character & 0x3F));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (uint8_t) (0xE0 | (character >> 12));
        out[1] = (uint8_t) (0x80 | ((character >> 6) & 0x3F));
        out[2] = (uint8_t) (0x80 | (character & 0x3F));
        return 3;
    }
    out[0] = (uint8_t) (0xF0 | (character >> 18));
    out[1] = (uint8_t) (0x80 | ((character >> 12) & 0x3F));
    out[2] = (uint8_t) (0x80 | ((character >> 6) & 0x3F));
    out[3] = (uint8_t) (0x80 | (character & 0x3F));
    return 4;
}
