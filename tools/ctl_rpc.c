/* callboardctl rpc: asks a worker, as a service does, and prints what it answers. */
#include "tools/ctl.h"

#include "base/json_scan.h"
#include "base/utf8.h"

#include <stdio.h>

enum { PAYLOAD_MAX = 1 << 20, DEADLINE_MAX_MS = 60000, GRACE_MS = 2000 };
enum { TEXT };

static const struct ctl_option known[] = {
    [TEXT] = {.name = "text", .kind = CTL_FLAG, .help = "the data is text: it is sent as a JSON string"},
    {.name = NULL},
};

/* The payload; without one the result's data, or the result itself. */
static void print_text(const struct backend_reply *reply) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value body;
    struct json_value data = JSON_ABSENT;
    if (reply->payload.size > 0) {
        ctl_print_line(reply->payload);
        return;
    }
    if (json_scan(reply->body, &limits, &body, NULL) == JSON_OK) {
        data = json_member(body, "data");
    }
    ctl_print_line(data.type == JSON_NONE ? reply->body : data.text);
}

/* The result, with the payload as its data. */
static void print_json(const struct backend_reply *reply) {
    if (reply->payload.size == 0) {
        ctl_print_line(reply->body);
    } else {
        ctl_print_with_data(reply);
    }
}

/* The worker has --timeout for it; the broker's word that it was too late is waited for a little longer. */
static int ask(const struct ctl_options *options, const char *method, const struct span *data) {
    struct ctl_options patient = *options;
    struct backend_reply reply;
    struct buffer params = BUFFER_EMPTY;
    int deadline_ms = options->timeout_ms > DEADLINE_MAX_MS ? DEADLINE_MAX_MS : options->timeout_ms;
    int result = CTL_USAGE;
    backend_client_t *client = ctl_connect(options);
    patient.timeout_ms = deadline_ms + GRACE_MS;
    buffer_append_char(&params, '{');
    ctl_append_member(&params, "method", method);
    buffer_append_format(&params, ",\"timeout_ms\":%d}", deadline_ms);
    if (client != NULL) {
        result = ctl_request(client, &patient, "rpc", &params, data, &reply);
    }
    if (result == CTL_DONE) {
        (options->json ? print_json : print_text)(&reply);
    }
    backend_client_destroy(&client);
    buffer_finish(&params);
    return result;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    const char *text = ctl_operand(arguments, 1);
    struct buffer input;
    struct buffer string = BUFFER_EMPTY;
    int result = CTL_DONE;
    buffer_init(&input, PAYLOAD_MAX);
    if (text != NULL && strcmp(text, "-") != 0) {
        buffer_append_text(&input, text);
    } else if (text != NULL && !ctl_read_stdin(&input)) {
        result = ctl_usage_error("rpc", "standard input is longer than %d bytes, or cannot be read", PAYLOAD_MAX);
    }
    struct span data = buffer_span(&input);
    if (result == CTL_DONE && ctl_has(arguments, TEXT)) {
        if (utf8_is_valid(data)) {
            buffer_append_json_string(&string, data);
            data = buffer_span(&string);
        } else {
            result = ctl_usage_error("rpc", "--text: the data is not UTF-8");
        }
    }
    if (result == CTL_DONE) {
        result = ask(options, ctl_operand(arguments, 0), text == NULL ? NULL : &data);
    }
    buffer_finish(&string);
    buffer_finish(&input);
    return result;
}

const struct ctl_command ctl_rpc_command = {
    .name = "rpc",
    .summary = "ask a worker, and print its answer",
    .description =
        "Asks one of the services that registered at this broker for rpc:METHOD, and prints the data that it answers. "
        "With -o json it is the whole result, with the data in it (b64data where it is no "
        "JSON).\n\n"
        "--timeout is how long the worker may take, at most a minute. Error 108: no worker of this broker takes the "
        "method, another broker may have one. The worker's own errors are printed as they come.",
    .operands =
        (const struct ctl_operand[]){
            {.name = "METHOD", .help = "as clients name it, without rpc:"},
            {.name = "DATA", .optional = true, .help = "what it is asked with, or - for standard input"},
            {.name = NULL}},
    .options = known,
    .run = run,
};
