/* See redis_link.h.
 *
 *            resolved              connected  (TLS: shook hands)     greeted
 *   waiting ─────────▶ connecting ──────────▶ shaking ─────▶ greeting ──────────▶ up
 *      ▲ ▲                 │ next address       │              │                  │
 *      │ └── backoff ──────┴────────────────────┴──────────────┴──────────────────┘ refused, cut, silent, broken reply,
 *                                                                                   dropped
 *
 * Replies come in the order of the commands, so the commands owed a reply are a queue. One timer serves all waits: the
 * next attempt, the end of an attempt, the oldest command's deadline. Failures: every one ends in `lose`, which gives
 * NULL to the commands owed a reply, tells on_down and waits for the next attempt. A cut asked for inside a callback of
 * ours, or seen while writing, happens at a safe place of the loop: after the reply under way, or by the timer. */
#include "broker/redis/link/redis_link.h"

#include "base/backoff.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "broker/redis/link/redis_commands.h"
#include "broker/redis/link/redis_request.h"
#include "broker/redis/link/redis_socket.h"

#include <stdio.h>
#include <sys/un.h>

enum {
    CONNECT_MS = 2000,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_CAP_MS = 3000,
    READ_SIZE = 16 * 1024,
    READS_A_TURN = 64,
    OUT_KEPT = 1 << 20,
};

enum link_phase { LINK_WAITING, LINK_RESOLVING, LINK_CONNECTING, LINK_SHAKING, LINK_GREETING, LINK_UP, LINK_CLOSING };

struct redis_link {
    struct redis_link_options options;
    char client_name[64];
    enum link_phase phase;
    struct backoff backoff;
    uint64_t next_attempt_ms;
    uint64_t attempt_ends_ms;
    struct redis_socket socket;
    uv_poll_t *poll; /* of this socket; freed by its close callback */
    int polled_for;
    uv_timer_t timer;
    uv_getaddrinfo_t resolve;
    bool is_resolving;
    struct addrinfo *addresses;
    struct addrinfo *next_address;
    redis_reader_t *reader;
    struct redis_commands commands;
    struct buffer out;
    size_t out_written;   /* of out, by write */
    size_t out_announced; /* of out, by redis_link_sent */
    unsigned greetings;   /* replies of the greeting still owed */
    const char *drop_reason;
    bool is_parsing;
    bool is_refused; /* the last attempt */
    bool timer_closed;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

/* ---- time ---- */

static uint64_t next_deadline(const redis_link_t *self) {
    switch (self->phase) {
    case LINK_WAITING:
        return self->next_attempt_ms;
    case LINK_RESOLVING:
    case LINK_CONNECTING:
    case LINK_SHAKING:
    case LINK_GREETING:
        return self->attempt_ends_ms;
    case LINK_UP:
        return self->commands.n == 0 ? UINT64_MAX
                                     : redis_commands_oldest_ms(&self->commands) + self->options.command_timeout_ms;
    case LINK_CLOSING:
        return UINT64_MAX;
    }
    unreachable("phase %d", self->phase);
}

static void on_timer(uv_timer_t *timer);

static void arm(redis_link_t *self) {
    uint64_t deadline_ms = self->drop_reason != NULL ? 0 : next_deadline(self);
    if (deadline_ms == UINT64_MAX) {
        return; /* a timer that is still set finds nothing due and sets itself anew */
    }
    uint64_t now_ms = clock_monotonic_ms();
    uv_update_time(self->options.loop);
    uv_timer_start(&self->timer, on_timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0, 0);
}

/* ---- losing a connection ---- */

static void on_poll_closed(uv_handle_t *handle) {
    memory_free(handle);
}

static void close_socket(redis_link_t *self) {
    if (self->poll != NULL) {
        uv_close((uv_handle_t *) self->poll, on_poll_closed);
        self->poll = NULL;
    }
    redis_socket_close(&self->socket);
    redis_reader_destroy(&self->reader);
    buffer_clear(&self->out);
    self->out_written = 0;
    self->out_announced = 0;
    self->greetings = 0;
}

static void forget_addresses(redis_link_t *self) {
    if (self->addresses != NULL) {
        uv_freeaddrinfo(self->addresses);
    }
    self->addresses = NULL;
    self->next_address = NULL;
}

static void fail_commands(redis_link_t *self) {
    while (self->commands.n > 0) {
        struct redis_command command = redis_commands_pop(&self->commands);
        if (command.on_reply != NULL) {
            command.on_reply(self->options.context, command.request, NULL);
        }
    }
}

static void lose(redis_link_t *self, const char *reason) {
    self->drop_reason = NULL;
    close_socket(self);
    forget_addresses(self);
    self->phase = LINK_WAITING;
    self->next_attempt_ms = clock_monotonic_ms() + backoff_next_ms(&self->backoff);
    fail_commands(self);
    self->options.events->on_down(self->options.context, reason);
    if (self->phase != LINK_CLOSING) {
        arm(self);
    }
}

void redis_link_drop(redis_link_t *self, const char *reason) {
    if (self->phase == LINK_WAITING || self->phase == LINK_CLOSING || self->drop_reason != NULL) {
        return;
    }
    self->drop_reason = reason;
    if (!self->is_parsing) {
        arm(self);
    }
}

/* ---- replies ---- */

static void greeted(redis_link_t *self) {
    self->phase = LINK_UP;
    self->is_refused = false;
    backoff_reset(&self->backoff);
    forget_addresses(self);
    self->options.events->on_up(self->options.context);
}

static void hand_out(redis_link_t *self, const struct redis_reply *reply) {
    if (self->phase == LINK_UP && self->options.is_pubsub) {
        self->options.events->on_push(self->options.context, reply);
        return;
    }
    if (self->commands.n == 0) {
        redis_link_drop(self, "a reply that nobody asked for");
        return;
    }
    struct redis_command command = redis_commands_pop(&self->commands);
    if (command.on_reply != NULL) {
        command.on_reply(self->options.context, command.request, reply);
    }
    if (self->phase == LINK_GREETING && self->drop_reason == NULL && --self->greetings == 0) {
        greeted(self);
    }
}

static bool parse(redis_link_t *self) {
    self->is_parsing = true;
    const struct redis_reply *reply = NULL;
    enum redis_read_result result = REDIS_READ_MORE;
    while (self->drop_reason == NULL && self->phase != LINK_CLOSING &&
           (result = redis_reader_next(self->reader, &reply)) == REDIS_READ_REPLY) {
        hand_out(self, reply);
    }
    self->is_parsing = false;
    if (self->phase == LINK_CLOSING) {
        return false;
    }
    if (self->drop_reason == NULL && result == REDIS_READ_BROKEN) {
        self->drop_reason = "a reply that is broken or too large";
    }
    if (self->drop_reason != NULL) {
        lose(self, self->drop_reason);
        return false;
    }
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* For what must happen next: reading always, writing while bytes wait or TLS needs it. */
static void watch(redis_link_t *self) {
    const struct redis_socket *socket = &self->socket;
    bool writes = self->phase == LINK_CONNECTING || socket->read_needs_write ||
                  (self->out_written < self->out.size && !socket->write_needs_read);
    int events = (self->phase == LINK_CONNECTING ? 0 : UV_READABLE) | (writes ? UV_WRITABLE : 0);
    if (self->polled_for != events) {
        self->polled_for = events;
        uv_poll_start(self->poll, events, on_poll);
    }
}

/* TLS tells a refusal (certificates, versions) by its reason; it does not pass by itself. */
static const char *take_reason(redis_link_t *self) {
    self->is_refused = strncmp(self->socket.reason, "TLS: ", 5) == 0;
    return self->socket.reason;
}

static void lose_socket(redis_link_t *self) {
    lose(self, take_reason(self));
}

static void read_socket(redis_link_t *self) {
    uint8_t bytes[READ_SIZE];
    for (int i = 0; i < READS_A_TURN || redis_socket_has_pending(&self->socket); i++) {
        size_t size = 0;
        enum redis_socket_result result = redis_socket_read(&self->socket, bytes, sizeof bytes, &size);
        if (result == REDIS_SOCKET_LATER) {
            watch(self);
            return;
        }
        if (result == REDIS_SOCKET_CUT) {
            lose_socket(self);
            return;
        }
        if (!redis_reader_feed(self->reader, span_of(bytes, size))) {
            lose(self, "a reply that is broken or too large");
            return;
        }
        if (!parse(self)) {
            return;
        }
        if (size < sizeof bytes && self->socket.tls == NULL) {
            return; /* the kernel had no more, most likely; TLS tells one record at a time */
        }
    }
}

/* ---- writing ---- */

static void written(redis_link_t *self) {
    size_t capacity = self->out.capacity;
    buffer_clear(&self->out);
    self->out_written = 0;
    self->out_announced = 0;
    if (capacity > OUT_KEPT) {
        buffer_finish(&self->out);
    }
}

void redis_link_flush(redis_link_t *self) {
    if (self->phase != LINK_UP && self->phase != LINK_GREETING) {
        return;
    }
    while (self->out_written < self->out.size) {
        size_t size = 0;
        switch (redis_socket_write(&self->socket, self->out.data + self->out_written,
                                   self->out.size - self->out_written, &size)) {
        case REDIS_SOCKET_DONE:
            self->out_written += size;
            break;
        case REDIS_SOCKET_LATER:
            watch(self);
            return;
        case REDIS_SOCKET_CUT:
            redis_link_drop(self, take_reason(self));
            return;
        }
    }
    if (self->out.size > 0) {
        written(self);
        watch(self);
    }
}

struct buffer *redis_link_out(redis_link_t *self) {
    check(self->phase == LINK_UP || self->phase == LINK_GREETING, "a command for a link that is down");
    return &self->out;
}

void redis_link_sent(redis_link_t *self, redis_on_reply on_reply, void *request) {
    size_t bytes = self->out.size - self->out_announced;
    self->out_announced = self->out.size;
    if (self->phase == LINK_UP && self->options.is_pubsub) {
        return; /* its answers are pushes */
    }
    const struct redis_command command = {on_reply, request, bytes, clock_monotonic_ms()};
    redis_commands_push(&self->commands, &command);
    if (!uv_is_active((uv_handle_t *) &self->timer)) {
        arm(self);
    }
}

bool redis_link_is_up(const redis_link_t *self) {
    return self->phase == LINK_UP && self->drop_reason == NULL;
}

bool redis_link_is_refused(const redis_link_t *self) {
    return self->is_refused;
}

void redis_link_add_load(const redis_link_t *self, size_t *n_commands, size_t *n_bytes) {
    *n_commands += self->commands.n;
    *n_bytes += self->commands.bytes;
}

bool redis_link_has_room(const redis_link_t *self) {
    return redis_link_is_up(self) && self->commands.n < self->options.commands_max &&
           self->commands.bytes < self->options.bytes_max;
}

/* ---- greeting ---- */

static void on_greeting(void *context, void *request, const struct redis_reply *reply) {
    (void) context;
    redis_link_t *self = request;
    if (reply == NULL || reply->type != REDIS_ERROR) {
        return;
    }
    bool denied = span_starts_with(reply->text, SPAN_LITERAL("WRONGPASS")) ||
                  span_starts_with(reply->text, SPAN_LITERAL("ERR AUTH")) ||
                  span_starts_with(reply->text, SPAN_LITERAL("ERR invalid password"));
    bool asks = span_starts_with(reply->text, SPAN_LITERAL("NOAUTH"));
    self->is_refused = true;
    redis_link_drop(self, denied ? "Redis refused user or password"
                          : asks ? "Redis asks for a password"
                                 : "Redis refused the greeting (AUTH or SELECT)");
}

/* CLIENT SETNAME is a courtesy: an ACL may deny it. */
static void on_named(void *context, void *request, const struct redis_reply *reply) {
    if (reply != NULL && reply->type == REDIS_ERROR && span_starts_with(reply->text, SPAN_LITERAL("NOAUTH"))) {
        on_greeting(context, request, reply);
    }
}

static void greet_by(redis_link_t *self, size_t n, const char *const *arguments, redis_on_reply on_reply) {
    redis_request_texts(&self->out, n, arguments);
    redis_link_sent(self, on_reply, self);
    self->greetings++;
}

static void greet(redis_link_t *self) {
    const struct redis_url *url = &self->options.url;
    self->phase = LINK_GREETING;
    self->reader = redis_reader_new(&self->options.reply_limits);
    if (url->user[0] != '\0') {
        greet_by(self, 3, (const char *const[]){"AUTH", url->user, url->password}, on_greeting);
    } else if (url->password[0] != '\0') {
        greet_by(self, 2, (const char *const[]){"AUTH", url->password}, on_greeting);
    }
    greet_by(self, 3, (const char *const[]){"CLIENT", "SETNAME", self->client_name}, on_named);
    if (url->database != 0) {
        char database[16];
        snprintf(database, sizeof database, "%u", url->database);
        greet_by(self, 2, (const char *const[]){"SELECT", database}, on_greeting);
    }
    redis_link_flush(self);
}

/* ---- connecting ---- */

static void attempt_next_address(redis_link_t *self);

/* One step of the handshake, then what comes behind it. */
static void shake(redis_link_t *self) {
    switch (redis_socket_handshake(&self->socket)) {
    case REDIS_SOCKET_DONE:
        greet(self);
        return;
    case REDIS_SOCKET_LATER:
        watch(self);
        return;
    case REDIS_SOCKET_CUT:
        lose_socket(self);
        return;
    }
}

static void connected(redis_link_t *self) {
    if (!redis_socket_is_connected(&self->socket)) {
        close_socket(self);
        attempt_next_address(self);
    } else if (!self->options.url.tls) {
        greet(self);
    } else if (!redis_socket_start_tls(&self->socket, self->options.tls, self->options.url.host,
                                       self->options.url.port)) {
        lose_socket(self);
    } else {
        self->phase = LINK_SHAKING;
        shake(self);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    redis_link_t *self = poll->data;
    if (self->phase == LINK_CONNECTING) {
        connected(self);
        return;
    }
    if (self->phase == LINK_SHAKING) {
        shake(self);
        return;
    }
    bool can_read = status < 0 || (events & UV_READABLE) != 0;
    bool can_write = (events & UV_WRITABLE) != 0;
    if (can_read || (can_write && self->socket.read_needs_write)) {
        read_socket(self);
    }
    if (self->poll == poll && (can_write || self->socket.write_needs_read)) {
        redis_link_flush(self);
    }
}

static bool open_socket(redis_link_t *self, const struct sockaddr *address, socklen_t size) {
    if (!redis_socket_open(&self->socket, address, size)) {
        return false;
    }
    self->poll = memory_alloc_zero(sizeof *self->poll);
    self->poll->data = self;
    self->polled_for = 0;
    check(uv_poll_init(self->options.loop, self->poll, self->socket.fd) == 0, "uv_poll_init");
    self->phase = LINK_CONNECTING;
    watch(self);
    return true;
}

static void attempt_next_address(redis_link_t *self) {
    while (self->next_address != NULL) {
        const struct addrinfo *address = self->next_address;
        self->next_address = address->ai_next;
        if (open_socket(self, address->ai_addr, address->ai_addrlen)) {
            return;
        }
    }
    lose(self, "Redis cannot be reached");
}

static void attempt_unix(redis_link_t *self) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", self->options.url.path);
    if (!open_socket(self, (const struct sockaddr *) &address, sizeof address)) {
        lose(self, "Redis cannot be reached");
    }
}

static void finish_close(redis_link_t *self) {
    if (!self->timer_closed || self->is_resolving) {
        return;
    }
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    buffer_finish(&self->out);
    redis_commands_finish(&self->commands);
    memory_free(self);
    on_closed(context);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses) {
    redis_link_t *self = resolve->data;
    self->is_resolving = false;
    if (self->phase != LINK_RESOLVING) {
        uv_freeaddrinfo(addresses);
        if (self->phase == LINK_CLOSING) {
            finish_close(self);
        }
        return;
    }
    if (status != 0 || addresses == NULL) {
        lose(self, "Redis's host name is not known");
        return;
    }
    self->addresses = addresses;
    self->next_address = addresses;
    attempt_next_address(self);
}

static void attempt(redis_link_t *self) {
    self->attempt_ends_ms = clock_monotonic_ms() + CONNECT_MS;
    self->is_refused = false;
    if (self->options.url.path[0] != '\0') {
        attempt_unix(self);
        return;
    }
    if (self->is_resolving) { /* an earlier one that the resolver has not answered yet */
        lose(self, "Redis's host name is not answered");
        return;
    }
    char port[8];
    snprintf(port, sizeof port, "%u", self->options.url.port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    self->phase = LINK_RESOLVING;
    self->resolve.data = self;
    if (uv_getaddrinfo(self->options.loop, &self->resolve, on_resolved, self->options.url.host, port, &hints) != 0) {
        lose(self, "Redis's host name is not valid");
        return;
    }
    self->is_resolving = true;
}

static const char *late_reason(const redis_link_t *self) {
    if (self->phase == LINK_UP) {
        return "Redis did not answer in time";
    }
    if (self->phase == LINK_SHAKING) {
        return "TLS was not answered in time; is the port in redis.url the one of Redis's tls-port?";
    }
    return self->phase == LINK_GREETING ? "Redis took the connection and did not answer in time"
                                        : "Redis cannot be reached in time";
}

static void on_timer(uv_timer_t *timer) {
    redis_link_t *self = timer->data;
    if (self->phase == LINK_CLOSING) {
        return;
    }
    if (self->drop_reason != NULL) {
        lose(self, self->drop_reason);
        return;
    }
    if (clock_monotonic_ms() >= next_deadline(self)) {
        if (self->phase == LINK_WAITING) {
            attempt(self);
        } else {
            lose(self, late_reason(self));
            return;
        }
    }
    arm(self);
}

/* ---- life ---- */

redis_link_t *redis_link_new(const struct redis_link_options *options) {
    redis_link_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    snprintf(self->client_name, sizeof self->client_name, "%s", options->client_name);
    redis_socket_init(&self->socket);
    check(!options->url.tls || options->tls != NULL, "a link through TLS without its settings");
    self->phase = LINK_WAITING;
    backoff_init(&self->backoff, BACKOFF_FIRST_MS, BACKOFF_CAP_MS, 0);
    buffer_init(&self->out, 0);
    uv_timer_init(options->loop, &self->timer);
    self->timer.data = self;
    self->next_attempt_ms = 0;
    arm(self);
    return self;
}

static void on_timer_closed(uv_handle_t *handle) {
    redis_link_t *self = handle->data;
    self->timer_closed = true;
    close_socket(self); /* where it was closed out of a reply */
    fail_commands(self);
    finish_close(self);
}

void redis_link_close(redis_link_t *self, void (*on_closed)(void *context), void *context) {
    check(self->phase != LINK_CLOSING, "closed twice");
    self->phase = LINK_CLOSING;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    if (self->is_resolving) {
        uv_cancel((uv_req_t *) &self->resolve);
    }
    if (!self->is_parsing) {
        close_socket(self);
    }
    forget_addresses(self);
    uv_close((uv_handle_t *) &self->timer, on_timer_closed);
}
