/* See redis_link.h.
 *
 *            resolved              connected              greeted
 *   waiting ─────────▶ connecting ──────────▶ greeting ──────────▶ up
 *      ▲ ▲                 │ next address         │                 │
 *      │ └── backoff ──────┴──────────────────────┴─────────────────┘ refused, cut, silent, broken reply, dropped
 *
 * Replies come in the order of the commands, so the commands owed a reply are a queue. One timer serves all waits: the
 * next attempt, the end of an attempt, the oldest command's deadline. Failures: every one ends in `lose`, which gives
 * NULL to the commands owed a reply, tells on_down and waits for the next attempt. A cut asked for inside a callback of
 * ours, or seen while writing, happens at a safe place of the loop: after the reply under way, or by the timer. */
#include "broker/redis/redis_link.h"

#include "base/backoff.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "broker/redis/redis_request.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CONNECT_MS = 2000,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_CAP_MS = 3000,
    READ_SIZE = 16 * 1024,
    READS_A_TURN = 64,
    OUT_KEPT = 1 << 20,
};

enum link_phase { LINK_WAITING, LINK_RESOLVING, LINK_CONNECTING, LINK_GREETING, LINK_UP, LINK_CLOSING };

struct command {
    redis_on_reply on_reply;
    void *request;
    size_t bytes;
    uint64_t sent_ms;
};

/* A queue in a ring that grows; the callers keep it bounded. */
struct commands {
    struct command *ring;
    size_t capacity; /* a power of two */
    size_t first;
    size_t n;
    size_t bytes;
};

struct redis_link {
    struct redis_link_options options;
    char client_name[64];
    enum link_phase phase;
    struct backoff backoff;
    uint64_t next_attempt_ms;
    uint64_t attempt_ends_ms;
    int fd;
    uv_poll_t *poll; /* of this fd; freed by its close callback */
    int polled_for;
    uv_timer_t timer;
    uv_getaddrinfo_t resolve;
    bool is_resolving;
    struct addrinfo *addresses;
    struct addrinfo *next_address;
    redis_reader_t *reader;
    struct commands commands;
    struct buffer out;
    size_t out_written;   /* of out, by write */
    size_t out_announced; /* of out, by redis_link_sent */
    unsigned greetings;   /* replies of the greeting still owed */
    const char *drop_reason;
    bool is_parsing;
    bool timer_closed;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

/* ---- the queue of commands ---- */

static void commands_push(struct commands *self, const struct command *command) {
    if (self->n == self->capacity) {
        size_t capacity = self->capacity == 0 ? 64 : self->capacity * 2;
        struct command *ring = memory_alloc_array(capacity, sizeof *ring);
        for (size_t i = 0; i < self->n; i++) {
            ring[i] = self->ring[(self->first + i) & (self->capacity - 1)];
        }
        memory_free(self->ring);
        *self = (struct commands){.ring = ring, .capacity = capacity, .n = self->n, .bytes = self->bytes};
    }
    self->ring[(self->first + self->n) & (self->capacity - 1)] = *command;
    self->n++;
    self->bytes += command->bytes;
}

static struct command commands_pop(struct commands *self) {
    check(self->n > 0, "a reply without a command");
    struct command command = self->ring[self->first];
    self->first = (self->first + 1) & (self->capacity - 1);
    self->n--;
    self->bytes -= command.bytes;
    return command;
}

/* ---- time ---- */

static uint64_t next_deadline(const redis_link_t *self) {
    switch (self->phase) {
    case LINK_WAITING:
        return self->next_attempt_ms;
    case LINK_RESOLVING:
    case LINK_CONNECTING:
    case LINK_GREETING:
        return self->attempt_ends_ms;
    case LINK_UP:
        return self->commands.n == 0
                   ? UINT64_MAX
                   : self->commands.ring[self->commands.first].sent_ms + self->options.command_timeout_ms;
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
    if (self->fd >= 0) {
        close(self->fd);
        self->fd = -1;
    }
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
        struct command command = commands_pop(&self->commands);
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
    struct command command = commands_pop(&self->commands);
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

static void read_socket(redis_link_t *self) {
    uint8_t bytes[READ_SIZE];
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t size = read(self->fd, bytes, sizeof bytes);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (size <= 0) {
            lose(self, "the connection was cut");
            return;
        }
        if (!redis_reader_feed(self->reader, span_of(bytes, (size_t) size))) {
            lose(self, "a reply that is broken or too large");
            return;
        }
        if (!parse(self)) {
            return;
        }
        if ((size_t) size < sizeof bytes) {
            return; /* the kernel had no more, most likely */
        }
    }
}

/* ---- writing ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(redis_link_t *self, int events) {
    if (self->polled_for != events) {
        self->polled_for = events;
        uv_poll_start(self->poll, events, on_poll);
    }
}

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
        ssize_t size =
            send(self->fd, self->out.data + self->out_written, self->out.size - self->out_written, MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch(self, UV_READABLE | UV_WRITABLE);
            return;
        }
        if (size < 0) {
            redis_link_drop(self, "the connection was cut");
            return;
        }
        self->out_written += (size_t) size;
    }
    if (self->out.size > 0) {
        written(self);
        watch(self, UV_READABLE);
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
    const struct command command = {on_reply, request, bytes, clock_monotonic_ms()};
    commands_push(&self->commands, &command);
    if (!uv_is_active((uv_handle_t *) &self->timer)) {
        arm(self);
    }
}

bool redis_link_is_up(const redis_link_t *self) {
    return self->phase == LINK_UP && self->drop_reason == NULL;
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

static void connected(redis_link_t *self) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        close_socket(self);
        attempt_next_address(self);
        return;
    }
    greet(self);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    redis_link_t *self = poll->data;
    if (self->phase == LINK_CONNECTING) {
        connected(self);
        return;
    }
    if (status < 0 || (events & UV_READABLE) != 0) {
        read_socket(self);
    }
    if (self->poll == poll && (events & UV_WRITABLE) != 0) {
        redis_link_flush(self);
    }
}

static bool open_socket(redis_link_t *self, const struct sockaddr *address, socklen_t size) {
    self->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0) {
        return false;
    }
    if (address->sa_family != AF_UNIX) {
        setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    if (connect(self->fd, address, size) != 0 && errno != EINPROGRESS) {
        close_socket(self);
        return false;
    }
    self->poll = memory_alloc_zero(sizeof *self->poll);
    self->poll->data = self;
    self->polled_for = 0;
    check(uv_poll_init(self->options.loop, self->poll, self->fd) == 0, "uv_poll_init");
    self->phase = LINK_CONNECTING;
    watch(self, UV_WRITABLE);
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
    memory_free(self->commands.ring);
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
            lose(self, self->phase == LINK_UP ? "Redis did not answer in time" : "Redis cannot be reached in time");
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
    self->fd = -1;
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
