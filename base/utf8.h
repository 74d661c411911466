/* UTF-8 as RFC 3629 has it: shortest form, no surrogates, at most U+10FFFF.
 * Thread: any (no state). */
#ifndef CALLBOARD_BASE_UTF8_H
#define CALLBOARD_BASE_UTF8_H

#include "base/bytes.h"

bool utf8_is_valid(struct span text);
/* Writes a character that is no surrogate; returns how many bytes it takes. */
size_t utf8_encode(uint32_t character, uint8_t out[4]);

/* For those who go over bytes themselves. */

static const uint64_t UTF8_EVERY_BYTE = 0x0101010101010101U;
static const uint64_t UTF8_EVERY_HIGH_BIT = 0x8080808080808080U;

static inline uint64_t utf8_load_8(const uint8_t *at) {
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    return eight;
}

static inline bool utf8_is_continuation(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

/* The length of the sequence of two to four bytes that starts here; 0 when it is not valid. */
static inline size_t utf8_sequence_size(const uint8_t *at, const uint8_t *end) {
    size_t left = (size_t) (end - at);
    if (at[0] < 0xC2 || at[0] > 0xF4 || left < 2) {
        return 0;
    }
    if (at[0] < 0xE0) {
        return utf8_is_continuation(at[1]) ? 2 : 0;
    }
    /* The second byte is where overlong forms, surrogates and what is above U+10FFFF show. */
    uint8_t lowest = at[0] == 0xE0 ? 0xA0 : at[0] == 0xF0 ? 0x90 : 0x80;
    uint8_t highest = at[0] == 0xED ? 0x9F : at[0] == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < lowest || at[1] > highest || left < 3 || !utf8_is_continuation(at[2])) {
        return 0;
    }
    if (at[0] < 0xF0) {
        return 3;
    }
    return left >= 4 && utf8_is_continuation(at[3]) ? 4 : 0;
}

#endif
