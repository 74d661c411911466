/* How many connections each user has at this gateway, for client.connections_per_user. One table a process, as with
 * sources: the bound is the gateway's, not that of the worker where the kernel puts a connection; locked for a lookup
 * when a client connects and when it goes. Thread: any. */
#ifndef CALLBOARD_GATEWAY_USER_LIMITS_H
#define CALLBOARD_GATEWAY_USER_LIMITS_H

#include "base/bytes.h"

typedef struct user_limits user_limits_t;

user_limits_t *user_limits_new(void);
void user_limits_destroy(user_limits_t **self_p);
/* One more connection of this user; false: he has `most` already, nothing was counted. most 0: no bound. */
bool user_limits_take(user_limits_t *self, struct span user, uint32_t most);
void user_limits_release(user_limits_t *self, struct span user); /* was taken */

#endif
