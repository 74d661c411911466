/* Writes the server's configuration: fills each file of --templates and puts it into --output. Thread: main. */
#ifndef CALLBOARD_OPERATOR_AGENT_PREPARE_H
#define CALLBOARD_OPERATOR_AGENT_PREPARE_H

#include "operator/agent/agent_config.h"

/* Not AGENT_DONE: ret_error says what and how to mend it; files written before that stay. */
enum agent_exit agent_prepare(const struct agent_config *config, char ret_error[AGENT_ERROR_MAX]);

#endif
