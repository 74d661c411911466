/* The network between brokers and Redis servers, and the system calls that reach it (socket, connect, send, read,
 * close, getsockopt, setsockopt: the linker puts ours in their place).
 *
 *   broker ─send─▶ bytes on the way ─▶ server's input      each direction in order, with a delay of its own;
 *          ◀read── bytes on the way ◀── server's output    a cut loses what is on the way from some byte on
 *
 * A path between a broker and a server may be closed for a time, in either direction: what is on the way arrives when
 * it opens again, also when the one who sent it has long given up. That is how a command comes true late. */
#ifndef CALLBOARD_TESTS_SIMULATION_SIM_NETWORK_H
#define CALLBOARD_TESTS_SIMULATION_SIM_NETWORK_H

#include "base/bytes.h"
#include "base/list.h"

enum { SIM_PROCESSES = 8, SIM_SERVERS = 8 };

struct sim_process;
struct model_server;

struct sim_direction {
    struct list_link chunks; /* on the way, first sent first */
    uint64_t last_us;        /* nothing arrives before what was sent earlier */
    bool is_planned;         /* an arrival is */
    bool is_lost;            /* nothing arrives any more */
};

struct sim_connection {
    struct list_link link; /* of all */
    int fd;
    struct sim_process *process;
    int server;
    enum { SIM_NEW, SIM_CONNECTING, SIM_OPEN, SIM_REFUSED, SIM_ENDED } state;
    bool is_closed;   /* by the client: nobody reads any more */
    bool has_end;     /* the server's end was read, or the cut: behind `in` */
    struct buffer in; /* arrived, not yet read */
    struct sim_direction up;
    struct sim_direction down;
    void *client; /* the server's end; NULL: not accepted, or gone */
};

/* A broker's way to a server. */
struct sim_path {
    uint64_t up_closed_us; /* nothing arrives before */
    uint64_t down_closed_us;
    uint64_t delay_us;         /* at most, most of the time */
    uint64_t slow_us;          /* at most, now and then */
    uint64_t down_extra_us[2]; /* on the way down: command links, pub/sub links */
};

void sim_network_begin(void);
struct sim_path *sim_network_path(int process, int server);
/* Which server a name means to a process; -1: none. */
int sim_network_resolve(int process, const char *name);
/* What the name means to it from now on. */
void sim_network_point(int process, int server);

/* ---- for the server ---- */
/* Moves the bytes. */
void sim_network_send_down(struct sim_connection *connection, struct buffer *bytes, bool is_pubsub);
/* The server closes it: what is on the way down still arrives. */
void sim_network_end(struct sim_connection *connection);

/* ---- faults ---- */
/* Cuts it: of what is on the way a part arrives, or nothing, on either way. */
void sim_network_cut(struct sim_connection *connection);
void sim_network_cut_server(int server);   /* every connection of a server that died */
void sim_network_cut_process(int process); /* of a process that died */
/* Any connection of the two that is open; NULL: none. */
struct sim_connection *sim_network_any(int process, int server);

/* ---- for the loop ---- */
unsigned sim_socket_events(int fd); /* UV_READABLE, UV_WRITABLE */

#endif
