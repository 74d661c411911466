/* Base64: four characters of six bits for three bytes; one or two bytes at the end make two or three characters.
 *
 * Failure modes: anything that another encoder would not have written is refused: a lone character at the end, bits
 * that no byte uses, padding in the wrong place. */
#include "base/base64.h"

static const char standard_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { NO_DIGIT = 64 };

/* Its value, NO_DIGIT where it is none; `last_two` are the digits 62 and 63. */
static unsigned value_of(uint8_t c, const char *last_two) {
    if (c >= 'A' && c <= 'Z') {
        return (unsigned) c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return (unsigned) c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return (unsigned) c - '0' + 52;
    }
    if (c == (uint8_t) last_two[0]) {
        return 62;
    }
    return c == (uint8_t) last_two[1] ? 63 : NO_DIGIT;
}

/* One to four characters into the bytes they hold. */
static bool decode_group(struct buffer *out, const uint8_t *text, size_t size, const char *last_two) {
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned value = value_of(text[i], last_two);
        if (value == NO_DIGIT) {
            return false;
        }
        bits = bits << 6 | value;
    }
    size_t n_bytes = size * 6 / 8;
    unsigned unused = (unsigned) (size * 6 - n_bytes * 8); /* 6: a lone character holds no byte */
    if (unused == 6 || (bits & ((1U << unused) - 1)) != 0) {
        return false;
    }
    bits >>= unused;
    uint8_t bytes[3];
    for (size_t i = n_bytes; i > 0; i--) {
        bytes[i - 1] = (uint8_t) bits;
        bits >>= 8;
    }
    return buffer_append(out, bytes, n_bytes);
}

static bool decode(struct buffer *out, struct span text, const char *last_two) {
    for (size_t at = 0; at < text.size; at += 4) {
        size_t left = text.size - at;
        if (!decode_group(out, text.data + at, left < 4 ? left : 4, last_two)) {
            return false;
        }
    }
    return !out->overflow;
}

static void encode(struct buffer *out, struct span bytes, const char *digits, bool padded) {
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t n = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) {
            bits = bits << 8 | (i < n ? bytes.data[at + i] : 0U);
        }
        char text[4];
        for (size_t i = 0; i < 4; i++) {
            text[i] = i <= n ? digits[bits >> (18 - 6 * i) & 63] : '=';
        }
        buffer_append(out, text, padded ? 4 : n + 1);
    }
}

bool base64url_decode(struct buffer *out, struct span text) {
    return decode(out, text, url_digits + 62);
}

void base64url_encode(struct buffer *out, struct span bytes) {
    encode(out, bytes, url_digits, false);
}

bool base64_decode(struct buffer *out, struct span text) {
    if (text.size % 4 != 0) {
        return false;
    }
    /* A "=" that is left over is no digit and is refused there; so is a group of padding alone. */
    for (unsigned i = 0; i < 2 && text.size > 0 && text.data[text.size - 1] == '='; i++) {
        text.size--;
    }
    return decode(out, text, standard_digits + 62);
}

void base64_encode(struct buffer *out, struct span bytes) {
    encode(out, bytes, standard_digits, true);
}
