/* See gateway_client.h: a command goes out as {"id":N,"METHOD":{…}}, and lines are read until the reply of that id; a
 * push on the way is told to the listener. A line {} is the server's ping, and answered.
 *
 * Failure modes: a close code from 3500 on is for good (REFUSED), any other end may be tried again (SILENT); what is no
 * JSON of the client protocol is REFUSED, with its first bytes in the error. */
#include "client/gateway_client.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

enum { FINAL_CLOSE = 3500 };

/* Publications are payloads of any shape, some levels inside their push. */
static const struct json_limits limits = {.depth = 96, .tokens = UINT32_MAX, .names = UINT32_MAX};

static enum gateway_outcome fail(struct gateway_client *self, enum gateway_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum gateway_outcome fail(struct gateway_client *self, enum gateway_outcome outcome, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(self->error, sizeof self->error, format, values);
    va_end(values);
    return outcome;
}

/* From 3500 on a close is for good. */
static enum gateway_outcome fail_by_socket(struct gateway_client *self, enum websocket_client_outcome outcome,
                                           int timeout_ms) {
    if (outcome == WEBSOCKET_CLIENT_TIMEOUT) {
        return fail(self, GATEWAY_SILENT, "no answer in %d ms", timeout_ms);
    }
    return fail(self, websocket_client_close_code(self->socket) >= FINAL_CLOSE ? GATEWAY_REFUSED : GATEWAY_SILENT, "%s",
                websocket_client_error(self->socket));
}

/* ---- what is pushed ---- */

static void tell_publication(struct gateway_client *self, struct span channel, struct json_value publication,
                             bool is_recovered) {
    struct gateway_publication told = {
        .channel = channel, .data = json_member(publication, "data"), .is_recovered = is_recovered};
    json_to_u64(json_member(publication, "offset"), &told.offset); /* not there: 0 */
    if (self->listener.on_publication != NULL) {
        self->listener.on_publication(self->listener.context, &told);
    }
}

static void take_push(struct gateway_client *self, struct json_value push) {
    struct span channel = SPAN_EMPTY;
    struct json_value publication = json_member(push, "pub");
    struct json_value unsubscribe = json_member(push, "unsubscribe");
    uint64_t code = 0;
    json_plain_string(json_member(push, "channel"), &channel);
    if (publication.type == JSON_OBJECT) {
        tell_publication(self, channel, publication, false);
    } else if (unsubscribe.type == JSON_OBJECT && self->listener.on_unsubscribed != NULL) {
        json_to_u64(json_member(unsubscribe, "code"), &code);
        self->listener.on_unsubscribed(self->listener.context, channel, code);
    }
}

static void take_missed(struct gateway_client *self, const char *channel, struct json_value publications) {
    struct json_iterator each = json_iterate(publications);
    struct json_value name;
    struct json_value publication;
    while (json_next(&each, &name, &publication)) {
        tell_publication(self, span_of_text(channel), publication, true);
    }
}

/* ---- lines ---- */

/* The next message that is no ping, a push told already; good until the next call. */
static enum gateway_outcome next_message(struct gateway_client *self, int timeout_ms, struct json_value *ret_message) {
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) timeout_ms;
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        struct span line;
        enum websocket_client_outcome outcome =
            websocket_client_receive(self->socket, now_ms < deadline_ms ? (int) (deadline_ms - now_ms) : 0, &line);
        if (outcome != WEBSOCKET_CLIENT_DONE) {
            return fail_by_socket(self, outcome, timeout_ms);
        }
        if (line.size == 0) {
            continue;
        }
        if (span_equal_text(line, "{}")) {
            websocket_client_send(self->socket, SPAN_LITERAL("{}"), self->timeout_ms);
            continue;
        }
        if (json_scan(line, &limits, ret_message, NULL) != JSON_OK) {
            return fail(self, GATEWAY_REFUSED, "it does not speak the client protocol in JSON: %.*s",
                        (int) (line.size < 80 ? line.size : 80), (const char *) line.data);
        }
        take_push(self, json_member(*ret_message, "push"));
        return GATEWAY_DONE;
    }
}

static enum gateway_outcome fail_by_reply(struct gateway_client *self, struct json_value error) {
    struct buffer message = BUFFER_EMPTY;
    json_to_u64(json_member(error, "code"), &self->code);
    json_decode_string(json_member(error, "message"), &message);
    fail(self, GATEWAY_REFUSED, "error %llu: %.*s", (unsigned long long) self->code, (int) message.size,
         message.size == 0 ? "" : (const char *) message.data);
    buffer_finish(&message);
    return GATEWAY_REFUSED;
}

static void begin_command(struct gateway_client *self, const char *method) {
    buffer_clear(&self->command);
    buffer_append_format(&self->command, "{\"id\":%llu,\"%s\":{", (unsigned long long) ++self->last_id, method);
}

/* Ends the command, sends it and waits for its reply. */
static enum gateway_outcome ask(struct gateway_client *self, const char *method, struct json_value *ret_result) {
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) self->timeout_ms;
    self->code = 0;
    buffer_append_text(&self->command, "}}");
    enum websocket_client_outcome sent =
        websocket_client_send(self->socket, buffer_span(&self->command), self->timeout_ms);
    if (sent != WEBSOCKET_CLIENT_DONE) {
        return fail_by_socket(self, sent, self->timeout_ms);
    }
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        struct json_value reply;
        uint64_t id = 0;
        enum gateway_outcome outcome =
            next_message(self, now_ms < deadline_ms ? (int) (deadline_ms - now_ms) : 0, &reply);
        if (outcome != GATEWAY_DONE) {
            return outcome;
        }
        if (json_to_u64(json_member(reply, "id"), &id) && id == self->last_id) {
            struct json_value error = json_member(reply, "error");
            *ret_result = json_member(reply, method);
            return error.type == JSON_NONE ? GATEWAY_DONE : fail_by_reply(self, error);
        }
    }
}

/* ---- the calls ---- */

void gateway_client_init(struct gateway_client *self, int timeout_ms, const struct gateway_client_listener *listener) {
    *self = (struct gateway_client){.timeout_ms = timeout_ms, .command = BUFFER_EMPTY};
    if (listener != NULL) {
        self->listener = *listener;
    }
}

void gateway_client_cut(struct gateway_client *self) {
    websocket_client_destroy(&self->socket);
}

bool gateway_client_is_cut(const struct gateway_client *self) {
    return self->socket == NULL || websocket_client_error(self->socket)[0] != '\0';
}

void gateway_client_finish(struct gateway_client *self) {
    gateway_client_cut(self);
    buffer_finish(&self->command);
}

static void append_token(struct gateway_client *self, const char *before, struct span token) {
    if (token.size > 0) {
        buffer_append_format(&self->command, "%s\"token\":", before);
        buffer_append_json_string(&self->command, token);
    }
}

static void append_channel(struct gateway_client *self, const char *channel) {
    buffer_append_text(&self->command, "\"channel\":");
    buffer_append_json_string(&self->command, span_of_text(channel));
}

enum gateway_outcome gateway_client_connect(struct gateway_client *self, const struct websocket_client_target *target,
                                            struct span token) {
    struct json_value result;
    gateway_client_cut(self);
    self->code = 0;
    self->socket = websocket_client_new(target, self->error, sizeof self->error);
    if (self->socket == NULL) {
        return GATEWAY_USAGE;
    }
    enum websocket_client_outcome outcome = websocket_client_open(self->socket, self->timeout_ms);
    if (outcome != WEBSOCKET_CLIENT_DONE) {
        return fail_by_socket(self, outcome, self->timeout_ms);
    }
    begin_command(self, "connect");
    append_token(self, "", token);
    return ask(self, "connect", &result);
}

enum gateway_outcome gateway_client_subscribe(struct gateway_client *self, const char *channel, struct span token,
                                              const struct position *since, struct gateway_subscribed *ret) {
    struct json_value result;
    struct span epoch = SPAN_EMPTY;
    begin_command(self, "subscribe");
    append_channel(self, channel);
    append_token(self, ",", token);
    buffer_append_text(&self->command, ",\"recoverable\":true,\"positioned\":true");
    if (since != NULL) {
        buffer_append_format(&self->command,
                             ",\"recover\":true,\"offset\":%llu,\"epoch\":", (unsigned long long) since->offset);
        buffer_append_json_string(&self->command, epoch_span(&since->epoch));
    }
    enum gateway_outcome outcome = ask(self, "subscribe", &result);
    if (outcome != GATEWAY_DONE) {
        return outcome;
    }
    *ret = (struct gateway_subscribed){.recovered = false};
    json_to_bool(json_member(result, "recoverable"), &ret->recoverable);
    json_to_bool(json_member(result, "recovered"), &ret->recovered);
    json_to_u64(json_member(result, "offset"), &ret->position.offset); /* not there: 0 */
    json_plain_string(json_member(result, "epoch"), &epoch);
    ret->position.epoch = epoch_from(epoch);
    take_missed(self, channel, json_member(result, "publications"));
    return GATEWAY_DONE;
}

enum gateway_outcome gateway_client_publish(struct gateway_client *self, const char *channel, struct span data) {
    struct json_value result;
    begin_command(self, "publish");
    append_channel(self, channel);
    buffer_append_text(&self->command, ",\"data\":");
    buffer_append_span(&self->command, data);
    return ask(self, "publish", &result);
}

enum gateway_outcome gateway_client_receive(struct gateway_client *self, int timeout_ms) {
    struct json_value message;
    return next_message(self, timeout_ms, &message);
}
