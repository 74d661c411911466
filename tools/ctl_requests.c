/* See ctl.h: requests of callboardctl, and what they print. */
#include "tools/ctl.h"
#include "tools/ctl_terminal.h"

#include "base/base64.h"
#include "base/json_scan.h"
#include "base/position.h"

#include <stdarg.h>
#include <stdio.h>

int ctl_usage_error(const char *command, const char *format, ...) {
    va_list values;
    const char *blank = command[0] == '\0' ? "" : " ";
    va_start(values, format);
    fprintf(stderr, "callboardctl%s%s: ", blank, command);
    vfprintf(stderr, format, values);
    fprintf(stderr, "\nSee callboardctl%s%s --help\n", blank, command);
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

/* {"code":103,"reason":"permission_denied","message":"..."} -> a line for a person. */
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
    enum backend_outcome outcome =
        backend_client_request(client, method, buffer_span(params), payload, options->timeout_ms, ret_reply);
    if (outcome == BACKEND_OK) {
        return CTL_DONE;
    }
    ctl_progress_end();
    switch (outcome) {
    case BACKEND_ERROR:
        if (options->json) {
            fprintf(stderr, "%.*s\n", (int) ret_reply->body.size, (const char *) ret_reply->body.data);
        } else {
            print_error(ret_reply->body);
        }
        return CTL_REFUSED;
    case BACKEND_TIMEOUT:
        fprintf(stderr,
                "callboardctl: no answer from %s in %d ms; is the broker running there, and does it ask for CURVE keys "
                "(--curve-key, --curve-broker-key)?\n",
                options->client.endpoint, options->timeout_ms);
        return CTL_NO_ANSWER;
    case BACKEND_OK:
    case BACKEND_EVENT:
    case BACKEND_PROTOCOL:
        break;
    }
    fprintf(stderr, "callboardctl: %s does not speak the backend API, version CB1\n", options->client.endpoint);
    return CTL_NO_ANSWER;
}

int ctl_request_and_print(const struct ctl_options *options, const char *method, const struct buffer *params,
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

/* ---- parameters ---- */

static void append_name(struct buffer *params, const char *name) {
    if (params->size > 0 && strchr("{[", params->data[params->size - 1]) == NULL) {
        buffer_append_char(params, ',');
    }
    buffer_append_json_string(params, span_of_text(name));
    buffer_append_char(params, ':');
}

void ctl_append_member(struct buffer *params, const char *name, const char *value) {
    if (value != NULL) {
        append_name(params, name);
        buffer_append_json_string(params, span_of_text(value));
    }
}

bool ctl_append_since(struct buffer *params, const char *text) {
    struct position since;
    if (!position_parse(span_of_text(text), &since)) {
        return false;
    }
    append_name(params, "since");
    buffer_append_text(params, "{\"offset\":");
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

/* ---- results ---- */

void ctl_print_line(struct span text) {
    fwrite(text.data, 1, text.size, stdout);
    putchar('\n');
    fflush(stdout);
}

void ctl_print_with_data(const struct backend_reply *reply) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value data;
    struct buffer line = BUFFER_EMPTY;
    buffer_append_span(&line, span_of(reply->body.data, reply->body.size - 1)); /* without its last brace */
    buffer_append_text(&line, reply->body.size > 2 ? "," : "");
    if (json_scan(reply->payload, &limits, &data, NULL) == JSON_OK) {
        buffer_append_text(&line, "\"data\":");
        json_append_one_line(&line, data.text);
    } else {
        buffer_append_text(&line, "\"b64data\":\"");
        base64_encode(&line, reply->payload);
        buffer_append_char(&line, '"');
    }
    buffer_append_char(&line, '}');
    ctl_print_line(buffer_span(&line));
    buffer_finish(&line);
}

size_t ctl_print_elements(struct span body, const char *member) {
    struct json_value object;
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    size_t n = 0;
    if (json_scan(body, &limits, &object, NULL) != JSON_OK) {
        ctl_print_line(body);
        return 1;
    }
    struct json_iterator elements = json_iterate(json_member(object, member));
    struct json_value name;
    struct json_value value;
    for (; json_next(&elements, &name, &value); n++) {
        ctl_print_line(value.text);
    }
    return n;
}
