/* A command line into a call. Options may stand before and behind the command and its arguments; "--" ends them.
 * Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_CLI_OPTIONS_H
#define CALLBOARD_OPERATOR_CLI_OPTIONS_H

#include "operator/cli/command.h"

struct options {
    const struct command *command; /* NULL: none was named */
    bool wants_help;
    bool wants_version;
};

/* False: wrong usage, and `call->messages` says what. The texts of the call are borrowed from the arguments. */
bool options_parse(int n_arguments, char **arguments, struct command_call *call, struct options *ret_options);
/* The options that all commands have, for the help. */
const struct command_option *options_of_all(void);

#endif
