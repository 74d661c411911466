/* What the agent does again and again beside its server: in a cluster it forms and heals, under Sentinel it mends a
 * role that does not fit. It commands its own server only (but for SENTINEL FAILOVER). Thread: its own (agent_run.c).
 */
#ifndef CALLBOARD_OPERATOR_AGENT_TICK_H
#define CALLBOARD_OPERATOR_AGENT_TICK_H

#include "operator/agent/agent_config.h"

#include <stdatomic.h>

typedef struct agent_tick agent_tick_t;

/* is_stopped ends a tick under way early. NULL: ret_error says what is wrong with the options. */
agent_tick_t *agent_tick_new(const struct agent_config *config, const atomic_bool *is_stopped,
                             char ret_error[AGENT_ERROR_MAX]);
void agent_tick_destroy(agent_tick_t **self_p); /* accepts NULL */
void agent_tick(agent_tick_t *self);

#endif
