/* callboardctl presence: who is in a channel, in one answer, page by page, or only how many. */
#include "tools/ctl_pages.h"

enum { LIMIT, CURSOR, ALL, STATS };

static const struct ctl_option known[] = {
    [LIMIT] = CTL_PAGES_LIMIT,
    [CURSOR] = CTL_PAGES_CURSOR,
    [ALL] = CTL_PAGES_ALL,
    [STATS] = {.name = "stats", .kind = CTL_FLAG, .help = "only how many clients and users, exact whatever the number"},
    {.name = NULL},
};

static int print_presence(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct ctl_pages pages = {.method = "presence",
                              .member = "presence",
                              .param = "channel",
                              .value = ctl_operand(arguments, 0),
                              .limit = ctl_number(arguments, LIMIT, 0),
                              .cursor = ctl_text(arguments, CURSOR),
                              .all = ctl_has(arguments, ALL)};
    if (!ctl_has(arguments, STATS)) {
        return ctl_pages_print(&pages, options);
    }
    struct buffer params = BUFFER_EMPTY;
    buffer_append_char(&params, '{');
    ctl_append_member(&params, "channel", pages.value);
    buffer_append_char(&params, '}');
    int result = ctl_request_and_print(options, "presence_stats", &params, NULL);
    buffer_finish(&params);
    return result;
}

const struct ctl_command ctl_presence_command = {
    .name = "presence",
    .summary = "print who is in a channel",
    .description = "Prints a line of JSON for each client in the channel: all at once, or with --limit a page of them. "
                   "Where there are more, standard error says how to go on; --all does so by itself.\n\n"
                   "Whoever is there from the first page to the last is in one of them at least; who comes or goes "
                   "meanwhile may be or not.",
    .operands = (const struct ctl_operand[]){{.name = "CHANNEL", .help = "the channel"}, {.name = NULL}},
    .options = known,
    .examples = "callboardctl presence demo:hello\n"
                "callboardctl presence demo:hello --stats\n",
    .run = print_presence,
};
