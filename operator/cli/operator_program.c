/* Arguments ─▶ options_parse() ─▶ the command ─▶ its output to stdout, its messages to stderr, its exit code.
 *
 * Failure modes: wrong usage is 2; an output that cannot be written whole is 5, so that a full disk is no success. */
#include "operator/cli/operator_program.h"

#include "operator/cli/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *name_of_program(const char *argument) {
    const char *slash = strrchr(argument, '/');
    const char *name = slash == NULL ? argument : slash + 1;
    return strcmp(name, "kubectl-callboard") == 0 ? "kubectl callboard" : "callboard-operator";
}

/* ---- help ---- */

static void append_option(const struct command_option *option, struct buffer *out) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", option->name, option->value == NULL ? "" : " ",
             option->value == NULL ? "" : option->value);
    buffer_append_format(out, "  %-28s %s\n", left, option->help);
}

static void append_options(const struct command_option *options, struct buffer *out) {
    for (size_t i = 0; options != NULL && options[i].name != NULL; i++) {
        append_option(&options[i], out);
    }
}

static void append_commands(struct buffer *out) {
    size_t n;
    const struct command *const *commands = command_list(&n);
    for (size_t i = 0; i < n; i++) {
        buffer_append_format(out, "  %-10s %-18s %s\n", commands[i]->name, commands[i]->arguments, commands[i]->help);
    }
}

static void print_help(const char *program, const struct command *command, struct buffer *out) {
    if (command == NULL) {
        buffer_append_format(out, "Usage: %s COMMAND [options] SPEC…\n\nCommands:\n", program);
        append_commands(out);
    } else {
        buffer_append_format(out, "Usage: %s %s [options] %s\n\n%s\n", program, command->name, command->arguments,
                             command->help);
        if (command->outputs != NULL) {
            buffer_append_format(out, "-o: %s\n", command->outputs);
        }
        if (command->options != NULL) {
            buffer_append_text(out, "\nOptions of it:\n");
            append_options(command->options, out);
        }
    }
    buffer_append_text(out, "\nOptions:\n");
    append_options(options_of_all(), out);
    buffer_append_text(out,
                       "\nExit codes: 0 done, 1 a difference was found, 2 wrong usage, 3 the spec is invalid,\n"
                       "4 refused as unsafe, 5 something outside did not answer or denied, 6 timed out, 70 a bug\n");
}

/* ---- what commands use ---- */

const char *command_option(const struct command_call *call, const char *name) {
    const char *found = NULL;
    for (size_t i = 0; i < call->n_options; i++) {
        if (strcmp(call->options[i].name, name) == 0) {
            found = call->options[i].value;
        }
    }
    return found;
}

int command_usage_error(struct command_call *call, const char *command, const char *format, ...) {
    char text[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    const char *space = command[0] == '\0' ? "" : " ";
    buffer_append_format(call->messages, "%s%s%s: %s\nUsage: %s%s%s --help\n", call->program, space, command, text,
                         call->program, space, command);
    return OPERATOR_USAGE;
}

/* ---- the run ---- */

static int run(int n_arguments, char **arguments, struct command_call *call) {
    struct options options;
    call->program = name_of_program(n_arguments > 0 ? arguments[0] : "");
    if (!options_parse(n_arguments, arguments, call, &options)) {
        return OPERATOR_USAGE;
    }
    if (options.wants_version) {
        buffer_append_text(call->out, "callboard-operator " CALLBOARD_VERSION "\n");
        return OPERATOR_DONE;
    }
    if (options.wants_help) {
        print_help(call->program, options.command, call->out);
        return OPERATOR_DONE;
    }
    if (options.command == NULL) {
        print_help(call->program, NULL, call->messages);
        return OPERATOR_USAGE;
    }
    return options.command->run(call);
}

static bool write_all(FILE *stream, const struct buffer *text) {
    return (text->size == 0 || fwrite(text->data, 1, text->size, stream) == text->size) && fflush(stream) == 0;
}

static void flush(struct command_call *call) {
    if (write_all(stderr, call->messages) &&
        write_all(stdout, call->out)) { /* else it is tried, and told, at the end */
        buffer_clear(call->messages);
        buffer_clear(call->out);
    }
}

void command_flush(struct command_call *call) {
    if (call->flush != NULL) {
        call->flush(call);
    }
}

static int call_program(int n_arguments, char **arguments, struct command_call *call) {
    call->arena = arena_new();
    int exit_code = run(n_arguments, arguments, call);
    arena_destroy(&call->arena);
    return exit_code;
}

int operator_program_call(int n_arguments, char **arguments, struct buffer *out, struct buffer *messages) {
    struct command_call call = {.out = out, .messages = messages};
    return call_program(n_arguments, arguments, &call);
}

int operator_program_run(int n_arguments, char **arguments) {
    struct buffer out = BUFFER_EMPTY;
    struct buffer messages = BUFFER_EMPTY;
    struct command_call call = {.out = &out, .messages = &messages, .flush = flush};
    int exit_code = call_program(n_arguments, arguments, &call);
    write_all(stderr, &messages);
    if (!write_all(stdout, &out)) {
        fprintf(stderr, "callboard-operator: the output could not be written: %s\n", strerror(errno));
        exit_code = OPERATOR_OUTSIDE;
    }
    buffer_finish(&out);
    buffer_finish(&messages);
    return exit_code;
}
