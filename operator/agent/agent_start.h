/* What the server of a pod under Sentinel is started as, asked of all the Sentinels until a majority answers. Thread:
 * main. */
#ifndef CALLBOARD_OPERATOR_AGENT_START_H
#define CALLBOARD_OPERATOR_AGENT_START_H

#include "operator/agent/agent_config.h"

/* ret_primary: whom to follow; port 0: it is the primary itself. Not AGENT_DONE: ret_error says why. */
enum agent_exit agent_start_as(const struct agent_config *config, struct redis_pod *ret_primary,
                               char ret_error[AGENT_ERROR_MAX]);

#endif
