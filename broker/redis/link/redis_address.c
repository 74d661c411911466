/* See redis_address.h. What other nodes say is bytes from a peer: what does not fit is refused. */
#include "broker/redis/link/redis_address.h"

#include <stdio.h>

bool redis_address_equal(const struct redis_address *a, const struct redis_address *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0;
}

/* No name and no address has a byte that is not printed, or a blank. */
static bool is_host(struct span host) {
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || host.data[i] >= 0x7f) {
            return false;
        }
    }
    return host.size <= REDIS_URL_HOST_MAX;
}

bool redis_address_set(struct redis_address *self, struct span host, uint64_t port) {
    if (!is_host(host) || port == 0 || port > UINT16_MAX) {
        return false;
    }
    *self = (struct redis_address){.port = (uint16_t) port};
    if (host.size > 0) {
        memcpy(self->host, host.data, host.size);
    }
    return true;
}

bool redis_address_parse(struct redis_address *self, struct span text) {
    const uint8_t *colon = text.size == 0 ? NULL : memrchr(text.data, ':', text.size);
    if (colon == NULL) {
        return false;
    }
    struct span host = span_of(text.data, (size_t) (colon - text.data));
    uint64_t port = 0;
    if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = span_of(host.data + 1, host.size - 2);
    }
    return span_parse_u64(span_of(colon + 1, text.size - (size_t) (colon + 1 - text.data)), &port) &&
           redis_address_set(self, host, port);
}

void redis_address_describe(const struct redis_address *self, char *ret_text, size_t size) {
    if (self->path[0] != '\0') {
        snprintf(ret_text, size, "unix:%s", self->path);
    } else if (strchr(self->host, ':') != NULL) {
        snprintf(ret_text, size, "[%s]:%u", self->host, self->port);
    } else {
        snprintf(ret_text, size, "%s:%u", self->host, self->port);
    }
}
