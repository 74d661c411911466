/* Specs of a command: reading the files that were given, checking them, telling what is wrong. Thread: main. */
#ifndef CALLBOARD_OPERATOR_CLI_COMMAND_SPECS_H
#define CALLBOARD_OPERATOR_CLI_COMMAND_SPECS_H

#include "operator/cli/command.h"
#include "operator/render/render.h"

/* All specs of a call. Lives in the call's arena, but for what command_specs_finish frees. */
struct command_specs {
    struct spec_documents documents;
    struct diagnostics diagnostics;
    struct buffer *texts; /* of the files */
    size_t n_texts;
};

/* An option of a command that is a setting of a field: so it is read, bounded and told like --set. */
struct command_flag {
    const char *option;
    const char *path;
};
/* Before reading. */
void command_specs_take_flags(struct command_call *call, const struct command_flag *flags, size_t n);

/* Reads -f FILE… and SPEC… (files, folders with *.yaml, *.yml and *.json, - for the standard input), checks them, and
 * sorts what is wrong. OPERATOR_DONE, OPERATOR_INVALID (also for a warning with --warnings error), or OPERATOR_USAGE
 * when none was given. */
int command_specs_read(struct command_call *call, const char *command, struct command_specs *ret_specs);
/* The objects of all of them, in the order of installation, overrides applied: added to `out`. OPERATOR_INVALID: an
 * override does not apply, which is told among the diagnostics. Only after command_specs_read was done. */
int command_specs_render(struct command_specs *self, const struct command_call *call,
                         const struct render_options *options, manifests_t *out);
/* The same of a text of the program's own, where none need be given. */
int command_specs_read_text(struct command_call *call, const char *name, const char *text,
                            struct command_specs *ret_specs);
void command_specs_finish(struct command_specs *self);
/* Of a command that only prints specs: tells what is wrong (exit_code is what reading gave), prints where nothing is,
 * and finishes. Returns the exit code. */
int command_specs_conclude(struct command_specs *self, struct command_call *call, int exit_code,
                           int (*print)(const struct command_specs *specs, struct command_call *call));
/* A file, or "-", the standard input; what is behind the buffer's limit is left out. False, with errno. */
bool command_read_file(const char *name, struct buffer *text);
/* What is wrong as text, with -v also why it is wrong. */
void command_specs_append_text(const struct command_specs *self, const struct command_call *call, struct buffer *out);
/* What is wrong, into call->messages, unless the command shows it otherwise. */
void command_specs_tell(const struct command_specs *self, struct command_call *call);

#endif
