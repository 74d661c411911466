/* The agent as it stays beside its server: probes, ticks, and where it was given a command, the server itself as its
 * child. Thread: main. */
#ifndef CALLBOARD_OPERATOR_AGENT_RUN_H
#define CALLBOARD_OPERATOR_AGENT_RUN_H

#include "operator/agent/agent_config.h"

/* command: NULL-terminated words of the server (its first is its path), or NULL: it runs in another container. Returns
 * on SIGTERM or SIGINT or when the child ended: the exit code of the process. */
int agent_run(const struct agent_config *config, char *const *command);

#endif
