/* How many connections each user has in the whole cluster, for client.connections_per_user: the sum of what every
 * gateway worker told of its own. Whose shard the user's is (user_count_key) is asked by all of them, so two that
 * connect at the same moment are judged one after the other.
 *
 *   worker A: {ann: 2, bob: 1}  ──┐
 *   worker B: {ann: 1}          ──┴▶  ann 3, bob 1
 *
 * Nothing is stored: a worker whose link ends is forgotten, and tells all of it anew over the next one. A user costs 32
 * bytes for the sum and 32 for each worker that has him, at most. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_USER_REGISTRY_H
#define CALLBOARD_BROKER_USER_REGISTRY_H

#include "base/user_count.h"

typedef struct user_registry user_registry_t;

enum { USER_REGISTRY_USERS_MAX = 1 << 20 /* of one worker; more are not counted */ };

user_registry_t *user_registry_new(void);
void user_registry_destroy(user_registry_t **self_p);

/* `worker_p`: what this worker told; NULL before the first. False: it has too many users, this one is not counted. */
bool user_registry_set(user_registry_t *self, user_count_t **worker_p, uint64_t user, uint32_t connections);
/* It would have `mine` then. Granted, or one less: it is counted so. *ret_others: what other workers have. */
bool user_registry_take(user_registry_t *self, user_count_t **worker_p, uint64_t user, uint32_t mine, uint32_t most,
                        uint32_t *ret_others);
void user_registry_forget(user_registry_t *self, user_count_t **worker_p);

uint32_t user_registry_users(const user_registry_t *self);
uint64_t user_registry_all_connections(const user_registry_t *self); /* of all users */
uint32_t user_registry_connections(const user_registry_t *self, uint64_t user);

#endif
