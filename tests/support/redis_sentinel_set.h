/* A Redis with Sentinels for a test: one primary, two replicas, three Sentinels with short timings (a dead primary is
 * replaced within two seconds or three). Every call that changes who is primary returns when all that run agree.
 * Thread: the one that started it. */
#ifndef CALLBOARD_TESTS_REDIS_SENTINEL_SET_H
#define CALLBOARD_TESTS_REDIS_SENTINEL_SET_H

#include "tests/support/redis_server.h"
#include "tests/support/tls_directory.h"

enum { REDIS_SENTINEL_SET_SERVERS = 3, REDIS_SENTINEL_SET_SENTINELS = 3 };

typedef struct redis_sentinel_set redis_sentinel_set_t;

struct redis_sentinel_set_options {
    const char *password;            /* of the servers' default user; NULL: none */
    const char *sentinel_password;   /* of the Sentinels'; NULL: none */
    const char *const *config_lines; /* for each server, NULL-terminated; NULL: none */
    unsigned down_after_ms;          /* 0: 700 */
    const tls_directory_t *tls; /* servers and Sentinels speak TLS to each other and to those who come so; NULL: they do
                                   not. Read at start only */
};

/* Returns when every Sentinel knows both replicas and the other Sentinels. options NULL: the defaults. */
redis_sentinel_set_t *redis_sentinel_set_start(const struct redis_sentinel_set_options *options);
void redis_sentinel_set_stop(redis_sentinel_set_t **self_p); /* accepts NULL */

/* redis+sentinel://127.0.0.1:a,127.0.0.1:b,127.0.0.1:c/mymaster, with tls rediss+sentinel://; no passwords. */
const char *redis_sentinel_set_url(const redis_sentinel_set_t *self);
/* 0 is the first primary. Kill, pause and restart them as any server. */
redis_server_t *redis_sentinel_set_server(redis_sentinel_set_t *self, unsigned number);
int redis_sentinel_set_port(const redis_sentinel_set_t *self, unsigned number); /* as the Sentinels tell it */
redis_server_t *redis_sentinel_set_sentinel(redis_sentinel_set_t *self, unsigned number);

/* After it was killed; with its short timers again. */
void redis_sentinel_set_restart_sentinel(redis_sentinel_set_t *self, unsigned number);

/* The number of the server that is primary now, as every Sentinel that answers and the server itself say. Waits for
 * that. */
unsigned redis_sentinel_set_primary(redis_sentinel_set_t *self);
/* SENTINEL FAILOVER; returns the new primary, with the old one its replica (where it runs). */
unsigned redis_sentinel_set_failover(redis_sentinel_set_t *self);
/* Waits until another server than `old` is primary, e.g. after that one was killed; returns it. */
unsigned redis_sentinel_set_await_failover(redis_sentinel_set_t *self, unsigned old);
/* From now on replicas get nothing of what the primary does: they cannot log in to it. They stay candidates for about
 * ten times down_after_ms. */
void redis_sentinel_set_cut_replication(redis_sentinel_set_t *self);
void redis_sentinel_set_mend_replication(redis_sentinel_set_t *self);
/* Waits until each server that runs, but the primary, is its replica in sync. */
void redis_sentinel_set_await_replicas(redis_sentinel_set_t *self);

#endif
