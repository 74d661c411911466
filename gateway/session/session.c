/* The session's way in and way out.
 *
 * In: a whole message → its commands one after another, each decoded, dispatched by a table, answered at once or when
 * hub or broker have answered. A command must wait where it would overtake another: when commands_in_flight are on
 * their way, and when a subscribe of the same channel is. Then the rest of the message and every later message are
 * kept, the transport stops reading, and the flush after an answer goes on with them; so the order is the client's.
 * Out: replies of one message are gathered in one buffer, newline-separated, and become one frame; what the hub
 * delivers is a shared frame already. Both go to the outbox in the order in which they came about. The flush writes
 * once.
 *
 * Failure modes:
 *  - The client's mistakes: error replies or disconnects as in client-protocol.md 7–11.
 *  - More than commands_per_second (burst twice that): error 111. A second in which that happened is a strike; the
 * third strike before the client has been quiet long enough for its whole burst closes with 3013.
 *  - The outbox is at its bound, or the transport has not taken its backlog for write_stall: 3008. A single reply may
 * be larger than the bound, if nothing else waits: else a client that must recover much could never do so.
 *  - The connection dies: session_on_closed leaves every channel and cancels every request.
 *  - Too much kept while reading is paused (the transport may hand over what it had read already): 3013. */
#include "gateway/session/session_commands.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "gateway/session/user_count.h"

#include <xxhash.h>

enum {
    US_PER_SECOND = 1000000,
    BURST_SECONDS = 2,
    STRIKES_MAX = 3,
    GATHER_BYTES = 64 * 1024,
    BUFFER_KEPT_BYTES = 256 * 1024, /* a shared buffer that grew over this is given back after use */
    DEFERRED_MESSAGES_MAX = 4,      /* times client.message_size_max */
};

struct deferred_message {
    struct list_link link;
    size_t at; /* what was handled already */
    size_t size;
    uint8_t bytes[];
};

/* ---- metrics ---- */

#define COMMAND_ROW(kind, label)                                                                                       \
    [SESSION_METRIC_COMMANDS + (kind)] = {"callboard_client_commands_total", "Commands received from clients.",        \
                                          METRIC_COUNTER, "command=\"" label "\""}
#define DISCONNECT_ROW(name, code, reason)                                                                             \
    [SESSION_METRIC_DISCONNECT_##name] = {"callboard_client_disconnects_total", "Connections closed by the gateway.",  \
                                          METRIC_COUNTER, "code=\"" #code "\",reason=\"" reason "\""},

const struct metric_description session_metric_table[] = {
    [SESSION_METRIC_CONNECTIONS] = {"callboard_client_connections", "Connections whose connect command was accepted.",
                                    METRIC_GAUGE, NULL},
    [SESSION_METRIC_DEAD] = {"callboard_client_connections_dead", "Connections that owe a pong.", METRIC_GAUGE, NULL},
    [SESSION_METRIC_SUBSCRIPTIONS] = {"callboard_client_subscriptions", "Subscriptions of all connections.",
                                      METRIC_GAUGE, NULL},
    COMMAND_ROW(CLIENT_COMMAND_PONG, "pong"),
    COMMAND_ROW(CLIENT_COMMAND_CONNECT, "connect"),
    COMMAND_ROW(CLIENT_COMMAND_PING, "ping"),
    COMMAND_ROW(CLIENT_COMMAND_SUBSCRIBE, "subscribe"),
    COMMAND_ROW(CLIENT_COMMAND_UNSUBSCRIBE, "unsubscribe"),
    COMMAND_ROW(CLIENT_COMMAND_PUBLISH, "publish"),
    COMMAND_ROW(CLIENT_COMMAND_PRESENCE, "presence"),
    COMMAND_ROW(CLIENT_COMMAND_PRESENCE_STATS, "presence_stats"),
    COMMAND_ROW(CLIENT_COMMAND_HISTORY, "history"),
    COMMAND_ROW(CLIENT_COMMAND_RPC, "rpc"),
    COMMAND_ROW(CLIENT_COMMAND_SEND, "send"),
    COMMAND_ROW(CLIENT_COMMAND_REFRESH, "refresh"),
    COMMAND_ROW(CLIENT_COMMAND_SUB_REFRESH, "sub_refresh"),
    [SESSION_METRIC_ERRORS] = {"callboard_client_errors_total", "Error replies to clients.", METRIC_COUNTER, NULL},
    [SESSION_METRIC_RATE_LIMITED] = {"callboard_client_rate_limited_total",
                                     "Commands refused because of client.commands_per_second.", METRIC_COUNTER, NULL},
    [SESSION_METRIC_DEFERRED] = {"callboard_client_deferred_total",
                                 "Messages kept because an earlier command was not done.", METRIC_COUNTER, NULL},
    [SESSION_METRIC_RECOVERIES] = {"callboard_client_recoveries_total", "Subscriptions that asked to recover.",
                                   METRIC_COUNTER, "result=\"recovered\""},
    [SESSION_METRIC_RECOVERIES_FAILED] = {"callboard_client_recoveries_total", "Subscriptions that asked to recover.",
                                          METRIC_COUNTER, "result=\"failed\""},
    [SESSION_METRIC_SUBSCRIPTIONS_LOST] = {"callboard_client_subscriptions_ended_total",
                                           "Subscriptions ended by the gateway.", METRIC_COUNTER,
                                           "reason=\"insufficient state\""},
    [SESSION_METRIC_SUBSCRIPTIONS_EXPIRED] = {"callboard_client_subscriptions_ended_total",
                                              "Subscriptions ended by the gateway.", METRIC_COUNTER,
                                              "reason=\"subscription expired\""},
    DISCONNECT_CODES(DISCONNECT_ROW)};
const size_t session_metric_count = SESSION_METRICS;

void session_count(const session_t *self, enum session_metric row) {
    if (self->environment->metrics != NULL) {
        metric_count(self->environment->metrics, row);
    }
}

void session_count_change(const session_t *self, enum session_metric row, int64_t amount) {
    if (self->environment->metrics != NULL) {
        metric_change(self->environment->metrics, row, amount);
    }
}

static void count_disconnect(const session_t *self, enum disconnect_code code) {
    switch (code) {
    case DISCONNECT_NORMAL:
    case DISCONNECT_POLICY:
    case DISCONNECT_TOO_BIG:
        return; /* the transport's */
#define COUNT_DISCONNECT(name, number, reason)                                                                         \
    case DISCONNECT_##name:                                                                                            \
        session_count(self, SESSION_METRIC_DISCONNECT_##name);                                                         \
        return;
        DISCONNECT_CODES(COUNT_DISCONNECT)
#undef COUNT_DISCONNECT
    }
}

/* ---- what has to be sent ---- */

static void mark_dirty(session_t *self) {
    if (!list_is_linked(&self->dirty)) {
        list_push_back(&self->environment->dirty, &self->dirty);
    }
}

void session_disconnect(session_t *self, enum disconnect_code code) {
    if (self->state == SESSION_CLOSING) {
        return;
    }
    count_disconnect(self, code);
    log_debug("session_closes", log_u64("code", code), log_text("reason", disconnect_reason(code)));
    self->state = SESSION_CLOSING;
    self->close_code = (uint16_t) code;
    session_cancel_deadlines(self);
    list_remove(&self->link);
    list_push_back(&self->environment->closing, &self->link);
    mark_dirty(self);
}

static void queue(session_t *self, payload_t *framed, uint32_t bytes_max) {
    struct session_environment *environment = self->environment;
    if (self->state == SESSION_CLOSING) {
        return;
    }
    if (outbox_push(&self->outbox, framed, bytes_max, (uint32_t) environment->config->outbox_frames,
                    &environment->outbox_budget) == OUTBOX_OVER_LIMIT) {
        session_disconnect(self, DISCONNECT_SLOW);
        return;
    }
    mark_dirty(self);
}

static uint32_t outbox_limit(const session_t *self) {
    return (uint32_t) self->environment->config->outbox_bytes;
}

void session_queue(session_t *self, payload_t *framed) {
    queue(self, framed, outbox_limit(self));
}

static void give_back_if_large(struct buffer *buffer) {
    buffer_clear(buffer);
    if (buffer->capacity > BUFFER_KEPT_BYTES) {
        buffer_finish(buffer);
    }
}

static void queue_replies(session_t *self) {
    struct buffer *replies = &self->environment->replies;
    if (replies->size == 0) {
        return;
    }
    payload_t *framed = self->transport->methods->frame(self->codec->encoding, buffer_span(replies));
    queue(self, framed, outbox_is_empty(&self->outbox) ? UINT32_MAX : outbox_limit(self));
    payload_unref(&framed);
    give_back_if_large(replies);
}

struct buffer *session_begin_reply(session_t *self) {
    struct buffer *replies = &self->environment->replies;
    if (replies->size > 0 && !self->codec->is_binary) {
        buffer_append_char(replies, '\n');
    }
    return replies;
}

/* Outside of a message the reply stands alone. */
void session_end_reply(session_t *self) {
    if (self->environment->handled != self) {
        queue_replies(self);
    }
}

void session_reply_error(session_t *self, uint32_t id, enum error_code code) {
    session_count(self, SESSION_METRIC_ERRORS);
    self->codec->encode_error(session_begin_reply(self), id, error_describe((uint32_t) code));
    session_end_reply(self);
}

void session_reply_empty(session_t *self, const struct client_command *command) {
    self->codec->encode_empty(session_begin_reply(self), command->id, command->kind);
    session_end_reply(self);
}

/* ---- what handlers ask for ---- */

struct wire_client_info session_client_info(const session_t *self) {
    struct wire_client_info info = {.user = SPAN_EMPTY};
    if (self->info != NULL) {
        check(wire_read_client_info(payload_span(self->info), &info), "a session's own client info");
    }
    return info;
}

payload_t *session_make_info(struct span user, struct span client, struct span conn_info, struct span chan_info) {
    struct buffer bytes = BUFFER_EMPTY;
    wire_append_client_info(&bytes, &(struct wire_client_info){user, client, conn_info, chan_info});
    payload_t *info = payload_new(buffer_span(&bytes));
    buffer_finish(&bytes);
    return info;
}

struct subscription *session_find_subscription(const session_t *self, struct span channel) {
    uint32_t hash = (uint32_t) XXH3_64bits(channel.data, channel.size);
    list_for_each (link, &self->subscriptions) {
        struct subscription *subscription = list_entry(link, struct subscription, link);
        if (subscription->channel_hash == hash && span_equal(hub_member_channel(&subscription->member), channel)) {
            return subscription;
        }
    }
    return NULL;
}

bool session_find_options(session_t *self, uint32_t id, struct span channel,
                          const struct namespace_options **ret_options) {
    if (channel.size == 0) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return false;
    }
    enum error_code error = permission_find_options(self->environment->namespaces, channel, ret_options);
    if (error != ERROR_NONE) {
        session_reply_error(self, id, error);
    }
    return error == ERROR_NONE;
}

struct permission_subject session_subject(const session_t *self, struct span channel) {
    return (struct permission_subject){
        .user = session_client_info(self).user,
        .subscribed = session_find_subscription(self, channel) != NULL,
    };
}

struct session_request *session_request_new(session_t *self, uint32_t id,
                                            void (*on_done)(struct broker_request *request,
                                                            const struct broker_answer *answer)) {
    struct session_request *request = memory_alloc_zero(sizeof *request);
    request->broker.on_done = on_done;
    request->session = self;
    request->id = id;
    list_push_back(&self->requests, &request->link);
    self->n_in_flight++;
    return request;
}

void session_request_finish(struct session_request **request_p) {
    struct session_request *request = *request_p;
    *request_p = NULL;
    list_remove(&request->link);
    session_command_done(request->session);
    memory_free(request);
}

void session_command_done(session_t *self) {
    check(self->n_in_flight > 0, "a command is done twice");
    self->n_in_flight--;
    if (!list_is_empty(&self->deferred)) {
        mark_dirty(self);
    }
}

/* ---- messages ---- */

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
    if (self->n_in_flight == 0 || command->kind == CLIENT_COMMAND_PONG) {
        return false;
    }
    if (self->n_in_flight >= self->environment->config->commands_in_flight) {
        return true;
    }
    struct span channel = channel_to_settle(command);
    const struct subscription *subscription = channel.size == 0 ? NULL : session_find_subscription(self, channel);
    return subscription != NULL && subscription->is_joining;
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

static void dispatch(session_t *self, const struct client_command *command) {
    session_count(self, (enum session_metric)(SESSION_METRIC_COMMANDS + (unsigned) command->kind));
    if (self->state == SESSION_NEW && command->kind != CLIENT_COMMAND_CONNECT) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    if (take_rate(self, command)) {
        commands[command->kind].handle(self, command);
    }
}

/* After an error reply to connect the rest of its message is not run: the SDK sends its subscribes along, and they are
 * no mistake. */
static bool goes_on(const session_t *self) {
    return self->state == SESSION_NEW || self->state == SESSION_CONNECTED;
}

/* Handles command after command; false when the one at the cursor must wait. */
static bool handle_commands(session_t *self, struct cursor *message) {
    struct session_environment *environment = self->environment;
    while (goes_on(self)) {
        struct cursor before = *message;
        struct client_command command;
        buffer_clear(&environment->decoded);
        enum client_decode_outcome outcome = self->codec->decode_next(message, &environment->decoded, &command);
        if (outcome == CLIENT_DECODE_END) {
            return true;
        }
        if (outcome == CLIENT_DECODE_BAD) {
            session_disconnect(self, DISCONNECT_BAD_REQUEST);
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
    give_back_if_large(&self->environment->decoded);
    queue_replies(self);
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

static void drop_deferred(session_t *self, struct deferred_message *message) {
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

/* Goes on with what had to wait, as far as it may. */
static void resume(session_t *self) {
    while (!list_is_empty(&self->deferred) && goes_on(self)) {
        struct deferred_message *message = list_entry(self->deferred.next, struct deferred_message, link);
        struct cursor cursor = cursor_of(span_of(message->bytes + message->at, message->size - message->at));
        if (!handle_message(self, &cursor)) {
            message->at = message->size - cursor.left;
            return;
        }
        drop_deferred(self, message);
    }
    if (goes_on(self)) {
        pause_reading(self, false);
    }
}

/* ---- the flush ---- */

/* The connection is beyond hope: session_on_closed follows. */
static void give_up(session_t *self) {
    self->close_code = 0;
    if (self->state != SESSION_CLOSING) {
        session_disconnect(self, DISCONNECT_WRITE_ERROR);
        self->close_code = 0;
    }
}

static void note_backlog(session_t *self) {
    self->backlogged = true;
    if (self->state != SESSION_CLOSING) {
        session_set_deadline(self, SESSION_DEADLINE_STALL,
                             clock_monotonic_ms() + (uint64_t) self->environment->config->write_stall_ms);
    }
}

static void write_out(session_t *self) {
    struct session_environment *environment = self->environment;
    while (!self->backlogged && !outbox_is_empty(&self->outbox)) {
        uint32_t n_payloads = 0;
        struct span framed = outbox_gather(&self->outbox, &environment->gathered, &n_payloads);
        enum transport_write result = self->transport->methods->write(self->transport, framed);
        outbox_consume(&self->outbox, n_payloads, &environment->outbox_budget);
        switch (result) {
        case TRANSPORT_TAKEN:
            break;
        case TRANSPORT_BACKLOG:
            note_backlog(self);
            break;
        case TRANSPORT_DEAD:
            outbox_finish(&self->outbox, &environment->outbox_budget);
            give_up(self);
            break;
        }
    }
}

static void uncount(session_t *self) {
    struct session_environment *environment = self->environment;
    if (!self->was_counted) {
        return;
    }
    self->was_counted = false;
    environment->connections--;
    session_count_change(self, SESSION_METRIC_CONNECTIONS, -1);
    if (self->owes_pong) {
        environment->dead--;
        session_count_change(self, SESSION_METRIC_DEAD, -1);
    } else {
        environment->alive--;
    }
    struct span user = session_client_info(self).user;
    if (user.size > 0) {
        user_count_remove(environment->user_count, user);
        environment->users = user_count_different(environment->user_count);
    }
}

/* Leaves everything; what is left is memory for session_on_closed. */
static void release(session_t *self) {
    if (self->is_released) {
        return;
    }
    self->is_released = true;
    while (!list_is_empty(&self->subscriptions)) {
        struct subscription *subscription = list_entry(self->subscriptions.next, struct subscription, link);
        session_drop_subscription(&subscription);
    }
    while (!list_is_empty(&self->requests)) {
        struct session_request *request = list_entry(self->requests.next, struct session_request, link);
        broker_request_cancel(self->environment->brokers, &request->broker);
        session_request_finish(&request);
    }
    while (!list_is_empty(&self->deferred)) {
        drop_deferred(self, list_entry(self->deferred.next, struct deferred_message, link));
    }
    outbox_finish(&self->outbox, &self->environment->outbox_budget);
    uncount(self);
}

static void flush(session_t *self) {
    if (goes_on(self)) {
        resume(self);
    }
    write_out(self);
    list_remove(&self->dirty); /* now: all of the above may have marked it again */
    if (self->state == SESSION_CLOSING && !self->is_released) {
        uint16_t code = self->close_code;
        release(self);
        list_remove(&self->dirty);
        if (code != 0) {
            self->transport->methods->close(self->transport, code, disconnect_reason((enum disconnect_code) code));
        }
    }
}

void session_flush_dirty(struct session_environment *environment) {
    while (!list_is_empty(&environment->dirty)) {
        flush(list_entry(environment->dirty.next, struct session, dirty));
    }
}

void session_on_writable(session_t *self) {
    self->backlogged = false;
    if (self->state != SESSION_CLOSING) {
        session_set_deadline(self, SESSION_DEADLINE_STALL, 0);
        mark_dirty(self);
    }
}

size_t session_drain_some(struct session_environment *environment, size_t n) {
    size_t closed = 0;
    while (closed < n && !list_is_empty(&environment->sessions)) {
        session_disconnect(list_entry(environment->sessions.next, struct session, link), DISCONNECT_SHUTDOWN);
        closed++;
    }
    return closed;
}

/* ---- life ---- */

static const struct client_codec *codec_of(enum client_encoding encoding) {
    switch (encoding) {
    case CLIENT_ENCODING_JSON:
        return &client_codec_json;
    case CLIENT_ENCODINGS:
        break;
    }
    unreachable("client encoding %d", (int) encoding);
}

session_t *session_new(struct session_environment *environment, struct transport *transport,
                       enum client_encoding encoding) {
    session_t *self = memory_alloc_zero(sizeof *self);
    self->environment = environment;
    self->transport = transport;
    self->codec = codec_of(encoding);
    self->state = SESSION_NEW;
    list_init(&self->dirty);
    list_init(&self->subscriptions);
    list_init(&self->requests);
    list_init(&self->deferred);
    outbox_init(&self->outbox);
    list_init(&self->link);
    list_push_back(&environment->sessions, &self->link);
    session_init_deadlines(self);
    return self;
}

void session_on_closed(session_t **self_p) {
    session_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    self->state = SESSION_CLOSING;
    release(self);
    session_cancel_deadlines(self);
    list_remove(&self->link);
    list_remove(&self->dirty);
    payload_unref(&self->info);
    memory_free(self);
}

void session_environment_init(struct session_environment *self,
                              payload_t *(*frame)(enum client_encoding encoding, struct span message)) {
    *self = (struct session_environment){.to_hub = session_hub_callbacks};
    self->to_hub.frame = frame;
    list_init(&self->sessions);
    list_init(&self->closing);
    list_init(&self->dirty);
    quota_init(&self->outbox_budget, 0, NULL);
    buffer_init(&self->gathered, GATHER_BYTES);
    self->user_count = user_count_new();
}

void session_environment_finish(struct session_environment *self) {
    check(list_is_empty(&self->sessions) && list_is_empty(&self->closing), "sessions outlive their environment");
    for (unsigned i = 0; i < CLIENT_ENCODINGS; i++) {
        payload_unref(&self->pings[i]);
    }
    buffer_finish(&self->decoded);
    buffer_finish(&self->replies);
    buffer_finish(&self->gathered);
    user_count_destroy(&self->user_count);
}
