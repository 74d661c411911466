/* A redis_topology on a loop of its own for a test, and what it has told. Thread: the one that made it. */
#ifndef CALLBOARD_TESTS_TOPOLOGY_WATCH_H
#define CALLBOARD_TESTS_TOPOLOGY_WATCH_H

#include "broker/redis/topology/redis_topology.h"

struct topology_watch {
    uv_loop_t loop;
    uv_timer_t timer; /* wakes the loop while a test waits */
    redis_tls_t *tls;
    redis_topology_t *topology;
    unsigned n_changed;
    char trouble[256]; /* empty: none */
    unsigned n_troubles;
    bool is_closed;
};

struct topology_watch_options {
    const char *sentinel_user;
    const char *sentinel_password;
    struct redis_tls_options tls;
};

/* options NULL: none are set. */
void topology_watch_start(struct topology_watch *self, const char *url, const struct topology_watch_options *options);
void topology_watch_stop(struct topology_watch *self);
/* Runs the loop for that long. */
void topology_watch_run(struct topology_watch *self, unsigned timeout_ms);
/* Runs the loop until the slot's primary is 127.0.0.1:port, at most 30 s: true. */
bool topology_watch_await(struct topology_watch *self, uint32_t slot, int port);
/* Until the trouble has this text in it (empty: until there is none). */
bool topology_watch_await_trouble(struct topology_watch *self, const char *text);
bool topology_watch_await_replicas(struct topology_watch *self, uint32_t slot, unsigned replicas);

#endif
