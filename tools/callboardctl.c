/* callboardctl: the person's and the script's tool. Options before the command are common; each command is a file
 * ctl_*.c. */
#include "tools/ctl.h"

#include "base/json_scan.h"
#include "base/position.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct ctl_command commands[] = {
    {"pub", "CHANNEL DATA|- [--key KEY] [--tag NAME=VALUE]… [--skip-history]", "publish; - reads standard input",
     ctl_publish},
    {"sub", "CHANNEL [--since EPOCH:OFFSET] [--count N]", "print publications as they come", ctl_subscribe},
    {"history", "CHANNEL [--limit N] [--since EPOCH:OFFSET] [--reverse]", "print what the history holds", ctl_history},
    {"history-remove", "CHANNEL", "forget the history; positions go on", ctl_history_remove},
    {"presence", "CHANNEL [--limit N [--cursor C]] [--all] [--stats]",
     "print who is there: all at once, a page, page by page to the end, or only how many", ctl_presence},
    {"channels", "[PATTERN] [--limit N [--cursor C]] [--all]",
     "print which channels have subscribers, and how many; in PATTERN * stands for anything", ctl_channels},
    {"connections", "USER", "print the user's connections, wherever they are", ctl_connections},
    {"disconnect", "[USER] [--client ID] [--code N] [--reason TEXT] [--keep CLIENT]…",
     "close the connections of a user, or one; --keep names clients that stay", ctl_disconnect},
    {"info", "", "brokers, gateways, connections, engine", ctl_info},
    {"token", "--user USER [--channel CHANNEL] [--ttl 1h] [--config FILE | --secret-file FILE --audience A --issuer I]",
     "make a token that a client connects with", ctl_token},
    {"keygen", "FILE | --api",
     "make a CURVE key pair: FILE (mode 0600) and FILE.pub; or print a key of the HTTP API and its hash", ctl_keygen},
    {"bench", "[--url URL] [--users N] [--rate R] … (callboardctl bench --help)",
     "load a gateway with many users: latency, what was lost, CPU and memory of the server", ctl_bench},
    {"doctor",
     "[--config FILE]… [--redis URL] [--broker http://HOST:9001]… [--gateway http://HOST:9000]… [--token-file FILE] "
     "[--all] [--json]",
     "examine a running set-up: settings, keys, this machine, Redis, programs; what is wrong, and how to mend it",
     ctl_doctor},
    {"completion", "", "print what bash needs to complete commands and options: source <(callboardctl completion)",
     ctl_completion},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };
const char ctl_global_options[] = "--endpoint --curve-key --curve-broker-key --timeout -o --version --help";

const struct ctl_command *ctl_commands(size_t *ret_n) {
    *ret_n = N_COMMANDS;
    return commands;
}

int ctl_usage_error(const char *command, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fprintf(stderr, "callboardctl%s%s: ", command[0] == '\0' ? "" : " ", command);
    vfprintf(stderr, format, values);
    fprintf(stderr, "\nUsage: callboardctl --help\n");
    va_end(values);
    return CTL_USAGE;
}

backend_client_t *ctl_connect(const struct ctl_options *options) {
    char error[512];
    backend_client_t *client = backend_client_new(&options->client, error, sizeof error);
    if (client == NULL) {
        fprintf(stderr, "callboardctl: %s\n", error);
    }
    return client;
}

/* {"code":103,"reason":"permission_denied","message":"…"} → a line for a person. */
static void print_error(struct span body) {
    struct json_value object;
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct buffer message = BUFFER_EMPTY;
    uint64_t code = 0;
    if (json_scan(body, &limits, &object, NULL) == JSON_OK) {
        json_to_u64(json_member(object, "code"), &code);
        json_decode_string(json_member(object, "message"), &message);
    }
    struct span text = message.size > 0 ? buffer_span(&message) : body;
    fprintf(stderr, "callboardctl: error %llu: %.*s\n", (unsigned long long) code, (int) text.size,
            (const char *) text.data);
    buffer_finish(&message);
}

int ctl_request(backend_client_t *client, const struct ctl_options *options, const char *method,
                const struct buffer *params, const struct span *payload, struct backend_reply *ret_reply) {
    switch (backend_client_request(client, method, buffer_span(params), payload, options->timeout_ms, ret_reply)) {
    case BACKEND_OK:
        return CTL_DONE;
    case BACKEND_ERROR:
        print_error(ret_reply->body);
        return CTL_REFUSED;
    case BACKEND_TIMEOUT:
        fprintf(stderr,
                "callboardctl: no answer from %s in %d ms; is the broker running there, and does it ask for CURVE keys "
                "(--curve-key, --curve-broker-key)?\n",
                options->client.endpoint, options->timeout_ms);
        return CTL_NO_ANSWER;
    case BACKEND_EVENT:
    case BACKEND_PROTOCOL:
        break;
    }
    fprintf(stderr, "callboardctl: %s does not speak the backend API, version CB1\n", options->client.endpoint);
    return CTL_NO_ANSWER;
}

bool ctl_append_since(struct buffer *params, const char *text) {
    struct position since;
    if (!position_parse(span_of_text(text), &since)) {
        return false;
    }
    buffer_append_text(params, ",\"since\":{\"offset\":");
    buffer_append_u64_decimal(params, since.offset);
    buffer_append_text(params, ",\"epoch\":");
    buffer_append_json_string(params, epoch_span(&since.epoch));
    return buffer_append_char(params, '}');
}

bool ctl_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value) {
    uint64_t value;
    if (!span_parse_u64(span_of_text(text), &value) || value < minimum || value > maximum) {
        return false;
    }
    *ret_value = value;
    return true;
}

bool ctl_read_stdin(struct buffer *out) {
    char block[65536];
    size_t size;
    while ((size = fread(block, 1, sizeof block, stdin)) > 0) {
        if (!buffer_append(out, block, size)) {
            return false;
        }
    }
    return ferror(stdin) == 0;
}

void ctl_print_line(struct span text) {
    fwrite(text.data, 1, text.size, stdout);
    putchar('\n');
    fflush(stdout);
}

static void print_help(FILE *out) {
    fprintf(out, "callboardctl " CALLBOARD_VERSION ": talks to a Callboard broker over its backend API.\n\n"
                 "Usage: callboardctl [OPTIONS] COMMAND …\n\nCommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %s%s%s\n      %s\n", commands[i].name, commands[i].arguments[0] == '\0' ? "" : " ",
                commands[i].arguments, commands[i].help);
    }
    fprintf(out,
            "\nOptions (before the command):\n"
            "  --endpoint URL           the broker's backend endpoint; CALLBOARDCTL_ENDPOINT; default "
            "tcp://127.0.0.1:7710\n"
            "  --curve-key FILE         own key pair, made by keygen\n"
            "  --curve-broker-key KEY   the broker's public key, or the file that holds it\n"
            "  --timeout MS             how long to wait for an answer; default 5000\n"
            "  -o json                  print results as JSON, a line each\n"
            "  --version, --help\n\n"
            "Exit codes: 0 done, 1 the broker said no (doctor: something is wrong), 2 wrong usage, 3 no answer.\n");
}

static const struct ctl_command *find_command(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* CTL_DONE and *ret_finished: --help or --version was all. */
static int parse_options(int argc, char **argv, struct ctl_options *ret_options, bool *ret_finished) {
    static const struct option known[] = {
        {"endpoint", required_argument, NULL, 'e'},
        {"curve-key", required_argument, NULL, 'k'},
        {"curve-broker-key", required_argument, NULL, 'b'},
        {"timeout", required_argument, NULL, 't'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    uint64_t number;
    for (int option; (option = getopt_long(argc, argv, "+o:hV", known, NULL)) != -1;) {
        switch (option) {
        case 'e':
            ret_options->client.endpoint = optarg;
            break;
        case 'k':
            ret_options->client.curve_key_file = optarg;
            break;
        case 'b':
            ret_options->client.curve_broker_key = optarg;
            break;
        case 't':
            if (!ctl_parse_number(optarg, 1, 3600000, &number)) {
                return ctl_usage_error("", "--timeout takes milliseconds from 1 to 3600000, not '%s'", optarg);
            }
            ret_options->timeout_ms = (int) number;
            break;
        case 'o':
            if (strcmp(optarg, "json") != 0 && strcmp(optarg, "text") != 0) {
                return ctl_usage_error("", "-o takes json or text, not '%s'", optarg);
            }
            ret_options->json = strcmp(optarg, "json") == 0;
            break;
        case 'h':
            print_help(stdout);
            *ret_finished = true;
            return CTL_DONE;
        case 'V':
            puts("callboardctl " CALLBOARD_VERSION);
            *ret_finished = true;
            return CTL_DONE;
        default:
            return ctl_usage_error("", "options come before the command");
        }
    }
    return CTL_DONE;
}

int main(int argc, char **argv) {
    const char *endpoint = getenv("CALLBOARDCTL_ENDPOINT");
    struct ctl_options options = {.client = {.endpoint = endpoint == NULL ? "tcp://127.0.0.1:7710" : endpoint},
                                  .timeout_ms = 5000};
    bool finished = false;
    int result = parse_options(argc, argv, &options, &finished);
    if (result != CTL_DONE || finished) {
        return result;
    }
    if (optind == argc) {
        print_help(stderr);
        return CTL_USAGE;
    }
    const struct ctl_command *command = find_command(argv[optind]);
    if (command == NULL) {
        return ctl_usage_error("", "unknown command '%s'", argv[optind]);
    }
    int first = optind;
    optind = 0; /* getopt starts again for the command's own options */
    return command->run(&options, argc - first, argv + first);
}
