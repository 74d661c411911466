/* See ctl_selftest_client.h: a command goes out as {"id":N,"METHOD":{…}}, and lines are read until the reply of that
 * id. A line {} is the server's ping, and answered. */
#include "tools/ctl_selftest_client.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

enum { FINAL_CLOSE = 3500 };

/* Publications are payloads of any shape, some levels inside their push. */
static const struct json_limits limits = {.depth = 96, .tokens = UINT32_MAX, .names = UINT32_MAX};

static enum ctl_exit fail(struct selftest_client *self, enum ctl_exit result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum ctl_exit fail(struct selftest_client *self, enum ctl_exit result, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(self->error, sizeof self->error, format, values);
    va_end(values);
    return result;
}

/* From 3500 on a close is for good. */
static enum ctl_exit fail_by_socket(struct selftest_client *self, enum ctl_websocket_outcome outcome) {
    if (outcome == CTL_WEBSOCKET_TIMEOUT) {
        return fail(self, CTL_NO_ANSWER, "no answer in %d ms", self->timeout_ms);
    }
    return fail(self, ctl_websocket_close_code(self->socket) >= FINAL_CLOSE ? CTL_REFUSED : CTL_NO_ANSWER, "%s",
                ctl_websocket_error(self->socket));
}

/* ---- lines ---- */

/* The next message that is no ping; good until the next call. */
static enum ctl_exit next_message(struct selftest_client *self, uint64_t deadline_ms, struct json_value *ret_message) {
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        int left_ms = now_ms < deadline_ms ? (int) (deadline_ms - now_ms) : 0;
        struct span line;
        enum ctl_websocket_outcome outcome = ctl_websocket_receive(self->socket, left_ms, &line);
        if (outcome != CTL_WEBSOCKET_DONE) {
            return fail_by_socket(self, outcome);
        }
        if (line.size == 0) {
            continue;
        }
        if (!span_equal_text(line, "{}")) {
            return json_scan(line, &limits, ret_message, NULL) == JSON_OK
                       ? CTL_DONE
                       : fail(self, CTL_REFUSED, "it does not speak the client protocol in JSON: %.*s",
                              (int) (line.size < 80 ? line.size : 80), (const char *) line.data);
        }
        ctl_websocket_send(self->socket, SPAN_LITERAL("{}"), self->timeout_ms);
    }
}

static enum ctl_exit fail_by_reply(struct selftest_client *self, struct json_value error) {
    struct buffer message = BUFFER_EMPTY;
    json_to_u64(json_member(error, "code"), &self->code);
    json_decode_string(json_member(error, "message"), &message);
    fail(self, CTL_REFUSED, "error %llu: %.*s", (unsigned long long) self->code, (int) message.size,
         message.size == 0 ? "" : (const char *) message.data);
    buffer_finish(&message);
    return CTL_REFUSED;
}

static void begin_command(struct selftest_client *self, const char *method) {
    buffer_clear(&self->command);
    buffer_append_format(&self->command, "{\"id\":%llu,\"%s\":{", (unsigned long long) ++self->last_id, method);
}

/* Ends the command, sends it and waits for its reply. */
static enum ctl_exit ask(struct selftest_client *self, const char *method, struct json_value *ret_result) {
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) self->timeout_ms;
    self->code = 0;
    buffer_append_text(&self->command, "}}");
    enum ctl_websocket_outcome outcome =
        ctl_websocket_send(self->socket, buffer_span(&self->command), self->timeout_ms);
    if (outcome != CTL_WEBSOCKET_DONE) {
        return fail_by_socket(self, outcome);
    }
    for (;;) {
        struct json_value reply;
        uint64_t id = 0;
        enum ctl_exit result = next_message(self, deadline_ms, &reply);
        if (result != CTL_DONE) {
            return result;
        }
        if (json_to_u64(json_member(reply, "id"), &id) && id == self->last_id) {
            struct json_value error = json_member(reply, "error");
            *ret_result = json_member(reply, method);
            return error.type == JSON_NONE ? CTL_DONE : fail_by_reply(self, error);
        }
    }
}

/* ---- publications ---- */

void selftest_append_data(struct buffer *out, const char *mark) {
    buffer_append_text(out, "{\"selftest\":");
    buffer_append_json_string(out, span_of_text(mark));
    buffer_append_char(out, '}');
}

static bool has_mark(struct json_value publication, const char *mark) {
    struct span text;
    return json_plain_string(json_member(json_member(publication, "data"), "selftest"), &text) &&
           span_equal_text(text, mark);
}

static bool any_has_mark(struct json_value publications, const char *mark) {
    struct json_iterator each = json_iterate(publications);
    struct json_value name;
    struct json_value publication;
    while (json_next(&each, &name, &publication)) {
        if (has_mark(publication, mark)) {
            return true;
        }
    }
    return false;
}

/* ---- the calls ---- */

void selftest_client_init(struct selftest_client *self, int timeout_ms) {
    *self = (struct selftest_client){.timeout_ms = timeout_ms, .command = BUFFER_EMPTY};
}

void selftest_client_cut(struct selftest_client *self) {
    ctl_websocket_destroy(&self->socket);
}

void selftest_client_finish(struct selftest_client *self) {
    selftest_client_cut(self);
    buffer_finish(&self->command);
}

static void append_token(struct selftest_client *self, const char *before, struct span token) {
    if (token.size > 0) {
        buffer_append_format(&self->command, "%s\"token\":", before);
        buffer_append_json_string(&self->command, token);
    }
}

enum ctl_exit selftest_client_connect(struct selftest_client *self, const struct ctl_websocket_target *target,
                                      struct span token) {
    struct json_value result;
    selftest_client_cut(self);
    self->code = 0;
    self->socket = ctl_websocket_new(target, self->error, sizeof self->error);
    if (self->socket == NULL) {
        return CTL_USAGE;
    }
    enum ctl_websocket_outcome outcome = ctl_websocket_open(self->socket, self->timeout_ms);
    if (outcome != CTL_WEBSOCKET_DONE) {
        return fail_by_socket(self, outcome);
    }
    begin_command(self, "connect");
    append_token(self, "", token);
    return ask(self, "connect", &result);
}

enum ctl_exit selftest_client_subscribe(struct selftest_client *self, const char *channel, struct span token,
                                        const struct position *since, const char *mark,
                                        struct selftest_subscribed *ret) {
    struct json_value result;
    struct span epoch = SPAN_EMPTY;
    begin_command(self, "subscribe");
    ctl_append_member(&self->command, "channel", channel);
    append_token(self, ",", token);
    buffer_append_text(&self->command, ",\"recoverable\":true,\"positioned\":true");
    if (since != NULL) {
        buffer_append_format(&self->command,
                             ",\"recover\":true,\"offset\":%llu,\"epoch\":", (unsigned long long) since->offset);
        buffer_append_json_string(&self->command, epoch_span(&since->epoch));
    }
    enum ctl_exit outcome = ask(self, "subscribe", &result);
    if (outcome != CTL_DONE) {
        return outcome;
    }
    *ret = (struct selftest_subscribed){.has_mark = any_has_mark(json_member(result, "publications"), mark)};
    json_to_bool(json_member(result, "recoverable"), &ret->recoverable);
    json_to_bool(json_member(result, "recovered"), &ret->recovered);
    json_to_u64(json_member(result, "offset"), &ret->position.offset); /* not there: 0 */
    json_plain_string(json_member(result, "epoch"), &epoch);
    ret->position.epoch = epoch_from(epoch);
    return CTL_DONE;
}

enum ctl_exit selftest_client_publish(struct selftest_client *self, const char *channel, const char *mark) {
    struct json_value result;
    begin_command(self, "publish");
    ctl_append_member(&self->command, "channel", channel);
    buffer_append_text(&self->command, ",\"data\":");
    selftest_append_data(&self->command, mark);
    return ask(self, "publish", &result);
}

enum ctl_exit selftest_client_await(struct selftest_client *self, const char *mark, uint64_t *ret_offset) {
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) self->timeout_ms;
    for (;;) {
        struct json_value message;
        enum ctl_exit result = next_message(self, deadline_ms, &message);
        if (result != CTL_DONE) {
            return result;
        }
        struct json_value publication = json_member(json_member(message, "push"), "pub");
        if (has_mark(publication, mark)) {
            json_to_u64(json_member(publication, "offset"), ret_offset);
            return CTL_DONE;
        }
    }
}
