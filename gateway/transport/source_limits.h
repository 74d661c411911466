/* Where connections come from, and how many may (security.md S20): for each IPv4 address and each IPv6 /64 a bucket of
 * handshakes and the number of those open. One table a process, for a bound is meant for the gateway and not for the
 * one of its workers where the kernel happens to put a connection; it is locked for a lookup when a connection comes
 * and when it goes, never for a message. Sources without a connection are forgotten, the one seen longest ago first,
 * when too many are remembered; those with one are as many as the sockets at most. Thread: any. */
#ifndef CALLBOARD_GATEWAY_SOURCE_LIMITS_H
#define CALLBOARD_GATEWAY_SOURCE_LIMITS_H

#include "base/ip_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct source_limits source_limits_t;
struct source;

enum { SOURCE_LIMITS_BURST_SECONDS = 5, SOURCE_TEXT = IP_ADDRESS_TEXT + 4 };

struct source_bounds {
    uint32_t handshakes_per_second; /* SOURCE_LIMITS_BURST_SECONDS times that at once; 0: none */
    uint32_t connections;           /* open at once; 0: none */
};

enum source_verdict { SOURCE_ADMITTED, SOURCE_TOO_FAST, SOURCE_TOO_MANY };

/* `idle_max`: sources without a connection that are remembered. */
source_limits_t *source_limits_new(size_t idle_max);
void source_limits_destroy(source_limits_t **self_p); /* every connection was released */

/* One more connection. ADMITTED: it counts until source_limits_release. */
enum source_verdict source_limits_take(source_limits_t *self, const struct ip_address *from,
                                       const struct source_bounds *bounds, uint64_t now_us, struct source **ret_source);
/* Nulls the caller's pointer, accepts NULL. */
void source_limits_release(source_limits_t *self, struct source **source_p);
/* For logs: 192.0.2.1, 2001:db8::/64. */
void source_print(const struct source *source, char ret_text[SOURCE_TEXT]);
size_t source_limits_count(source_limits_t *self); /* all that are remembered */

#endif
