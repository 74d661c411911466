/* callboardctl history, history-remove, info: one request, its result printed. */
#include "tools/ctl.h"

enum { LIMIT, SINCE, REVERSE };

static const struct ctl_option known[] = {
    [LIMIT] = {.name = "limit",
               .kind = CTL_NUMBER,
               .value = "N",
               .maximum = 100000,
               .initial = "100",
               .help = "at most so many; 0: only the position, with -o json"},
    [SINCE] = {.name = "since",
               .kind = CTL_TEXT,
               .value = "EPOCH:OFFSET",
               .help = "from behind this position; with --reverse from before it"},
    [REVERSE] = {.name = "reverse", .kind = CTL_FLAG, .help = "from the newest backward"},
    {.name = NULL},
};

static const struct ctl_operand channel[] = {{.name = "CHANNEL", .help = "the channel"}, {.name = NULL}};

static int print_history(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct buffer params = BUFFER_EMPTY;
    const char *since = ctl_text(arguments, SINCE);
    int result = CTL_DONE;
    buffer_append_char(&params, '{');
    ctl_append_member(&params, "channel", ctl_operand(arguments, 0));
    if (since != NULL && !ctl_append_since(&params, since)) {
        result = ctl_usage_error("history", "--since takes EPOCH:OFFSET, not '%s'", since);
    }
    buffer_append_text(&params, ctl_has(arguments, REVERSE) ? ",\"reverse\":true" : "");
    buffer_append_format(&params, ",\"limit\":%llu}", (unsigned long long) ctl_number(arguments, LIMIT, 100));
    if (result == CTL_DONE) {
        result = ctl_request_and_print(options, "history", &params, "publications");
    }
    buffer_finish(&params);
    return result;
}

static int remove_history(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct buffer params = BUFFER_EMPTY;
    buffer_append_char(&params, '{');
    ctl_append_member(&params, "channel", ctl_operand(arguments, 0));
    buffer_append_char(&params, '}');
    int result = ctl_request_and_print(options, "history_remove", &params, NULL);
    buffer_finish(&params);
    return result;
}

static int print_info(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct buffer params = BUFFER_EMPTY;
    (void) arguments;
    buffer_append_text(&params, "{}");
    int result = ctl_request_and_print(options, "info", &params, NULL);
    buffer_finish(&params);
    return result;
}

const struct ctl_command ctl_history_command = {
    .name = "history",
    .summary = "print what the history of a channel holds",
    .description =
        "Prints the publications that the channel's history holds, the oldest first, a line of JSON each. With "
        "-o json it is the broker's whole answer, which has the channel's position too.\n\n"
        "To read on, give the position of the last publication as --since.",
    .operands = channel,
    .options = known,
    .examples = "callboardctl history demo:hello\n"
                "callboardctl history demo:hello --reverse --limit 1\n",
    .run = print_history,
};

const struct ctl_command ctl_history_remove_command = {
    .name = "history-remove",
    .summary = "forget the history of a channel",
    .description = "The publications go; position and epoch stay, so the next publication has the next offset.",
    .operands = channel,
    .examples = "callboardctl history-remove demo:hello\n",
    .run = remove_history,
};

const struct ctl_command ctl_info_command = {
    .name = "info",
    .summary = "print what runs: broker, engine, gateways, connections, rates",
    .description = "Prints one JSON object: of the broker that answers its name, version, engine and whether that is "
                   "connected, channels, uptime in seconds, publications, subscriptions, and rates a second; of the "
                   "whole cluster the brokers, gateways, connections and users.",
    .examples = "callboardctl info\n",
    .run = print_info,
};
