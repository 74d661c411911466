/* A multiset of user ids: how many different ones there are, and how often each. Kept as 64-bit hashes, so that a user
 * costs 16 bytes however long the id is. Two ids with one hash count as one user: that is as good as never.
 *
 * Gateways and brokers tell each other these hashes (USER_TAKE, USER_COUNTS), so both make them here. Thread: the
 * owner's. */
#ifndef CALLBOARD_BASE_USER_COUNT_H
#define CALLBOARD_BASE_USER_COUNT_H

#include "base/bytes.h"

typedef struct user_count user_count_t;

user_count_t *user_count_new(void);
void user_count_destroy(user_count_t **self_p);
void user_count_add(user_count_t *self, struct span user);
void user_count_remove(user_count_t *self, struct span user);       /* was added before */
uint32_t user_count_of(const user_count_t *self, struct span user); /* how often this one was added */
uint32_t user_count_different(const user_count_t *self);

/* The same by the hash. */
uint64_t user_count_key(struct span user);
uint32_t user_count_at(const user_count_t *self, uint64_t key);
/* It counts so often from now on; 0: not at all. Returns how often before. */
uint32_t user_count_set(user_count_t *self, uint64_t key, uint32_t count);
/* Walks all of them: *at begins with 0. False: there are no more. Nothing may change meanwhile. */
bool user_count_next(const user_count_t *self, uint32_t *at, uint64_t *ret_key, uint32_t *ret_count);

#endif
