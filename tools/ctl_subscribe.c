/* callboardctl sub: prints publications as they come, from a position on where one is given; ends with --count or
 * Ctrl-C. */
#include "tools/ctl.h"

#include "base/json_scan.h"

#include <getopt.h>
#include <stdio.h>

enum { POLL_MS = 1000 };

struct subscribe_arguments {
    const char *channel;
    const char *since;
    uint64_t count; /* 0: without end */
};

static int parse_arguments(int argc, char **argv, struct subscribe_arguments *ret) {
    static const struct option known[] = {
        {"since", required_argument, NULL, 's'}, {"count", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 's':
            ret->since = optarg;
            break;
        case 'c':
            if (!ctl_parse_number(optarg, 1, UINT64_MAX, &ret->count)) {
                return ctl_usage_error("sub", "--count takes a number from 1 up, not '%s'", optarg);
            }
            break;
        default:
            return ctl_usage_error("sub", "takes --since and --count");
        }
    }
    if (argc - optind != 1) {
        return ctl_usage_error("sub", "takes one channel");
    }
    ret->channel = argv[optind];
    return CTL_DONE;
}

/* Text: the payload; what is no publication (join, leave, gap, end) goes to stderr. JSON: body and, in base64-free
 * form, the payload as the member "data" where it is JSON itself. True: it was a publication. */
static bool print_event(const struct ctl_options *options, const struct backend_reply *event) {
    struct json_value body;
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct span type = SPAN_EMPTY;
    if (json_scan(event->body, &limits, &body, NULL) == JSON_OK) {
        json_plain_string(json_member(body, "type"), &type);
    }
    bool is_publication = span_equal_text(type, "publication");
    if (!options->json) {
        if (is_publication) {
            ctl_print_line(event->payload);
        } else {
            fprintf(stderr, "%.*s\n", (int) event->body.size, (const char *) event->body.data);
        }
        return is_publication;
    }
    struct buffer line = BUFFER_EMPTY;
    struct json_limits payload_limits = JSON_LIMITS_PAYLOAD;
    struct json_value data;
    buffer_append_span(&line, span_of(event->body.data, event->body.size - 1));
    if (is_publication && json_scan(event->payload, &payload_limits, &data, NULL) == JSON_OK) {
        buffer_append_text(&line, ",\"data\":");
        json_append_one_line(&line, data.text);
    }
    buffer_append_char(&line, '}');
    ctl_print_line(buffer_span(&line));
    buffer_finish(&line);
    return is_publication;
}

static int print_events(backend_client_t *client, const struct ctl_options *options, uint64_t count) {
    for (uint64_t printed = 0; count == 0 || printed < count;) {
        struct backend_reply event;
        if (backend_client_next_event(client, POLL_MS, &event) == BACKEND_EVENT && print_event(options, &event)) {
            printed++;
        }
    }
    return CTL_DONE;
}

int ctl_subscribe(const struct ctl_options *options, int argc, char **argv) {
    struct subscribe_arguments arguments = {.channel = NULL};
    int result = parse_arguments(argc, argv, &arguments);
    if (result != CTL_DONE) {
        return result;
    }
    struct buffer params = BUFFER_EMPTY;
    backend_client_t *client = NULL;
    buffer_append_text(&params, "{\"channel\":");
    buffer_append_json_string(&params, span_of_text(arguments.channel));
    if (arguments.since != NULL && !ctl_append_since(&params, arguments.since)) {
        result = ctl_usage_error("sub", "--since takes EPOCH:OFFSET, not '%s'", arguments.since);
        goto done;
    }
    buffer_append_char(&params, '}');
    client = ctl_connect(options);
    if (client == NULL) {
        result = CTL_USAGE;
        goto done;
    }
    struct backend_reply reply;
    result = ctl_request(client, options, "subscribe", &params, NULL, &reply);
    if (result == CTL_DONE) {
        fprintf(stderr, "subscribed to %s: %.*s\n", arguments.channel, (int) reply.body.size,
                (const char *) reply.body.data);
        result = print_events(client, options, arguments.count);
    }
done:
    backend_client_destroy(&client);
    buffer_finish(&params);
    return result;
}
