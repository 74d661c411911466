/* callboardctl channels, connections, disconnect: who is connected, to which channels, and whom to send away. Each asks
 * every worker of every gateway; ok means that all have answered. */
#include "tools/ctl_pages.h"

/* ---- channels ---- */

enum { LIMIT, CURSOR, ALL };

static const struct ctl_option channels_options[] = {
    [LIMIT] = CTL_PAGES_LIMIT, [CURSOR] = CTL_PAGES_CURSOR, [ALL] = CTL_PAGES_ALL, {.name = NULL}};

static int print_channels(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct ctl_pages pages = {.method = "channels",
                              .member = "channels",
                              .counts = "num_clients",
                              .param = "pattern",
                              .value = ctl_operand(arguments, 0),
                              .limit = ctl_number(arguments, LIMIT, 0),
                              .cursor = ctl_text(arguments, CURSOR),
                              .all = ctl_has(arguments, ALL)};
    return ctl_pages_print(&pages, options);
}

const struct ctl_command ctl_channels_command = {
    .name = "channels",
    .summary = "print which channels have subscribers, and how many",
    .description =
        "Prints a line for each channel that somebody is subscribed to, in the order of their names: the name, "
        "a tab, how many clients. Where there are more than one answer holds, standard error says how to go "
        "on; --all does so by itself.\n\n"
        "It walks through all channels of all gateways: it is for people and scripts, not for a rate.",
    .operands =
        (const struct ctl_operand[]){
            {.name = "PATTERN", .optional = true, .help = "which channels; * stands for anything: 'news:*'"},
            {.name = NULL}},
    .options = channels_options,
    .examples = "callboardctl channels\n"
                "callboardctl channels 'demo:*' --all\n",
    .run = print_channels,
};

/* ---- connections ---- */

static int print_connections(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct ctl_pages pages = {
        .method = "connections", .member = "connections", .param = "user", .value = ctl_operand(arguments, 0)};
    return ctl_pages_print(&pages, options);
}

const struct ctl_command ctl_connections_command = {
    .name = "connections",
    .summary = "print a user's connections, wherever they are",
    .description =
        "Prints a line of JSON for each connection of the user, through whichever gateway. Somebody who is not "
        "connected has none, which is no error.",
    .operands =
        (const struct ctl_operand[]){{.name = "USER", .help = "one user, as in the token's sub"}, {.name = NULL}},
    .examples = "callboardctl connections bob\n",
    .run = print_connections,
};

/* ---- disconnect ---- */

enum { CLIENT, CODE, REASON, KEEP };

static const struct ctl_option disconnect_options[] = {
    [CLIENT] = {.name = "client", .kind = CTL_TEXT, .value = "ID", .help = "this connection only"},
    [CODE] = {.name = "code",
              .kind = CTL_NUMBER,
              .value = "N",
              .minimum = 3000,
              .maximum = 4999,
              .initial = "3503: SDKs stay away",
              .help = "the WebSocket's close code"},
    [REASON] = {.name = "reason", .kind = CTL_TEXT, .value = "TEXT", .help = "for the client, at most 123 bytes"},
    [KEEP] = {.name = "keep", .kind = CTL_TEXT, .value = "ID", .many = true, .help = "a connection that stays"},
    {.name = NULL},
};

static void append_disconnect(const struct ctl_arguments *arguments, struct buffer *params) {
    size_t at = 0;
    const char *separator = ",\"whitelist\":[";
    buffer_append_char(params, '{');
    ctl_append_member(params, "user", ctl_operand(arguments, 0));
    ctl_append_member(params, "client", ctl_text(arguments, CLIENT));
    ctl_append_member(params, "reason", ctl_text(arguments, REASON));
    if (ctl_has(arguments, CODE)) {
        buffer_append_format(params, ",\"code\":%llu", (unsigned long long) ctl_number(arguments, CODE, 0));
    }
    for (const char *kept; (kept = ctl_next(arguments, KEEP, &at)) != NULL; separator = ",") {
        buffer_append_text(params, separator);
        buffer_append_json_string(params, span_of_text(kept));
    }
    buffer_append_text(params, ctl_has(arguments, KEEP) ? "]}" : "}");
}

static int send_away(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    if (ctl_operand(arguments, 0) == NULL && !ctl_has(arguments, CLIENT)) {
        return ctl_usage_error("disconnect", "takes a user, or --client ID, or both");
    }
    struct buffer params = BUFFER_EMPTY;
    append_disconnect(arguments, &params);
    int result = ctl_request_and_print(options, "disconnect", &params, NULL);
    buffer_finish(&params);
    return result;
}

const struct ctl_command ctl_disconnect_command = {
    .name = "disconnect",
    .summary = "close the connections of a user, or one",
    .description =
        "Closes all connections of the user, or with --client only that one, and prints how many sessions it "
        "were. Who is not connected is no error.\n\n"
        "SDKs connect again after codes from 3000 to 3499 and from 4000 to 4499, and stay away after those "
        "from 3500 to 3999 and from 4500 on.",
    .operands =
        (const struct ctl_operand[]){{.name = "USER", .optional = true, .help = "whose connections"}, {.name = NULL}},
    .options = disconnect_options,
    .examples = "callboardctl disconnect bob --code 4500 --reason 'signed out'\n",
    .run = send_away,
};
