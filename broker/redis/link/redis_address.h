/* Where one Redis process is reached: a host and a port, or a unix socket's path. Thread: any (values). */
#ifndef CALLBOARD_BROKER_REDIS_ADDRESS_H
#define CALLBOARD_BROKER_REDIS_ADDRESS_H

#include "base/bytes.h"

enum { REDIS_URL_HOST_MAX = 255, REDIS_URL_PATH_MAX = 107, REDIS_ADDRESS_TEXT_MAX = REDIS_URL_HOST_MAX + 8 };

struct redis_address {
    char host[REDIS_URL_HOST_MAX + 1]; /* a name or an address without brackets; empty where path is set */
    uint16_t port;
    char path[REDIS_URL_PATH_MAX + 1]; /* of a unix socket; empty where host is set */
};

bool redis_address_equal(const struct redis_address *a, const struct redis_address *b);
/* From a host and a port in decimal, as Sentinel and Cluster name them. False: one of them is no such thing. */
bool redis_address_set(struct redis_address *self, struct span host, uint64_t port);
/* host:port as in MOVED and ASK, where an IPv6 address stands without brackets too. Host may be empty: then the node
 * does not know how it is reached, and the host is the one that was asked. */
bool redis_address_parse(struct redis_address *self, struct span text);
/* host:port, [v6]:port or unix:path, for logs. */
void redis_address_describe(const struct redis_address *self, char *ret_text, size_t size);

#endif
