/* A session's life and its way out: replies and pushes into the outbox, one write a turn, closing, being freed.
 *
 * Replies of one message are gathered in one buffer (JSON: newline-separated), and become one frame; what the hub
 * delivers is a shared frame already. Both go to the outbox in the order in which they came about. The flush goes on
 * with commands that had to wait (session_messages.c), writes once, and then closes what is to be closed: it leaves
 * every channel and cancels every request there, so never while the hub walks its members.
 *
 * Failure modes:
 *  - The outbox is at its bound, or the transport has not taken its backlog for write_stall: 3008. A single reply may
 * be larger than the bound, if nothing else waits: else a client that must recover much could never do so.
 *  - The connection dies: session_on_closed does what the flush would have done. */
#include "gateway/session/session_commands.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/user_count.h"
#include "gateway/session/user_limits.h"

#include <xxhash.h>

enum {
    GATHER_BYTES = 64 * 1024,
    SHED_BYTES_MIN = 16 * 1024,     /* a shorter queue is no sign of a slow client */
    BUFFER_KEPT_BYTES = 256 * 1024, /* a shared buffer that grew over this is given back after use */
};

/* ---- what has to be sent ---- */

void session_mark_dirty(session_t *self) {
    if (!list_is_linked(&self->dirty)) {
        list_push_back(&self->environment->dirty, &self->dirty);
    }
}

void session_disconnect(session_t *self, enum disconnect_code code) {
    if (self->state == SESSION_CLOSING) {
        return;
    }
    session_count_disconnect(self, code);
    log_debug("session_closes", log_u64("code", code), log_text("reason", disconnect_reason(code)));
    self->state = SESSION_CLOSING;
    self->close_code = (uint16_t) code;
    session_cancel_deadlines(self);
    list_remove(&self->link);
    list_push_back(&self->environment->closing, &self->link);
    session_mark_dirty(self);
}

void session_disconnect_with(session_t *self, uint16_t code, struct span reason) {
    if (self->state == SESSION_CLOSING) {
        return;
    }
    session_disconnect(self, (enum disconnect_code) code);
    self->close_reason = reason.size == 0 ? NULL : memory_strndup(reason.data, reason.size);
}

static void write_out(session_t *self);

static bool fits(session_t *self, payload_t *framed, uint32_t bytes_max) {
    struct session_environment *environment = self->environment;
    return outbox_push(&self->outbox, framed, bytes_max, (uint32_t) environment->config->outbox_frames,
                       &environment->outbox_budget) != OUTBOX_OVER_LIMIT;
}

/* What came in this turn, or waits for its flush_interval, was not offered to the socket yet: only what the socket
 * leaves says that the reader is slow. */
static bool makes_room(session_t *self) {
    if (self->backlogged || self->state == SESSION_CONNECTING || outbox_is_empty(&self->outbox)) {
        return false;
    }
    write_out(self);
    return self->state != SESSION_CLOSING;
}

/* Takes over a reference. False: over a bound. */
static bool push(session_t *self, payload_t *framed, uint32_t bytes_max) {
    if (fits(self, framed, bytes_max) || (makes_room(self) && fits(self, framed, bytes_max))) {
        return true;
    }
    payload_unref(&framed);
    session_disconnect(self, DISCONNECT_SLOW);
    return false;
}

static void queue(session_t *self, payload_t *framed, uint32_t bytes_max) {
    if (push(self, framed, bytes_max)) {
        session_mark_dirty(self);
    }
}

static uint32_t outbox_limit(const session_t *self) {
    return (uint32_t) self->environment->config->outbox_bytes;
}

void session_queue(session_t *self, payload_t *framed) {
    if (self->state == SESSION_CLOSING) {
        payload_unref(&framed);
    } else {
        queue(self, framed, outbox_limit(self));
    }
}

void session_queue_for(session_t *self, payload_t *framed, int64_t wait_ms) {
    if (self->state == SESSION_CLOSING) {
        payload_unref(&framed);
        return;
    }
    if (!push(self, framed, outbox_limit(self))) {
        return;
    }
    uint64_t until_ms = clock_monotonic_ms() + (uint64_t) wait_ms;
    uint64_t planned_ms = self->deadlines[SESSION_DEADLINE_FLUSH];
    if (!list_is_linked(&self->dirty) && (planned_ms == 0 || until_ms < planned_ms)) {
        session_set_deadline(self, SESSION_DEADLINE_FLUSH, until_ms);
    }
}

void session_flush_waiting(session_t *self) {
    session_mark_dirty(self);
}

void session_clear_buffer(struct buffer *buffer) {
    buffer_clear(buffer);
    if (buffer->capacity > BUFFER_KEPT_BYTES) {
        buffer_finish(buffer);
    }
}

/* Also after a mistake that ends the session: what was answered before it is owed. */
void session_queue_replies(session_t *self) {
    struct buffer *replies = &self->environment->replies;
    if (replies->size == 0) {
        return;
    }
    payload_t *framed = self->transport->methods->frame(self->codec->encoding, buffer_span(replies));
    queue(self, framed, outbox_is_empty(&self->outbox) ? UINT32_MAX : outbox_limit(self));
    session_clear_buffer(replies);
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
        session_queue_replies(self);
    }
}

void session_reply_error(session_t *self, uint32_t id, enum error_code code) {
    session_count_error(self, code);
    self->codec->encode_error(session_begin_reply(self), id, error_describe((uint32_t) code));
    session_end_reply(self);
    if (self->raw != NULL) {
        session_raw_failed(self, code);
    }
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

struct session_request *session_request_new_own(session_t *self, void (*on_done)(struct broker_request *request,
                                                                                 const struct broker_answer *answer)) {
    struct session_request *request = memory_alloc_zero(sizeof *request);
    request->broker.on_done = on_done;
    request->session = self;
    request->is_own = true;
    list_push_back(&self->requests, &request->link);
    return request;
}

struct session_request *session_request_new(session_t *self, uint32_t id,
                                            void (*on_done)(struct broker_request *request,
                                                            const struct broker_answer *answer)) {
    struct session_request *request = session_request_new_own(self, on_done);
    request->is_own = false;
    request->id = id;
    request->begun = self->environment->begun;
    self->n_in_flight++;
    return request;
}

void session_request_pass_on(struct session_request **request_p) {
    struct session_request *request = *request_p;
    *request_p = NULL;
    list_remove(&request->link);
    if (request->is_call) {
        request->session->environment->calls--;
    }
    if (!request->is_own) {
        session_command_done(request->session);
    }
    session_asked_free(request->session, request->asked);
    memory_free(request);
}

void session_request_finish(struct session_request **request_p) {
    if (!(*request_p)->is_own) {
        session_count_done((*request_p)->session, (*request_p)->begun);
    }
    session_request_pass_on(request_p);
}

void session_command_done(session_t *self) {
    check(self->n_in_flight > 0, "a command is done twice");
    self->n_in_flight--;
    if (!list_is_empty(&self->deferred)) {
        session_mark_dirty(self);
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
    if (self->deadlines[SESSION_DEADLINE_FLUSH] != 0) {
        session_set_deadline(self, SESSION_DEADLINE_FLUSH, 0); /* all of it goes now */
    }
    while (!self->backlogged && self->state != SESSION_CONNECTING && !outbox_is_empty(&self->outbox)) {
        struct outbox_gathered gathered = outbox_gather(&self->outbox, &environment->writes);
        enum transport_write result = self->transport->methods->write(self->transport, gathered.bytes);
        outbox_consume(&self->outbox, &gathered, &environment->outbox_budget);
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
        if (environment->user_limits != NULL) {
            user_limits_release(environment->user_limits, user);
        }
        user_places_tell(environment->user_places, user);
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
    session_drop_deferred(self);
    session_drop_connecting(self);
    outbox_finish(&self->outbox, &self->environment->outbox_budget);
    session_tell_disconnected(self);
    uncount(self);
}

static void flush(session_t *self) {
    session_resume(self);
    write_out(self);
    list_remove(&self->dirty); /* now: all of the above may have marked it again */
    if (self->state == SESSION_CLOSING && !self->is_released) {
        uint16_t code = self->close_code;
        release(self);
        list_remove(&self->dirty);
        if (code != 0) {
            self->transport->methods->close(self->transport, code,
                                            self->close_reason == NULL ? disconnect_reason((enum disconnect_code) code)
                                                                       : self->close_reason);
        }
    }
}

void session_flush_dirty(struct session_environment *environment) {
    while (!list_is_empty(&environment->dirty)) {
        flush(list_entry(environment->dirty.next, struct session, dirty));
    }
    outbox_writes_release(&environment->writes);
}

void session_on_writable(session_t *self) {
    self->backlogged = false;
    if (self->state != SESSION_CLOSING) {
        session_set_deadline(self, SESSION_DEADLINE_STALL, 0);
        session_mark_dirty(self);
    }
}

void session_shuffle(struct session_environment *environment) {
    size_t n = 0;
    list_for_each (link, &environment->sessions) {
        n++;
    }
    struct list_link **links = memory_alloc_array(n + 1, sizeof *links);
    for (size_t i = 0; i < n; i++) {
        links[i] = list_pop_front(&environment->sessions);
    }
    for (size_t left = n; left > 0; left--) {
        size_t pick = random_below((uint32_t) left);
        list_push_back(&environment->sessions, links[pick]);
        links[pick] = links[left - 1];
    }
    memory_free(links);
}

size_t session_drain_some(struct session_environment *environment, size_t n) {
    size_t closed = 0;
    while (closed < n && !list_is_empty(&environment->sessions)) {
        session_disconnect(list_entry(environment->sessions.next, struct session, link), DISCONNECT_SHUTDOWN);
        closed++;
    }
    return closed;
}

static uint64_t queued_bytes(const session_t *self) {
    return (uint64_t) self->outbox.bytes + self->deferred_bytes;
}

size_t session_shed_slowest(struct session_environment *environment) {
    uint64_t longest = SHED_BYTES_MIN;
    size_t closed = 0;
    list_for_each (link, &environment->sessions) {
        uint64_t bytes = queued_bytes(list_entry(link, struct session, link));
        longest = bytes > longest ? bytes : longest;
    }
    list_for_each_safe (link, &environment->sessions) {
        session_t *self = list_entry(link, struct session, link);
        if (queued_bytes(self) >= SHED_BYTES_MIN && queued_bytes(self) >= longest / 2) {
            session_disconnect(self, DISCONNECT_SLOW);
            closed++;
        }
    }
    return closed;
}

/* ---- life ---- */

session_t *session_new(struct session_environment *environment, struct transport *transport,
                       enum client_encoding encoding) {
    session_t *self = memory_alloc_zero(sizeof *self);
    self->environment = environment;
    self->transport = transport;
    self->codec = client_codec_of(encoding);
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
    session_raw_free(self);
    session_kept_free(self);
    payload_unref(&self->jti);
    memory_free(self->close_reason);
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
    outbox_writes_init(&self->writes, GATHER_BYTES);
    self->user_count = user_count_new();
    self->tag_filters = tag_filter_set_new();
}

void session_environment_finish(struct session_environment *self) {
    check(list_is_empty(&self->sessions) && list_is_empty(&self->closing), "sessions outlive their environment");
    for (unsigned i = 0; i < CLIENT_ENCODINGS; i++) {
        payload_unref(&self->pings[i]);
    }
    buffer_finish(&self->decoded);
    buffer_finish(&self->replies);
    outbox_writes_finish(&self->writes);
    user_count_destroy(&self->user_count);
    tag_filter_set_destroy(&self->tag_filters);
}
