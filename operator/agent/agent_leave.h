/* Before this pod's server is stopped: where it is a primary, a replica takes over first (a preStop hook, or run's own
 * SIGTERM). Thread: main. */
#ifndef CALLBOARD_OPERATOR_AGENT_LEAVE_H
#define CALLBOARD_OPERATOR_AGENT_LEAVE_H

#include "operator/agent/agent_config.h"

/* At most --timeout. AGENT_DONE: the server may be stopped; else it is still primary and ret_error says why. */
enum agent_exit agent_leave(const struct agent_config *config, char ret_error[AGENT_ERROR_MAX]);

#endif
