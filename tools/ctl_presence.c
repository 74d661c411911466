/* callboardctl presence: who is in a channel, in one answer, page by page, or only how many. */
#include "tools/ctl_pages.h"

#include <getopt.h>

static int parse(int argc, char **argv, struct ctl_pages *ret_pages, bool *ret_stats) {
    static const struct option known[] = {{"limit", required_argument, NULL, 'l'},
                                          {"cursor", required_argument, NULL, 'c'},
                                          {"all", no_argument, NULL, 'a'},
                                          {"stats", no_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    *ret_pages = (struct ctl_pages){.method = "presence", .member = "presence", .param = "channel"};
    *ret_stats = false;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 's') {
            *ret_stats = true;
        } else if (option == '?') {
            return ctl_usage_error("presence", "takes --limit, --cursor, --all and --stats");
        } else if (ctl_pages_option(ret_pages, "presence", option, optarg) != CTL_DONE) {
            return CTL_USAGE;
        }
    }
    if (argc - optind != 1) {
        return ctl_usage_error("presence", "takes one channel");
    }
    ret_pages->value = argv[optind];
    return CTL_DONE;
}

static int print_stats(const struct ctl_options *options, const char *channel, backend_client_t *client) {
    struct buffer params = BUFFER_EMPTY;
    struct backend_reply reply;
    buffer_append_text(&params, "{\"channel\":");
    buffer_append_json_string(&params, span_of_text(channel));
    buffer_append_char(&params, '}');
    int result = ctl_request(client, options, "presence_stats", &params, NULL, &reply);
    if (result == CTL_DONE) {
        ctl_print_line(reply.body);
    }
    buffer_finish(&params);
    return result;
}

int ctl_presence(const struct ctl_options *options, int argc, char **argv) {
    struct ctl_pages pages;
    bool stats;
    int result = parse(argc, argv, &pages, &stats);
    if (result != CTL_DONE) {
        return result;
    }
    backend_client_t *client = ctl_connect(options);
    if (client == NULL) {
        return CTL_USAGE;
    }
    result = stats ? print_stats(options, pages.value, client) : ctl_pages_print(&pages, options, client);
    backend_client_destroy(&client);
    return result;
}
