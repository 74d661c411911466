/* A session's way in: messages, their commands one after another, and what has to wait.
 *
 * A whole message is cut into commands, each is decoded and dispatched by a table, and is answered at once or when hub
 * or broker have answered. A command must wait where it would overtake another: when commands_in_flight are on their
 * way, and when a subscribe of the same channel, or what a hook must allow there, is. Then the rest of the message and
 * every later message are kept, the transport stops reading, and the flush after an answer goes on with them; so the
 * order is the client's.
 *
 * Failure modes:
 *  - The client's mistakes: error replies or disconnects as in client-protocol.md 7–11.
 *  - More than commands_per_second (burst twice that): error 111. A second in which that happened is a strike; the
 * third strike before the client has been quiet long enough for its whole burst closes with 3013.
 *  - Too much kept while reading is paused (the transport may hand over what it had read already): 3013. */
#include "gateway/session/session_commands.h"

#include "base/clock.h"
#include "base/json_scan.h"
#include "base/memory.h"
#include "base/utf8.h"

enum {
    US_PER_SECOND = 1000000,
    BURST_SECONDS = 2,
    STRIKES_MAX = 3,
    DEFERRED_MESSAGES_MAX = 4, /* times client.message_size_max */
};

struct deferred_message {
    struct list_link link;
    size_t at; /* what was handled already */
    size_t size;
    uint8_t bytes[];
};

static const struct {
    void (*handle)(session_t *self, const struct client_command *command);
} commands[] = {
    [CLIENT_COMMAND_PONG] = {session_handle_pong},
    [CLIENT_COMMAND_CONNECT] = {session_handle_connect},
    [CLIENT_COMMAND_PING] = {session_handle_ping},
    [CLIENT_COMMAND_SUBSCRIBE] = {session_handle_subscribe},
    [CLIENT_COMMAND_UNSUBSCRIBE] = {session_handle_unsubscribe},
    [CLIENT_COMMAND_PUBLISH] = {session_handle_publish},
    [CLIENT_COMMAND_PRESENCE] = {session_handle_presence},
    [CLIENT_COMMAND_PRESENCE_STATS] = {session_handle_presence_stats},
    [CLIENT_COMMAND_HISTORY] = {session_handle_history},
    [CLIENT_COMMAND_RPC] = {session_handle_rpc},
    [CLIENT_COMMAND_SEND] = {session_handle_send},
    [CLIENT_COMMAND_REFRESH] = {session_handle_refresh},
    [CLIENT_COMMAND_SUB_REFRESH] = {session_handle_sub_refresh},
};

/* The channel a command must find settled; a subscribe needs none, it is refused where another is on its way. */
static struct span channel_to_settle(const struct client_command *command) {
    switch (command->kind) {
    case CLIENT_COMMAND_UNSUBSCRIBE:
    case CLIENT_COMMAND_PRESENCE:
    case CLIENT_COMMAND_PRESENCE_STATS:
        return command->body.channel;
    case CLIENT_COMMAND_PUBLISH:
        return command->body.publish.channel;
    case CLIENT_COMMAND_HISTORY:
        return command->body.history.channel;
    case CLIENT_COMMAND_SUB_REFRESH:
        return command->body.sub_refresh.channel;
    case CLIENT_COMMAND_PONG:
    case CLIENT_COMMAND_CONNECT:
    case CLIENT_COMMAND_PING:
    case CLIENT_COMMAND_SUBSCRIBE:
    case CLIENT_COMMAND_RPC:
    case CLIENT_COMMAND_SEND:
    case CLIENT_COMMAND_REFRESH:
        return SPAN_EMPTY;
    }
    return SPAN_EMPTY;
}

static bool must_wait(const session_t *self, const struct client_command *command) {
    if (self->state == SESSION_CONNECTING) {
        return true;
    }
    if (self->n_in_flight == 0 || command->kind == CLIENT_COMMAND_PONG) {
        return false;
    }
    if (self->n_in_flight >= self->environment->config->commands_in_flight) {
        return true;
    }
    struct span channel = channel_to_settle(command);
    const struct subscription *subscription = channel.size == 0 ? NULL : session_find_subscription(self, channel);
    return (subscription != NULL && subscription->is_joining) ||
           (channel.size > 0 && session_waits_for_hook(self, channel));
}

/* One strike a second at most: a client that sends its burst in one message gets 111 for what is over it, not the door.
 */
static void count_strike(session_t *self, uint64_t now_us) {
    if (self->strikes > 0 && now_us - self->strike_us < US_PER_SECOND) {
        return;
    }
    self->strike_us = now_us;
    self->strikes++;
    if (self->strikes == STRIKES_MAX) {
        session_disconnect(self, DISCONNECT_TOO_MANY_REQUESTS);
    }
}

/* False: over the rate, answered. */
static bool take_rate(session_t *self, const struct client_command *command) {
    int64_t per_second = self->environment->config->commands_per_second;
    if (per_second <= 0 || command->kind == CLIENT_COMMAND_PONG || self->state != SESSION_CONNECTED) {
        return true;
    }
    uint64_t now_us = clock_monotonic_us();
    if (self->rate_us <= now_us) {
        self->rate_us = now_us;
        self->strikes = 0;
    }
    uint64_t next_us = self->rate_us + US_PER_SECOND / (uint64_t) per_second;
    if (next_us <= now_us + (uint64_t) BURST_SECONDS * US_PER_SECOND) {
        self->rate_us = next_us;
        return true;
    }
    session_count(self, SESSION_METRIC_RATE_LIMITED);
    count_strike(self, now_us);
    if (self->state == SESSION_CONNECTED && command->id > 0) {
        session_reply_error(self, command->id, ERROR_TOO_MANY_REQUESTS);
    }
    return false;
}

/* What then is in flight is counted when it is done. */
static void handle(session_t *self, const struct client_command *command) {
    uint32_t n_before = self->n_in_flight;
    struct session_begun begun = {(uint32_t) clock_monotonic_us(), (uint8_t) command->kind};
    self->environment->begun = begun;
    commands[command->kind].handle(self, command);
    if (self->n_in_flight <= n_before) {
        session_count_done(self, begun);
    }
}

static void dispatch(session_t *self, const struct client_command *command) {
    session_count(self, (enum session_metric)(SESSION_METRIC_COMMANDS + (unsigned) command->kind));
    if (self->state == SESSION_NEW && command->kind != CLIENT_COMMAND_CONNECT) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    if (take_rate(self, command)) {
        handle(self, command);
    }
}

/* After an error reply to connect the rest of its message is not run: the SDK sends its subscribes along, and they are
 * no mistake. */
static bool goes_on(const session_t *self) {
    return self->state == SESSION_NEW || self->state == SESSION_CONNECTING || self->state == SESSION_CONNECTED;
}

/* Handles command after command; false when the one at the cursor must wait. */
static bool handle_commands(session_t *self, struct cursor *message) {
    struct session_environment *environment = self->environment;
    while (goes_on(self)) {
        struct cursor before = *message;
        struct client_command command = {.id = 0};
        buffer_clear(&environment->decoded);
        enum client_decode_outcome outcome = self->codec->decode_next(message, &environment->decoded, &command);
        if (self->raw != NULL && command.kind == CLIENT_COMMAND_PUBLISH) {
            command.body.publish.channel = session_raw_channel(self);
        }
        if (outcome == CLIENT_DECODE_END) {
            return true;
        }
        if (outcome == CLIENT_DECODE_BAD) {
            bool is_fit = self->codec->is_binary || utf8_is_valid(span_of(before.at, before.left));
            session_disconnect(self, is_fit ? DISCONNECT_BAD_REQUEST : DISCONNECT_INVALID_DATA);
        } else if (must_wait(self, &command)) {
            *message = before;
            return false;
        } else {
            dispatch(self, &command);
        }
    }
    return true;
}

/* With its replies in one frame. */
static bool handle_message(session_t *self, struct cursor *message) {
    self->environment->handled = self;
    bool done = handle_commands(self, message);
    self->environment->handled = NULL;
    session_clear_buffer(&self->environment->decoded);
    session_queue_replies(self);
    return done;
}

static void pause_reading(session_t *self, bool pause) {
    if (self->is_paused != pause) {
        self->is_paused = pause;
        self->transport->methods->pause_reading(self->transport, pause);
    }
}

static bool may_defer(const session_t *self, size_t size) {
    size_t limit = (size_t) self->environment->config->message_size_max * DEFERRED_MESSAGES_MAX;
    return size <= limit - self->deferred_bytes && quota_charge(&self->environment->outbox_budget, size);
}

static void defer(session_t *self, struct span rest) {
    if (!may_defer(self, rest.size)) {
        session_disconnect(self, DISCONNECT_TOO_MANY_REQUESTS);
        return;
    }
    session_count(self, SESSION_METRIC_DEFERRED);
    struct deferred_message *message = memory_alloc(sizeof *message + rest.size);
    message->at = 0;
    message->size = rest.size;
    memcpy(message->bytes, rest.data, rest.size);
    list_init(&message->link);
    list_push_back(&self->deferred, &message->link);
    self->deferred_bytes += (uint32_t) rest.size;
    pause_reading(self, true);
}

static void drop(session_t *self, struct deferred_message *message) {
    list_remove(&message->link);
    self->deferred_bytes -= (uint32_t) message->size;
    quota_release(&self->environment->outbox_budget, message->size);
    memory_free(message);
}

void session_on_message(session_t *self, struct span message) {
    if (self->state == SESSION_CLOSING) {
        return;
    }
    if (self->state == SESSION_REFUSED || message.size == 0) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    if (!list_is_empty(&self->deferred)) {
        defer(self, message);
        return;
    }
    struct cursor cursor = cursor_of(message);
    if (!handle_message(self, &cursor)) {
        defer(self, span_of(cursor.at, cursor.left));
    }
}

void session_drop_deferred(session_t *self) {
    while (!list_is_empty(&self->deferred)) {
        drop(self, list_entry(self->deferred.next, struct deferred_message, link));
    }
}

void session_resume(session_t *self) {
    while (!list_is_empty(&self->deferred) && goes_on(self)) {
        struct deferred_message *message = list_entry(self->deferred.next, struct deferred_message, link);
        struct cursor cursor = cursor_of(span_of(message->bytes + message->at, message->size - message->at));
        if (!handle_message(self, &cursor)) {
            message->at = message->size - cursor.left;
            return;
        }
        drop(self, message);
    }
    if (goes_on(self)) {
        pause_reading(self, false);
    }
}
