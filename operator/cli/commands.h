/* The commands that there are; each is a file command_<name>.c. Thread: any (constants). */
#ifndef CALLBOARD_OPERATOR_CLI_COMMANDS_H
#define CALLBOARD_OPERATOR_CLI_COMMANDS_H

#include "operator/cli/command.h"

extern const struct command command_init;
extern const struct command command_check;
extern const struct command command_plan;
extern const struct command command_notes;
extern const struct command command_render;
extern const struct command command_diff;
extern const struct command command_status;
extern const struct command command_explain;
extern const struct command command_schema;
extern const struct command command_values;
extern const struct command command_secret;
extern const struct command command_redis;
extern const struct command command_apply;
extern const struct command command_rehearse;

#endif
