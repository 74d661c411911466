/* callboardctl sub: prints publications as they come, from a position on where one is given; ends with --count or
 * Ctrl-C.
 *
 * A subscription is gone with its connection, and nothing tells that: so after each silence it subscribes again from
 * the last position. "Already subscribed" says that all is well. */
#include "tools/ctl.h"

#include "base/error_code.h"
#include "base/json_scan.h"
#include "base/position.h"

#include <stdio.h>

enum { SILENCE_MS = 2000 };
enum { SINCE, COUNT };

static const struct ctl_option known[] = {
    [SINCE] = {.name = "since",
               .kind = CTL_TEXT,
               .value = "EPOCH:OFFSET",
               .help = "begin behind this position, out of the history"},
    [COUNT] = {.name = "count",
               .kind = CTL_NUMBER,
               .value = "N",
               .minimum = 1,
               .maximum = UINT64_MAX,
               .initial = "never",
               .help = "end after so many publications"},
    {.name = NULL},
};

struct reader {
    const struct ctl_options *options;
    const char *channel;
    const char *since; /* as given; NULL: none */
    backend_client_t *client;
    struct position position; /* empty epoch: none yet */
    struct buffer params;
    bool is_lost; /* it was said that the broker does not answer */
};

static void take_position(struct reader *self, struct json_value body) {
    struct span epoch;
    uint64_t offset;
    if (json_plain_string(json_member(body, "epoch"), &epoch) && json_to_u64(json_member(body, "offset"), &offset)) {
        self->position = (struct position){epoch_from(epoch), offset};
    }
}

static struct json_value scan(struct span body) {
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json_value object;
    return json_scan(body, &limits, &object, NULL) == JSON_OK ? object : JSON_ABSENT;
}

/* ---- subscribing ---- */

/* False: --since is none. */
static bool put_params(struct reader *self) {
    char text[POSITION_TEXT_SIZE];
    buffer_clear(&self->params);
    buffer_append_char(&self->params, '{');
    ctl_append_member(&self->params, "channel", self->channel);
    bool is_known = !epoch_is_empty(&self->position.epoch);
    position_format(&self->position, text, sizeof text);
    const char *since = is_known ? text : self->since;
    return (since == NULL || ctl_append_since(&self->params, since)) && buffer_append_char(&self->params, '}');
}

static int subscribe(struct reader *self) {
    struct backend_reply reply;
    if (!put_params(self)) {
        return ctl_usage_error("sub", "--since takes EPOCH:OFFSET, not '%s'", self->since);
    }
    int result = ctl_request(self->client, self->options, "subscribe", &self->params, NULL, &reply);
    if (result == CTL_DONE) {
        fprintf(stderr, "subscribed to %s: %.*s\n", self->channel, (int) reply.body.size,
                (const char *) reply.body.data);
        if (self->since == NULL) { /* else events out of the history follow, each with its own */
            take_position(self, scan(reply.body));
        }
    }
    return result;
}

/* CTL_DONE: read on. */
static int subscribe_again(struct reader *self) {
    struct backend_reply reply;
    uint64_t code = 0;
    put_params(self);
    enum backend_outcome outcome = backend_client_request(self->client, "subscribe", buffer_span(&self->params), NULL,
                                                          self->options->timeout_ms, &reply);
    if (outcome == BACKEND_TIMEOUT || outcome == BACKEND_PROTOCOL) {
        if (!self->is_lost) {
            fprintf(stderr, "no answer from %s; waiting for it\n", self->options->client.endpoint);
        }
        self->is_lost = true;
        return CTL_DONE;
    }
    self->is_lost = false;
    if (outcome == BACKEND_OK) {
        fprintf(stderr, "subscribed again to %s: %.*s\n", self->channel, (int) reply.body.size,
                (const char *) reply.body.data);
        return CTL_DONE;
    }
    json_to_u64(json_member(scan(reply.body), "code"), &code);
    if (code == ERROR_ALREADY_SUBSCRIBED) {
        return CTL_DONE;
    }
    fprintf(stderr, "callboardctl: not subscribed any more: %.*s\n", (int) reply.body.size,
            (const char *) reply.body.data);
    return CTL_REFUSED;
}

/* ---- events ---- */

/* Text: the payload; what is no publication (join, leave, gap, end) goes to stderr. JSON: the body, with the payload
 * in it. True: it was a publication. */
static bool take_event(struct reader *self, const struct backend_reply *event) {
    struct json_value body = scan(event->body);
    struct span type = SPAN_EMPTY;
    json_plain_string(json_member(body, "type"), &type);
    bool is_publication = span_equal_text(type, "publication");
    if (is_publication || span_equal_text(type, "gap")) {
        take_position(self, body);
    }
    if (self->options->json && is_publication) {
        ctl_print_with_data(event);
    } else if (self->options->json) {
        ctl_print_line(event->body);
    } else if (is_publication) {
        ctl_print_line(event->payload);
    } else {
        fprintf(stderr, "%.*s\n", (int) event->body.size, (const char *) event->body.data);
    }
    return is_publication;
}

static int read_on(struct reader *self, uint64_t count) {
    int result = CTL_DONE;
    for (uint64_t printed = 0; result == CTL_DONE && (count == 0 || printed < count);) {
        struct backend_reply event;
        switch (backend_client_next_event(self->client, SILENCE_MS, &event)) {
        case BACKEND_EVENT:
            printed += take_event(self, &event) ? 1 : 0;
            break;
        case BACKEND_OK:
        case BACKEND_ERROR:
        case BACKEND_TIMEOUT:
        case BACKEND_PROTOCOL:
            result = subscribe_again(self);
            break;
        }
    }
    return result;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct reader self = {.options = options,
                          .channel = ctl_operand(arguments, 0),
                          .since = ctl_text(arguments, SINCE),
                          .params = BUFFER_EMPTY,
                          .client = ctl_connect(options)};
    int result = CTL_USAGE;
    if (self.client != NULL) {
        result = subscribe(&self);
    }
    if (result == CTL_DONE) {
        result = read_on(&self, ctl_number(arguments, COUNT, 0));
    }
    backend_client_destroy(&self.client);
    buffer_finish(&self.params);
    return result;
}

const struct ctl_command ctl_subscribe_command = {
    .name = "sub",
    .summary = "print publications as they come",
    .description =
        "Prints the payload of each publication on a line of its own; joins, leaves and gaps go to standard error. "
        "With "
        "-o json each event is a line of JSON, with the payload as its data (b64data where it is no JSON).\n\n"
        "When the connection or the broker goes it subscribes again from the last position, and goes on without a hole "
        "where the history still holds what was missed; else there is an event of the type gap. It ends with Ctrl-C, "
        "or "
        "after --count publications.",
    .operands = (const struct ctl_operand[]){{.name = "CHANNEL", .help = "the channel"}, {.name = NULL}},
    .options = known,
    .examples = "callboardctl sub demo:hello\n"
                "callboardctl sub demo:hello --count 1 -o json\n",
    .run = run,
};
