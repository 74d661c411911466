/* How many commands a Redis has executed so far, from its INFO. Blocking, with a deadline. Thread: any. */
#ifndef CALLBOARD_TOOLS_REDIS_RATE_H
#define CALLBOARD_TOOLS_REDIS_RATE_H

#include "broker/redis/link/redis_url.h"

/* False: ret_error says why. One server without TLS (redis:// or unix://). */
bool redis_rate_commands(const struct redis_url *url, uint64_t *ret_commands, char *ret_error, size_t error_size);

#endif
