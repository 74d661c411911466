/* See redis_cluster_set.h. Made with CLUSTER commands rather than by redis-cli, which waits longer than a test likes.
 */
#include "tests/support/redis_cluster_set.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "tests/support/free_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    AWAIT_MS = 30000,
    NODE_TIMEOUT_MS = 1000,
    MEET_MS = 2000,
    SLOTS = 16384,
    LINES_MAX = 32,
    LINE_MAX = 1024,
    ID_LENGTH = 40
};

struct redis_cluster_set {
    struct redis_cluster_set_options options;
    redis_server_t *servers[REDIS_CLUSTER_SET_SERVERS];
    int bus_ports[REDIS_CLUSTER_SET_SERVERS];
    int tls_ports[REDIS_CLUSTER_SET_SERVERS]; /* 0: none */
    char ids[REDIS_CLUSTER_SET_SERVERS][ID_LENGTH + 1];
    char url[160];
};

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void start_server(redis_cluster_set_t *self, unsigned number) {
    char texts[LINES_MAX][LINE_MAX];
    const char *lines[LINES_MAX + 1] = {NULL};
    unsigned n = 0;
    self->bus_ports[number] = free_port(); /* port + 10000 could be an ephemeral one */
    unsigned timeout_ms = self->options.node_timeout_ms == 0 ? NODE_TIMEOUT_MS : self->options.node_timeout_ms;
    snprintf(texts[n++], LINE_MAX, "cluster-enabled yes");
    snprintf(texts[n++], LINE_MAX, "cluster-port %d", self->bus_ports[number]);
    snprintf(texts[n++], LINE_MAX, "cluster-node-timeout %u", timeout_ms);
    snprintf(texts[n++], LINE_MAX, "cluster-replica-validity-factor 0");
    snprintf(texts[n++], LINE_MAX, "repl-diskless-sync-delay 0");
    snprintf(texts[n++], LINE_MAX, "repl-ping-replica-period 1");
    if (self->options.password != NULL) {
        snprintf(texts[n++], LINE_MAX, "requirepass %s", self->options.password);
        snprintf(texts[n++], LINE_MAX, "masterauth %s", self->options.password);
    }
    char tls_lines[TLS_LINES][TLS_LINE_MAX];
    if (self->options.tls != NULL) {
        self->tls_ports[number] = free_port();
        tls_directory_lines(self->options.tls, self->tls_ports[number], tls_lines);
        snprintf(texts[n++], LINE_MAX, "tls-cluster yes");
    }
    for (unsigned i = 0; self->options.tls != NULL && i < TLS_LINES; i++) {
        snprintf(texts[n++], LINE_MAX, "%s", tls_lines[i]);
    }
    for (size_t i = 0; self->options.config_lines != NULL && self->options.config_lines[i] != NULL; i++) {
        check(n < LINES_MAX, "too many lines");
        snprintf(texts[n++], LINE_MAX, "%s", self->options.config_lines[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        lines[i] = texts[i];
    }
    self->servers[number] = redis_server_start(lines);
    if (self->options.password != NULL) {
        redis_server_set_login(self->servers[number], NULL, self->options.password);
    }
    char *id = redis_server_command(self->servers[number], "CLUSTER MYID");
    check(id != NULL && strlen(id) == ID_LENGTH, "CLUSTER MYID: %s", id == NULL ? "(no answer)" : id);
    memcpy(self->ids[number], id, ID_LENGTH + 1);
    memory_free(id);
}

static void give_slots(redis_cluster_set_t *self) {
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_PRIMARIES; i++) {
        int first = (int) (SLOTS * i / REDIS_CLUSTER_SET_PRIMARIES);
        int last = (int) (SLOTS * (i + 1) / REDIS_CLUSTER_SET_PRIMARIES) - 1;
        redis_server_expect(self->servers[i], "OK", "CLUSTER ADDSLOTSRANGE %d %d", first, last);
    }
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        redis_server_expect(self->servers[i], "OK", "CLUSTER SET-CONFIG-EPOCH %d", (int) i + 1);
    }
}

static bool knows_all(redis_cluster_set_t *self, unsigned number) {
    char *nodes = redis_server_command(self->servers[number], "CLUSTER NODES");
    bool knows = nodes != NULL && strstr(nodes, "handshake") == NULL;
    for (unsigned i = 0; knows && i < REDIS_CLUSTER_SET_SERVERS; i++) {
        knows = strstr(nodes, self->ids[i]) != NULL;
    }
    memory_free(nodes);
    return knows;
}

/* A handshake that takes longer than the node timeout is forgotten: then they meet again. */
static void meet(redis_cluster_set_t *self) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    uint64_t next_ms = 0;
    for (unsigned known = 0; known < REDIS_CLUSTER_SET_SERVERS; nap()) {
        check(clock_monotonic_ms() < deadline_ms, "node %u does not know the others", known);
        for (unsigned i = 1; clock_monotonic_ms() >= next_ms && i < REDIS_CLUSTER_SET_SERVERS; i++) {
            redis_server_expect(self->servers[0], "OK", "CLUSTER MEET 127.0.0.1 %d %d", redis_cluster_set_port(self, i),
                                self->bus_ports[i]);
        }
        next_ms = clock_monotonic_ms() >= next_ms ? clock_monotonic_ms() + MEET_MS : next_ms;
        for (known = 0; known < REDIS_CLUSTER_SET_SERVERS && knows_all(self, known);) {
            known++;
        }
    }
}

static void replicate(redis_cluster_set_t *self) {
    for (unsigned i = REDIS_CLUSTER_SET_PRIMARIES; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        redis_server_await(self->servers[i], "OK", "CLUSTER REPLICATE %s", self->ids[i - REDIS_CLUSTER_SET_PRIMARIES]);
    }
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        bool is_primary = i < REDIS_CLUSTER_SET_PRIMARIES;
        redis_server_await(self->servers[i], is_primary ? "state=online" : "master_link_status:up", "INFO replication");
        redis_server_await(self->servers[i], "cluster_state:ok", "CLUSTER INFO");
    }
}

/* Each node has heard of each replica: three entries of CLUSTER SLOTS with two nodes each. */
static void await_map(redis_cluster_set_t *self) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        for (bool is_whole = false; !is_whole; nap()) {
            char *slots = redis_server_command(self->servers[i], "CLUSTER SLOTS");
            is_whole = slots != NULL;
            for (unsigned k = 0; is_whole && k < REDIS_CLUSTER_SET_SERVERS; k++) {
                is_whole = strstr(slots, self->ids[k]) != NULL;
            }
            memory_free(slots);
            check(is_whole || clock_monotonic_ms() < deadline_ms, "node %u does not know the whole cluster", i);
        }
    }
}

redis_cluster_set_t *redis_cluster_set_start(const struct redis_cluster_set_options *options) {
    redis_cluster_set_t *self = memory_alloc_zero(sizeof *self);
    self->options = options == NULL ? (struct redis_cluster_set_options){.password = NULL} : *options;
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        start_server(self, i);
    }
    give_slots(self);
    meet(self);
    replicate(self);
    await_map(self);
    snprintf(self->url, sizeof self->url, "%s+cluster://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d",
             self->options.tls == NULL ? "redis" : "rediss", redis_cluster_set_port(self, 0),
             redis_cluster_set_port(self, 1), redis_cluster_set_port(self, 2));
    return self;
}

void redis_cluster_set_stop(redis_cluster_set_t **self_p) {
    redis_cluster_set_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        redis_server_stop(&self->servers[i]);
    }
    memory_free(self);
    *self_p = NULL;
}

const char *redis_cluster_set_url(const redis_cluster_set_t *self) {
    return self->url;
}

redis_server_t *redis_cluster_set_server(redis_cluster_set_t *self, unsigned number) {
    check(number < REDIS_CLUSTER_SET_SERVERS, "server %u", number);
    return self->servers[number];
}

int redis_cluster_set_port(const redis_cluster_set_t *self, unsigned number) {
    return self->tls_ports[number] != 0 ? self->tls_ports[number] : redis_server_port(self->servers[number]);
}

/* ---- who is primary ---- */

/* Whether a line of CLUSTER NODES names the slot: "… connected 0-5460 5462 [93->-id]". */
static bool line_has_slot(const char *line, unsigned slot) {
    const char *at = strstr(line, "connected ");
    at = at == NULL ? line + strlen(line) : at + strlen("connected ");
    while (*at >= '0' && *at <= '9') {
        char *end = NULL;
        unsigned first = (unsigned) strtoul(at, &end, 10);
        unsigned last = *end == '-' ? (unsigned) strtoul(end + 1, &end, 10) : first;
        if (slot >= first && slot <= last) {
            return true;
        }
        at = *end == ' ' ? end + 1 : end;
    }
    return false;
}

static unsigned number_of(const redis_cluster_set_t *self, const char *id) {
    unsigned number = 0;
    while (number < REDIS_CLUSTER_SET_SERVERS && strncmp(id, self->ids[number], ID_LENGTH) != 0) {
        number++;
    }
    return number;
}

/* What one node says; REDIS_CLUSTER_SET_SERVERS: nothing. */
static unsigned named_by(redis_cluster_set_t *self, redis_server_t *server, unsigned slot) {
    char *nodes = redis_server_command(server, "CLUSTER NODES");
    unsigned number = REDIS_CLUSTER_SET_SERVERS;
    char *rest = nodes;
    for (char *line = nodes == NULL ? NULL : strtok_r(nodes, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, "master") != NULL && line_has_slot(line, slot)) {
            number = number_of(self, line);
        }
    }
    memory_free(nodes);
    return number;
}

static unsigned agreed(redis_cluster_set_t *self, unsigned slot) {
    unsigned primary = REDIS_CLUSTER_SET_SERVERS;
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        if (!redis_server_is_running(self->servers[i])) {
            continue;
        }
        unsigned named = named_by(self, self->servers[i], slot);
        if (named == REDIS_CLUSTER_SET_SERVERS || !redis_server_is_running(self->servers[named]) ||
            (primary != REDIS_CLUSTER_SET_SERVERS && named != primary)) {
            return REDIS_CLUSTER_SET_SERVERS;
        }
        primary = named;
    }
    return primary;
}

unsigned redis_cluster_set_await_failover(redis_cluster_set_t *self, unsigned slot, unsigned old) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    unsigned primary = agreed(self, slot);
    while (primary == REDIS_CLUSTER_SET_SERVERS || primary == old) {
        check(clock_monotonic_ms() < deadline_ms, "the nodes do not agree on a (new) primary of slot %u", slot);
        nap();
        primary = agreed(self, slot);
    }
    redis_server_await(self->servers[primary], "cluster_state:ok", "CLUSTER INFO");
    return primary;
}

unsigned redis_cluster_set_primary(redis_cluster_set_t *self, unsigned slot) {
    return redis_cluster_set_await_failover(self, slot, REDIS_CLUSTER_SET_SERVERS);
}

unsigned redis_cluster_set_failover(redis_cluster_set_t *self, unsigned slot) {
    unsigned old = redis_cluster_set_primary(self, slot);
    for (unsigned i = 0; i < REDIS_CLUSTER_SET_SERVERS; i++) {
        char *nodes =
            redis_server_is_running(self->servers[i]) ? redis_server_command(self->servers[i], "CLUSTER NODES") : NULL;
        char wanted[ID_LENGTH + 32];
        snprintf(wanted, sizeof wanted, "myself,slave %s", self->ids[old]);
        bool is_replica = nodes != NULL && strstr(nodes, wanted) != NULL;
        memory_free(nodes);
        if (is_replica) {
            redis_server_await(self->servers[i], "OK", "CLUSTER FAILOVER");
            return redis_cluster_set_await_failover(self, slot, old);
        }
    }
    unreachable("the primary of slot %u has no replica", slot);
}

/* ---- moving a slot ---- */

void redis_cluster_set_begin_move(redis_cluster_set_t *self, unsigned slot, unsigned to) {
    unsigned from = redis_cluster_set_primary(self, slot);
    redis_server_expect(self->servers[to], "OK", "CLUSTER SETSLOT %d IMPORTING %s", (int) slot, self->ids[from]);
    redis_server_expect(self->servers[from], "OK", "CLUSTER SETSLOT %d MIGRATING %s", (int) slot, self->ids[to]);
}

static void move_keys(redis_cluster_set_t *self, unsigned slot, unsigned from, unsigned to) {
    for (;;) {
        char *key = redis_server_command(self->servers[from], "CLUSTER GETKEYSINSLOT %d 1", (int) slot);
        check(key != NULL, "no answer");
        if (key[0] == '\0') {
            memory_free(key);
            return;
        }
        int port = redis_cluster_set_port(self, to);
        if (self->options.password == NULL) {
            redis_server_expect(self->servers[from], "OK", "MIGRATE 127.0.0.1 %d %s 0 2000", port, key);
        } else {
            redis_server_expect(self->servers[from], "OK", "MIGRATE 127.0.0.1 %d %s 0 2000 AUTH %s", port, key,
                                self->options.password);
        }
        memory_free(key);
    }
}

void redis_cluster_set_finish_move(redis_cluster_set_t *self, unsigned slot, unsigned to) {
    unsigned from = redis_cluster_set_primary(self, slot);
    move_keys(self, slot, from, to);
    redis_server_expect(self->servers[to], "OK", "CLUSTER SETSLOT %d NODE %s", (int) slot, self->ids[to]);
    redis_server_expect(self->servers[from], "OK", "CLUSTER SETSLOT %d NODE %s", (int) slot, self->ids[to]);
    check(redis_cluster_set_await_failover(self, slot, from) == to, "the slot went elsewhere");
}

void redis_cluster_set_move(redis_cluster_set_t *self, unsigned slot, unsigned to) {
    redis_cluster_set_begin_move(self, slot, to);
    redis_cluster_set_finish_move(self, slot, to);
}
