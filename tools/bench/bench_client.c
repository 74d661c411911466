/* Connections of a worker process: sockets that never block, edge-triggered, one receive for each event that leaves
 * nothing behind. What costs something for each delivery is bench_client_delivery and the protocol's search for stamps;
 * nothing is allocated there. */
#include "tools/bench/bench_client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/token.h"
#include "tools/bench/bench_protocol.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    INPUT_SIZE = 65536,
    MESSAGE_MAX = 4 << 20,
    OUT_MAX = 4 << 20,
    TOKEN_LIFE_S = 86400,
    RETRY_MS = 50,
    RETRY_MAX_MS = 2000
};
static const uint64_t HANDSHAKE_MAX_NS = 15000000000U;

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static void init_publishers(struct bench_client *self) {
    const struct bench_plan *plan = self->plan;
    unsigned all = plan->channels * plan->publishers;
    self->publishers = memory_alloc_array(all + 1, sizeof *self->publishers);
    for (unsigned user = self->worker; user < plan->users && all > 0; user += plan->processes) {
        struct bench_connection *connection = &self->connections[user / plan->processes];
        connection->first_publisher = self->n_publishers;
        for (unsigned j = 0; j < plan->subscriptions_per_user; j++) {
            unsigned channel = bench_channel_of(plan, user, j);
            uint64_t place = bench_place_of(plan, user, j);
            if (place < plan->publishers) {
                self->publishers[self->n_publishers++] = (struct bench_publisher){
                    .connection = connection,
                    .number = channel * plan->publishers + (unsigned) place,
                    .channel = channel,
                };
            }
        }
        connection->n_publishers = self->n_publishers - connection->first_publisher;
    }
}

bool bench_client_init(struct bench_client *self, const struct bench_plan *plan, const struct bench_protocol *protocol,
                       struct bench_board *board, unsigned worker) {
    *self = (struct bench_client){.plan = plan,
                                  .protocol = protocol,
                                  .board = board,
                                  .part = &board->workers[worker],
                                  .came = board->came + (size_t) worker * plan->channels,
                                  .worker = worker,
                                  .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (self->epoll_fd < 0) {
        return false;
    }
    self->n_users = plan->users / plan->processes + (worker < plan->users % plan->processes);
    self->connections = memory_alloc_array(self->n_users + 1, sizeof *self->connections);
    size_t subscriptions = plan->channels == 0 ? 0 : (size_t) self->n_users * plan->subscriptions_per_user;
    self->checks = memory_alloc_array(subscriptions * plan->publishers + 1, sizeof *self->checks);
    self->positions = memory_alloc_array(subscriptions + 1, sizeof *self->positions);
    for (unsigned i = 0; i < self->n_users; i++) {
        self->connections[i] = (struct bench_connection){.fd = -1, .user = i * plan->processes + worker};
        buffer_init(&self->connections[i].in, MESSAGE_MAX);
        buffer_init(&self->connections[i].out, OUT_MAX);
    }
    init_publishers(self);
    return true;
}

void bench_client_tell(struct bench_client *self, const char *format, ...) {
    if (atomic_load_explicit(&self->part->has_reason, memory_order_relaxed)) {
        return;
    }
    va_list values;
    va_start(values, format);
    vsnprintf(self->part->reason, sizeof self->part->reason, format, values);
    va_end(values);
    atomic_store_explicit(&self->part->has_reason, true, memory_order_release);
}

/* Gone, by whoever's will; `linger` false: reset, so that the port is free at once. */
static void release(struct bench_client *self, struct bench_connection *connection) {
    if (connection->phase == BENCH_CONNECTING || connection->phase == BENCH_GREETING) {
        self->n_handshaking--;
    } else if (connection->phase == BENCH_READY || connection->phase == BENCH_CLOSING) {
        atomic_fetch_sub_explicit(&self->part->counts.connected, 1, memory_order_relaxed);
    }
    struct linger at_once = {1, 0};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(connection->fd);
    connection->fd = -1;
    connection->phase = BENCH_CLOSED;
    buffer_finish(&connection->in);
    buffer_finish(&connection->out);
}

void bench_connection_cut(struct bench_client *self, struct bench_connection *connection) {
    release(self, connection);
    connection->again_ns = self->now_ns;
    self->n_waiting++;
}

void bench_connection_park(struct bench_client *self, struct bench_connection *connection) {
    release(self, connection);
    connection->is_parked = true;
}

/* Unasked: counted, and tried again later. */
static void lose(struct bench_client *self, struct bench_connection *connection) {
    bool was_up = connection->phase == BENCH_READY;
    if (self->ending || connection->phase == BENCH_CLOSING) {
        bench_connection_cut(self, connection);
        return;
    }
    bench_count(was_up ? &self->part->counts.disconnects : &self->part->counts.connect_failures, 1);
    release(self, connection);
    connection->failures = was_up ? 0 : connection->failures + 1;
    uint32_t delay_ms = (uint32_t) RETRY_MS << (connection->failures > 5 ? 5 : connection->failures);
    delay_ms = delay_ms > RETRY_MAX_MS ? RETRY_MAX_MS : delay_ms;
    connection->again_ns = self->now_ns + (delay_ms / 2 + random_below(delay_ms / 2 + 1)) * UINT64_C(1000000);
    self->n_waiting++;
}

size_t bench_connection_fail(struct bench_client *self, struct bench_connection *connection, const char *format, ...) {
    char reason[BENCH_REASON_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(reason, sizeof reason, format, values);
    va_end(values);
    bench_client_tell(self, "user %u: %s", connection->user, reason);
    lose(self, connection);
    return 0;
}

/* Many source addresses of the loopback net, so that neither ports nor a limit for each source end the run. */
static bool bind_source(const struct bench_client *self, const struct bench_connection *connection) {
    if (self->plan->sources == 0) {
        return true;
    }
    int one = 1;
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr = {htonl(0x7f000002U + connection->user % self->plan->sources)}};
    setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(connection->fd, (const struct sockaddr *) &source, sizeof source) == 0;
}

const struct bench_target *bench_target_of(const struct bench_client *self, const struct bench_connection *connection) {
    const struct bench_plan *plan = self->plan;
    return connection->has_moved ? &plan->storm_target : &plan->targets[connection->user % plan->n_targets];
}

void bench_connection_start(struct bench_client *self, struct bench_connection *connection) {
    const struct bench_target *target = bench_target_of(self, connection);
    int one = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connection->phase = BENCH_CONNECTING;
    connection->step = 0;
    connection->began_ns = self->now_ns;
    self->n_handshaking++;
    if (connection->fd < 0) {
        bench_connection_fail(self, connection, "socket: %s", strerror(errno));
        return;
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = connection}};
    if (!bind_source(self, connection) ||
        (connect(connection->fd, (const struct sockaddr *) &target->address, sizeof target->address) != 0 &&
         errno != EINPROGRESS) ||
        epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        bench_connection_fail(self, connection, "connect to %s: %s", target->host, strerror(errno));
    }
}

void bench_connection_send(struct bench_client *self, struct bench_connection *connection, const void *data,
                           size_t size) {
    size_t taken = 0;
    if (connection->out.size == 0) {
        ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return; /* the event of its end comes */
        }
        taken = sent < 0 ? 0 : (size_t) sent;
    }
    if (taken < size && !buffer_append(&connection->out, (const uint8_t *) data + taken, size - taken)) {
        bench_client_tell(self, "user %u: the server reads nothing, over %d bytes wait", connection->user, OUT_MAX);
        shutdown(connection->fd, SHUT_RDWR); /* the event of its end comes */
    }
}

static void flush(struct bench_connection *connection) {
    while (connection->out.size > 0) {
        ssize_t sent = send(connection->fd, connection->out.data, connection->out.size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        buffer_consume(&connection->out, (size_t) sent);
    }
    buffer_finish(&connection->out);
}

void bench_connection_ready(struct bench_client *self, struct bench_connection *connection) {
    self->n_handshaking--;
    connection->phase = BENCH_READY;
    connection->failures = 0;
    bench_count(&self->part->counts.connects, 1);
    atomic_fetch_add_explicit(&self->part->counts.connected, 1, memory_order_relaxed);
    latency_histogram_record(&self->part->connect, self->now_ns - connection->began_ns);
    if (connection->was_ready && self->plan->churn == BENCH_NO_CHURN) {
        bench_count(&self->part->counts.reconnects, 1);
    }
    connection->was_ready = true;
}

/* Gives what came to the protocol; what it does not use waits for more. */
static void take_input(struct bench_client *self, struct bench_connection *connection, const uint8_t *data,
                       size_t size) {
    if (connection->in.size == 0) {
        size_t used = self->protocol->read(self, connection, data, size);
        if (connection->phase != BENCH_CLOSED && used < size) {
            buffer_append(&connection->in, data + used, size - used);
        }
        return;
    }
    if (!buffer_append(&connection->in, data, size)) {
        bench_connection_fail(self, connection, "a message over %d bytes", MESSAGE_MAX);
        return;
    }
    size_t used = self->protocol->read(self, connection, connection->in.data, connection->in.size);
    if (connection->phase == BENCH_CLOSED) {
        return;
    }
    buffer_consume(&connection->in, used);
    if (connection->in.size == 0) {
        buffer_finish(&connection->in);
    }
}

/* Edge-triggered: what comes later is told, but an end that was told together with the last bytes is not told again. */
static void receive(struct bench_client *self, struct bench_connection *connection, bool has_ended) {
    static uint8_t block[INPUT_SIZE];
    for (;;) {
        ssize_t size = recv(connection->fd, block, sizeof block, 0);
        if (size < 0 && errno == EAGAIN) {
            return;
        }
        self->now_ns = bench_now_ns();
        if (size <= 0) {
            bool is_regular = connection->phase == BENCH_CLOSING || self->ending;
            if (!is_regular) {
                bench_client_tell(self, "user %u: %s while %s", connection->user,
                                  size == 0 ? "the server ended the connection" : strerror(errno),
                                  connection->phase == BENCH_READY ? "subscribed" : "connecting");
            }
            lose(self, connection);
            return;
        }
        take_input(self, connection, block, (size_t) size);
        if (connection->phase == BENCH_CLOSED || ((size_t) size < sizeof block && !has_ended)) {
            return;
        }
    }
}

void bench_connection_event(struct bench_client *self, struct bench_connection *connection, uint32_t events) {
    if (connection->phase == BENCH_CONNECTING && (events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0) {
        connection->phase = BENCH_GREETING;
        self->protocol->greet(self, connection);
    } else if ((events & EPOLLOUT) != 0 && connection->out.size > 0) {
        flush(connection);
    }
    if (connection->phase != BENCH_CLOSED && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        receive(self, connection, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
    }
}

void bench_client_sweep(struct bench_client *self) {
    if (self->n_waiting == 0 && self->n_handshaking == 0) {
        return;
    }
    for (unsigned i = 0; i < self->n_users; i++) {
        struct bench_connection *connection = &self->connections[i];
        if (connection->phase == BENCH_CLOSED && connection->again_ns != 0 && connection->again_ns <= self->now_ns) {
            connection->again_ns = 0;
            self->n_waiting--;
            bench_connection_start(self, connection);
        } else if ((connection->phase == BENCH_CONNECTING || connection->phase == BENCH_GREETING) &&
                   connection->began_ns + HANDSHAKE_MAX_NS < self->now_ns) {
            bench_connection_fail(self, connection, "no answer in 15 s while connecting");
        }
    }
}

unsigned bench_subscription_of(const struct bench_client *self, const struct bench_connection *connection,
                               unsigned channel) {
    unsigned first = bench_channel_of(self->plan, connection->user, 0);
    unsigned j = channel >= first ? channel - first : channel + self->plan->channels - first;
    return j < self->plan->subscriptions_per_user ? j : self->plan->subscriptions_per_user;
}

/* Of a storm: one thing less that this user misses. */
static void catch_up(struct bench_client *self, struct bench_connection *connection) {
    if (connection->missed_left > 0 && --connection->missed_left == 0) {
        latency_histogram_record(&self->part->caught_up, self->now_ns - bench_read(&self->board->start_ns));
        bench_count(&self->part->counts.caught_up, 1);
    }
}

bool bench_client_delivery(struct bench_client *self, struct bench_connection *connection,
                           const struct bench_stamp *stamp) {
    const struct bench_plan *plan = self->plan;
    struct bench_counts *counts = &self->part->counts;
    unsigned channel = plan->publishers == 0 ? plan->channels : stamp->publisher / plan->publishers;
    unsigned j =
        channel < plan->channels ? bench_subscription_of(self, connection, channel) : plan->subscriptions_per_user;
    if (stamp->run != plan->run || j == plan->subscriptions_per_user) {
        bench_count(&counts->foreign, 1);
        return false;
    }
    size_t subscription = bench_connection_index(self, connection) * plan->subscriptions_per_user + j;
    struct sequence_check *check = &self->checks[subscription * plan->publishers + stamp->publisher % plan->publishers];
    enum sequence_outcome outcome = sequence_check_take(check, stamp->number);
    if (outcome == SEQUENCE_DOUBLED) {
        bench_count(&counts->doubled, 1);
        return true;
    }
    if (outcome == SEQUENCE_LATE) {
        bench_count(&counts->out_of_order, 1);
    }
    bench_count(&counts->delivered, 1);
    bench_count(&self->came[channel], 1);
    catch_up(self, connection);
    latency_histogram_record(&self->part->delivery, self->now_ns > stamp->sent_ns ? self->now_ns - stamp->sent_ns : 0);
    return true;
}

void bench_publisher_send(struct bench_client *self, struct bench_publisher *publisher, unsigned count) {
    if (publisher->connection->phase != BENCH_READY) {
        return;
    }
    struct bench_stamp stamp = {.run = self->plan->run,
                                .publisher = publisher->number,
                                .number = publisher->sent + 1,
                                .sent_ns = bench_now_ns()};
    buffer_clear(&self->batch);
    self->protocol->append_publications(self, publisher, &self->batch, stamp, count);
    publisher->sent += count;
    atomic_fetch_add_explicit(&self->board->sent[publisher->number], count, memory_order_relaxed);
    bench_connection_send(self, publisher->connection, self->batch.data, self->batch.size);
}

void bench_append_channel(const struct bench_client *self, struct buffer *out, unsigned channel) {
    buffer_append_text(out, self->plan->channel_prefix);
    buffer_append_u64_decimal(out, channel);
}

static void append_claim(struct buffer *claims, const char *name, const char *value) {
    if (value != NULL && value[0] != '\0') {
        buffer_append_format(claims, ",\"%s\":", name);
        buffer_append_json_string(claims, span_of_text(value));
    }
}

void bench_append_token(const struct bench_client *self, struct buffer *out, unsigned user) {
    const struct bench_plan *plan = self->plan;
    if (plan->token != NULL) {
        buffer_append_text(out, plan->token);
        return;
    }
    if (plan->secret.size == 0) {
        return;
    }
    struct buffer claims = BUFFER_EMPTY;
    int64_t now_s = clock_wall_ms() / 1000;
    buffer_append_format(&claims, "{\"sub\":\"bench-%u\"", user);
    append_claim(&claims, "aud", plan->audience);
    append_claim(&claims, "iss", plan->issuer);
    buffer_append_format(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long) now_s, (long long) now_s + TOKEN_LIFE_S);
    token_sign_with_secret(out, NULL, (enum token_algorithm) plan->algorithm, plan->secret, buffer_span(&claims));
    buffer_finish(&claims);
}
