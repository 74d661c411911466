/* callboardctl: the person's and the script's tool. Each command is a file ctl_*.c with its table; options that all
 * take may stand before the command or behind it. */
#include "tools/ctl.h"

#include <stdio.h>
#include <stdlib.h>

static const struct ctl_command *const commands[] = {
    &ctl_publish_command,  &ctl_subscribe_command, &ctl_history_command,     &ctl_history_remove_command,
    &ctl_presence_command, &ctl_channels_command,  &ctl_connections_command, &ctl_disconnect_command,
    &ctl_lease_command,    &ctl_kv_command,        &ctl_rpc_command,         &ctl_info_command,
    &ctl_top_command,      &ctl_token_command,     &ctl_keygen_command,      &ctl_bench_command,
    &ctl_doctor_command,   &ctl_selftest_command,  &ctl_completion_command,  &ctl_manual_command,
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

const struct ctl_command *const *ctl_commands(size_t *ret_n) {
    *ret_n = N_COMMANDS;
    return commands;
}

enum { ENDPOINT, CURVE_KEY, CURVE_BROKER_KEY, TIMEOUT, OUTPUT, VERSION };
const struct ctl_option ctl_global_options[] = {
    [ENDPOINT] = {.name = "endpoint",
                  .kind = CTL_TEXT,
                  .value = "URL",
                  .initial = "CALLBOARDCTL_ENDPOINT, or tcp://127.0.0.1:7710",
                  .help = "the broker's backend endpoint"},
    [CURVE_KEY] = {.name = "curve-key", .kind = CTL_FILE, .value = "FILE", .help = "own key pair, made by keygen"},
    [CURVE_BROKER_KEY] = {.name = "curve-broker-key",
                          .kind = CTL_FILE,
                          .value = "KEY",
                          .help = "the broker's public key, or the file that holds it"},
    [TIMEOUT] = {.name = "timeout",
                 .kind = CTL_NUMBER,
                 .value = "MS",
                 .minimum = 1,
                 .maximum = 3600000,
                 .initial = "5000",
                 .help = "how long to wait for an answer"},
    [OUTPUT] = {.name = "output",
                .letter = 'o',
                .kind = CTL_TEXT,
                .value = "FORMAT",
                .choices = "json text",
                .initial = "text",
                .help = "results as JSON, a line each, or as a person likes to read them"},
    [VERSION] = {.name = "version", .letter = 'V', .kind = CTL_FLAG, .help = "print the version and end"},
    {.name = NULL},
};

struct settings {
    struct ctl_options options;
    bool wants_version;
};

static void take_global(void *context, const struct ctl_given *given) {
    struct settings *self = context;
    switch (given->option) {
    case ENDPOINT:
        self->options.client.endpoint = given->text;
        break;
    case CURVE_KEY:
        self->options.client.curve_key_file = given->text;
        break;
    case CURVE_BROKER_KEY:
        self->options.client.curve_broker_key = given->text;
        break;
    case TIMEOUT:
        self->options.timeout_ms = (int) given->number;
        break;
    case OUTPUT:
        self->options.json = strcmp(given->text, "json") == 0;
        break;
    default:
        self->wants_version = true;
        break;
    }
}

static const struct ctl_command *find_command(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int print_help(FILE *out, const struct ctl_command *command) {
    struct buffer text = BUFFER_EMPTY;
    ctl_append_help(&text, command);
    fwrite(text.data, 1, text.size, out);
    buffer_finish(&text);
    return CTL_DONE;
}

static int print_version(void) {
    puts("callboardctl " CALLBOARD_VERSION);
    return CTL_DONE;
}

static int run_command(struct settings *settings, const struct ctl_command *command, int argc, char **argv) {
    struct ctl_arguments arguments;
    int n_used;
    switch (ctl_parse(command, ctl_global_options, take_global, settings, argc, argv, false, &arguments, &n_used)) {
    case CTL_PARSED:
        break;
    case CTL_PARSED_HELP:
        return print_help(stdout, command);
    case CTL_PARSED_WRONG:
        return CTL_USAGE;
    }
    return settings->wants_version ? print_version() : command->run(&settings->options, &arguments);
}

int main(int argc, char **argv) {
    static const struct ctl_command none = {.name = ""};
    const char *endpoint = getenv("CALLBOARDCTL_ENDPOINT");
    struct settings settings = {
        .options = {.client = {.endpoint = endpoint == NULL ? "tcp://127.0.0.1:7710" : endpoint}, .timeout_ms = 5000}};
    struct ctl_arguments arguments;
    int first;
    switch (ctl_parse(&none, ctl_global_options, take_global, &settings, argc, argv, true, &arguments, &first)) {
    case CTL_PARSED:
        break;
    case CTL_PARSED_HELP:
        return print_help(stdout, NULL);
    case CTL_PARSED_WRONG:
        return CTL_USAGE;
    }
    if (settings.wants_version) {
        return print_version();
    }
    if (first == argc) {
        print_help(stderr, NULL);
        return CTL_USAGE;
    }
    const struct ctl_command *command = find_command(argv[first]);
    if (command == NULL) {
        return ctl_usage_error("", "unknown command '%s'", argv[first]);
    }
    return run_command(&settings, command, argc - first, argv + first);
}
