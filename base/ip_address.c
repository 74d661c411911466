/* Text is read by inet_pton, which takes nothing but the standard forms (no octal parts, no missing ones, no zone);
 * what comes with a port is taken apart before. */
#include "base/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { V4_PREFIX = 96, V4_AT = 12, PORT_MAX = 65535, PORT_DIGITS_MAX = 5 };

struct ip_address ip_address_of_v4(const uint8_t bytes[4]) {
    struct ip_address address = {{[10] = 0xFF, [11] = 0xFF}};
    memcpy(address.bytes + V4_AT, bytes, 4);
    return address;
}

bool ip_address_of_socket(const struct sockaddr_storage *socket_address, struct ip_address *ret_address) {
    if (socket_address->ss_family == AF_INET) {
        *ret_address = ip_address_of_v4((const uint8_t *) &((const struct sockaddr_in *) socket_address)->sin_addr);
        return true;
    }
    if (socket_address->ss_family == AF_INET6) {
        memcpy(ret_address->bytes, &((const struct sockaddr_in6 *) socket_address)->sin6_addr, IP_ADDRESS_BYTES);
        return true;
    }
    return false;
}

bool ip_address_parse(struct span text, struct ip_address *ret_address) {
    char copy[IP_ADDRESS_TEXT];
    uint8_t v4[4];
    if (text.size == 0 || text.size >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (strlen(copy) != text.size) {
        return false;
    }
    if (inet_pton(AF_INET, copy, v4) == 1) {
        *ret_address = ip_address_of_v4(v4);
        return true;
    }
    return inet_pton(AF_INET6, copy, ret_address->bytes) == 1;
}

/* Digits to the end, `most` at most. */
static bool parse_number(struct span text, unsigned most, unsigned *ret_number) {
    unsigned number = 0;
    if (text.size == 0 || text.size > PORT_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = number;
    return number <= most;
}

static bool is_port(struct span text) {
    unsigned port;
    return text.size >= 1 && text.data[0] == ':' &&
           parse_number(span_of(text.data + 1, text.size - 1), PORT_MAX, &port);
}

static const uint8_t *find(struct span text, char wanted) {
    return text.size == 0 ? NULL : memchr(text.data, wanted, text.size);
}

bool ip_address_parse_with_port(struct span text, struct ip_address *ret_address) {
    if (ip_address_parse(text, ret_address)) {
        return true;
    }
    const uint8_t *end = text.data + text.size;
    if (text.size > 0 && text.data[0] == '[') {
        const uint8_t *bracket = find(text, ']');
        return bracket != NULL && (bracket + 1 == end || is_port(span_of(bracket + 1, (size_t) (end - bracket - 1)))) &&
               ip_address_parse(span_of(text.data + 1, (size_t) (bracket - text.data - 1)), ret_address);
    }
    const uint8_t *colon = find(text, ':');
    return colon != NULL && is_port(span_of(colon, (size_t) (end - colon))) &&
           ip_address_parse(span_of(text.data, (size_t) (colon - text.data)), ret_address);
}

bool ip_address_is_v4(const struct ip_address *self) {
    static const uint8_t mapped[V4_AT] = {[10] = 0xFF, [11] = 0xFF};
    return memcmp(self->bytes, mapped, V4_AT) == 0;
}

void ip_address_print(const struct ip_address *self, char ret_text[IP_ADDRESS_TEXT]) {
    bool is_v4 = ip_address_is_v4(self);
    inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? self->bytes + V4_AT : self->bytes, ret_text, IP_ADDRESS_TEXT);
}

/* --- networks --- */

static bool bit_of(const struct ip_address *address, unsigned bit) {
    return (address->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

static bool is_zero_behind(const struct ip_network *self) {
    for (unsigned bit = self->prefix; bit < 8 * IP_ADDRESS_BYTES; bit++) {
        if (bit_of(&self->address, bit)) {
            return false;
        }
    }
    return true;
}

bool ip_network_parse(struct span text, struct ip_network *ret_network) {
    const uint8_t *slash = find(text, '/');
    size_t address_size = slash == NULL ? text.size : (size_t) (slash - text.data);
    if (!ip_address_parse(span_of(text.data, address_size), &ret_network->address)) {
        return false;
    }
    /* A dotted address counts from its own first bit; ::ffff:a.b.c.d has a colon, and counts from the whole one's. */
    bool is_dotted = find(span_of(text.data, address_size), ':') == NULL;
    unsigned first = is_dotted ? V4_PREFIX : 0;
    unsigned prefix = 8 * IP_ADDRESS_BYTES - first;
    if (slash != NULL && !parse_number(span_of(slash + 1, text.size - address_size - 1), prefix, &prefix)) {
        return false;
    }
    ret_network->prefix = first + prefix;
    return is_zero_behind(ret_network);
}

bool ip_network_contains(const struct ip_network *self, const struct ip_address *address) {
    unsigned whole = self->prefix / 8;
    unsigned rest = self->prefix % 8;
    if (memcmp(self->address.bytes, address->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || (self->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}
