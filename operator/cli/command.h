/* What a subcommand is, and what it gets: command_<name>.c defines one `const struct command`, commands.c lists it.
 *
 * Output goes to `out` and is written by the program at the end; messages for a person go to `messages` (stderr). So a
 * command is a function of its input, and tests call it without a process. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_CLI_COMMAND_H
#define CALLBOARD_OPERATOR_CLI_COMMAND_H

#include "base/bytes.h"
#include "operator/arena.h"
#include "operator/cli/operator_program.h"
#include "operator/spec/spec_document.h"

/* One option of a command beside those of all: --name, with a value unless `value` is NULL. */
struct command_option {
    const char *name;  /* without dashes */
    const char *value; /* what stands for it in the help: PROFILE */
    const char *help;
};

struct option_value {
    const char *name;
    const char *value; /* "" for one without a value */
};

/* What was given, parsed. */
struct command_call {
    const char *program;          /* as a person calls it: callboard-operator, or kubectl callboard */
    const char *const *arguments; /* behind the command, without options: files, or what the command says */
    size_t n_arguments;
    const char *const *files; /* of -f */
    size_t n_files;
    struct spec_settings settings; /* --set, --namespace */
    const char *output;            /* -o; "" is the command's default */
    bool has_color;                /* --color, or a terminal */
    bool is_quiet;
    bool is_verbose;
    bool are_warnings_errors;
    int64_t timeout_ms;
    bool has_timeout;                   /* it was given */
    const struct option_value *options; /* the command's own */
    size_t n_options;
    arena_t *arena; /* for the run */
    struct buffer *out;
    struct buffer *messages;
    void (*flush)(struct command_call *call); /* NULL: not wanted */
};

struct command {
    const char *name;
    const char *arguments;                 /* for the help: [SPEC…] */
    const char *help;                      /* a sentence */
    const char *outputs;                   /* of -o, separated by spaces; NULL: it has none. The first is the default */
    const struct command_option *options;  /* ended by one without a name; NULL: none */
    int (*run)(struct command_call *call); /* enum operator_exit */
};

/* The value of an own option; NULL: not given. The last one counts. */
const char *command_option(const struct command_call *call, const char *name);
/* What `out` and `messages` have so far is written now and no longer theirs: for what takes long from here on. Only for
 * a process of its own. */
void command_flush(struct command_call *call);
/* "callboard-operator check: …" and how to see the usage; returns OPERATOR_USAGE. */
int command_usage_error(struct command_call *call, const char *command, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const struct command *const *command_list(size_t *ret_n);

#endif
