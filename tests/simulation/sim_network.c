/* See sim_network.h. Descriptors of the simulation begin at FIRST_FD; the system calls of everything else pass through
 * to the real ones. */
#include "tests/simulation/sim_network.h"

#include "base/check.h"
#include "base/memory.h"
#include "tests/simulation/model_server.h"
#include "tests/simulation/sim_process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_FD = 1 << 20, CONNECTIONS_MAX = 8192 };

struct chunk {
    struct list_link link;
    uint64_t arrives_us;
    bool is_end; /* the sender closed behind what it sent before */
    size_t size;
    size_t taken;
    uint8_t bytes[];
};

static struct {
    struct sim_path paths[SIM_PROCESSES][SIM_SERVERS];
    int target[SIM_PROCESSES];
    struct sim_connection *connections[CONNECTIONS_MAX];
    int n;
} network;

void sim_network_begin(void) {
    memset(&network, 0, sizeof network);
    for (int i = 0; i < SIM_PROCESSES; i++) {
        for (int j = 0; j < SIM_SERVERS; j++) {
            network.paths[i][j] = (struct sim_path){.delay_us = 300, .slow_us = 3 * MS};
        }
    }
}

struct sim_path *sim_network_path(int process, int server) {
    return &network.paths[process][server];
}

void sim_network_point(int process, int server) {
    network.target[process] = server;
}

/* redis-3, sentinel-3: that server; any other name: what the service's name means now. */
int sim_network_resolve(int process, const char *name) {
    const char *number = strrchr(name, '-');
    int server = number == NULL ? network.target[process] : atoi(number + 1);
    return server + 1;
}

/* ---- directions ---- */

static void on_arrival(void *context, uint64_t is_up);

static void plan(struct sim_connection *connection, struct sim_direction *direction) {
    if (direction->is_planned || list_is_empty(&direction->chunks)) {
        return;
    }
    bool is_up = direction == &connection->up;
    const struct sim_path *path = sim_network_path(connection->process->index, connection->server);
    uint64_t closed_us = is_up ? path->up_closed_us : path->down_closed_us;
    uint64_t at_us = list_entry(direction->chunks.next, struct chunk, link)->arrives_us;
    direction->is_planned = true;
    sim_at(at_us < closed_us ? closed_us : at_us, on_arrival, connection, is_up);
}

static void arrive_up(struct sim_connection *connection, const struct chunk *chunk) {
    if (connection->client == NULL) {
        return;
    }
    if (chunk->is_end) {
        model_hang_up(connection->client);
    } else {
        model_receive(connection->client, span_of(chunk->bytes, chunk->size));
    }
}

static void arrive_down(struct sim_connection *connection, const struct chunk *chunk) {
    if (connection->is_closed) {
        return;
    }
    if (chunk->is_end) {
        connection->has_end = true;
    } else {
        buffer_append(&connection->in, chunk->bytes, chunk->size);
    }
    sim_process_wake(connection->process);
}

static void on_arrival(void *context, uint64_t is_up) {
    struct sim_connection *connection = context;
    struct sim_direction *direction = is_up ? &connection->up : &connection->down;
    direction->is_planned = false;
    const struct sim_path *path = sim_network_path(connection->process->index, connection->server);
    uint64_t closed_us = is_up ? path->up_closed_us : path->down_closed_us;
    while (!list_is_empty(&direction->chunks) && closed_us <= sim_now_us()) {
        struct chunk *chunk = list_entry(direction->chunks.next, struct chunk, link);
        if (chunk->arrives_us > sim_now_us()) {
            break;
        }
        list_remove(&chunk->link);
        (is_up ? arrive_up : arrive_down)(connection, chunk);
    }
    plan(connection, direction);
}

static void send_chunk(struct sim_connection *connection, bool is_up, struct span bytes, bool is_end,
                       uint64_t extra_us) {
    struct sim_direction *direction = is_up ? &connection->up : &connection->down;
    if (direction->is_lost) {
        return;
    }
    const struct sim_path *path = sim_network_path(connection->process->index, connection->server);
    uint64_t most_us = sim_chance(5) ? path->slow_us : path->delay_us;
    uint64_t at_us = sim_now_us() + sim_between(20, most_us) + extra_us;
    struct chunk *chunk = sim_alloc(sizeof *chunk + bytes.size);
    chunk->arrives_us = at_us < direction->last_us ? direction->last_us : at_us;
    chunk->is_end = is_end;
    chunk->size = bytes.size;
    if (bytes.size > 0) {
        memcpy(chunk->bytes, bytes.data, bytes.size);
    }
    direction->last_us = chunk->arrives_us;
    list_init(&chunk->link);
    list_push_back(&direction->chunks, &chunk->link);
    plan(connection, direction);
}

void sim_network_send_down(struct sim_connection *connection, struct buffer *bytes, bool is_pubsub) {
    const struct sim_path *path = sim_network_path(connection->process->index, connection->server);
    uint64_t extra_us = path->down_extra_us[is_pubsub];
    send_chunk(connection, false, buffer_span(bytes), false, extra_us == 0 ? 0 : sim_below(extra_us));
    buffer_clear(bytes);
}

void sim_network_end(struct sim_connection *connection) {
    connection->client = NULL;
    send_chunk(connection, false, SPAN_EMPTY, true, 0);
    connection->down.is_lost = true;
}

/* ---- cuts ---- */

/* Of what is on the way some first bytes still arrive. */
static void lose_tail(struct sim_direction *direction) {
    size_t n = 0;
    list_for_each (link, &direction->chunks) {
        n++;
    }
    size_t kept = sim_chance(40) ? n : sim_below(n + 1);
    bool is_over = false;
    list_for_each_safe (link, &direction->chunks) {
        struct chunk *chunk = list_entry(link, struct chunk, link);
        if (kept > 0) {
            kept--;
        } else if (!is_over && chunk->size > 0 && sim_chance(30)) {
            chunk->size = sim_below(chunk->size); /* a part of a command never comes true, a part of a reply neither */
            is_over = true;
        } else {
            list_remove(link);
            is_over = true;
        }
    }
}

void sim_network_cut(struct sim_connection *connection) {
    if (connection->state == SIM_ENDED || connection->up.is_lost) {
        return;
    }
    lose_tail(&connection->up);
    lose_tail(&connection->down);
    send_chunk(connection, true, SPAN_EMPTY, true, 0);
    send_chunk(connection, false, SPAN_EMPTY, true, 0);
    connection->up.is_lost = true;
    connection->down.is_lost = true;
}

void sim_network_cut_server(int server) {
    for (int i = 0; i < network.n; i++) {
        if (network.connections[i]->server == server) {
            network.connections[i]->client = NULL;
            sim_network_cut(network.connections[i]);
        }
    }
}

void sim_network_cut_process(int process) {
    for (int i = 0; i < network.n; i++) {
        struct sim_connection *connection = network.connections[i];
        if (connection->process->index == process && !connection->is_closed) {
            lose_tail(&connection->up);
            send_chunk(connection, true, SPAN_EMPTY, true, 0);
            connection->up.is_lost = true;
            connection->down.is_lost = true;
            connection->is_closed = true;
            connection->state = SIM_ENDED;
            buffer_finish(&connection->in);
        }
    }
}

struct sim_connection *sim_network_any(int process, int server) {
    struct sim_connection *open[CONNECTIONS_MAX];
    size_t n = 0;
    for (int i = 0; i < network.n; i++) {
        struct sim_connection *connection = network.connections[i];
        if (connection->state == SIM_OPEN && connection->process->index == process && connection->server == server &&
            !connection->is_closed) {
            open[n++] = connection;
        }
    }
    return n == 0 ? NULL : open[sim_below(n)];
}

/* ---- connecting ---- */

static struct sim_connection *connection_of(int fd) {
    return fd < FIRST_FD || fd - FIRST_FD >= network.n ? NULL : network.connections[fd - FIRST_FD];
}

static void on_connect_arrived(void *context, uint64_t tries) {
    struct sim_connection *connection = context;
    const struct sim_path *path = sim_network_path(connection->process->index, connection->server);
    if (connection->is_closed) {
        return;
    }
    if (path->up_closed_us > sim_now_us() || path->down_closed_us > sim_now_us()) {
        sim_after((uint64_t) SECOND << (tries < 3 ? tries : 3), on_connect_arrived, connection, tries + 1);
        return;
    }
    connection->client = model_accept(connection->server, connection);
    connection->state = connection->client == NULL ? SIM_REFUSED : SIM_OPEN;
    sim_process_wake(connection->process);
}

int __wrap_socket(int domain, int type, int protocol);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol) {
    struct sim_process *process = sim_process_current();
    if (process == NULL) {
        return __real_socket(domain, type, protocol);
    }
    check(network.n < CONNECTIONS_MAX, "more connections than a schedule can have");
    struct sim_connection *connection = sim_alloc(sizeof *connection);
    connection->fd = FIRST_FD + network.n;
    connection->process = process;
    list_init(&connection->up.chunks);
    list_init(&connection->down.chunks);
    network.connections[network.n++] = connection;
    return connection->fd;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
int __real_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size) {
    struct sim_connection *connection = connection_of(fd);
    if (connection == NULL) {
        return __real_connect(fd, address, size);
    }
    uint32_t host = ntohl(((const struct sockaddr_in *) (const void *) address)->sin_addr.s_addr);
    connection->server = (int) (host & 0xff) - 1;
    connection->state = SIM_CONNECTING;
    const struct sim_path *path = sim_network_path(connection->process->index, connection->server);
    sim_after(sim_between(100, 2 * path->delay_us), on_connect_arrived, connection, 0);
    errno = EINPROGRESS;
    return -1;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    struct sim_connection *connection = connection_of(fd);
    if (connection == NULL) {
        return __real_getsockopt(fd, level, name, value, size);
    }
    *(int *) value = connection->state == SIM_REFUSED ? ECONNREFUSED : 0;
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    return connection_of(fd) == NULL ? __real_setsockopt(fd, level, name, value, size) : 0;
}

/* ---- bytes ---- */

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags) {
    struct sim_connection *connection = connection_of(fd);
    if (connection == NULL) {
        return __real_send(fd, bytes, size, flags);
    }
    if (connection->state != SIM_OPEN || connection->has_end) {
        errno = EPIPE;
        return -1;
    }
    size_t taken = size > 1 && sim_chance(3) ? 1 + sim_below(size - 1) : size;
    send_chunk(connection, true, span_of(bytes, taken), false, 0);
    return (ssize_t) taken;
}

ssize_t __wrap_read(int fd, void *bytes, size_t size);
ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size) {
    struct sim_connection *connection = connection_of(fd);
    if (connection == NULL) {
        return __real_read(fd, bytes, size);
    }
    struct buffer *in = &connection->in;
    if (in->size == 0) {
        if (connection->has_end) {
            return 0;
        }
        errno = EAGAIN;
        return -1;
    }
    size_t n = in->size < size ? in->size : size;
    n = n > 1 && sim_chance(3) ? 1 + sim_below(n - 1) : n;
    memcpy(bytes, in->data, n);
    buffer_consume(in, n);
    return (ssize_t) n;
}

int __wrap_close(int fd);
int __real_close(int fd);
int __wrap_close(int fd) {
    struct sim_connection *connection = connection_of(fd);
    if (connection == NULL) {
        return __real_close(fd);
    }
    if (!connection->is_closed) {
        send_chunk(connection, true, SPAN_EMPTY, true, 0);
        connection->up.is_lost = true;
        connection->is_closed = true;
        connection->state = SIM_ENDED;
        buffer_finish(&connection->in);
    }
    return 0;
}

unsigned sim_socket_events(int fd) {
    const struct sim_connection *connection = connection_of(fd);
    if (connection == NULL || connection->is_closed || connection->state == SIM_CONNECTING) {
        return 0;
    }
    unsigned readable = connection->in.size > 0 || connection->has_end || connection->state == SIM_REFUSED;
    return (readable ? UV_READABLE : 0U) | UV_WRITABLE;
}
