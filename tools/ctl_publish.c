/* callboardctl pub: one publication, its payload exactly as given. */
#include "tools/ctl.h"

#include <getopt.h>
#include <stdio.h>

enum { PAYLOAD_MAX = 1 << 20 };

/* NAME=VALUE as a member of the tags object. */
static bool append_tag(struct buffer *tags, const char *text) {
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return false;
    }
    if (tags->size > 0) {
        buffer_append_char(tags, ',');
    }
    buffer_append_json_string(tags, span_of(text, (size_t) (equals - text)));
    buffer_append_char(tags, ':');
    return buffer_append_json_string(tags, span_of_text(equals + 1));
}

struct publish_arguments {
    const char *channel;
    const char *data;
    const char *key;
    bool skip_history;
    struct buffer tags;
};

static int parse_arguments(int argc, char **argv, struct publish_arguments *ret) {
    static const struct option known[] = {{"key", required_argument, NULL, 'k'},
                                          {"tag", required_argument, NULL, 't'},
                                          {"skip-history", no_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'k':
            ret->key = optarg;
            break;
        case 't':
            if (!append_tag(&ret->tags, optarg)) {
                return ctl_usage_error("pub", "--tag takes NAME=VALUE, not '%s'", optarg);
            }
            break;
        case 's':
            ret->skip_history = true;
            break;
        default:
            return ctl_usage_error("pub", "takes --key, --tag and --skip-history");
        }
    }
    if (argc - optind != 2) {
        return ctl_usage_error("pub", "takes a channel and the data (or - for standard input)");
    }
    ret->channel = argv[optind];
    ret->data = argv[optind + 1];
    return CTL_DONE;
}

static void append_params(struct buffer *params, const struct publish_arguments *arguments) {
    buffer_append_text(params, "{\"channel\":");
    buffer_append_json_string(params, span_of_text(arguments->channel));
    if (arguments->key != NULL) {
        buffer_append_text(params, ",\"idempotency_key\":");
        buffer_append_json_string(params, span_of_text(arguments->key));
    }
    if (arguments->tags.size > 0) {
        buffer_append_text(params, ",\"tags\":{");
        buffer_append_span(params, buffer_span(&arguments->tags));
        buffer_append_char(params, '}');
    }
    if (arguments->skip_history) {
        buffer_append_text(params, ",\"skip_history\":true");
    }
    buffer_append_char(params, '}');
}

static int publish(const struct ctl_options *options, const struct publish_arguments *arguments, struct span data) {
    backend_client_t *client = ctl_connect(options);
    if (client == NULL) {
        return CTL_USAGE;
    }
    struct buffer params = BUFFER_EMPTY;
    append_params(&params, arguments);
    struct backend_reply reply;
    int result = ctl_request(client, options, "publish", &params, &data, &reply);
    if (result == CTL_DONE) {
        ctl_print_line(reply.body);
    }
    buffer_finish(&params);
    backend_client_destroy(&client);
    return result;
}

int ctl_publish(const struct ctl_options *options, int argc, char **argv) {
    struct publish_arguments arguments = {.tags = BUFFER_EMPTY};
    struct buffer input;
    buffer_init(&input, PAYLOAD_MAX);
    int result = parse_arguments(argc, argv, &arguments);
    if (result == CTL_DONE && strcmp(arguments.data, "-") == 0 && !ctl_read_stdin(&input)) {
        result = ctl_usage_error("pub", "standard input is longer than %d bytes, or cannot be read", PAYLOAD_MAX);
    }
    if (result == CTL_DONE) {
        bool from_stdin = strcmp(arguments.data, "-") == 0;
        result = publish(options, &arguments, from_stdin ? buffer_span(&input) : span_of_text(arguments.data));
    }
    buffer_finish(&input);
    buffer_finish(&arguments.tags);
    return result;
}
