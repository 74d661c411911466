/* A window begins with a source's first failure and ends a minute later, whatever came in between: who is over it waits
 * at most that long. A guesser gets ten tries a minute and source; tokens have at least 16 bytes. */
#include "base/auth_failures.h"

#include <string.h>

enum { V6_SOURCE_BYTES = 8, NONE = AUTH_FAILURES_SOURCES };

static struct ip_address source_of(const struct ip_address *address) {
    struct ip_address source = *address;
    if (!ip_address_is_v4(&source)) {
        memset(source.bytes + V6_SOURCE_BYTES, 0, IP_ADDRESS_BYTES - V6_SOURCE_BYTES);
    }
    return source;
}

static size_t find(const struct auth_failures *self, const struct ip_address *source, int64_t now_ms) {
    for (size_t i = 0; i < AUTH_FAILURES_SOURCES; i++) {
        if (self->entries[i].n > 0 && now_ms - self->entries[i].begun_ms < AUTH_FAILURES_WINDOW_MS &&
            memcmp(&self->entries[i].source, source, sizeof *source) == 0) {
            return i;
        }
    }
    return NONE;
}

bool auth_failures_is_over(const struct auth_failures *self, const struct ip_address *address, int64_t now_ms) {
    struct ip_address source = source_of(address);
    size_t i = find(self, &source, now_ms);
    return i != NONE && self->entries[i].n >= AUTH_FAILURES_MAX;
}

static size_t free_or_oldest(const struct auth_failures *self) {
    size_t oldest = 0;
    for (size_t i = 0; i < AUTH_FAILURES_SOURCES; i++) {
        if (self->entries[i].n == 0) {
            return i;
        }
        if (self->entries[i].begun_ms < self->entries[oldest].begun_ms) {
            oldest = i;
        }
    }
    return oldest;
}

void auth_failures_count(struct auth_failures *self, const struct ip_address *address, int64_t now_ms) {
    struct ip_address source = source_of(address);
    size_t i = find(self, &source, now_ms);
    if (i == NONE) {
        i = free_or_oldest(self);
        self->entries[i].source = source;
        self->entries[i].begun_ms = now_ms;
        self->entries[i].n = 0;
    }
    self->entries[i].n++;
}
