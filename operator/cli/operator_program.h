/* The program: subcommands as a table (commands.c), options that all of them share, exit codes. main.c calls it; tests
 * do too. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_CLI_OPERATOR_PROGRAM_H
#define CALLBOARD_OPERATOR_CLI_OPERATOR_PROGRAM_H

enum operator_exit {
    OPERATOR_DONE = 0,
    OPERATOR_DIFFERS = 1, /* a difference was found */
    OPERATOR_USAGE = 2,   /* wrong usage */
    OPERATOR_INVALID = 3, /* the spec is */
    OPERATOR_UNSAFE = 4,  /* refused; the message says which --accept would allow it */
    OPERATOR_OUTSIDE = 5, /* something outside did not answer, or denied */
    OPERATOR_TIMEOUT = 6,
    OPERATOR_BUG = 70,
};

struct buffer;

/* The whole program but for its streams: what goes to standard output and standard error is appended. */
int operator_program_call(int n_arguments, char **arguments, struct buffer *out, struct buffer *messages);
/* Also when it is called kubectl-callboard. */
int operator_program_run(int n_arguments, char **arguments);

#endif
