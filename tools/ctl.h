/* What callboardctl's subcommands share: the options before the command, the request with its error printed, the table.
 * Thread: main. Exit codes: 0 done, 1 the broker said no, 2 wrong usage, 3 no answer. */
#ifndef CALLBOARD_TOOLS_CTL_H
#define CALLBOARD_TOOLS_CTL_H

#include "tools/backend_client.h"

enum ctl_exit { CTL_DONE = 0, CTL_REFUSED = 1, CTL_USAGE = 2, CTL_NO_ANSWER = 3 };

struct ctl_options {
    struct backend_client_options client;
    bool json;      /* -o json: results as they came, a line each */
    int timeout_ms; /* --timeout */
};

struct ctl_command {
    const char *name;
    const char *arguments; /* for the usage line */
    const char *help;
    /* argv[0] is the command's name. */
    int (*run)(const struct ctl_options *options, int argc, char **argv);
};

/* All commands, in the order of the help; and the options before them, blanks between. */
const struct ctl_command *ctl_commands(size_t *ret_n);
extern const char ctl_global_options[];

int ctl_publish(const struct ctl_options *options, int argc, char **argv);
int ctl_subscribe(const struct ctl_options *options, int argc, char **argv);
int ctl_history(const struct ctl_options *options, int argc, char **argv);
int ctl_history_remove(const struct ctl_options *options, int argc, char **argv);
int ctl_presence(const struct ctl_options *options, int argc, char **argv);
int ctl_channels(const struct ctl_options *options, int argc, char **argv);
int ctl_connections(const struct ctl_options *options, int argc, char **argv);
int ctl_disconnect(const struct ctl_options *options, int argc, char **argv);
int ctl_info(const struct ctl_options *options, int argc, char **argv);
int ctl_token(const struct ctl_options *options, int argc, char **argv);
int ctl_keygen(const struct ctl_options *options, int argc, char **argv);
int ctl_bench(const struct ctl_options *options, int argc, char **argv);
int ctl_completion(const struct ctl_options *options, int argc, char **argv);
int ctl_doctor(const struct ctl_options *options, int argc, char **argv);

/* "callboardctl COMMAND: message", then how to see the usage; returns CTL_USAGE. */
int ctl_usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Connects; NULL after printing why. */
backend_client_t *ctl_connect(const struct ctl_options *options);
/* A request whose failure is printed to stderr: what, where, how to mend. CTL_DONE: the reply is there. */
int ctl_request(backend_client_t *client, const struct ctl_options *options, const char *method,
                const struct buffer *params, const struct span *payload, struct backend_reply *ret_reply);
/* Appends ,"since":{"offset":n,"epoch":"e"} from "epoch:offset". False: it is not one. */
bool ctl_append_since(struct buffer *params, const char *text);
/* A whole decimal number in [minimum, maximum]; false otherwise. */
bool ctl_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value);
/* Everything on standard input up to `limit` bytes; false: longer, or it cannot be read. */
bool ctl_read_stdin(struct buffer *out);
/* Each element of the body's array or object of this name, a line each. */
void ctl_print_elements(struct span body, const char *member);
/* Prints the span and a line feed. */
void ctl_print_line(struct span text);

#endif
