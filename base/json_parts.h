/* What the files of JSON share (json_scan.c judges, json_walk.c cuts, json_value.c reads values) and nobody else
 * includes. In a header, so that the loops over bytes are made in place. */
#ifndef CALLBOARD_BASE_JSON_PARTS_H
#define CALLBOARD_BASE_JSON_PARTS_H

#include "base/json_scan.h"
#include "base/utf8.h"

static inline bool json_is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static inline bool json_is_space(uint8_t byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline const uint8_t *json_skip_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && json_is_space(*at)) {
        at++;
    }
    return at;
}

/* Goes over bytes that stand for themselves: printable ASCII but quote and backslash. */
static inline const uint8_t *json_skip_plain_bytes(const uint8_t *at, const uint8_t *end) {
    while (end - at >= 8) {
        uint64_t eight = utf8_load_8(at);
        uint64_t quotes = eight ^ (UTF8_EVERY_BYTE * '"');
        uint64_t backslashes = eight ^ (UTF8_EVERY_BYTE * '\\');
        /* A high bit is set where a byte is at least 0x80, below 0x20, or became zero. */
        uint64_t special = eight | ((eight - UTF8_EVERY_BYTE * 0x20) & ~eight) |
                           ((quotes - UTF8_EVERY_BYTE) & ~quotes) | ((backslashes - UTF8_EVERY_BYTE) & ~backslashes);
        if ((special & UTF8_EVERY_HIGH_BIT) != 0) {
            break;
        }
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

static inline int hex_digit(uint8_t byte) {
    if (json_is_digit(byte)) {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four hexadecimal digits after \u as a number; negative when they are not there. */
static inline int32_t json_hex_unit(const uint8_t *at, const uint8_t *end) {
    if (end - at < 4) {
        return -1;
    }
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static inline bool json_is_high_surrogate(int32_t unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static inline bool json_is_low_surrogate(int32_t unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* By the first byte of a judged value. */
static inline enum json_type json_type_of(uint8_t first) {
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

#endif
