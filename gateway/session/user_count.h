/* How many different users are connected: a multiset of their ids, kept as 64-bit hashes, so that a user costs 16 bytes
 * however long the id is. Two ids with one hash count as one user: that is as good as never, and it is a figure for
 * people. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_USER_COUNT_H
#define CALLBOARD_GATEWAY_USER_COUNT_H

#include "base/bytes.h"

typedef struct user_count user_count_t;

user_count_t *user_count_new(void);
void user_count_destroy(user_count_t **self_p);
void user_count_add(user_count_t *self, struct span user);
void user_count_remove(user_count_t *self, struct span user);       /* was added before */
uint32_t user_count_of(const user_count_t *self, struct span user); /* how often this one was added */
uint32_t user_count_different(const user_count_t *self);

#endif
