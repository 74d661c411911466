/* callboardctl history, history-remove, info: one request, its result printed. */
#include "tools/ctl.h"

#include "base/json_scan.h"

#include <getopt.h>
#include <stdio.h>

void ctl_print_elements(struct span body, const char *member) {
    struct json_value object;
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    if (json_scan(body, &limits, &object, NULL) != JSON_OK) {
        ctl_print_line(body);
        return;
    }
    struct json_iterator elements = json_iterate(json_member(object, member));
    struct json_value name;
    struct json_value value;
    while (json_next(&elements, &name, &value)) {
        ctl_print_line(value.text);
    }
}

static int request_and_print(const struct ctl_options *options, const char *method, const struct buffer *params,
                             const char *member) {
    backend_client_t *client = ctl_connect(options);
    if (client == NULL) {
        return CTL_USAGE;
    }
    struct backend_reply reply;
    int result = ctl_request(client, options, method, params, NULL, &reply);
    if (result == CTL_DONE) {
        if (member == NULL || options->json) {
            ctl_print_line(reply.body);
        } else {
            ctl_print_elements(reply.body, member);
        }
    }
    backend_client_destroy(&client);
    return result;
}

/* CTL_DONE: optind stands on the first argument that is no option. */
static int parse_history(int argc, char **argv, struct buffer *options_text) {
    static const struct option known[] = {{"limit", required_argument, NULL, 'l'},
                                          {"since", required_argument, NULL, 's'},
                                          {"reverse", no_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    uint64_t limit = 100;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'l':
            if (!ctl_parse_number(optarg, 0, 100000, &limit)) {
                return ctl_usage_error("history", "--limit takes a number from 0 to 100000, not '%s'", optarg);
            }
            break;
        case 's':
            if (!ctl_append_since(options_text, optarg)) {
                return ctl_usage_error("history", "--since takes EPOCH:OFFSET, not '%s'", optarg);
            }
            break;
        case 'r':
            buffer_append_text(options_text, ",\"reverse\":true");
            break;
        default:
            return ctl_usage_error("history", "takes --limit, --since and --reverse");
        }
    }
    buffer_append_format(options_text, ",\"limit\":%llu", (unsigned long long) limit);
    return argc - optind == 1 ? CTL_DONE : ctl_usage_error("history", "takes one channel");
}

static void append_channel(struct buffer *params, const char *channel) {
    buffer_append_text(params, "{\"channel\":");
    buffer_append_json_string(params, span_of_text(channel));
}

int ctl_history(const struct ctl_options *options, int argc, char **argv) {
    struct buffer rest = BUFFER_EMPTY;
    struct buffer params = BUFFER_EMPTY;
    int result = parse_history(argc, argv, &rest);
    if (result == CTL_DONE) {
        append_channel(&params, argv[optind]);
        buffer_append_span(&params, buffer_span(&rest));
        buffer_append_char(&params, '}');
        result = request_and_print(options, "history", &params, "publications");
    }
    buffer_finish(&params);
    buffer_finish(&rest);
    return result;
}

int ctl_history_remove(const struct ctl_options *options, int argc, char **argv) {
    if (argc != 2) {
        return ctl_usage_error("history-remove", "takes one channel");
    }
    struct buffer params = BUFFER_EMPTY;
    append_channel(&params, argv[1]);
    buffer_append_char(&params, '}');
    int result = request_and_print(options, "history_remove", &params, NULL);
    buffer_finish(&params);
    return result;
}

int ctl_info(const struct ctl_options *options, int argc, char **argv) {
    (void) argv;
    if (argc != 1) {
        return ctl_usage_error("info", "takes no arguments");
    }
    struct buffer params = BUFFER_EMPTY;
    buffer_append_text(&params, "{}");
    int result = request_and_print(options, "info", &params, NULL);
    buffer_finish(&params);
    return result;
}
