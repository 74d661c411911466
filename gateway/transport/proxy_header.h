/* The PROXY protocol's header, by which a load balancer says whom it speaks for: version 2 (binary) and version 1
 * (text), read in pieces that never reach beyond the header, whatever follows it. Pure. Thread: any. */
#ifndef CALLBOARD_GATEWAY_PROXY_HEADER_H
#define CALLBOARD_GATEWAY_PROXY_HEADER_H

#include "base/ip_address.h"

enum { PROXY_HEADER_MAX = 2048 }; /* a longer one is refused */

enum proxy_header_state { PROXY_HEADER_MORE, PROXY_HEADER_DONE, PROXY_HEADER_BAD };

struct proxy_header {
    uint8_t bytes[PROXY_HEADER_MAX];
    size_t size;
};

/* While MORE: how many bytes may be read now (at least 1), and where to. Tell with `size` how many came. */
size_t proxy_header_wanted(struct proxy_header *self, uint8_t **ret_to);
enum proxy_header_state proxy_header_state(const struct proxy_header *self);
/* When DONE: false where the header names nobody (a check of the proxy's own, or a kind of address that is not IP):
 * then the proxy's own address counts. */
bool proxy_header_source(const struct proxy_header *self, struct ip_address *ret_source);

#endif
