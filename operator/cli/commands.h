/* The commands that there are; each is a file command_<name>.c. Thread: any (constants). */
#ifndef CALLBOARD_OPERATOR_CLI_COMMANDS_H
#define CALLBOARD_OPERATOR_CLI_COMMANDS_H

#include "operator/cli/command.h"

extern const struct command command_check;

#endif
