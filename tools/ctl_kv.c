/* callboardctl kv: one value that services share: read, set, deleted, looked for, counted. */
#include "tools/ctl.h"

#include "base/json_scan.h"
#include "base/token.h"

#include <stdio.h>
#include <stdlib.h>

enum { VALUE_MAX = 1 << 20 };
enum { TTL, BY };

static const struct ctl_option known[] = {
    [TTL] = {.name = "ttl",
             .kind = CTL_DURATION,
             .value = "TIME",
             .minimum = 1000,
             .maximum = (uint64_t) 365 * 86400 * 1000000,
             .help = "set: the value goes after so long; incr: where the key is new"},
    [BY] =
        {.name = "by", .kind = CTL_TEXT, .value = "N", .initial = "1", .help = "incr: what is added, may be below 0"},
    {.name = NULL},
};

/* ---- what is asked ---- */

static bool append_by(struct buffer *params, const char *text) {
    char *end = NULL;
    long long by = strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        return false;
    }
    return buffer_append_format(params, ",\"by\":%lld", by);
}

/* CTL_DONE, or it was said what is wrong. */
static int put_params(struct buffer *params, const struct ctl_arguments *arguments) {
    const char *action = ctl_operand(arguments, 0);
    bool is_set = strcmp(action, "set") == 0;
    bool is_incr = strcmp(action, "incr") == 0;
    const char *by = ctl_text(arguments, BY);
    uint64_t ttl_us = ctl_number(arguments, TTL, 0);
    if (is_set != (ctl_operand(arguments, 2) != NULL)) {
        return ctl_usage_error("kv", is_set ? "set takes a key and a value, or - for standard input"
                                            : "only set takes a value");
    }
    if ((ttl_us > 0 && !is_set && !is_incr) || (by != NULL && !is_incr)) {
        return ctl_usage_error("kv", "--ttl is for set and incr, --by for incr");
    }
    buffer_append_char(params, '{');
    ctl_append_member(params, "key", ctl_operand(arguments, 1));
    if (ttl_us > 0) {
        buffer_append_format(params, ",\"ttl\":%llu", (unsigned long long) (ttl_us / 1000));
    }
    if (by != NULL && !append_by(params, by)) {
        return ctl_usage_error("kv", "--by takes a whole number, not '%s'", by);
    }
    buffer_append_char(params, '}');
    return CTL_DONE;
}

static bool read_value(const char *text, struct buffer *value) {
    if (strcmp(text, "-") == 0) {
        return ctl_read_stdin(value);
    }
    return buffer_append_text(value, text);
}

/* ---- what is printed ---- */

/* The value's bytes as they were set. */
static void print_value(struct json_value body) {
    struct json_value data = json_member(body, "data");
    struct span base64 = SPAN_EMPTY;
    struct buffer bytes = BUFFER_EMPTY;
    if (data.type != JSON_NONE) {
        ctl_print_line(data.text);
    } else if (json_plain_string(json_member(body, "b64data"), &base64) && base64_decode(&bytes, base64)) {
        ctl_print_line(buffer_span(&bytes));
    }
    buffer_finish(&bytes);
}

/* CTL_REFUSED: there is no such key. */
static int print_answer(const char *action, const char *key, struct span text) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value body;
    bool found = true;
    if (json_scan(text, &limits, &body, NULL) != JSON_OK) {
        ctl_print_line(text);
        return CTL_DONE;
    }
    json_to_bool(json_member(body, "found"), &found);
    if (strcmp(action, "incr") == 0) {
        ctl_print_line(json_member(body, "value").text);
    } else if (strcmp(action, "set") != 0 && !found) {
        fprintf(stderr, "callboardctl kv: there is no %s\n", key);
        return CTL_REFUSED;
    } else if (strcmp(action, "get") == 0) {
        print_value(body);
    }
    return CTL_DONE;
}

static int ask(const struct ctl_options *options, const struct ctl_arguments *arguments, const struct buffer *params,
               const struct span *value) {
    const char *action = ctl_operand(arguments, 0);
    char method[32];
    snprintf(method, sizeof method, "kv.%s", action);
    backend_client_t *client = ctl_connect(options);
    if (client == NULL) {
        return CTL_USAGE;
    }
    struct backend_reply reply;
    int result = ctl_request(client, options, method, params, value, &reply);
    if (result == CTL_DONE && options->json) {
        ctl_print_line(reply.body);
    } else if (result == CTL_DONE) {
        result = print_answer(action, ctl_operand(arguments, 1), reply.body);
    }
    backend_client_destroy(&client);
    return result;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    const char *text = ctl_operand(arguments, 2);
    struct buffer params = BUFFER_EMPTY;
    struct buffer value;
    buffer_init(&value, VALUE_MAX);
    int result = put_params(&params, arguments);
    if (result == CTL_DONE && text != NULL && !read_value(text, &value)) {
        result = ctl_usage_error("kv", "the value is longer than %d bytes, or cannot be read", VALUE_MAX);
    }
    if (result == CTL_DONE) {
        struct span bytes = buffer_span(&value);
        result = ask(options, arguments, &params, text == NULL ? NULL : &bytes);
    }
    buffer_finish(&value);
    buffer_finish(&params);
    return result;
}

const struct ctl_command ctl_kv_command = {
    .name = "kv",
    .summary = "read, set, count or delete a value that services share",
    .description =
        "Values are bytes under a key, kept in Redis, or in the memory of the one broker. get prints the value as it "
        "was set, and a line feed; incr prints the number that it comes to; set, del and exists print nothing. get, "
        "del "
        "and exists end with 1 where there is no such key. With -o json each prints the broker's answer, which also "
        "says whether the key was there, how many milliseconds it still stays, and which engine keeps it, and ends "
        "with 0.",
    .operands = (const struct ctl_operand[]){{.name = "ACTION",
                                              .choices = "get set del exists incr",
                                              .help = "what to do: get, set, del, exists or incr"},
                                             {.name = "KEY", .help = "the key; of the form of a channel's name"},
                                             {.name = "VALUE", .optional = true, .help = "set: the value, or -"},
                                             {.name = NULL}},
    .options = known,
    .examples = "callboardctl kv set greeting 'hello there' --ttl 10m\n"
                "callboardctl kv get greeting\n"
                "callboardctl kv incr visits --by 3 --ttl 24h\n"
                "callboardctl kv del greeting\n",
    .run = run,
};
