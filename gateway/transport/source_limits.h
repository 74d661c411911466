/* How many connections one source may open a second (security.md S20): a token bucket for each IPv4 address and each
 * IPv6 /64, in a table that forgets the source seen longest ago when it is full. Pure but for memory.
 * Thread: the owner's. */
#ifndef CALLBOARD_GATEWAY_SOURCE_LIMITS_H
#define CALLBOARD_GATEWAY_SOURCE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct source_limits source_limits_t;

enum { SOURCE_LIMITS_BURST_SECONDS = 5 };

/* `entries_max`: sources remembered at once. */
source_limits_t *source_limits_new(size_t entries_max);
void source_limits_destroy(source_limits_t **self_p);

/* Takes one from the source's bucket: `per_second` a second, SOURCE_LIMITS_BURST_SECONDS times that at once. False: it
 * is empty. per_second 0: no limit, nothing is remembered. */
bool source_limits_take(source_limits_t *self, const struct sockaddr_storage *peer, uint32_t per_second,
                        uint64_t now_us);
size_t source_limits_count(const source_limits_t *self);

#endif
