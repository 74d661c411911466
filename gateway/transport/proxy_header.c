/* haproxy's doc/proxy-protocol.txt:
 *
 *   v2:  12 bytes of preamble │ version 2 and command │ family │ length (2, big endian) │ addresses, ports, TLVs
 *   v1:  PROXY TCP4|TCP6|UNKNOWN source destination port port \r\n      (107 bytes at most)
 *
 * Both begin with 12 bytes at least, which tell them apart. Behind those v2 says its length; of v1 the next bytes that
 * surely belong to it are read: two, or one where a \r stands last. TLVs are passed over. */
#include "gateway/transport/proxy_header.h"

#include <string.h>

enum {
    PREAMBLE_BYTES = 12,
    V2_HEAD = 16,
    V1_MAX = 107,
    V1_FIELDS = 6,
    COMMAND_LOCAL = 0x20,
    COMMAND_PROXY = 0x21,
    V4_ADDRESSES = 12, /* two addresses, two ports */
    V6_ADDRESSES = 36,
};
enum family { FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21 };

static const uint8_t preamble[PREAMBLE_BYTES] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_begin[] = "PROXY ";

static bool is_v2(const struct proxy_header *self) {
    return memcmp(self->bytes, preamble, PREAMBLE_BYTES) == 0;
}

static bool is_v1(const struct proxy_header *self) {
    return memcmp(self->bytes, v1_begin, sizeof v1_begin - 1) == 0;
}

static size_t v2_length(const struct proxy_header *self) {
    return V2_HEAD + ((size_t) self->bytes[14] << 8 | self->bytes[15]);
}

size_t proxy_header_wanted(struct proxy_header *self, uint8_t **ret_to) {
    *ret_to = self->bytes + self->size;
    if (self->size < PREAMBLE_BYTES) {
        return PREAMBLE_BYTES - self->size;
    }
    if (is_v2(self)) {
        return (self->size < V2_HEAD ? V2_HEAD : v2_length(self)) - self->size;
    }
    return self->bytes[self->size - 1] == '\r' ? 1 : 2;
}

/* --- version 2 --- */

static bool is_v2_sound(const struct proxy_header *self) {
    size_t addresses = v2_length(self) - V2_HEAD;
    uint8_t family = self->bytes[13];
    if (self->bytes[12] == COMMAND_LOCAL) {
        return true;
    }
    return self->bytes[12] == COMMAND_PROXY && (family != FAMILY_TCP4 || addresses >= V4_ADDRESSES) &&
           (family != FAMILY_TCP6 || addresses >= V6_ADDRESSES);
}

static enum proxy_header_state v2_state(const struct proxy_header *self) {
    if (self->size < V2_HEAD) {
        return PROXY_HEADER_MORE;
    }
    if (v2_length(self) > PROXY_HEADER_MAX || !is_v2_sound(self)) {
        return PROXY_HEADER_BAD;
    }
    return self->size < v2_length(self) ? PROXY_HEADER_MORE : PROXY_HEADER_DONE;
}

static bool v2_source(const struct proxy_header *self, struct ip_address *ret_source) {
    if (self->bytes[12] != COMMAND_PROXY) {
        return false;
    }
    if (self->bytes[13] == FAMILY_TCP4) {
        *ret_source = ip_address_of_v4(self->bytes + V2_HEAD);
        return true;
    }
    if (self->bytes[13] == FAMILY_TCP6) {
        memcpy(ret_source->bytes, self->bytes + V2_HEAD, IP_ADDRESS_BYTES);
        return true;
    }
    return false;
}

/* --- version 1 --- */

/* Fields of the line without its end; one blank between two. How many, 0 for more than V1_FIELDS. */
static size_t v1_split(const struct proxy_header *self, struct span fields[V1_FIELDS]) {
    size_t n = 0;
    size_t begin = 0;
    size_t end = self->size - 2;
    for (size_t i = 0; i <= end; i++) {
        if (i < end && self->bytes[i] != ' ') {
            continue;
        }
        if (n == V1_FIELDS) {
            return 0;
        }
        fields[n++] = span_of(self->bytes + begin, i - begin);
        begin = i + 1;
    }
    return n;
}

static bool is_port(struct span text) {
    unsigned port = 0;
    for (size_t i = 0; i < text.size && port <= UINT16_MAX; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        port = port * 10 + (text.data[i] - '0');
    }
    return text.size > 0 && port <= UINT16_MAX;
}

/* False: malformed. *ret_known: it names somebody. */
static bool v1_parse(const struct proxy_header *self, struct ip_address *ret_source, bool *ret_known) {
    struct span fields[V1_FIELDS];
    struct ip_address destination;
    size_t n = v1_split(self, fields);
    *ret_known = false;
    if (n >= 2 && span_equal_text(fields[1], "UNKNOWN")) {
        return true;
    }
    bool is_v4 = n == V1_FIELDS && span_equal_text(fields[1], "TCP4");
    bool is_v6 = n == V1_FIELDS && span_equal_text(fields[1], "TCP6");
    *ret_known = (is_v4 || is_v6) && ip_address_parse(fields[2], ret_source) &&
                 ip_address_parse(fields[3], &destination) && (!is_v4 || ip_address_is_v4(ret_source)) &&
                 is_port(fields[4]) && is_port(fields[5]);
    return *ret_known;
}

static enum proxy_header_state v1_state(const struct proxy_header *self) {
    struct ip_address source;
    bool known;
    if (self->bytes[self->size - 1] != '\n') {
        return self->size + 1 > V1_MAX ? PROXY_HEADER_BAD : PROXY_HEADER_MORE;
    }
    return self->size <= V1_MAX && self->bytes[self->size - 2] == '\r' && v1_parse(self, &source, &known)
               ? PROXY_HEADER_DONE
               : PROXY_HEADER_BAD;
}

enum proxy_header_state proxy_header_state(const struct proxy_header *self) {
    size_t known = self->size < PREAMBLE_BYTES ? self->size : PREAMBLE_BYTES;
    size_t v1_known = known < sizeof v1_begin - 1 ? known : sizeof v1_begin - 1;
    bool may_be_v2 = memcmp(self->bytes, preamble, known) == 0;
    bool may_be_v1 = memcmp(self->bytes, v1_begin, v1_known) == 0;
    if (!may_be_v2 && !may_be_v1) {
        return PROXY_HEADER_BAD;
    }
    if (self->size < PREAMBLE_BYTES) {
        return PROXY_HEADER_MORE;
    }
    return may_be_v2 ? v2_state(self) : v1_state(self);
}

bool proxy_header_source(const struct proxy_header *self, struct ip_address *ret_source) {
    bool known;
    if (is_v2(self)) {
        return v2_source(self, ret_source);
    }
    return is_v1(self) && v1_parse(self, ret_source, &known) && known;
}
