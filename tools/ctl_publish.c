/* callboardctl pub: one publication with its payload exactly as given, or one for each line of standard input, in
 * order: each is answered before the next is sent, so that a line that is refused is named and those before it are
 * known to be published. */
#include "tools/ctl.h"
#include "tools/ctl_terminal.h"

#include "base/utf8.h"

#include <stdio.h>

enum { PAYLOAD_MAX = 1 << 20 };
enum { KEY, TAG, SKIP_HISTORY, LINES, TEXT };

static const struct ctl_option known[] = {
    [KEY] = {.name = "key",
             .kind = CTL_TEXT,
             .value = "KEY",
             .help =
                 "idempotency key: sent again under the same it is published once. With --lines each line has KEY:N "
                 "for its own, N its number"},
    [TAG] = {.name = "tag", .kind = CTL_TEXT, .value = "NAME=VALUE", .many = true, .help = "a tag of the publication"},
    [SKIP_HISTORY] = {.name = "skip-history", .kind = CTL_FLAG, .help = "deliver it, but keep it out of the history"},
    [LINES] = {.name = "lines",
               .kind = CTL_FLAG,
               .help = "each line of standard input that is not empty is a publication"},
    [TEXT] = {.name = "text", .kind = CTL_FLAG, .help = "the data is text: it is sent as a JSON string"},
    {.name = NULL},
};

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

/* What is the same for every line. */
struct publisher {
    const struct ctl_options *options;
    const char *channel;
    const char *key;
    bool skip_history;
    bool as_text;
    struct buffer tags;
    backend_client_t *client;
    struct buffer params;
    struct buffer data; /* with as_text: the string */
};

/* line: its number, 0 where there is only one publication. */
static void put_params(struct publisher *self, uint64_t line) {
    buffer_clear(&self->params);
    buffer_append_char(&self->params, '{');
    ctl_append_member(&self->params, "channel", self->channel);
    if (self->key != NULL && line > 0) {
        char key[512];
        snprintf(key, sizeof key, "%s:%llu", self->key, (unsigned long long) line);
        ctl_append_member(&self->params, "idempotency_key", key);
    } else {
        ctl_append_member(&self->params, "idempotency_key", self->key);
    }
    if (self->tags.size > 0) {
        buffer_append_text(&self->params, ",\"tags\":{");
        buffer_append_span(&self->params, buffer_span(&self->tags));
        buffer_append_char(&self->params, '}');
    }
    buffer_append_text(&self->params, self->skip_history ? ",\"skip_history\":true}" : "}");
}

static int publish(struct publisher *self, struct span data, uint64_t line, struct backend_reply *ret_reply) {
    if (self->as_text) {
        if (!utf8_is_valid(data)) {
            return ctl_usage_error("pub", "--text: the data is not UTF-8");
        }
        buffer_clear(&self->data);
        buffer_append_json_string(&self->data, data);
        data = buffer_span(&self->data);
    }
    put_params(self, line);
    return ctl_request(self->client, self->options, "publish", &self->params, &data, ret_reply);
}

static int publish_one(struct publisher *self, const char *text) {
    struct buffer input;
    struct backend_reply reply;
    bool from_stdin = strcmp(text, "-") == 0;
    buffer_init(&input, PAYLOAD_MAX);
    int result = CTL_DONE;
    if (from_stdin && !ctl_read_stdin(&input)) {
        result = ctl_usage_error("pub", "standard input is longer than %d bytes, or cannot be read", PAYLOAD_MAX);
    } else {
        result = publish(self, from_stdin ? buffer_span(&input) : span_of_text(text), 0, &reply);
    }
    if (result == CTL_DONE) {
        ctl_print_line(reply.body);
    }
    buffer_finish(&input);
    return result;
}

enum line_outcome { LINE_READ, LINE_NONE, LINE_TOO_LONG };

/* Without its line feed; the last one may have none. */
static enum line_outcome read_line(struct buffer *line) {
    int character;
    buffer_clear(line);
    while ((character = getc_unlocked(stdin)) != EOF && character != '\n') {
        if (!buffer_append_char(line, (char) character)) {
            return LINE_TOO_LONG;
        }
    }
    return character == EOF && line->size == 0 ? LINE_NONE : LINE_READ;
}

static int publish_lines(struct publisher *self) {
    struct buffer line;
    uint64_t n_published = 0;
    int result = CTL_DONE;
    enum line_outcome outcome = LINE_NONE;
    uint64_t number = 1;
    buffer_init(&line, PAYLOAD_MAX);
    for (; result == CTL_DONE && (outcome = read_line(&line)) == LINE_READ; number++) {
        struct backend_reply reply;
        if (line.size == 0) {
            continue;
        }
        result = publish(self, buffer_span(&line), number, &reply);
        if (result == CTL_DONE) {
            n_published++;
            if (self->options->json) {
                ctl_print_line(reply.body);
            } else {
                ctl_progress("%llu published", (unsigned long long) n_published);
            }
        }
    }
    ctl_progress_end();
    if (outcome == LINE_TOO_LONG) {
        result = ctl_usage_error("pub", "line %llu is longer than %d bytes", (unsigned long long) number, PAYLOAD_MAX);
    } else if (result != CTL_DONE) {
        fprintf(stderr, "callboardctl pub: line %llu, after %llu that are published\n", (unsigned long long) number - 1,
                (unsigned long long) n_published);
    } else if (!self->options->json) {
        printf("%llu published\n", (unsigned long long) n_published);
    }
    buffer_finish(&line);
    return result;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct publisher self = {.options = options,
                             .channel = ctl_operand(arguments, 0),
                             .key = ctl_text(arguments, KEY),
                             .skip_history = ctl_has(arguments, SKIP_HISTORY),
                             .as_text = ctl_has(arguments, TEXT)};
    bool lines = ctl_has(arguments, LINES);
    const char *data = ctl_operand(arguments, 1);
    size_t at = 0;
    int result = CTL_DONE;
    if (lines == (data != NULL)) {
        return ctl_usage_error("pub", "takes a channel, and the data (or - for standard input) or --lines");
    }
    self.tags = self.params = self.data = BUFFER_EMPTY;
    for (const char *tag; result == CTL_DONE && (tag = ctl_next(arguments, TAG, &at)) != NULL;) {
        if (!append_tag(&self.tags, tag)) {
            result = ctl_usage_error("pub", "--tag takes NAME=VALUE, not '%s'", tag);
        }
    }
    if (result == CTL_DONE && (self.client = ctl_connect(options)) == NULL) {
        result = CTL_USAGE;
    }
    if (result == CTL_DONE) {
        result = lines ? publish_lines(&self) : publish_one(&self, data);
    }
    backend_client_destroy(&self.client);
    buffer_finish(&self.tags);
    buffer_finish(&self.params);
    buffer_finish(&self.data);
    return result;
}

const struct ctl_command ctl_publish_command = {
    .name = "pub",
    .summary = "publish into a channel",
    .description =
        "Publishes DATA, byte for byte; - takes it from standard input, all of it as one publication. Where the "
        "namespace takes JSON only, which is the default, it must be JSON; --text makes a JSON string of it. Prints "
        "the "
        "broker's answer: the offset and epoch of the publication, and whether it was a duplicate.\n\n"
        "With --lines each line of standard input is a publication of its own, in order, sent when it is there and the "
        "one before it was answered; so it may follow a growing file. The first that is refused ends it, is named by "
        "its number, and those before it are published. With --key the same input can be sent again: what was "
        "published "
        "already is not published twice. With -o json each answer is a line; else the end says how many.",
    .operands = (const struct ctl_operand[]){{.name = "CHANNEL", .help = "the channel"},
                                             {.name = "DATA", .optional = true, .help = "the payload, or -"},
                                             {.name = NULL}},
    .options = known,
    .examples = "callboardctl pub demo:hello '{\"text\":\"hi\"}'\n"
                "echo '{\"text\":\"hi\"}' | callboardctl pub demo:hello - --key order-17\n"
                "printf 'one\\ntwo\\n' | callboardctl pub demo:hello --lines --text\n",
    .run = run,
};
