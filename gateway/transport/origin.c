/* An origin is taken apart strictly (RFC 6454 6.2 knows no path, no user, no query), lower-cased, and its default port
 * made explicit; then it is a matter of equality. Anything that does not parse is refused, so that no trick of another
 * parser's (userinfo, trailing dots, spaces, characters beyond ASCII) can make two origins look alike. */
#include "gateway/transport/origin.h"

#include <stdint.h>
#include <strings.h>

enum { HOST_MAX = 255, PORT_UNKNOWN = 0 };

struct parsed_origin {
    bool is_https; /* else http */
    char host[HOST_MAX + 1];
    size_t host_size;
    uint16_t port;
};

static bool is_host_character(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t) (c + ('a' - 'A')) : c;
}

static bool is_address_character(uint8_t c) {
    return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.';
}

/* [v6 address] at the start: its size with the brackets, 0 when there is none. */
static size_t bracketed_size(struct span text) {
    if (text.size == 0 || text.data[0] != '[') {
        return 0;
    }
    for (size_t i = 1; i < text.size; i++) {
        if (text.data[i] == ']') {
            return i > 1 ? i + 1 : 0;
        }
        if (!is_address_character(lower(text.data[i]))) {
            return 0;
        }
    }
    return 0;
}

static size_t name_size(struct span text) {
    size_t size = 0;
    while (size < text.size && is_host_character(lower(text.data[size]))) {
        size++;
    }
    return size;
}

static bool parse_port(struct span text, uint16_t *ret_port) {
    uint64_t port;
    if (!span_parse_u64(text, &port) || port == 0 || port > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t) port;
    return true;
}

/* host[:port]; the port stays untouched where there is none. `wildcard`: a leading "*." is part of the host. */
static bool parse_host(struct span text, bool wildcard, struct parsed_origin *ret) {
    size_t star = wildcard && span_starts_with(text, SPAN_LITERAL("*.")) ? 1 : 0;
    struct span rest = span_of(text.data + star, text.size - star);
    size_t size = star == 0 ? bracketed_size(rest) : 0;
    if (size == 0) {
        size = name_size(rest);
    }
    size += star;
    if (size == star || size > HOST_MAX || text.data[size - 1] == '.' || (star == 0 && text.data[0] == '.')) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        ret->host[i] = (char) lower(text.data[i]);
    }
    ret->host_size = size;
    if (size == text.size) {
        return true;
    }
    return text.data[size] == ':' && parse_port(span_of(text.data + size + 1, text.size - size - 1), &ret->port);
}

static bool starts_with_scheme(struct span text, const char *scheme) {
    size_t size = strlen(scheme);
    return text.size > size && strncasecmp((const char *) text.data, scheme, size) == 0;
}

static bool parse_origin(struct span text, bool wildcard, struct parsed_origin *ret) {
    size_t scheme;
    if (starts_with_scheme(text, "https://")) {
        ret->is_https = true;
        ret->port = 443;
        scheme = 8;
    } else if (starts_with_scheme(text, "http://")) {
        ret->is_https = false;
        ret->port = 80;
        scheme = 7;
    } else {
        return false;
    }
    return parse_host(span_of(text.data + scheme, text.size - scheme), wildcard, ret);
}

/* "*.example.com" for "a.example.com", not for "example.com" or "a.b.example.com". */
static bool host_matches(const struct parsed_origin *origin, const struct parsed_origin *entry) {
    struct span host = span_of(origin->host, origin->host_size);
    struct span wanted = span_of(entry->host, entry->host_size);
    if (wanted.data[0] != '*') {
        return span_equal(host, wanted);
    }
    const uint8_t *dot = memchr(host.data, '.', host.size);
    if (dot == NULL || dot == host.data) {
        return false;
    }
    struct span parent = span_of(dot, host.size - (size_t) (dot - host.data));
    return span_equal(parent, span_of(wanted.data + 1, wanted.size - 1));
}

static bool is_in_list(const struct parsed_origin *origin, const struct config_text_list *allowed) {
    for (size_t i = 0; i < allowed->n; i++) {
        struct parsed_origin entry;
        if (parse_origin(span_of_text(allowed->texts[i]), true, &entry) && entry.is_https == origin->is_https &&
            entry.port == origin->port && host_matches(origin, &entry)) {
            return true;
        }
    }
    return false;
}

static bool is_null_in_list(const struct config_text_list *allowed) {
    for (size_t i = 0; i < allowed->n; i++) {
        if (strcmp(allowed->texts[i], "null") == 0) {
            return true;
        }
    }
    return false;
}

/* Without a port in the Host header it is the default one of the scheme the page was loaded by. */
static bool is_same_host(const struct parsed_origin *origin, struct span host) {
    struct parsed_origin own = {.port = origin->is_https ? 443 : 80};
    return parse_host(host, false, &own) && own.port == origin->port &&
           span_equal(span_of(own.host, own.host_size), span_of(origin->host, origin->host_size));
}

bool origin_is_allowed(struct span origin, const struct config_text_list *allowed, struct span host) {
    if (span_equal_text(origin, "null")) {
        return is_null_in_list(allowed);
    }
    struct parsed_origin parsed;
    if (!parse_origin(origin, false, &parsed)) {
        return false;
    }
    return allowed->n == 0 ? is_same_host(&parsed, host) : is_in_list(&parsed, allowed);
}
