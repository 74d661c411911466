/* callboardctl channels, connections, disconnect: who is connected, to which channels, and whom to send away. Each asks
 * every worker of every gateway; ok means that all have answered. */
#include "tools/ctl_pages.h"

#include <getopt.h>
#include <stdio.h>

/* ---- channels ---- */

static int parse_channels(int argc, char **argv, struct ctl_pages *ret_pages) {
    static const struct option known[] = {{"limit", required_argument, NULL, 'l'},
                                          {"cursor", required_argument, NULL, 'c'},
                                          {"all", no_argument, NULL, 'a'},
                                          {NULL, 0, NULL, 0}};
    *ret_pages = (struct ctl_pages){
        .method = "channels", .member = "channels", .counts = "num_clients", .param = "", .value = ""};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == '?') {
            return ctl_usage_error("channels", "takes --limit, --cursor and --all");
        }
        if (ctl_pages_option(ret_pages, "channels", option, optarg) != CTL_DONE) {
            return CTL_USAGE;
        }
    }
    if (argc - optind > 1) {
        return ctl_usage_error("channels", "takes one pattern at most, in which * stands for anything: 'news:*'");
    }
    if (argc - optind == 1) {
        ret_pages->param = "pattern";
        ret_pages->value = argv[optind];
    }
    return CTL_DONE;
}

int ctl_channels(const struct ctl_options *options, int argc, char **argv) {
    struct ctl_pages pages;
    int result = parse_channels(argc, argv, &pages);
    if (result != CTL_DONE) {
        return result;
    }
    backend_client_t *client = ctl_connect(options);
    if (client == NULL) {
        return CTL_USAGE;
    }
    result = ctl_pages_print(&pages, options, client);
    backend_client_destroy(&client);
    return result;
}

/* ---- connections ---- */

int ctl_connections(const struct ctl_options *options, int argc, char **argv) {
    if (argc != 2 || argv[1][0] == '-') {
        return ctl_usage_error("connections", "takes one user");
    }
    backend_client_t *client = ctl_connect(options);
    if (client == NULL) {
        return CTL_USAGE;
    }
    struct ctl_pages pages = {.method = "connections", .member = "connections", .param = "user", .value = argv[1]};
    int result = ctl_pages_print(&pages, options, client);
    backend_client_destroy(&client);
    return result;
}

/* ---- disconnect ---- */

struct disconnect_command {
    const char *user;
    const char *client;
    const char *reason;
    uint64_t code; /* 0: the broker's usual one */
    struct buffer kept;
};

static int take_disconnect_option(struct disconnect_command *self, int option) {
    switch (option) {
    case 'c':
        self->client = optarg;
        break;
    case 'r':
        self->reason = optarg;
        break;
    case 'k':
        buffer_append_text(&self->kept, self->kept.size == 0 ? "" : ",");
        buffer_append_json_string(&self->kept, span_of_text(optarg));
        break;
    case 'n':
        if (!ctl_parse_number(optarg, 3000, 4999, &self->code)) {
            return ctl_usage_error("disconnect", "--code takes a number from 3000 to 4999, not '%s'", optarg);
        }
        break;
    default:
        return ctl_usage_error("disconnect", "takes --client, --code, --reason and --keep");
    }
    return CTL_DONE;
}

static int parse_disconnect(int argc, char **argv, struct disconnect_command *self) {
    static const struct option known[] = {{"client", required_argument, NULL, 'c'},
                                          {"code", required_argument, NULL, 'n'},
                                          {"reason", required_argument, NULL, 'r'},
                                          {"keep", required_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (take_disconnect_option(self, option) != CTL_DONE) {
            return CTL_USAGE;
        }
    }
    if (argc - optind > 1 || (argc == optind && self->client == NULL)) {
        return ctl_usage_error("disconnect", "takes a user, or --client ID, or both");
    }
    self->user = argc == optind ? NULL : argv[optind];
    return CTL_DONE;
}

static void append_member(struct buffer *params, const char *name, const char *value) {
    if (value != NULL) {
        buffer_append_text(params, params->size > 1 ? "," : "");
        buffer_append_json_string(params, span_of_text(name));
        buffer_append_char(params, ':');
        buffer_append_json_string(params, span_of_text(value));
    }
}

static void append_disconnect(const struct disconnect_command *self, struct buffer *params) {
    buffer_append_char(params, '{');
    append_member(params, "user", self->user);
    append_member(params, "client", self->client);
    append_member(params, "reason", self->reason);
    if (self->code != 0) {
        buffer_append_format(params, ",\"code\":%llu", (unsigned long long) self->code);
    }
    if (self->kept.size > 0) {
        buffer_append_text(params, ",\"whitelist\":[");
        buffer_append_span(params, buffer_span(&self->kept));
        buffer_append_char(params, ']');
    }
    buffer_append_char(params, '}');
}

static int send_away(const struct ctl_options *options, const struct disconnect_command *command) {
    backend_client_t *client = ctl_connect(options);
    if (client == NULL) {
        return CTL_USAGE;
    }
    struct buffer params = BUFFER_EMPTY;
    struct backend_reply reply;
    append_disconnect(command, &params);
    int result = ctl_request(client, options, "disconnect", &params, NULL, &reply);
    if (result == CTL_DONE) {
        ctl_print_line(reply.body);
    }
    buffer_finish(&params);
    backend_client_destroy(&client);
    return result;
}

int ctl_disconnect(const struct ctl_options *options, int argc, char **argv) {
    struct disconnect_command command = {.kept = BUFFER_EMPTY};
    int result = parse_disconnect(argc, argv, &command);
    if (result == CTL_DONE) {
        result = send_away(options, &command);
    }
    buffer_finish(&command.kept);
    return result;
}
