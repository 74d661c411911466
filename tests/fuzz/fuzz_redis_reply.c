/* Any bytes as replies of Redis, in pieces whose sizes the first byte says: never harm, never over the caps. */
#include "base/check.h"
#include "base/redis_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 65536, ELEMENTS_MAX = 1000 };

static size_t walk(const struct redis_reply *reply, uint8_t *sum) {
    size_t n = 1;
    for (size_t i = 0; i < reply->text.size; i++) {
        *sum = (uint8_t) (*sum + reply->text.data[i]);
    }
    for (size_t i = 0; i < reply->n; i++) {
        n += walk(&reply->elements[i], sum);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const struct redis_reply_limits limits = {.bytes = BYTES_MAX, .elements = ELEMENTS_MAX};
    redis_reader_t *reader = redis_reader_new(&limits);
    size_t piece = data[0] == 0 ? size : data[0];
    uint8_t sum = 0;
    for (size_t at = 1; at < size; at += piece) {
        size_t left = size - at;
        if (!redis_reader_feed(reader, span_of(data + at, left < piece ? left : piece))) {
            break;
        }
        const struct redis_reply *reply = NULL;
        while (redis_reader_next(reader, &reply) == REDIS_READ_REPLY) {
            check(walk(reply, &sum) <= ELEMENTS_MAX, "over the cap of elements");
        }
    }
    redis_reader_destroy(&reader);
    return 0;
}
