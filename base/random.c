/* Randomness straight from getrandom(2): no state of ours, so nothing to seed, to share between threads or to copy
 * over a fork.
 *
 * Failure modes: interrupted: asked again. Anything else (a kernel or sandbox without getrandom): abort, because every
 * epoch, id and jitter would be guessable or equal. */
#include "base/random.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

void random_bytes(void *ret_bytes, size_t size) {
    unsigned char *at = ret_bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        check(got > 0 || errno == EINTR, "getrandom: %s", strerror(errno));
        if (got > 0) {
            at += got;
            size -= (size_t) got;
        }
    }
}

uint64_t random_u64(void) {
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}

/* A multiple of 2^32 / bound would favour low numbers without the rejection (Lemire, "Fast Random Integer Generation
 * in an Interval", 2019). */
uint32_t random_below(uint32_t bound) {
    if (bound == 0) {
        return 0;
    }
    uint32_t threshold = (uint32_t) (0U - bound) % bound;
    for (;;) {
        uint32_t value;
        random_bytes(&value, sizeof value);
        uint64_t product = (uint64_t) value * bound;
        if ((uint32_t) product >= threshold) {
            return (uint32_t) (product >> 32);
        }
    }
}

void random_base62(char *ret_text, size_t length) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned char pool[32];
    size_t left = 0;
    for (size_t i = 0; i < length;) {
        if (left == 0) {
            random_bytes(pool, sizeof pool);
            left = sizeof pool;
        }
        unsigned char byte = pool[--left];
        if (byte < 248) { /* 4 * 62: the rest would favour the first digits */
            ret_text[i++] = digits[byte % 62];
        }
    }
    ret_text[length] = '\0';
}

void random_uuid(char ret_text[37]) {
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[16];
    char *at = ret_text;
    random_bytes(bytes, sizeof bytes);
    bytes[6] = (unsigned char) ((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (unsigned char) ((bytes[8] & 0x3f) | 0x80); /* variant 10 */
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = hex[bytes[i] >> 4];
        *at++ = hex[bytes[i] & 15];
    }
    *at = '\0';
}
