/* A Redis Cluster for a test: three primaries (servers 0 to 2, a third of the slots each) and three replicas (3 to 5,
 * of 0 to 2) with short timings. Thread: the one that started it. */
#ifndef CALLBOARD_TESTS_REDIS_CLUSTER_SET_H
#define CALLBOARD_TESTS_REDIS_CLUSTER_SET_H

#include "tests/support/redis_server.h"
#include "tests/support/tls_directory.h"

enum { REDIS_CLUSTER_SET_SERVERS = 6, REDIS_CLUSTER_SET_PRIMARIES = 3 };

typedef struct redis_cluster_set redis_cluster_set_t;

struct redis_cluster_set_options {
    const char *password;            /* of the default user; NULL: none */
    const char *const *config_lines; /* for each server, NULL-terminated; NULL: none */
    unsigned node_timeout_ms;        /* 0: 1000 */
    const tls_directory_t *tls; /* the servers speak TLS, to each other too (beside plain to us); NULL: they do not.
                                   Read at start only */
};

/* Returns when every node says that the cluster is well and the replicas are in sync. options NULL: the defaults. */
redis_cluster_set_t *redis_cluster_set_start(const struct redis_cluster_set_options *options);
void redis_cluster_set_stop(redis_cluster_set_t **self_p); /* accepts NULL */

/* redis+cluster://127.0.0.1:a,127.0.0.1:b,127.0.0.1:c (the first three), with tls rediss+cluster://; no password. */
const char *redis_cluster_set_url(const redis_cluster_set_t *self);
redis_server_t *redis_cluster_set_server(redis_cluster_set_t *self, unsigned number);
int redis_cluster_set_port(const redis_cluster_set_t *self, unsigned number); /* as the cluster tells it to us */

/* The number of the server that all running ones name as the slot's primary, and that runs. Waits for that. */
unsigned redis_cluster_set_primary(redis_cluster_set_t *self, unsigned slot);
/* As above, once it is another one than `old`: after that one was killed. */
unsigned redis_cluster_set_await_failover(redis_cluster_set_t *self, unsigned slot, unsigned old);
/* CLUSTER FAILOVER at a replica of the slot's primary; returns the new primary. */
unsigned redis_cluster_set_failover(redis_cluster_set_t *self, unsigned slot);

/* The slot moves to another primary: between begin and finish keys that exist are served by the old one, others get
 * ASK from it, and commands with both kinds TRYAGAIN. Finish moves the keys. */
void redis_cluster_set_begin_move(redis_cluster_set_t *self, unsigned slot, unsigned to);
void redis_cluster_set_finish_move(redis_cluster_set_t *self, unsigned slot, unsigned to);
void redis_cluster_set_move(redis_cluster_set_t *self, unsigned slot, unsigned to);

#endif
