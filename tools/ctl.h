/* What callboardctl's commands share: the options that all of them take, the request with its error printed, the list.
 * Thread: main. Exit codes: 0 done, 1 the broker said no, 2 wrong usage, 3 no answer. */
#ifndef CALLBOARD_TOOLS_CTL_H
#define CALLBOARD_TOOLS_CTL_H

#include "client/backend_client.h"
#include "tools/ctl_command.h"

enum ctl_exit { CTL_DONE = 0, CTL_REFUSED = 1, CTL_USAGE = 2, CTL_NO_ANSWER = 3 };

struct ctl_options {
    struct backend_client_options client;
    bool json;      /* -o json: results as they came, a line each */
    int timeout_ms; /* --timeout */
};

/* All commands, in the order of the help; and the options that all of them take. */
const struct ctl_command *const *ctl_commands(size_t *ret_n);
extern const struct ctl_option ctl_global_options[];

extern const struct ctl_command ctl_publish_command;
extern const struct ctl_command ctl_subscribe_command;
extern const struct ctl_command ctl_history_command;
extern const struct ctl_command ctl_history_remove_command;
extern const struct ctl_command ctl_presence_command;
extern const struct ctl_command ctl_channels_command;
extern const struct ctl_command ctl_connections_command;
extern const struct ctl_command ctl_disconnect_command;
extern const struct ctl_command ctl_lease_command;
extern const struct ctl_command ctl_kv_command;
extern const struct ctl_command ctl_info_command;
extern const struct ctl_command ctl_rpc_command;
extern const struct ctl_command ctl_top_command;
extern const struct ctl_command ctl_token_command;
extern const struct ctl_command ctl_keygen_command;
extern const struct ctl_command ctl_bench_command;
extern const struct ctl_command ctl_doctor_command;
extern const struct ctl_command ctl_selftest_command;
extern const struct ctl_command ctl_completion_command;
extern const struct ctl_command ctl_manual_command;

/* "callboardctl COMMAND: message", then how to see the usage; returns CTL_USAGE. */
int ctl_usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Connects; NULL after printing why. */
backend_client_t *ctl_connect(const struct ctl_options *options);
/* A request whose failure is printed to stderr: what, where, how to mend; with -o json as the broker's error, a line.
 * CTL_DONE: the reply is there. */
int ctl_request(backend_client_t *client, const struct ctl_options *options, const char *method,
                const struct buffer *params, const struct span *payload, struct backend_reply *ret_reply);
/* Connects, asks, and prints the result, or with `member` each element of it unless it is to be JSON. */
int ctl_request_and_print(const struct ctl_options *options, const char *method, const struct buffer *params,
                          const char *member);
/* Appends "name":"value", with a comma before it where it is not the first; nothing where value is NULL. */
void ctl_append_member(struct buffer *params, const char *name, const char *value);
/* Appends "since":{"offset":n,"epoch":"e"} from "epoch:offset", in the same way. False: it is not one. */
bool ctl_append_since(struct buffer *params, const char *text);
/* A whole decimal number in [minimum, maximum]; false otherwise. */
bool ctl_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value);
/* Everything on standard input up to `limit` bytes; false: longer, or it cannot be read. */
bool ctl_read_stdin(struct buffer *out);
/* Each element of the body's array or object of this name, a line each; how many they were. */
size_t ctl_print_elements(struct span body, const char *member);
/* The reply's body as a line, with its payload in it: "data" where that is JSON, else "b64data". */
void ctl_print_with_data(const struct backend_reply *reply);
/* Prints the span and a line feed. */
void ctl_print_line(struct span text);

#endif
