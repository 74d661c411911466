/* The list of the commands, in the order of the help. */
#include "operator/cli/commands.h"

static const struct command *const commands[] = {
    &command_init,   &command_check,  &command_plan,   &command_notes,    &command_render,
    &command_diff,   &command_apply,  &command_status, &command_explain,  &command_schema,
    &command_values, &command_secret, &command_redis,  &command_rehearse,
};

const struct command *const *command_list(size_t *ret_n) {
    *ret_n = sizeof commands / sizeof commands[0];
    return commands;
}
