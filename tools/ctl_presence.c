/* callboardctl presence: who is in a channel, in one answer, page by page, or only how many. */
#include "tools/ctl.h"

#include "base/json_scan.h"

#include <getopt.h>
#include <stdio.h>

struct presence_command {
    uint64_t limit; /* 0: everyone in one answer */
    const char *cursor;
    bool all; /* page after page to the end */
    bool stats;
    const char *channel;
};

static int parse(int argc, char **argv, struct presence_command *ret_command) {
    static const struct option known[] = {{"limit", required_argument, NULL, 'l'},
                                          {"cursor", required_argument, NULL, 'c'},
                                          {"all", no_argument, NULL, 'a'},
                                          {"stats", no_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    *ret_command = (struct presence_command){.limit = 0};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'l':
            if (!ctl_parse_number(optarg, 1, 10000, &ret_command->limit)) {
                return ctl_usage_error("presence", "--limit takes a number from 1 to 10000, not '%s'", optarg);
            }
            break;
        case 'c':
            ret_command->cursor = optarg;
            break;
        case 'a':
            ret_command->all = true;
            break;
        case 's':
            ret_command->stats = true;
            break;
        default:
            return ctl_usage_error("presence", "takes --limit, --cursor, --all and --stats");
        }
    }
    if (argc - optind != 1) {
        return ctl_usage_error("presence", "takes one channel");
    }
    if (ret_command->all && ret_command->limit == 0) {
        ret_command->limit = 1000;
    }
    ret_command->channel = argv[optind];
    return CTL_DONE;
}

static void append_params(const struct presence_command *command, struct span cursor, struct buffer *params) {
    buffer_clear(params);
    buffer_append_text(params, "{\"channel\":");
    buffer_append_json_string(params, span_of_text(command->channel));
    if (command->limit > 0) {
        buffer_append_format(params, ",\"limit\":%llu", (unsigned long long) command->limit);
    }
    if (cursor.size > 0) {
        buffer_append_text(params, ",\"cursor\":");
        buffer_append_json_string(params, cursor);
    }
    buffer_append_char(params, '}');
}

/* The cursor of the next page; empty: that was the last. */
static void take_cursor(struct span body, struct buffer *cursor) {
    struct json_value object;
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    buffer_clear(cursor);
    if (json_scan(body, &limits, &object, NULL) == JSON_OK) {
        json_decode_string(json_member(object, "cursor"), cursor);
    }
}

static int print_pages(const struct ctl_options *options, const struct presence_command *command,
                       backend_client_t *client, struct buffer *cursor, struct buffer *params) {
    for (;;) {
        struct backend_reply reply;
        append_params(command, buffer_span(cursor), params);
        int result = ctl_request(client, options, "presence", params, NULL, &reply);
        if (result != CTL_DONE) {
            return result;
        }
        if (options->json) {
            ctl_print_line(reply.body);
        } else {
            ctl_print_elements(reply.body, "presence");
        }
        take_cursor(reply.body, cursor);
        if (cursor->size == 0) {
            return CTL_DONE;
        }
        if (!command->all) {
            fprintf(stderr, "there are more: --cursor %.*s\n", (int) cursor->size, (const char *) cursor->data);
            return CTL_DONE;
        }
    }
}

static int print_stats(const struct ctl_options *options, const struct presence_command *command,
                       backend_client_t *client, struct buffer *params) {
    struct backend_reply reply;
    append_params(&(struct presence_command){.channel = command->channel}, SPAN_EMPTY, params);
    int result = ctl_request(client, options, "presence_stats", params, NULL, &reply);
    if (result == CTL_DONE) {
        ctl_print_line(reply.body);
    }
    return result;
}

int ctl_presence(const struct ctl_options *options, int argc, char **argv) {
    struct presence_command command;
    int result = parse(argc, argv, &command);
    if (result != CTL_DONE) {
        return result;
    }
    backend_client_t *client = ctl_connect(options);
    if (client == NULL) {
        return CTL_USAGE;
    }
    struct buffer cursor = BUFFER_EMPTY;
    struct buffer params = BUFFER_EMPTY;
    buffer_append_text(&cursor, command.cursor == NULL ? "" : command.cursor);
    result = command.stats ? print_stats(options, &command, client, &params)
                           : print_pages(options, &command, client, &cursor, &params);
    buffer_finish(&params);
    buffer_finish(&cursor);
    backend_client_destroy(&client);
    return result;
}
