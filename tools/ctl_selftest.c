/* callboardctl selftest: is what clients need there? One user of a running set-up does what all do, through the same
 * addresses, and each step says how long it took.
 *
 *     reader   connect ─▶ subscribe ─────────────▶ receive ─▶ (cut)              ─▶ connect ─▶ recover
 *     writer   connect ─▶ subscribe ─▶ publish 1 ─────────────────▶ publish 2          with 2, which was missed
 *
 * With --backend the writer is a service of the brokers instead. The first step that fails ends it, and says what may
 * mend it. */
#include "tools/ctl.h"
#include "tools/ctl_signer.h"

#include "base/clock.h"
#include "base/config_assign.h"
#include "base/error_code.h"
#include "base/random.h"
#include "client/gateway_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { MARK_LENGTH = 22, TOKEN_TTL_S = 600, AGAIN_MS = 500, TOKEN_FILE_MAX = 16 * 1024 };

enum { URL, CONFIG, TOKEN_FILE, USER, BACKEND, WAIT, CA, INSECURE };

static const struct ctl_option known[] = {
    [URL] = {.name = "url",
             .kind = CTL_TEXT,
             .value = "URL",
             .initial = "ws://127.0.0.1:8000/connection/websocket",
             .help = "the gateways, or what stands before them: ws:// or wss://HOST[:PORT][/PATH]"},
    [CONFIG] = {.name = "config",
                .kind = CTL_FILE,
                .value = "FILE",
                .help = "sign tokens with the token.secret of this configuration, for its audience and issuer"},
    [TOKEN_FILE] = {.name = "token-file",
                    .kind = CTL_FILE,
                    .value = "FILE",
                    .help = "connect with the token that stands here. With neither it connects without one"},
    [USER] = {.name = "user",
              .kind = CTL_TEXT,
              .value = "USER",
              .initial = "callboardctl-selftest",
              .help = "whom the tokens of --config are for"},
    [BACKEND] = {.name = "backend",
                 .kind = CTL_FLAG,
                 .help =
                     "publish as a service, at --endpoint with --curve-key: for namespaces in which clients may not"},
    [WAIT] = {.name = "wait",
              .kind = CTL_DURATION,
              .value = "TIME",
              .minimum = 0,
              .maximum = (uint64_t) 3600 * 1000000,
              .initial = "0s",
              .help = "try to connect for so long, where the set-up has only just been started"},
    [CA] = {.name = "ca",
            .kind = CTL_FILE,
            .value = "FILE",
            .initial = "the system's",
            .help = "wss: certificates of authorities, in PEM"},
    [INSECURE] = {.name = "insecure", .kind = CTL_FLAG, .help = "wss: any certificate will do"},
    {.name = NULL},
};

struct selftest {
    const struct ctl_options *options;
    struct websocket_client_target target;
    const char *channel;
    const char *user;
    struct ctl_signer signer; /* no key: no --config */
    struct buffer token;      /* to connect with; empty: none */
    struct buffer subscription_token;
    uint64_t wait_ms;
    bool by_backend;
    struct gateway_client reader;
    struct gateway_client writer;
    backend_client_t *backend;
    char marks[2][MARK_LENGTH + 1];
    bool has_come[2];         /* each mark, to the reader */
    struct position position; /* the reader's */
    uint64_t began_ms;        /* of the step */
};

/* ---- what is said ---- */

static void begin(struct selftest *self) {
    self->began_ms = clock_monotonic_ms();
}

static void tell(const struct selftest *self, const char *step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const struct selftest *self, const char *step, const char *format, ...) {
    unsigned long long took_ms = clock_monotonic_ms() - self->began_ms;
    char text[GATEWAY_CLIENT_ERROR_SIZE];
    struct buffer line = BUFFER_EMPTY;
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (self->options->json) {
        buffer_append_text(&line, "{\"step\":");
        buffer_append_json_string(&line, span_of_text(step));
        buffer_append_format(&line, ",\"ms\":%llu,\"detail\":", took_ms);
        buffer_append_json_string(&line, span_of_text(text));
        buffer_append_char(&line, '}');
    } else {
        buffer_append_format(&line, "%-10s %5llu ms  %s", step, took_ms, text);
    }
    ctl_print_line(buffer_span(&line));
    fflush(stdout);
    buffer_finish(&line);
}

/* A step failed: why, and what may mend it. */
static int fail(const char *step, enum ctl_exit result, const char *error, const char *mend) {
    fprintf(stderr, "callboardctl selftest: %s: %s\n", step, error);
    if (mend != NULL) {
        fprintf(stderr, "  %s\n", mend);
    }
    return (int) result;
}

static const char *mend_connect(const struct selftest *self, enum ctl_exit result) {
    if (result == CTL_USAGE) {
        return NULL;
    }
    if (result == CTL_NO_ANSWER && strstr(self->reader.error, "SSL") != NULL) {
        return "is TLS spoken there, and is the certificate of an authority that is known here (--ca FILE), for this "
               "name? --insecure takes any";
    }
    if (result == CTL_NO_ANSWER) {
        return "is a gateway there, and is --url its public address with the path /connection/websocket?";
    }
    return self->token.size == 0
               ? "it wants a token: --config FILE with the gateways' configuration, or --token-file FILE"
               : "do secret, audience and issuer of the token agree with the gateways' token.*?";
}

static const char *mend_subscribe(uint64_t code) {
    switch (code) {
    case ERROR_UNKNOWN_CHANNEL:
        return "the channel's namespace does not exist: name a channel of one that does";
    case ERROR_PERMISSION_DENIED:
        return "its namespace lets clients not subscribe (allow_subscribe_for_client); with --config there is a "
               "subscription token for it";
    default:
        return "is a broker there? Look at /health of gateways and brokers, or ask callboardctl doctor";
    }
}

static const char *mend_publish(uint64_t code) {
    return code == ERROR_PERMISSION_DENIED
               ? "its namespace lets clients not publish (allow_publish_for_subscriber): "
                 "take a channel of another one, or publish with --backend"
               : "is Redis there? Look at /health of the brokers, or ask callboardctl doctor";
}

/* ---- what is published: {"selftest":"MARK"} ---- */

static void append_data(struct buffer *out, const char *mark) {
    buffer_append_text(out, "{\"selftest\":");
    buffer_append_json_string(out, span_of_text(mark));
    buffer_append_char(out, '}');
}

/* Others publish in the channel, too. */
static void on_publication(void *context, const struct gateway_publication *publication) {
    struct selftest *self = context;
    struct span text;
    if (!json_plain_string(json_member(publication->data, "selftest"), &text)) {
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        if (span_equal_text(text, self->marks[i])) {
            self->has_come[i] = true;
            self->position.offset = publication->offset;
        }
    }
}

/* ---- the steps ---- */

static enum ctl_exit exit_of(enum gateway_outcome outcome) {
    switch (outcome) {
    case GATEWAY_DONE:
        return CTL_DONE;
    case GATEWAY_REFUSED:
        return CTL_REFUSED;
    case GATEWAY_USAGE:
        return CTL_USAGE;
    case GATEWAY_SILENT:
        break;
    }
    return CTL_NO_ANSWER;
}

static void pause_before_again(void) {
    usleep(AGAIN_MS * 1000);
}

/* The reader's first: what answers "no" is there, what does not answer may still come. */
static int connect_patiently(struct selftest *self) {
    uint64_t until_ms = clock_monotonic_ms() + self->wait_ms;
    for (;;) {
        enum ctl_exit result = exit_of(gateway_client_connect(&self->reader, &self->target, buffer_span(&self->token)));
        if (result == CTL_DONE) {
            tell(self, "connected", "%s", self->target.url);
            return CTL_DONE;
        }
        if (result != CTL_NO_ANSWER || clock_monotonic_ms() + AGAIN_MS > until_ms) {
            return fail("connect", result, self->reader.error, mend_connect(self, result));
        }
        pause_before_again();
    }
}

static enum ctl_exit subscribe_client(const struct selftest *self, struct gateway_client *client,
                                      const struct position *since, struct gateway_subscribed *ret) {
    return exit_of(gateway_client_subscribe(client, self->channel, buffer_span(&self->subscription_token), since, ret));
}

static int subscribe(struct selftest *self) {
    struct gateway_subscribed subscribed;
    begin(self);
    enum ctl_exit result = subscribe_client(self, &self->reader, NULL, &subscribed);
    if (result != CTL_DONE) {
        return fail("subscribe", result, self->reader.error, mend_subscribe(self->reader.code));
    }
    if (!subscribed.recoverable) {
        return fail("subscribe", CTL_REFUSED, "the channel cannot be recovered",
                    "its namespace has no history (history_size, history_ttl), or without --config no recovery for "
                    "clients (force_recovery, allow_recovery): take a channel of another one");
    }
    self->position = subscribed.position;
    tell(self, "subscribed", "%s at offset %llu of epoch %s", self->channel,
         (unsigned long long) subscribed.position.offset, subscribed.position.epoch.text);
    return CTL_DONE;
}

static int prepare_writer(struct selftest *self) {
    struct gateway_subscribed subscribed;
    if (self->by_backend) {
        self->backend = ctl_connect(self->options);
        return self->backend == NULL ? CTL_USAGE : CTL_DONE;
    }
    begin(self);
    enum ctl_exit result = exit_of(gateway_client_connect(&self->writer, &self->target, buffer_span(&self->token)));
    if (result == CTL_DONE) {
        result = subscribe_client(self, &self->writer, NULL, &subscribed);
    }
    return result == CTL_DONE ? CTL_DONE : fail("connect again", result, self->writer.error, NULL);
}

static int publish_by_backend(struct selftest *self, const struct span *payload) {
    struct buffer params = BUFFER_EMPTY;
    struct backend_reply reply;
    buffer_append_char(&params, '{');
    ctl_append_member(&params, "channel", self->channel);
    buffer_append_char(&params, '}');
    int result = ctl_request(self->backend, self->options, "publish", &params, payload, &reply);
    buffer_finish(&params);
    return result;
}

static int publish(struct selftest *self, const char *mark, const char *detail) {
    struct buffer data = BUFFER_EMPTY;
    int result = CTL_DONE;
    begin(self);
    append_data(&data, mark);
    struct span payload = buffer_span(&data);
    if (self->by_backend) {
        result = publish_by_backend(self, &payload);
    } else {
        result = (int) exit_of(gateway_client_publish(&self->writer, self->channel, payload));
        if (result != CTL_DONE) {
            fail("publish", (enum ctl_exit) result, self->writer.error, mend_publish(self->writer.code));
        }
    }
    if (result == CTL_DONE) {
        tell(self, "published", "%s%s", self->by_backend ? "as a service" : "as a client", detail);
    }
    buffer_finish(&data);
    return result;
}

static int receive(struct selftest *self) {
    enum ctl_exit result = CTL_DONE;
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) self->options->timeout_ms;
    begin(self);
    while (result == CTL_DONE && !self->has_come[0]) {
        uint64_t now_ms = clock_monotonic_ms();
        result =
            exit_of(gateway_client_receive(&self->reader, now_ms < deadline_ms ? (int) (deadline_ms - now_ms) : 0));
    }
    if (result != CTL_DONE) {
        return fail("receive", result, self->reader.error,
                    "it was published and did not come: ask callboardctl doctor, and look at the brokers' log");
    }
    tell(self, "received", "offset %llu", (unsigned long long) self->position.offset);
    return CTL_DONE;
}

static int recover(struct selftest *self) {
    struct gateway_subscribed subscribed;
    begin(self);
    struct position since = self->position;
    enum ctl_exit result = exit_of(gateway_client_connect(&self->reader, &self->target, buffer_span(&self->token)));
    if (result == CTL_DONE) {
        result = subscribe_client(self, &self->reader, &since, &subscribed);
    }
    if (result != CTL_DONE) {
        return fail("recover", result, self->reader.error, NULL);
    }
    if (!subscribed.recovered || !self->has_come[1]) {
        return fail("recover", CTL_REFUSED,
                    subscribed.recovered ? "what was published meanwhile did not come" : "the server could not recover",
                    "is the history long enough (history_size, history_ttl) for what else is published in the "
                    "channel?");
    }
    tell(self, "recovered", "what was published meanwhile");
    return CTL_DONE;
}

static int test(struct selftest *self) {
    begin(self);
    int result = connect_patiently(self);
    if (result == CTL_DONE) {
        result = subscribe(self);
    }
    if (result == CTL_DONE) {
        result = prepare_writer(self);
    }
    if (result == CTL_DONE) {
        result = publish(self, self->marks[0], "");
    }
    if (result == CTL_DONE) {
        result = receive(self);
    }
    if (result == CTL_DONE) {
        gateway_client_cut(&self->reader);
        result = publish(self, self->marks[1], ", while the reader's connection was cut");
    }
    return result == CTL_DONE ? recover(self) : result;
}

/* ---- the command ---- */

static int read_token(const char *file, struct buffer *token) {
    const char *reason;
    if (!config_read_file(file, TOKEN_FILE_MAX, token, &reason)) {
        fprintf(stderr, "callboardctl selftest: cannot read %s: %s\n", file, reason);
        return CTL_USAGE;
    }
    while (token->size > 0 && strchr("\r\n \t", token->data[token->size - 1]) != NULL) {
        token->size--;
    }
    return CTL_DONE;
}

static int sign_tokens(struct selftest *self, const char *config) {
    int result = ctl_signer_read("selftest", config, &self->signer);
    if (result == CTL_DONE) {
        ctl_signer_append_token(&self->signer, self->user, NULL, TOKEN_TTL_S, &self->token);
        ctl_signer_append_token(&self->signer, self->user, self->channel, TOKEN_TTL_S, &self->subscription_token);
    }
    return result;
}

static int take_arguments(const struct ctl_arguments *arguments, struct selftest *self) {
    const char *url = ctl_text(arguments, URL);
    const char *config = ctl_text(arguments, CONFIG);
    const char *token_file = ctl_text(arguments, TOKEN_FILE);
    const char *user = ctl_text(arguments, USER);
    self->channel = ctl_operand(arguments, 0);
    self->user = user == NULL ? known[USER].initial : user;
    self->wait_ms = ctl_number(arguments, WAIT, 0) / 1000;
    self->by_backend = ctl_has(arguments, BACKEND);
    self->target = (struct websocket_client_target){.url = url == NULL ? known[URL].initial : url,
                                                    .ca_file = ctl_text(arguments, CA),
                                                    .is_unjudged = ctl_has(arguments, INSECURE)};
    if (config != NULL && token_file != NULL) {
        return ctl_usage_error("selftest", "--config and --token-file: one of them");
    }
    if (token_file != NULL) {
        return read_token(token_file, &self->token);
    }
    return config == NULL ? CTL_DONE : sign_tokens(self, config);
}

static void finish(struct selftest *self) {
    gateway_client_finish(&self->reader);
    gateway_client_finish(&self->writer);
    backend_client_destroy(&self->backend);
    ctl_signer_finish(&self->signer);
    buffer_finish(&self->token);
    buffer_finish(&self->subscription_token);
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct selftest self = {.options = options, .token = BUFFER_EMPTY, .subscription_token = BUFFER_EMPTY};
    int result = take_arguments(arguments, &self);
    const struct gateway_client_listener listener = {.on_publication = on_publication, .context = &self};
    gateway_client_init(&self.reader, options->timeout_ms, &listener);
    gateway_client_init(&self.writer, options->timeout_ms, NULL);
    random_base62(self.marks[0], MARK_LENGTH);
    random_base62(self.marks[1], MARK_LENGTH);
    if (result == CTL_DONE) {
        result = test(&self);
    }
    if (result == CTL_DONE && !options->json) {
        puts("All is well.");
    }
    finish(&self);
    return result;
}

const struct ctl_command ctl_selftest_command = {
    .name = "selftest",
    .summary = "publish, receive, and recover after a cut, as a client does",
    .description =
        "Connects to the gateways over a WebSocket, subscribes to CHANNEL, publishes there, waits for the publication, "
        "cuts its connection, publishes again, connects again and recovers what it missed. Each step is a line with "
        "the time that it took. The first one that fails ends it, and says what may mend it.\n\n"
        "CHANNEL is best one of its own, in a namespace that keeps a history: two small publications stay in it. "
        "Clients must be allowed to publish there, unless --backend is given.",
    .operands = (const struct ctl_operand[]){{.name = "CHANNEL", .help = "the channel"}, {.name = NULL}},
    .options = known,
    .examples = "callboardctl selftest --config callboard.yaml demo:selftest\n"
                "callboardctl selftest --config callboard.yaml --backend demo:selftest -o json\n",
    .run = run,
};
