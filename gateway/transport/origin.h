/* Which web pages may open a connection (cross-site WebSocket hijacking, security.md S1): the Origin header against an
 * exact list. Pure. Thread: any. */
#ifndef CALLBOARD_GATEWAY_ORIGIN_H
#define CALLBOARD_GATEWAY_ORIGIN_H

#include "base/bytes.h"
#include "base/config_reader.h"

#include <stdbool.h>

/* `origin`: the header's value, scheme://host[:port]. `allowed`: entries of the same form; a host that starts with "*."
 * stands for exactly one more label; the entry null allows the opaque origin. An empty list allows the page's own host:
 * host and port of `host` (the Host header), whatever the scheme (TLS may end before us). A malformed origin never
 * passes. */
bool origin_is_allowed(struct span origin, const struct config_text_list *allowed, struct span host);

#endif
