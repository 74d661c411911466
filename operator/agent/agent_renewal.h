/* Renewed certificates of the pod's own server: Redis is told of them without a restart, Sentinel, which cannot be
 * told, is restarted at its own turn. Which files these are is what the server's configuration in --output says.
 * Thread: the tick's (agent_run.c). */
#ifndef CALLBOARD_OPERATOR_AGENT_RENEWAL_H
#define CALLBOARD_OPERATOR_AGENT_RENEWAL_H

#include "operator/agent/agent_config.h"

/* The user that the agent logs in as for this, where users.acl has it: `user renewal on ${own-acl} …`. Its password is
 * made by `prepare` and lies in --output, for this pod only. Else the agent's own user needs +config|set. */
#define AGENT_RENEWAL_USER          "renewal"
#define AGENT_RENEWAL_PASSWORD_FILE "own-password"

typedef struct agent_renewal agent_renewal_t;

/* restart: stops the server and starts it again; NULL where it is another container's. NULL: ret_error says what is
 * wrong with the options. */
agent_renewal_t *agent_renewal_new(const struct agent_config *config, void (*restart)(void *context), void *context,
                                   char ret_error[AGENT_ERROR_MAX]);
void agent_renewal_destroy(agent_renewal_t **self_p); /* accepts NULL */
/* Once an interval. A server without TLS costs nothing. */
void agent_renewal_look(agent_renewal_t *self);

/* Pure: the value of a directive in redis.conf, its last line; "": it has none. */
void agent_renewal_find(struct span conf, const char *directive, char *ret_value, size_t size);
/* Pure: is it the turn of pod `ordinal` of n? Each has a slot of slot_ms in turn, and begins in its first half, so that
 * clocks a little apart do not restart two at a time. */
bool agent_renewal_is_turn(int64_t wall_ms, uint64_t slot_ms, unsigned ordinal, size_t n);

#endif
