/* One worker process's users: their connections, what they subscribed to, what they publish. The protocols
 * (bench_protocol.h) speak on them, the worker's loop (bench_worker.c) drives them.
 *
 *   CLOSED ─▶ CONNECTING ─▶ GREETING ─▶ READY ─▶ (CLOSING) ─▶ CLOSED          every failure leads to CLOSED, with a
 * reason TCP           protocol   counts                                and to a later attempt
 *
 * Thread: the process's only one. */
#ifndef CALLBOARD_TOOLS_BENCH_CLIENT_H
#define CALLBOARD_TOOLS_BENCH_CLIENT_H

#include "tools/bench/bench_board.h"
#include "tools/bench/bench_stamp.h"
#include "tools/bench/sequence_check.h"

enum bench_connection_phase { BENCH_CLOSED, BENCH_CONNECTING, BENCH_GREETING, BENCH_READY, BENCH_CLOSING };

struct bench_connection {
    int fd;
    enum bench_connection_phase phase;
    unsigned user;
    unsigned step;            /* the protocol's: how far the greeting is */
    unsigned replies_left;    /* the protocol's */
    unsigned first_publisher; /* in client->publishers */
    unsigned n_publishers;
    unsigned failures;    /* in a row */
    unsigned missed_left; /* storm: what has not come yet */
    bool was_ready;
    bool is_parked; /* storm: cut, and waits for the others */
    bool has_moved; /* storm: came back at plan->storm_target */
    uint64_t began_ns;
    uint64_t again_ns;
    uint64_t next_id;
    struct buffer in;  /* of a message that did not come whole */
    struct buffer out; /* what the kernel did not take */
};

/* Where to go on after a reconnect; known only where the server said so. */
struct bench_position {
    uint64_t offset;
    char epoch[32];
};

struct bench_publisher {
    struct bench_connection *connection;
    unsigned number; /* in the plan */
    unsigned channel;
    uint64_t sent; /* publications so far: the number of the last one */
    uint64_t next_ns;
};

struct bench_protocol;

struct bench_client {
    const struct bench_plan *plan;
    const struct bench_protocol *protocol;
    struct bench_board *board;
    struct bench_worker_part *part;
    bench_counter *came;
    unsigned worker;
    int epoll_fd;
    uint64_t now_ns;
    bool ending;
    unsigned n_users;
    unsigned n_handshaking;
    unsigned n_waiting; /* closed, with an attempt to come */
    struct bench_connection *connections;
    struct sequence_check *checks;    /* by connection, subscription and publisher of its channel */
    struct bench_position *positions; /* by connection and subscription */
    struct bench_publisher *publishers;
    unsigned n_publishers;
    struct buffer scratch; /* what is being written */
    struct buffer batch;   /* publications that are being written */
};

bool bench_client_init(struct bench_client *self, const struct bench_plan *plan, const struct bench_protocol *protocol,
                       struct bench_board *board, unsigned worker);

/* The loop's. */
void bench_connection_start(struct bench_client *self, struct bench_connection *connection);
void bench_connection_event(struct bench_client *self, struct bench_connection *connection, uint32_t events);
/* Tries those again whose time has come, ends handshakes that take too long. */
void bench_client_sweep(struct bench_client *self);
/* Ends a ready connection at once, as a churn that resets does. */
void bench_connection_cut(struct bench_client *self, struct bench_connection *connection);

/* Ends a ready connection by a reset; nothing brings it back but bench_connection_start. */
void bench_connection_park(struct bench_client *self, struct bench_connection *connection);
/* `count` of this publisher's, in one send; none where its connection is not up. */
void bench_publisher_send(struct bench_client *self, struct bench_publisher *publisher, unsigned count);

/* The protocols'. */
const struct bench_target *bench_target_of(const struct bench_client *self, const struct bench_connection *connection);
void bench_connection_send(struct bench_client *self, struct bench_connection *connection, const void *data,
                           size_t size);
/* Greeting done. */
void bench_connection_ready(struct bench_client *self, struct bench_connection *connection);
/* The server said no, or broke the protocol: closed after the call; returns 0, for a read to return. */
size_t bench_connection_fail(struct bench_client *self, struct bench_connection *connection, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The first trouble is kept for the report. */
void bench_client_tell(struct bench_client *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A payload came: judged, counted, timed. False: it is none of this user's channels or this run's. */
bool bench_client_delivery(struct bench_client *self, struct bench_connection *connection,
                           const struct bench_stamp *stamp);
/* The place of a channel among the user's subscriptions; subscriptions_per_user: none of them. */
unsigned bench_subscription_of(const struct bench_client *self, const struct bench_connection *connection,
                               unsigned channel);
void bench_append_channel(const struct bench_client *self, struct buffer *out, unsigned channel);
/* A token of this user, or nothing. */
void bench_append_token(const struct bench_client *self, struct buffer *out, unsigned user);

static inline size_t bench_connection_index(const struct bench_client *self,
                                            const struct bench_connection *connection) {
    return (size_t) (connection - self->connections);
}

#endif
