/* /livez, /readyz, /startupz of this pod's own server, each asked of it anew. Thread: its own (agent_run.c). */
#ifndef CALLBOARD_OPERATOR_AGENT_PROBE_H
#define CALLBOARD_OPERATOR_AGENT_PROBE_H

#include "operator/agent/agent_config.h"

typedef struct agent_probe agent_probe_t;

/* Listens. NULL: ret_error says why not. */
agent_probe_t *agent_probe_new(const struct agent_config *config, char ret_error[AGENT_ERROR_MAX]);
void agent_probe_destroy(agent_probe_t **self_p); /* accepts NULL */
void agent_probe_turn(agent_probe_t *self, unsigned wait_ms);
uint16_t agent_probe_port(const agent_probe_t *self);

#endif
