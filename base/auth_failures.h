/* How often a source gave a wrong token of late: AUTH_FAILURES_MAX in a minute, then it is not listened to until that
 * minute is over. A table of fixed size: with more sources the one that began longest ago is forgotten. Pure.
 * Thread: the owner's. */
#ifndef CALLBOARD_BASE_AUTH_FAILURES_H
#define CALLBOARD_BASE_AUTH_FAILURES_H

#include "base/ip_address.h"

#include <stdbool.h>
#include <stdint.h>

enum { AUTH_FAILURES_MAX = 10, AUTH_FAILURES_WINDOW_MS = 60000, AUTH_FAILURES_SOURCES = 256 };

struct auth_failures {
    struct {
        struct ip_address source; /* of IPv6 the first 64 bits */
        int64_t begun_ms;
        unsigned n; /* 0: free */
    } entries[AUTH_FAILURES_SOURCES];
};

/* Has it failed so often that even a good token of it is not looked at? */
bool auth_failures_is_over(const struct auth_failures *self, const struct ip_address *source, int64_t now_ms);
void auth_failures_count(struct auth_failures *self, const struct ip_address *source, int64_t now_ms);

#endif
