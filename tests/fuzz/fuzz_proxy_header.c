/* A stream that should begin with a PROXY header, in pieces of the size that its first byte says: the same is made of
 * it as of the stream at once, never more is read than the header, and the buffer's end is kept. */
#include "base/check.h"
#include "gateway/transport/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum proxy_header_state feed(struct proxy_header *header, struct span bytes, size_t at_once) {
    size_t at = 0;
    while (at < bytes.size && proxy_header_state(header) == PROXY_HEADER_MORE) {
        uint8_t *to;
        size_t n = proxy_header_wanted(header, &to);
        check(n > 0 && header->size + n <= PROXY_HEADER_MAX, "%zu bytes wanted behind %zu", n, header->size);
        n = n < at_once ? n : at_once;
        n = n < bytes.size - at ? n : bytes.size - at;
        memcpy(to, bytes.data + at, n);
        header->size += n;
        at += n;
    }
    return proxy_header_state(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct proxy_header whole;
    static struct proxy_header pieces;
    if (size == 0) {
        return 0;
    }
    whole.size = pieces.size = 0;
    struct span bytes = span_of(data + 1, size - 1);
    enum proxy_header_state at_once = feed(&whole, bytes, SIZE_MAX);
    enum proxy_header_state in_pieces = feed(&pieces, bytes, (size_t) data[0] + 1);
    check((at_once == PROXY_HEADER_DONE) == (in_pieces == PROXY_HEADER_DONE), "pieces change the outcome");
    if (at_once == PROXY_HEADER_DONE) {
        struct ip_address a;
        struct ip_address b;
        bool named = proxy_header_source(&whole, &a);
        check(named == proxy_header_source(&pieces, &b) && whole.size == pieces.size, "pieces change what was read");
        check(!named || memcmp(&a, &b, sizeof a) == 0, "pieces change the source");
    }
    return 0;
}
